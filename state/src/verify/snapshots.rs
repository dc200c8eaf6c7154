//! The snapshots of one instance.
//!
//! Promises that each one that is answered was joined and its checksum held.

use super::Problems;
use super::facts::{Facts, reaches};
use crate::chunks::{self, Row};
use crate::disk::Room;
use crate::journal::StoreError;
use crate::key::{FACT_KEY_BYTES, FactId, InstanceKey, fact_key, parse_fact_key};
use crate::marks::Mark;
use crate::store::Store;

/// Checks all snapshots against their seals and the mark; answers those that are whole, ascending.
pub(super) fn check(store: &Store, instance: &InstanceKey, mark: Mark, problems: &mut Problems) -> Vec<FactId> {
    let mut whole = Vec::new();
    if let Err(error) = walk(store, instance, &mut whole, problems) {
        problems.add(error);
    }
    if whole.last().copied() < mark.snapshot {
        let known = mark.snapshot.map_or_else(String::new, |id| id.to_string());
        problems.add(format!("its newest snapshot is missing: {known} was durable"));
    } else if whole.len() < usize::from(mark.snapshots) {
        problems.add(format!("it had {} snapshots, whole are {}", mark.snapshots, whole.len()));
    }
    whole
}

/// A snapshot is taken after its last fact is durable, and facts are pruned only up to the oldest snapshot. One that is
/// ahead says that facts have been lost.
pub(super) fn check_against_facts(snapshots: &[FactId], facts: &mut Facts, problems: &mut Problems) {
    let (Some(first), Some(last)) = (facts.first, facts.last) else { return };
    for id in snapshots {
        if *id > last && id.seq > last.seq {
            facts.whole = false;
            problems.add(format!("snapshot {id} is ahead of the newest fact {last}"));
        }
        if !reaches(*id, first) {
            problems.add(format!("facts are missing between snapshot {id} and the oldest fact {first}"));
        }
    }
}

fn walk(
    store: &Store,
    instance: &InstanceKey,
    whole: &mut Vec<FactId>,
    problems: &mut Problems,
) -> Result<(), StoreError> {
    let low = fact_key(instance, FactId::MIN);
    let high = chunks::chunk_key(&fact_key(instance, FactId::MAX), u32::MAX);
    let mut open: Option<(FactId, Vec<Row>)> = None;
    let mut outcome = Ok(());
    for row in store.disk().rows(Room::Snapshots, &low..=&high)? {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                outcome = Err(error.into());
                break;
            }
        };
        let Some((_, id)) = parse_fact_key(&row.0).filter(|_| row.0.len() == FACT_KEY_BYTES + 4) else {
            problems.add(StoreError::ForeignKey { kind: "snapshot", key: row.0 });
            continue;
        };
        match &mut open {
            Some((of, rows)) if *of == id => rows.push(row),
            Some(_) | None => join(instance, open.replace((id, vec![row])), whole, problems),
        }
    }
    join(instance, open, whole, problems);
    outcome
}

fn join(
    instance: &InstanceKey,
    complete: Option<(FactId, Vec<Row>)>,
    whole: &mut Vec<FactId>,
    problems: &mut Problems,
) {
    let Some((id, rows)) = complete else { return };
    match chunks::join(&fact_key(instance, id), &rows) {
        Ok(_) => whole.push(id),
        Err(fault) => problems.add(format!("snapshot {id} is damaged: {fault}")),
    }
}
