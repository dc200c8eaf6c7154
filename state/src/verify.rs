//! Verification: reads a store row by row and says everything that is wrong with it.
//!
//! Owns the reports. Promises that every seal, every join of pieces, the density of each sequence, the floors and the
//! high-water marks are checked, that the first problem never ends the search, and that a panic of the database is a
//! problem like any other. Never changes a row and never decides what to do about a problem.

mod facts;
mod files;
mod snapshots;

use std::collections::BTreeSet;

pub(crate) use files::says_code;
pub use files::{UncheckedError, says_refusal};

use crate::disk::Room;
use crate::journal::StoreError;
use crate::key::{FACT_KEY_BYTES, FactId, InstanceKey, fact_key, parse_fact_key};
use crate::marks::{Known, Mark};
use crate::record;
use crate::store::{SCHEMA_VERSION, Store};

/// How many problems of one kind are told one by one.
const PROBLEMS_TOLD: usize = 20;
/// Looks at an instance whose recorder takes rows away meanwhile; each that is in vain means that some were pruned.
const LOOKS: usize = 100;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every row.
    Everything,
    /// Latches, marks, snapshots, and the facts after each instance's oldest snapshot: what a start needs.
    Tail,
}

/// What verification found out about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// The instance.
    pub instance: InstanceKey,
    /// Facts that were read and are whole.
    pub facts: u64,
    /// Its oldest fact, looked at or not.
    pub first: Option<FactId>,
    /// Its newest fact.
    pub last: Option<FactId>,
    /// Its snapshots that are whole, ascending.
    pub snapshots: Vec<FactId>,
    /// What is wrong.
    pub problems: Vec<String>,
    /// Whether the facts that were read are whole, reach the mark, and are all that there were or at least all since
    /// one of its whole snapshots.
    pub facts_whole: bool,
}

impl InstanceReport {
    /// Of an instance in a store that does not open.
    pub(crate) fn unreadable(instance: InstanceKey) -> Self {
        let problems = vec!["the store cannot be opened".to_string()];
        Self { instance, facts: 0, first: None, last: None, snapshots: Vec::new(), problems, facts_whole: false }
    }

    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the instance can go on from what is there without losing a fact: from a whole snapshot to which the
    /// facts reach back, or from the beginning.
    pub fn is_usable(&self) -> bool {
        let from_beginning = self.first.is_some_and(|first| first.seq <= 1);
        self.facts_whole && (from_beginning || !self.snapshots_reached().is_empty())
    }

    /// The whole snapshots to which the facts reach back, ascending.
    pub(crate) fn snapshots_reached(&self) -> Vec<FactId> {
        let reaches = |id: &FactId| self.first.is_none_or(|first| facts::reaches(*id, first));
        self.snapshots.iter().copied().filter(reaches).collect()
    }
}

/// What verification found out about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// What was looked at.
    pub scope: Scope,
    /// Each instance that has rows or a mark.
    pub instances: Vec<InstanceReport>,
    /// Latches whose seal holds.
    pub latches: u64,
    /// What is wrong with the latches.
    pub latch_problems: Vec<String>,
    /// What is wrong with the store itself.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems().next().is_none()
    }

    /// Everything that is wrong, in sentences that name their instance.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        let of = |report: &InstanceReport, problem: &String| format!("instance {}: {problem}", report.instance);
        let instances =
            self.instances.iter().flat_map(move |report| report.problems.iter().map(move |p| of(report, p)));
        self.problems.iter().chain(&self.latch_problems).cloned().chain(instances)
    }
}

impl Store {
    /// Checks every row as the open database has it, which need not be how it lies on the disk: see
    /// [`Store::verify_files`]. It may run beside the recorder.
    pub fn verify(&self) -> VerifyReport {
        run(self, &self.marked(), None, Scope::Everything)
    }

    /// Checks every row if there are at most `rows_max` facts, else what a start needs.
    pub fn verify_tail(&self, rows_max: u64) -> VerifyReport {
        run(self, &self.marked(), None, scope(self, rows_max))
    }
}

/// Everything for a store of up to `rows_max` facts, else the tail.
pub(crate) fn scope(store: &Store, rows_max: u64) -> Scope {
    let limit = usize::try_from(rows_max).unwrap_or(usize::MAX);
    let Ok(rows) = store.disk().rows(Room::Facts, &[]..=&HIGHEST) else { return Scope::Everything };
    // An error shows again, and is told, when the rows are checked; it may come again and again here.
    if rows.take_while(Result::is_ok).nth(limit).is_some() { Scope::Tail } else { Scope::Everything }
}

/// Above every key of ours, which begin with ASCII, and every short foreign one.
const HIGHEST: [u8; 64] = [u8::MAX; 64];

/// Checks `store` against what the marks and the epoch mark know.
pub(crate) fn run(store: &Store, known: &Known, marked: Option<u32>, scope: Scope) -> VerifyReport {
    let mut problems = Problems::default();
    let bound = describe(store, marked, known, &mut problems);
    let nothing = Known::default();
    let known = if bound { known } else { &nothing };
    let found = instances(store, &mut problems);
    let all: BTreeSet<InstanceKey> = found.into_iter().chain(known.instances.keys().copied()).collect();
    let instances = all.iter().map(|key| instance(store, key, known.instances.get(key).copied(), scope)).collect();
    let (latches, latch_problems) = latches(store, known);
    VerifyReport { scope, instances, latches, latch_problems, problems: problems.told() }
}

/// Checks one instance.
pub(crate) fn instance(store: &Store, instance: &InstanceKey, mark: Option<Mark>, scope: Scope) -> InstanceReport {
    let mark = mark.unwrap_or_default();
    let mut place = place(store, instance);
    let mut report = look(store, instance, mark, scope);
    for _ in 1..LOOKS {
        // What is damaged stays damaged; what was pruned between two reads was not.
        let was = std::mem::replace(&mut place, self::place(store, instance));
        if report.is_whole() || store.epoch() == 0 || was == place {
            break;
        }
        report = look(store, instance, mark, scope);
    }
    report
}

/// Where pruning has come to: facts go behind the floor, snapshots when there is a newer one.
fn place(store: &Store, instance: &InstanceKey) -> (Option<u64>, Option<FactId>) {
    (store.floor(instance).ok().flatten(), store.snapshot_before(instance, None).ok().flatten())
}

fn look(store: &Store, instance: &InstanceKey, mark: Mark, scope: Scope) -> InstanceReport {
    let mut problems = Problems::default();
    // Snapshots first: a fact that is written meanwhile cannot make one look ahead of the facts.
    let snapshots = snapshots::check(store, instance, mark, &mut problems);
    let until = match scope {
        Scope::Everything => None,
        Scope::Tail => snapshots.first().copied(),
    };
    let mut facts = facts::check(store, instance, mark, until, &snapshots, &mut problems);
    snapshots::check_against_facts(&snapshots, &mut facts, &mut problems);
    let facts::Facts { count, first, last, whole } = facts;
    let problems = problems.told();
    InstanceReport { instance: *instance, facts: count, first, last, snapshots, problems, facts_whole: whole }
}

/// Checks the store's own description; answers whether the marks speak of this store.
fn describe(store: &Store, marked: Option<u32>, known: &Known, problems: &mut Problems) -> bool {
    match store.version() {
        // Older versions are verified before they are migrated.
        Ok(Some(1..=SCHEMA_VERSION)) => {}
        Ok(Some(found)) => problems.add(format!("its schema version is {found}")),
        Ok(None) => problems.add("its schema version is missing"),
        Err(error) => problems.add(error),
    }
    let marked = marked.max(known.epoch);
    match store.stored_epoch() {
        Ok(Some(stored)) if marked.is_some_and(|marked| marked > stored) => {
            problems.add(format!("it is at epoch {stored}, but epoch {} has been", marked.unwrap_or(0)));
        }
        Ok(Some(_)) => {}
        Ok(None) => problems.add("its epoch is missing"),
        Err(error) => problems.add(error),
    }
    match store.is_bound_by(known) {
        Ok(bound) => bound,
        Err(error) => {
            problems.add(error);
            true
        }
    }
}

/// The instances that have rows of any kind.
pub(crate) fn instances(store: &Store, problems: &mut Problems) -> BTreeSet<InstanceKey> {
    let mut found = BTreeSet::new();
    let rooms = [(Room::Facts, "fact", 0), (Room::Snapshots, "snapshot", 4), (Room::LongFacts, "piece", 4)];
    for (room, kind, more) in rooms {
        let mut low = Vec::new();
        // From instance to instance, by the first key behind the last one's highest.
        while let Some(row) = store.disk().rows(room, &low..=&HIGHEST).map(|mut rows| rows.next()).transpose() {
            let key = match row.and_then(|row| row) {
                Ok((key, _)) => key,
                Err(error) => {
                    problems.add(error);
                    break;
                }
            };
            match parse_fact_key(&key).filter(|_| key.len() == FACT_KEY_BYTES + more) {
                Some((instance, _)) => {
                    // Pieces may outlive their fact; they alone make no instance.
                    if more == 0 || kind == "snapshot" {
                        found.insert(instance);
                    }
                    low = [fact_key(&instance, FactId::MAX).as_slice(), &[u8::MAX; 8]].concat();
                }
                None => {
                    problems.add(StoreError::ForeignKey { kind, key: key.clone() });
                    low = [key.as_slice(), &[0]].concat();
                }
            }
        }
    }
    found
}

fn latches(store: &Store, known: &Known) -> (u64, Vec<String>) {
    let mut problems = Problems::default();
    let readable = store.readable_latches(&mut problems);
    let mark = readable.mark.or(known.latches);
    if let (Some(mark), Some(sum)) = (mark, readable.sum)
        && !mark.accepts(sum)
    {
        problems.add(StoreError::LatchesLost { known: mark.settled.count, found: sum.count });
    }
    (readable.latches.len() as u64, problems.told())
}

/// Problems, of which a bounded number is told one by one.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    told: Vec<String>,
    more: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, problem: impl ToString) {
        if self.told.len() < PROBLEMS_TOLD {
            self.told.push(problem.to_string());
        } else {
            self.more += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    pub(crate) fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }
}

/// The payload of a sealed row; a problem if its seal does not hold.
fn opened<'a>(
    key: &[u8],
    value: &'a [u8],
    what: impl FnOnce() -> String,
    problems: &mut Problems,
) -> Option<(u8, &'a [u8])> {
    record::open(key, value).map_err(|fault| problems.add(format!("{} is damaged: {fault}", what()))).ok()
}

#[cfg(test)]
mod tests;
