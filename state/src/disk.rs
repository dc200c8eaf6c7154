//! The one file that knows the database (sled 0.34) and its measured traps.
//!
//! Owns the open database: rooms of rows sorted by key, atomic writes within a room, and `sync`. Promises that a panic
//! inside the database (opening a damaged store panics more often than it fails) comes out as an error; that `sync`
//! reaches the device (the database's own flush stops at the page cache on Linux); and that after a failed write,
//! flush or sync nothing is written any more: the system may have dropped the pages, so a later success proves
//! nothing. Never knows what a row means.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::chunks::Row;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;
// The periodic flusher is also what collects garbage.
const FLUSH_EVERY_MS: u64 = 500;
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
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
    #[error("store {}: {during} ended in a panic of the database, its files are damaged: {message}", .dir.display())]
    Panicked {
        /// The store's directory.
        dir: PathBuf,
        /// What was being done.
        during: &'static str,
        /// The panic's message.
        message: String,
    },
    /// An earlier write, flush or sync failed or the database panicked; it has to be opened again.
    #[error("store {}: {during} refused because an earlier operation failed; restart the supervisor", .dir.display())]
    Broken {
        /// The store's directory.
        dir: PathBuf,
        /// What was being asked for.
        during: &'static str,
    },
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

struct Trees {
    meta: sled::Tree,
    facts: sled::Tree,
    long_facts: sled::Tree,
    snapshots: sled::Tree,
    latches: sled::Tree,
}

/// The open database.
pub(crate) struct Disk {
    db: sled::Db,
    trees: Trees,
    file: File,
    guard: Guard,
}

impl Disk {
    /// Opens or creates the database in `dir`, which must exist and be ours alone.
    pub(crate) fn open(dir: &Path) -> Result<Self, DiskError> {
        let guard = Guard { dir: dir.into(), broken: Arc::new(AtomicBool::new(false)) };
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .mode(sled::Mode::HighThroughput);
        let (db, trees) = guard.run("open", || {
            let db = open_patiently(&config)?;
            let trees = open_trees(&db)?;
            Ok::<_, sled::Error>((db, trees))
        })?;
        let file = guard.run("open its data file", || File::open(dir.join("db")))?;
        let disk = Self { db, trees, file, guard };
        disk.sync()?;
        disk.guard.run("sync its directory", || sync_directories(dir))?;
        Ok(disk)
    }

    /// The value under `key`.
    pub(crate) fn get(&self, room: Room, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        self.guard.run("read", || self.tree(room).get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    /// The rows whose keys lie in `keys`, in order from either end.
    pub(crate) fn rows(&self, room: Room, keys: RangeInclusive<&[u8]>) -> Result<Rows, DiskError> {
        let (low, high) = (keys.start().to_vec(), keys.end().to_vec());
        let iter = self.guard.run("read", || Ok::<_, sled::Error>(self.tree(room).range(low..=high)))?;
        Ok(Rows { iter, guard: self.guard.clone() })
    }

    /// Whether the room holds no row.
    pub(crate) fn is_empty(&self, room: Room) -> Result<bool, DiskError> {
        self.guard.run("read", || self.tree(room).first()).map(|row| row.is_none())
    }

    /// Puts and removes rows, all or none; a key that stands in both is put. Durable only after [`Disk::sync`].
    pub(crate) fn write(&self, room: Room, put: Vec<Row>, remove: Vec<Vec<u8>>) -> Result<(), DiskError> {
        let mut batch = sled::Batch::default();
        remove.into_iter().for_each(|key| batch.remove(key));
        put.into_iter().for_each(|(key, value)| batch.insert(key, value));
        self.guard.run_once("write", || self.tree(room).apply_batch(batch))
    }

    /// Makes everything written so far durable: flush to the file, then the file to the device.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.guard.run_once("flush", || self.db.flush())?;
        self.guard.run_once("sync", || self.file.sync_data())
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
fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let since = Instant::now();
    loop {
        match config.open() {
            Err(error) if is_lock_held(&error) && since.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_POLL),
            result => return result,
        }
    }
}

/// The database wraps the system's answer in a text of its own.
fn is_lock_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().starts_with("could not acquire lock"))
}

fn open_trees(db: &sled::Db) -> sled::Result<Trees> {
    Ok(Trees {
        meta: db.open_tree("meta")?,
        facts: db.open_tree("facts")?,
        long_facts: db.open_tree("long_facts")?,
        snapshots: db.open_tree("snapshots")?,
        latches: db.open_tree("latches")?,
    })
}

/// New files are found after a power cut only if their directories were synced too.
fn sync_directories(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Rows read lazily; each step may fail.
pub(crate) struct Rows {
    iter: sled::Iter,
    guard: Guard,
}

impl Iterator for Rows {
    type Item = Result<Row, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.guard.run("read", || self.iter.next().transpose());
        step.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        let step = self.guard.run("read", || self.iter.next_back().transpose());
        step.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}

/// Turns panics into errors and remembers that nothing can be trusted any more.
#[derive(Clone)]
struct Guard {
    dir: Arc<Path>,
    broken: Arc<AtomicBool>,
}

impl Guard {
    /// Runs an operation whose failure leaves the store as it was.
    fn run<T, E>(&self, during: &'static str, operation: impl FnOnce() -> Result<T, E>) -> Result<T, DiskError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        if self.broken.load(Ordering::Acquire) {
            return Err(DiskError::Broken { dir: self.dir.to_path_buf(), during });
        }
        match catch_unwind(AssertUnwindSafe(operation)) {
            Ok(done) => done.map_err(|source| DiskError::Failed {
                dir: self.dir.to_path_buf(),
                during,
                source: Box::new(source),
            }),
            Err(panic) => {
                self.broken.store(true, Ordering::Release);
                let message = panic_message(panic.as_ref());
                Err(DiskError::Panicked { dir: self.dir.to_path_buf(), during, message })
            }
        }
    }

    /// Runs an operation that is never tried again once it has failed.
    fn run_once<T, E>(&self, during: &'static str, operation: impl FnOnce() -> Result<T, E>) -> Result<T, DiskError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.run(during, operation).inspect_err(|_| self.broken.store(true, Ordering::Release))
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard { dir: Path::new("here").into(), broken: Arc::default() }
    }

    #[test]
    fn a_panic_becomes_an_error_and_breaks_the_store() {
        let guard = guard();
        let error = guard.run("read", || -> io::Result<()> { panic!("bad page {}", 7) }).unwrap_err();
        assert!(matches!(&error, DiskError::Panicked { during: "read", message, .. } if message == "bad page 7"));
        assert!(matches!(guard.run("read", || io::Result::Ok(1)), Err(DiskError::Broken { .. })));
    }

    #[test]
    fn a_failed_read_may_be_tried_again_and_a_failed_sync_may_not() {
        let guard = guard();
        assert!(guard.run("read", || io::Result::<()>::Err(io::Error::other("once"))).is_err());
        assert_eq!(guard.run("read", || io::Result::Ok(1)).unwrap(), 1);
        assert!(guard.run_once("sync", || io::Result::<()>::Err(io::Error::other("no space"))).is_err());
        assert!(matches!(guard.run_once("sync", || io::Result::Ok(())), Err(DiskError::Broken { .. })));
    }
}
