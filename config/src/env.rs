//! Environment variables and `--set` flags as settings that lie over the files.
//!
//! Owns the names: `SUPERVISOR__SECTION__KEY` for the keys of `supervisor.toml` in [`ENV_KEYS`], nothing else.
//! Promises: a variable that looks like one of ours and is none is an error, so that a typing mistake cannot switch
//! trading on. Never: a way into a map that people name themselves (accounts, balances, instances).

use crate::Env;
use crate::errors::ConfigProblem;
use crate::exact::Setting;

/// Keys of `supervisor.toml` that a variable may set; `risk.trading_enabled` is `SUPERVISOR__RISK__TRADING_ENABLED`.
pub const ENV_KEYS: [&str; 6] =
    ["reporting", "risk.trading_enabled", "stop.deadline_s", "logs.level", "logs.max_file_mb", "logs.max_files"];

const PREFIX: &str = "SUPERVISOR__";

/// The settings in the environment, and the variables that are no setting.
pub(crate) fn settings(env: &Env) -> (Vec<Setting>, Vec<ConfigProblem>) {
    let (mut settings, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in env {
        match ENV_KEYS.iter().find(|key| variable(key) == *name) {
            Some(key) => settings.extend(Setting::new(key, value, &format!("environment variable {name}"))),
            None => problems.extend(mistaken(name)),
        }
    }
    (settings, problems)
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// A variable that was meant for us and is not known. Its value is not repeated: it may be a secret.
fn mistaken(name: &str) -> Option<ConfigProblem> {
    let bare = |name: &str| name.to_uppercase().replace('_', "");
    let expected = if let Some(key) = ENV_KEYS.iter().find(|key| bare(&variable(key)) == bare(name)) {
        format!("unknown variable; did you mean {}?", variable(key))
    } else if !name.to_uppercase().starts_with(PREFIX) {
        return None;
    } else if name.to_uppercase().starts_with("SUPERVISOR__ACCOUNTS") {
        "the environment does not reach into accounts; set this in supervisor.toml".to_owned()
    } else {
        let known: Vec<String> = ENV_KEYS.iter().map(|key| variable(key)).collect();
        format!("unknown variable; known: {}", known.join(", "))
    };
    Some(ConfigProblem::of_key("environment", name, "", expected))
}

/// Splits the text of a `--set KEY=VALUE` flag.
///
/// # Errors
/// A sentence for the user when there is no `=` or no key.
pub fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        Some(_) | None => Err(format!("'{text}': write KEY=VALUE, such as strategy.levels=30")),
    }
}

/// The settings of `--set` flags, and the keys that are none.
pub(crate) fn overrides(file: &str, pairs: &[(String, String)]) -> (Vec<Setting>, Vec<ConfigProblem>) {
    let (mut settings, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        match Setting::new(key, value, &format!("--set {key}")) {
            Some(setting) => settings.push(setting),
            None => {
                let expected = "a key is words with points between, such as strategy.levels";
                problems.push(ConfigProblem::of_key(file, key, value, expected).at(Some("--set".to_owned())));
            }
        }
    }
    (settings, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(name: &str) -> Option<String> {
        let env = Env::from([(name.to_owned(), "hunter2".to_owned())]);
        let (settings, problems) = settings(&env);
        assert!(settings.is_empty() || problems.is_empty());
        problems.first().map(ToString::to_string)
    }

    #[test]
    fn known_variables_are_settings_and_foreign_ones_are_left_alone() {
        for name in
            ["SUPERVISOR__RISK__TRADING_ENABLED", "SUPERVISOR_OUTPUT", "SUPERVISOR_DATA", "PATH", "SUPERVISOR_X"]
        {
            assert_eq!(complaint(name), None);
        }
    }

    #[test]
    fn variables_that_miss_are_named() {
        let text = complaint("SUPERVISOR__ACCOUNTS__PAPER__BALANCES__USDT").unwrap();
        assert!(text.starts_with("environment: SUPERVISOR__ACCOUNTS__PAPER__BALANCES__USDT: the environment does not"));
        let hint = "did you mean SUPERVISOR__RISK__TRADING_ENABLED?";
        for name in ["SUPERVISOR_RISK_TRADING_ENABLED", "supervisor__risk__trading_enabled"] {
            assert!(complaint(name).unwrap().ends_with(hint), "{name}");
        }
        let unknown = complaint("SUPERVISOR__RISK__MAX").unwrap();
        assert!(unknown.contains("known: SUPERVISOR__REPORTING, ") && !unknown.contains("hunter2"), "{unknown}");
    }

    #[test]
    fn set_flags_split_at_the_first_equals_sign() {
        assert_eq!(parse_set("feed.path = a=b"), Ok(("feed.path".to_owned(), "a=b".to_owned())));
        assert!(parse_set("levels").is_err() && parse_set("=3").is_err());
    }
}
