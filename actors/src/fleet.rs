//! The handle by which everything else talks to the supervisor actor.
//!
//! Promises: every answer comes within a bounded time, also from an instance that hangs. Never: holds state of its own
//! besides the kill latch, which it sets before anything else.

mod added;
mod change;
mod error;
pub(crate) mod keep;
mod kill;
mod look;
mod resolve;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use supervisor_config::{Account, Env, InstanceConfig};
use supervisor_state::{RecorderHandle, Store};
use tokio::sync::watch;

use crate::clock::wall;
use crate::prepare::recall;
use crate::restart::Policy;
use crate::seat::ledgers;
use crate::settings::{Backups, Snapshots};
use crate::supervisor::messages::{Alerts, Cards, Find, Raise, Recalled, WaitEnded, WaitFailed};
use crate::supervisor::{Card, Charter, Supervisor};
use crate::view::{AlertRow, KillStatus, RiskRow, State};
use crate::{guard, rows};

use added::{added_instances, added_latch, pause_all, started_latch, stopped_latch};
pub use error::FleetError;
pub(crate) use keep::dumped;
use keep::{newest_age, past_alerts};
use kill::{read_kill, write_kill};
use look::{LOOK_MS, ask, within};

/// Instances that are prepared at the same time.
const STARTS_AT_ONCE: usize = 16;

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
    /// Forget the stored state (orders, position, streak) and start anew.
    #[serde(default)]
    pub fresh: bool,
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
    /// Longest time that the stop of an instance may take.
    pub stop_deadline: Duration,
    /// When failed instances may try again.
    pub restarts: Policy,
    /// When instances take snapshots.
    pub snapshots: Snapshots,
    /// Where and how often backups are written.
    pub backups: Backups,
    /// What the opening of the store has to tell: alerts, each with its severity and code.
    pub told: Vec<(&'static str, &'static str, String)>,
    /// True when only a part of the store was checked at its opening: the rest is checked while the bots run.
    pub verify: bool,
}

/// Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Fleet {
    supervisor: Addr<Supervisor>,
    store: Arc<Store>,
    recorder: RecorderHandle,
    kill: Arc<AtomicBool>,
    /// Throwing and clearing the kill switch do not overlap.
    kill_turn: Arc<tokio::sync::Mutex<()>>,
    accounts: Arc<BTreeMap<String, Account>>,
    env: Arc<Env>,
    stop_ms: u64,
    started: Instant,
    backups: Arc<Backups>,
    /// True once it is known what the bots that do not start have from an earlier run.
    recalled: Arc<watch::Sender<bool>>,
}

impl Fleet {
    /// Starts the supervisor actor on the current actix system; no instance runs yet. A kill latch from an earlier run
    /// still holds.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the store cannot be read.
    pub fn launch(spec: FleetSpec) -> Result<Self, FleetError> {
        guard::install_panic_hook();
        #[cfg(feature = "faults")]
        crate::faults::arm_from_env().map_err(FleetError::internal)?;
        let FleetSpec { accounts, instances, trading_enabled, env, store, recorder, arbiters, stop_deadline, .. } =
            spec;
        let FleetSpec { restarts, snapshots, backups, told, verify, .. } = spec;
        let mut status = read_kill(&store)?;
        if !status.on && !trading_enabled {
            let by = By::supervisor("risk.trading_enabled = false");
            status = KillStatus { on: true, at: wall().to_string(), by: by.by, reason: by.reason };
            write_kill(&store, &status)?;
        }
        let (mut added, unreadable) = added_instances(&store, &accounts, &env)?;
        added.retain(|new| !instances.iter().any(|old| old.spec.id == new.spec.id));
        let instances = instances.into_iter().map(|config| (config, false));
        let instances: Vec<_> = instances.chain(added.into_iter().map(|config| (config, true))).collect();
        let ids: Vec<&str> = instances.iter().map(|(config, _)| config.spec.id.as_str()).collect();
        let lost = pause_all(&store, &ids).map_err(FleetError::internal)?;
        let kill = Arc::new(AtomicBool::new(status.on));
        let latched = status.on.then(|| format!("kill switch ON since {}, by {}", status.since(), status.by));
        let actor = Supervisor::new(Charter {
            instances,
            arbiters,
            store: store.clone(),
            recorder: recorder.clone(),
            kill: kill.clone(),
            kill_status: status,
            restarts,
            snapshots,
            backup_age: newest_age(&backups),
            backups: backups.clone(),
            verify,
            ledgers: ledgers(&accounts),
            alerts: past_alerts(&store)?,
        });
        let supervisor = actor.start();
        let (accounts, env, backups) = (Arc::new(accounts), Arc::new(env), Arc::new(backups));
        let (stop_ms, started) = (millis(stop_deadline), Instant::now());
        let kill_turn = Arc::default();
        let recalled = Arc::new(watch::Sender::new(false));
        let fleet =
            Self { supervisor, store, recorder, kill, kill_turn, accounts, env, stop_ms, started, backups, recalled };
        for (severity, code, text) in told {
            fleet.raise(severity, code, &text);
        }
        for text in lost {
            fleet.raise("critical", "store.restored", &text);
        }
        for text in unreadable {
            fleet.raise("critical", "config.added_unreadable", &text);
        }
        if let Some(text) = latched {
            fleet.raise("critical", "kill_switch", &text);
        }
        Ok(fleet)
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

    /// Starts every instance with `autostart`; failures become alerts. Those that stay stopped still show what they
    /// have. Answers how many run.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn autostart(&self, only: &[String]) -> Result<usize, FleetError> {
        let (mut wanted, mut resting) = (Vec::new(), Vec::new());
        for card in self.cards(None).await? {
            let id = card.spec.id.to_string();
            let stopped = self.store.get_latch(&stopped_latch(&id)).map_err(FleetError::internal)?.is_some();
            let started = self.started(&id)?;
            let by_itself = only.is_empty() && (card.config.autostart || started.is_some()) && !stopped;
            if by_itself || only.contains(&id) {
                let set = started.filter(|set| !set.is_empty());
                wanted.push((id, set.map(|set| self.reread(&card, &set).map(Arc::new)).transpose()));
            } else {
                resting.push(card.config);
            }
        }
        let starts = wanted.into_iter().map(|(id, config)| async move {
            match config {
                Ok(config) => self.begin(&id, config, false, true).await.is_ok(),
                Err(error) => {
                    self.raise("critical", "start.failed", &format!("'{id}' with its own settings: {error}"));
                    false
                }
            }
        });
        let started = stream::iter(starts).buffer_unordered(STARTS_AT_ONCE);
        let started = started.filter(|is_up| std::future::ready(*is_up)).count();
        let (started, recalled) = futures_util::future::join(started, self.recall(resting)).await;
        if let Err(error) = recalled {
            tracing::error!(event = "state.unreadable", %error, "bots that do not start cannot be looked at");
        }
        self.recalled.send_replace(true);
        Ok(started)
    }

    /// What these have from an earlier run, for those who look. One that cannot be read is as one that has nothing: its
    /// start will say why.
    async fn recall(&self, resting: Vec<Arc<InstanceConfig>>) -> Result<(), FleetError> {
        let found = self.blocking(move |store, _| {
            let of = |config: Arc<InstanceConfig>| {
                let (id, found) = (config.spec.id, recall(store, &config));
                if let Err(error) = &found {
                    let instance = id.as_str();
                    tracing::warn!(event = "state.unreadable", instance, %error, "it cannot be looked at");
                }
                Some((found.ok()??, id))
            };
            Ok::<Vec<_>, FleetError>(resting.into_iter().filter_map(of).collect())
        });
        for ((life, state), id) in found.await? {
            self.supervisor.do_send(Recalled { id, life, state: Arc::from(state) });
        }
        Ok(())
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

    /// The performance reports of all instances that have a state: `{"items": [...]}`.
    ///
    /// # Errors
    /// [`FleetError`] when an instance does not answer.
    pub async fn report(&self) -> Result<serde_json::Value, FleetError> {
        let mut items = Vec::new();
        for (card, state) in self.look_all(self.cards(None).await?).await? {
            if let Some(state) = state {
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

    /// Completes with the reason when nothing can be recorded any more: the process should end then, and be started
    /// again by whoever watches it.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn storage_failed(&self) -> Result<String, FleetError> {
        let receiver = self.send(WaitFailed {}).await?;
        receiver.await.map_err(FleetError::internal)
    }

    /// Stops every instance as configured, flushes, and answers the final report.
    ///
    /// # Errors
    /// [`FleetError`] when the final flush fails.
    pub async fn shutdown(&self, by: By) -> Result<serde_json::Value, FleetError> {
        let live: Vec<String> = self
            .cards(None)
            .await?
            .iter()
            // One that is still being built has nothing to stop.
            .filter(|card| card.conductor.is_some() && card.state != State::Starting)
            .map(|card| card.spec.id.to_string())
            .collect();
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

    /// Writes latches. On a full disk the first try fails; the recorder then gives up its reserve, and the second one
    /// has room.
    pub(crate) async fn latch<T, E>(
        &self,
        write: impl Fn(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, FleetError>
    where
        T: Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        self.blocking(move |store, recorder| match write(store) {
            Ok(done) => Ok(done),
            Err(first) if recorder.flush().is_err() => Err(first),
            Err(_) => write(store),
        })
        .await
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

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
