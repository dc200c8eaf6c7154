//! An instance whose venue lies beyond a network: every input is recorded, and recovery puts the recorded ones in
//! again.
//!
//! Owns its worklist, its stages and its timer. Promises: what comes back is what was durable, fact for fact; no effect
//! of before is carried out again, for nobody knows which of them left: the order stage asks the venue instead. Never:
//! takes an order for unsent because nothing is known of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fact::{FactRecord, Revision};
use super::message::Input;
use super::stages::Stages;
use super::state::{Digest, StateError};
use super::worklist::{Effect, Mark, Worklist};
use crate::domain::{InstanceId, Timestamp};
use crate::sim::{Diverged, rerun_outside};
use crate::spec::InstanceSpec;

/// See the module.
pub struct Outside {
    /// What waits; facts and effects of the messages handled.
    pub list: Worklist,
    /// The five stages.
    pub stages: Stages,
    wake: Option<Timestamp>,
}

/// What is stored of it, taken while its worklist is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideState {
    /// Quotes, clock and counters.
    pub mark: Mark,
    /// The timer of the order stage.
    pub wake: Option<Timestamp>,
    /// The five stages.
    pub stages: Stages,
}

impl Outside {
    /// An instance that has not begun.
    #[must_use]
    pub fn new(spec: Arc<InstanceSpec>) -> Self {
        let stages = Stages::new(&spec);
        Self { list: Worklist::new(spec), stages, wake: None }
    }

    /// Goes on where a snapshot ended.
    #[must_use]
    pub fn resume(spec: Arc<InstanceSpec>, state: OutsideState) -> Self {
        let OutsideState { mark, wake, stages } = state;
        Self { list: Worklist::resume(spec, mark), stages, wake }
    }

    /// As it was when the newest of `facts` became durable. `state` `None`: it had no snapshot, `facts` begin with its
    /// first. Whoever calls this has it reconcile with its venue next ([`super::Control::Reconcile`]).
    ///
    /// # Errors
    /// [`Diverged`] as soon as what comes out is not what is stored.
    pub fn recover(
        spec: Arc<InstanceSpec>,
        state: Option<OutsideState>,
        facts: Vec<FactRecord>,
    ) -> Result<Self, Diverged> {
        let instance = match state {
            Some(state) => Self::resume(spec, state),
            None => Self::new(spec),
        };
        rerun_outside(instance, facts)
    }

    /// Takes something from beyond the network and works off all that follows from it.
    pub fn put(&mut self, at: Timestamp, input: Input) {
        self.take_in(at, input);
        self.work();
    }

    pub(crate) fn take_in(&mut self, at: Timestamp, input: Input) {
        if input == Input::Wakeup {
            self.wake = None;
        }
        self.list.put(at, input);
    }

    /// One message. False: none waits.
    pub fn step(&mut self) -> bool {
        let Some(envelope) = self.list.pop() else { return false };
        let stages = &mut self.stages;
        self.list.step(envelope, |cx, message, out| stages.on(cx, message, out));
        true
    }

    /// All that waits.
    pub fn work(&mut self) {
        while self.step() {}
    }

    /// What is to be done outside once every fact before is durable. The timer is kept here.
    pub fn drain_effects(&mut self) -> Vec<Effect> {
        let mut effects = self.list.drain_effects();
        effects.retain(|effect| match effect {
            Effect::Wake(at) => {
                self.wake = *at;
                false
            }
            Effect::Place(_) | Effect::Withdraw(_) | Effect::Ask(_) => true,
        });
        effects
    }

    /// When the order stage wants [`Input::Wakeup`].
    #[must_use]
    pub const fn wake(&self) -> Option<Timestamp> {
        self.wake
    }

    /// Takes other settings.
    pub(crate) fn revise(&mut self, at: Timestamp, revision: Revision) {
        self.list.revise(at, revision.spec, revision.keys);
    }

    /// What is stored.
    #[must_use]
    pub fn state(&self) -> OutsideState {
        OutsideState { mark: self.list.mark(), wake: self.wake, stages: self.stages.clone() }
    }

    /// The digest of its stages and worklist; see [`super::DIGEST_COVERS`].
    ///
    /// # Errors
    /// [`StateError::Encode`] when the encoding fails.
    pub fn digest(&self, instance: InstanceId) -> Result<Digest, StateError> {
        Digest::of(instance, &(instance, self.list.mark().covered(), self.wake, &self.stages))
    }
}
