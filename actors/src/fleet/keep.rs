//! Backups, the check of the store, and the state in readable form.

use std::time::Duration;

use serde_json::{Value, json};
use supervisor_core::instance::InstanceState;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::verify::UncheckedError;
use supervisor_state::{InstanceKey, RecorderHandle, Store, backup};

use super::{By, Fleet, FleetError};
use crate::clock::wall;
use crate::offline;
use crate::rows;
use crate::settings::Backups;
use crate::supervisor::{ALERTS, ALERTS_KEPT};
use crate::view::{AlertRow, BackupRow, StoreRow};

impl Fleet {
    /// Returns when everything that was recorded before, alerts included, is on disk.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the recorder has failed.
    pub async fn flush(&self) -> Result<(), FleetError> {
        self.blocking(|_, recorder| recorder.flush()).await
    }

    /// Writes a backup now, checked after writing.
    ///
    /// # Errors
    /// [`FleetError::Failed`] when it could not be written.
    pub async fn backup(&self, by: By) -> Result<BackupRow, FleetError> {
        let backups = self.backups.clone();
        let failed = |text: String| FleetError::Failed { text, code: "not_backed_up" };
        let made = self.tried(move |store, recorder| {
            recorder.flush().map_err(|error| failed(error.to_string()))?;
            let made = backup::create(store, &backups.dir, wall().millis(), backups.keep);
            made.map(|made| offline::backup_row(&made)).map_err(|error| failed(error.to_string()))
        });
        let made = made.await?;
        tracing::info!(
            event = "backup.created",
            name = made.name,
            by = by.by,
            reason = by.reason,
            "a backup was written"
        );
        Ok(made)
    }

    /// The backups that there are, newest first, after a cheap look at each.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when their directory cannot be read.
    pub async fn backups(&self) -> Result<Vec<BackupRow>, FleetError> {
        let dir = self.backups.dir.clone();
        self.blocking(move |_, _| offline::backup_list(&dir)).await
    }

    /// Checks everything in the store, as it lies on the disk.
    ///
    /// # Errors
    /// [`FleetError::Failed`] when it could not be checked, [`FleetError::Conflict`] when it is being checked already.
    pub async fn verify_store(&self) -> Result<Vec<StoreRow>, FleetError> {
        self.tried(|store, recorder| match store.verify_files(recorder) {
            Ok(report) => Ok(offline::store_rows(&report)),
            Err(error @ UncheckedError::Busy) => {
                Err(FleetError::Conflict { text: error.to_string(), code: "being_checked" })
            }
            Err(error) => Err(FleetError::Failed { text: error.to_string(), code: "not_checked" }),
        })
        .await
    }

    /// Work that may block and whose failure is for the asker to know.
    async fn tried<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &RecorderHandle) -> Result<T, FleetError> + Send + 'static,
    ) -> Result<T, FleetError> {
        self.blocking(move |store, recorder| Ok::<_, FleetError>(work(store, recorder))).await?
    }

    /// The whole state of one instance, readable.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, without a state, or it does not answer.
    pub async fn dump(&self, id: &str) -> Result<Value, FleetError> {
        let mut card = self.card(id).await?;
        let state = self.look(&mut card).await?;
        let state = state.ok_or_else(|| FleetError::Conflict {
            text: format!("'{id}' has no state to show: it is {}{}", card.state.word(), because(&card.note)),
            code: "no_state",
        })?;
        dumped(&card.spec, card.life.map_or(0, |life| life.number), &state)
    }
}

fn because(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(": {note}") }
}

/// A state for people and their tools: what it is made of, and what that comes to.
pub fn dumped(spec: &InstanceSpec, life: u32, state: &InstanceState) -> Result<Value, FleetError> {
    let value = |value: Result<Value, serde_json::Error>| value.map_err(FleetError::internal);
    let orders = rows::open_orders(spec, life, state);
    Ok(json!({
        "id": spec.id,
        "report": value(serde_json::to_value(state.report(spec).map_err(FleetError::internal)?))?,
        "open_orders": value(serde_json::to_value(orders))?,
        "positions": value(serde_json::to_value(rows::positions(spec, state)))?,
        "spec": value(serde_json::to_value(spec))?,
        "state": value(serde_json::to_value(state))?,
    }))
}

/// Age of the newest backup that can be read.
pub(super) fn newest_age(backups: &Backups) -> Option<Duration> {
    let newest = backup::list(&backups.dir).ok()?.into_iter().find_map(|entry| entry.info.ok())?;
    Some(Duration::from_millis(u64::try_from(wall().millis() - newest.created_ms).unwrap_or(0)))
}

/// Alerts of earlier runs, oldest first, and the number of the newest. Those that cannot be read are left out: they
/// stand in the log, and must not keep the bots from starting.
pub(super) fn past_alerts(store: &Store) -> Result<(Vec<AlertRow>, u64), FleetError> {
    let key = InstanceKey::new(ALERTS).map_err(FleetError::internal)?;
    let last = store.last_fact_id(&key).map_err(FleetError::internal)?.map_or(0, |id| id.seq);
    let stored = store.last_facts(&key, ALERTS_KEPT).unwrap_or_default();
    Ok((stored.iter().filter_map(|fact| postcard::from_bytes(&fact.payload).ok()).collect(), last))
}
