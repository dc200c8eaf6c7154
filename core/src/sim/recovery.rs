//! Recovery: an instance as it was, from a snapshot and the journal after it.
//!
//! Runs the inputs after the snapshot again through the same stages. The feed brings most of them back by itself; what
//! came from outside (an operator's command, a change of settings, an order that was kept back) stands in
//! the journal with its place and is put in there. Promises: each fact that comes out is compared with the stored one,
//! and the first difference ends it; nothing is written or sent. Never: guesses.

use std::collections::VecDeque;
use std::sync::Arc;

use super::feed::Feed;
use super::scheduler::Scheduler;
use crate::domain::{ClientId, OrderNo, Purpose, Timestamp};
use crate::instance::{
    Audit, Effect, Fact, FactRecord, Input, InstanceState, Message, Outside, Revision, RiskIn, Stages, Worklist,
};
use crate::risk::Latches;
use crate::spec::InstanceSpec;

/// An instance that can go on.
pub struct Recovered {
    /// Its worklist; facts and effects in it are those that the journal has not seen.
    pub list: Worklist,
    /// Its stages.
    pub stages: Stages,
    /// Its virtual time, feed and paper venue.
    pub scheduler: Scheduler,
    /// Facts that were run again and found equal.
    pub compared: u64,
}

impl Recovered {
    /// True when nothing waits: before that, the venue may know of fills that the gate has not heard of.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.list.is_empty() && !self.list.has_effects()
    }

    /// The gate's latches as they will be once the commands that wait have reached it.
    #[must_use]
    pub fn latches(&self) -> Latches {
        let mut latches = self.stages.risk.gate().latches();
        for message in self.list.waiting() {
            if let Message::Risk(RiskIn::Control(control)) = message {
                latches.obey(*control);
            }
        }
        latches
    }

    /// The state once everything that waits is worked off, for a look at it. What that brings is recorded nowhere: an
    /// instance that goes on goes on from [`Recovered`] itself.
    #[must_use]
    pub fn at_rest(self) -> InstanceState {
        let Self { mut list, mut stages, mut scheduler, .. } = self;
        loop {
            if let Some(envelope) = list.pop() {
                list.step(envelope, |cx, message, out| stages.on(cx, message, out));
            } else if list.has_effects() {
                list.drain_effects().into_iter().for_each(|effect| scheduler.apply(&mut list, effect, false));
            } else {
                return InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages };
            }
        }
    }
}

/// The journal and the code do not agree: nothing may be built on either.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Diverged {
    /// A fact came out differently.
    #[error("fact {seq} is stored as {}, but running its inputs again gives {}", named(.stored), named(.found))]
    Fact {
        /// Its number.
        seq: u64,
        /// As stored.
        stored: Box<FactRecord>,
        /// As it came out.
        found: Box<FactRecord>,
    },
    /// Its input is taken, or the feed is over, and a fact of the journal has not come out.
    #[error(
        "fact {seq} is stored as {}, but running its inputs again does not bring it; is it another feed, or a shorter \
         one?", named(.stored)
    )]
    Missing {
        /// Its number.
        seq: u64,
        /// As stored.
        stored: Box<FactRecord>,
    },
    /// The journal does not go on where the snapshot ends.
    #[error("the snapshot ends with fact {last}, the journal goes on with {first}")]
    Gap {
        /// The snapshot's last fact.
        last: u64,
        /// The journal's first one after it.
        first: u64,
    },
}

/// Which fact it is, without all that it says.
fn named(record: &FactRecord) -> String {
    let order = record.fact.order().map(|order| format!(" of order {}", order.0)).unwrap_or_default();
    format!("{}{order} at {}, input {}", record.fact.word(), record.at, record.cause)
}

/// Brings an instance back. `state` `None`: it had no snapshot yet, `spec` is what it began with and `facts` start with
/// its first. The spec in force at the end is the worklist's.
///
/// # Errors
/// [`Diverged`] as soon as what comes out is not what is stored.
pub fn recover(
    spec: Arc<InstanceSpec>,
    feed: Box<dyn Feed>,
    state: Option<InstanceState>,
    facts: Vec<FactRecord>,
) -> Result<Recovered, Diverged> {
    let (list, stages, scheduler) = match state {
        Some(InstanceState { mark, scheduler, stages }) => {
            let scheduler = Scheduler::resume(&spec, feed, scheduler);
            (Worklist::resume(spec, mark), stages, scheduler)
        }
        None => (Worklist::new(spec.clone()), Stages::new(&spec), Scheduler::new(&spec, feed)),
    };
    let last = list.facts_written();
    if let Some(first) = facts.first().map(|fact| fact.seq).filter(|first| *first != last + 1) {
        return Err(Diverged::Gap { last, first });
    }
    let recorded = facts.iter().filter_map(Recorded::of).collect();
    let journal = Journal { stored: facts.into(), compared: 0 };
    let mut rerun = Rerun { list, stages, scheduler, journal, recorded };
    while !rerun.journal.stored.is_empty() {
        rerun.advance()?;
    }
    let Rerun { list, stages, scheduler, journal: Journal { compared, .. }, .. } = rerun;
    Ok(Recovered { list, stages, scheduler, compared })
}

/// The same for an instance whose venue lies beyond a network: every input is in the journal. What of its orders and
/// questions had left is not known, so none leaves again.
///
/// # Errors
/// [`Diverged`] as soon as what comes out is not what is stored.
pub(crate) fn rerun_outside(mut instance: Outside, facts: Vec<FactRecord>) -> Result<Outside, Diverged> {
    let last = instance.list.facts_written();
    if let Some(first) = facts.first().map(|fact| fact.seq).filter(|first| *first != last + 1) {
        return Err(Diverged::Gap { last, first });
    }
    let mut recorded: VecDeque<Recorded> = facts.iter().filter_map(Recorded::of).collect();
    let mut journal = Journal { stored: facts.into(), compared: 0 };
    while !journal.stored.is_empty() {
        let here = (instance.list.inputs(), instance.list.steps());
        if let Some(next) = recorded.pop_front_if(|next| (next.inputs, next.steps) == here) {
            let at = next.at;
            match next.what {
                What::Command(audit) => _ = instance.list.command_first(at, audit),
                What::Revise(revision) => instance.revise(at, *revision),
                What::Withhold(order) => _ = instance.list.withhold(order),
                What::Cross(order, with) => _ = instance.list.cross(order, with),
                What::Input(input) => instance.take_in(at, input),
            }
        } else if !instance.step() {
            journal.missing()?;
        }
        drop(instance.drain_effects());
        journal.compare(&mut instance.list)?;
    }
    instance.work();
    drop(instance.drain_effects());
    Ok(instance)
}

/// What must come out yet.
struct Journal {
    stored: VecDeque<FactRecord>,
    compared: u64,
}

impl Journal {
    /// The next stored fact can come out no more.
    fn missing(&mut self) -> Result<(), Diverged> {
        self.stored
            .pop_front()
            .map_or(Ok(()), |stored| Err(Diverged::Missing { seq: stored.seq, stored: Box::new(stored) }))
    }

    fn compare(&mut self, list: &mut Worklist) -> Result<(), Diverged> {
        if !list.has_facts() {
            return Ok(());
        }
        let mut found = list.drain_facts().into_iter();
        for fact in found.by_ref() {
            let Some(stored) = self.stored.pop_front() else {
                // Past the end of the journal: this is news.
                list.keep_facts(std::iter::once(fact).chain(found).collect());
                return Ok(());
            };
            if fact != stored {
                let (stored, found) = (Box::new(stored), Box::new(fact));
                return Err(Diverged::Fact { seq: stored.seq, stored, found });
            }
            self.compared += 1;
        }
        Ok(())
    }
}

struct Rerun {
    list: Worklist,
    stages: Stages,
    scheduler: Scheduler,
    journal: Journal,
    /// What must be put in yet.
    recorded: VecDeque<Recorded>,
}

/// What came from outside the feed, and its place: inputs taken and messages handled before it.
struct Recorded {
    at: Timestamp,
    inputs: u64,
    steps: u64,
    what: What,
}

enum What {
    Command(Audit),
    Revise(Box<Revision>),
    Withhold(OrderNo),
    Cross(OrderNo, ClientId),
    Input(Input),
}

impl Recorded {
    fn of(record: &FactRecord) -> Option<Self> {
        let (steps, what) = match &record.fact {
            Fact::Control(audit) => (audit.step, What::Command((**audit).clone())),
            Fact::Revised(revision) => (revision.step, What::Revise(revision.clone())),
            Fact::Withheld { order, step } => (*step, What::Withhold(*order)),
            Fact::Crossed { order, with, step } => (*step, What::Cross(*order, *with)),
            Fact::Input { input, step } => (*step, What::Input((**input).clone())),
            Fact::Gap(_)
            | Fact::GridPlanned(_)
            | Fact::Note(..)
            | Fact::Approved { .. }
            | Fact::Vetoed { .. }
            | Fact::WouldSubmit { .. }
            | Fact::CancelWanted(_)
            | Fact::OrderMoved(..)
            | Fact::OrderRefused(..)
            | Fact::Fill(_)
            | Fact::Ended(_)
            | Fact::Guarded(..)
            | Fact::RoundTrip(_)
            | Fact::DayClosed(_)
            | Fact::LateFill(..)
            | Fact::Bust(_)
            | Fact::Reopened(_)
            | Fact::InDoubt(..)
            | Fact::Standing(_)
            | Fact::Reconciled(_) => return None,
        };
        Some(Self { at: record.at, inputs: record.cause.saturating_sub(1), steps, what })
    }
}

impl Rerun {
    /// One message, or what comes when none waits.
    fn advance(&mut self) -> Result<(), Diverged> {
        if !self.put_in() {
            if let Some(envelope) = self.list.pop() {
                let stages = &mut self.stages;
                self.list.step(envelope, |cx, message, out| stages.on(cx, message, out));
            } else if self.list.has_effects() {
                self.carry_out();
            } else if self.is_overdue() || !self.scheduler.release(&mut self.list) {
                return self.journal.missing();
            }
        }
        self.journal.compare(&mut self.list)
    }

    /// Puts what came from outside next in, when this is its place.
    fn put_in(&mut self) -> bool {
        let here = (self.list.inputs(), self.list.steps());
        let Some(next) = self.recorded.front().filter(|next| (next.inputs, next.steps) == here) else { return false };
        // A visit home begins with what waits to leave.
        if self.list.has_effects() {
            self.carry_out();
            return true;
        }
        let at = next.at;
        match self.recorded.pop_front().map(|next| next.what) {
            // With messages waiting it came ahead of them; without, that is the same.
            Some(What::Command(audit)) => self.list.command_first(at, audit),
            Some(What::Revise(revision)) => self.scheduler.revise(&mut self.list, at, revision.spec, revision.keys),
            // Such an order does not wait to leave: the comparison will say so.
            Some(What::Withhold(_) | What::Cross(..) | What::Input(_)) | None => return false,
        };
        true
    }

    /// The order that was kept back then because another one was in its way, when this effect is it.
    fn crossed(&self, effect: &Effect) -> Option<(OrderNo, ClientId)> {
        match (effect, self.recorded.front().map(|next| &next.what)) {
            (Effect::Place(place), Some(What::Cross(order, with))) if place.terms().order == *order => {
                Some((*order, *with))
            }
            (Effect::Place(_) | Effect::Withdraw(_) | Effect::Wake(_) | Effect::Ask(_), _) => None,
        }
    }

    /// True when the next stored fact can come out no more: nothing waits, and all inputs up to its own are taken.
    fn is_overdue(&self) -> bool {
        let taken = self.list.inputs();
        self.journal.stored.front().is_some_and(|next| next.cause <= taken + u64::from(next.fact.is_input()))
    }

    /// Everything before is in the journal: what is to leave, leaves, but for what was kept back then.
    fn carry_out(&mut self) {
        for effect in self.list.drain_effects() {
            if let Some((order, with)) = self.crossed(&effect) {
                self.recorded.pop_front();
                self.list.cross(order, with);
                continue;
            }
            let withheld = match (&effect, self.recorded.front().map(|next| &next.what)) {
                (Effect::Place(place), Some(What::Withhold(order))) => {
                    place.terms().purpose == Purpose::Entry && place.terms().order == *order
                }
                (Effect::Place(_) | Effect::Withdraw(_) | Effect::Wake(_) | Effect::Ask(_), _) => false,
            };
            if withheld {
                self.recorded.pop_front();
            }
            self.scheduler.apply(&mut self.list, effect, withheld);
        }
    }
}
