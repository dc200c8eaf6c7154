//! What needs no running supervisor: `config validate`, `config show`, `version`, and the way to `backup`, `store` and
//! `state`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use supervisor_config::{ConfigErrors, FeedConfig, InstanceConfig, Speed, SupervisorConfig, load_instance};

use super::read::document;
use super::{backup, state, store};
use crate::cli::{ConfigVerb, Globals, OfflineVerb};
use crate::fault::{Exit, Fault};
use crate::out::{Out, Row};
use crate::{places, table};

/// `config ...`, `backup ...`, `store ...`, `state ...`.
pub fn config(globals: &Globals, out: &Out, verb: &OfflineVerb) -> Result<Exit, Fault> {
    match verb {
        OfflineVerb::Config(ConfigVerb::Validate { file }) => validate(globals, out, file.as_deref(), &[]),
        OfflineVerb::Config(ConfigVerb::Show) => show(globals, out),
        OfflineVerb::Backup(verb) => backup::backup(globals, out, verb),
        OfflineVerb::Store(verb) => store::store(globals, out, verb),
        OfflineVerb::State(verb) => state::state(globals, out, verb),
    }
}

/// Checks the configuration, or one instance file on its accounts.
pub fn validate(globals: &Globals, out: &Out, file: Option<&Path>, set: &[(String, String)]) -> Result<Exit, Fault> {
    let found = match file {
        None => places::config(globals).map(|config| config.instances),
        Some(file) => one(globals, file, set).map(|instance| vec![instance]),
    }?;
    out.document::<BotRow>(&document("instance_config", found.iter().map(bot).collect()))?;
    out.note(&format!("valid: {}", table::count(found.len(), "bot")));
    Ok(Exit::Done)
}

fn one(globals: &Globals, file: &Path, set: &[(String, String)]) -> Result<InstanceConfig, ConfigErrors> {
    let accounts = places::config(globals)?.accounts;
    load_instance(file, &accounts, set, &places::env())
}

/// One bot of the configuration.
#[derive(Deserialize)]
pub struct BotRow {
    id: String,
    strategy: String,
    market: String,
    timeframe: String,
    feed: String,
    capital: String,
    autostart: bool,
    file: String,
}

impl Row for BotRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let mut heads = vec!["NAME", "STRATEGY", "MARKET", "TIMEFRAME", "FEED", ">CAPITAL", "AUTOSTART"];
        if wide {
            heads.push("FILE");
        }
        heads
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let Self { id, strategy, market, timeframe, feed, capital, autostart, file } = self;
        let mut cells: Vec<String> = [id, strategy, market, timeframe, feed, capital].map(Clone::clone).into();
        cells.push(if *autostart { "yes" } else { "no" }.to_owned());
        if wide {
            cells.push(file.clone());
        }
        cells
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

/// One bot of the configuration as an item.
pub fn bot(config: &InstanceConfig) -> Value {
    let spec = &config.spec;
    let symbols: Vec<&str> = spec.instruments.iter().map(|instrument| instrument.symbol.as_str()).collect();
    json!({
        "id": spec.id,
        "name": config.name,
        "strategy": spec.strategy.word(),
        "market": symbols.join(","),
        "timeframe": spec.timeframe.to_string(),
        "feed": feed(&config.feed),
        "capital": format!("{}", spec.capital.quote.normalized()),
        "account": config.account,
        "autostart": config.autostart,
        "file": config.source.display().to_string(),
    })
}

fn feed(feed: &FeedConfig) -> String {
    let speed = match feed.speed() {
        Speed::Max => "max".to_owned(),
        Speed::Times(times) => format!("{}x", times.normalize()),
    };
    let kind = match feed {
        FeedConfig::Replay { path, .. } => path.rsplit('/').next().unwrap_or_default().to_owned(),
        FeedConfig::Synthetic { .. } => "synthetic".to_owned(),
    };
    format!("{kind} {speed}")
}

#[derive(Deserialize)]
struct SettingRow {
    key: String,
    value: String,
}

impl Row for SettingRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["KEY", "VALUE"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.key.clone(), self.value.clone()]
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}

fn show(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let config = places::config(globals)?;
    let settings = settings(&config).into_iter().map(|(key, value)| json!({ "key": key, "value": value }));
    out.document::<SettingRow>(&document("setting", settings.collect()))?;
    out.note("settings of one running bot: supervisor describe NAME");
    Ok(Exit::Done)
}

fn settings(config: &SupervisorConfig) -> Vec<(String, String)> {
    let mut settings = vec![("reporting".to_owned(), config.reporting.to_string())];
    for (name, account) in &config.accounts {
        let mut put = |key: &str, value: String| settings.push((format!("accounts.{name}.{key}"), value));
        put("venue", account.venue.clone());
        for (asset, amount) in &account.balances {
            put(&format!("balances.{asset}"), amount.normalize().to_string());
        }
        put("caps.max_total_exposure", account.caps.max_total_exposure.normalize().to_string());
        put("caps.max_capital_per_symbol", account.caps.max_capital_per_symbol.normalize().to_string());
    }
    let mut put = |key: &str, value: String| settings.push((key.to_owned(), value));
    put("risk.trading_enabled", config.risk.trading_enabled.to_string());
    put("stop.deadline_s", config.stop.deadline_s.to_string());
    put("logs.level", config.logs.level.to_owned());
    put("logs.max_file_mb", config.logs.max_file_mb.to_string());
    put("logs.max_files", config.logs.max_files.to_string());
    for (key, value) in of_recovery(config) {
        put(key, value.to_string());
    }
    put("backup.dir", config.backup.dir.display().to_string());
    for instance in &config.instances {
        put(&format!("instances.{}", instance.spec.id), instance.source.display().to_string());
    }
    settings
}

/// The numbers of `[restart]`, `[backup]` and `[state]`.
fn of_recovery(config: &SupervisorConfig) -> [(&'static str, u64); 13] {
    let SupervisorConfig { restart, backup, state, .. } = config;
    [
        ("restart.max", restart.max),
        ("restart.window_s", restart.window_s),
        ("restart.backoff_ms", restart.backoff_ms),
        ("restart.backoff_max_s", restart.backoff_max_s),
        ("restart.healthy_s", restart.healthy_s),
        ("restart.hang_s", restart.hang_s),
        ("backup.interval_min", backup.interval_min),
        ("backup.keep", backup.keep),
        ("state.facts_kept", state.facts_kept),
        ("state.snapshot_facts", state.snapshot_facts),
        ("state.snapshot_events", state.snapshot_events),
        ("state.snapshot_s", state.snapshot_s),
        ("state.reserve_mb", state.reserve_mb),
    ]
}

#[derive(Deserialize)]
struct VersionRow {
    version: String,
}

impl Row for VersionRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["VERSION"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.version.clone()]
    }

    fn name(&self) -> String {
        self.version.clone()
    }
}

/// `version`.
pub fn version(out: &Out) -> Result<Exit, Fault> {
    let version = env!("CARGO_PKG_VERSION");
    match out.format {
        crate::out::Format::Table => out.data(&format!("supervisor {version}"))?,
        _ => out.document::<VersionRow>(&document("version", vec![json!({ "version": version })]))?,
    }
    Ok(Exit::Done)
}
