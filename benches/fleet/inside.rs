//! A fleet inside this process, where its recorder can be looked at and faults can be planted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervisor_actors::view::InstanceStatus;
use supervisor_actors::{Backups, By, Fleet, FleetSpec, Policy, Snapshots};
use supervisor_config::InstanceConfig;
use supervisor_state::{Recorder, StateDir, Store};

use super::crew::accounts;

/// Drop order: fleet, recorder, lock, directory.
pub struct Inside {
    pub fleet: Fleet,
    pub recorder: Recorder,
    _lock: StateDir,
    _dir: tempfile::TempDir,
}

impl Inside {
    /// All bots started; call it inside an actix system.
    pub async fn start(instances: Vec<InstanceConfig>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(&dir.path().join("state")).unwrap();
        let store = Arc::new(Store::open(&lock).unwrap());
        let recorder = Recorder::start(store.clone()).unwrap();
        let bots = instances.len();
        let fleet = Fleet::launch(FleetSpec {
            accounts: accounts(),
            instances,
            trading_enabled: true,
            env: BTreeMap::new(),
            store,
            recorder: recorder.handle(),
            arbiters: std::thread::available_parallelism().map_or(2, usize::from),
            stop_deadline: Duration::from_secs(60),
            restarts: Policy::default(),
            snapshots: Snapshots::default(),
            backups: Backups { dir: dir.path().join("backups"), every: None, keep: 1 },
            told: Vec::new(),
            verify: false,
        });
        let fleet = fleet.unwrap();
        assert_eq!(fleet.autostart(&[]).await.unwrap(), bots);
        Self { fleet, recorder, _lock: lock, _dir: dir }
    }

    /// Every bot.
    pub async fn look(&self) -> Vec<InstanceStatus> {
        self.fleet.status().await.unwrap().items
    }

    /// Stops every bot.
    pub async fn stop(self) {
        self.fleet.shutdown(By::supervisor("measured")).await.unwrap();
    }
}
