//! A store in memory that fails when it is told to.
//!
//! Owns facts and snapshots in maps, the planned faults and what a reopening leaves. Promises the contract of
//! [`StateStore`] until a fault is due, and to tell what would have survived a power cut. Never survives the process;
//! it is meant for tests and dry runs.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::DiskError;
use crate::journal::{NewFact, Pruned, SNAPSHOTS_KEPT, StateStore, StoreError, StoredFact};
use crate::key::{FactId, InstanceKey};

type Rows = BTreeMap<(InstanceKey, FactId), Vec<u8>>;

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`StateStore::append`].
    Append,
    /// [`StateStore::sync`].
    Sync,
    /// [`StateStore::write_snapshot`].
    Snapshot,
    /// [`StateStore::prune`].
    Prune,
    /// [`StateStore::relieve`].
    Relieve,
}

#[derive(Debug, Clone, Default)]
struct Held {
    facts: Rows,
    snapshots: Rows,
}

/// A write since the last sync.
#[derive(Debug)]
enum Write {
    Facts(Rows),
    Snapshot(InstanceKey, FactId, Vec<u8>),
    Removed(Vec<(InstanceKey, FactId)>),
}

#[derive(Debug, Default)]
struct Inner {
    written: Held,
    durable: Held,
    unsynced: Vec<Write>,
    surviving: usize,
    counts: BTreeMap<Call, u64>,
    calls: u64,
    faults: Vec<(Option<Call>, u64, io::ErrorKind)>,
    full: bool,
    rewritten: u64,
    reserve: u64,
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
        self.fail_at(Some(Call::Append), nth, io::ErrorKind::Other);
    }

    /// Lets the `nth` sync from the beginning fail (1 is the first) and make nothing durable.
    pub fn fail_sync_at(&self, nth: u64) {
        self.fail_at(Some(Call::Sync), nth, io::ErrorKind::Other);
    }

    /// Lets the `nth` call of a kind, or of any kind, from the beginning fail with `error`. After
    /// [`io::ErrorKind::StorageFull`] everything is refused until [`StateStore::relieve`], as on a disk.
    pub fn fail_at(&self, call: Option<Call>, nth: u64, error: io::ErrorKind) {
        self.lock().faults.push((call, nth, error));
    }

    /// How many of the writes that no sync has covered are still there after [`StateStore::relieve`]; at first none.
    /// The write that failed counts as one: whether it reached the disk is not known either.
    pub fn survive_reopening(&self, writes: usize) {
        self.lock().surviving = writes;
    }

    /// How many appends were asked for.
    pub fn appends(&self) -> u64 {
        self.count(Call::Append)
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.count(Call::Sync)
    }

    /// How often `call` was asked for.
    pub fn count(&self, call: Call) -> u64 {
        self.lock().counts.get(&call).copied().unwrap_or(0)
    }

    /// How many calls that may fail were made.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// How many facts were written to a place that held one.
    pub fn rewritten(&self) -> u64 {
        self.lock().rewritten
    }

    /// The bytes set aside.
    pub fn reserve(&self) -> u64 {
        self.lock().reserve
    }

    /// The facts of an instance, durable or not, ascending.
    pub fn facts(&self, instance: &InstanceKey) -> Vec<StoredFact> {
        of(&self.lock().written.facts, instance)
    }

    /// The facts of an instance that a sync has covered, ascending.
    pub fn durable_facts(&self, instance: &InstanceKey) -> Vec<StoredFact> {
        of(&self.lock().durable.facts, instance)
    }

    /// The places of an instance's snapshots that a sync has covered, ascending.
    pub fn durable_snapshots(&self, instance: &InstanceKey) -> Vec<FactId> {
        of(&self.lock().durable.snapshots, instance).iter().map(StoredFact::id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a call and answers with the fault that is due.
    fn begin(&mut self, call: Call) -> Result<(), StoreError> {
        self.calls += 1;
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let (count, calls) = (*count, self.calls);
        if self.full && call != Call::Relieve {
            return Err(DiskError::Broken { dir: "memory".into(), during: during(call), full: true }.into());
        }
        let is_due = |(of, nth, _): &(Option<Call>, u64, io::ErrorKind)| match of {
            Some(of) => *of == call && *nth == count,
            None => *nth == calls,
        };
        let Some((_, _, kind)) = self.faults.iter().find(|fault| is_due(fault)) else { return Ok(()) };
        self.full = *kind == io::ErrorKind::StorageFull;
        let source = io::Error::new(*kind, "planned fault").into();
        Err(DiskError::Failed { dir: PathBuf::from("memory"), during: during(call), source }.into())
    }

    /// Writes, unless the call failed; then it may turn up after a reopening only.
    fn write(&mut self, outcome: Result<(), StoreError>, write: Write) -> Result<(), StoreError> {
        if outcome.is_ok() {
            self.rewritten += apply(&mut self.written, &write);
        }
        self.unsynced.push(write);
        outcome
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
        let outcome = inner.begin(Call::Append);
        let place = |fact: &NewFact| (fact.instance, FactId { epoch: self.epoch, seq: fact.seq });
        let rows = facts.into_iter().map(|fact| (place(&fact), fact.payload)).collect();
        inner.write(outcome, Write::Facts(rows))
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.begin(Call::Sync)?;
        inner.durable = inner.written.clone();
        inner.unsynced.clear();
        Ok(())
    }

    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let outcome = inner.begin(Call::Snapshot);
        let id = FactId { epoch: self.epoch, seq };
        inner.write(outcome, Write::Snapshot(*instance, id, bytes.to_vec()))
    }

    fn prune(&self, instance: &InstanceKey, facts_kept: u64, rows_max: usize) -> Result<Pruned, StoreError> {
        let mut inner = self.lock();
        let outcome = inner.begin(Call::Prune);
        let facts: Vec<FactId> = of(&inner.written.facts, instance).iter().map(StoredFact::id).collect();
        let snapshots = of(&inner.written.snapshots, instance);
        let last = facts.last().map_or(0, |last| last.seq);
        let oldest = snapshots.first().filter(|_| snapshots.len() >= SNAPSHOTS_KEPT).map_or(0, |oldest| oldest.seq);
        let is_old = |id: &&FactId| id.seq < oldest && id.seq.saturating_add(facts_kept.max(1)) <= last;
        let gone: Vec<_> = facts.iter().take_while(is_old).take(rows_max).map(|id| (*instance, *id)).collect();
        let pruned = Pruned { facts: gone.len() as u64, more: gone.len() == rows_max };
        inner.write(outcome, Write::Removed(gone))?;
        Ok(pruned)
    }

    fn check(&self) -> Result<(), StoreError> {
        let full = self.lock().full;
        let broken = || DiskError::Broken { dir: "memory".into(), during: "check", full }.into();
        if full { Err(broken()) } else { Ok(()) }
    }

    fn relieve(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.begin(Call::Relieve)?;
        let mut left = inner.durable.clone();
        for write in inner.unsynced.iter().take(inner.surviving) {
            apply(&mut left, write);
        }
        inner.written = left;
        inner.unsynced.clear();
        (inner.full, inner.reserve) = (false, 0);
        Ok(())
    }

    fn replenish(&self, bytes: u64) -> Result<(), StoreError> {
        self.lock().reserve = bytes;
        Ok(())
    }
}

/// Carries a write out and answers how many facts were there already.
fn apply(held: &mut Held, write: &Write) -> u64 {
    match write {
        Write::Facts(rows) => {
            let known = rows.keys().filter(|place| held.facts.contains_key(place)).count();
            held.facts.extend(rows.clone());
            known as u64
        }
        Write::Snapshot(instance, id, bytes) => {
            held.snapshots.insert((*instance, *id), bytes.clone());
            let ids: Vec<FactId> = of(&held.snapshots, instance).iter().map(StoredFact::id).collect();
            let surplus = ids.len().saturating_sub(SNAPSHOTS_KEPT);
            for old in &ids[..surplus] {
                held.snapshots.remove(&(*instance, *old));
            }
            0
        }
        Write::Removed(places) => {
            places.iter().for_each(|place| drop(held.facts.remove(place)));
            0
        }
    }
}

fn of(rows: &Rows, instance: &InstanceKey) -> Vec<StoredFact> {
    let range = rows.range((*instance, FactId::MIN)..=(*instance, FactId::MAX));
    range.map(|((_, id), payload)| StoredFact { epoch: id.epoch, seq: id.seq, payload: payload.clone() }).collect()
}

fn during(call: Call) -> &'static str {
    match call {
        Call::Append => "write",
        Call::Sync => "sync",
        Call::Snapshot => "write of a snapshot",
        Call::Prune => "prune",
        Call::Relieve => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(instance: InstanceKey, seq: u64) -> NewFact {
        NewFact { instance, seq, payload: vec![7] }
    }

    #[test]
    fn only_a_successful_sync_makes_durable() {
        let store = MemoryStore::new(3);
        let grid = InstanceKey::new("grid").unwrap();
        store.fail_sync_at(1);
        store.append(vec![fact(grid, 1)]).unwrap();
        assert!(store.sync().is_err());
        assert_eq!((store.facts(&grid).len(), store.durable_facts(&grid).len()), (1, 0));
        store.sync().unwrap();
        assert_eq!(store.durable_facts(&grid), vec![StoredFact { epoch: 3, seq: 1, payload: vec![7] }]);
        assert_eq!(store.last_fact_id(&grid).unwrap(), Some(FactId { epoch: 3, seq: 1 }));
    }

    #[test]
    fn a_full_store_refuses_until_it_is_opened_again_and_keeps_what_it_was_told() {
        let grid = InstanceKey::new("grid").unwrap();
        for (surviving, left) in [(0, 1), (1, 2), (2, 3), (9, 3)] {
            let store = MemoryStore::new(1);
            store.survive_reopening(surviving);
            store.append(vec![fact(grid, 1)]).unwrap();
            store.sync().unwrap();
            store.fail_at(Some(Call::Append), 3, io::ErrorKind::StorageFull);
            store.append(vec![fact(grid, 2)]).unwrap();
            assert!(store.append(vec![fact(grid, 3)]).unwrap_err().is_storage_full());
            assert!(store.sync().unwrap_err().is_storage_full() && store.check().is_err());
            store.relieve().unwrap();
            assert_eq!(store.facts(&grid).len(), left);
            store.check().unwrap();
            store.sync().unwrap();
            assert_eq!((store.durable_facts(&grid).len(), store.calls()), (left, 7));
        }
    }
}
