//! A store in memory that fails when it is told to.
//!
//! Owns facts in a map and two planned faults. Promises the contract of [`StateStore`] until a fault is due, and to
//! tell what would have survived a power cut. Never survives the process; it is meant for tests and dry runs.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::DiskError;
use crate::journal::{NewFact, StateStore, StoreError, StoredFact};
use crate::key::{FactId, InstanceKey};

type Facts = BTreeMap<(InstanceKey, FactId), Vec<u8>>;

#[derive(Debug, Default)]
struct Inner {
    written: Facts,
    durable: Facts,
    appends: u64,
    syncs: u64,
    failing_append: Option<u64>,
    failing_sync: Option<u64>,
}

/// A [`StateStore`] without a disk.
#[derive(Debug, Default)]
pub struct MemoryStore {
    epoch: u32,
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// An empty store in `epoch`.
    pub fn new(epoch: u32) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Lets the `nth` append from the beginning fail (1 is the first) and write nothing.
    pub fn fail_append_at(&self, nth: u64) {
        self.lock().failing_append = Some(nth);
    }

    /// Lets the `nth` sync from the beginning fail (1 is the first) and make nothing durable.
    pub fn fail_sync_at(&self, nth: u64) {
        self.lock().failing_sync = Some(nth);
    }

    /// How many appends were asked for.
    pub fn appends(&self) -> u64 {
        self.lock().appends
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The facts of an instance, durable or not, ascending.
    pub fn facts(&self, instance: &InstanceKey) -> Vec<StoredFact> {
        of(&self.lock().written, instance)
    }

    /// The facts of an instance that a sync has covered, ascending.
    pub fn durable_facts(&self, instance: &InstanceKey) -> Vec<StoredFact> {
        of(&self.lock().durable, instance)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for MemoryStore {
    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        Ok(self.facts(instance).last().map(StoredFact::id))
    }

    fn append(&self, facts: Vec<NewFact>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.appends += 1;
        if inner.failing_append == Some(inner.appends) {
            return Err(planned_fault("write"));
        }
        for NewFact { instance, seq, payload } in facts {
            inner.written.insert((instance, FactId { epoch: self.epoch, seq }), payload);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.syncs += 1;
        if inner.failing_sync == Some(inner.syncs) {
            return Err(planned_fault("sync"));
        }
        inner.durable = inner.written.clone();
        Ok(())
    }
}

fn of(facts: &Facts, instance: &InstanceKey) -> Vec<StoredFact> {
    let range = facts.range((*instance, FactId::MIN)..=(*instance, FactId::MAX));
    range.map(|((_, id), payload)| StoredFact { epoch: id.epoch, seq: id.seq, payload: payload.clone() }).collect()
}

fn planned_fault(during: &'static str) -> StoreError {
    let source = io::Error::other("planned fault").into();
    DiskError::Failed { dir: PathBuf::from("memory"), during, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_successful_sync_makes_durable() {
        let store = MemoryStore::new(3);
        let grid = InstanceKey::new("grid").unwrap();
        store.fail_sync_at(1);
        store.append(vec![NewFact { instance: grid, seq: 1, payload: vec![7] }]).unwrap();
        assert!(store.sync().is_err());
        assert_eq!((store.facts(&grid).len(), store.durable_facts(&grid).len()), (1, 0));
        store.sync().unwrap();
        assert_eq!(store.durable_facts(&grid), vec![StoredFact { epoch: 3, seq: 1, payload: vec![7] }]);
        assert_eq!(store.last_fact_id(&grid).unwrap(), Some(FactId { epoch: 3, seq: 1 }));
    }
}
