//! `state dump`: everything a bot has in its head.
//!
//! Promises: for programs it is one JSON document with money as strings; for people the same, indented.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use supervisor_actors::offline;
use supervisor_config::InstanceConfig;

use super::backtest::unknown;
use super::store::{either, told};
use crate::cli::{Globals, StateVerb};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, items};
use crate::places;

/// `state ...`.
pub fn state(globals: &Globals, out: &Out, verb: &StateVerb) -> Result<Exit, Fault> {
    match verb {
        StateVerb::Dump(args) => dump(globals, out, &args.name),
    }
}

fn dump(globals: &Globals, out: &Out, name: &str) -> Result<Exit, Fault> {
    let route = (Method::GET, &["instances", name, "state"] as &[&str]);
    let found = either(globals, "state", route, |lock| {
        let config = configured(globals, name)?;
        offline::dump(lock, &config).map(|state| vec![state]).map_err(told)
    })?;
    match out.format {
        Format::Json | Format::Ndjson => out.document::<AnyRow>(&found)?,
        Format::Name => out.data(name)?,
        Format::Table | Format::Wide => {
            for state in items(&found) {
                out.data(&indented(state))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Without a supervisor, what the bot was built from is known from the files only.
fn configured(globals: &Globals, name: &str) -> Result<InstanceConfig, Fault> {
    let config = places::config(globals)?;
    let ids: Vec<String> = config.instances.iter().map(|instance| instance.spec.id.to_string()).collect();
    let found = config.instances.into_iter().find(|instance| instance.spec.id.as_str() == name);
    found.ok_or_else(|| unknown(name, &ids))
}

/// A value as lines: `key: value`, deeper ones two spaces further in, the items of a list behind `-`.
fn indented(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value, 0);
    text
}

fn put(text: &mut String, value: &Value, depth: usize) {
    let space = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                put_named(text, &format!("{space}{key}:"), field, depth);
            }
        }
        Value::Array(list) => {
            for item in list {
                put_named(text, &format!("{space}-"), item, depth);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&format!("{space}{}\n", scalar(value)));
        }
    }
}

/// What fits stands behind its name, the rest below it.
fn put_named(text: &mut String, name: &str, value: &Value, depth: usize) {
    if let Some(short) = short(value) {
        text.push_str(&format!("{name} {short}\n"));
        return;
    }
    text.push_str(&format!("{name}\n"));
    put(text, value, depth + 1);
}

/// Longest list that stands on one line, characters.
const LINE_MAX: usize = 80;

/// A single value, an empty one, or a short list of single ones.
fn short(value: &Value) -> Option<String> {
    let is_single = |value: &Value| !value.is_object() && !value.is_array();
    match value {
        Value::Object(fields) => fields.is_empty().then(|| "none".to_owned()),
        Value::Array(list) if list.is_empty() => Some("none".to_owned()),
        Value::Array(list) if list.iter().all(is_single) => {
            let line = list.iter().map(scalar).collect::<Vec<_>>().join(", ");
            (line.chars().count() <= LINE_MAX).then_some(line)
        }
        Value::Array(_) => None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(scalar(value)),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A state has no columns; it is only ever printed whole.
#[derive(Deserialize)]
struct AnyRow {}

impl Row for AnyRow {
    fn heads(_: bool) -> Vec<&'static str> {
        Vec::new()
    }

    fn cells(&self, _: bool) -> Vec<String> {
        Vec::new()
    }

    fn name(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_indented_for_people() {
        let state = serde_json::json!({
            "cash": "9741.25",
            "orders": [{ "id": "grid-1", "fills": [] }, { "id": "grid-2", "price": null }],
            "closes": ["1.5", "2"],
            "risk": { "halted": false, "holds": {} },
        });
        let expected = "\
cash: 9741.25
closes: 1.5, 2
orders:
  -
    fills: none
    id: grid-1
  -
    id: grid-2
    price: -
risk:
  halted: false
  holds: none
";
        assert_eq!(indented(&state), expected);
        assert_eq!(indented(&Value::from(7)), "7\n");
    }

    #[test]
    fn long_lists_stand_one_below_the_other() {
        let list: Vec<String> = (0..30).map(|n| format!("{n}.25")).collect();
        let text = indented(&serde_json::json!({ "window": list }));
        assert!(text.starts_with("window:\n  - 0.25\n  - 1.25\n"), "{text}");
    }
}
