//! The way of a live instance over the core's types: away at the stages, home to record, to send and to take commands
//! in, as the actors do it; and recovery from a part of what it left.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::VecDeque;
use std::sync::Arc;

use supervisor_core::domain::{Candle, Purpose};
use supervisor_core::instance::{Audit, Control, Fact, FactRecord, InstanceState, Message, RiskIn, Stages, Worklist};
use supervisor_core::sim::{Diverged, Recovered, Scheduler, recover};
use supervisor_core::spec::InstanceSpec;

use crate::common::{check_state, feed};

/// What comes from outside.
#[derive(Clone)]
pub enum Told {
    Tell(Control),
    Revise(Box<InstanceSpec>),
}

/// What happens to an instance besides its feed, by its own count, so that it can happen again.
#[derive(Clone, Default)]
pub struct Plan {
    /// Each when so many inputs are taken and nothing waits.
    pub told: Vec<(u64, Told)>,
    /// The kill switch goes on when so many messages are handled: the first one before the first `ClearKill`, ...
    pub kills: Vec<u64>,
    /// A snapshot is taken when so many inputs are taken and nothing waits.
    pub snapshots: Vec<u64>,
}

/// A snapshot on disk.
pub struct Snapshot {
    pub facts: usize,
    pub spec: Arc<InstanceSpec>,
    pub bytes: Vec<u8>,
}

/// What a run leaves behind.
#[derive(Default)]
pub struct Left {
    pub journal: Vec<FactRecord>,
    /// Journal lengths after each batch.
    pub cuts: Vec<usize>,
    pub snapshots: Vec<Snapshot>,
    /// Handled messages at each review of an entry.
    pub reviews: Vec<u64>,
    pub bytes: Vec<u8>,
    pub digest: String,
    pub inputs: u64,
    pub steps: u64,
}

enum Next {
    Away,
    Home,
    End,
}

/// See the module.
pub struct Live {
    pub list: Worklist,
    pub stages: Stages,
    pub scheduler: Scheduler,
    pub left: Left,
    plan: Plan,
    told: VecDeque<(u64, Told)>,
    cleared: usize,
    snapped: usize,
}

pub const BY: &str = "operator";

impl Live {
    pub fn new(spec: &InstanceSpec, tracks: &[Vec<Candle>], plan: &Plan) -> Self {
        let spec = Arc::new(spec.clone());
        let scheduler = Scheduler::new(&spec, feed(tracks.to_vec()));
        let stages = Stages::new(&spec);
        Self::with(Worklist::new(spec), stages, scheduler, plan, Vec::new())
    }

    pub fn with(list: Worklist, stages: Stages, scheduler: Scheduler, plan: &Plan, journal: Vec<FactRecord>) -> Self {
        let is_ours = |fact: &Fact| match fact {
            Fact::Control(audit) => audit.by == BY,
            Fact::Revised(_) => true,
            _ => false,
        };
        let done = journal.iter().filter(|record| is_ours(&record.fact)).count();
        let clear = |told: &(u64, Told)| matches!(told.1, Told::Tell(Control::ClearKill));
        let cleared = plan.told[..done].iter().filter(|told| clear(told)).count();
        let told = plan.told[done..].iter().cloned().collect();
        let left = Left { journal, ..Left::default() };
        Self { list, stages, scheduler, left, plan: plan.clone(), told, cleared, snapped: 0 }
    }

    fn is_killed(&self) -> bool {
        self.plan.kills.get(self.cleared).is_some_and(|kill| self.list.steps() >= *kill)
    }

    fn is_entry_next(&self) -> bool {
        matches!(self.list.front(), Some(Message::Risk(RiskIn::Review(i))) if i.purpose == Purpose::Entry)
    }

    /// One message by its stage. False: nothing waits.
    pub fn step(&mut self) -> bool {
        let Some(envelope) = self.list.pop() else { return false };
        let stages = &mut self.stages;
        self.list.step(envelope, |cx, message, out| stages.on(cx, message, out));
        true
    }

    fn away(&mut self) {
        loop {
            let entry = self.is_entry_next();
            if entry {
                self.left.reviews.push(self.list.steps());
            }
            if entry && !self.list.is_kill_told() && self.is_killed() || !self.step() {
                return;
            }
        }
    }

    fn home(&mut self) -> Next {
        self.record();
        let killed = self.is_killed();
        for effect in self.list.drain_effects() {
            self.scheduler.apply(&mut self.list, effect, killed);
        }
        if self.list.is_empty() {
            self.look();
        }
        if killed && !self.list.is_kill_told() {
            self.list.command_first(self.list.clock(), Audit::by_supervisor(Control::Kill, "kill switch is on"));
        }
        if !self.list.is_empty() {
            return Next::Away;
        }
        if self.told.front().is_some_and(|(inputs, _)| *inputs <= self.list.inputs()) {
            self.take_in();
            return Next::Home;
        }
        if self.scheduler.release(&mut self.list) { Next::Away } else { Next::End }
    }

    pub fn record(&mut self) {
        if self.list.has_facts() {
            self.left.journal.extend(self.list.drain_facts());
            self.left.cuts.push(self.left.journal.len());
        }
    }

    fn take_in(&mut self) {
        let now = self.list.clock();
        match self.told.pop_front() {
            Some((_, Told::Tell(control))) => {
                self.cleared += usize::from(control == Control::ClearKill);
                let audit = Audit::new(control, BY.to_owned(), "a test".to_owned(), "1".to_owned());
                self.list.command(now, audit);
            }
            Some((_, Told::Revise(mut spec))) => {
                // A start refuses to take out more than is free; here it takes what there is.
                let gate = self.stages.risk.gate();
                let free = gate.free_under(&spec.venue_model);
                spec.capital.quote = spec.capital.quote.max(self.list.spec().capital.quote - free);
                self.scheduler.revise(&mut self.list, now, *spec, "some keys".to_owned());
            }
            None => {}
        }
    }

    /// At rest: everything adds up; perhaps a snapshot.
    fn look(&mut self) {
        if self.plan.snapshots.get(self.snapped).is_some_and(|inputs| *inputs <= self.list.inputs()) {
            self.snapped += 1;
            let (spec, state) = (self.list.spec().clone(), self.state());
            check_state(&spec, &state, "snapshot");
            let bytes = state.encode(spec.id).unwrap();
            let facts = self.left.journal.len();
            assert_eq!(state.mark.facts, facts as u64);
            self.left.snapshots.push(Snapshot { facts, spec, bytes });
        }
    }

    pub fn state(&self) -> InstanceState {
        InstanceState { mark: self.list.mark(), scheduler: self.scheduler.state(), stages: self.stages.clone() }
    }

    /// To the end of the feed. `home`: begins at home, as after a start.
    pub fn finish(mut self, home: bool) -> Left {
        let mut next = if home { Next::Home } else { Next::Away };
        loop {
            next = match next {
                Next::End => break,
                Next::Home => self.home(),
                Next::Away => {
                    self.away();
                    self.home()
                }
            };
        }
        let (state, id) = (self.state(), self.list.spec().id);
        check_state(self.list.spec(), &state, "end");
        let (inputs, steps) = (self.list.inputs(), self.list.steps());
        let (bytes, digest) = (state.encode(id).unwrap(), state.digest(id).unwrap().to_string());
        Left { bytes, digest, inputs, steps, ..self.left }
    }
}

/// Facts as they come back from a disk.
pub fn stored(facts: &[FactRecord]) -> Vec<FactRecord> {
    let back = |fact| postcard::from_bytes(&postcard::to_allocvec(fact).unwrap()).unwrap();
    facts.iter().map(back).collect()
}

/// The instance from the journal up to `cut` and a snapshot; `None`: from its beginning.
pub fn brought_back(
    spec: &InstanceSpec,
    tracks: &[Vec<Candle>],
    left: &Left,
    snapshot: Option<&Snapshot>,
    cut: usize,
) -> Result<Recovered, Diverged> {
    let from = snapshot.map_or(0, |snapshot| snapshot.facts);
    let state = snapshot.map(|snapshot| InstanceState::decode(spec.id, &snapshot.bytes).unwrap());
    let spec = snapshot.map_or_else(|| Arc::new(spec.clone()), |snapshot| snapshot.spec.clone());
    recover(spec, feed(tracks.to_vec()), state, stored(&left.journal[from..cut]))
}

/// The whole life again: cut there, recovered, to the end.
pub fn again(
    spec: &InstanceSpec,
    tracks: &[Vec<Candle>],
    plan: &Plan,
    left: &Left,
    (snapshot, cut, home): (Option<&Snapshot>, usize, bool),
) -> Left {
    let Recovered { list, stages, scheduler, compared } =
        brought_back(spec, tracks, left, snapshot, cut).unwrap_or_else(|diverged| panic!("cut at {cut}: {diverged}"));
    assert_eq!(compared as usize, cut - snapshot.map_or(0, |snapshot| snapshot.facts), "each fact was compared");
    Live::with(list, stages, scheduler, &Plan { snapshots: Vec::new(), ..plan.clone() }, left.journal[..cut].to_vec())
        .finish(home)
}
