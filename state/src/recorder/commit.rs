//! The recorder's thread: gather what is queued, check it, write it, sync once, answer.
//!
//! Owns the last place of each instance's sequence and the first failure. Promises what [`super`] says. Never writes
//! after a failure.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::{Answer, Command, Pending, RECORD_BYTES_MAX, RecordError, Shared, locked};
use crate::disk::panic_message;
use crate::journal::{NewFact, StateStore, StoreError};
use crate::key::{FactId, InstanceKey};

const GROUP_BATCHES_MAX: usize = 4096;
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long written facts may wait for a sync that nobody asked for.
const LAZY: Duration = Duration::from_millis(200);

/// What is committed together.
#[derive(Default)]
struct Group {
    batches: Vec<Pending>,
    bytes: usize,
    flushes: Vec<Sender<Result<(), RecordError>>>,
    stop: bool,
}

impl Group {
    fn add(&mut self, command: Command) {
        match command {
            Command::Append(pending) => {
                self.bytes += pending.records.iter().map(Vec::len).sum::<usize>();
                self.batches.push(pending);
            }
            Command::Flush(reply) => self.flushes.push(reply),
            Command::Stop => self.stop = true,
        }
    }

    fn is_full(&self) -> bool {
        self.stop || self.batches.len() >= GROUP_BATCHES_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}

/// A checked batch: who is answered, and what, once the group is durable.
type Outcome = (Answer, Result<u64, RecordError>);

pub(super) struct Committer<S> {
    store: Arc<S>,
    shared: Arc<Shared>,
    last: BTreeMap<InstanceKey, FactId>,
    failure: Option<RecordError>,
    unsynced_since: Option<Instant>,
}

impl<S: StateStore> Committer<S> {
    pub(super) fn new(store: Arc<S>, shared: Arc<Shared>) -> Self {
        Self { store, shared, last: BTreeMap::new(), failure: None, unsynced_since: None }
    }

    /// Works until it is told to stop or nobody is left who could append.
    pub(super) fn run(mut self, commands: &Receiver<Command>) -> Result<(), RecordError> {
        loop {
            let mut group = Group::default();
            let mut must_sync = false;
            match self.wait(commands) {
                Ok(command) => group.add(command),
                Err(RecvTimeoutError::Timeout) => must_sync = true,
                Err(RecvTimeoutError::Disconnected) => group.stop = true,
            }
            while !group.is_full() {
                let Ok(command) = commands.try_recv() else { break };
                group.add(command);
            }
            let stop = group.stop;
            self.commit(group, must_sync || self.is_overdue());
            if stop {
                return self.failure.map_or(Ok(()), Err);
            }
        }
    }

    fn wait(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.unsynced_since {
            Some(since) => commands.recv_timeout(LAZY.saturating_sub(since.elapsed())),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn is_overdue(&self) -> bool {
        self.unsynced_since.is_some_and(|since| since.elapsed() >= LAZY)
    }

    fn commit(&mut self, group: Group, must_sync: bool) {
        let started = Instant::now();
        let (facts, outcomes) = self.check(group.batches);
        let asked = outcomes.iter().any(|(answer, outcome)| answer.is_wanted() && outcome.is_ok());
        self.write(facts, started);
        if must_sync || asked || group.stop || !group.flushes.is_empty() {
            self.sync(started);
        }
        for (answer, outcome) in outcomes {
            answer.give(outcome.and_then(|seq| self.failure.clone().map_or(Ok(seq), Err)));
        }
        for reply in group.flushes {
            // Whoever asked may have given up waiting.
            let _ = reply.send(self.failure.clone().map_or(Ok(()), Err));
        }
    }

    fn check(&mut self, batches: Vec<Pending>) -> (Vec<NewFact>, Vec<Outcome>) {
        let mut facts = Vec::new();
        let mut outcomes = Vec::with_capacity(batches.len());
        for Pending { instance, first_seq, records, answer } in batches {
            let outcome = self.admit(instance, first_seq, &records);
            if outcome.is_ok() {
                let numbered = records.into_iter().zip(first_seq..);
                facts.extend(numbered.map(|(payload, seq)| NewFact { instance, seq, payload }));
            }
            outcomes.push((answer, outcome));
        }
        (facts, outcomes)
    }

    /// Checks a batch against the sequence of its instance and moves the sequence on; answers its last number.
    fn admit(&mut self, instance: InstanceKey, first_seq: u64, records: &[Vec<u8>]) -> Result<u64, RecordError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
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
        self.last.insert(instance, FactId { epoch, seq });
        Ok(seq)
    }

    fn last(&mut self, instance: InstanceKey) -> Result<Option<FactId>, RecordError> {
        if let Some(last) = self.last.get(&instance) {
            return Ok(Some(*last));
        }
        guarded(|| self.store.last_fact_id(&instance))
    }

    fn write(&mut self, facts: Vec<NewFact>, started: Instant) {
        if facts.is_empty() || self.failure.is_some() {
            return;
        }
        let (records, bytes) = (facts.len() as u64, facts.iter().map(|fact| fact.payload.len() as u64).sum());
        match guarded(|| self.store.append(facts)) {
            Ok(()) => {
                self.shared.records.fetch_add(records, Ordering::Relaxed);
                self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.unsynced_since.get_or_insert(started);
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn sync(&mut self, started: Instant) {
        if self.unsynced_since.is_none() || self.failure.is_some() {
            return;
        }
        match guarded(|| self.store.sync()) {
            Ok(()) => {
                self.unsynced_since = None;
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                locked(&self.shared.meter).add(nanoseconds);
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: RecordError) {
        let event = "recorder.failed";
        tracing::error!(target: "recorder", event, error = %failure, "facts can no longer be made durable");
        *locked(&self.shared.last_error) = Some(failure.clone());
        self.unsynced_since = None;
        self.failure = Some(failure);
    }
}

fn guarded<T>(operation: impl FnOnce() -> Result<T, StoreError>) -> Result<T, RecordError> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(result) => result.map_err(|source| RecordError::Storage { source: Arc::new(source) }),
        Err(panic) => Err(RecordError::Panicked { message: panic_message(panic.as_ref()) }),
    }
}
