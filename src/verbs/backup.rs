//! `backup create`, `list`, `verify`, `restore`.
//!
//! Promises: a running supervisor writes its backup itself, without one it is written under the lock; a restore needs a
//! yes and the lock, and a backup that does not check is refused before anything is touched.

use std::path::{Path, PathBuf};

use reqwest::Method;
use supervisor_actors::offline;
use supervisor_actors::view::BackupRow;
use supervisor_state::StateDir;

use super::read::document;
use super::store::{Hold, either, hold, in_use, items_of, told};
use crate::bounded::bounded;
use crate::cli::{BackupVerb, Globals};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, confirm, rows, say};
use crate::places;
use crate::rows::size;
use crate::table::count;

/// `backup ...`.
pub fn backup(globals: &Globals, out: &Out, verb: &BackupVerb) -> Result<Exit, Fault> {
    match verb {
        BackupVerb::Create => create(globals, out),
        BackupVerb::List => list(globals, out),
        BackupVerb::Verify { name } => verify(globals, out, name.as_deref()),
        BackupVerb::Restore { name } => restore(globals, out, name),
    }
}

/// Where the backups lie.
fn directory(globals: &Globals) -> Result<PathBuf, Fault> {
    Ok(places::config(globals)?.backup.dir_in(&places::state_dir(globals)?))
}

fn create(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let backup = places::config(globals)?.backup;
    let keep = usize::try_from(backup.keep).unwrap_or(usize::MAX);
    let written = either(globals, "backup", (Method::POST, &["backups"]), |lock| {
        let dir = backup.dir_in(lock.path());
        open_aloud(lock, &dir)?;
        offline::backup_create(lock, &dir, keep).map(|row| vec![row]).map_err(told)
    })?;
    if out.format != Format::Table {
        out.document::<BackupRow>(&written)?;
        return Ok(Exit::Done);
    }
    let written: Vec<BackupRow> = rows(&written)?;
    out.lines(written.iter().map(|row| format!("written and verified: {}", described(row))))?;
    Ok(Exit::Done)
}

/// Opening a damaged store restores it; whoever asked for something else must hear of that, with `-q`, too.
fn open_aloud(lock: &StateDir, dir: &Path) -> Result<(), Fault> {
    let opened = offline::open(lock, dir).map_err(told)?;
    for (severity, code, text) in offline::told(&opened) {
        say(&format!("{severity}: {code}: {text}"));
    }
    Ok(())
}

fn list(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let dir = directory(globals)?;
    let found = offline::backup_list(&dir).map_err(told)?;
    let none = found.is_empty();
    out.document::<BackupRow>(&document("backup", items_of(&found)?))?;
    if none && !out.format.is_json() {
        out.note(&format!("no backups in {}; write one: supervisor backup create", dir.display()));
    }
    Ok(Exit::Done)
}

fn verify(globals: &Globals, out: &Out, name: Option<&str>) -> Result<Exit, Fault> {
    let dir = directory(globals)?;
    let name = find(&offline::backup_list(&dir).map_err(told)?, name)?;
    let row = offline::backup_verify(&dir, Some(&name)).map_err(told)?;
    match (out.format, &row.problem) {
        (Format::Table, None) => out.data(&format!("whole: {}", described(&row)))?,
        (Format::Table, Some(problem)) => out.data(problem)?,
        _ => out.document::<BackupRow>(&document("backup", items_of(std::slice::from_ref(&row))?))?,
    }
    Ok(if row.problem.is_none() { Exit::Done } else { Exit::Check })
}

fn restore(globals: &Globals, out: &Out, name: &str) -> Result<Exit, Fault> {
    let dir = directory(globals)?;
    let lock = match hold(globals)? {
        Hold::Ours(lock) => lock,
        Hold::Theirs(held) => return Err(in_use(&held).hint("stop it first; a backup never replaces a store in use")),
    };
    let name = find(&offline::backup_list(&dir).map_err(told)?, Some(name))?;
    let row = offline::backup_verify(&dir, Some(&name)).map_err(told)?;
    if let Some(problem) = &row.problem {
        let text = format!("{problem}; nothing was changed");
        return Err(Fault::new(Exit::Check, "bad_backup", text).hint("choose another: supervisor backup list"));
    }
    let question = format!("putting every bot back to {} (nothing after it is kept)", row.created);
    confirm(globals, &question)?;
    let lines = bounded(&[&lock.store_dir(), &dir], || offline::backup_restore(&lock, &dir, &name)).map_err(told)?;
    if out.format == Format::Table {
        out.lines(lines.into_iter())?;
        return Ok(Exit::Done);
    }
    let items = lines.into_iter().map(|text| serde_json::json!({ "backup": name, "text": text })).collect();
    out.document::<LineRow>(&document("restore", items))?;
    Ok(Exit::Done)
}

/// The name as it stands in the directory; the newest when none is asked for. The ending may be left out.
fn find(found: &[BackupRow], name: Option<&str>) -> Result<String, Fault> {
    let hint = "list them: supervisor backup list";
    let Some(name) = name else {
        let newest = found.first().map(|row| row.name.clone());
        return newest.ok_or_else(|| {
            Fault::new(Exit::Unknown, "no_backup", "there is no backup").hint("write one: supervisor backup create")
        });
    };
    let is_meant = |row: &&BackupRow| row.name == name || row.name.strip_suffix(".backup") == Some(name);
    let meant = found.iter().find(is_meant).map(|row| row.name.clone());
    meant.ok_or_else(|| Fault::new(Exit::Unknown, "unknown_backup", format!("no backup named '{name}'")).hint(hint))
}

/// `NAME: 4 bots, 70 facts, 8 snapshots, 1.2 MB`.
fn described(row: &BackupRow) -> String {
    let counts = [(row.instances, "bot"), (row.facts, "fact"), (row.snapshots, "snapshot")]
        .map(|(number, what)| count(usize::try_from(number).unwrap_or(usize::MAX), what));
    format!("{}: {}, {}", row.name, counts.join(", "), size(row.bytes))
}

/// One line of what a restore did.
#[derive(serde::Deserialize)]
struct LineRow {
    backup: String,
    text: String,
}

impl Row for LineRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["BACKUP", "TEXT"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.backup.clone(), self.text.clone()]
    }

    fn name(&self) -> String {
        self.backup.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> BackupRow {
        BackupRow {
            name: name.into(),
            created: "2026-11-20T12:00:00Z".into(),
            epoch: 7,
            instances: 1,
            facts: 70,
            snapshots: 2,
            bytes: 1_234,
            problem: None,
        }
    }

    #[test]
    fn a_backup_is_found_by_its_name_and_the_newest_without_one() {
        let found = [row("20261120T120000.000Z-000007.backup"), row("20261120T110000.000Z-000006.backup")];
        assert_eq!(find(&found, None).unwrap(), "20261120T120000.000Z-000007.backup");
        for name in ["20261120T110000.000Z-000006", "20261120T110000.000Z-000006.backup"] {
            assert_eq!(find(&found, Some(name)).unwrap(), "20261120T110000.000Z-000006.backup");
        }
        for name in ["", "20261120T110000.000Z", "../20261120T110000.000Z-000006.backup"] {
            let fault = find(&found, Some(name)).unwrap_err();
            assert_eq!((fault.exit, fault.code.as_str()), (Exit::Unknown, "unknown_backup"), "{name}");
        }
        assert_eq!(find(&[], None).unwrap_err().code, "no_backup");
    }

    #[test]
    fn a_backup_is_described_in_one_line() {
        assert_eq!(described(&row("b")), "b: 1 bot, 70 facts, 2 snapshots, 1.2 kB");
    }
}
