//! The report of a restore, kept in a file until somebody says that it was told.
//!
//! Owns `<dir>/restored`. Promises that a crash right after a restore does not hide that it happened: the lines are on
//! the device before the store is swapped, and rather told twice than never.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::swap::beside;
use crate::journal::StoreError;
use crate::lock::StateDir;

const FILE: &str = "restored";

/// Says that the report of the last restore was recorded where people look; without it the next start repeats it.
///
/// # Errors
/// The file could not be removed.
pub fn told(lock: &StateDir) -> Result<(), StoreError> {
    let path = lock.path().join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(beside(&path, "removed", error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Adds lines; on the device when it returns.
pub(super) fn keep(lock: &StateDir, lines: impl Iterator<Item = String>) -> Result<(), StoreError> {
    let path = lock.path().join(FILE);
    let written = || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(lines.map(|line| line + "\n").collect::<String>().as_bytes())?;
        file.sync_all()
    };
    written().map_err(|source| beside(&path, "written", source))
}

/// What an earlier start could not tell.
pub(super) fn untold(lock: &StateDir) -> Vec<String> {
    let text = fs::read(lock.path().join(FILE)).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_string).collect()
}
