//! What the store remembers of bots besides their journals: that an operator stopped one, or added one by file.

use std::collections::BTreeMap;

use supervisor_config::{Account, Env, InstanceConfig, instance_from_text};
use supervisor_state::Store;

use super::{FleetError, NewInstance};

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
