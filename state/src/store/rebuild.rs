//! Building a store row by row: for restores and migrations, into a directory of its own.
//!
//! Promises that facts and snapshots keep their places. Checks nothing: whoever builds verifies the result before it
//! is put in place.

use super::opening::{EPOCH, REBUILT, VERSION, meta_row};
use super::{SCHEMA_VERSION, Store, facts, floor};
use crate::chunks;
use crate::disk::Room;
use crate::journal::{NewFact, StoreError, StoredFact};
use crate::key::{FactId, InstanceKey, fact_key};
use crate::record::{self, SCHEMA_INLINE};

impl Store {
    /// Writes facts at the places that they had.
    pub(crate) fn build_facts(&self, instance: &InstanceKey, stored: Vec<StoredFact>) -> Result<(), StoreError> {
        let mut epochs: Vec<(u32, Vec<NewFact>)> = Vec::new();
        for StoredFact { epoch, seq, payload } in stored {
            let fact = NewFact { instance: *instance, seq, payload };
            match epochs.last_mut() {
                Some((last, facts)) if *last == epoch => facts.push(fact),
                Some(_) | None => epochs.push((epoch, vec![fact])),
            }
        }
        epochs.into_iter().try_for_each(|(epoch, facts)| facts::append(&self.disk, epoch, facts))
    }

    /// Writes a snapshot at the place that it had.
    pub(crate) fn build_snapshot(&self, instance: &InstanceKey, id: FactId, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.disk.write(Room::Snapshots, chunks::split(&fact_key(instance, id), bytes), Vec::new())?)
    }

    /// Says that the facts of an instance begin with number `seq`.
    pub(crate) fn build_floor(&self, instance: &InstanceKey, seq: u64) -> Result<(), StoreError> {
        Ok(self.disk.write(Room::Meta, vec![floor::row(instance, seq)], Vec::new())?)
    }

    /// Writes a latch.
    pub(crate) fn build_latch(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let row = (name.into(), record::seal(SCHEMA_INLINE, name.as_bytes(), value));
        Ok(self.disk.write(Room::Latches, vec![row], Vec::new())?)
    }

    /// Describes the store as built in `epoch`, so that older marks do not bind it, and makes everything durable.
    pub(crate) fn build_end(&self, epoch: u32) -> Result<(), StoreError> {
        let rows = vec![meta_row(VERSION, SCHEMA_VERSION), meta_row(EPOCH, epoch), meta_row(REBUILT, epoch)];
        self.disk.write(Room::Meta, rows, Vec::new())?;
        Ok(self.disk.sync()?)
    }

    /// How far the facts of an instance have been pruned.
    pub(crate) fn floor(&self, instance: &InstanceKey) -> Result<Option<u64>, StoreError> {
        floor::read(&self.disk, instance)
    }
}
