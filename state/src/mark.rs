//! The epoch mark: the newest epoch of the state directory, in a small file apart from the store.
//!
//! Owns `<dir>/epoch`. Promises that a mark once written is on the device, whole, under its name. With it a store that
//! came up empty (the database drops damaged records without a word) is told from a new one, so that no epoch and
//! with it no order id is ever used twice. Never repairs anything.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MARK: &str = "epoch";
const NEW_MARK: &str = "epoch.new";

/// What is wrong with the mark.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// It could not be read or written.
    #[error("epoch mark {} cannot be {during}: {source}", .path.display())]
    Io {
        /// The mark's file.
        path: PathBuf,
        /// Read or written.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else than a number and its checksum.
    #[error("epoch mark {} is damaged, it says {text:?}", .path.display())]
    Damaged {
        /// The mark's file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
}

/// Where the mark of a state directory lies.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(MARK)
}

/// The marked epoch; `None` when there is no mark yet.
pub fn read(dir: &Path) -> Result<Option<u32>, MarkError> {
    let path = path(dir);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(MarkError::Io { path, during: "read", source }),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    match number {
        Some(epoch) if line(epoch) == text => Ok(Some(epoch)),
        Some(_) | None => Err(MarkError::Damaged { path, text }),
    }
}

/// Replaces the mark; durable when it returns.
pub fn write(dir: &Path, epoch: u32) -> Result<(), MarkError> {
    replace(dir, line(epoch).as_bytes()).map_err(|source| MarkError::Io { path: path(dir), during: "written", source })
}

fn line(epoch: u32) -> String {
    format!("{epoch} {:08x}\n", crc32fast::hash(&epoch.to_be_bytes()))
}

fn replace(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = dir.join(NEW_MARK);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path(dir))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), 7).unwrap();
        write(dir.path(), 4_000_000_000).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(4_000_000_000));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let whole = fs::read(path(dir.path())).unwrap();
        for damaged in [&whole[..5], b"", b"x", b"\xff\xfe", b"7 00000000\n"] {
            fs::write(path(dir.path()), damaged).unwrap();
            assert!(matches!(read(dir.path()), Err(MarkError::Damaged { .. })), "{damaged:?}");
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(write(&dir.path().join("gone"), 1), Err(MarkError::Io { during: "written", .. })));
    }
}
