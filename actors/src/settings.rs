//! How the shell works (snapshots, backups), and the settings in force, key by key, for `describe`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;
use supervisor_config::{FeedConfig, Speed};
use supervisor_core::spec::{ExitRules, VenueFaults};

use crate::supervisor::Card;

/// When an instance takes a snapshot: whatever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// Facts since the last one.
    pub facts: u64,
    /// Inputs since the last one.
    pub events: u64,
    /// Age of the last one; looked at only while the instance waits for time to pass.
    pub age: Duration,
}

impl Default for Snapshots {
    /// 1,000 facts, 20,000 inputs, a minute.
    fn default() -> Self {
        Self { facts: 1_000, events: 20_000, age: Duration::from_secs(60) }
    }
}

/// Backups on schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    /// Where they lie.
    pub dir: PathBuf,
    /// How often; `None`: only when asked for.
    pub every: Option<Duration>,
    /// How many stay.
    pub keep: usize,
}

/// Key and value of everything an instance was built from.
pub fn rows(card: &Card) -> BTreeMap<String, String> {
    let (config, spec) = (&card.config, &card.spec);
    let mut rows = BTreeMap::new();
    let mut put = |key: &str, value: String| rows.insert(key.to_owned(), value);
    put("source", config.source.display().to_string());
    put("account", config.account.clone());
    put("autostart", config.autostart.to_string());
    put("timeframe", spec.timeframe.to_string());
    put("capital.quote", spec.capital.quote.to_string());
    put("capital.base", spec.capital.base.to_string());
    put("orders.timeout_h", (spec.order_timeout_ms / 3_600_000).to_string());
    put("orders.on_stop", plain(&serde_json::to_value(spec.at_stop()).unwrap_or_default()));
    put("venue_model.maker_fee", spec.venue_model.maker_fee.normalize().to_string());
    put("venue_model.taker_fee", spec.venue_model.taker_fee.normalize().to_string());
    put("venue_model.latency_ms", spec.venue_model.latency_ms.to_string());
    put("venue_model.spread_pct", (spec.venue_model.spread * Decimal::ONE_HUNDRED).normalize().to_string());
    faults(&spec.faults, &mut rows);
    exits(&spec.exits, &mut rows);
    feed(&config.feed, &mut rows);
    rows.insert("strategy.kind".to_owned(), spec.strategy.word().to_owned());
    if let Ok(Value::Object(kinds)) = serde_json::to_value(&spec.strategy) {
        kinds.values().for_each(|params| flatten("strategy", params, &mut rows));
    }
    rows
}

/// Nothing gets lost: no row.
fn faults(faults: &VenueFaults, rows: &mut BTreeMap<String, String>) {
    if !faults.any() {
        return;
    }
    let percent = |share: Decimal| (share * Decimal::ONE_HUNDRED).normalize().to_string();
    rows.insert("venue_model.lost_requests_pct".to_owned(), percent(faults.lost_requests));
    rows.insert("venue_model.lost_answers_pct".to_owned(), percent(faults.lost_answers));
    rows.insert("venue_model.fault_seed".to_owned(), faults.seed.to_string());
}

/// Rules that are not set have no row.
fn exits(exits: &ExitRules, rows: &mut BTreeMap<String, String>) {
    let figures = [
        ("exits.max_holding_min", exits.max_holding_ms.map(|ms| (ms / 60_000).to_string())),
        ("exits.break_even_pct", exits.break_even.map(|gain| (gain * Decimal::ONE_HUNDRED).normalize().to_string())),
        ("exits.maker_timeout_s", exits.maker_timeout_ms.map(|ms| (ms / 1_000).to_string())),
    ];
    let set = figures.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    rows.extend(set);
}

fn feed(feed: &FeedConfig, rows: &mut BTreeMap<String, String>) {
    let speed = match feed.speed() {
        Speed::Max => "max".to_owned(),
        Speed::Times(times) => times.normalize().to_string(),
    };
    rows.insert("feed.speed".to_owned(), speed);
    match feed {
        FeedConfig::Replay { path, .. } => {
            rows.insert("feed.kind".to_owned(), "replay".to_owned());
            rows.insert("feed.path".to_owned(), path.clone());
        }
        FeedConfig::Synthetic { spec, .. } => {
            rows.insert("feed.kind".to_owned(), "synthetic".to_owned());
            rows.insert("feed.seed".to_owned(), spec.seed.to_string());
            rows.insert("feed.start".to_owned(), spec.start.to_string());
            rows.insert("feed.interval".to_owned(), spec.interval.to_string());
        }
    }
}

/// Nested settings become dotted keys; what is not set is left out.
fn flatten(prefix: &str, value: &Value, rows: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{prefix}.{key}"), value, rows));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            rows.insert(prefix.to_owned(), plain(value));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
