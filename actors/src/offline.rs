//! What can be done with a state directory while no supervisor runs on it.
//!
//! Blocking. Promises: whoever calls with a [`StateDir`] holds its lock, so nothing else touches the store meanwhile.

use std::path::{Path, PathBuf};

use serde_json::Value;
use supervisor_config::InstanceConfig;
use supervisor_core::domain::Timestamp;
use supervisor_state::backup::{self, BackupInfo};
use supervisor_state::restore::{self, OpenOptions, Opened};
use supervisor_state::{FactId, RestoreReport, StateDir, VerifyReport};

use crate::clock::wall;
use crate::fleet::{FleetError, dumped};
use crate::prepare::recall;
use crate::saved::Migrate;
use crate::supervisor::ALERTS;
use crate::view::{BackupRow, StoreRow};

/// Facts that are checked at each start at most; in a larger store the older ones are checked by `store verify`.
const TAIL_ROWS: u64 = 100_000;

/// Opens the store as the program does: migrated, checked, and restored from the newest good backup if it is damaged.
///
/// # Errors
/// [`FleetError::Internal`] with what is wrong and what to do.
pub fn open(dir: &StateDir, backups: &Path) -> Result<Opened, FleetError> {
    let options =
        OpenOptions { now_ms: wall().millis(), backups: backups.to_owned(), tail_rows: TAIL_ROWS, migration: &Migrate };
    restore::open(dir, &options).map_err(FleetError::internal)
}

/// What the opening has to tell, as alerts: severity, code, text.
#[must_use]
pub fn told(opened: &Opened) -> Vec<(&'static str, &'static str, String)> {
    let remarks = opened.remarks.iter().map(|remark| ("warning", "store.remark", plain(remark)));
    let restored = opened.told.iter().flat_map(lines);
    remarks.chain(restored.map(|line| ("critical", "store.restored", line))).collect()
}

/// What a restore means, line by line.
#[must_use]
pub fn lines(report: &RestoreReport) -> Vec<String> {
    report.lines().iter().map(|line| plain(line)).collect()
}

/// The supervisor's own journal is no bot: nobody starts it.
fn plain(line: &str) -> String {
    match line.strip_prefix(ALERTS).and_then(|rest| rest.strip_prefix(": ")) {
        None => line.to_owned(),
        Some(rest) => format!("alerts of earlier runs: {}", rest.split("; it stays").next().unwrap_or(rest)),
    }
}

/// Writes a backup.
///
/// # Errors
/// [`FleetError::Internal`].
pub fn backup_create(dir: &StateDir, backups: &Path, keep: usize) -> Result<BackupRow, FleetError> {
    let opened = open(dir, backups)?;
    let made = backup::create(&opened.store, backups, wall().millis(), keep).map_err(FleetError::internal)?;
    Ok(backup_row(&made))
}

/// The backups that there are, newest first, after a cheap look at each.
///
/// # Errors
/// [`FleetError::Internal`] when the directory cannot be read.
pub fn backup_list(backups: &Path) -> Result<Vec<BackupRow>, FleetError> {
    let found = backup::list(backups).map_err(FleetError::internal)?;
    let row = |entry: backup::BackupEntry| match entry.info {
        Ok(info) => backup_row(&info),
        Err(error) => damaged(file_name(&entry.path), error.to_string()),
    };
    Ok(found.into_iter().map(row).collect())
}

/// Checks one backup fully; the newest without a name.
///
/// # Errors
/// [`FleetError::Conflict`] when there is none of that name.
pub fn backup_verify(backups: &Path, name: Option<&str>) -> Result<BackupRow, FleetError> {
    let path = find(backups, name)?;
    Ok(match backup::check(&path) {
        Ok(info) => backup_row(&info),
        Err(error) => damaged(file_name(&path), error.to_string()),
    })
}

/// Puts a backup in the place of the store; answers what that means for each bot.
///
/// # Errors
/// [`FleetError`]: no such backup, a damaged one, or the disk.
pub fn backup_restore(dir: &StateDir, backups: &Path, name: &str) -> Result<Vec<String>, FleetError> {
    let path = find(backups, Some(name))?;
    let report = restore::restore(dir, &path, wall().millis(), &Migrate).map_err(FleetError::internal)?;
    Ok(lines(&report))
}

/// Checks everything in the store.
///
/// # Errors
/// [`FleetError::Internal`] when it cannot be opened at all.
pub fn store_verify(dir: &StateDir) -> Result<Vec<StoreRow>, FleetError> {
    Ok(store_rows(&restore::inspect(dir).map_err(FleetError::internal)?))
}

/// The whole state of a configured instance, readable.
///
/// # Errors
/// [`FleetError`]: it has none, or it cannot be brought back.
pub fn dump(dir: &StateDir, config: &InstanceConfig) -> Result<Value, FleetError> {
    let store = supervisor_state::Store::open(dir).map_err(FleetError::internal)?;
    let id = config.spec.id;
    match recall(&store, config).map_err(FleetError::internal)? {
        Some((life, state)) => dumped(&config.spec, life.number, &state),
        None => {
            Err(FleetError::Conflict { text: format!("'{id}' has no state yet: it has never run"), code: "no_state" })
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn find(backups: &Path, name: Option<&str>) -> Result<PathBuf, FleetError> {
    let found = backup::list(backups).map_err(FleetError::internal)?;
    let wanted = |entry: &backup::BackupEntry| name.is_none_or(|name| file_name(&entry.path) == name);
    match found.into_iter().find(wanted) {
        Some(entry) => Ok(entry.path),
        None => {
            let what = name.map_or("no backup".to_owned(), |name| format!("no backup named '{name}'"));
            let text = format!("there is {what} in {}; see: supervisor backup list", backups.display());
            Err(FleetError::Conflict { text, code: "no_backup" })
        }
    }
}

fn damaged(name: String, problem: String) -> BackupRow {
    BackupRow {
        name,
        created: String::new(),
        epoch: 0,
        instances: 0,
        facts: 0,
        snapshots: 0,
        bytes: 0,
        problem: Some(problem),
    }
}

pub(crate) fn backup_row(info: &BackupInfo) -> BackupRow {
    BackupRow {
        name: info.name.clone(),
        created: Timestamp::from_millis(info.created_ms).to_string(),
        epoch: info.epoch,
        instances: info.instances,
        facts: info.facts,
        snapshots: info.snapshots,
        bytes: info.bytes,
        problem: None,
    }
}

pub(crate) fn store_rows(report: &VerifyReport) -> Vec<StoreRow> {
    let place = |id: Option<FactId>| id.map(|id| format!("{}-{}", id.epoch, id.seq)).unwrap_or_default();
    let mut rows: Vec<StoreRow> = report
        .instances
        .iter()
        .map(|check| StoreRow {
            instance: check.instance.to_string(),
            facts: check.facts,
            first: place(check.first),
            last: place(check.last),
            snapshots: check.snapshots.len() as u64,
            problems: check.problems.clone(),
        })
        .collect();
    let problems: Vec<String> = report.problems.iter().chain(&report.latch_problems).cloned().collect();
    if !problems.is_empty() {
        let none = String::new;
        rows.push(StoreRow { instance: none(), facts: 0, first: none(), last: none(), snapshots: 0, problems });
    }
    rows
}
