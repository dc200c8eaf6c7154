//! Room for a start that finds the disk full.
//!
//! Owns the one attempt more. Promises that the reserve is given up for a full disk only, after nothing but that has
//! stopped an opening, and that a person is told. Never makes the reserve anew: the recorder does, when there is room.

use crate::disk::{self, DiskError};
use crate::journal::StoreError;
use crate::lock::StateDir;
use crate::reserve::Reserve;

/// Opens; on a full disk once more without the reserve. Answers also what has to be told about that.
pub(super) fn make<T>(
    lock: &StateDir,
    mut open: impl FnMut() -> Result<T, StoreError>,
) -> Result<(T, Option<String>), StoreError> {
    let reserve = Reserve::new(lock.path());
    let error = match open() {
        Err(error) if is_full(&error) && reserve.path().exists() => error,
        opened => return opened.map(|opened| (opened, None)),
    };
    let path = reserve.path();
    tracing::warn!(target: "store", event = "store.full", %error, "the disk is full, its reserve is given up");
    reserve.release()?;
    disk::renew_closed(&lock.store_dir())?;
    let remark = format!("the disk is full ({error}); the reserve {} was given up: free some space", path.display());
    open().map(|opened| (opened, Some(remark)))
}

/// ENOSPC and EDQUOT, as the database words them when it panics.
const FULL: [&str; 5] = ["StorageFull", "code: 28,", "(os error 28)", "code: 122,", "(os error 122)"];

fn is_full(error: &StoreError) -> bool {
    let is_told = |message: &str| FULL.iter().any(|text| message.contains(text));
    let panicked = matches!(error, StoreError::Disk(DiskError::Panicked { message, .. }) if is_told(message));
    panicked || error.is_storage_full() || disk::is_full(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::MarkError;
    use std::io;

    fn full() -> io::Error {
        io::Error::from_raw_os_error(28)
    }

    fn failures() -> Vec<(StoreError, bool)> {
        let failed = |source| DiskError::Failed { dir: "here".into(), during: "open", source };
        let panicked = |text: &str| DiskError::Panicked { dir: "here".into(), during: "open", message: text.into() };
        vec![
            (failed(Box::new(sled::Error::Io(full()))).into(), true),
            (panicked("Io(Os { code: 28, kind: StorageFull, message: \"\" })").into(), true),
            (StoreError::Create { dir: "here".into(), source: full() }, true),
            (StoreError::Beside { path: "here".into(), during: "written", source: full() }, true),
            (MarkError::Io { path: "here".into(), during: "written", source: full() }.into(), true),
            (failed(Box::new(io::Error::from_raw_os_error(13))).into(), false),
            (panicked("index out of bounds: the len is 28").into(), false),
            (StoreError::EpochsUsedUp, false),
        ]
    }

    #[test]
    fn the_reserve_is_given_up_for_a_full_disk_only_and_that_is_told() {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        let reserve = Reserve::new(root.path());
        for (error, expected) in failures() {
            reserve.make(4096).unwrap();
            let (text, mut errors, mut openings) = (error.to_string(), vec![error], 0);
            let opened = make(&lock, || {
                openings += 1;
                errors.pop().map_or(Ok(7), Err)
            });
            let (is_there, openings) = (reserve.is_whole(4096), openings);
            match opened {
                Ok((7, Some(remark))) => assert!(expected && remark.contains(&text) && openings == 2, "{remark}"),
                Err(error) => assert!(!expected && error.to_string() == text && openings == 1, "{error}"),
                Ok(other) => panic!("{other:?}"),
            }
            assert_eq!(is_there, !expected, "{text}");
        }
    }

    #[test]
    fn without_a_reserve_and_after_the_second_refusal_there_is_no_more_to_do() {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        for (has_reserve, expected) in [(true, 2), (false, 1)] {
            if has_reserve {
                Reserve::new(root.path()).make(4096).unwrap();
            }
            let mut openings = 0;
            let refused = make(&lock, || {
                openings += 1;
                Err::<(), _>(StoreError::Create { dir: "here".into(), source: full() })
            });
            assert!(refused.is_err());
            assert_eq!(openings, expected);
        }
    }
}
