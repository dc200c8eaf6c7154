//! Backups: one file each, written beside a running recorder, verified before it counts.
//!
//! Owns the backup directory. Promises that a file with a backup's name was read back whole after it was written and is
//! on the device; that an instance stands in it with a state that it really had (its snapshots and all facts from the
//! older one on, all there are if it has none, without a hole): what is needed to go on, not the whole history; and
//! that old backups go only after a new one is good. Never touches the store that it reads, and never restores: that is
//! [`crate::restore`].

mod create;
mod format;

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

pub use create::create;
pub(crate) use format::Record;

use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey};
use crate::store::SCHEMA_VERSION;
use format::{Counts, FORMAT, Reader};

const SUFFIX: &str = ".backup";

/// Why a backup could not be written or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory could not be handled.
    #[error("backup {} cannot be {during}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged.
    #[error("backup {} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version of this program wrote it.
    #[error("backup {} has {what} version {found}, this version knows up to {supported}: a newer supervisor wrote it",
        .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Schema or format.
        what: &'static str,
        /// The version that it names.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// The store could not be read; a damaged store makes no backup.
    #[error("no backup was written: {0}")]
    Store(#[from] StoreError),
    /// An instance changed faster than it could be read.
    #[error("no backup was written: instance {instance} was pruned again and again while it was read")]
    Unsteady {
        /// The instance.
        instance: InstanceKey,
    },
}

/// What a good backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// The file's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// The epoch in which it was made.
    pub epoch: u32,
    /// The schema version of what it holds.
    pub schema: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// Instances in it.
    pub instances: u64,
    /// Facts in it.
    pub facts: u64,
    /// Snapshots in it.
    pub snapshots: u64,
    /// Latches in it.
    pub latches: u64,
}

/// A file in the backup directory.
#[derive(Debug)]
pub struct BackupEntry {
    /// The file.
    pub path: PathBuf,
    /// What it says about itself by a look at its ends, or what is wrong. Only [`check`] reads it all.
    pub info: Result<BackupInfo, BackupError>,
}

/// The backups in `dir`, the newest first; none if there is no such directory.
pub fn list(dir: &Path) -> Result<Vec<BackupEntry>, BackupError> {
    let mut entries: Vec<BackupEntry> =
        names(dir)?.into_iter().map(|path| BackupEntry { info: look(&path), path }).collect();
    let age = |entry: &BackupEntry| entry.info.as_ref().map(|info| (info.epoch, info.created_ms)).ok();
    // Those that do not say when they were made come last.
    entries.sort_by(|a, b| (age(b), &b.path).cmp(&(age(a), &a.path)));
    Ok(entries)
}

/// Reads a backup from its first byte to its last.
pub fn check(path: &Path) -> Result<BackupInfo, BackupError> {
    read(path, |_, _| Ok(())).map_err(|error| match error {
        ReadError::Backup(error) => error,
        // The visitor above refuses nothing.
        ReadError::Visitor(error) => BackupError::Store(error),
    })
}

/// Why reading ended early: the backup, or whoever looked at it.
pub(crate) enum ReadError {
    Backup(BackupError),
    Visitor(StoreError),
}

impl From<BackupError> for ReadError {
    fn from(error: BackupError) -> Self {
        ReadError::Backup(error)
    }
}

/// Shows each record of a backup to `visit`, with the instance that it belongs to. What is shown is whole by itself;
/// only the answer says that nothing is missing.
pub(crate) fn read(
    path: &Path,
    mut visit: impl FnMut(Option<InstanceKey>, Record) -> Result<(), StoreError>,
) -> Result<BackupInfo, ReadError> {
    let (mut reader, bytes) = open(path)?;
    let fault = |fault: format::Fault| fault.at(path);
    let damaged = |what: String| BackupError::Damaged { path: path.to_path_buf(), what };
    let mut info = header(path, bytes, reader.next().map_err(fault)?)?;
    let mut counts = Counts::default();
    let mut order = Order::default();
    loop {
        let record = reader.next().map_err(fault)?;
        order.check(&record, info.epoch).map_err(damaged)?;
        counts.add(&record);
        if let Record::End(said) = record {
            if said != counts {
                return Err(damaged(format!("its end says {said:?}, it holds {counts:?}")).into());
            }
            break;
        }
        visit(order.instance, record).map_err(ReadError::Visitor)?;
    }
    let Counts { instances, snapshots, facts, latches } = counts;
    (info.instances, info.snapshots, info.facts, info.latches) = (instances, snapshots, facts, latches);
    Ok(info)
}

fn open(path: &Path) -> Result<(Reader<BufReader<File>>, u64), BackupError> {
    let failed = |source| BackupError::Io { path: path.to_path_buf(), during: "read", source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let reader = Reader::begin(BufReader::with_capacity(1 << 16, file), bytes).map_err(|fault| fault.at(path))?;
    Ok((reader, bytes))
}

fn header(path: &Path, bytes: u64, record: Record) -> Result<BackupInfo, BackupError> {
    let Record::Header { format, schema, created_ms, epoch } = record else {
        return Err(BackupError::Damaged { path: path.to_path_buf(), what: "it has no header".to_string() });
    };
    for (what, found, supported) in [("format", format, FORMAT), ("schema", schema, SCHEMA_VERSION)] {
        if found > supported {
            return Err(BackupError::Newer { path: path.to_path_buf(), what, found, supported });
        }
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = path.to_path_buf();
    let (instances, facts, snapshots, latches) = (0, 0, 0, 0);
    Ok(BackupInfo { name, path, created_ms, epoch, schema, bytes, instances, facts, snapshots, latches })
}

/// The header and the end, without what lies between.
fn look(path: &Path) -> Result<BackupInfo, BackupError> {
    let (mut reader, bytes) = open(path)?;
    let mut info = header(path, bytes, reader.next().map_err(|fault| fault.at(path))?)?;
    let Counts { instances, snapshots, facts, latches } = create::end(path, bytes)?;
    (info.instances, info.snapshots, info.facts, info.latches) = (instances, snapshots, facts, latches);
    Ok(info)
}

/// The order of records: what may come, and that no place is passed over or comes twice.
#[derive(Default)]
struct Order {
    instance: Option<InstanceKey>,
    snapshot: Option<FactId>,
    fact: Option<FactId>,
    latch: Option<String>,
}

impl Order {
    fn check(&mut self, record: &Record, epoch: u32) -> Result<(), String> {
        let fits = match record {
            Record::Header { .. } => false,
            Record::Instance(instance) => {
                let fits = self.latch.is_none() && self.instance < Some(*instance);
                *self = Self { instance: Some(*instance), ..Self::default() };
                fits
            }
            Record::Snapshot { id, .. } => {
                let is_new = self.snapshot.replace(*id) < Some(*id);
                is_new && self.instance.is_some() && self.fact.is_none() && id.epoch <= epoch
            }
            Record::Fact { id, .. } => {
                let before = self.fact.replace(*id);
                self.instance.is_some() && id.epoch <= epoch && before.is_none_or(|before| id.follows(Some(before)))
            }
            Record::Latch { name, .. } => {
                self.instance = None;
                self.latch.replace(name.clone()).is_none_or(|before| before < *name)
            }
            Record::End(_) => true,
        };
        if fits { Ok(()) } else { Err("its records are out of order".to_string()) }
    }
}

fn names(dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let failed = |source| BackupError::Io { path: dir.to_path_buf(), during: "read", source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
