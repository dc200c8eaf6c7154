//! Snapshots: an instance's state after a fact, in chunks.
//!
//! Owns the rows of snapshots and how many are kept: the two newest of each instance. Promises that a snapshot is
//! there whole or not at all, and that a damaged one is named. Never falls back on an older one by itself: that is a
//! decision, and it has to be told.

use super::Store;
use crate::chunks;
use crate::disk::{Disk, Room};
use crate::journal::{SNAPSHOTS_KEPT, StoreError};
use crate::key::{FACT_KEY_BYTES, FactId, InstanceKey, fact_key, parse_fact_key};

/// A snapshot as it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last fact that it contains.
    pub id: FactId,
    /// Its bytes, as they were given.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Stores the state of `instance` after fact (`epoch`, `seq`) and forgets all but the two newest; durable when it
    /// returns. A snapshot of the same place is replaced. Not for instances that the recorder writes for: it would
    /// not wait for their facts.
    pub fn put_snapshot(&self, instance: &InstanceKey, epoch: u32, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        write(&self.disk, instance, FactId { epoch, seq }, bytes)?;
        Ok(self.disk.sync()?)
    }

    /// The newest snapshot of an instance; an error if that one is damaged.
    pub fn latest_snapshot(&self, instance: &InstanceKey) -> Result<Option<Snapshot>, StoreError> {
        let newest = self.snapshot_ids(instance)?.pop();
        newest.map(|id| self.snapshot(instance, id)).transpose()
    }

    /// The snapshot after fact `id`.
    pub fn snapshot(&self, instance: &InstanceKey, id: FactId) -> Result<Snapshot, StoreError> {
        let name = fact_key(instance, id);
        let (low, high) = (chunks::chunk_key(&name, 0), chunks::chunk_key(&name, u32::MAX));
        let rows = self.disk.rows(Room::Snapshots, &low..=&high)?.collect::<Result<Vec<_>, _>>()?;
        let damaged = |fault| StoreError::DamagedSnapshot { instance: *instance, id, fault };
        Ok(Snapshot { id, bytes: chunks::join(&name, &rows).map_err(damaged)? })
    }

    /// The snapshots that there are, ascending.
    pub fn snapshot_ids(&self, instance: &InstanceKey) -> Result<Vec<FactId>, StoreError> {
        ids(&keys(&self.disk, instance)?)
    }
}

/// Writes the snapshot `id` and removes all but the newest others, all or nothing; durable after the next sync.
pub(super) fn write(disk: &Disk, instance: &InstanceKey, id: FactId, bytes: &[u8]) -> Result<(), StoreError> {
    let mut remove = keys(disk, instance)?;
    let mut kept = ids(&remove)?;
    kept.retain(|found| *found != id);
    kept.drain(..kept.len().saturating_sub(SNAPSHOTS_KEPT - 1));
    remove.retain(|key| parse_fact_key(key).is_some_and(|(_, found)| !kept.contains(&found)));
    let put = chunks::split(&fact_key(instance, id), bytes);
    Ok(disk.write(Room::Snapshots, put, remove)?)
}

fn ids(keys: &[Vec<u8>]) -> Result<Vec<FactId>, StoreError> {
    let mut ids = Vec::new();
    for key in keys {
        let foreign = || StoreError::ForeignKey { kind: "snapshot", key: key.clone() };
        let (_, id) = parse_fact_key(key).filter(|_| key.len() == FACT_KEY_BYTES + 4).ok_or_else(foreign)?;
        ids.push(id);
    }
    ids.dedup();
    Ok(ids)
}

fn keys(disk: &Disk, instance: &InstanceKey) -> Result<Vec<Vec<u8>>, StoreError> {
    let low = chunks::chunk_key(&fact_key(instance, FactId::MIN), 0);
    let high = chunks::chunk_key(&fact_key(instance, FactId::MAX), u32::MAX);
    let rows = disk.rows(Room::Snapshots, &low..=&high)?;
    rows.map(|row| Ok(row?.0)).collect()
}
