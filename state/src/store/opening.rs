//! Opening: the schema version, the epochs and the marks, in the order that a crash cannot disturb.
//!
//! Owns the store's description of itself. Promises that a store is looked at without a change to any row, that a new
//! epoch is higher than every one seen before and on the device before anybody can write in it, and that the marks are
//! replaced last. Refuses what is damaged; whether to restore is decided in [`crate::restore`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use super::{SCHEMA_VERSION, Store};
use crate::disk::{Disk, Room};
use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey, fact_key, parse_fact_key};
use crate::lock::{StateDir, create_private};
use crate::mark;
use crate::marks::{self, Known, LatchMark, Mark, Marks};
use crate::record::{self, RecordFault, SCHEMA_INLINE};

pub(super) const VERSION: &str = "schema version";
pub(super) const EPOCH: &str = "epoch";
pub(super) const REBUILT: &str = "rebuilt in epoch";

impl Store {
    /// Opens or creates the store and makes a new epoch durable: the strict way, which refuses whatever
    /// [`crate::restore::open`] would mend. The lock must outlive the store.
    pub fn open(state_dir: &StateDir) -> Result<Self, StoreError> {
        let (dir, marked) = (state_dir.store_dir(), mark::read(state_dir.path())?);
        if let Some(marked) = marked.filter(|_| !Self::has_data(&dir)) {
            // Looking would make an empty store, perhaps in the middle of a swap that the next start takes back.
            let mark = mark::path(state_dir.path());
            return Err(StoreError::Rewound { dir, stored: 0, marked, mark });
        }
        let store = Self::peek(&dir)?;
        store.check_version()?;
        let stored = store.checked_epoch(marked, state_dir.path())?;
        let known = marks::read(state_dir.path())?.map(|(known, _)| known).unwrap_or_default();
        store.check_marks(&known)?;
        store.begin(state_dir.path(), stored)
    }

    /// Whether there is a data file in `dir` that the database could open.
    pub(crate) fn has_data(dir: &Path) -> bool {
        dir.join("db").exists()
    }

    /// Opens or creates the store in `dir` and changes no row of it.
    pub(crate) fn peek(dir: &Path) -> Result<Self, StoreError> {
        create_private(dir).map_err(|source| StoreError::Create { dir: dir.to_path_buf(), source })?;
        let (disk, dir) = (Disk::open(dir)?, dir.to_path_buf());
        Ok(Self { disk, dir, epoch: 0, marks: None, reached: Mutex::default(), latching: Mutex::default() })
    }

    /// Makes an epoch above `seen` durable and begins to keep the marks.
    pub(crate) fn begin(mut self, state_dir: &Path, seen: u32) -> Result<Self, StoreError> {
        self.epoch = seen.checked_add(1).ok_or(StoreError::EpochsUsedUp)?;
        let rows = vec![meta_row(VERSION, SCHEMA_VERSION), meta_row(EPOCH, self.epoch)];
        self.disk.write(Room::Meta, rows, Vec::new())?;
        self.disk.sync()?;
        // Only now: a mark must never be ahead of a store that is whole.
        mark::write(state_dir, self.epoch)?;
        let known = self.known()?;
        self.marks = Some(Mutex::new(Marks::create(state_dir, known)?));
        Ok(self)
    }

    /// What the marks of this store have to say. Everything that is there is durable: opening has synced it.
    fn known(&self) -> Result<Known, StoreError> {
        let mut instances = BTreeMap::new();
        for instance in self.all_instances()? {
            instances.insert(instance, self.mark_of(&instance)?);
        }
        let latches = LatchMark { settled: self.latch_sum()?, next: None };
        Ok(Known { epoch: Some(self.epoch), schema: Some(SCHEMA_VERSION), latches: Some(latches), instances })
    }

    fn mark_of(&self, instance: &InstanceKey) -> Result<Mark, StoreError> {
        let snapshot = self.snapshot_before(instance, None)?;
        let older = snapshot.map(|newest| self.snapshot_before(instance, Some(newest))).transpose()?.flatten();
        let snapshots = u8::from(snapshot.is_some()) + u8::from(older.is_some());
        Ok(Mark { last: self.last_fact_id(instance)?, snapshot, snapshots })
    }

    /// The newest snapshot that is older than `limit`, without reading it.
    pub(crate) fn snapshot_before(
        &self,
        instance: &InstanceKey,
        limit: Option<FactId>,
    ) -> Result<Option<FactId>, StoreError> {
        let low = fact_key(instance, FactId::MIN);
        // Rows are named by the fact's key and four bytes more: the bare key lies right before them.
        let high = limit.map_or_else(|| [u8::MAX; 4].to_vec(), |_| Vec::new());
        let high = [fact_key(instance, limit.unwrap_or(FactId::MAX)).to_vec(), high].concat();
        let row = self.disk.rows(Room::Snapshots, &low..=&high)?.next_back().transpose()?;
        Ok(row.and_then(|(key, _)| parse_fact_key(&key)).map(|(_, id)| id))
    }

    /// A store without its version is new or has lost it; only the first may be written to.
    fn check_version(&self) -> Result<(), StoreError> {
        let dir = self.dir.clone();
        match self.version()? {
            Some(SCHEMA_VERSION) => Ok(()),
            Some(0) => Err(StoreError::UnknownSchema { dir, found: 0 }),
            Some(found) if found > SCHEMA_VERSION => {
                Err(StoreError::NewerSchema { dir, found, supported: SCHEMA_VERSION })
            }
            Some(found) => Err(StoreError::OlderSchema { dir, found, supported: SCHEMA_VERSION }),
            None if self.is_new()? => Ok(()),
            None => Err(StoreError::MetaMissing { dir, name: VERSION }),
        }
    }

    /// The epoch as stored, 0 for a new store; an error if the mark or a fact is ahead of it.
    pub(crate) fn checked_epoch(&self, marked: Option<u32>, state_dir: &Path) -> Result<u32, StoreError> {
        let epoch = match self.stored_epoch()? {
            Some(epoch) => epoch,
            None if self.is_new()? => 0,
            None => return Err(StoreError::MetaMissing { dir: self.dir.clone(), name: EPOCH }),
        };
        if let Some(marked) = marked.filter(|marked| *marked > epoch) {
            let (dir, mark) = (self.dir.clone(), mark::path(state_dir));
            return Err(StoreError::Rewound { dir, stored: epoch, marked, mark });
        }
        for instance in self.instances()? {
            if let Some(found) = self.last_fact_id(&instance)?.filter(|found| found.epoch > epoch) {
                return Err(StoreError::EpochBehind { epoch, instance, found });
            }
        }
        Ok(epoch)
    }

    /// Whether the store has reached its marks.
    fn check_marks(&self, known: &Known) -> Result<(), StoreError> {
        if !self.is_bound_by(known)? {
            return Ok(());
        }
        for (instance, mark) in &known.instances {
            let found = self.mark_of(instance)?;
            if found.last < mark.last || found.snapshot < mark.snapshot || found.snapshots < mark.snapshots {
                return Err(StoreError::BelowMark { instance: *instance, known: mark.last, found: found.last });
            }
        }
        let sum = self.latch_sum()?;
        match known.latches.filter(|mark| !mark.accepts(sum)) {
            Some(mark) => Err(StoreError::LatchesLost { known: mark.settled.count, found: sum.count }),
            None => Ok(()),
        }
    }

    /// Whether marks speak of this store. Those of a store that it was built to replace do not.
    pub(crate) fn is_bound_by(&self, known: &Known) -> Result<bool, StoreError> {
        let rebuilt = self.meta(REBUILT)?;
        Ok(rebuilt.is_none_or(|rebuilt| known.epoch.is_none_or(|epoch| epoch >= rebuilt)))
    }

    /// Whether the store holds no row at all.
    pub(crate) fn is_new(&self) -> Result<bool, StoreError> {
        for room in [Room::Meta, Room::Facts, Room::LongFacts, Room::Snapshots, Room::Latches] {
            if !self.disk.is_empty(room)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The schema version as stored.
    pub(crate) fn version(&self) -> Result<Option<u32>, StoreError> {
        self.meta(VERSION)
    }

    /// The epoch as stored.
    pub(crate) fn stored_epoch(&self) -> Result<Option<u32>, StoreError> {
        self.meta(EPOCH)
    }

    fn meta(&self, name: &'static str) -> Result<Option<u32>, StoreError> {
        let Some(value) = self.disk.get(Room::Meta, name.as_bytes())? else { return Ok(None) };
        let damaged = |fault| StoreError::MetaDamaged { dir: self.dir.clone(), name, fault };
        let (_, payload) = record::open(name.as_bytes(), &value).map_err(damaged)?;
        let short = RecordFault::Short { bytes: payload.len() };
        let number = payload.try_into().map_err(|_| damaged(short))?;
        Ok(Some(u32::from_be_bytes(number)))
    }
}

pub(super) fn meta_row(name: &str, number: u32) -> (Vec<u8>, Vec<u8>) {
    (name.into(), record::seal(SCHEMA_INLINE, name.as_bytes(), &number.to_be_bytes()))
}
