//! Floors: how far an instance's facts have been pruned.
//!
//! Owns one row per pruned instance beside the schema version: the number that its oldest fact has at most. Without it
//! facts that the database lost at the beginning of a sequence would look pruned. Promises that the row is written
//! before anything is removed (the database keeps the order of its writes over a crash) and is exact afterwards.

use crate::disk::{Disk, Room};
use crate::journal::{Pruned, SNAPSHOTS_KEPT, StoreError};
use crate::key::{FactId, InstanceKey, fact_key, parse_fact_key};
use crate::record::{self, SCHEMA_INLINE};

const PREFIX: &[u8] = b"floor ";

/// The number that the oldest fact of `instance` has at most; `None` when nothing was ever pruned or the row is
/// damaged.
pub(crate) fn read(disk: &Disk, instance: &InstanceKey) -> Result<Option<u64>, StoreError> {
    let key = key(instance);
    let Some(value) = disk.get(Room::Meta, &key)? else { return Ok(None) };
    let opened = record::open(&key, &value).ok();
    Ok(opened.and_then(|(_, payload)| payload.try_into().ok()).map(u64::from_be_bytes))
}

/// The row that says that the oldest fact of `instance` has the number `seq` at most.
pub(super) fn row(instance: &InstanceKey, seq: u64) -> (Vec<u8>, Vec<u8>) {
    let key = key(instance);
    let value = record::seal(SCHEMA_INLINE, &key, &seq.to_be_bytes());
    (key, value)
}

/// Raises the floor to the highest place that the coming step of pruning may leave; not at all where none is pruned.
pub(super) fn lift(
    disk: &Disk,
    instance: &InstanceKey,
    snapshots: &[FactId],
    facts_kept: u64,
    rows_max: usize,
) -> Result<(), StoreError> {
    if snapshots.len() < SNAPSHOTS_KEPT {
        return Ok(());
    }
    let (Some(first), Some(last)) = (end(disk, instance, false)?, end(disk, instance, true)?) else { return Ok(()) };
    let unneeded = last.seq.saturating_sub(facts_kept).saturating_add(1);
    let snapshot = snapshots.iter().map(|id| id.seq).min().unwrap_or(0);
    let bound = unneeded.min(snapshot).min(first.seq.saturating_add(rows_max as u64));
    if bound <= first.seq {
        return Ok(());
    }
    Ok(disk.write(Room::Meta, vec![row(instance, bound)], Vec::new())?)
}

/// Lowers the floor to where pruning ended.
pub(super) fn settle(disk: &Disk, instance: &InstanceKey, pruned: Pruned) -> Result<(), StoreError> {
    let Some(first) = end(disk, instance, false)?.filter(|_| pruned.facts > 0) else { return Ok(()) };
    Ok(disk.write(Room::Meta, vec![row(instance, first.seq)], Vec::new())?)
}

fn key(instance: &InstanceKey) -> Vec<u8> {
    [PREFIX, instance.as_bytes()].concat()
}

fn end(disk: &Disk, instance: &InstanceKey, last: bool) -> Result<Option<FactId>, StoreError> {
    let (low, high) = (fact_key(instance, FactId::MIN), fact_key(instance, FactId::MAX));
    let mut rows = disk.rows(Room::Facts, &low..=&high)?;
    let row = if last { rows.next_back() } else { rows.next() }.transpose()?;
    Ok(row.and_then(|(key, _)| parse_fact_key(&key)).map(|(_, id)| id))
}
