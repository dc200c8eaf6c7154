//! The supervisor actor: which instances there are, where each stands, who has died, who may try again.
//!
//! Owns one entry per instance, the arbiter pool, the alerts and who waits for what. Promises: one instance's death
//! touches no other; a message of an older generation changes nothing; an instance that fails is rebuilt by recovery,
//! never from a live object. Never: blocks, trades, or reads a disk.

mod entry;
mod failure;
mod lifecycle;
pub mod messages;
mod operator;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context};
use supervisor_config::{FeedConfig, InstanceConfig, Speed};
use supervisor_core::domain::{InstanceId, fast_f64};
use supervisor_core::instance::InstanceState;
use supervisor_core::sim::{Recovered, SeededRng};
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{Batch, InstanceKey, RecorderHandle, SnapshotBatch, StorageState, Store};
use tokio::sync::{Semaphore, oneshot};

use entry::{Entry, Role};

use crate::beat::Pool;
use crate::brief::Brief;
use crate::clock::wall;
use crate::conductor::{Conductor, Score};
use crate::fleet::FleetError;
use crate::guard::DropGuard;
use crate::pace::Pace;
use crate::prepare::{Life, Prepared};
use crate::restart::Policy;
use crate::seat::{Ledgers, Seat};
use crate::settings::{Backups, Snapshots};
use crate::view::{AlertRow, KillStatus, State};

/// Instances that are brought up at the same time.
const STARTS_AT_ONCE: usize = 16;
/// Alerts that can be looked at.
pub const ALERTS_KEPT: usize = 1_000;
/// The journal that alerts are facts of; no instance can have this name.
pub const ALERTS: &str = "_supervisor";

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
    pub last_panic: Option<String>,
    pub retry_at: Option<Instant>,
    pub warnings: Vec<String>,
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
            last_panic: None,
            retry_at: None,
            warnings: Vec::new(),
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

/// What a supervisor is made of.
pub struct Charter {
    pub instances: Vec<(InstanceConfig, bool)>,
    pub arbiters: usize,
    pub store: Arc<Store>,
    pub recorder: RecorderHandle,
    pub kill: Arc<AtomicBool>,
    pub kill_status: KillStatus,
    pub restarts: Policy,
    pub snapshots: Snapshots,
    pub backups: Backups,
    /// True when the store is to be checked while the bots run.
    pub verify: bool,
    /// Of the accounts whose bots must not trade with each other.
    pub ledgers: Ledgers,
    /// Age of the newest backup, if there is one.
    pub backup_age: Option<std::time::Duration>,
    /// Alerts of earlier runs, oldest first, and the number of the newest.
    pub alerts: (Vec<AlertRow>, u64),
}

/// See the module.
pub struct Supervisor {
    entries: BTreeMap<InstanceId, Entry>,
    pool: Pool,
    ordinals: u32,
    /// Generations given out so far, to all instances.
    generations: u32,
    /// Instances that are brought up at the same time.
    builders: Arc<Semaphore>,
    store: Arc<Store>,
    recorder: RecorderHandle,
    kill: Arc<AtomicBool>,
    kill_status: KillStatus,
    restarts: Policy,
    snapshots: Snapshots,
    upkeep: upkeep::Upkeep,
    rng: SeededRng,
    alerts: VecDeque<AlertRow>,
    alert_seq: u64,
    ledgers: Ledgers,
    end_waiters: Vec<oneshot::Sender<()>>,
}

impl Supervisor {
    /// A supervisor over instances, each with whether it was added by file; none runs yet.
    pub fn new(charter: Charter) -> Self {
        let Charter { instances, arbiters, store, recorder, kill, kill_status, restarts, snapshots, backups, .. } =
            charter;
        let (alerts, alert_seq) = charter.alerts;
        let mut supervisor = Self {
            entries: BTreeMap::new(),
            pool: Pool::new(arbiters),
            ordinals: 0,
            generations: 0,
            builders: Arc::new(Semaphore::new(STARTS_AT_ONCE)),
            rng: SeededRng::new(u64::from(store.epoch())),
            store,
            recorder,
            kill,
            kill_status,
            restarts,
            snapshots,
            upkeep: upkeep::Upkeep::new(backups, charter.backup_age, charter.verify),
            alerts: alerts.into(),
            alert_seq,
            ledgers: charter.ledgers,
            end_waiters: Vec::new(),
        };
        for (config, added) in instances {
            supervisor.insert(Arc::new(config), added);
        }
        supervisor
    }

    fn insert(&mut self, config: Arc<InstanceConfig>, added: bool) {
        self.ordinals += 1;
        let (ordinal, lane) = (self.ordinals, self.pool.assign());
        self.entries.insert(config.spec.id, Entry::new(Card::new(config, added), lane, ordinal));
    }

    fn entry(&mut self, id: &str) -> Result<&mut Entry, FleetError> {
        let known = id.parse::<InstanceId>().ok().filter(|id| self.entries.contains_key(id));
        let Some(known) = known else {
            let names: Vec<&str> = self.entries.keys().map(InstanceId::as_str).collect();
            let suggestion = supervisor_core::params::nearest(id, &names).map(ToOwned::to_owned);
            return Err(FleetError::UnknownInstance { id: id.to_owned(), suggestion });
        };
        let gone = FleetError::UnknownInstance { id: id.to_owned(), suggestion: None };
        self.entries.get_mut(&known).ok_or(gone)
    }

    fn next_generation(&mut self) -> u32 {
        self.generations += 1;
        self.generations
    }

    /// Something a person should look at: a fact of the supervisor's own journal.
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
        let row = AlertRow { at: wall().to_string(), severity, instance, code, text };
        if let (Ok(instance), Ok(record)) = (InstanceKey::new(ALERTS), postcard::to_allocvec(&row)) {
            self.alert_seq += 1;
            let (first_seq, records) = (self.alert_seq, vec![record]);
            self.recorder.append(Batch { instance, generation: 0, first_seq, records, done: None });
            if self.alert_seq.is_multiple_of(ALERTS_KEPT as u64) {
                // Without a snapshot, however empty, its journal would never be pruned.
                let (seq, bytes) = (first_seq, Vec::new());
                self.recorder.snapshot(SnapshotBatch { instance, generation: 0, seq, bytes, done: None });
            }
        }
        self.alerts.push_back(row);
    }

    /// Starts the actors of an instance that is ready; answers the state word that it has now.
    fn launch(&mut self, id: InstanceId, prepared: Prepared, ctx: &mut Context<Self>) -> Option<State> {
        let killed = self.kill.load(Ordering::Acquire);
        let is_low = match self.recorder.storage() {
            StorageState::Low { since_what } => {
                self.storage_is_low(Instant::now(), &since_what);
                true
            }
            StorageState::Good | StorageState::Failed { .. } => false,
        };
        let entry = self.entries.get_mut(&id)?;
        if entry.is_auto && (prepared.recovered.list.is_custody() || prepared.quarantined) {
            entry.role = Role::Custodian;
        }
        if let Some(config) = entry.config.take() {
            entry.card.config = config;
        }
        // The latch may have been set or cleared while this was being prepared; and on a full disk nobody enters.
        let prepared = Prepared { paused: prepared.paused || entry.card.paused || is_low, ..prepared };
        let first = entry.first_words(&prepared, killed);
        let Prepared { key, feed, recovered, seq_base, life, is_fresh, paused, .. } = prepared;
        let latches = recovered.latches();
        let Recovered { list, stages, scheduler, .. } = recovered;
        let speed = match entry.card.config.feed.speed() {
            Speed::Max => None,
            Speed::Times(times) => Some(fast_f64(times)),
        };
        let generation = entry.card.generation;
        let seat = Seat::at(&self.ledgers, &entry.card.config.account, life.number, &list, &stages);
        let (arbiter, beat) = self.pool.lane(entry.lane);
        let score = Score {
            spec: list.spec().clone(),
            feed,
            list,
            scheduler,
            pace: Pace::new(speed),
            kill: self.kill.clone(),
            recorder: self.recorder.clone(),
            key,
            seq_base,
            life: life.number,
            generation,
            fence: entry.fence.clone(),
            first,
            snapshots: self.snapshots,
            is_fresh,
            must_check: !is_fresh,
            beat,
            ordinal: entry.ordinal,
            supervisor: ctx.address().recipient(),
            switchboard: ctx.address().recipient(),
            lookout: ctx.address().recipient(),
            reviewer: ctx.address().recipient(),
            alarm_bell: ctx.address().recipient(),
            seat,
            guard: DropGuard::new(ctx.address().recipient(), id, generation, "conductor"),
        };
        let conductor = Conductor::start_in_arbiter(&arbiter, move |_| Conductor::new(score, stages));
        let paused = paused || latches.paused || (latches.killed && !killed);
        Some(entry.is_up(conductor, life, paused, killed))
    }

    /// The state word of an instance whose actors trade.
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
        let busy = |entry: &Entry| {
            entry.card.is_finite() && (entry.card.state.is_live() || entry.card.state == State::Backoff)
        };
        if !self.entries.values().any(busy) {
            for waiter in self.end_waiters.drain(..) {
                // Whoever waited may be gone.
                let _ = waiter.send(());
            }
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(upkeep::TICK, |supervisor, ctx| supervisor.tick(ctx));
    }
}
