//! What a state directory holds, fact by fact, and that none of it is gone later.
//!
//! Promises: a fact is the same only with its number, its epoch and its bytes. Replays come to the same end from any
//! place, so a start that has forgotten everything is found here and nowhere else: each start makes a new epoch, and
//! what it writes again is of that epoch. Facts may go by pruning only: then those that are left are later ones, and a
//! snapshot covers what went.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use supervisor_state::migrate::Unchanged;
use supervisor_state::{FactId, InstanceKey, StateDir, Store, StoreError, marks, restore};

use super::autopsy::epoch_mark;
use super::lab::copy_dir;

/// The journal of a bot, or that of the alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Journal {
    /// Places, ascending, and what stands there, in short.
    facts: Vec<(FactId, u64)>,
    /// Places of the snapshots that can be read, ascending.
    snapshots: Vec<FactId>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    epoch: u32,
    journals: BTreeMap<String, Journal>,
}

impl Durable {
    /// Reads an open store.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        let mut journals = BTreeMap::new();
        for bot in store.instances()? {
            journals.insert(bot.to_string(), Journal::of(store, &bot)?);
        }
        // To look into it is an opening as well.
        Ok(Self { epoch: store.epoch() - 1, journals })
    }

    /// Reads a copy, so that the state itself stays as it was found.
    pub fn found(state: &Path) -> Result<Self, StoreError> {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(state, copy.path());
        let lock = StateDir::acquire(copy.path()).unwrap();
        Self::of(&Store::open(&lock)?)
    }

    /// The same as far as the marks call it durable: what an end by SIGKILL leaves beyond them was not promised.
    pub fn marked(state: &Path) -> Result<Self, StoreError> {
        let (marks, _) = marks::read(state).unwrap().unwrap();
        let mut found = Self::found(state)?;
        for (bot, journal) in &mut found.journals {
            let mark = marks.instances.get(&InstanceKey::new(bot).unwrap()).and_then(|mark| mark.last);
            journal.facts.retain(|(id, _)| Some(*id) <= mark);
        }
        Ok(found)
    }

    /// The same after an end that may have come before the first opening of the store was complete.
    pub fn found_early(state: &Path) -> Self {
        let is_there = state.exists();
        let found = if is_there { Self::found(state) } else { Ok(Self::default()) };
        found.unwrap_or_else(|error| {
            assert_eq!(epoch_mark(state), 0, "opened before, and not now: {error}");
            Self::default()
        })
    }

    /// What stands in a backup.
    pub fn backed_up(backup: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(place.path()).unwrap();
        restore::restore(&lock, backup, 0, &Unchanged).unwrap();
        drop(lock);
        Self::found(place.path()).unwrap()
    }

    /// The place of a bot's newest fact.
    pub fn newest(&self, bot: &str) -> Option<FactId> {
        self.journals.get(bot)?.facts.last().map(|(id, _)| *id)
    }

    /// True when a bot's oldest fact is of a later epoch than everything in `before`.
    pub fn is_anew(&self, before: &Self, bot: &str) -> bool {
        let first = self.journals.get(bot).and_then(|journal| journal.facts.first());
        first.is_none_or(|(id, _)| id.epoch > before.epoch)
    }

    /// What stood in `before` and is neither here nor pruned, and every bot that began anew.
    pub fn lacks(&self, before: &Self) -> Vec<String> {
        before.journals.keys().flat_map(|bot| self.lacks_of(before, bot)).collect()
    }

    /// The same for one bot.
    pub fn lacks_of(&self, before: &Self, bot: &str) -> Vec<String> {
        let Some(old) = before.journals.get(bot) else { return Vec::new() };
        let nothing = Journal::default();
        let wrong = self.journals.get(bot).unwrap_or(&nothing).lacks(old);
        wrong.into_iter().map(|what| format!("{bot}: {what}")).collect()
    }

    /// Goes on to what is there after so many more openings; fails when anything is gone, or an epoch came twice.
    pub fn follow(&mut self, now: Self, openings: u32, what: &str) {
        let lost = now.lacks(self);
        assert!(lost.is_empty(), "{what}: forgotten: {lost:#?}");
        let (before, after) = (self.epoch, now.epoch);
        assert!(after >= before + openings, "{what}: epoch {before}, {openings} openings later epoch {after}");
        *self = now;
    }
}

impl Journal {
    fn of(store: &Store, bot: &InstanceKey) -> Result<Self, StoreError> {
        let brief = |payload: &[u8]| {
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            hasher.finish()
        };
        let mut facts = Vec::new();
        for stored in store.facts_rev(bot)? {
            let stored = stored?;
            facts.push((stored.id(), brief(&stored.payload)));
        }
        facts.reverse();
        let mut snapshots = store.snapshot_ids(bot)?;
        snapshots.retain(|id| store.snapshot(bot, *id).is_ok());
        Ok(Self { facts, snapshots })
    }

    fn lacks(&self, old: &Self) -> Vec<String> {
        let Some((newest, _)) = old.facts.last() else { return Vec::new() };
        let Some((first, _)) = self.facts.first() else { return vec![format!("nothing is left, {newest} was there")] };
        let (pruned, kept) = old.facts.split_at(old.facts.partition_point(|(id, _)| id < first));
        let mut wrong = Vec::new();
        // From the beginning on, or with a place in the sequence that leaves room for what went.
        let covered = |id: &FactId| *first <= *id || first.follows(Some(*id));
        if let Some((last, _)) = pruned.last()
            && (first.seq <= last.seq || !self.snapshots.iter().any(covered))
        {
            wrong.push(format!("{last} is gone, the oldest is {first}, snapshots: {:?}", self.snapshots));
        }
        let stands = |fact: &&(FactId, u64)| {
            self.facts.binary_search_by_key(&fact.0, |(id, _)| *id).is_ok_and(|at| self.facts[at].1 == fact.1)
        };
        if let Some((gone, _)) = kept.iter().find(|fact| !stands(fact)) {
            wrong.push(format!("{gone} is gone or has other bytes ({newest} was the newest)"));
        }
        if let Some(pair) = self.facts.windows(2).find(|pair| pair[1].0.seq != pair[0].0.seq + 1) {
            wrong.push(format!("it began anew: {} comes after {}", pair[1].0, pair[0].0));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(facts: &[(u32, u64)], snapshots: &[(u32, u64)]) -> Journal {
        let id = |(epoch, seq): &(u32, u64)| FactId { epoch: *epoch, seq: *seq };
        let facts = facts.iter().map(|place| (id(place), place.1)).collect();
        Journal { facts, snapshots: snapshots.iter().map(id).collect() }
    }

    #[test]
    fn only_what_was_pruned_may_be_gone() {
        let old = journal(&[(1, 1), (1, 2), (2, 3)], &[]);
        let good: [(&[_], &[_]); 4] = [
            (&[(1, 1), (1, 2), (2, 3)], &[]),
            (&[(1, 1), (1, 2), (2, 3), (4, 4)], &[]),
            (&[(2, 3), (2, 4), (2, 5)], &[(2, 4), (2, 5)]),
            (&[(5, 7), (5, 8)], &[(5, 6)]),
        ];
        for (facts, snapshots) in good {
            assert_eq!(journal(facts, snapshots).lacks(&old), Vec::<String>::new(), "{facts:?}");
        }
        let bad: [(&[_], &[_]); 7] = [
            (&[], &[(2, 3)]),
            (&[(1, 1), (1, 2)], &[]),
            (&[(1, 1), (1, 2), (3, 3)], &[]),
            (&[(3, 1), (3, 2), (3, 3), (3, 4)], &[(3, 4)]),
            (&[(1, 1), (1, 2), (2, 3), (3, 1)], &[]),
            (&[(2, 3), (2, 4)], &[]),
            (&[(2, 4), (2, 5)], &[(2, 2)]),
        ];
        for (facts, snapshots) in bad {
            assert_ne!(journal(facts, snapshots).lacks(&old), Vec::<String>::new(), "{facts:?}");
        }
        let mut other = old.clone();
        other.facts[1].1 = 9;
        assert!(other.lacks(&old)[0].contains("epoch 1 seq 2"));
    }

    #[test]
    #[should_panic(expected = "epoch 3, 1 openings later epoch 3")]
    fn an_epoch_comes_once() {
        let mut durable = Durable { epoch: 3, ..Durable::default() };
        durable.follow(durable.clone(), 0, "nothing was opened");
        durable.follow(durable.clone(), 1, "opened");
    }
}
