//! Snapshots: an instance's state after a fact, in chunks.
//!
//! Owns the rows of snapshots and how many are kept: the two newest of each instance. Promises that a snapshot is
//! there whole or not at all, and that a damaged one is named. Never falls back on an older one by itself: that is a
//! decision, and it has to be told.

use super::Store;
use crate::chunks;
use crate::disk::Room;
use crate::journal::StoreError;
use crate::key::{FACT_KEY_BYTES, FactId, InstanceKey, fact_key, parse_fact_key};

/// How many snapshots of an instance stay: the newest and one to fall back on.
pub const SNAPSHOTS_KEPT: usize = 2;

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
    /// returns. A snapshot of the same fact is replaced.
    pub fn put_snapshot(&self, instance: &InstanceKey, epoch: u32, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let id = FactId { epoch, seq };
        let mut kept = self.snapshot_ids(instance)?;
        kept.retain(|found| *found != id);
        kept.drain(..kept.len().saturating_sub(SNAPSHOTS_KEPT - 1));
        let mut remove = self.snapshot_keys(instance)?;
        remove.retain(|key| parse_fact_key(key).is_some_and(|(_, found)| !kept.contains(&found)));
        let put = chunks::split(&fact_key(instance, id), bytes);
        self.disk.write(Room::Snapshots, put, remove)?;
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
        let mut ids = Vec::new();
        for key in self.snapshot_keys(instance)? {
            let foreign = || StoreError::ForeignKey { kind: "snapshot", key: key.clone() };
            let (_, id) = parse_fact_key(&key).filter(|_| key.len() == FACT_KEY_BYTES + 4).ok_or_else(foreign)?;
            ids.push(id);
        }
        ids.dedup();
        Ok(ids)
    }

    fn snapshot_keys(&self, instance: &InstanceKey) -> Result<Vec<Vec<u8>>, StoreError> {
        let low = chunks::chunk_key(&fact_key(instance, FactId::MIN), 0);
        let high = chunks::chunk_key(&fact_key(instance, FactId::MAX), u32::MAX);
        let rows = self.disk.rows(Room::Snapshots, &low..=&high)?;
        rows.map(|row| Ok(row?.0)).collect()
    }
}
