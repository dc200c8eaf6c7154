//! Facts: the sequences of the instances.
//!
//! Owns the rows of facts, short and long. Promises that a read never passes over a hole: each fact is compared with
//! the one before it, also the first of a range with its predecessor outside. Never renumbers or repairs.

use super::Store;
use crate::chunks::{self, CHUNK_BYTES};
use crate::disk::{Disk, Room, Rows};
use crate::journal::{NewFact, Pruned, SNAPSHOTS_KEPT, StateStore, StoreError, StoredFact};
use crate::key::{FactId, InstanceKey, fact_key, parse_fact_key};
use crate::record::{self, SCHEMA_CHUNKED, SCHEMA_INLINE};

impl Store {
    /// The facts of an instance from `from` on (inclusive; from the oldest when `None`), at most `limit`, ascending.
    pub fn facts(
        &self,
        instance: &InstanceKey,
        from: Option<FactId>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, StoreError> {
        let from = from.unwrap_or(FactId::MIN);
        let mut before = None;
        let mut facts = Vec::new();
        for row in rows(&self.disk, instance, from, FactId::MAX)?.take(limit) {
            let fact = read(&self.disk, instance, row?)?;
            if facts.is_empty() {
                before = predecessor(&self.disk, instance, fact.id())?;
            }
            check_order(instance, before, fact.id())?;
            before = Some(fact.id());
            facts.push(fact);
        }
        Ok(facts)
    }

    /// The newest `limit` facts of an instance, ascending.
    pub fn last_facts(&self, instance: &InstanceKey, limit: usize) -> Result<Vec<StoredFact>, StoreError> {
        let mut facts = self.facts_rev(instance)?.take(limit).collect::<Result<Vec<_>, _>>()?;
        facts.reverse();
        Ok(facts)
    }

    /// The facts of an instance from the newest to the oldest, read as they are asked for.
    pub fn facts_rev(&self, instance: &InstanceKey) -> Result<FactsRev<'_>, StoreError> {
        let rows = rows(&self.disk, instance, FactId::MIN, FactId::MAX)?;
        Ok(FactsRev { disk: &self.disk, instance: *instance, rows, after: None, ended: false })
    }

    /// The instances that have facts, in the order of their ids.
    pub fn instances(&self) -> Result<Vec<InstanceKey>, StoreError> {
        let mut instances: Vec<InstanceKey> = Vec::new();
        loop {
            let low = instances.last().map_or(vec![0], |last| fact_key(last, FactId::MAX).to_vec());
            let mut rows = self.disk.rows(Room::Facts, &low..=&[u8::MAX])?;
            // The range starts at the highest key of the last instance, which may exist.
            let next = loop {
                let Some(row) = rows.next() else { return Ok(instances) };
                let (instance, _) = parse(&row?.0)?;
                if instances.last() != Some(&instance) {
                    break instance;
                }
            };
            instances.push(next);
        }
    }

    /// The place of an instance's newest fact; a new writer of the same epoch goes on behind it.
    pub fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        StateStore::last_fact_id(self, instance)
    }
}

/// Facts from the newest to the oldest; ends after the first error.
pub struct FactsRev<'a> {
    disk: &'a Disk,
    instance: InstanceKey,
    rows: Rows,
    after: Option<FactId>,
    ended: bool,
}

impl FactsRev<'_> {
    fn step(&mut self) -> Result<Option<StoredFact>, StoreError> {
        let Some(row) = self.rows.next_back() else { return Ok(None) };
        let fact = read(self.disk, &self.instance, row?)?;
        if let Some(after) = self.after.replace(fact.id()) {
            check_order(&self.instance, Some(fact.id()), after)?;
        }
        Ok(Some(fact))
    }
}

impl Iterator for FactsRev<'_> {
    type Item = Result<StoredFact, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Writes all facts or none: the pieces of long ones first, since pieces without their fact do no harm.
pub(super) fn append(disk: &Disk, epoch: u32, facts: Vec<NewFact>) -> Result<(), StoreError> {
    let mut pieces = Vec::new();
    let mut values = Vec::with_capacity(facts.len());
    for NewFact { instance, seq, payload } in facts {
        let key = fact_key(&instance, FactId { epoch, seq });
        let value = if payload.len() <= CHUNK_BYTES {
            record::seal(SCHEMA_INLINE, &key, &payload)
        } else {
            pieces.extend(chunks::split(&key, &payload));
            record::seal(SCHEMA_CHUNKED, &key, &[])
        };
        values.push((key.to_vec(), value));
    }
    if !pieces.is_empty() {
        disk.write(Room::LongFacts, pieces, Vec::new())?;
    }
    Ok(disk.write(Room::Facts, values, Vec::new())?)
}

/// Removes up to `rows_max` of the oldest rows that nobody needs: facts older than each of at least two snapshots and
/// not among the `facts_kept` newest numbers, and pieces whose fact is gone. Facts go first, since pieces without their
/// fact do no harm. Numbers go on over epochs; a sequence that began anew keeps its older facts until it has caught up.
pub(super) fn prune(
    disk: &Disk,
    instance: &InstanceKey,
    snapshots: &[FactId],
    facts_kept: u64,
    rows_max: usize,
) -> Result<Pruned, StoreError> {
    let (Some(oldest), Some(last)) = (first_id(disk, instance)?, last_id(disk, instance)?) else {
        return Ok(Pruned::default());
    };
    let pieces = pieces_before(disk, instance, oldest, rows_max)?;
    let mut budget = rows_max - pieces.len();
    if !pieces.is_empty() {
        disk.write(Room::LongFacts, Vec::new(), pieces)?;
    }
    let is_needed = |id: FactId| {
        // The newest always stays: the sequence goes on behind it.
        let is_new = id.seq.saturating_add(facts_kept.max(1)) > last.seq;
        let is_after = |snapshot: &FactId| id >= *snapshot || id.seq >= snapshot.seq;
        is_new || snapshots.len() < SNAPSHOTS_KEPT || snapshots.iter().any(is_after)
    };
    let mut gone = Vec::new();
    let mut left_pieces = false;
    for row in rows(disk, instance, oldest, last)? {
        let (key, value) = row?;
        if budget == 0 || is_needed(parse(&key)?.1) {
            break;
        }
        budget -= 1;
        left_pieces |= value.first() == Some(&SCHEMA_CHUNKED);
        gone.push(key);
    }
    let facts = gone.len() as u64;
    if !gone.is_empty() {
        disk.write(Room::Facts, Vec::new(), gone)?;
    }
    Ok(Pruned { facts, more: budget == 0 || left_pieces })
}

fn first_id(disk: &Disk, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
    let first = rows(disk, instance, FactId::MIN, FactId::MAX)?.next().transpose()?;
    first.map(|(key, _)| Ok(parse(&key)?.1)).transpose()
}

/// Keys of pieces of facts older than `oldest`.
fn pieces_before(
    disk: &Disk,
    instance: &InstanceKey,
    oldest: FactId,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let (low, high) = (fact_key(instance, FactId::MIN), fact_key(instance, oldest));
    // A piece's key is longer than its fact's, so the pieces of `oldest` itself lie behind `high`.
    disk.rows(Room::LongFacts, &low..=&high)?.take(limit).map(|row| Ok(row?.0)).collect()
}

/// The newest fact's place, without opening the fact.
pub(super) fn last_id(disk: &Disk, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
    let last = rows(disk, instance, FactId::MIN, FactId::MAX)?.next_back().transpose()?;
    last.map(|(key, _)| Ok(parse(&key)?.1)).transpose()
}

fn rows(disk: &Disk, instance: &InstanceKey, low: FactId, high: FactId) -> Result<Rows, StoreError> {
    Ok(disk.rows(Room::Facts, &fact_key(instance, low)..=&fact_key(instance, high))?)
}

fn predecessor(disk: &Disk, instance: &InstanceKey, id: FactId) -> Result<Option<FactId>, StoreError> {
    for row in rows(disk, instance, FactId::MIN, id)?.rev() {
        let (_, found) = parse(&row?.0)?;
        if found < id {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The oldest fact may have any number: those before it may have been pruned.
fn check_order(instance: &InstanceKey, before: Option<FactId>, id: FactId) -> Result<(), StoreError> {
    match before {
        Some(after) if !id.follows(Some(after)) => Err(StoreError::Hole { instance: *instance, after, found: id }),
        Some(_) | None => Ok(()),
    }
}

fn parse(key: &[u8]) -> Result<(InstanceKey, FactId), StoreError> {
    parse_fact_key(key).ok_or_else(|| StoreError::ForeignKey { kind: "fact", key: key.to_vec() })
}

fn read(disk: &Disk, instance: &InstanceKey, (key, value): (Vec<u8>, Vec<u8>)) -> Result<StoredFact, StoreError> {
    let (_, id) = parse(&key)?;
    let damaged = |fault| StoreError::DamagedFact { instance: *instance, id, fault };
    let (schema, payload) = record::open(&key, &value).map_err(damaged)?;
    let payload = if schema == SCHEMA_CHUNKED { read_long(disk, instance, id, &key)? } else { payload.to_vec() };
    Ok(StoredFact { epoch: id.epoch, seq: id.seq, payload })
}

fn read_long(disk: &Disk, instance: &InstanceKey, id: FactId, key: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (low, high) = (chunks::chunk_key(key, 0), chunks::chunk_key(key, u32::MAX));
    let rows = disk.rows(Room::LongFacts, &low..=&high)?.collect::<Result<Vec<_>, _>>()?;
    chunks::join(key, &rows).map_err(|fault| StoreError::DamagedLongFact { instance: *instance, id, fault })
}
