//! What a fleet stands on: the store, checked and if need be restored, the recorder, and the policies of the
//! configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use supervisor_actors::{Backups, Fleet, FleetError, FleetSpec, Policy, Snapshots, offline};
use supervisor_config::SupervisorConfig;
use supervisor_state::{Recorder, RecorderHandle, Scope, Settings, StateDir, Store};

use crate::bounded::bounded;
use crate::fault::{Exit, Fault};
use crate::places;

/// See the module.
pub struct Ground {
    store: Arc<Store>,
    recorder: RecorderHandle,
    config: SupervisorConfig,
    backups: PathBuf,
    told: Vec<(&'static str, &'static str, String)>,
    verify: bool,
}

impl Ground {
    /// Opens the store and starts the recorder, which the caller stops when the fleet is gone.
    pub fn open(lock: &StateDir, config: SupervisorConfig) -> Result<(Self, Recorder), Fault> {
        let backups = config.backup.dir_in(lock.path());
        let opened = bounded(&[&lock.store_dir(), &backups], || offline::open(lock, &backups));
        let opened = opened.map_err(|error| Fault::new(Exit::Failed, "store", error.to_string()))?;
        let (told, verify) = (offline::told(&opened), opened.verified == Some(Scope::Tail));
        let store = Arc::new(opened.store);
        let reserve_bytes = config.state.reserve_mb.saturating_mul(1 << 20);
        let settings = Settings { facts_kept: config.state.facts_kept, reserve_bytes };
        let recorder = Recorder::start_with(Arc::clone(&store), settings);
        let recorder = recorder.map_err(|error| Fault::new(Exit::Failed, "recorder", error.to_string()))?;
        Ok((Self { store, recorder: recorder.handle(), config, backups, told, verify }, recorder))
    }

    /// The store, to be sealed at the end.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// What the opening of the store has to tell, for the person at the terminal; it becomes alerts, too.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|(_, _, text)| text.as_str())
    }

    /// The one place where the fleet is built.
    pub fn fleet(self) -> Result<Fleet, FleetError> {
        let Self { store, recorder, config, backups, told, verify } = self;
        let arbiters = std::thread::available_parallelism().map_or(2, usize::from);
        let (restarts, snapshots) = (restarts(&config), snapshots(&config));
        let backups = backup_policy(&config, backups);
        Fleet::launch(FleetSpec {
            accounts: config.accounts,
            instances: config.instances,
            trading_enabled: config.risk.trading_enabled,
            env: places::env(),
            store,
            recorder,
            arbiters,
            stop_deadline: Duration::from_secs(config.stop.deadline_s),
            restarts,
            snapshots,
            backups,
            told,
            verify,
        })
    }
}

fn restarts(config: &SupervisorConfig) -> Policy {
    let restart = config.restart;
    Policy {
        max: u32::try_from(restart.max).unwrap_or(u32::MAX),
        window: Duration::from_secs(restart.window_s),
        base: Duration::from_millis(restart.backoff_ms),
        cap: Duration::from_secs(restart.backoff_max_s),
        healthy: Duration::from_secs(restart.healthy_s),
        hang: Duration::from_secs(restart.hang_s),
    }
}

fn snapshots(config: &SupervisorConfig) -> Snapshots {
    let state = config.state;
    let age = Duration::from_secs(state.snapshot_s);
    Snapshots { facts: state.snapshot_facts, events: state.snapshot_events, age }
}

fn backup_policy(config: &SupervisorConfig, dir: PathBuf) -> Backups {
    let minutes = config.backup.interval_min;
    let every = (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)));
    Backups { dir, every, keep: usize::try_from(config.backup.keep).unwrap_or(usize::MAX) }
}
