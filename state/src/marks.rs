//! High-water marks: how far each instance and the latches were when the store was last made durable.
//!
//! Owns `<dir>/marks`, a file apart from the store, since the database can come up with records missing and say
//! nothing. Slots of 64 bytes, each with a checksum of its own and each there twice: a header, one for the latches, one
//! per instance; the header counts the last kind, so that slots which were cut off are missed.
//! Promises that a mark is written only after the sync that covers it, so that it is never ahead of what is durable: a
//! store *below* a mark has lost records, one above it has not. A slot that is torn leaves the one before it; after a
//! power cut a mark may be up to a second old. Both are still true. Never repairs the store, never stops it: a mark
//! that cannot be written is told and tried again.

mod slot;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::key::{FactId, InstanceKey};
use slot::{SLOT_BYTES, Slot, is_single};

const MARKS: &str = "marks";
const NEW_MARKS: &str = "marks.new";
/// Longest time that a written mark waits for the device.
const SYNC_EVERY: Duration = Duration::from_secs(1);
const FIRST_INSTANCE: u64 = 2;
/// Slots are made ahead of their use, so that a new instance needs no space on a full disk.
const SPARE_SLOTS: u64 = 64;

/// The marks file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("high-water marks {} cannot be {during}: {source}", .path.display())]
pub struct MarksError {
    /// The file.
    pub path: PathBuf,
    /// Read or written.
    pub during: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// How far an instance was, at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its last durable fact.
    pub last: Option<FactId>,
    /// Its newest durable snapshot.
    pub snapshot: Option<FactId>,
    /// How many snapshots it had, at most two.
    pub snapshots: u8,
}

impl Mark {
    /// Each snapshot that is newer than the one before adds one; the two newest stay.
    fn raise(&mut self, written: Mark) {
        self.last = self.last.max(written.last);
        if written.snapshot > self.snapshot {
            self.snapshots = self.snapshots.saturating_add(written.snapshots).min(2);
            self.snapshot = written.snapshot;
        }
    }
}

/// A checksum over all latches that does not depend on their order and follows each change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatchSum {
    /// How many there are.
    pub count: u32,
    /// The sum of the checksums of the rows.
    pub sum: u64,
    /// Whether the one named `kill` is among them.
    pub kill: bool,
}

impl LatchSum {
    /// The sum with one more row.
    pub fn with(self, name: &[u8], value: &[u8]) -> Self {
        let kill = self.kill || name == b"kill";
        Self { count: self.count.wrapping_add(1), sum: self.sum.wrapping_add(row_sum(name, value)), kill }
    }

    /// The sum without a row that was in it.
    pub fn without(self, name: &[u8], value: &[u8]) -> Self {
        let kill = self.kill && name != b"kill";
        Self { count: self.count.wrapping_sub(1), sum: self.sum.wrapping_sub(row_sum(name, value)), kill }
    }
}

/// 32 bits of checksum, spread so that the sums of different rows do not cancel out.
fn row_sum(name: &[u8], value: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(name.len() as u64).to_be_bytes());
    hasher.update(name);
    hasher.update(value);
    let mixed = (u64::from(hasher.finalize()) ^ (value.len() as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The marks of the latches: as they are, and as they will be once a change under way is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatchMark {
    /// After the last change that was completed.
    pub settled: LatchSum,
    /// After the change that was under way; a crash in between leaves one of the two.
    pub next: Option<LatchSum>,
}

impl LatchMark {
    /// Whether a table with this sum has lost nothing.
    pub fn accepts(&self, found: LatchSum) -> bool {
        self.settled == found || self.next == Some(found)
    }
}

/// What the marks say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The epoch in which they were written; `None` when that slot is damaged.
    pub epoch: Option<u32>,
    /// The schema version of the store that they belong to.
    pub schema: Option<u32>,
    /// The latches; `None` when that slot is damaged.
    pub latches: Option<LatchMark>,
    /// The instances.
    pub instances: BTreeMap<InstanceKey, Mark>,
}

/// Where the marks of a state directory lie.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(MARKS)
}

/// What the marks say and how many slots are damaged or missing; `None` when there is no file.
pub fn read(dir: &Path) -> Result<Option<(Known, usize)>, MarksError> {
    let path = path(dir);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(MarksError { path, during: "read", source }),
    };
    let mut known = Known::default();
    let mut damaged = usize::from(bytes.is_empty());
    let (mut counted, mut used) = (0, 0);
    for (number, parsed) in (0..).zip(slots(&bytes)) {
        used += u32::from(number >= FIRST_INSTANCE && parsed != Some(Slot::Empty));
        match (parsed, number) {
            (Some(Slot::Header { epoch, schema, instances }), 0) => {
                (known.epoch, known.schema) = (Some(epoch), Some(schema));
                counted = instances;
            }
            (Some(Slot::Latches { mark, .. }), 1) => known.latches = Some(mark),
            (Some(Slot::Instance(instance, mark)), FIRST_INSTANCE..) => drop(known.instances.insert(instance, mark)),
            (Some(Slot::Empty), FIRST_INSTANCE..) => {}
            (Some(_) | None, _) => damaged += 1,
        }
    }
    // Slots that were cut off or zeroed are as good as damaged ones.
    damaged += counted.saturating_sub(used) as usize;
    Ok(Some((known, damaged)))
}

/// The newer one of each two slots.
fn slots(bytes: &[u8]) -> Vec<Option<Slot>> {
    let each: Vec<Option<Slot>> =
        (0..).zip(bytes.chunks(SLOT_BYTES)).map(|(place, slot)| Slot::parse(place, slot)).collect();
    if is_single(bytes) {
        return each;
    }
    each.chunks(2).map(|two| Slot::newer(two[0], two.get(1).copied().flatten())).collect()
}

/// The open marks of a store.
#[derive(Debug)]
pub(crate) struct Marks {
    file: File,
    path: PathBuf,
    known: Known,
    slots: BTreeMap<InstanceKey, u64>,
    /// How often each slot was written: each time over the older one of the two.
    turns: BTreeMap<u64, u64>,
    /// Written since the last sync of the file.
    dirty: bool,
    /// Something could not be written: everything is written again.
    failed: bool,
    synced: Instant,
}

impl Marks {
    /// Replaces the file by one that says `known`; durable when it returns.
    pub(crate) fn create(dir: &Path, known: Known) -> Result<Self, MarksError> {
        let written = |source| MarksError { path: path(dir), during: "written", source };
        let slots: BTreeMap<InstanceKey, u64> = known.instances.keys().copied().zip(FIRST_INSTANCE..).collect();
        let new = dir.join(NEW_MARKS);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(written)?;
        let (path, turns, synced) = (path(dir), BTreeMap::new(), Instant::now());
        let mut marks = Self { file, path, known, slots, turns, dirty: true, failed: false, synced };
        marks.fill().map_err(written)?;
        fs::rename(&new, &marks.path).map_err(written)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(written)?;
        Ok(marks)
    }

    fn fill(&mut self) -> io::Result<()> {
        let spare = (self.slots.len() as u64 / SPARE_SLOTS + 1) * SPARE_SLOTS;
        let length = (FIRST_INSTANCE + spare) * 2 * SLOT_BYTES as u64;
        self.file.write_all(&vec![0; usize::try_from(length).unwrap_or(0)])?;
        self.write_all_slots()?;
        self.file.sync_all()?;
        self.dirty = false;
        Ok(())
    }

    /// What the marks say now.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Raises the marks to what a successful sync has just made durable.
    pub(crate) fn publish(&mut self, reached: Reached) {
        let before = self.slots.len();
        for (instance, written) in reached.0 {
            let next = FIRST_INSTANCE + self.slots.len() as u64;
            let number = *self.slots.entry(instance).or_insert(next);
            let mark = self.known.instances.entry(instance).or_default();
            let before = *mark;
            mark.raise(written);
            if *mark != before {
                let slot = Slot::Instance(instance, *mark);
                self.write(number, slot);
            }
        }
        // Behind the slots that it counts: a kill in between leaves a count that is too low, which is no damage.
        if self.slots.len() > before {
            self.write(0, self.header());
        }
        if (self.dirty || self.failed) && self.synced.elapsed() >= SYNC_EVERY {
            self.sync();
        }
    }

    /// Announces a change of the latches; on the device when it returns.
    pub(crate) fn announce(&mut self, settled: LatchSum, next: LatchSum) {
        self.set_latches(LatchMark { settled, next: Some(next) });
        self.sync();
    }

    /// Says that the latches are now `settled`. The announcement stands until a sync, so none is needed here.
    pub(crate) fn settle(&mut self, settled: LatchSum) {
        self.set_latches(LatchMark { settled, next: None });
    }

    fn set_latches(&mut self, mark: LatchMark) {
        self.known.latches = Some(mark);
        let turn = self.turns.get(&1).copied().unwrap_or(0) + 1;
        self.write(1, Slot::Latches { mark, turn });
    }

    /// Puts what was written on the device.
    pub(crate) fn sync(&mut self) {
        if !self.dirty && !self.failed {
            return;
        }
        let again = if self.failed { self.write_all_slots() } else { Ok(()) };
        self.synced = Instant::now();
        match again.and_then(|()| self.file.sync_data()) {
            Ok(()) => (self.dirty, self.failed) = (false, false),
            Err(error) => self.fail(&error),
        }
    }

    fn write(&mut self, number: u64, slot: Slot) {
        self.dirty = true;
        let turn = self.turns.entry(number).or_default();
        *turn += 1;
        let place = 2 * number + *turn % 2;
        // The first of an instance goes to both places, or damage to it would look like a place not used yet.
        let is_first = *turn == 1;
        let other = if is_first { self.put(place ^ 1, slot) } else { Ok(()) };
        if let Err(error) = self.put(place, slot).and(other) {
            self.fail(&error);
        }
    }

    fn put(&self, place: u64, slot: Slot) -> io::Result<()> {
        self.file.write_all_at(&slot.bytes(place), place * SLOT_BYTES as u64)
    }

    fn write_all_slots(&self) -> io::Result<()> {
        let both = |number: u64, slot: Slot| (0..2).try_for_each(|copy| self.put(2 * number + copy, slot));
        both(0, self.header())?;
        let turn = self.turns.get(&1).copied().unwrap_or(0);
        both(1, Slot::Latches { mark: self.known.latches.unwrap_or_default(), turn })?;
        for (instance, number) in &self.slots {
            let mark = self.known.instances.get(instance).copied().unwrap_or_default();
            both(*number, Slot::Instance(*instance, mark))?;
        }
        Ok(())
    }

    fn header(&self) -> Slot {
        let (epoch, schema) = (self.known.epoch.unwrap_or(0), self.known.schema.unwrap_or(0));
        Slot::Header { epoch, schema, instances: u32::try_from(self.slots.len()).unwrap_or(u32::MAX) }
    }

    /// An old mark is still true, so nothing has to stop; but a loss could go unnoticed, so it is told, once.
    fn fail(&mut self, error: &io::Error) {
        if !self.failed {
            let (event, path) = ("marks.failed", self.path.display());
            tracing::warn!(target: "store", event, %error, %path, "high-water marks could not be written");
        }
        self.failed = true;
    }
}

/// What has been written and not yet synced.
#[derive(Debug, Default)]
pub(crate) struct Reached(BTreeMap<InstanceKey, Mark>);

impl Reached {
    /// Notes a fact.
    pub(crate) fn fact(&mut self, instance: InstanceKey, id: FactId) {
        let mark = self.0.entry(instance).or_default();
        mark.last = mark.last.max(Some(id));
    }

    /// Notes a snapshot.
    pub(crate) fn snapshot(&mut self, instance: InstanceKey, id: FactId) {
        self.0.entry(instance).or_default().raise(Mark { last: None, snapshot: Some(id), snapshots: 1 });
    }
}

#[cfg(test)]
mod tests;
