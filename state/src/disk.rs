//! The one place that knows the database (sled 0.34) and its measured traps.
//!
//! Owns the open database: rooms of rows sorted by key, atomic writes within a room, and `sync`. Promises that a panic
//! inside the database (opening a damaged store panics more often than it fails) comes out as an error, and one while
//! it is closed goes no further; that `sync` reaches the device (the database's own flush stops at the page cache on
//! Linux); and that after a failed write, flush or sync nothing is written any more: the system may have dropped the
//! pages, so a later success proves nothing. Only [`Disk::reopen`] begins anew, under the same `&self`. Never knows
//! what a row means.

mod files;
mod guard;
mod quiet;

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub(crate) use quiet::panic_message;

use crate::chunks::Row;
use files::{remove_torn, renew, sync_directories};
use guard::Guard;
use quiet::Held;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;
// The periodic flusher is also what collects garbage.
const FLUSH_EVERY_MS: u64 = 500;
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// A reader may be in the middle of a long journal; it stops at its next row.
const REOPEN_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(2);

/// What the database or the system under it refused.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// An operation failed.
    #[error("store {}: {during} failed: {source}", .dir.display())]
    Failed {
        /// The store's directory.
        dir: PathBuf,
        /// What was being done.
        during: &'static str,
        /// What the database or the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database panicked, which is its usual answer to damaged files.
    #[error("store {}: {during} ended in a panic of the database, its files may be damaged: {message}", .dir.display())]
    Panicked {
        /// The store's directory.
        dir: PathBuf,
        /// What was being done.
        during: &'static str,
        /// The panic's message.
        message: String,
    },
    /// An earlier write, flush or sync failed or the database panicked; it has to be opened again.
    #[error("store {}: {during} refused because {}", .dir.display(), earlier(.full))]
    Broken {
        /// The store's directory.
        dir: PathBuf,
        /// What was being asked for.
        during: &'static str,
        /// Whether the earlier failure was a full disk.
        full: bool,
    },
}

fn earlier(full: &bool) -> &'static str {
    if *full { "the disk was full" } else { "an earlier operation failed; restart the supervisor" }
}

impl DiskError {
    /// Whether a full disk, or a full share of it, is all that is wrong.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Failed { source, .. } => is_full(source.as_ref()),
            Self::Panicked { .. } => false,
            Self::Broken { full, .. } => *full,
        }
    }
}

/// The database hands the system's error on with its kind, but not always with its number.
pub(crate) fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = match error.downcast_ref::<sled::Error>() {
        Some(sled::Error::Io(io)) => Some(io),
        _ => error.downcast_ref::<io::Error>(),
    };
    let full = |io: &io::Error| matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    io.is_some_and(full) || error.source().is_some_and(is_full)
}

/// The kinds of rows, each a keyspace of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Room {
    Meta,
    Facts,
    LongFacts,
    Snapshots,
    Latches,
}

/// The open database. Whoever drops its last handle closes it, and fields are dropped in their order: the one that is
/// prepared for a panic comes last.
struct Trees {
    meta: sled::Tree,
    facts: sled::Tree,
    long_facts: sled::Tree,
    snapshots: sled::Tree,
    latches: sled::Tree,
    last: Held<sled::Db>,
}

/// The database of a directory.
pub(crate) struct Disk {
    dir: PathBuf,
    slot: RwLock<Slot>,
    // Held while the database is being opened again: writers wait for it.
    opening: Mutex<()>,
}

/// Readers never wait for an opening, because it waits for the rows that they hold.
enum Slot {
    Open(Inner),
    Opening,
    Lost,
}

struct Inner {
    trees: Trees,
    file: File,
    guard: Guard,
}

impl Disk {
    /// Opens or creates the database in `dir`, which must exist and be ours alone.
    pub(crate) fn open(dir: &Path) -> Result<Self, DiskError> {
        let slot = RwLock::new(Slot::Open(Inner::open(dir, LOCK_PATIENCE)?));
        Ok(Self { dir: dir.to_path_buf(), slot, opening: Mutex::new(()) })
    }

    /// Lets go of the database and opens it again. What was written since the last sync may be gone. Meanwhile reads
    /// are refused, rows that are being read end with an error, and writes wait.
    pub(crate) fn reopen(&self) -> Result<(), DiskError> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.replace(Slot::Opening);
        if let Slot::Open(old) = &old {
            old.guard.condemn();
        }
        let guard = Guard::new(&self.dir);
        let closed = match old {
            Slot::Open(old) => old.trees.close(&guard),
            Slot::Opening | Slot::Lost => Ok(()),
        };
        let renewed = closed.and_then(|()| guard.run("renew its data file", || renew(&self.dir.join("db"))));
        match renewed.and_then(|()| Inner::open(&self.dir, REOPEN_PATIENCE)) {
            Ok(inner) => drop(self.replace(Slot::Open(inner))),
            Err(error) => {
                self.replace(Slot::Lost);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Closes the database, unless rows of it are still being read: an error where a drop would only leave a word in
    /// the log.
    pub(crate) fn close(self) -> Result<(), DiskError> {
        match self.slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(open) => open.trees.close(&Guard::new(&self.dir)),
            Slot::Opening | Slot::Lost => Ok(()),
        }
    }

    fn replace(&self, slot: Slot) -> Slot {
        std::mem::replace(&mut *self.slot.write().unwrap_or_else(PoisonError::into_inner), slot)
    }

    /// An error once a write, flush or sync has failed.
    pub(crate) fn check(&self) -> Result<(), DiskError> {
        self.with("check", |inner| inner.guard.check("check"))
    }

    /// The value under `key`.
    pub(crate) fn get(&self, room: Room, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let value = self.with("read", |inner| inner.guard.run("read", || inner.tree(room).get(key)));
        value.map(|value| value.map(|value| value.to_vec()))
    }

    /// The rows whose keys lie in `keys`, in order from either end.
    pub(crate) fn rows(&self, room: Room, keys: RangeInclusive<&[u8]>) -> Result<Rows, DiskError> {
        let (low, high) = (keys.start().to_vec(), keys.end().to_vec());
        self.with("read", |inner| {
            let iter = inner.guard.run("read", || Ok::<_, sled::Error>(inner.tree(room).range(low..=high)))?;
            Ok(Rows { iter: Held::new(iter), guard: inner.guard.clone() })
        })
    }

    /// Whether the room holds no row.
    pub(crate) fn is_empty(&self, room: Room) -> Result<bool, DiskError> {
        self.with("read", |inner| inner.guard.run("read", || inner.tree(room).first())).map(|row| row.is_none())
    }

    /// Puts and removes rows, all or none; a key that stands in both is put. Durable only after [`Disk::sync`], but
    /// latches at once: whoever changes one does not know how to repeat it after [`Disk::reopen`].
    pub(crate) fn write(&self, room: Room, put: Vec<Row>, remove: Vec<Vec<u8>>) -> Result<(), DiskError> {
        let mut batch = sled::Batch::default();
        remove.into_iter().for_each(|key| batch.remove(key));
        put.into_iter().for_each(|(key, value)| batch.insert(key, value));
        self.wait_until_open();
        self.with("write", |inner| {
            inner.guard.run_once("write", || inner.tree(room).apply_batch(batch))?;
            if matches!(room, Room::Latches) { inner.sync() } else { Ok(()) }
        })
    }

    /// Makes everything written so far durable: flush to the file, then the file to the device.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.wait_until_open();
        self.with("sync", Inner::sync)
    }

    /// Waits for the end of a reopening; whoever reads before he writes asks for it first, because reads do not wait.
    pub(crate) fn wait_until_open(&self) {
        drop(self.opening.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn with<T>(
        &self,
        during: &'static str,
        operation: impl FnOnce(&Inner) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let closed = |full| Err(DiskError::Broken { dir: self.dir.clone(), during, full });
        match &*self.slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(inner) => operation(inner),
            Slot::Opening => closed(true),
            Slot::Lost => closed(false),
        }
    }

    /// Does `work` as if the database were being opened again.
    #[cfg(test)]
    pub(crate) fn while_opening<T>(&self, work: impl FnOnce() -> T) -> T {
        let _opening = self.opening.lock().unwrap();
        let open = self.replace(Slot::Opening);
        let done = work();
        drop(self.replace(open));
        done
    }

    /// Lets the `nth` write, flush or sync from now on find the disk full.
    #[cfg(test)]
    pub(crate) fn fill_at(&self, nth: u64) {
        let Slot::Open(inner) = &*self.slot.read().unwrap() else { return };
        inner.guard.fill_at(nth);
    }
}

/// Writes the data file of a database that is closed once more, if there is one: an opening of it has failed, and what
/// was synced since then proves nothing.
pub(crate) fn renew_closed(dir: &Path) -> Result<(), DiskError> {
    let path = dir.join("db");
    if path.exists() { Guard::new(dir).run("renew its data file", || renew(&path)) } else { Ok(()) }
}

impl Inner {
    fn open(dir: &Path, patience: Duration) -> Result<Self, DiskError> {
        let guard = Guard::new(dir);
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .mode(sled::Mode::HighThroughput);
        guard.run("clear what an earlier opening left", || remove_torn(dir))?;
        let trees = guard.run("open", || Trees::of(open_patiently(&config, patience)?))?;
        let file = guard.run("open its data file", || File::open(dir.join("db")))?;
        let inner = Self { trees, file, guard };
        inner.sync()?;
        inner.guard.run("sync its directory", || sync_directories(dir))?;
        Ok(inner)
    }

    fn sync(&self) -> Result<(), DiskError> {
        // Any tree flushes the whole database.
        self.guard.sync(|| self.trees.meta.flush(), || self.file.sync_data())
    }

    fn tree(&self, room: Room) -> &sled::Tree {
        match room {
            Room::Meta => &self.trees.meta,
            Room::Facts => &self.trees.facts,
            Room::LongFacts => &self.trees.long_facts,
            Room::Snapshots => &self.trees.snapshots,
            Room::Latches => &self.trees.latches,
        }
    }
}

/// The database's threads may hold its file for a moment after its handle was dropped. Nobody else can: whoever comes
/// here holds the lock of the state directory.
fn open_patiently(config: &sled::Config, patience: Duration) -> sled::Result<sled::Db> {
    let since = Instant::now();
    loop {
        match config.open() {
            Err(error) if is_lock_held(&error) && since.elapsed() < patience => std::thread::sleep(LOCK_POLL),
            result => return result,
        }
    }
}

/// The database wraps the system's answer in a text of its own.
fn is_lock_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().starts_with("could not acquire lock"))
}

impl Trees {
    fn of(db: sled::Db) -> sled::Result<Self> {
        Ok(Self {
            meta: db.open_tree("meta")?,
            facts: db.open_tree("facts")?,
            long_facts: db.open_tree("long_facts")?,
            snapshots: db.open_tree("snapshots")?,
            latches: db.open_tree("latches")?,
            last: Held::new(db),
        })
    }

    fn close(self, guard: &Guard) -> Result<(), DiskError> {
        let Self { meta, facts, long_facts, snapshots, latches, mut last } = self;
        drop([meta, facts, long_facts, snapshots, latches]);
        last.let_go().map_err(|message| guard.panicked("close", message))
    }
}

/// Rows read lazily; a step may fail, and that is the last one: the database would answer with the same damage for
/// ever.
pub(crate) struct Rows {
    iter: Held<sled::Iter>,
    guard: Guard,
}

impl Rows {
    fn step(
        &mut self,
        step: impl FnOnce(&mut sled::Iter) -> Option<sled::Result<Pair>>,
    ) -> Option<Result<Row, DiskError>> {
        let iter = self.iter.get_mut()?;
        let row = self.guard.run("read", || step(iter).transpose());
        if row.is_err() {
            // Whoever opens the database again waits for this.
            self.iter.close();
        }
        row.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}

type Pair = (sled::IVec, sled::IVec);

impl Iterator for Rows {
    type Item = Result<Row, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(sled::Iter::next)
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(sled::Iter::next_back)
    }
}

#[cfg(test)]
mod tests;
