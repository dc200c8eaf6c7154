//! The facts of one instance, read from the newest to the oldest.
//!
//! Promises that a hole, a broken seal and a loss at either end are each told. Never reads on behind an error of the
//! database.

use super::{Problems, opened};
use crate::chunks;
use crate::disk::Room;
use crate::journal::StoreError;
use crate::key::{FACT_KEY_BYTES, FactId, InstanceKey, fact_key, parse_fact_key};
use crate::marks::Mark;
use crate::record::SCHEMA_CHUNKED;
use crate::store::Store;

/// What was found out about the facts.
pub(super) struct Facts {
    pub(super) count: u64,
    pub(super) first: Option<FactId>,
    pub(super) last: Option<FactId>,
    pub(super) whole: bool,
}

/// Checks the facts from the newest back to the one at or before `until`, all of them when `None`. Those missing before
/// the oldest are told; what follows on one of the whole `snapshots` is whole without them.
pub(super) fn check(
    store: &Store,
    instance: &InstanceKey,
    mark: Mark,
    until: Option<FactId>,
    snapshots: &[FactId],
    problems: &mut Problems,
) -> Facts {
    let mut own = Problems::default();
    let mut walk = Walk { store, instance, count: 0, last: None, after: None, problems: &mut own };
    if let Err(error) = walk.back_to(until) {
        walk.problems.add(error);
    }
    let (count, last) = (walk.count, walk.last);
    let first = first(store, instance).unwrap_or_else(|error| {
        own.add(error);
        None
    });
    check_end(last, mark, &mut own);
    let mut before = Problems::default();
    check_beginning(store, instance, first, &mut before);
    let is_reached = first.is_some_and(|first| snapshots.iter().any(|id| reaches(*id, first)));
    let whole = own.is_empty() && (before.is_empty() || is_reached);
    own.told().into_iter().chain(before.told()).for_each(|problem| problems.add(problem));
    Facts { count, first, last, whole }
}

struct Walk<'a> {
    store: &'a Store,
    instance: &'a InstanceKey,
    count: u64,
    last: Option<FactId>,
    after: Option<FactId>,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    fn back_to(&mut self, until: Option<FactId>) -> Result<(), StoreError> {
        let (low, high) = (fact_key(self.instance, FactId::MIN), fact_key(self.instance, FactId::MAX));
        let rows = self.store.disk().rows(Room::Facts, &low..=&high)?;
        for row in rows.rev() {
            let (key, value) = row?;
            let Some((_, id)) = parse_fact_key(&key).filter(|_| key.len() == FACT_KEY_BYTES) else {
                self.problems.add(StoreError::ForeignKey { kind: "fact", key });
                continue;
            };
            self.step(id, &key, &value)?;
            if until.is_some_and(|until| id <= until) {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, id: FactId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.last.get_or_insert(id);
        if let Some(after) = self.after.replace(id).filter(|after| !after.follows(Some(id))) {
            self.problems.add(format!("a hole: {id} is followed by {after}"));
        }
        let Some((schema, _)) = opened(key, value, || format!("fact {id}"), self.problems) else { return Ok(()) };
        if schema == SCHEMA_CHUNKED && !self.is_joined(id, key)? {
            return Ok(());
        }
        self.count += 1;
        Ok(())
    }

    fn is_joined(&mut self, id: FactId, key: &[u8]) -> Result<bool, StoreError> {
        let (low, high) = (chunks::chunk_key(key, 0), chunks::chunk_key(key, u32::MAX));
        let rows = self.store.disk().rows(Room::LongFacts, &low..=&high)?.collect::<Result<Vec<_>, _>>()?;
        let joined = chunks::join(key, &rows);
        Ok(joined.map_err(|fault| self.problems.add(format!("fact {id} is damaged: {fault}"))).is_ok())
    }
}

fn first(store: &Store, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
    let (low, high) = (fact_key(instance, FactId::MIN), fact_key(instance, FactId::MAX));
    let row = store.disk().rows(Room::Facts, &low..=&high)?.next().transpose()?;
    Ok(row.and_then(|(key, _)| parse_fact_key(&key)).map(|(_, id)| id))
}

/// Whether facts that begin with `first` leave no gap behind a snapshot.
pub(super) fn reaches(snapshot: FactId, first: FactId) -> bool {
    first <= snapshot || first.follows(Some(snapshot))
}

/// A loss of the newest facts leaves no hole: the mark tells it.
fn check_end(last: Option<FactId>, mark: Mark, problems: &mut Problems) {
    if last < mark.last {
        let [known, found] = [mark.last, last].map(|id| id.map_or_else(|| "none".to_string(), |id| id.to_string()));
        problems.add(format!("facts are missing at the end: {known} was durable, the newest is {found}"));
    }
}

/// Nor does a loss of the oldest: the floor tells it.
fn check_beginning(store: &Store, instance: &InstanceKey, first: Option<FactId>, problems: &mut Problems) {
    let Some(first) = first.filter(|first| first.seq > 1) else { return };
    match store.floor(instance) {
        Ok(Some(floor)) if first.seq <= floor => {}
        Ok(floor) => {
            let expected = floor.unwrap_or(1);
            problems.add(format!("facts are missing at the beginning: the oldest is {first}, expected is {expected}"));
        }
        Err(error) => problems.add(error),
    }
}
