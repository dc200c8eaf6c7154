//! Stores of tests: the one in memory, with something around one of its methods.

use super::*;

/// A store in memory; what is not written anew for a test is done as there.
pub(super) trait Around: Send + Sync + 'static {
    fn memory(&self) -> &MemoryStore;

    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        self.memory().last_fact_id(instance)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.memory().sync()
    }

    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.memory().write_snapshot(instance, seq, bytes)
    }
}

impl<T: Around> StateStore for T {
    fn epoch(&self) -> u32 {
        self.memory().epoch()
    }
    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        Around::last_fact_id(self, instance)
    }
    fn append(&self, facts: Vec<NewFact>) -> Result<(), StoreError> {
        self.memory().append(facts)
    }
    fn sync(&self) -> Result<(), StoreError> {
        Around::sync(self)
    }
    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        Around::write_snapshot(self, instance, seq, bytes)
    }
    fn prune(&self, instance: &InstanceKey, facts_kept: u64, rows_max: usize) -> Result<Pruned, StoreError> {
        self.memory().prune(instance, facts_kept, rows_max)
    }
    fn check(&self) -> Result<(), StoreError> {
        self.memory().check()
    }
    fn relieve(&self) -> Result<(), StoreError> {
        self.memory().relieve()
    }
    fn replenish(&self, bytes: u64) -> Result<(), StoreError> {
        self.memory().replenish(bytes)
    }
}
