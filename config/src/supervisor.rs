//! `supervisor.toml` and the directory around it: accounts, switches, logs and all instances.
//!
//! Promises: the files are read in the order of their names; two files never share an id; the capitals fit the
//! balances. Never: an instance file that is wrong is left out quietly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supervisor_core::domain::{Asset, InstanceId};
use supervisor_core::params::{Problem, Reader};

use crate::Env;
use crate::account::{Account, check_balances, read_accounts};
use crate::env::settings;
use crate::errors::{ConfigErrors, ConfigProblem};
use crate::exact::layered;
use crate::instance::{InstanceConfig, read_instance};
use crate::paths::read_text;

/// Switches of `[risk]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    /// False latches the kill switch at the start; true (the default) never clears it.
    pub trading_enabled: bool,
}

/// `[stop]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Longest time of a graceful stop, seconds (default 10).
    pub deadline_s: u64,
}

/// `[logs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    /// `error`, `warn`, `info`, `debug` or `trace` (default `info`).
    pub level: &'static str,
    /// Size at which a file is rotated, MB (default 64).
    pub max_file_mb: u64,
    /// Files that are kept (default 10).
    pub max_files: u64,
}

/// `[restart]`: what happens after a bot has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Restarts within the window before quarantine (default 3; 0: none).
    pub max: u64,
    /// Length of the window, seconds (default 60).
    pub window_s: u64,
    /// First wait before a restart, milliseconds (default 100); each further one is longer.
    pub backoff_ms: u64,
    /// Longest wait before a restart, seconds (default 30).
    pub backoff_max_s: u64,
    /// Time without a failure after which the wait is the first one again, seconds (default 300).
    pub healthy_s: u64,
    /// Time without a sign of life after which a bot counts as hung, seconds (default 10).
    pub hang_s: u64,
}

/// `[backup]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Time between two backups, minutes (default 60; 0: none on schedule).
    pub interval_min: u64,
    /// Backups that are kept (default 24).
    pub keep: u64,
    /// Where they lie; empty (the default) means `backups` in the state directory. See [`Backup::dir_in`].
    pub dir: PathBuf,
}

impl Backup {
    /// The directory of the backups of a state directory; a relative one is looked up in there.
    #[must_use]
    pub fn dir_in(&self, state_dir: &Path) -> PathBuf {
        let unnamed = self.dir.as_os_str().is_empty();
        state_dir.join(if unnamed { Path::new("backups") } else { &self.dir })
    }
}

/// `[state]`: how much is kept, and how often all of it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateKeys {
    /// Facts kept of each bot (default 50000).
    pub facts_kept: u64,
    /// Facts after which a snapshot is due (default 1000).
    pub snapshot_facts: u64,
    /// Market events after which a snapshot is due (default 20000).
    pub snapshot_events: u64,
    /// Time after which a snapshot is due, seconds (default 60).
    pub snapshot_s: u64,
    /// Disk space held back for a full disk, MB (default 64).
    pub reserve_mb: u64,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// What totals are reported in.
    pub reporting: Asset,
    /// Accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// Switches.
    pub risk: Risk,
    /// How a stop goes.
    pub stop: Stop,
    /// How much is logged.
    pub logs: Logs,
    /// What happens after a failure.
    pub restart: Restart,
    /// When backups are written, and how many are kept.
    pub backup: Backup,
    /// What is kept on disk.
    pub state: StateKeys,
    /// In the order of their files.
    pub instances: Vec<InstanceConfig>,
}

/// Reads `dir/supervisor.toml` and `dir/instances/*.toml` with the environment over the former.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(dir: &Path, env: &Env) -> Result<SupervisorConfig, ConfigErrors> {
    let main = dir.join("supervisor.toml");
    let text = read_text(&main);
    let (mut files, mut unread) = (Vec::new(), ConfigErrors::default());
    for path in instance_files(&dir.join("instances"))? {
        match read_text(&path) {
            Ok(text) => files.push((path, text)),
            Err(problem) => unread.problems.push(problem),
        }
    }
    let files: Vec<(&Path, &str)> = files.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
    match assemble(&main, text.as_deref(), &files, env) {
        Ok(config) => unread.none_or(config),
        Err(mut errors) => {
            errors.problems.extend(unread.problems);
            Err(errors)
        }
    }
}

/// The `.toml` files of a directory by name, without hidden ones; none when there is no directory.
fn instance_files(dir: &Path) -> Result<Vec<PathBuf>, ConfigProblem> {
    let failed = |error: std::io::Error| {
        ConfigProblem::of_file(&dir.display().to_string(), format!("cannot be listed: {error}"))
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The configuration of a main file and instance files that are already here. Without a main file that can be read the
/// instances are still checked, apart from their accounts.
pub(crate) fn assemble(
    main: &Path,
    text: Result<&str, &ConfigProblem>,
    files: &[(&Path, &str)],
    env: &Env,
) -> Result<SupervisorConfig, ConfigErrors> {
    let name = main.display().to_string();
    let mut errors = ConfigErrors::default();
    let read = text.map_err(Clone::clone).and_then(|text| read_main(&name, text, env, &mut errors.problems));
    let mut config = read.map_err(|problem| errors.problems.push(problem)).ok();
    let accounts = config.as_ref().map(|config| &config.accounts);
    let mut instances = Vec::new();
    for (path, text) in files {
        match read_instance(text, path, accounts, &[], env) {
            Ok(instance) => instances.push(instance),
            Err(more) => errors.problems.extend(more.problems),
        }
    }
    errors.problems.extend(used_twice(&instances));
    if let Some(config) = &mut config {
        errors.problems.extend(check_balances(&name, &config.accounts, &instances));
        config.instances = instances;
    }
    match config {
        Some(config) => errors.none_or(config),
        None => Err(errors),
    }
}

fn used_twice(instances: &[InstanceConfig]) -> Vec<ConfigProblem> {
    let mut first: BTreeMap<InstanceId, &Path> = BTreeMap::new();
    let mut problems = Vec::new();
    for instance in instances {
        let (id, file) = (instance.spec.id, instance.source.display().to_string());
        match first.get(&id) {
            Some(other) => {
                let expected = format!("already used by {}; an id belongs to one file", other.display());
                problems.push(ConfigProblem::of_key(&file, "id", format!("\"{id}\""), expected));
            }
            None => drop(first.insert(id, &instance.source)),
        }
    }
    problems
}

/// Everything but the instances.
fn read_main(
    file: &str,
    text: &str,
    env: &Env,
    found: &mut Vec<ConfigProblem>,
) -> Result<SupervisorConfig, ConfigProblem> {
    let (settings, wrong) = settings(env);
    found.extend(wrong);
    let layered = layered(file, text, &settings)?;
    found.extend(layered.problems.iter().cloned());
    let mut problems: Vec<Problem> = Vec::new();
    let mut top = Reader::new(&layered.table, &mut problems);
    let reporting = read_reporting(&mut top);
    let (accounts, of_accounts) = read_accounts(&mut top);
    let risk = read_risk(top.table("risk"));
    let stop = read_stop(top.table("stop"));
    let logs = read_logs(top.table("logs"));
    let restart = read_restart(top.table("restart"));
    let backup = read_backup(top.table("backup"));
    let state = read_state(top.table("state"));
    top.finish();
    problems.extend(of_accounts);
    found.extend(problems.into_iter().map(|problem| layered.locate(problem)));
    let reporting = reporting.ok_or_else(|| ConfigProblem::of_file(file, "no reporting currency"))?;
    Ok(SupervisorConfig { reporting, accounts, risk, stop, logs, restart, backup, state, instances: Vec::new() })
}

/// USDT unless the file says otherwise.
fn read_reporting(top: &mut Reader<'_>) -> Option<Asset> {
    let text = top.text("reporting").unwrap_or_else(|| "USDT".to_owned());
    match text.parse() {
        Ok(asset) => Some(asset),
        Err(error) => {
            top.problem("reporting", format!("{error}"));
            "USDT".parse().ok()
        }
    }
}

fn read_risk(mut reader: Reader<'_>) -> Risk {
    // What is not understood must not enable trading; the problem stops the start anyway.
    let trading_enabled = reader.flag("trading_enabled").unwrap_or(!reader.has("trading_enabled"));
    reader.finish();
    Risk { trading_enabled }
}

fn read_stop(mut reader: Reader<'_>) -> Stop {
    let deadline_s = reader.whole("deadline_s", 1..=600, "seconds").unwrap_or(10);
    reader.finish();
    Stop { deadline_s }
}

fn read_logs(mut reader: Reader<'_>) -> Logs {
    let words = ["error", "warn", "info", "debug", "trace"].map(|word| (word, word));
    let level = reader.choice("level", &words).unwrap_or("info");
    let max_file_mb = reader.whole("max_file_mb", 1..=4096, "MB").unwrap_or(64);
    let max_files = reader.whole("max_files", 1..=1000, "files").unwrap_or(10);
    reader.finish();
    Logs { level, max_file_mb, max_files }
}

fn read_restart(mut reader: Reader<'_>) -> Restart {
    let restart = Restart {
        max: reader.whole("max", 0..=100, "restarts").unwrap_or(3),
        window_s: reader.whole("window_s", 1..=86_400, "seconds").unwrap_or(60),
        backoff_ms: reader.whole("backoff_ms", 1..=60_000, "milliseconds").unwrap_or(100),
        backoff_max_s: reader.whole("backoff_max_s", 1..=3_600, "seconds").unwrap_or(30),
        healthy_s: reader.whole("healthy_s", 1..=86_400, "seconds").unwrap_or(300),
        hang_s: reader.whole("hang_s", 1..=600, "seconds").unwrap_or(10),
    };
    if restart.backoff_ms > restart.backoff_max_s * 1_000 {
        let max_s = restart.backoff_max_s;
        reader.problem("backoff_ms", format!("must not be longer than backoff_max_s = {max_s} s"));
    }
    reader.finish();
    restart
}

fn read_backup(mut reader: Reader<'_>) -> Backup {
    let backup = Backup {
        interval_min: reader.whole("interval_min", 0..=10_080, "minutes; 0: none on schedule").unwrap_or(60),
        keep: reader.whole("keep", 1..=1_000, "backups").unwrap_or(24),
        dir: reader.text("dir").map(PathBuf::from).unwrap_or_default(),
    };
    reader.finish();
    backup
}

fn read_state(mut reader: Reader<'_>) -> StateKeys {
    let state = StateKeys {
        facts_kept: reader.whole("facts_kept", 1_000..=10_000_000, "facts of each bot").unwrap_or(50_000),
        snapshot_facts: reader.whole("snapshot_facts", 1..=1_000_000, "facts").unwrap_or(1_000),
        snapshot_events: reader.whole("snapshot_events", 1..=100_000_000, "market events").unwrap_or(20_000),
        snapshot_s: reader.whole("snapshot_s", 1..=86_400, "seconds").unwrap_or(60),
        reserve_mb: reader.whole("reserve_mb", 1..=4_096, "MB").unwrap_or(64),
    };
    reader.finish();
    state
}
