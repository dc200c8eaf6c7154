//! The store: facts, snapshots and latches of one state directory, and its epoch.
//!
//! Owns what the rows mean, from the schema version to the density of each instance's sequence. Promises that whatever
//! it returns was checked against its seal and its neighbours, that a store written by a later version is refused
//! before a row is changed, and that each opening makes a new epoch durable before it returns. Does not order
//! writers among themselves: facts come from the one recorder. Never decodes a payload.
//!
//! Key of a fact: instance (16 bytes, zero-padded), epoch (u32), sequence number (u64), big-endian. Value: schema,
//! checksum, payload ([`crate::record`]); a payload of more than one chunk lies apart ([`crate::chunks`]).

mod facts;
mod latches;
mod snapshots;

use std::path::{Path, PathBuf};

pub use facts::FactsRev;
pub use snapshots::Snapshot;

use crate::disk::{Disk, Room};
use crate::journal::{NewFact, StateStore, StoreError};
use crate::key::{FactId, InstanceKey};
use crate::lock::{StateDir, create_private};
use crate::mark;
use crate::record::{self, RecordFault, SCHEMA_INLINE};

/// The schema version that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

const VERSION: &str = "schema version";
const EPOCH: &str = "epoch";

/// The open store of a state directory. Cheap to share in an `Arc`; all methods take `&self`.
pub struct Store {
    disk: Disk,
    dir: PathBuf,
    epoch: u32,
}

impl Store {
    /// Opens or creates the store and makes a new epoch durable. The lock must outlive the store.
    pub fn open(state_dir: &StateDir) -> Result<Self, StoreError> {
        let dir = state_dir.store_dir();
        create_private(&dir).map_err(|source| StoreError::Create { dir: dir.clone(), source })?;
        let disk = Disk::open(&dir)?;
        let mut store = Self { disk, dir, epoch: 0 };
        store.check_version()?;
        store.epoch = store.next_epoch(state_dir.path())?;
        let rows = vec![meta_row(VERSION, SCHEMA_VERSION), meta_row(EPOCH, store.epoch)];
        store.disk.write(Room::Meta, rows, Vec::new())?;
        store.disk.sync()?;
        // Only now: a mark must never be ahead of a store that is whole.
        mark::write(state_dir.path(), store.epoch)?;
        Ok(store)
    }

    /// The epoch of this opening, 1 for the first.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A store without its version is new or has lost it; only the first may be written to.
    fn check_version(&self) -> Result<(), StoreError> {
        let dir = self.dir.clone();
        match self.meta(VERSION)? {
            Some(SCHEMA_VERSION) => Ok(()),
            Some(found) if found > SCHEMA_VERSION => {
                Err(StoreError::NewerSchema { dir, found, supported: SCHEMA_VERSION })
            }
            // The place for migrations, once there is an older version.
            Some(found) => Err(StoreError::UnknownSchema { dir, found }),
            None if self.is_new()? => Ok(()),
            None => Err(StoreError::MetaMissing { dir, name: VERSION }),
        }
    }

    fn next_epoch(&self, state_dir: &Path) -> Result<u32, StoreError> {
        let epoch = match self.meta(EPOCH)? {
            Some(epoch) => epoch,
            None if self.is_new()? => 0,
            None => return Err(StoreError::MetaMissing { dir: self.dir.clone(), name: EPOCH }),
        };
        if let Some(marked) = mark::read(state_dir)?.filter(|marked| *marked > epoch) {
            let (dir, mark) = (self.dir.clone(), mark::path(state_dir));
            return Err(StoreError::Rewound { dir, stored: epoch, marked, mark });
        }
        for instance in self.instances()? {
            if let Some(found) = self.last_fact_id(&instance)?.filter(|found| found.epoch > epoch) {
                return Err(StoreError::EpochBehind { epoch, instance, found });
            }
        }
        epoch.checked_add(1).ok_or(StoreError::EpochsUsedUp)
    }

    fn is_new(&self) -> Result<bool, StoreError> {
        for room in [Room::Meta, Room::Facts, Room::LongFacts, Room::Snapshots, Room::Latches] {
            if !self.disk.is_empty(room)? {
                return Ok(false);
            }
        }
        Ok(true)
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

fn meta_row(name: &str, number: u32) -> (Vec<u8>, Vec<u8>) {
    (name.into(), record::seal(SCHEMA_INLINE, name.as_bytes(), &number.to_be_bytes()))
}

impl StateStore for Store {
    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        facts::last_id(&self.disk, instance)
    }

    fn append(&self, facts: Vec<NewFact>) -> Result<(), StoreError> {
        facts::append(&self.disk, self.epoch, facts)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(self.disk.sync()?)
    }
}

#[cfg(test)]
mod tests;
