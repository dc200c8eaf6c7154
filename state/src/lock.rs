//! The state directory and the right to touch it.
//!
//! Owns `<dir>/lock` and the names of what lies beside it. Promises that at most one living process holds a state
//! directory, and that the lock is taken before anything else in it is opened: the database answers a second opener
//! with a generic error, which a careless recovery would take for damage. Never removes the lock file (removing it
//! would let two processes lock two different files) and never opens the store.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const SOCKET: &str = "supervisor.sock";
const STORE: &str = "store";
const LOGS: &str = "logs";

/// Why a state directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another supervisor, or another handle in this process, holds the directory.
    #[error("state directory {} is in use by another supervisor ({}); stop it first or choose another --state-dir",
        .dir.display(), holder(.pid))]
    Held {
        /// The directory asked for.
        dir: PathBuf,
        /// The holder's process id, when it could be read.
        pid: Option<u32>,
    },
    /// The path exists and is something else.
    #[error("state directory {} is not a directory", .dir.display())]
    NotADirectory {
        /// The path asked for.
        dir: PathBuf,
    },
    /// The directory is missing and could not be created.
    #[error("state directory {} cannot be created: {source}", .dir.display())]
    Create {
        /// The directory asked for.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lock file could not be opened or written: most often a missing permission or a read-only disk.
    #[error("state directory {} is not writable: {source}", .dir.display())]
    NotWritable {
        /// The directory asked for.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system refuses locks; some network file systems do.
    #[error("state directory {} is on a file system without locks: {source}", .dir.display())]
    NoLocks {
        /// The directory asked for.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "process id unknown".to_string(), |pid| format!("process {pid}"))
}

/// A state directory that this process holds exclusively until the value is dropped or the process ends.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock: File,
}

impl StateDir {
    /// Takes the directory: creates it (mode 0700) if it is missing, then locks it before anything else is touched.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        create_dir(path)?;
        let mut lock = open_lock_file(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: path.to_path_buf(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::NoLocks { dir: path.to_path_buf(), source }),
        }
        write_pid(&mut lock).map_err(|source| LockError::NotWritable { dir: path.to_path_buf(), source })?;
        Ok(Self { path: path.to_path_buf(), lock })
    }

    /// The directory itself, as it was given to [`StateDir::acquire`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the running process listens.
    pub fn socket(&self) -> PathBuf {
        Self::socket_in(&self.path)
    }

    /// Where a process running on `dir` listens; for callers that only want to talk to it and take no lock.
    pub fn socket_in(dir: &Path) -> PathBuf {
        dir.join(SOCKET)
    }

    /// The database's directory.
    pub fn store_dir(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The directory of the log files.
    pub fn logs_dir(&self) -> PathBuf {
        Self::logs_in(&self.path)
    }

    /// The directory of the log files under `dir`; for readers that take no lock.
    pub fn logs_in(dir: &Path) -> PathBuf {
        dir.join(LOGS)
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // A process id left behind would name the wrong holder to whoever asks before the next one has written.
        let _ = self.lock.set_len(0);
        // Closing alone is not enough: a child process between fork and exec holds the same open file.
        let _ = self.lock.unlock();
    }
}

/// Creates a directory and its missing parents for the owner only.
pub(crate) fn create_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn create_dir(path: &Path) -> Result<(), LockError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(LockError::NotADirectory { dir: path.to_path_buf() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private(path).map_err(|source| LockError::Create { dir: path.to_path_buf(), source })
        }
        Err(source) => Err(LockError::Create { dir: path.to_path_buf(), source }),
    }
}

fn open_lock_file(path: &Path) -> Result<File, LockError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    options.open(path.join(LOCK)).map_err(|source| LockError::NotWritable { dir: path.to_path_buf(), source })
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn creates_a_private_directory_and_names_what_lies_in_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let held = StateDir::acquire(&dir).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(dir.join("lock")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(held.path(), dir);
        assert_eq!(held.socket(), StateDir::socket_in(&dir));
        assert!(held.store_dir().starts_with(&dir) && held.logs_dir().starts_with(&dir));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing but the lock is touched");
    }

    #[test]
    fn a_second_acquire_is_refused_with_directory_and_pid_until_the_first_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let first = StateDir::acquire(root.path()).unwrap();
        let error = StateDir::acquire(root.path()).unwrap_err();
        let LockError::Held { dir, pid } = &error else { panic!("{error}") };
        assert_eq!((dir.as_path(), *pid), (root.path(), Some(std::process::id())));
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(first);
        StateDir::acquire(root.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(StateDir::acquire(&path), Err(LockError::NotADirectory { dir }) if dir == path));
        assert!(matches!(StateDir::acquire(&path.join("below")), Err(LockError::Create { .. })));
    }

    #[test]
    fn a_lock_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("lock")).unwrap();
        let error = StateDir::acquire(root.path()).unwrap_err();
        assert!(matches!(error, LockError::NotWritable { .. }), "{error}");
        assert!(error.to_string().contains("not writable"), "{error}");
    }
}
