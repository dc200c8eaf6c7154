//! The database's files as files: what is put right before it opens them.
//!
//! Owns the removal of torn summaries, the renewal of the data file after a failed sync and the syncs of directories.
//! Promises that the data file keeps its bytes. Never reads what they mean.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::{LOCK_POLL, REOPEN_PATIENCE};

const PAGE_BYTES: usize = 4096;
pub(super) const RENEWED_AT_ONCE: usize = 256 * PAGE_BYTES;

/// While it opens, the database writes a summary of itself under this ending and renames it when it is whole. One that
/// a kill or a full disk has left behind it would read first the next time and call the store corrupted.
pub(super) fn remove_torn(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// New files are found after a power cut only if their directories were synced too.
pub(super) fn sync_directories(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// After a failed sync the system may take pages for clean that never reached the device, so that a later sync is no
/// proof. What can be read is written once more: the next sync then speaks about all of it.
pub(super) fn renew(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    lock_patiently(&file)?;
    let mut bytes = vec![0; RENEWED_AT_ONCE];
    let mut at = 0;
    loop {
        let length = file.read_at(&mut bytes, at)?;
        if length == 0 {
            return file.sync_data();
        }
        for (page, start) in bytes[..length].chunks(PAGE_BYTES).zip((at..).step_by(PAGE_BYTES)) {
            // A hole stays a hole, or it would take up space.
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, start)?;
            }
        }
        at += length as u64;
    }
}

/// The lock is the database's own: whoever has it knows that no thread of an earlier opening writes any more.
fn lock_patiently(file: &File) -> io::Result<()> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if since.elapsed() < REOPEN_PATIENCE => std::thread::sleep(LOCK_POLL),
            Err(error) => return Err(error.into()),
        }
    }
}
