//! After a full disk: give up the reserve, open the store again, write what it lacks.
//!
//! Owns what was written since the last sync, in full, because nobody else has it any more. Promises that afterwards
//! all of it is durable and no fact was written twice, or that the first failure is told. Never goes on over a hole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

use super::RecordError;
use super::answer::{StorageState, locked};
use super::commit::Committer;
use super::error::guarded;
use crate::journal::{NewFact, StateStore};
use crate::key::{FactId, InstanceKey};

/// A snapshot that may have to be written once more.
pub(super) struct Kept {
    pub(super) instance: InstanceKey,
    pub(super) seq: u64,
    pub(super) bytes: Vec<u8>,
}

/// What was written since the last sync.
#[derive(Default)]
pub(super) struct Unsynced {
    pub(super) facts: Vec<NewFact>,
    pub(super) snapshots: Vec<Kept>,
    /// Since when something waits.
    pub(super) since: Option<Instant>,
}

/// The last place of each instance, as far as it was asked for.
type Reached = BTreeMap<InstanceKey, Option<FactId>>;

impl<S: StateStore> Committer<S> {
    /// Makes room and everything durable that was written, if a full disk is what is wrong.
    pub(super) fn relieve(&mut self, failure: RecordError) -> Result<(), RecordError> {
        if !failure.is_storage_full() {
            return Err(failure);
        }
        let event = "recorder.full";
        tracing::error!(target: "recorder", event, error = %failure, "the disk is full, its reserve is given up");
        self.refill()?;
        self.unsynced = Unsynced::default();
        *locked(&self.shared.storage) = StorageState::Low { since_what: failure.cause() };
        Ok(())
    }

    fn refill(&self) -> Result<(), RecordError> {
        guarded(|| self.store.relieve())?;
        let missing = self.missing()?;
        if !missing.is_empty() {
            guarded(|| self.store.append(missing))?;
        }
        guarded(|| self.store.sync())?;
        if self.unsynced.snapshots.is_empty() {
            return Ok(());
        }
        // A snapshot of the same place may be an older one; it is replaced.
        for Kept { instance, seq, bytes } in &self.unsynced.snapshots {
            guarded(|| self.store.write_snapshot(instance, *seq, bytes))?;
        }
        guarded(|| self.store.sync())
    }

    /// The facts that the store does not have; everything before them must be there.
    fn missing(&self) -> Result<Vec<NewFact>, RecordError> {
        let mut reached = Reached::new();
        let mut missing = Vec::new();
        for fact in &self.unsynced.facts {
            let instance = fact.instance;
            let id = FactId { epoch: self.store.epoch(), seq: fact.seq };
            let last = self.reached(&mut reached, instance)?;
            if last.is_some_and(|last| last >= id) {
                continue;
            }
            if !id.follows(last) {
                return Err(RecordError::Lost { instance, expected: id, found: last });
            }
            reached.insert(instance, Some(id));
            missing.push(fact.clone());
        }
        for (&instance, expected) in &self.last {
            let Some(expected) = *expected else { continue };
            let found = self.reached(&mut reached, instance)?;
            if found != Some(expected) {
                return Err(RecordError::Lost { instance, expected, found });
            }
        }
        Ok(missing)
    }

    fn reached(&self, reached: &mut Reached, instance: InstanceKey) -> Result<Option<FactId>, RecordError> {
        match reached.entry(instance) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => Ok(*entry.insert(guarded(|| self.store.last_fact_id(&instance))?)),
        }
    }
}
