//! What the supervisor keeps of one instance besides its card.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use actix::{Addr, Recipient};
use supervisor_config::InstanceConfig;
use supervisor_core::instance::{Audit, Control};
use supervisor_core::spec::OnStop;
use tokio::sync::oneshot;

use super::Card;
use crate::conductor::{Conductor, Told};
use crate::fleet::{By, FleetError};
use crate::prepare::{Life, Prepared};
use crate::restart::Failures;
use crate::stage::Shutdown;
use crate::view::State;

/// What the actors of an instance are there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To trade.
    Trader,
    /// To cancel entries and keep stops working, after too many failures.
    Custodian,
}

pub(super) struct Entry {
    pub card: Card,
    pub role: Role,
    pub switches: Vec<Recipient<Shutdown>>,
    /// Who waits for its end.
    pub waiters: Vec<oneshot::Sender<()>>,
    /// Who waits for its start.
    pub starters: Vec<oneshot::Sender<Result<State, FleetError>>>,
    pub failures: Failures,
    pub fence: Arc<AtomicU32>,
    pub lane: usize,
    pub ordinal: u32,
    /// A stop that a failure interrupted.
    pub stop: Option<(OnStop, By)>,
    /// Other settings that are taken on once it runs under them.
    pub config: Option<Arc<InstanceConfig>>,
    /// True when its custodian is to do without the streak monitor.
    pub parks_streak: bool,
    /// True while nobody but the configuration wants it to run: a quarantine of an earlier run holds.
    pub is_auto: bool,
}

impl Entry {
    pub(super) fn new(card: Card, lane: usize, ordinal: u32) -> Self {
        Self {
            card,
            role: Role::Trader,
            switches: Vec::new(),
            waiters: Vec::new(),
            starters: Vec::new(),
            failures: Failures::default(),
            fence: Arc::default(),
            lane,
            ordinal,
            stop: None,
            config: None,
            parks_streak: false,
            is_auto: false,
        }
    }

    /// What an instance is told before it hears of its feed.
    pub(super) fn first_words(&self, prepared: &Prepared, killed: bool) -> VecDeque<Told> {
        let (latches, custody) = (prepared.recovered.latches(), prepared.recovered.list.is_custody());
        let by = |control, reason: &str| Told::Audit(Audit::by_supervisor(control, reason));
        let mut first = VecDeque::new();
        // What was lost with the process is asked for, at a venue that can be asked.
        let is_certain = prepared.recovered.list.spec().venue.is_certain;
        let reconcile = (!is_certain && !prepared.is_fresh)
            .then(|| by(Control::Reconcile(prepared.life.number), "as at every start"));
        if self.role == Role::Custodian {
            if !custody {
                first.push_back(by(Control::Quarantine, &self.card.note));
            }
            if self.parks_streak && !prepared.recovered.list.is_streak_parked() {
                first.push_back(by(Control::ParkStreak, &self.card.note));
            }
            if latches.stopping {
                first.push_back(by(Control::Start, "as before the restart"));
            }
            first.extend(reconcile);
            return first;
        }
        // The new settings first, or the old ones would place orders only to withdraw them.
        if let Some((spec, keys)) = &prepared.revision {
            first.push_back(Told::Revise(spec.clone(), keys.clone()));
        }
        first.extend(reconcile);
        if latches.stopping {
            first.push_back(by(Control::Start, "as before the restart"));
        }
        if latches.killed && !killed {
            first.push_back(by(Control::ClearKill, "the kill switch was cleared meanwhile"));
        }
        if custody {
            first.push_back(by(Control::Release, "out of quarantine"));
        }
        if prepared.paused && !latches.paused {
            first.push_back(by(Control::Pause, "as before the restart"));
        }
        first
    }

    /// Whatever its present actors still do counts for nothing. Generations are counted by the supervisor, so that one
    /// never comes twice, also when a bot is removed and added again.
    pub(super) fn renew(&mut self, generation: u32) {
        self.card.generation = generation;
        self.fence.store(generation, Ordering::Release);
    }

    /// Its actors have been started; answers the state word that it has now.
    pub(super) fn is_up(&mut self, conductor: Addr<Conductor>, life: Life, paused: bool, killed: bool) -> State {
        let card = &mut self.card;
        card.conductor = Some(conductor);
        card.life = Some(life);
        card.spec = Arc::new(card.config.spec.clone());
        card.paused = paused;
        card.warnings.clear();
        card.ended = false;
        card.retry_at = None;
        card.started = Instant::now();
        card.state = match self.role {
            Role::Custodian => State::Quarantined,
            Role::Trader if killed => State::Killed,
            Role::Trader if paused => State::Paused,
            Role::Trader => State::Running,
        };
        card.state
    }

    /// Sends its actors away.
    pub(super) fn shut_down(&mut self) {
        for switch in self.switches.drain(..) {
            switch.do_send(Shutdown);
        }
        if let Some(conductor) = self.card.conductor.take() {
            conductor.do_send(Shutdown);
        }
    }

    pub(super) fn release_waiters(&mut self) {
        for waiter in self.waiters.drain(..) {
            // Whoever waited may be gone.
            let _ = waiter.send(());
        }
    }

    pub(super) fn release_starters(&mut self, answer: &Result<State, FleetError>) {
        for starter in self.starters.drain(..) {
            let _ = starter.send(answer.clone());
        }
    }
}
