//! The queue of one instance: the same type in a backtest and live.
//!
//! Owns the messages that wait, the shared quotes, the facts not yet recorded and the effects not yet sent. Promises:
//! first in, first out; whoever holds the worklist is the only one at work, so five mailboxes cannot reorder anything.

mod custody;
mod router;

use std::collections::VecDeque;
use std::sync::Arc;

use super::fact::{Audit, FactRecord, Revision};
use super::message::{Control, Cx, Event, Input, Message, Outbox, Shift, StreakIn};
use super::route::route;
use crate::domain::{ClientId, OrderNo, Quotes, Timestamp};
use crate::orders::Ask;
use crate::risk::ApprovedOrder;
use crate::sim::SeededRng;
use crate::spec::InstanceSpec;

pub use custody::Custody;
pub use router::{Mark, Router};

/// A message with its moment and the number of the input that set it off.
#[derive(Debug)]
pub struct Envelope {
    /// When.
    pub at: Timestamp,
    /// Which input.
    pub cause: u64,
    /// What, and to whom.
    pub message: Message,
}

/// What leaves the instance once every fact before it is durable.
#[derive(Debug)]
pub enum Effect {
    /// The venue shall get an order.
    Place(Box<ApprovedOrder>),
    /// The venue shall withdraw an order.
    Withdraw(OrderNo),
    /// The order stage wants to be woken at this moment, or not at all.
    Wake(Option<Timestamp>),
    /// The venue shall answer a question.
    Ask(Ask),
}

/// See the module.
pub struct Worklist {
    spec: Arc<InstanceSpec>,
    queue: VecDeque<Envelope>,
    outbox: Outbox,
    quotes: Quotes,
    watch: bool,
    kill_told: bool,
    custody: Custody,
    clock: Timestamp,
    inputs: u64,
    steps: u64,
    facts_written: u64,
    facts: Vec<FactRecord>,
    effects: Vec<Effect>,
    hops: [u64; 5],
    shuffle: Option<SeededRng>,
}

impl Worklist {
    /// An empty worklist.
    #[must_use]
    pub fn new(spec: Arc<InstanceSpec>) -> Self {
        let quotes = Quotes::new(spec.instruments.len());
        // Base that is there from the start gets its cost from the first price, so that price must be seen.
        let watch = spec.capital.base.is_positive();
        Self {
            spec,
            queue: VecDeque::with_capacity(16),
            outbox: Vec::with_capacity(8),
            quotes,
            watch,
            kill_told: false,
            custody: Custody::Off,
            clock: Timestamp::default(),
            inputs: 0,
            steps: 0,
            facts_written: 0,
            facts: Vec::new(),
            effects: Vec::new(),
            hops: [0; 5],
            shuffle: None,
        }
    }

    /// Goes on where a snapshot ended.
    #[must_use]
    pub fn resume(spec: Arc<InstanceSpec>, mark: Mark) -> Self {
        let Mark { quotes, watch, kill_told, custody, clock, inputs, steps, facts } = mark;
        Self { quotes, watch, kill_told, custody, clock, inputs, steps, facts_written: facts, ..Self::new(spec) }
    }

    /// Where the worklist stands, for a snapshot. Meaningful only while it is empty.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            quotes: self.quotes.clone(),
            watch: self.watch,
            kill_told: self.kill_told,
            custody: self.custody.clone(),
            clock: self.clock,
            inputs: self.inputs,
            steps: self.steps,
            facts: self.facts_written,
        }
    }

    /// Takes messages in a seeded random order instead of first in, first out: the race-finder of the simulation.
    #[must_use]
    pub fn shuffled(mut self, rng: SeededRng) -> Self {
        self.shuffle = Some(rng);
        self
    }

    /// Adds an input from outside; answers its number, the `cause` of all that follows. Time never runs backwards.
    #[inline]
    pub fn input(&mut self, at: Timestamp, message: Message) -> u64 {
        let cause = self.next_input(at);
        self.enqueue(Envelope { at: self.clock, cause, message });
        cause
    }

    fn next_input(&mut self, at: Timestamp) -> u64 {
        self.clock = self.clock.max(at);
        self.inputs += 1;
        self.inputs
    }

    #[inline]
    fn enqueue(&mut self, envelope: Envelope) {
        if matches!(self.custody, Custody::Off) {
            self.queue.push_back(envelope);
        } else if let Some(envelope) = self.in_custody(envelope) {
            self.queue.push_back(envelope);
        }
    }

    /// Takes an operator's command: an input like any other, recorded with its author and its place.
    pub fn command(&mut self, at: Timestamp, audit: Audit) -> u64 {
        let cause = self.next_input(at);
        let missed = self.obey(audit.control);
        let audit = Audit { step: self.steps, ..audit };
        self.take(self.clock, cause, Event::Audited(Box::new(audit)));
        for (at, told) in missed {
            self.enqueue(Envelope { at, cause, message: Message::Streak(told) });
        }
        cause
    }

    /// What a command means for the worklist itself; answers what the streak monitor must be told belatedly.
    fn obey(&mut self, control: Control) -> Vec<(Timestamp, StreakIn)> {
        match control {
            Control::Kill => self.kill_told = true,
            Control::ClearKill => self.kill_told = false,
            Control::Quarantine => self.enter_custody(),
            Control::ParkStreak => self.park_streak(),
            Control::Release => return self.leave_custody(),
            Control::Pause
            | Control::Resume
            | Control::Stop(_)
            | Control::Start
            | Control::Revise(_)
            | Control::Reconcile(_)
            | Control::Resolve(..) => {}
        }
        Vec::new()
    }

    /// Takes other settings, in force at once: an input like any other, recorded with its place. Only
    /// [`crate::sim::Scheduler::revise`] calls it: the venue behind the scheduler must take them with the stages.
    pub(crate) fn revise(&mut self, at: Timestamp, spec: InstanceSpec, keys: String) -> u64 {
        let cause = self.next_input(at);
        let shift = Shift::between(&self.spec, &spec);
        self.spec = Arc::new(spec.clone());
        let revision = Box::new(Revision { spec, keys, step: self.steps });
        self.take(self.clock, cause, Event::Revised { revision, shift });
        cause
    }

    /// Keeps an approved order from leaving, since the kill switch is on: an input like any other, recorded.
    pub fn withhold(&mut self, order: OrderNo) -> u64 {
        let cause = self.next_input(self.clock);
        self.take(self.clock, cause, Event::Withheld { order, step: self.steps });
        cause
    }

    /// Keeps an approved order from leaving, since it would trade with another order of the account: an input like any
    /// other, recorded.
    pub fn cross(&mut self, order: OrderNo, with: ClientId) -> u64 {
        let cause = self.next_input(self.clock);
        self.take(self.clock, cause, Event::Crossed { order, with, step: self.steps });
        cause
    }

    /// Takes what came from beyond the network: recorded with its place, since nothing brings it again.
    pub fn put(&mut self, at: Timestamp, input: Input) -> u64 {
        let cause = self.next_input(at);
        self.take(self.clock, cause, Event::Put { input: Box::new(input), step: self.steps });
        cause
    }

    /// The same as [`Worklist::command`], in front of everything that waits: for the kill switch, and for a quarantine,
    /// since what waits may be the very message that no stage can bear.
    pub fn command_first(&mut self, at: Timestamp, audit: Audit) -> u64 {
        // A quarantine drops some of what waits: what is left is to come after it.
        if matches!(audit.control, Control::Quarantine | Control::ParkStreak) {
            self.obey(audit.control);
        }
        let waiting = self.queue.len();
        let cause = self.command(at, audit);
        self.queue.rotate_left(waiting);
        cause
    }

    /// True when the stages have been told that the kill switch is on.
    #[must_use]
    pub const fn is_kill_told(&self) -> bool {
        self.kill_told
    }

    /// The next message.
    #[inline]
    pub fn pop(&mut self) -> Option<Envelope> {
        match &mut self.shuffle {
            None => self.queue.pop_front(),
            Some(rng) if self.queue.is_empty() => {
                let _ = rng;
                None
            }
            Some(rng) => {
                let len = self.queue.len() as u64;
                self.queue.remove(usize::try_from(rng.below(len)).unwrap_or(0))
            }
        }
    }

    /// The reader of the next message (first in, first out).
    #[must_use]
    pub fn front(&self) -> Option<&Message> {
        self.queue.front().map(|envelope| &envelope.message)
    }

    /// Everything that waits, the next one first.
    pub fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.queue.iter().map(|envelope| &envelope.message)
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Runs one stage on one envelope and routes its answers. `stage` gets the context, the message and the outbox.
    #[inline]
    pub fn step(&mut self, envelope: Envelope, stage: impl FnOnce(&Cx<'_>, Message, &mut Outbox)) {
        let Envelope { at, cause, message } = envelope;
        self.hops[message.stage() as usize] += 1;
        self.steps += 1;
        let mut outbox = std::mem::take(&mut self.outbox);
        stage(&Cx { at, quotes: &self.quotes, spec: &self.spec }, message, &mut outbox);
        for event in outbox.drain(..) {
            self.take(at, cause, event);
        }
        self.outbox = outbox;
    }

    #[inline]
    fn take(&mut self, at: Timestamp, cause: u64, event: Event) {
        route(event, &mut Router { list: self, at, cause });
    }

    /// Facts since the last call.
    pub fn drain_facts(&mut self) -> Vec<FactRecord> {
        std::mem::take(&mut self.facts)
    }

    /// Puts facts back that are still to be recorded: recovery ran past the end of the journal.
    pub(crate) fn keep_facts(&mut self, facts: Vec<FactRecord>) {
        self.facts = facts;
    }

    /// True when facts wait to be recorded.
    #[must_use]
    pub fn has_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// Forgets the facts that wait, keeping their room; for runs that nobody reads.
    pub fn drop_facts(&mut self) {
        self.facts.clear();
    }

    /// Effects since the last call.
    pub fn drain_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// True when effects wait.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// True when an order waits to leave, so that the facts before it must be durable first.
    #[must_use]
    pub fn has_order(&self) -> bool {
        #[cfg(feature = "canaries")]
        if crate::canary::is(crate::canary::Canary::SendBeforeDurable) {
            return false;
        }
        self.effects.iter().any(|effect| matches!(effect, Effect::Place(_)))
    }

    /// True while the order stage wants every price.
    #[must_use]
    pub const fn watch(&self) -> bool {
        self.watch
    }

    /// The moment of the newest input.
    #[must_use]
    pub const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Inputs so far.
    #[must_use]
    pub const fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Messages handled so far, since the instance first began.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Facts so far.
    #[must_use]
    pub const fn facts_written(&self) -> u64 {
        self.facts_written
    }

    /// Messages handled by each stage, in the order of the `Stage` enum.
    #[must_use]
    pub const fn hops(&self) -> [u64; 5] {
        self.hops
    }

    /// What the instance is.
    #[must_use]
    pub const fn spec(&self) -> &Arc<InstanceSpec> {
        &self.spec
    }

    /// The last quotes.
    #[must_use]
    pub const fn quotes(&self) -> &Quotes {
        &self.quotes
    }
}
