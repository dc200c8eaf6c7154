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

/// How often a store is opened that breaks while it is read.
const OPENINGS: u32 = 6;
/// The store as it was found.
pub(super) struct Wreck {
    dir: PathBuf,
    copies: PathBuf,
    store: Option<Store>,
    openings: u32,
}

impl Wreck {
    /// A store that nobody has tried to open yet.
    pub(super) fn new(lock: &StateDir) -> Self {
        Self { dir: lock.store_dir(), copies: swap::salvage_dir(lock), store: None, openings: 0 }
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
        while self.store.is_none() && self.openings < OPENINGS && has_data(&self.dir) {
            // As it is first; after that without what the database keeps beside its data.
            let dir = if self.openings == 0 { Some(self.dir.clone()) } else { self.copied() };
            self.openings += 1;
            self.store = dir.and_then(|dir| Store::peek(&dir).ok());
        }
        self.store.as_ref()
    }

    /// The store itself, if it was opened and is not broken.
    pub(super) fn take(mut self) -> Option<Store> {
        self.store.take()
    }

    /// Lets go of the store; a panic of the database while it ends is of no interest any more.
    pub(super) fn close(&mut self) {
        let store = self.store.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(store)));
    }

    /// A copy for this opening: the database may not let go of the files of one that panicked.
    fn copied(&self) -> Option<PathBuf> {
        let copy = self.copies.join(self.openings.to_string());
        copy_data(&self.dir, &copy).ok().map(|()| copy)
    }
}

impl Drop for Wreck {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether there is a data file that the database could open.
pub(super) fn has_data(store_dir: &Path) -> bool {
    store_dir.join("db").exists()
}

/// Data and blobs only: settings and the database's own snapshots of its page table are made anew.
fn copy_data(from: &Path, to: &Path) -> io::Result<()> {
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

/// EPERM, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, ESTALE, EDQUOT: a matter of the system, not of the bytes.
const SYSTEM_CODES: [i32; 10] = [1, 5, 12, 13, 23, 24, 28, 30, 116, 122];

/// Whether the system refused to open the store, so that nothing is known about its files. The database hands the
/// system's answers on in its own errors and panics, as text.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    let text = match error {
        StoreError::Create { .. } => return true,
        StoreError::Disk(DiskError::Failed { source, .. }) => source.to_string(),
        StoreError::Disk(DiskError::Panicked { message, .. }) => message.clone(),
        _ => return false,
    };
    let has = |code: &i32| text.contains(&format!("(os error {code})")) || text.contains(&format!("code: {code},"));
    text.contains("could not acquire lock") || SYSTEM_CODES.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

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
