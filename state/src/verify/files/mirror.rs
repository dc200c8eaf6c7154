//! A copy of a directory of files that are being written.
//!
//! Promises that when a pass finds every byte as the pass before left it in the copy, the copy is what lay in the files
//! at each moment between the two: the database never writes the same bytes to the same place again, so no byte can
//! have changed and changed back. What a kill in that moment would have left is just that. Never writes to the files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use crate::lock::create_private;

const CHUNK_BYTES: usize = 1024 * 1024;
/// Where the database keeps what is too long for its data file; its only directory.
const BLOBS: &str = "blobs";

/// A file or directory could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {during}: {source}", .path.display())]
pub struct MirrorError {
    /// Which one.
    pub path: PathBuf,
    /// Read, written, made or removed.
    pub during: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// Two directories, and what was read of a piece of a file on either side.
pub(super) struct Mirror<'a> {
    from: &'a Path,
    to: &'a Path,
    there: Vec<u8>,
    here: Vec<u8>,
}

/// How many bytes the files of a store have.
pub(super) fn bytes(dir: &Path) -> Result<u64, MirrorError> {
    let mut sum = 0;
    for part in PARTS {
        for name in names(&dir.join(part))? {
            // One that is gone meanwhile needs no room.
            sum += fs::metadata(dir.join(part).join(name)).map_or(0, |file| file.len());
        }
    }
    Ok(sum)
}

/// The directory itself and its only one.
const PARTS: [&str; 2] = ["", BLOBS];

impl<'a> Mirror<'a> {
    /// Makes the directory `to`.
    pub(super) fn new(from: &'a Path, to: &'a Path) -> Result<Self, MirrorError> {
        create_private(&to.join(BLOBS)).map_err(failed(to, "made"))?;
        Ok(Self { from, to, there: vec![0; CHUNK_BYTES], here: vec![0; CHUNK_BYTES] })
    }

    /// The first pass. It is the device that is to be asked, not what the system remembers of it.
    pub(super) fn begin(&mut self) -> Result<(), MirrorError> {
        for name in names(self.from)? {
            if let Ok(file) = File::open(self.from.join(name)) {
                // What the system does with advice is its own affair.
                let _ = fadvise(&file, 0, None, Advice::DontNeed);
            }
        }
        self.pass().map(drop)
    }

    /// Makes the copy equal to what is read now; answers whether it was so before.
    pub(super) fn pass(&mut self) -> Result<bool, MirrorError> {
        let mut same = true;
        for part in PARTS {
            let (from, to) = (self.from.join(part), self.to.join(part));
            let (wanted, found) = (names(&from)?, names(&to)?);
            for gone in found.difference(&wanted) {
                let path = to.join(gone);
                fs::remove_file(&path).map_err(failed(&path, "removed"))?;
                same = false;
            }
            for name in &wanted {
                let is_same = self.file(&from.join(name), &to.join(name))?;
                same &= is_same && found.contains(name);
            }
        }
        Ok(same)
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<bool, MirrorError> {
        let source = match File::open(from) {
            Ok(source) => source,
            // The next pass sees what became of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(from, "read")(error)),
        };
        let mut options = OpenOptions::new();
        let copy = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(to);
        let copy = copy.map_err(failed(to, "written"))?;
        let (mut at, mut same) = (0, true);
        loop {
            let length = read(&source, &mut self.there, at).map_err(failed(from, "read"))?;
            let known = read(&copy, &mut self.here[..length], at).map_err(failed(to, "read"))?;
            if self.there[..length] != self.here[..known] {
                copy.write_all_at(&self.there[..length], at).map_err(failed(to, "written"))?;
                same = false;
            }
            at += length as u64;
            if length < CHUNK_BYTES {
                break;
            }
        }
        if copy.metadata().map_err(failed(to, "read"))?.len() != at {
            copy.set_len(at).map_err(failed(to, "written"))?;
            same = false;
        }
        Ok(same)
    }
}

fn failed(path: &Path, during: &'static str) -> impl FnOnce(io::Error) -> MirrorError {
    let path = path.to_path_buf();
    move |source| MirrorError { path, during, source }
}

/// As much as there is, up to the length of `bytes`.
fn read(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], at + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The files of a directory, but for a summary that the database has not finished; none if there is no directory.
fn names(dir: &Path) -> Result<BTreeSet<OsString>, MirrorError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failed(dir, "read")(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(failed(dir, "read"))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.path().extension().is_none_or(|ending| ending != "generating") {
            names.insert(entry.file_name());
        }
    }
    Ok(names)
}
