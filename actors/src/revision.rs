//! What changed between the settings an instance has its state under and those it shall start with.
//!
//! Promises: a state is never taken on under settings that it does not fit, and never forgotten because of them.

use std::collections::BTreeMap;

use serde_json::Value;
use supervisor_core::spec::InstanceSpec;

/// Top-level parts of a spec that a state cannot follow: orders, balances and positions belong to them.
const BOUND: [&str; 5] = ["id", "instruments", "capital", "mode", "venue_model"];

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The state goes on under the new settings; these keys changed, for people.
    Revised(String),
    /// The state does not fit; one line per reason.
    Unfit(Vec<String>),
}

/// Compares the settings and the prices (`feed`: their origin).
#[must_use]
pub fn between(old: &InstanceSpec, new: &InstanceSpec, old_feed: &str, new_feed: &str) -> Change {
    let (before, after) = (keys(old), keys(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let nothing = String::from("nothing");
    let tell = |name: &&String| {
        let of = |keys: &BTreeMap<String, String>| keys.get(*name).unwrap_or(&nothing).clone();
        format!("{name} was {}, is {}", of(&before), of(&after))
    };
    let changed: Vec<&String> = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    let is_bound = |name: &&&String| BOUND.contains(&name.split('.').next().unwrap_or_default());
    let mut unfit: Vec<String> = changed.iter().filter(is_bound).map(tell).collect();
    if old.strategy.word() != new.strategy.word() {
        unfit.push(format!("strategy.kind was {}, is {}", old.strategy.word(), new.strategy.word()));
    }
    if old_feed != new_feed {
        unfit.push(format!("feed was {old_feed}, is {new_feed}"));
    }
    if !unfit.is_empty() {
        return Change::Unfit(unfit);
    }
    let revised: Vec<String> = changed.iter().map(tell).collect();
    if revised.is_empty() { Change::None } else { Change::Revised(revised.join("; ")) }
}

/// Dotted keys, as near to those of the file as the typed spec allows.
fn keys(spec: &InstanceSpec) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let word = spec.strategy.word();
    if let Ok(value) = serde_json::to_value(spec) {
        flatten("", &value, &mut keys);
    }
    keys.into_iter().map(|(key, value)| (key.replacen(&format!("strategy.{word}"), "strategy", 1), value)).collect()
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
    let under = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&under(name), value, keys)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&under(&at.to_string()), value, keys));
        }
        Value::String(text) => drop(keys.insert(prefix.to_owned(), text.clone())),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => drop(keys.insert(prefix.to_owned(), value.to_string())),
    }
}
