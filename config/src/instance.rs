//! One instance file: read whole, checked whole, or refused with everything that is wrong with it.
//!
//! Owns the top level of `instances/*.toml`. Promises: the same file, account and flags give the same
//! [`InstanceConfig`] for `run`, `start-instance --file` and `backtest`. Never: a default that loosens a limit which
//! the file sets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supervisor_core::domain::{InstanceId, Timeframe};
use supervisor_core::params::{Problem, Reader, Table};
use supervisor_core::spec::{ExitRules, InstanceSpec, Mode, OnStop, RiskLimits};
use supervisor_core::strategy::StrategyParams;

use crate::Env;
use crate::account::{Account, apply_account};
use crate::checks::{cross_checks, own_shares};
use crate::env::overrides;
use crate::errors::ConfigErrors;
use crate::exact::layered;
use crate::feed::{Around, FeedConfig, read_feed};
use crate::market::{instruments, read_capital, read_pairs, read_venue_model, traits_of};
use crate::paths::read_text;

/// An instance and everything around it that the core does not need to know.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    /// What the core builds, with the account's caps applied.
    pub spec: InstanceSpec,
    /// Its name for people; the id when none is given.
    pub name: String,
    /// A sentence about it.
    pub description: Option<String>,
    /// The account it trades on.
    pub account: String,
    /// True when it starts with the supervisor.
    pub autostart: bool,
    /// Where its prices come from.
    pub feed: FeedConfig,
    /// The file it was read from.
    pub source: PathBuf,
}

/// Reads and checks one instance file; `sets` are the `--set` flags, the later over the earlier.
///
/// # Errors
/// Everything that is wrong with it, or that it cannot be read.
pub fn load_instance(
    path: &Path,
    accounts: &BTreeMap<String, Account>,
    sets: &[(String, String)],
    env: &Env,
) -> Result<InstanceConfig, ConfigErrors> {
    instance_from_text(&read_text(path)?, path, accounts, sets, env)
}

/// [`load_instance`] for a text that is already here; `source` names it and says where relative data paths start.
///
/// # Errors
/// Everything that is wrong with it.
pub fn instance_from_text(
    text: &str,
    source: &Path,
    accounts: &BTreeMap<String, Account>,
    sets: &[(String, String)],
    env: &Env,
) -> Result<InstanceConfig, ConfigErrors> {
    read_instance(text, source, Some(accounts), sets, env)
}

/// [`instance_from_text`]; without accounts their part is not checked (they could not be read, which is said
/// elsewhere).
pub(crate) fn read_instance(
    text: &str,
    source: &Path,
    accounts: Option<&BTreeMap<String, Account>>,
    sets: &[(String, String)],
    env: &Env,
) -> Result<InstanceConfig, ConfigErrors> {
    let file = source.display().to_string();
    let (settings, mut wrong) = overrides(&file, sets);
    let layered = layered(&file, text, &settings)?;
    let mut problems = Vec::new();
    let config = read(&layered.table, &Surroundings { source, accounts, env }, &mut problems);
    wrong.extend(layered.problems.iter().cloned());
    wrong.extend(problems.into_iter().map(|problem| layered.locate(problem)));
    match config {
        Some(config) => ConfigErrors { problems: wrong }.none_or(config),
        None => Err(ConfigErrors { problems: wrong }),
    }
}

struct Surroundings<'a> {
    source: &'a Path,
    accounts: Option<&'a BTreeMap<String, Account>>,
    env: &'a Env,
}

/// Reads every key; `None` only when a problem was noted that leaves nothing to build.
fn read(table: &Table, around: &Surroundings<'_>, problems: &mut Vec<Problem>) -> Option<InstanceConfig> {
    let mut top = Reader::new(table, problems);
    let identity = read_identity(&mut top);
    let mode = read_mode(&mut top);
    let (account, terms) = read_account(&mut top, around.accounts);
    let autostart = top.flag("autostart").unwrap_or(true);
    top.missing("timeframe", "\"1s\" to \"1w\", such as \"1m\"");
    let timeframe = top.timeframe("timeframe");
    let pairs = read_pairs(&mut top);
    let (venue_model, faults, steps) = read_venue_model(top.table("venue_model"));
    let capital = read_capital(top.table("capital"), pairs.len(), steps.lot);
    let instruments = instruments(&pairs, steps);
    let beside = around.source.parent();
    let feed = read_feed(top.table("feed"), &Around { instruments: &instruments, timeframe, beside, env: around.env });
    let strategy = read_strategy(top.table("strategy"));
    let risk = read_risk(top.table("risk"), timeframe);
    let (order_timeout_ms, on_stop) = read_orders(top.table("orders"));
    let exits = read_exits(top.table("exits"));
    top.finish();
    let Identity { id, name, description } = identity?;
    let (timeframe, strategy) = (timeframe?, strategy?);
    let spec = InstanceSpec {
        id,
        instruments,
        timeframe,
        capital,
        mode,
        venue_model,
        strategy,
        risk,
        order_timeout_ms,
        on_stop,
        venue: traits_of(faults),
        exits,
        faults,
    };
    let source = around.source.to_path_buf();
    let mut config = InstanceConfig { spec, name, description, account, autostart, feed: feed?, source };
    own_shares(&mut config.spec.risk, table, problems);
    if let Some(account) = terms {
        apply_account(&mut config, account);
    }
    cross_checks(&config.spec, problems);
    Some(config)
}

struct Identity {
    id: InstanceId,
    name: String,
    description: Option<String>,
}

/// A wrong id is replaced, so that the rest of the file is still checked.
fn read_identity(top: &mut Reader<'_>) -> Option<Identity> {
    top.missing("id", "a-z, 0-9 and -, 1 to 16 characters");
    let id = top.text("id").and_then(|text| match text.parse::<InstanceId>() {
        Ok(id) => Some(id),
        Err(error) => {
            top.problem("id", error.to_string());
            None
        }
    });
    let id = id.or_else(|| "unnamed".parse().ok())?;
    let name = read_words(top, "name", 64).unwrap_or_else(|| id.to_string());
    Some(Identity { id, name, description: read_words(top, "description", 500) })
}

fn read_words(top: &mut Reader<'_>, key: &'static str, max: usize) -> Option<String> {
    let text = top.text(key)?;
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        top.problem(key, format!("allowed: 1 to {max} characters on one line"));
    }
    Some(text)
}

fn read_mode(top: &mut Reader<'_>) -> Mode {
    match top.text("mode").as_deref() {
        None | Some("paper") => {}
        Some(word @ ("testnet" | "live" | "monitor")) => {
            top.problem("mode", format!("\"{word}\" arrives in a later version; allowed: \"paper\""));
        }
        Some("backtest") => top.problem("mode", "a backtest is a command, not a mode; allowed: \"paper\""),
        Some(_) => top.problem("mode", "allowed: \"paper\""),
    }
    Mode::Paper
}

/// The account's name and, when it is known, its terms.
fn read_account<'a>(
    top: &mut Reader<'_>,
    accounts: Option<&'a BTreeMap<String, Account>>,
) -> (String, Option<&'a Account>) {
    let name = top.text("account").unwrap_or_else(|| "paper".to_owned());
    let venue = top.text("venue");
    let Some(accounts) = accounts else { return (name, None) };
    let Some(account) = accounts.get(&name) else {
        let known: Vec<&str> = accounts.keys().map(String::as_str).collect();
        top.problem("account", format!("no account '{name}' in supervisor.toml; known: {}", known.join(", ")));
        return (name, None);
    };
    if venue.is_some_and(|venue| venue != account.venue) {
        top.problem("venue", format!("allowed: \"{}\", the venue of account '{name}'", account.venue));
    }
    (name, Some(account))
}

/// Without a known `kind` the other keys mean nothing, so they are left alone.
fn read_strategy(mut reader: Reader<'_>) -> Option<StrategyParams> {
    let params = StrategyParams::read(&mut reader)?;
    reader.finish();
    Some(params)
}

/// A quote is stale after one and a half candles.
fn read_risk(mut reader: Reader<'_>, timeframe: Option<Timeframe>) -> RiskLimits {
    let candle = timeframe.map_or(60_000, Timeframe::millis);
    let limits = RiskLimits::read(&mut reader, candle + candle / 2);
    reader.finish();
    limits
}

/// Age at which a resting order is cancelled (ms), and what a stop does.
fn read_orders(mut reader: Reader<'_>) -> (i64, OnStop) {
    let hours = reader.whole("timeout_h", 1..=720, "hours").unwrap_or(24);
    let words = [
        ("keep", OnStop::Keep),
        ("cancel-entries", OnStop::CancelEntries),
        ("cancel-all", OnStop::CancelAll),
        ("flatten", OnStop::Flatten),
    ];
    let on_stop = reader.choice("on_stop", &words).unwrap_or(OnStop::CancelEntries);
    reader.finish();
    (hours.cast_signed() * 3_600_000, on_stop)
}

/// When positions and entries have had their time.
fn read_exits(mut reader: Reader<'_>) -> ExitRules {
    let exits = ExitRules::read(&mut reader);
    reader.finish();
    exits
}
