//! The supervisor actor: which instances there are, where each stands, who has died.
//!
//! Owns one entry per instance, the arbiter pool, the alerts and who waits for what. Promises: one instance's death
//! touches no other; a message of an older generation changes nothing. Never: blocks, trades, or reads a disk.

mod lifecycle;
pub mod messages;
mod operator;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Recipient};
use supervisor_config::{FeedConfig, InstanceConfig, Speed};
use supervisor_core::domain::{InstanceId, fast_f64};
use supervisor_core::instance::{Audit, Control, InstanceState, Stages, Worklist};
use supervisor_core::sim::Scheduler;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{RecorderHandle, Store};
use tokio::sync::oneshot;

use crate::brief::Brief;
use crate::clock::wall;
use crate::conductor::{Command, Conductor, Score};
use crate::fleet::FleetError;
use crate::guard::DropGuard;
use crate::pace::Pace;
use crate::prepare::{Life, Prepared};
use crate::stage::Shutdown;
use crate::view::{AlertRow, KillStatus, State};

const ALERTS_KEPT: usize = 1_000;

/// What others may know of an instance.
#[derive(Clone)]
pub struct Card {
    pub config: Arc<InstanceConfig>,
    pub spec: Arc<InstanceSpec>,
    pub state: State,
    pub conductor: Option<Addr<Conductor>>,
    /// Figures of the last look, or of the end.
    pub brief: Brief,
    /// State it stopped with.
    pub last: Option<Arc<InstanceState>>,
    pub life: Option<Life>,
    pub ended: bool,
    pub paused: bool,
    pub note: String,
    pub started: Instant,
    pub restarts: u32,
    /// True when no config directory holds it.
    pub added: bool,
    generation: u32,
}

impl Card {
    fn new(config: Arc<InstanceConfig>, added: bool) -> Self {
        Self {
            spec: Arc::new(config.spec.clone()),
            config,
            state: State::Stopped,
            conductor: None,
            brief: Brief::default(),
            last: None,
            life: None,
            ended: false,
            paused: false,
            note: String::new(),
            started: Instant::now(),
            restarts: 0,
            added,
            generation: 0,
        }
    }

    /// True when its feed comes to an end.
    fn is_finite(&self) -> bool {
        match &self.config.feed {
            FeedConfig::Replay { .. } => true,
            FeedConfig::Synthetic { spec, .. } => spec.candles.is_some(),
        }
    }
}

struct Entry {
    card: Card,
    switches: Vec<Recipient<Shutdown>>,
    waiters: Vec<oneshot::Sender<()>>,
    /// True while its last state is on its way to disk.
    saving: bool,
}

/// See the module.
pub struct Supervisor {
    entries: BTreeMap<InstanceId, Entry>,
    arbiters: Vec<Arbiter>,
    next_arbiter: usize,
    store: Arc<Store>,
    recorder: RecorderHandle,
    kill: Arc<AtomicBool>,
    kill_status: KillStatus,
    alerts: VecDeque<AlertRow>,
    end_waiters: Vec<oneshot::Sender<()>>,
}

impl Supervisor {
    /// A supervisor over instances, each with whether it was added by file; none runs yet.
    pub fn new(
        instances: impl IntoIterator<Item = (InstanceConfig, bool)>,
        arbiters: usize,
        store: Arc<Store>,
        recorder: RecorderHandle,
        kill: Arc<AtomicBool>,
        kill_status: KillStatus,
    ) -> Self {
        let entry =
            |(config, added): (InstanceConfig, bool)| (config.spec.id, Entry::new(Card::new(Arc::new(config), added)));
        Self {
            entries: instances.into_iter().map(entry).collect(),
            arbiters: (0..arbiters.max(1)).map(|_| Arbiter::new()).collect(),
            next_arbiter: 0,
            store,
            recorder,
            kill,
            kill_status,
            alerts: VecDeque::new(),
            end_waiters: Vec::new(),
        }
    }

    fn entry(&mut self, id: &str) -> Result<&mut Entry, FleetError> {
        let known = id.parse::<InstanceId>().ok().filter(|id| self.entries.contains_key(id));
        let suggestion = || {
            let names: Vec<&str> = self.entries.keys().map(InstanceId::as_str).collect();
            supervisor_core::params::nearest(id, &names).map(ToOwned::to_owned)
        };
        let unknown = FleetError::UnknownInstance { id: id.to_owned(), suggestion: suggestion() };
        known.and_then(|id| self.entries.get_mut(&id)).ok_or(unknown)
    }

    fn alert(&mut self, severity: &str, instance: &str, code: &str, text: String) {
        let code = code.to_owned();
        match severity {
            "critical" => tracing::error!(event = code, instance, "{text}"),
            _ => tracing::warn!(event = code, instance, "{text}"),
        }
        if self.alerts.len() == ALERTS_KEPT {
            self.alerts.pop_front();
        }
        let (severity, instance) = (severity.to_owned(), instance.to_owned());
        self.alerts.push_back(AlertRow { at: wall().to_string(), severity, instance, code, text });
    }

    fn launch(&mut self, id: InstanceId, prepared: Prepared, ctx: &mut Context<Self>) -> Option<Addr<Conductor>> {
        let entry = self.entries.get_mut(&id)?;
        let Prepared { key, feed, state, seq_base, life, paused, .. } = prepared;
        let spec = entry.card.spec.clone();
        let (list, stages, scheduler) = match state {
            Some(state) => {
                let InstanceState { mark, scheduler, stages } = *state;
                (Worklist::resume(spec.clone(), mark), stages, Scheduler::resume(&spec, feed, scheduler))
            }
            None => (Worklist::new(spec.clone()), Stages::new(&spec), Scheduler::new(&spec, feed)),
        };
        let latches = stages.risk.gate().latches();
        // The latch may have been cleared while this was being prepared.
        let paused = paused || entry.card.paused;
        let speed = match entry.card.config.feed.speed() {
            Speed::Max => None,
            Speed::Times(times) => Some(fast_f64(times)),
        };
        let generation = entry.card.generation;
        let score = Score {
            spec,
            list,
            stages,
            scheduler,
            pace: Pace::new(speed),
            kill: self.kill.clone(),
            recorder: self.recorder.clone(),
            key,
            seq_base,
            life: life.number,
            supervisor: ctx.address().recipient(),
            switchboard: ctx.address().recipient(),
            guard: DropGuard::new(ctx.address().recipient(), id, generation, "conductor"),
        };
        let arbiter = &self.arbiters[self.next_arbiter % self.arbiters.len()];
        self.next_arbiter += 1;
        let conductor = Conductor::start_in_arbiter(&arbiter.handle(), move |_| Conductor::new(score, generation));
        entry.card.conductor = Some(conductor.clone());
        entry.card.life = Some(life);
        entry.card.paused = latches.paused || paused;
        entry.card.ended = false;
        entry.card.started = Instant::now();
        let by = |control| Audit {
            control,
            by: "supervisor".to_owned(),
            reason: "as before the restart".to_owned(),
            request: String::new(),
        };
        if latches.stopping {
            conductor.do_send(Command(by(Control::Start)));
        }
        if paused && !latches.paused {
            conductor.do_send(Command(by(Control::Pause)));
        }
        Some(conductor)
    }

    /// The state word of an instance whose actors live.
    fn live_state(&self, paused: bool) -> State {
        if self.kill.load(Ordering::Acquire) {
            State::Killed
        } else if paused {
            State::Paused
        } else {
            State::Running
        }
    }

    fn notify_ended(&mut self) {
        let busy = |entry: &Entry| entry.card.is_finite() && (entry.card.state.is_live() || entry.saving);
        if !self.entries.values().any(busy) {
            for waiter in self.end_waiters.drain(..) {
                // Whoever waited may be gone.
                let _ = waiter.send(());
            }
        }
    }
}

impl Entry {
    const fn new(card: Card) -> Self {
        Self { card, switches: Vec::new(), waiters: Vec::new(), saving: false }
    }

    fn release_waiters(&mut self) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(());
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}
