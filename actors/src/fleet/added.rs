//! What the store remembers of bots besides their journals: that an operator stopped one, or added one by file.

use std::collections::BTreeMap;

use supervisor_config::{Account, Env, InstanceConfig, instance_from_text};
use supervisor_state::restore::ALL_PAUSED;
use supervisor_state::{InstanceKey, Store, StoreError};

use super::{FleetError, NewInstance};
use crate::prepare::{lost_latch, paused_latch};

/// Where it is kept that an operator stopped a bot.
pub(super) fn stopped_latch(id: &str) -> String {
    format!("stopped/{id}")
}

/// Where a bot is kept that no config directory holds.
pub(super) fn added_latch(id: &str) -> String {
    format!("added/{id}")
}

/// Where it is kept that an operator started a bot, with the settings that came on top of its file.
pub(super) fn started_latch(id: &str) -> String {
    format!("started/{id}")
}

/// Bots that were added by file in an earlier run, and what is wrong with those that no longer read.
pub(super) fn added_instances(
    store: &Store,
    accounts: &BTreeMap<String, Account>,
    env: &Env,
) -> Result<(Vec<InstanceConfig>, Vec<String>), FleetError> {
    let (mut added, mut wrong) = (Vec::new(), Vec::new());
    for (name, bytes) in store.latches().map_err(FleetError::internal)? {
        if !name.starts_with("added/") {
            continue;
        }
        let read = serde_json::from_slice::<NewInstance>(&bytes).map_err(|error| error.to_string()).and_then(|new| {
            instance_from_text(&new.toml, &new.path, accounts, &new.set, env).map_err(|errors| errors.to_string())
        });
        match read {
            Ok(config) => added.push(config),
            Err(error) => wrong.push(format!(
                "'{}', added by file, cannot be read any more and does not run; its orders and position stay as they \
                 are: {error}",
                name.trim_start_matches("added/")
            )),
        }
    }
    Ok((added, wrong))
}

/// After a restore that cannot say what was switched off: pauses every bot there is, and locks those of which nothing
/// was found, as the restore itself does with those that it knows of. Answers the latter, to be told.
pub(super) fn pause_all(store: &Store, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    if store.get_latch(ALL_PAUSED)?.is_none() {
        return Ok(Vec::new());
    }
    let mut lost = Vec::new();
    for id in ids {
        let (paused, latch) = (paused_latch(id), lost_latch(id));
        if store.get_latch(&paused)?.is_none() {
            store.put_latch(&paused, b"restored")?;
        }
        // Every id of an instance is a key.
        let last = InstanceKey::new(id).map_or(Ok(None), |key| store.last_fact_id(&key))?;
        if store.get_latch(&latch)?.is_none() && last.is_none() {
            store.put_latch(&latch, b"nothing of it was found, and no backup holds it")?;
            lost.push(format!("{id}: lost, no backup holds it; it stays quarantined until started anew"));
        }
    }
    store.remove_latch(ALL_PAUSED)?;
    Ok(lost)
}
