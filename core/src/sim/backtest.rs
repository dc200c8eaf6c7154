//! The backtest: the same stages, the same wiring, the same scheduler, without actors.

use std::sync::Arc;

use super::feed::Feed;
use super::scheduler::Scheduler;
use crate::instance::{FactRecord, InstanceState, Stages, Worklist};
use crate::spec::InstanceSpec;

/// An instance that runs on the caller's thread, as fast as it can.
pub struct Backtest {
    list: Worklist,
    stages: Stages,
    scheduler: Scheduler,
}

impl Backtest {
    /// An instance at the start of a feed.
    #[must_use]
    pub fn new(spec: Arc<InstanceSpec>, feed: Box<dyn Feed>) -> Self {
        let scheduler = Scheduler::new(&spec, feed);
        let stages = Stages::new(&spec);
        Self { list: Worklist::new(spec), stages, scheduler }
    }

    /// The same with a shuffled worklist: the race-finder.
    #[must_use]
    pub fn shuffled(mut self, rng: super::SeededRng) -> Self {
        self.list = self.list.shuffled(rng);
        self
    }

    /// Goes on where a snapshot ended.
    #[must_use]
    pub fn resume(spec: Arc<InstanceSpec>, feed: Box<dyn Feed>, state: InstanceState) -> Self {
        let InstanceState { mark, scheduler, stages } = state;
        let scheduler = Scheduler::resume(&spec, feed, scheduler);
        Self { list: Worklist::resume(spec, mark), stages, scheduler }
    }

    /// Releases one input and works until the instance is quiet. False: the end.
    pub fn advance(&mut self) -> bool {
        let more = self.scheduler.release(&mut self.list);
        self.settle();
        more
    }

    /// Takes other settings at the moment of the newest input, and works until the instance is quiet.
    pub fn revise(&mut self, spec: InstanceSpec, keys: String) {
        let now = self.list.clock();
        self.scheduler.revise(&mut self.list, now, spec, keys);
        self.settle();
    }

    /// Works until the worklist is empty and every effect is carried out.
    pub fn settle(&mut self) {
        loop {
            while let Some(envelope) = self.list.pop() {
                let stages = &mut self.stages;
                self.list.step(envelope, |cx, message, out| stages.on(cx, message, out));
            }
            if !self.list.has_effects() {
                return;
            }
            for effect in self.list.drain_effects() {
                self.scheduler.apply(&mut self.list, effect, false);
            }
        }
    }

    /// Runs to the end; `sink` gets every fact.
    pub fn run(&mut self, mut sink: impl FnMut(Vec<FactRecord>)) {
        while self.advance() {
            if self.list.has_facts() {
                sink(self.list.drain_facts());
            }
        }
        sink(self.list.drain_facts());
    }

    /// Runs to the end and keeps no facts.
    pub fn run_silent(&mut self) {
        while self.advance() {
            self.list.drop_facts();
        }
    }

    /// The whole state. Meaningful between two calls of [`Backtest::advance`].
    #[must_use]
    pub fn state(&self) -> InstanceState {
        InstanceState { mark: self.list.mark(), scheduler: self.scheduler.state(), stages: self.stages.clone() }
    }

    /// The worklist, for operator commands and tests.
    pub const fn list_mut(&mut self) -> &mut Worklist {
        &mut self.list
    }

    /// The stages, to be looked at.
    #[must_use]
    pub const fn stages(&self) -> &Stages {
        &self.stages
    }

    /// The scheduler, to be looked at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The scheduler, for tests.
    #[doc(hidden)]
    pub const fn scheduler_mut(&mut self) -> &mut Scheduler {
        &mut self.scheduler
    }

    /// The worklist, to be looked at.
    #[must_use]
    pub const fn list(&self) -> &Worklist {
        &self.list
    }
}
