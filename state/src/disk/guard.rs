//! What stands between the database and us: panics become errors, and a failure is remembered.
//!
//! Owns the health of one opening of the database: good, full or bad, and it only gets worse. Promises that after a
//! failed write, flush or sync, or a panic, every operation is refused, also one that was waiting for its turn to sync.
//! Never repairs anything.

#[cfg(test)]
use std::io;
use std::path::Path;
#[cfg(test)]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::DiskError;
use super::quiet::caught;

const GOOD: u8 = 0;
const FULL: u8 = 1;
const BAD: u8 = 2;

/// Turns panics into errors and remembers that nothing can be trusted any more.
#[derive(Clone)]
pub(super) struct Guard {
    dir: Arc<Path>,
    health: Arc<AtomicU8>,
    /// Held from a flush until its sync has answered and the health says so.
    syncing: Arc<Mutex<()>>,
    #[cfg(test)]
    full_in: Arc<AtomicU64>,
}

impl Guard {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.into(),
            health: Arc::new(AtomicU8::new(GOOD)),
            syncing: Arc::default(),
            #[cfg(test)]
            full_in: Arc::default(),
        }
    }

    pub(super) fn check(&self, during: &'static str) -> Result<(), DiskError> {
        match self.health.load(Ordering::Acquire) {
            GOOD => Ok(()),
            health => Err(DiskError::Broken { dir: self.dir.to_path_buf(), during, full: health == FULL }),
        }
    }

    /// Runs an operation whose failure leaves the store as it was.
    pub(super) fn run<T, E>(
        &self,
        during: &'static str,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, DiskError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.check(during)?;
        match caught(operation) {
            Ok(done) => done.map_err(|source| self.failed(during, source)),
            Err(message) => {
                self.health.fetch_max(BAD, Ordering::AcqRel);
                Err(self.panicked(during, message))
            }
        }
    }

    /// Runs an operation that is never tried again once it has failed.
    pub(super) fn run_once<T, E>(
        &self,
        during: &'static str,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, DiskError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        #[cfg(test)]
        let result = if self.is_full_now() {
            Err(self.failed(during, io::Error::from(io::ErrorKind::StorageFull)))
        } else {
            self.run(during, operation)
        };
        #[cfg(not(test))]
        let result = self.run(during, operation);
        result.inspect_err(|error| {
            self.health.fetch_max(if error.is_storage_full() { FULL } else { BAD }, Ordering::AcqRel);
        })
    }

    /// Runs a flush and its sync, one pair at a time. The system tells of lost pages only once for each open file: the
    /// next sync of the same file succeeds, so whoever asks for it has to find the store refused.
    pub(super) fn sync<T, F, S>(
        &self,
        flush: impl FnOnce() -> Result<T, F>,
        sync: impl FnOnce() -> Result<(), S>,
    ) -> Result<(), DiskError>
    where
        F: std::error::Error + Send + Sync + 'static,
        S: std::error::Error + Send + Sync + 'static,
    {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.run_once("flush", flush)?;
        self.run_once("sync", sync)
    }

    /// The error for a panic of the database with this message.
    pub(super) fn panicked(&self, during: &'static str, message: String) -> DiskError {
        DiskError::Panicked { dir: self.dir.to_path_buf(), during, message }
    }

    fn failed(&self, during: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> DiskError {
        DiskError::Failed { dir: self.dir.to_path_buf(), during, source: Box::new(source) }
    }

    /// Ends whatever still reads: the database is being let go.
    pub(super) fn condemn(&self) {
        self.health.fetch_max(FULL, Ordering::AcqRel);
    }

    #[cfg(test)]
    pub(super) fn fill_at(&self, nth: u64) {
        self.full_in.store(nth, Ordering::Release);
    }

    #[cfg(test)]
    fn is_full_now(&self) -> bool {
        let count = |left: u64| left.checked_sub(1);
        self.full_in.fetch_update(Ordering::AcqRel, Ordering::Acquire, count) == Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn guard() -> Guard {
        Guard::new(Path::new("here"))
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

    /// The second sync would succeed: the system has told its error to the first.
    #[test]
    fn a_sync_beside_one_that_fails_is_refused() {
        let guard = guard();
        let (first, is_first) = channel();
        let (second, is_second) = channel();
        let refused = move || {
            first.send(()).unwrap();
            is_second.recv().unwrap();
            // Time for the second to go wrong, if it can.
            (0..10_000).for_each(|_| std::thread::yield_now());
            Err(io::Error::from_raw_os_error(5))
        };
        std::thread::scope(|scope| {
            let failing = scope.spawn(|| guard.sync(|| io::Result::Ok(7), refused));
            is_first.recv().unwrap();
            second.send(()).unwrap();
            let beside = guard.sync(|| io::Result::Ok(8), || io::Result::Ok(()));
            assert!(matches!(beside, Err(DiskError::Broken { during: "flush", full: false, .. })), "{beside:?}");
            assert!(matches!(failing.join().unwrap(), Err(DiskError::Failed { during: "sync", .. })));
        });
    }
}
