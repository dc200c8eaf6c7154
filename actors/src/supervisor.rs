//! The supervisor actor: which instances there are, where each stands, who has died.
//!
//! Owns one entry per instance, the arbiter pool, the alerts and who waits for what. Promises: one instance's death
//! touches no other; a message of an older generation changes nothing. Never: blocks, trades, or reads a disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message, MessageResult, Recipient};
use supervisor_config::{FeedConfig, InstanceConfig, Speed};
use supervisor_core::domain::{InstanceId, fast_f64};
use supervisor_core::instance::{Audit, Control, InstanceState, Stages, Worklist};
use supervisor_core::sim::Scheduler;
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_state::{RecorderHandle, Store};
use tokio::sync::oneshot;

use crate::brief::Brief;
use crate::clock::wall;
use crate::conductor::{Command, Conductor, End, Finished, Score};
use crate::fleet::{By, FleetError};
use crate::guard::{Down, DropGuard};
use crate::pace::Pace;
use crate::prepare::{Life, Prepared, save};
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
    generation: u32,
}

impl Card {
    fn new(config: Arc<InstanceConfig>) -> Self {
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
    /// A supervisor over the configured instances; none runs yet.
    pub fn new(
        instances: Vec<InstanceConfig>,
        arbiters: usize,
        store: Arc<Store>,
        recorder: RecorderHandle,
        kill: Arc<AtomicBool>,
        kill_status: KillStatus,
    ) -> Self {
        let entry = |config: InstanceConfig| (config.spec.id, Entry::new(Card::new(Arc::new(config))));
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
        let Prepared { key, feed, state, seq_base, life, .. } = prepared;
        let spec = entry.card.spec.clone();
        let (list, stages, scheduler) = match state {
            Some(state) => {
                let InstanceState { mark, scheduler, stages } = *state;
                (Worklist::resume(spec.clone(), mark), stages, Scheduler::resume(&spec, feed, scheduler))
            }
            None => (Worklist::new(spec.clone()), Stages::new(&spec), Scheduler::new(&spec, feed)),
        };
        let latches = stages.risk.gate().latches();
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
        entry.card.paused = latches.paused;
        entry.card.ended = false;
        entry.card.started = Instant::now();
        if latches.stopping {
            let audit = Audit {
                control: Control::Start,
                by: "supervisor".to_owned(),
                reason: String::new(),
                request: String::new(),
            };
            conductor.do_send(Command(audit));
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

macro_rules! call {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $type:ty),* $(,)? } -> $result:ty) => {
        $(#[$doc])*
        pub struct $name { $(pub $field: $type),* }

        impl Message for $name {
            type Result = $result;
        }
    };
}

call!(/** All instances. */ Cards {} -> Vec<Card>);
call!(/** One instance. */ Find { id: String } -> Result<Card, FleetError>);
call!(/** Wants to start one. */ Begin { id: String, config: Option<Arc<InstanceConfig>>, auto: bool } -> Result<Begun, FleetError>);
call!(/** Everything is there: start its actors. */ Launch { id: InstanceId, generation: u32, prepared: Box<Prepared> } -> Result<State, FleetError>);
call!(/** It could not be started. */ Failed { id: InstanceId, text: String } -> ());
call!(/** A bot that no directory holds. */ Insert { config: Arc<InstanceConfig> } -> Result<(), FleetError>);
call!(/** Forget one that is not live. */ Forget { id: String } -> Result<(), FleetError>);
call!(/** Wants to stop one. */ BeginStop { id: String, on_stop: Option<OnStop>, by: By } -> Result<Option<oneshot::Receiver<()>>, FleetError>);
call!(/** Entries off or on. */ Pause { id: String, on: bool, by: By } -> Result<(Card, bool), FleetError>);
call!(/** The latch was set or cleared. */ Kill { status: KillStatus, by: By } -> Vec<Card>);
call!(/** The latch as it stands. */ KillNow {} -> KillStatus);
call!(/** Newest alerts, oldest first. */ Alerts { limit: usize } -> Vec<AlertRow>);
call!(/** Adds an alert. */ Raise { severity: &'static str, instance: String, code: &'static str, text: String } -> ());
call!(/** Tells when every finite feed has ended. */ WaitEnded {} -> oneshot::Receiver<()>);
call!(/** Figures that somebody just looked at. */ Seen { id: InstanceId, brief: Brief } -> ());

/// What a start needs to be prepared.
pub enum Begun {
    /// It runs already.
    Already(State),
    /// Prepare this and launch it.
    Go { config: Arc<InstanceConfig>, last: Option<Arc<InstanceState>>, generation: u32 },
}

/// An instance's last state is on disk, or not.
#[derive(Message)]
#[rtype(result = "()")]
struct Saved {
    id: InstanceId,
    error: Option<String>,
}

/// The actors of an instance, so that they can be stopped when one of them dies.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Switches {
    pub id: InstanceId,
    pub generation: u32,
    pub switches: Vec<Recipient<Shutdown>>,
}

impl Handler<Cards> for Supervisor {
    type Result = MessageResult<Cards>;
    fn handle(&mut self, _: Cards, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.entries.values().map(|entry| entry.card.clone()).collect())
    }
}

impl Handler<Find> for Supervisor {
    type Result = Result<Card, FleetError>;
    fn handle(&mut self, Find { id }: Find, _: &mut Context<Self>) -> Self::Result {
        self.entry(&id).map(|entry| entry.card.clone())
    }
}

impl Handler<Begin> for Supervisor {
    type Result = Result<Begun, FleetError>;
    fn handle(&mut self, Begin { id, config, auto }: Begin, _: &mut Context<Self>) -> Self::Result {
        let killed = self.kill.load(Ordering::Acquire);
        let entry = self.entry(&id)?;
        if entry.card.state.is_live() && entry.card.state != State::Stopping {
            return Ok(Begun::Already(entry.card.state));
        }
        if entry.card.state == State::Stopping || entry.saving {
            let text = format!("'{id}' is still stopping; try again when it has stopped");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        if killed && !auto {
            let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
            return Err(FleetError::Conflict { text, code: "kill_switch" });
        }
        let card = &mut entry.card;
        if let Some(config) = config {
            if config.spec != *card.spec {
                // Another spec is another life: the old state does not fit it.
                card.last = None;
            }
            card.spec = Arc::new(config.spec.clone());
            card.config = config;
        }
        card.state = State::Starting;
        card.note.clear();
        card.generation += 1;
        Ok(Begun::Go { config: card.config.clone(), last: card.last.clone(), generation: card.generation })
    }
}

impl Handler<Launch> for Supervisor {
    type Result = Result<State, FleetError>;
    fn handle(&mut self, Launch { id, generation, prepared }: Launch, ctx: &mut Context<Self>) -> Self::Result {
        let current = self.entry(id.as_str())?.card.generation;
        if current != generation {
            let text = format!("'{id}' was started again meanwhile");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        if let Some(remark) = &prepared.remark {
            self.alert("warning", id.as_str(), "state.fresh", remark.clone());
        }
        self.launch(id, *prepared, ctx);
        let paused = self.entry(id.as_str())?.card.paused;
        let state = self.live_state(paused);
        self.entry(id.as_str())?.card.state = state;
        Ok(state)
    }
}

impl Handler<Failed> for Supervisor {
    type Result = ();
    fn handle(&mut self, Failed { id, text }: Failed, _: &mut Context<Self>) {
        self.alert("critical", id.as_str(), "start.failed", text.clone());
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.card.state = State::Quarantined;
            entry.card.note = text;
        }
        self.notify_ended();
    }
}

impl Handler<Insert> for Supervisor {
    type Result = Result<(), FleetError>;
    fn handle(&mut self, Insert { config }: Insert, _: &mut Context<Self>) -> Self::Result {
        let id = config.spec.id;
        if self.entries.contains_key(&id) {
            let text = format!("a bot named '{id}' is already there; choose another id or remove it first");
            return Err(FleetError::Conflict { text, code: "id_taken" });
        }
        self.entries.insert(id, Entry::new(Card::new(config)));
        Ok(())
    }
}

impl Handler<Forget> for Supervisor {
    type Result = Result<(), FleetError>;
    fn handle(&mut self, Forget { id }: Forget, _: &mut Context<Self>) -> Self::Result {
        let entry = self.entry(&id)?;
        if entry.card.state.is_live() {
            let text = format!("'{id}' is {}; stop it first", entry.card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        let id = entry.card.spec.id;
        self.entries.remove(&id);
        self.notify_ended();
        Ok(())
    }
}

impl Handler<BeginStop> for Supervisor {
    type Result = Result<Option<oneshot::Receiver<()>>, FleetError>;
    fn handle(&mut self, BeginStop { id, on_stop, by }: BeginStop, _: &mut Context<Self>) -> Self::Result {
        let entry = self.entry(&id)?;
        if !entry.card.state.is_live() {
            if !entry.saving {
                return Ok(None);
            }
            let (sender, receiver) = oneshot::channel();
            entry.waiters.push(sender);
            return Ok(Some(receiver));
        }
        let Some(conductor) = entry.card.conductor.clone() else {
            let text = format!("'{id}' is still starting; try again in a moment");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        };
        let (sender, receiver) = oneshot::channel();
        entry.waiters.push(sender);
        if entry.card.state != State::Stopping {
            entry.card.state = State::Stopping;
            entry.card.note.clone_from(&by.reason);
            let control = Control::Stop(on_stop.unwrap_or(entry.card.spec.on_stop));
            conductor.do_send(Command(audit(control, by)));
        }
        Ok(Some(receiver))
    }
}

impl Handler<Pause> for Supervisor {
    type Result = Result<(Card, bool), FleetError>;
    fn handle(&mut self, Pause { id, on, by }: Pause, _: &mut Context<Self>) -> Self::Result {
        let killed = self.kill.load(Ordering::Acquire);
        let entry = self.entry(&id)?;
        let card = &mut entry.card;
        let word = if on { "pause" } else { "resume" };
        if killed && !on {
            let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
            return Err(FleetError::Conflict { text, code: "kill_switch" });
        }
        let ready = matches!(card.state, State::Running | State::Paused | State::Killed);
        let Some(conductor) = card.conductor.clone().filter(|_| ready) else {
            let text = format!("cannot {word} '{id}': it is {}", card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        };
        let changed = card.paused != on;
        if changed {
            card.paused = on;
            let control = if on { Control::Pause } else { Control::Resume };
            conductor.do_send(Command(audit(control, by)));
        }
        let paused = card.paused;
        let state = self.live_state(paused);
        let entry = self.entry(&id)?;
        entry.card.state = state;
        Ok((entry.card.clone(), changed))
    }
}

impl Handler<Kill> for Supervisor {
    type Result = MessageResult<Kill>;
    fn handle(&mut self, Kill { status, by }: Kill, _: &mut Context<Self>) -> Self::Result {
        let control = if status.on { Control::Kill } else { Control::ClearKill };
        let text = if status.on { "kill switch ON" } else { "kill switch cleared; bots stay paused" };
        self.alert(if status.on { "critical" } else { "warning" }, "", "kill_switch", format!("{text}: {}", by.reason));
        self.kill_status = status;
        let mut cards = Vec::new();
        for entry in self.entries.values_mut() {
            let live = entry.card.state.is_live();
            if let Some(conductor) = entry.card.conductor.as_ref().filter(|_| live) {
                conductor.do_send(Command(audit(control, by.clone())));
                if entry.card.state != State::Stopping {
                    entry.card.paused |= control == Control::ClearKill;
                    entry.card.state = if control == Control::Kill { State::Killed } else { State::Paused };
                }
                cards.push(entry.card.clone());
            }
        }
        MessageResult(cards)
    }
}

impl Handler<KillNow> for Supervisor {
    type Result = MessageResult<KillNow>;
    fn handle(&mut self, _: KillNow, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.kill_status.clone())
    }
}

impl Handler<Alerts> for Supervisor {
    type Result = MessageResult<Alerts>;
    fn handle(&mut self, Alerts { limit }: Alerts, _: &mut Context<Self>) -> Self::Result {
        let skip = self.alerts.len().saturating_sub(limit);
        MessageResult(self.alerts.iter().skip(skip).cloned().collect())
    }
}

impl Handler<Raise> for Supervisor {
    type Result = ();
    fn handle(&mut self, Raise { severity, instance, code, text }: Raise, _: &mut Context<Self>) {
        self.alert(severity, &instance, code, text);
    }
}

impl Handler<WaitEnded> for Supervisor {
    type Result = MessageResult<WaitEnded>;
    fn handle(&mut self, _: WaitEnded, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.end_waiters.push(sender);
        self.notify_ended();
        MessageResult(receiver)
    }
}

impl Handler<Seen> for Supervisor {
    type Result = ();
    fn handle(&mut self, Seen { id, brief }: Seen, _: &mut Context<Self>) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.state.is_live()) {
            entry.card.brief = brief;
        }
    }
}

impl Handler<Switches> for Supervisor {
    type Result = ();
    fn handle(&mut self, Switches { id, generation, switches }: Switches, _: &mut Context<Self>) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) {
            entry.switches = switches;
        }
    }
}

impl Handler<Finished> for Supervisor {
    type Result = ();
    fn handle(&mut self, finished: Finished, ctx: &mut Context<Self>) {
        let Finished { spec, generation, end, state, brief, error } = finished;
        let id = spec.id;
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) else { return };
        let card = &mut entry.card;
        card.conductor = None;
        card.ended = end == End::Feed;
        card.last = state.map(Arc::from);
        if end != End::Unrecorded {
            card.brief = *brief;
        }
        card.state = if end == End::Unrecorded { State::Quarantined } else { State::Stopped };
        if end == End::Feed {
            card.note = "its feed has ended".to_owned();
        }
        let Some(last) = card.last.clone() else {
            entry.release_waiters();
            let text = error.unwrap_or_else(|| "no state was collected".to_owned());
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.card.note.clone_from(&text);
            }
            self.alert("critical", id.as_str(), "recorder.failed", text);
            self.notify_ended();
            return;
        };
        entry.saving = true;
        let (store, recorder, home) = (self.store.clone(), self.recorder.clone(), ctx.address());
        actix::spawn(async move {
            let saved = tokio::task::spawn_blocking(move || save(&store, &recorder, &spec, &last)).await;
            let error = match saved {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            home.do_send(Saved { id, error });
        });
    }
}

impl Handler<Saved> for Supervisor {
    type Result = ();
    fn handle(&mut self, Saved { id, error }: Saved, _: &mut Context<Self>) {
        if let Some(error) = error {
            self.alert("critical", id.as_str(), "snapshot.failed", error);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.saving = false;
            entry.release_waiters();
        }
        self.notify_ended();
    }
}

impl Handler<Down> for Supervisor {
    type Result = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        let Some(panic) = down.panic else { return };
        let Some(entry) = self.entries.get_mut(&down.instance).filter(|e| e.card.generation == down.generation) else {
            return;
        };
        // One of the five is gone: the others go, too. Nothing is taken over from a live object.
        for switch in entry.switches.drain(..) {
            switch.do_send(Shutdown);
        }
        if let Some(conductor) = entry.card.conductor.take() {
            conductor.do_send(Shutdown);
        }
        entry.card.state = State::Quarantined;
        entry.card.note = format!("{} actor panicked: {panic}", down.actor);
        entry.card.last = None;
        let text = entry.card.note.clone();
        entry.release_waiters();
        self.alert("critical", down.instance.as_str(), "actor.panicked", text);
        self.notify_ended();
    }
}

fn audit(control: Control, by: By) -> Audit {
    let By { by, reason, request } = by;
    Audit { control, by, reason, request }
}
