//! Writing a backup of a store that is in use.
//!
//! Promises that the temporary file gets its name only after it was read back whole, and that the oldest backups go
//! only after that. An instance that is pruned while it is read is read again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::format::{Counts, FORMAT, Progress, Record, Writer};
use super::{BackupError, BackupInfo, SUFFIX, check, list, names};
use crate::disk::Room;
use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey, fact_key, parse_fact_key};
use crate::lock::create_private;
use crate::reserve::Reserve;
use crate::stamp;
use crate::store::{SCHEMA_VERSION, Store};

const TEMPORARY: &str = ".backup-being-written";
const FACTS_AT_ONCE: usize = 512;
/// How often an instance is read before it counts as unsteady.
const READS: usize = 10;
/// Kind, length, four counts, checksum of the whole, checksum of the record.
const END_BYTES: u64 = 5 + 4 * 8 + 4 + 4;

/// Writes a backup of `store` into `dir`, verifies it, and then removes the oldest ones beyond `keep` (at least one
/// stays). `now_ms` is the moment that it is named after, in milliseconds since 1970.
///
/// # Errors
/// Nothing was written if the store is damaged, the disk is full or less than twice the reserve would stay free, or an
/// instance could not be read at rest.
pub fn create(store: &Store, dir: &Path, now_ms: i64, keep: usize) -> Result<BackupInfo, BackupError> {
    let failed = |path: &Path, during| {
        let path = path.to_path_buf();
        move |source| BackupError::Io { path, during, source }
    };
    create_private(dir).map_err(failed(dir, "created"))?;
    Reserve::beside(store.dir()).spares(dir, expected_bytes(store, dir)?).map_err(StoreError::from)?;
    let temporary = dir.join(TEMPORARY);
    let written = write(store, &temporary, now_ms).and_then(|()| check(&temporary));
    let mut info = written.inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    let path = free_name(dir, now_ms, info.epoch)?;
    fs::rename(&temporary, &path).map_err(failed(&path, "named"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir, "synced"))?;
    info.name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    info.path = path;
    thin_out(dir, &info.path, keep)?;
    Ok(info)
}

/// As large as the last one; the first will hardly be larger than the data.
fn expected_bytes(store: &Store, dir: &Path) -> Result<u64, BackupError> {
    let last = list(dir)?.into_iter().find_map(|entry| entry.info.ok());
    let data = || fs::metadata(store.dir().join("db")).map_or(0, |file| file.len());
    Ok(last.map_or_else(data, |last| last.bytes))
}

/// Backups in the same millisecond get the next one's name.
fn free_name(dir: &Path, now_ms: i64, epoch: u32) -> Result<PathBuf, BackupError> {
    let taken = names(dir)?;
    let named = |ms: i64| dir.join(format!("{}-{epoch:06}{SUFFIX}", stamp::in_name(ms)));
    let mut moments = (now_ms..).map(named);
    let free = moments.find(|path| !taken.contains(path));
    free.ok_or_else(|| BackupError::Io {
        path: dir.to_path_buf(),
        during: "named",
        source: io::ErrorKind::AlreadyExists.into(),
    })
}

/// Damaged ones go first, then the oldest; never the one that was just verified.
fn thin_out(dir: &Path, newest: &Path, keep: usize) -> Result<(), BackupError> {
    let others: Vec<PathBuf> = list(dir)?.into_iter().map(|entry| entry.path).filter(|path| path != newest).collect();
    for path in others.into_iter().skip(keep.max(1) - 1) {
        fs::remove_file(&path).map_err(|source| BackupError::Io { path, during: "removed", source })?;
    }
    Ok(())
}

fn write(store: &Store, path: &Path, now_ms: i64) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io { path: path.to_path_buf(), during: "written", source };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 16, file)).map_err(failed)?;
    let header = Record::Header { format: FORMAT, schema: SCHEMA_VERSION, created_ms: now_ms, epoch: store.epoch() };
    writer.write(&header).map_err(failed)?;
    for instance in store.all_instances()? {
        write_instance(store, &instance, &mut writer).map_err(|stop| match stop {
            Stop::Io(source) => failed(source),
            Stop::Store(error) => BackupError::Store(error),
            Stop::Moved => BackupError::Unsteady { instance },
        })?;
    }
    for (name, value) in store.latches()? {
        writer.write(&Record::Latch { name, value }).map_err(failed)?;
    }
    let end = Record::End(writer.at.counts);
    writer.write(&end).map_err(failed)?;
    writer.out.flush().and_then(|()| writer.out.get_ref().sync_all()).map_err(failed)
}

/// Why an instance was not written.
enum Stop {
    Io(io::Error),
    Store(StoreError),
    /// Something was pruned while it was read.
    Moved,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

fn write_instance(store: &Store, instance: &InstanceKey, writer: &mut Writer<BufWriter<File>>) -> Result<(), Stop> {
    let begin = writer.at.clone();
    let mut outcome = write_once(store, instance, writer);
    for _ in 1..READS {
        // A store at rest that is damaged answers the same each time; one in use may have been pruned meanwhile.
        if !matches!(outcome, Err(Stop::Moved | Stop::Store(_))) {
            break;
        }
        go_back(writer, &begin)?;
        outcome = write_once(store, instance, writer);
    }
    outcome
}

fn go_back(writer: &mut Writer<BufWriter<File>>, to: &Progress) -> io::Result<()> {
    // Seeking writes the buffer out first.
    writer.out.seek(SeekFrom::Start(to.bytes))?;
    writer.out.get_ref().set_len(to.bytes)?;
    writer.at = to.clone();
    Ok(())
}

/// Where the facts begin that are needed to go on: at the oldest snapshot, with the fact that it was taken after.
fn beginning(store: &Store, instance: &InstanceKey, snapshots: &[FactId]) -> Result<Option<FactId>, StoreError> {
    let Some(oldest) = snapshots.first() else { return Ok(None) };
    // A snapshot bears the epoch in which it was taken, its fact may be of an earlier one.
    let (low, high) = (fact_key(instance, FactId::MIN), fact_key(instance, *oldest));
    let row = store.disk().rows(Room::Facts, &low..=&high)?.next_back().transpose()?;
    Ok(row.and_then(|(key, _)| parse_fact_key(&key)).map(|(_, id)| id))
}

/// Snapshots first, and facts up to the last one seen after that: so no snapshot is ahead of the facts.
fn write_once(store: &Store, instance: &InstanceKey, writer: &mut Writer<BufWriter<File>>) -> Result<(), Stop> {
    let snapshots = store.snapshot_ids(instance)?;
    writer.write(&Record::Instance(*instance))?;
    for id in &snapshots {
        let bytes = store.snapshot(instance, *id)?.bytes;
        writer.write(&Record::Snapshot { id: *id, bytes })?;
    }
    let Some(last) = store.last_fact_id(instance)? else { return Ok(()) };
    let begin = beginning(store, instance, &snapshots)?;
    let mut before: Option<FactId> = None;
    while before < Some(last) {
        let from = before.map(|id| FactId { seq: id.seq.saturating_add(1), ..id }).or(begin);
        let mut facts = store.facts(instance, from, FACTS_AT_ONCE)?;
        facts.retain(|fact| fact.id() <= last);
        let Some(first) = facts.first().map(|fact| fact.id()) else { return Err(Stop::Moved) };
        let joins = match before {
            Some(before) => first.follows(Some(before)),
            None => snapshots.iter().all(|id| first <= *id || first.follows(Some(*id))),
        };
        if !joins {
            return Err(Stop::Moved);
        }
        for fact in facts {
            before = Some(fact.id());
            writer.write(&Record::Fact { id: fact.id(), payload: fact.payload })?;
        }
    }
    Ok(())
}

/// What the end of a backup says, without reading what lies before it.
pub(super) fn end(path: &Path, bytes: u64) -> Result<Counts, BackupError> {
    let damaged = || BackupError::Damaged { path: path.to_path_buf(), what: "it has no end".to_string() };
    let from = bytes.checked_sub(END_BYTES).ok_or_else(damaged)?;
    let mut tail = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.take(END_BYTES).read_to_end(&mut tail)
    });
    read.map_err(|source| BackupError::Io { path: path.to_path_buf(), during: "read", source })?;
    super::format::end_counts(&tail).ok_or_else(damaged)
}
