//! The store: facts, snapshots and latches of one state directory, and its epoch.
//!
//! Owns what the rows mean, from the schema version to the density of each instance's sequence. Promises that whatever
//! it returns was checked against its seal and its neighbours, that a store written by a later version is refused
//! before a row is changed, that each opening makes a new epoch durable before it returns, and that the high-water
//! marks follow each sync. Does not order writers among themselves: facts come from the one recorder. Never decodes a
//! payload.
//!
//! Key of a fact: instance (16 bytes, zero-padded), epoch (u32), sequence number (u64), big-endian. Value: schema,
//! checksum, payload ([`crate::record`]); a payload of more than one chunk lies apart ([`crate::chunks`]).

mod facts;
mod floor;
mod latches;
mod opening;
mod rebuild;
mod snapshots;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use facts::FactsRev;
pub use snapshots::Snapshot;

use crate::disk::Disk;
use crate::journal::{NewFact, Pruned, StateStore, StoreError};
use crate::key::{FactId, InstanceKey};
use crate::marks::{Known, LatchSum, Marks, Reached};
use crate::reserve::Reserve;
use crate::verify::{self, Problems};

/// The schema version that this program writes.
pub const SCHEMA_VERSION: u32 = 3;

/// The open store of a state directory. Cheap to share in an `Arc`; all methods take `&self`.
pub struct Store {
    disk: Disk,
    dir: PathBuf,
    epoch: u32,
    /// None as long as the store is only looked at or built.
    marks: Option<Mutex<Marks>>,
    reached: Mutex<Reached>,
    /// One change of the latches at a time. Their sum, when it is known.
    latching: Mutex<Option<LatchSum>>,
}

impl Store {
    /// The epoch of this opening, 1 for the first; 0 while the store is only looked at.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts everything on the device, the high-water marks as well: the last step of a clean stop.
    pub fn seal(&self) -> Result<(), StoreError> {
        StateStore::sync(self)?;
        if let Some(marks) = &self.marks {
            locked(marks).sync();
        }
        Ok(())
    }

    /// Closes the store. A drop does that as well, but nobody hears of it when it fails.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        Ok(self.disk.close()?)
    }

    /// The instances that have facts or snapshots, in the order of their ids.
    pub(crate) fn all_instances(&self) -> Result<BTreeSet<InstanceKey>, StoreError> {
        let mut problems = Problems::default();
        let found = verify::instances(self, &mut problems);
        match problems.told().into_iter().next() {
            Some(problem) => Err(StoreError::Unreadable { dir: self.dir.clone(), problem }),
            None => Ok(found),
        }
    }

    /// What the marks say now; nothing while the store is only looked at.
    pub(crate) fn marked(&self) -> Known {
        self.marks.as_ref().map(|marks| locked(marks).known().clone()).unwrap_or_default()
    }

    /// The database, for those who check it row by row.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether the database has failed and must be opened again.
    pub(crate) fn is_broken(&self) -> bool {
        self.disk.check().is_err()
    }

    fn forget_unsynced(&self) {
        drop(std::mem::take(&mut *locked(&self.reached)));
        *locked(&self.latching) = None;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StateStore for Store {
    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        facts::last_id(&self.disk, instance)
    }

    fn append(&self, facts: Vec<NewFact>) -> Result<(), StoreError> {
        let ends: Vec<_> = facts.iter().map(|fact| (fact.instance, fact.seq)).collect();
        facts::append(&self.disk, self.epoch, facts)?;
        let mut reached = locked(&self.reached);
        ends.into_iter().for_each(|(instance, seq)| reached.fact(instance, FactId { epoch: self.epoch, seq }));
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        // Taken before the sync: what is written meanwhile is not covered by it.
        let reached = std::mem::take(&mut *locked(&self.reached));
        self.disk.sync()?;
        if let Some(marks) = &self.marks {
            locked(marks).publish(reached);
        }
        Ok(())
    }

    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let id = FactId { epoch: self.epoch, seq };
        snapshots::write(&self.disk, instance, id, bytes)?;
        locked(&self.reached).snapshot(*instance, id);
        Ok(())
    }

    fn prune(&self, instance: &InstanceKey, facts_kept: u64, rows_max: usize) -> Result<Pruned, StoreError> {
        let snapshots = self.snapshot_ids(instance)?;
        floor::lift(&self.disk, instance, &snapshots, facts_kept, rows_max)?;
        let pruned = facts::prune(&self.disk, instance, &snapshots, facts_kept, rows_max)?;
        floor::settle(&self.disk, instance, pruned)?;
        Ok(pruned)
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(self.disk.check()?)
    }

    fn relieve(&self) -> Result<(), StoreError> {
        Reserve::beside(&self.dir).release()?;
        self.forget_unsynced();
        self.disk.reopen()?;
        // Opening has synced what is there, also what an earlier sync did not get to say: the next one raises the marks
        // to it. A lower mark is true as well, so nothing stops over one.
        let instances = self.all_instances().inspect_err(|error| {
            tracing::warn!(target: "store", event = "marks.failed", %error, "high-water marks may stay behind");
        });
        for instance in instances.unwrap_or_default() {
            let (last, snapshots) = (facts::last_id(&self.disk, &instance), self.snapshot_ids(&instance));
            let mut reached = locked(&self.reached);
            last.into_iter().flatten().for_each(|id| reached.fact(instance, id));
            snapshots.into_iter().flatten().for_each(|id| reached.snapshot(instance, id));
        }
        Ok(())
    }

    fn replenish(&self, bytes: u64) -> Result<(), StoreError> {
        Ok(Reserve::beside(&self.dir).make(bytes)?)
    }
}

#[cfg(test)]
mod tests;
