//! The handle by which everything else talks to the supervisor actor.
//!
//! Promises: every answer comes within a bounded time, also from an instance that hangs. Never: holds state of its own
//! besides the kill latch, which it sets before anything else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use serde::{Deserialize, Serialize};
use supervisor_config::{Account, Env, InstanceConfig, SHIPPED_INSTANCES, check_balances, instance_from_text, load_instance};
use supervisor_core::instance::InstanceState;
use supervisor_core::spec::OnStop;
use supervisor_state::{RecorderHandle, Store};
use tokio::sync::oneshot;

use crate::brief::Brief;
use crate::clock::wall;
use crate::conductor::Ask;
use crate::prepare::prepare;
use crate::supervisor::{
    Alerts, Begin, BeginStop, Begun, Card, Cards, Failed, Find, Forget, Insert, Kill, KillNow, Launch, Pause, Raise, Seen,
    Supervisor, WaitEnded,
};
use crate::view::{AlertRow, ChangeReport, FleetStatus, KillReport, KillStatus, RiskRow, State};
use crate::{guard, journal, rows};

/// Longest wait for an instance to look up.
const LOOK_MS: u64 = 2_000;
/// Longest wait for a stop.
const STOP_MS: u64 = 30_000;
/// Longest wait for the cancels of a kill.
const KILL_MS: u64 = 3_000;

/// Who asks, why, and by which request; every change is recorded with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// User id of the peer (`uid:1000`), or `supervisor`.
    pub by: String,
    /// In the asker's words; may be empty.
    pub reason: String,
    /// Request id.
    pub request: String,
}

impl By {
    /// The supervisor itself.
    #[must_use]
    pub fn supervisor(reason: &str) -> Self {
        Self { by: "supervisor".to_owned(), reason: reason.to_owned(), request: String::new() }
    }
}

/// Options of a start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOptions {
    /// `key = value` settings on top of the instance's file.
    pub set: Vec<(String, String)>,
}

/// A bot that no config directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInstance {
    /// Text of the instance file.
    pub toml: String,
    /// Where it lies; relative data paths are looked up beside it.
    pub path: PathBuf,
    /// Settings on top of it.
    pub set: Vec<(String, String)>,
}

/// Why the fleet did not do it. Each has an HTTP status and an exit code of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// 404, exit 4.
    #[error("no bot named '{id}'{}", suggestion.as_ref().map(|s| format!("; did you mean '{s}'?")).unwrap_or_default())]
    UnknownInstance {
        /// The name.
        id: String,
        /// The nearest known one.
        suggestion: Option<String>,
    },
    /// 404, exit 4.
    #[error("no order '{id}'")]
    UnknownOrder {
        /// The id.
        id: String,
    },
    /// 409, exit 8.
    #[error("{text}")]
    Conflict {
        /// Why.
        text: String,
        /// Stable code: `kill_switch`, `wrong_state`, `id_taken`.
        code: &'static str,
    },
    /// 422, exit 3.
    #[error("{}", problems.join("\n"))]
    Invalid {
        /// One line each.
        problems: Vec<String>,
    },
    /// 504, exit 9.
    #[error("no answer within {ms} ms")]
    Timeout {
        /// How long was waited.
        ms: u64,
    },
    /// 500, exit 1.
    #[error("{text}")]
    Internal {
        /// Why.
        text: String,
    },
}

impl FleetError {
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal { text: error.to_string() }
    }
}

/// Everything a fleet is started with.
pub struct FleetSpec {
    /// The accounts.
    pub accounts: BTreeMap<String, Account>,
    /// The configured instances.
    pub instances: Vec<InstanceConfig>,
    /// False latches the kill switch.
    pub trading_enabled: bool,
    /// The environment, for configuration read later.
    pub env: Env,
    /// The store.
    pub store: Arc<Store>,
    /// The recorder in front of it.
    pub recorder: RecorderHandle,
    /// Arbiters to spread the instances over; one per core is right.
    pub arbiters: usize,
}

/// Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Fleet {
    supervisor: Addr<Supervisor>,
    store: Arc<Store>,
    recorder: RecorderHandle,
    kill: Arc<AtomicBool>,
    accounts: Arc<BTreeMap<String, Account>>,
    env: Arc<Env>,
    started: Instant,
}

const KILL_LATCH: &str = "kill";

impl Fleet {
    /// Starts the supervisor actor on the current actix system; no instance runs yet. A kill latch from an earlier run
    /// still holds.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the store cannot be read.
    pub fn launch(spec: FleetSpec) -> Result<Self, FleetError> {
        guard::install_panic_hook();
        let FleetSpec { accounts, mut instances, trading_enabled, env, store, recorder, arbiters } = spec;
        let mut status = read_kill(&store)?;
        if !status.on && !trading_enabled {
            let by = By::supervisor("risk.trading_enabled = false");
            status = KillStatus { on: true, at: wall().to_string(), by: by.by, reason: by.reason };
            write_kill(&store, &status)?;
        }
        let added = added_instances(&store, &accounts, &env)?;
        instances.extend(added.into_iter().filter(|new| !instances.iter().any(|old| old.spec.id == new.spec.id)).collect::<Vec<_>>());
        let kill = Arc::new(AtomicBool::new(status.on));
        let actor = Supervisor::new(instances, arbiters, store.clone(), recorder.clone(), kill.clone(), status);
        let supervisor = actor.start();
        let (accounts, env) = (Arc::new(accounts), Arc::new(env));
        Ok(Self { supervisor, store, recorder, kill, accounts, env, started: Instant::now() })
    }

    async fn send<M>(&self, message: M) -> Result<M::Result, FleetError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Supervisor: Handler<M>,
        <Supervisor as Actor>::Context: ToEnvelope<Supervisor, M>,
    {
        self.supervisor.send(message).await.map_err(FleetError::internal)
    }

    pub(crate) async fn card(&self, id: &str) -> Result<Card, FleetError> {
        self.send(Find { id: id.to_owned() }).await?
    }

    pub(crate) async fn cards(&self, id: Option<&str>) -> Result<Vec<Card>, FleetError> {
        match id {
            Some(id) => Ok(vec![self.card(id).await?]),
            None => self.send(Cards {}).await,
        }
    }

    pub(crate) const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Starts every instance with `autostart`; failures become alerts. Answers how many run.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn autostart(&self, only: &[String]) -> Result<usize, FleetError> {
        let mut started = 0;
        for card in self.cards(None).await? {
            let id = card.spec.id.to_string();
            let wanted = if only.is_empty() { card.config.autostart } else { only.contains(&id) };
            let stopped = self.store.get_latch(&stopped_latch(&id)).map_err(FleetError::internal)?.is_some();
            if wanted && !(stopped && only.is_empty()) && self.begin(&id, None, true).await.is_ok() {
                started += 1;
            }
        }
        Ok(started)
    }

    /// All instances.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn status(&self) -> Result<FleetStatus, FleetError> {
        let cards = self.cards(None).await?;
        let looks: Vec<_> = cards.iter().map(|card| (card.conductor.is_some()).then(|| ask(card, false))).collect();
        let mut items = Vec::with_capacity(cards.len());
        for (mut card, look) in cards.into_iter().zip(looks) {
            if let Some(Ok((brief, _))) = match look {
                Some(receiver) => Some(within(LOOK_MS, receiver).await),
                None => None,
            } {
                self.supervisor.do_send(Seen { id: card.spec.id, brief: brief.clone() });
                card.brief = brief;
            }
            items.push(journal::status_row(&card));
        }
        let kill = self.kill_status().await?;
        Ok(FleetStatus { items, kill, epoch: self.store.epoch(), up_ms: millis(self.started.elapsed()) })
    }

    /// The state of an instance: of its actors when it runs, its last one else.
    pub(crate) async fn look(&self, card: &mut Card) -> Result<Option<Arc<InstanceState>>, FleetError> {
        if card.conductor.is_none() {
            return Ok(card.last.clone());
        }
        match within(LOOK_MS, ask(card, true)).await {
            Ok((brief, state)) => {
                card.brief = brief;
                Ok(state.map(Arc::from))
            }
            // It may have ended just now.
            Err(error) => {
                *card = self.card(card.spec.id.as_str()).await?;
                card.last.clone().map(Some).ok_or(error)
            }
        }
    }

    /// The rules of one instance.
    ///
    /// # Errors
    /// [`FleetError::UnknownInstance`].
    pub async fn risk(&self, id: &str) -> Result<Vec<RiskRow>, FleetError> {
        let mut card = self.card(id).await?;
        let state = self.look(&mut card).await?;
        Ok(rows::risk(&card.spec, state.as_deref()))
    }

    /// Newest alerts, oldest first.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn errors(&self, limit: usize) -> Result<Vec<AlertRow>, FleetError> {
        self.send(Alerts { limit }).await
    }

    /// Starts an instance; one that runs already is left alone.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, kill switch on, wrong settings, or a feed that cannot be read.
    pub async fn start(&self, id: &str, options: StartOptions, by: By) -> Result<ChangeReport, FleetError> {
        let card = self.card(id).await?;
        if card.state == State::Paused {
            return self.resume(id, by).await;
        }
        let config = if options.set.is_empty() { None } else { Some(Arc::new(self.reread(&card, &options.set)?)) };
        let report = self.begin(id, config, false).await?;
        if report.changed {
            let name = stopped_latch(id);
            self.blocking(move |store, _| store.remove_latch(&name)).await?;
        }
        Ok(report)
    }

    fn reread(&self, card: &Card, set: &[(String, String)]) -> Result<InstanceConfig, FleetError> {
        let source = &card.config.source;
        let shipped = SHIPPED_INSTANCES.iter().find(|(name, _)| source.ends_with(name) && !source.exists());
        let read = match shipped {
            Some((_, text)) => instance_from_text(text, source, &self.accounts, set, &self.env),
            None => load_instance(source, &self.accounts, set, &self.env),
        };
        let config = read.map_err(invalid)?;
        if config.spec.id != card.spec.id {
            return Err(FleetError::Invalid { problems: vec![format!("id: a start cannot rename '{}'", card.spec.id)] });
        }
        Ok(config)
    }

    async fn begin(&self, id: &str, config: Option<Arc<InstanceConfig>>, auto: bool) -> Result<ChangeReport, FleetError> {
        let begun = self.send(Begin { id: id.to_owned(), config, auto }).await??;
        let (config, last, generation) = match begun {
            Begun::Already(state) => {
                let text = format!("'{id}' is already {}", state.word());
                return Ok(ChangeReport { id: id.to_owned(), state, changed: false, text });
            }
            Begun::Go { config, last, generation } => (config, last, generation),
        };
        let instance = config.spec.id;
        let prepared = self.blocking(move |store, recorder| prepare(store, recorder, &config, last)).await;
        match prepared {
            Ok(prepared) => {
                let launch = Launch { id: instance, generation, prepared: Box::new(prepared) };
                let state = self.send(launch).await??;
                let text = format!("'{id}' is {}", state.word());
                Ok(ChangeReport { id: id.to_owned(), state, changed: true, text })
            }
            Err(error) => {
                self.send(Failed { id: instance, text: error.to_string() }).await?;
                Err(FleetError::Invalid { problems: vec![error.to_string()] })
            }
        }
    }

    /// Adds a bot from a file's text and starts it. It is remembered over restarts of the process.
    ///
    /// # Errors
    /// [`FleetError::Invalid`] with everything that is wrong, [`FleetError::Conflict`] when the id is taken.
    pub async fn add(&self, new: NewInstance, by: By) -> Result<ChangeReport, FleetError> {
        let config = instance_from_text(&new.toml, &new.path, &self.accounts, &new.set, &self.env).map_err(invalid)?;
        let id = config.spec.id.to_string();
        let mut all: Vec<InstanceConfig> =
            self.cards(None).await?.iter().map(|card| InstanceConfig::clone(&card.config)).collect();
        all.push(config.clone());
        let problems = check_balances(&new.path.display().to_string(), &self.accounts, &all);
        if !problems.is_empty() && !all[..all.len() - 1].iter().any(|old| old.spec.id == config.spec.id) {
            return Err(FleetError::Invalid { problems: problems.iter().map(ToString::to_string).collect() });
        }
        self.send(Insert { config: Arc::new(config) }).await??;
        let (name, bytes) = (added_latch(&id), serde_json::to_vec(&new).map_err(FleetError::internal)?);
        self.blocking(move |store, _| store.put_latch(&name, &bytes)).await?;
        match self.start(&id, StartOptions::default(), by).await {
            Ok(report) => Ok(report),
            Err(error) => {
                // What could not start once is not kept.
                self.send(Forget { id: id.clone() }).await??;
                let name = added_latch(&id);
                self.blocking(move |store, _| store.remove_latch(&name)).await?;
                Err(error)
            }
        }
    }

    /// Stops an instance; `on_stop` `None`: as configured. Answers when it has stopped and its state is on disk.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, still starting, or no end within 30 s.
    pub async fn stop(&self, id: &str, on_stop: Option<OnStop>, by: By) -> Result<ChangeReport, FleetError> {
        let name = stopped_latch(self.card(id).await?.spec.id.as_str());
        self.blocking(move |store, _| store.put_latch(&name, b"stopped")).await?;
        self.stop_now(id, on_stop, by).await
    }

    async fn stop_now(&self, id: &str, on_stop: Option<OnStop>, by: By) -> Result<ChangeReport, FleetError> {
        let waiter = self.send(BeginStop { id: id.to_owned(), on_stop, by }).await??;
        let changed = waiter.is_some();
        if let Some(waiter) = waiter {
            within(STOP_MS, waiter).await?;
        }
        let card = self.card(id).await?;
        let word = card.state.word();
        let text = if changed { format!("'{id}' is {word}") } else { format!("'{id}' was not running: it is {word}") };
        Ok(ChangeReport { id: id.to_owned(), state: card.state, changed, text })
    }

    /// Entries off; exits go on.
    ///
    /// # Errors
    /// [`FleetError`]: unknown or not running.
    pub async fn pause(&self, id: &str, by: By) -> Result<ChangeReport, FleetError> {
        self.set_paused(id, true, by).await
    }

    /// Entries on.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, not running, or the kill switch is on.
    pub async fn resume(&self, id: &str, by: By) -> Result<ChangeReport, FleetError> {
        self.set_paused(id, false, by).await
    }

    async fn set_paused(&self, id: &str, on: bool, by: By) -> Result<ChangeReport, FleetError> {
        let (card, changed) = self.send(Pause { id: id.to_owned(), on, by }).await??;
        // The answer to a look comes after the command: when it is there, the command has been taken.
        within(LOOK_MS, ask(&card, false)).await?;
        let already = if changed { "" } else { "already " };
        let text = format!("'{id}' is {already}{}", card.state.word());
        Ok(ChangeReport { id: id.to_owned(), state: card.state, changed, text })
    }

    /// Stops it if it runs, then starts it from where it stopped.
    ///
    /// # Errors
    /// [`FleetError`] of the stop or of the start.
    pub async fn restart(&self, id: &str, by: By) -> Result<ChangeReport, FleetError> {
        if self.kill.load(Ordering::Acquire) {
            let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
            return Err(FleetError::Conflict { text, code: "kill_switch" });
        }
        self.stop_now(id, Some(OnStop::Keep), by.clone()).await?;
        self.start(id, StartOptions::default(), by).await
    }

    /// Stops it if it runs, then forgets it; its journal stays.
    ///
    /// # Errors
    /// [`FleetError`] of the stop.
    pub async fn remove(&self, id: &str, by: By) -> Result<ChangeReport, FleetError> {
        self.stop_now(id, None, by).await?;
        let card = self.card(id).await?;
        self.send(Forget { id: id.to_owned() }).await??;
        let name = added_latch(id);
        self.blocking(move |store, _| store.remove_latch(&name)).await?;
        let back = if card.config.source.exists() {
            format!("; its file {} is still there and will be read at the next run", card.config.source.display())
        } else {
            String::new()
        };
        let text = format!("'{id}' is removed; its journal stays{back}");
        Ok(ChangeReport { id: id.to_owned(), state: State::Stopped, changed: true, text })
    }

    /// The kill switch: shuts every gate at once, persists the latch, cancels resting orders, keeps positions.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the latch could not be persisted; it holds in this process all the same.
    pub async fn kill(&self, by: By) -> Result<KillReport, FleetError> {
        self.kill.store(true, Ordering::Release);
        let before = self.open_orders(300).await?;
        let status =
            KillStatus { on: true, at: wall().to_string(), by: by.by.clone(), reason: by.reason.clone() };
        let latch = status.clone();
        let stored = self.blocking(move |store, _| write_kill(store, &latch)).await;
        let told = self.send(Kill { status: status.clone(), by }).await?;
        let deadline = Instant::now() + Duration::from_millis(KILL_MS);
        let mut after = self.open_orders(300).await?;
        while after > 0 && Instant::now() < deadline {
            actix::clock::sleep(Duration::from_millis(50)).await;
            after = self.open_orders(300).await?;
        }
        if let Err(error) = stored {
            let text = format!("the kill switch is on, but could not be persisted: {error}");
            self.raise("critical", "kill.not_persisted", &text);
            return Err(FleetError::Internal { text });
        }
        let (halted, open_before) = (told.len() as u64, before.max(after));
        Ok(KillReport { kill: status, halted, open_before, open_after: after })
    }

    async fn open_orders(&self, ms: u64) -> Result<u64, FleetError> {
        let cards = self.cards(None).await?;
        let looks: Vec<_> =
            cards.iter().filter(|card| card.conductor.is_some()).map(|card| (card.brief.open_orders, ask(card, false))).collect();
        let mut open = 0;
        for (known, look) in looks {
            open += within(ms, look).await.map_or(known, |(brief, _)| brief.open_orders);
        }
        Ok(open)
    }

    /// The latch.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn kill_status(&self) -> Result<KillStatus, FleetError> {
        self.send(KillNow {}).await
    }

    /// Clears the latch; every bot stays paused until it is resumed.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the latch could not be removed from disk; then it stays on.
    pub async fn kill_clear(&self, by: By) -> Result<KillStatus, FleetError> {
        self.blocking(|store, _| store.remove_latch(KILL_LATCH)).await?;
        self.kill.store(false, Ordering::Release);
        let status = KillStatus { on: false, at: wall().to_string(), by: by.by.clone(), reason: by.reason.clone() };
        if self.kill_status().await?.on {
            self.send(Kill { status: status.clone(), by }).await?;
        }
        Ok(status)
    }

    /// The performance reports of all instances that have a state: `{"items": [...]}`.
    ///
    /// # Errors
    /// [`FleetError`] when an instance does not answer.
    pub async fn report(&self) -> Result<serde_json::Value, FleetError> {
        let mut items = Vec::new();
        for mut card in self.cards(None).await? {
            if let Some(state) = self.look(&mut card).await? {
                let report = state.report(&card.spec).map_err(FleetError::internal)?;
                items.push(serde_json::to_value(report).map_err(FleetError::internal)?);
            }
        }
        Ok(serde_json::json!({ "items": items }))
    }

    /// Completes when every instance with a finite feed has reached its end.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn ended(&self) -> Result<(), FleetError> {
        let receiver = self.send(WaitEnded {}).await?;
        receiver.await.map_err(FleetError::internal)
    }

    /// Stops every instance as configured, flushes, and answers the final report.
    ///
    /// # Errors
    /// [`FleetError`] when the final flush fails.
    pub async fn shutdown(&self, by: By) -> Result<serde_json::Value, FleetError> {
        let live: Vec<String> =
            self.cards(None).await?.iter().filter(|card| card.state.is_live()).map(|card| card.spec.id.to_string()).collect();
        let stops: Vec<_> = live.iter().map(|id| self.stop_now(id, None, by.clone())).collect();
        for (id, stopped) in live.iter().zip(futures_util::future::join_all(stops).await) {
            if let Err(error) = stopped {
                self.raise("critical", "stop.failed", &format!("'{id}' did not stop: {error}"));
            }
        }
        self.blocking(|_, recorder| recorder.flush()).await?;
        self.report().await
    }

    fn raise(&self, severity: &'static str, code: &'static str, text: &str) {
        self.supervisor.do_send(Raise { severity, instance: String::new(), code, text: text.to_owned() });
    }

    /// Work that may block, on a thread made for it.
    pub(crate) async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Store, &RecorderHandle) -> Result<T, E> + Send + 'static,
    ) -> Result<T, FleetError>
    where
        T: Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let (store, recorder) = (self.store.clone(), self.recorder.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &recorder)).await;
        done.map_err(FleetError::internal)?.map_err(FleetError::internal)
    }
}

fn ask(card: &Card, full: bool) -> oneshot::Receiver<(Brief, Option<Box<InstanceState>>)> {
    let (reply, receiver) = oneshot::channel();
    if let Some(conductor) = &card.conductor {
        conductor.do_send(Ask { full, reply });
    }
    receiver
}

async fn within<T>(ms: u64, receiver: oneshot::Receiver<T>) -> Result<T, FleetError> {
    match actix::clock::timeout(Duration::from_millis(ms), receiver).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(FleetError::Internal { text: "the instance ended before it answered".to_owned() }),
        Err(_) => Err(FleetError::Timeout { ms }),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn invalid(errors: supervisor_config::ConfigErrors) -> FleetError {
    FleetError::Invalid { problems: errors.problems.iter().map(ToString::to_string).collect() }
}

fn stopped_latch(id: &str) -> String {
    format!("stopped/{id}")
}

fn added_latch(id: &str) -> String {
    format!("added/{id}")
}

fn read_kill(store: &Store) -> Result<KillStatus, FleetError> {
    match store.get_latch(KILL_LATCH).map_err(FleetError::internal)? {
        None => Ok(KillStatus::default()),
        // A latch that cannot be read still is a latch: fail closed.
        Some(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or(KillStatus {
            on: true,
            at: String::new(),
            by: "supervisor".to_owned(),
            reason: "the stored latch cannot be read".to_owned(),
        })),
    }
}

fn write_kill(store: &Store, status: &KillStatus) -> Result<(), FleetError> {
    let bytes = serde_json::to_vec(status).map_err(FleetError::internal)?;
    store.put_latch(KILL_LATCH, &bytes).map_err(FleetError::internal)
}

/// Bots that were added by file in an earlier run. One that no longer reads is reported and left out.
fn added_instances(store: &Store, accounts: &BTreeMap<String, Account>, env: &Env) -> Result<Vec<InstanceConfig>, FleetError> {
    let mut added = Vec::new();
    for (name, bytes) in store.latches().map_err(FleetError::internal)? {
        if !name.starts_with("added/") {
            continue;
        }
        let read = serde_json::from_slice::<NewInstance>(&bytes).map_err(|error| error.to_string()).and_then(|new| {
            instance_from_text(&new.toml, &new.path, accounts, &new.set, env).map_err(|errors| errors.to_string())
        });
        match read {
            Ok(config) => added.push(config),
            Err(error) => tracing::error!(event = "config.added_unreadable", "{name}: {error}"),
        }
    }
    Ok(added)
}
