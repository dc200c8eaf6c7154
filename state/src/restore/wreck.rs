//! A store that is damaged, missing or to be replaced, read as far as it can be read.
//!
//! Promises that a panic of the database in one place does not hide the other places: a copy of its data is opened,
//! without the files that the database can make anew, a bounded number of times. Never changes a row.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::swap;
use crate::disk::DiskError;
use crate::journal::StoreError;
use crate::lock::StateDir;
use crate::store::Store;
use crate::verify::{says_code, says_refusal};

/// How often a store is opened that breaks while it is read.
const OPENINGS: u32 = 6;
/// EIO.
const UNREADABLE: i32 = 5;

/// The store as it was found.
pub(super) struct Wreck {
    dir: PathBuf,
    copies: PathBuf,
    store: Option<Store>,
    openings: u32,
    /// Why the store was not opened again.
    refusal: Option<StoreError>,
}

impl Wreck {
    /// A store that nobody has tried to open yet.
    pub(super) fn new(lock: &StateDir) -> Self {
        Self { dir: lock.store_dir(), copies: swap::salvage_dir(lock), store: None, openings: 0, refusal: None }
    }

    /// Where the store lies.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the store as it is, for the first time.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        self.openings += 1;
        self.store = Some(Store::peek(&self.dir)?);
        Ok(())
    }

    /// Asks the store; `None` when it cannot be opened any more or panics over this question.
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(&Store) -> T) -> Option<T> {
        let store = self.opened()?;
        catch_unwind(AssertUnwindSafe(|| question(store))).ok()
    }

    fn opened(&mut self) -> Option<&Store> {
        if self.store.as_ref().is_some_and(|store| store.is_broken()) {
            self.close();
        }
        while self.store.is_none() && self.openings < OPENINGS && Store::has_data(&self.dir) {
            // As it is first; after that without what the database keeps beside its data.
            let dir = if self.openings == 0 { Ok(self.dir.clone()) } else { self.copied() };
            self.openings += 1;
            match dir.and_then(|dir| Store::peek(&dir)) {
                Ok(store) => self.store = Some(store),
                Err(error) if is_refusal(&error) => self.give_up(error),
                Err(_) => {}
            }
        }
        self.store.as_ref()
    }

    /// What the system refuses once it would refuse again, and half a copy only takes up room.
    fn give_up(&mut self, error: StoreError) {
        (self.openings, self.refusal) = (OPENINGS, Some(error));
        let _ = swap::clear(&self.copies);
    }

    /// An error if the system refused to open the store or a copy of it: nothing is known then about what was asked.
    pub(super) fn refused(&mut self) -> Result<(), StoreError> {
        self.refusal.take().map_or(Ok(()), Err)
    }

    /// The same, unless the device cannot be read: for who wants the store replaced in any case.
    pub(super) fn refused_though_readable(&mut self) -> Result<(), StoreError> {
        self.refused().or_else(|error| if says_code(&error.to_string(), UNREADABLE) { Ok(()) } else { Err(error) })
    }

    /// The store itself, if it was opened and is not broken.
    pub(super) fn take(mut self) -> Option<Store> {
        self.store.take()
    }

    /// Lets go of the store; how the database ends is of no interest any more.
    pub(super) fn close(&mut self) {
        self.store = None;
    }

    /// A copy for this opening, under a name of its own: the database may not let go of the files of one that panicked.
    /// The one before is removed, so that there is room for one only.
    fn copied(&self) -> Result<PathBuf, StoreError> {
        let _ = swap::clear(&self.copies);
        let copy = self.copies.join(self.openings.to_string());
        copy_data(&self.dir, &copy).map_err(|source| swap::beside(&copy, "copied", source))?;
        Ok(copy)
    }
}

/// Data and blobs only: settings and the database's own snapshots of its page table are made anew.
pub(super) fn copy_data(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::copy(from.join("db"), to.join("db"))?;
    fs::create_dir(to.join("blobs"))?;
    let Ok(blobs) = fs::read_dir(from.join("blobs")) else { return Ok(()) };
    for blob in blobs {
        let blob = blob?;
        fs::copy(blob.path(), to.join("blobs").join(blob.file_name()))?;
    }
    Ok(())
}

/// Whether the system refused to open the store, so that nothing is known about its files.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    let text = match error {
        StoreError::Create { .. } => return true,
        StoreError::Beside { source, .. } => source.to_string(),
        StoreError::Disk(DiskError::Failed { source, .. }) => source.to_string(),
        StoreError::Disk(DiskError::Panicked { message, .. }) => message.clone(),
        _ => return false,
    };
    says_refusal(&text)
}

#[cfg(test)]
mod tests {
    use super::super::{latches, plan};
    use super::*;
    use crate::marks::Known;
    use std::collections::BTreeSet;

    #[test]
    fn there_is_one_copy_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        drop(Store::open(&lock).unwrap());
        let mut wreck = Wreck::new(&lock);
        for opening in 0..OPENINGS {
            assert_eq!(wreck.ask(|store| store.stored_epoch().unwrap()), Some(Some(1)));
            wreck.close();
            let copies = fs::read_dir(&wreck.copies).into_iter().flatten().map(|entry| entry.unwrap().file_name());
            let expected = (opening > 0).then(|| std::ffi::OsString::from(opening.to_string()));
            assert_eq!(copies.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        }
        assert!(wreck.ask(|_| ()).is_none() && wreck.refused().is_ok(), "broken too often is damage");
    }

    #[test]
    fn what_the_system_refuses_while_a_store_is_copied_is_no_damage() {
        for (code, stops_operator) in [(28, true), (122, true), (13, true), (UNREADABLE, false)] {
            let root = tempfile::tempdir().unwrap();
            let lock = StateDir::acquire(root.path()).unwrap();
            drop(Store::open(&lock).unwrap());
            let refused = || {
                let mut wreck = Wreck::new(&lock);
                fs::create_dir_all(wreck.copies.join("1")).unwrap();
                let error = swap::beside(&wreck.copies, "copied", io::Error::from_raw_os_error(code));
                assert!(is_refusal(&error));
                wreck.give_up(error);
                assert!(!wreck.copies.exists() && wreck.ask(|_| ()).is_none());
                wreck
            };
            let mut wreck = refused();
            let (known, backups) = (Known::default(), root.path().join("backups"));
            let present = latches::present(&mut wreck, &known, false);
            let planned = plan::salvage(&mut wreck, &known, false, &backups, &BTreeSet::new(), &present);
            assert!(matches!(planned, Err(StoreError::Beside { during: "copied", .. })), "{code}");
            assert_eq!(refused().refused_though_readable().is_err(), stops_operator, "{code}");
        }
        let torn = swap::beside(Path::new("db"), "copied", io::ErrorKind::NotFound.into());
        assert!(!is_refusal(&torn));
    }

    fn failed(source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        DiskError::Failed { dir: PathBuf::new(), during: "open", source: Box::new(source) }.into()
    }

    fn panicked(message: &str) -> StoreError {
        DiskError::Panicked { dir: PathBuf::new(), during: "open", message: message.to_string() }.into()
    }

    #[test]
    fn what_the_system_refuses_is_no_damage() {
        for code in [5, 13, 24, 28, 30] {
            assert!(is_refusal(&failed(io::Error::from_raw_os_error(code))), "{code}");
            let wrapped = sled::Error::Io(io::Error::from_raw_os_error(code));
            assert!(is_refusal(&failed(wrapped.clone())) && is_refusal(&failed(wrapped)), "{code}");
        }
        assert!(is_refusal(&failed(sled::Error::Io(io::Error::other("could not acquire lock on \"db\"")))));
        assert!(is_refusal(&panicked("called `Result::unwrap()`: Io(Os { code: 28, kind: StorageFull })")));
    }

    #[test]
    fn what_the_bytes_cause_is_damage() {
        assert!(!is_refusal(&failed(sled::Error::Corruption { at: None, bt: () })));
        assert!(!is_refusal(&failed(sled::Error::Unsupported("segment size".to_string()))));
        assert!(!is_refusal(&failed(io::Error::from(io::ErrorKind::UnexpectedEof))));
        assert!(!is_refusal(&failed(io::Error::from_raw_os_error(2))));
        assert!(!is_refusal(&panicked("index out of bounds: the len is 28")));
    }
}
