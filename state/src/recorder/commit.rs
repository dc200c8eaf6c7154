//! The recorder's thread: gather what is queued, check it, write it, sync once, answer; then the snapshots, then a step
//! of pruning.
//!
//! Owns the last place of each instance's sequence, its fence and the first failure. Promises what [`super`] says.
//! Never writes after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::answer::{Answer, Shared, StorageState, locked};
use super::error::guarded;
use super::group::{Command, Group, Item, Pending, Work};
use super::relief::{Kept, Unsynced};
use super::{PRUNED_AT_ONCE, RECORD_BYTES_MAX, RecordError, Settings};
use crate::journal::{NewFact, StateStore};
use crate::key::{FactId, InstanceKey};

/// How long written facts may wait for a sync that nobody asked for.
const LAZY: Duration = Duration::from_millis(200);

/// A checked batch: who is answered, and what, once the group is durable.
type Outcome = (Answer, Result<u64, RecordError>);

/// A group after the check.
#[derive(Default)]
struct Checked {
    facts: Vec<NewFact>,
    outcomes: Vec<Outcome>,
    snapshots: Vec<(Kept, Answer)>,
}

impl Checked {
    fn is_asked(&self) -> bool {
        self.outcomes.iter().any(|(answer, outcome)| answer.is_wanted() && outcome.is_ok())
    }
}

pub(super) struct Committer<S> {
    pub(super) store: Arc<S>,
    pub(super) shared: Arc<Shared>,
    /// Where each sequence ends, as far as it was asked for; `None` for one that has not begun.
    pub(super) last: BTreeMap<InstanceKey, Option<FactId>>,
    pub(super) unsynced: Unsynced,
    settings: Settings,
    fences: BTreeMap<InstanceKey, u32>,
    pruning: BTreeSet<InstanceKey>,
    failure: Option<RecordError>,
}

impl<S: StateStore> Committer<S> {
    pub(super) fn new(store: Arc<S>, shared: Arc<Shared>, settings: Settings) -> Self {
        Self {
            store,
            shared,
            last: BTreeMap::new(),
            unsynced: Unsynced::default(),
            settings,
            fences: BTreeMap::new(),
            pruning: BTreeSet::new(),
            failure: None,
        }
    }

    /// Works until it is told to stop or nobody is left who could append.
    pub(super) fn run(mut self, commands: &Receiver<Command>) -> Result<(), RecordError> {
        self.replenish();
        loop {
            let mut group = match self.wait(commands) {
                Ok(first) => Group::gather(first, commands),
                Err(Gone) => Group::last(),
            };
            let stop = group.stop;
            self.commit(&mut group);
            if stop {
                return self.failure.map_or(Ok(()), Err);
            }
        }
    }

    /// The next command; none when there is something to do without one.
    fn wait(&self, commands: &Receiver<Command>) -> Result<Option<Command>, Gone> {
        if !self.pruning.is_empty() {
            return match commands.try_recv() {
                Ok(command) => Ok(Some(command)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err(Gone),
            };
        }
        let Some(since) = self.unsynced.since else { return commands.recv().map(Some).map_err(|_| Gone) };
        match commands.recv_timeout(LAZY.saturating_sub(since.elapsed())) {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }

    fn commit(&mut self, group: &mut Group) {
        let started = Instant::now();
        self.look_up(&group.items);
        let mut checked = self.check(std::mem::take(&mut group.items));
        let is_overdue = self.unsynced.since.is_some_and(|since| since.elapsed() >= LAZY);
        let urgent = is_overdue || group.stop || !group.flushes.is_empty();
        let asked = checked.is_asked() || !checked.snapshots.is_empty();
        self.write(std::mem::take(&mut checked.facts), started);
        if urgent || asked {
            self.sync(started);
        }
        for (answer, outcome) in checked.outcomes {
            answer.give(outcome.and_then(|seq| self.unless_failed(seq)));
        }
        self.write_snapshots(checked.snapshots, urgent, started);
        self.prune(started);
        for reply in std::mem::take(&mut group.flushes) {
            // Whoever asked may have given up waiting.
            let _ = reply.send(self.unless_failed(()));
        }
        if group.replenish {
            self.replenish();
        }
    }

    fn unless_failed<T>(&self, value: T) -> Result<T, RecordError> {
        self.failure.clone().map_or(Ok(value), Err)
    }

    /// Learns where the sequences of a group end. The first look at a store that somebody else found full.
    fn look_up(&mut self, items: &[Item]) {
        if self.failure.is_some() {
            return;
        }
        let checked = guarded(|| self.store.check());
        self.settle(checked);
        for item in items {
            let Item::Work(Pending { instance, .. }) = item else { continue };
            if self.failure.is_some() || self.last.contains_key(instance) {
                continue;
            }
            let mut last = guarded(|| self.store.last_fact_id(instance));
            if last.as_ref().is_err_and(RecordError::is_storage_full) {
                self.settle(last.map(drop));
                last = guarded(|| self.store.last_fact_id(instance));
            }
            // Also that there is none: asked once more, the store may have been found full meanwhile.
            if let Ok(last) = last {
                self.last.insert(*instance, last);
            }
        }
    }

    fn check(&mut self, items: Vec<Item>) -> Checked {
        let mut checked = Checked::default();
        for item in items {
            match item {
                Item::Fence { instance, generation } => {
                    let fence = self.fences.entry(instance).or_default();
                    *fence = generation.max(*fence);
                }
                Item::Work(pending) => self.check_work(pending, &mut checked),
            }
        }
        checked
    }

    fn check_work(&mut self, pending: Pending, checked: &mut Checked) {
        let Pending { instance, generation, work, answer } = pending;
        let admitted = self.unless_failed(()).and_then(|()| self.check_fence(instance, generation));
        match work {
            Work::Records { first_seq, records } => {
                let outcome = admitted.and_then(|()| self.admit(instance, first_seq, &records));
                if outcome.is_ok() {
                    let numbered = records.into_iter().zip(first_seq..);
                    checked.facts.extend(numbered.map(|(payload, seq)| NewFact { instance, seq, payload }));
                }
                checked.outcomes.push((answer, outcome));
            }
            Work::Snapshot { seq, bytes } => match admitted.and_then(|()| self.check_place(instance, seq)) {
                Ok(()) => checked.snapshots.push((Kept { instance, seq, bytes }, answer)),
                Err(error) => checked.outcomes.push((answer, Err(error))),
            },
        }
    }

    fn check_fence(&self, instance: InstanceKey, generation: u32) -> Result<(), RecordError> {
        match self.fences.get(&instance) {
            Some(&current) if generation < current => Err(RecordError::Fenced { instance, generation, current }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks a batch against the sequence of its instance and moves the sequence on; answers its last number.
    fn admit(&mut self, instance: InstanceKey, first_seq: u64, records: &[Vec<u8>]) -> Result<u64, RecordError> {
        let last = self.last(instance)?;
        let Some(more) = (records.len() as u64).checked_sub(1) else { return Ok(last.map_or(0, |last| last.seq)) };
        let epoch = self.store.epoch();
        let expected = last.map_or(1, |last| last.seq.saturating_add(1));
        let refused = RecordError::Sequence { instance, expected, got: first_seq };
        if !(FactId { epoch, seq: first_seq }).follows(last) {
            return Err(refused);
        }
        // The very last number stays free, or counting past it would overflow.
        let seq = first_seq.checked_add(more).filter(|seq| *seq < u64::MAX).ok_or(refused)?;
        if let Some((long, seq)) = records.iter().zip(first_seq..).find(|(record, _)| record.len() > RECORD_BYTES_MAX) {
            return Err(RecordError::TooLong { instance, seq, bytes: long.len() });
        }
        self.last.insert(instance, Some(FactId { epoch, seq }));
        Ok(seq)
    }

    /// A snapshot must not contain what was never appended.
    fn check_place(&self, instance: InstanceKey, seq: u64) -> Result<(), RecordError> {
        let last = self.last(instance)?.map_or(0, |last| last.seq);
        if seq > last { Err(RecordError::SnapshotAhead { instance, seq, last }) } else { Ok(()) }
    }

    fn last(&self, instance: InstanceKey) -> Result<Option<FactId>, RecordError> {
        if let Some(last) = self.last.get(&instance) {
            return Ok(*last);
        }
        guarded(|| self.store.last_fact_id(&instance))
    }

    fn write(&mut self, facts: Vec<NewFact>, started: Instant) {
        if facts.is_empty() || self.failure.is_some() {
            return;
        }
        let (records, bytes) = (facts.len() as u64, facts.iter().map(|fact| fact.payload.len() as u64).sum());
        self.unsynced.facts.extend_from_slice(&facts);
        self.unsynced.since.get_or_insert(started);
        let written = guarded(|| self.store.append(facts));
        if self.settle(written) {
            self.shared.records.fetch_add(records, Ordering::Relaxed);
            self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn sync(&mut self, started: Instant) {
        if self.unsynced.since.is_none() || self.failure.is_some() {
            return;
        }
        let synced = guarded(|| self.store.sync());
        if self.settle(synced) {
            self.unsynced = Unsynced::default();
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            locked(&self.shared.meter).add(nanoseconds);
        }
    }

    /// The facts that they contain are durable by now.
    fn write_snapshots(&mut self, snapshots: Vec<(Kept, Answer)>, urgent: bool, started: Instant) {
        let mut outcomes = Vec::with_capacity(snapshots.len());
        let asked = snapshots.iter().any(|(_, answer)| answer.is_wanted());
        for (snapshot, answer) in snapshots {
            outcomes.push((answer, snapshot.seq));
            self.write_snapshot(snapshot, started);
        }
        if asked || (urgent && !outcomes.is_empty()) {
            self.sync(started);
        }
        for (answer, seq) in outcomes {
            answer.give(self.unless_failed(seq));
        }
    }

    fn write_snapshot(&mut self, snapshot: Kept, started: Instant) {
        if self.failure.is_some() {
            return;
        }
        let instance = snapshot.instance;
        let written = guarded(|| self.store.write_snapshot(&instance, snapshot.seq, &snapshot.bytes));
        // Before it is settled: a full disk may ask for it once more.
        self.unsynced.snapshots.push(snapshot);
        self.unsynced.since.get_or_insert(started);
        if self.settle(written) {
            self.shared.snapshots.fetch_add(1, Ordering::Relaxed);
            self.pruning.insert(instance);
        }
    }

    /// One step for one instance, so that nobody waits long for it.
    fn prune(&mut self, started: Instant) {
        let Some(instance) = self.pruning.pop_first().filter(|_| self.failure.is_none()) else { return };
        let (facts_kept, mut facts) = (self.settings.facts_kept, 0);
        let pruned = guarded(|| self.store.prune(&instance, facts_kept, PRUNED_AT_ONCE)).map(|pruned| {
            facts = pruned.facts;
            if pruned.more {
                self.pruning.insert(instance);
            }
        });
        if facts > 0 {
            self.shared.pruned.fetch_add(facts, Ordering::Relaxed);
            self.unsynced.since.get_or_insert(started);
        }
        self.settle(pruned);
    }

    /// Whether an operation succeeded, or everything that it was about is durable after a full disk; else this is the
    /// end.
    fn settle(&mut self, outcome: Result<(), RecordError>) -> bool {
        let Err(failure) = outcome.or_else(|failure| self.relieve(failure)) else { return true };
        self.fail(failure);
        false
    }

    fn fail(&mut self, failure: RecordError) {
        let event = "recorder.failed";
        tracing::error!(target: "recorder", event, error = %failure, "facts can no longer be made durable");
        *locked(&self.shared.last_error) = Some(failure.clone());
        *locked(&self.shared.storage) = StorageState::Failed { error: failure.cause() };
        self.unsynced = Unsynced::default();
        self.pruning.clear();
        self.failure = Some(failure);
    }

    /// Sets the reserve aside, if it can be.
    fn replenish(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let made = guarded(|| self.store.replenish(self.settings.reserve_bytes));
        let mut storage = locked(&self.shared.storage);
        match (made, &*storage) {
            (Ok(()), _) => *storage = StorageState::Good,
            (Err(error), StorageState::Good) => {
                let event = "recorder.reserve";
                tracing::warn!(target: "recorder", event, %error, "there is no reserve for a full disk");
                *storage = StorageState::Low { since_what: error.cause() };
            }
            (Err(_), StorageState::Low { .. } | StorageState::Failed { .. }) => {}
        }
    }
}

/// Nobody is left who could append.
struct Gone;
