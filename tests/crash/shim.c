/*
 * Storage that fails on order, loaded before the C library of the program under test.
 *
 * Counts the storage calls on files below SHIM_DIR (not below SHIM_DIR/logs) and lets the SHIM_AT-th call of the kind
 * SHIM_ON (any, write, sync) go wrong as SHIM_DO says:
 *   eio      this one call fails with EIO
 *   enospc   this one call fails with ENOSPC
 *   full     from this call on every write fails with ENOSPC, until the file SHIM_DIR/reserve is gone
 *   short    half of the bytes are written, and the next call of the kind fails with EIO
 *   kill     SIGKILL just before this call
 *   half     half of the bytes are written, then SIGKILL
 * The counters lie in the file SHIM_COUNTS, mapped, so that they outlive a SIGKILL: four 64-bit numbers, all calls,
 * writes, syncs, and how often the order was carried out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2 };
enum deed { NOTHING, FAIL_EIO, FAIL_ENOSPC, FULL, SHORT, DIE, DIE_HALF };

struct counts { atomic_ullong all, writes, syncs, struck; };

static struct counts spare, *counts = &spare;
static char dir[PATH_MAX], reserve[PATH_MAX + 16];
static size_t dir_length;
static unsigned long long strike_at;
static int strike_kind;
static enum deed deed = NOTHING;
static atomic_int full, broken;

__attribute__((constructor)) static void prepare(void) {
    const char *where = getenv("SHIM_DIR"), *at = getenv("SHIM_AT"), *on = getenv("SHIM_ON");
    const char *what = getenv("SHIM_DO"), *file = getenv("SHIM_COUNTS");
    if (!where || strlen(where) >= sizeof dir) return;
    strcpy(dir, where);
    dir_length = strlen(dir);
    snprintf(reserve, sizeof reserve, "%s/reserve", dir);
    strike_at = at ? strtoull(at, NULL, 10) : 0;
    strike_kind = !on || !strcmp(on, "any") ? WRITE | SYNC : !strcmp(on, "write") ? WRITE : SYNC;
    static const char *const words[] = {"", "eio", "enospc", "full", "short", "kill", "half"};
    for (int i = 1; what && i < 7; i++)
        if (!strcmp(what, words[i])) deed = i;
    int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        int (*resize)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate");
        if (resize && resize(fd, sizeof spare) == 0) {
            void *map = mmap(NULL, sizeof spare, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map != MAP_FAILED) counts = map;
        }
        close(fd);
    }
}

static int is_ours(const char *path) {
    if (!dir_length || strncmp(path, dir, dir_length) || path[dir_length] != '/') return 0;
    const char *rest = path + dir_length;
    /* The lock holds no state, and the log is no storage. */
    return strncmp(rest, "/logs", 5) && strcmp(rest, "/lock");
}

static int is_ours_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!dir_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (!strcmp(path, dir)) return 1;
    return is_ours(path);
}

/* Counts a call; what is to go wrong with it. */
static enum deed judge(enum kind kind) {
    unsigned long long all = atomic_fetch_add(&counts->all, 1) + 1;
    unsigned long long own = atomic_fetch_add(kind == WRITE ? &counts->writes : &counts->syncs, 1) + 1;
    unsigned long long number = strike_kind == (WRITE | SYNC) ? all : own;
    if (kind == WRITE && atomic_load(&full)) {
        if (access(reserve, F_OK) == 0) return FAIL_ENOSPC;
        atomic_store(&full, 0);
    }
    if (atomic_load(&broken) && (kind & strike_kind)) {
        atomic_store(&broken, 0);
        return FAIL_EIO;
    }
    if (deed == NOTHING || !(kind & strike_kind) || number != strike_at) return NOTHING;
    atomic_fetch_add(&counts->struck, 1);
    if (deed == FULL) {
        atomic_store(&full, access(reserve, F_OK) == 0);
        return FAIL_ENOSPC;
    }
    if (deed == SHORT) atomic_store(&broken, 1);
    return deed;
}

/* 1: the call has failed, errno says how. */
static int fails(enum deed what) {
    if (what == DIE || what == DIE_HALF) raise(SIGKILL);
    if (what == FAIL_EIO || what == SHORT) errno = EIO;
    else if (what == FAIL_ENOSPC) errno = ENOSPC;
    else return 0;
    return 1;
}

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITER(name, parameters, types, whole, part) \
    ssize_t name parameters { \
        static ssize_t (*real) types; \
        if (!real) real = (ssize_t (*) types)dlsym(RTLD_NEXT, #name); \
        if (!is_ours_fd(fd)) return real whole; \
        enum deed what = judge(WRITE); \
        if ((what == SHORT || what == DIE_HALF) && size > 1) { \
            size_t half = size / 2; \
            ssize_t written = real part; \
            if (what == DIE_HALF) raise(SIGKILL); \
            return written; \
        } \
        return fails(what) ? -1 : real whole; \
    }

WRITER(write, (int fd, const void *bytes, size_t size), (int, const void *, size_t), (fd, bytes, size),
       (fd, bytes, half))
WRITER(pwrite, (int fd, const void *bytes, size_t size, off_t at), (int, const void *, size_t, off_t),
       (fd, bytes, size, at), (fd, bytes, half, at))
WRITER(pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (int, const void *, size_t, off64_t),
       (fd, bytes, size, at), (fd, bytes, half, at))

#define SYNCER(name, kind, parameters, types, arguments) \
    int name parameters { \
        static int (*real) types; \
        if (!real) real = (int (*) types)dlsym(RTLD_NEXT, #name); \
        if (!is_ours_fd(fd)) return real arguments; \
        return fails(judge(kind)) ? -1 : real arguments; \
    }

SYNCER(fsync, SYNC, (int fd), (int), (fd))
SYNCER(fdatasync, SYNC, (int fd), (int), (fd))
SYNCER(sync_file_range, SYNC, (int fd, off64_t at, off64_t size, unsigned flags), (int, off64_t, off64_t, unsigned),
       (fd, at, size, flags))
SYNCER(ftruncate, WRITE, (int fd, off_t size), (int, off_t), (fd, size))
SYNCER(ftruncate64, WRITE, (int fd, off64_t size), (int, off64_t), (fd, size))
SYNCER(fallocate, WRITE, (int fd, int mode, off_t at, off_t size), (int, int, off_t, off_t), (fd, mode, at, size))
SYNCER(fallocate64, WRITE, (int fd, int mode, off64_t at, off64_t size), (int, int, off64_t, off64_t),
       (fd, mode, at, size))

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    if (!is_ours_fd(fd)) return real(fd, parts, count);
    enum deed what = judge(WRITE);
    return fails(what) ? -1 : real(fd, parts, count);
}

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    if (!is_ours(to)) return real(from, to);
    return fails(judge(WRITE)) ? -1 : real(from, to);
}
