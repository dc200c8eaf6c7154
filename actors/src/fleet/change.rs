//! Starting, stopping, pausing, adding and removing instances.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use supervisor_config::{InstanceConfig, SHIPPED_INSTANCES, check_balances, instance_from_text, load_instance};
use supervisor_core::spec::OnStop;

use super::{
    By, Fleet, FleetError, LOOK_MS, NewInstance, StartOptions, added_latch, ask, started_latch, stopped_latch, within,
};
use crate::prepare::{paused_latch, quarantined_latch};
use crate::supervisor::Card;
use crate::supervisor::messages::{Begin, BeginStop, Begun, Forget, Insert, Pause};
use crate::view::{ChangeReport, State};

fn invalid(errors: supervisor_config::ConfigErrors) -> FleetError {
    FleetError::Invalid { problems: errors.problems.iter().map(ToString::to_string).collect() }
}

/// The text of a shipped instance that lies inside the program.
fn shipped(source: &Path) -> Option<&'static str> {
    let found = SHIPPED_INSTANCES.iter().find(|(name, _)| source.ends_with(name) && !source.exists());
    found.map(|(_, text)| *text)
}

impl Fleet {
    /// Starts an instance; one that runs already is left alone.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, kill switch on, wrong settings, or a feed that cannot be read.
    pub async fn start(&self, id: &str, options: StartOptions, by: By) -> Result<ChangeReport, FleetError> {
        let card = self.card(id).await?;
        self.refuse_if_killed()?;
        if card.state.is_live() && !options.set.is_empty() {
            let text = format!("'{id}' is {}; a setting needs a start: stop it first", card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        if card.state == State::Paused {
            return self.resume(id, by).await;
        }
        if card.state.is_live() && options.fresh {
            let text = format!("'{id}' is {}; a fresh start needs it stopped: stop it first", card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        let config = self.config_now(&card, &options.set)?;
        let report = self.begin(id, config, options.fresh, false).await?;
        if report.changed {
            let set = serde_json::to_vec(&options.set).map_err(FleetError::internal)?;
            let (started, stopped) = (started_latch(id), stopped_latch(id));
            self.latch(move |store| {
                store.put_latch(&started, &set)?;
                store.remove_latch(&stopped)
            })
            .await?;
        }
        Ok(report)
    }

    /// Its configuration as its file says now, with settings on top; `None`: there is no file, it stays as it is.
    fn config_now(&self, card: &Card, set: &[(String, String)]) -> Result<Option<Arc<InstanceConfig>>, FleetError> {
        let is_there = card.added || card.config.source.exists() || shipped(&card.config.source).is_some();
        (is_there || !set.is_empty()).then(|| self.reread(card, set).map(Arc::new)).transpose()
    }

    /// The settings on top of its file that an operator started it with; `None`: nobody did.
    pub(super) fn started(&self, id: &str) -> Result<Option<Vec<(String, String)>>, FleetError> {
        let kept = self.store().get_latch(&started_latch(id)).map_err(FleetError::internal)?;
        kept.map(|bytes| serde_json::from_slice(&bytes).map_err(FleetError::internal)).transpose()
    }

    fn refuse_if_killed(&self) -> Result<(), FleetError> {
        if !self.kill.load(Ordering::Acquire) {
            return Ok(());
        }
        let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
        Err(FleetError::Conflict { text, code: "kill_switch" })
    }

    pub(super) fn reread(&self, card: &Card, set: &[(String, String)]) -> Result<InstanceConfig, FleetError> {
        let source = &card.config.source;
        let read = if card.added {
            // It is what was added, settings included; the file may be gone.
            let NewInstance { toml, path, set: first } = self.added(card.spec.id.as_str())?;
            instance_from_text(&toml, &path, &self.accounts, &[&first, set].concat(), &self.env)
        } else if let Some(text) = shipped(source) {
            instance_from_text(text, source, &self.accounts, set, &self.env)
        } else {
            load_instance(source, &self.accounts, set, &self.env)
        };
        let config = read.map_err(invalid)?;
        if config.spec.id != card.spec.id {
            return Err(FleetError::Invalid {
                problems: vec![format!("id: a start cannot rename '{}'", card.spec.id)],
            });
        }
        Ok(config)
    }

    fn added(&self, id: &str) -> Result<NewInstance, FleetError> {
        let bytes = self.store().get_latch(&added_latch(id)).map_err(FleetError::internal)?.unwrap_or_default();
        serde_json::from_slice(&bytes).map_err(FleetError::internal)
    }

    pub(super) async fn begin(
        &self,
        id: &str,
        config: Option<Arc<InstanceConfig>>,
        fresh: bool,
        auto: bool,
    ) -> Result<ChangeReport, FleetError> {
        let (state, changed) = match self.send(Begin { id: id.to_owned(), config, fresh, auto }).await?? {
            Begun::Already(state) => (state, false),
            Begun::Soon(receiver) => (receiver.await.map_err(FleetError::internal)??, true),
        };
        let already = if changed { "" } else { "already " };
        let text = format!("'{id}' is {already}{}", state.word());
        Ok(ChangeReport { id: id.to_owned(), state, changed, text })
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
        self.send(Insert { config: Arc::new(config), added: true }).await??;
        let (name, bytes) = (added_latch(&id), serde_json::to_vec(&new).map_err(FleetError::internal)?);
        self.latch(move |store| store.put_latch(&name, &bytes)).await?;
        // What an earlier bot of this name left behind is not its own.
        let options = StartOptions { fresh: true, ..StartOptions::default() };
        match self.start(&id, options, by).await {
            Ok(report) => Ok(report),
            Err(error) => {
                // What could not start once is not kept.
                self.send(Forget { id: id.clone() }).await??;
                let name = added_latch(&id);
                self.latch(move |store| store.remove_latch(&name)).await?;
                Err(error)
            }
        }
    }

    /// Stops an instance; `on_stop` `None`: as configured. Answers when it has stopped and its state is on disk.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, still starting, or no end within the deadline of `[stop]`.
    pub async fn stop(&self, id: &str, on_stop: Option<OnStop>, by: By) -> Result<ChangeReport, FleetError> {
        let name = stopped_latch(self.card(id).await?.spec.id.as_str());
        let (latch, started) = (name.clone(), started_latch(id));
        self.latch(move |store| {
            store.put_latch(&latch, b"stopped")?;
            store.remove_latch(&started)
        })
        .await?;
        let stopped = self.stop_now(id, on_stop, by).await;
        if matches!(stopped, Err(FleetError::Conflict { .. })) {
            // It was refused, so the next run is not to keep it stopped.
            self.latch(move |store| store.remove_latch(&name)).await?;
        }
        stopped
    }

    pub(super) async fn stop_now(&self, id: &str, on_stop: Option<OnStop>, by: By) -> Result<ChangeReport, FleetError> {
        let waiter = self.send(BeginStop { id: id.to_owned(), on_stop, by }).await??;
        let changed = waiter.is_some();
        if let Some(waiter) = waiter {
            within(self.stop_ms, waiter).await?;
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
        let latch = paused_latch(id);
        self.latch(move |store| if on { store.put_latch(&latch, b"paused") } else { store.remove_latch(&latch) })
            .await?;
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
        self.refuse_if_killed()?;
        let set = self.started(id)?.unwrap_or_default();
        // A file that cannot be read is no reason to stop what runs.
        self.config_now(&self.card(id).await?, &set)?;
        self.stop_now(id, Some(OnStop::Keep), by.clone()).await?;
        self.start(id, StartOptions { set, fresh: false }, by).await
    }

    /// Stops it if it runs, then forgets it; its journal stays.
    ///
    /// # Errors
    /// [`FleetError`] of the stop.
    pub async fn remove(&self, id: &str, by: By) -> Result<ChangeReport, FleetError> {
        self.stop_now(id, None, by).await?;
        let card = self.card(id).await?;
        self.send(Forget { id: id.to_owned() }).await??;
        let latches = [added_latch(id), started_latch(id), stopped_latch(id), paused_latch(id), quarantined_latch(id)];
        self.latch(move |store| latches.iter().try_for_each(|latch| store.remove_latch(latch))).await?;
        let source = &card.config.source;
        let back = if card.added {
            String::new()
        } else if shipped(source).is_some() {
            "; it belongs to the shipped configuration and will be there again at the next run".to_owned()
        } else {
            format!("; while its file {} is there, the next run will read it", source.display())
        };
        let text = format!("'{id}' is removed; its journal stays{back}");
        Ok(ChangeReport { id: id.to_owned(), state: State::Stopped, changed: true, text })
    }
}
