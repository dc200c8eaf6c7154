//! The latches of a new store: from what can be read of the old one, from the marks and from a backup.
//!
//! Owns what the names of latches mean to a restore. Promises that in doubt a halt, a pause or a stop is set: one whose
//! name can be read stays set though its value is lost, and a bot that only the backup says was added comes back
//! stopped. Never makes up where the life of an instance begins: a damaged one stays unreadable, so that nobody goes on
//! from a wrong place.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Catalog, Planned, is_bound};
use super::report::{Latches, Source};
use super::wreck::Wreck;
use crate::marks::Known;
use crate::verify::Problems;

type Table = BTreeMap<String, Vec<u8>>;

const KILL: &str = "kill";
const LIFE: &str = "life/";
const ADDED: &str = "added/";
const PAUSED: &str = "paused/";
const STOPPED: &str = "stopped/";
/// Names that say all that matters; the value tells who and why.
const HALTS: [&str; 3] = [PAUSED, "quarantined/", STOPPED];
const LOST: &str = "lost/";

/// A pause or a stop of any bot may have been lost, also of one that nothing here names any more: whoever knows the
/// bots pauses each of them, then takes this latch away.
pub const ALL_PAUSED: &str = "all-paused";

/// The latches of the old store.
pub(super) struct Present {
    table: Table,
    /// Names whose values are damaged.
    damaged: BTreeSet<String>,
    /// Whether these are all that there were.
    is_whole: bool,
    /// Whether no start ever came to its end here.
    pub(super) is_first: bool,
}

impl Present {
    /// Whether they are kept or have to be put together.
    pub(super) fn source(&self) -> Latches {
        if self.is_whole { Latches::Kept } else { Latches::Merged }
    }
}

/// Reads what can be read. To be done before anything else is read: a store that breaks is opened a bounded number of
/// times. `is_blind`: marks are missing that should be there, so that what can be read may not be all.
pub(super) fn present(wreck: &mut Wreck, known: &Known, is_blind: bool) -> Present {
    let bound = is_bound(wreck, known);
    let read = wreck.ask(|store| {
        let mut problems = Problems::default();
        let readable = store.readable_latches(&mut problems);
        let sum = readable.sum.filter(|_| problems.told().is_empty());
        (readable.latches, readable.damaged, sum)
    });
    let (table, damaged, sum) = read.unwrap_or_default();
    let mark = known.latches.filter(|_| bound);
    let lacks_mark = is_blind && known.latches.is_none();
    let is_whole = !lacks_mark && sum.is_some_and(|sum| mark.is_none_or(|mark| mark.accepts(sum)));
    Present { table, damaged, is_whole, is_first: false }
}

/// What is there stays. Unless that is known to be all, what stands in the newest backup is added.
pub(super) fn merged(present: &Present, newest: Option<&Catalog>, known: &Known, notes: &mut Vec<String>) -> Table {
    let mut table = present.table.clone();
    if present.is_whole {
        return table;
    }
    let readable = table.len();
    let is_kept = |name: &str| !name.starts_with(ADDED);
    keep_damaged(&mut table, present, is_kept, notes);
    for (name, value) in newest.iter().flat_map(|of| &of.latches) {
        table.entry(name.clone()).or_insert_with(|| value.clone());
    }
    stop_added(&mut table, present, notes);
    keep_damaged(&mut table, present, |name| !is_kept(name), notes);
    keep_kill(&mut table, present, known, notes);
    if let Some(mark) = known.latches {
        let (stored, now) = (mark.settled.count, table.len());
        notes.push(format!(
            "halts, pauses and stops: {stored} entries were stored, {readable} could be read, {now} are set"
        ));
    }
    table
}

/// Where latches were lost, a pause or a stop may be among them: nobody enters before an operator has looked.
pub(super) fn pause_all(table: &mut Table, present: &Present, instances: &[Planned], notes: &mut Vec<String>) {
    if present.is_whole || (present.is_first && instances.is_empty()) {
        return;
    }
    // Names that no bot can have belong to the process itself.
    let bots = instances.iter().map(|planned| planned.told.instance.to_string()).filter(|name| !name.starts_with('_'));
    for bot in bots {
        table.entry(format!("{PAUSED}{bot}")).or_insert_with(|| b"restored".to_vec());
    }
    table.insert(ALL_PAUSED.to_string(), b"restored".to_vec());
    let text = "every bot is paused, since a pause or a stop may have been lost: supervisor resume NAME";
    notes.push(text.to_string());
}

/// What stands in the backup, and each halt, pause and stop that is set now.
pub(super) fn backed_up(present: &Present, catalog: &Catalog, known: &Known, notes: &mut Vec<String>) -> Table {
    let is_halt = |name: &str| name == KILL || HALTS.iter().any(|prefix| name.starts_with(prefix));
    let mut table = catalog.latches.clone();
    table.extend(
        present.table.iter().filter(|(name, _)| is_halt(name)).map(|(name, value)| (name.clone(), value.clone())),
    );
    keep_damaged(&mut table, present, is_halt, notes);
    stop_added(&mut table, present, notes);
    keep_kill(&mut table, present, known, notes);
    if !present.is_whole && known.latches.is_some_and(|mark| mark.settled.count > 0) {
        notes.push(
            "not all pauses and stops of the replaced store could be read: later ones may be missing".to_string(),
        );
    }
    table
}

/// A latch whose name can be read stays set.
fn keep_damaged(table: &mut Table, present: &Present, chosen: impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    for name in present.damaged.iter().filter(|name| chosen(name)) {
        let is_life_or_added = [LIFE, ADDED].iter().any(|prefix| name.starts_with(prefix));
        let is_said_by_name = [LOST].iter().chain(&HALTS).any(|prefix| name.starts_with(prefix));
        let value: &[u8] = match (is_life_or_added, is_said_by_name) {
            // Nothing can be read from nothing: whoever needs the value finds out.
            (true, _) => b"",
            (false, true) => b"restored: it was set, by whom and why is lost",
            // A name that nobody knows may be damaged itself; the kill switch has its own rule.
            (false, false) => continue,
        };
        if table.contains_key(name) {
            continue;
        }
        table.insert(name.clone(), value.to_vec());
        // What becomes of a life is told of its instance.
        if !name.starts_with(LIFE) {
            notes.push(format!("{name} was set and stays set; its value is damaged"));
        }
    }
}

/// A bot that was added, and of which the old store does not say so (any more), may have been removed since the backup.
fn stop_added(table: &mut Table, present: &Present, notes: &mut Vec<String>) {
    let is_new = |name: &&String| name.starts_with(ADDED) && !present.table.contains_key(*name);
    let added: Vec<String> = table.keys().filter(is_new).map(|name| name[ADDED.len()..].to_string()).collect();
    for id in added {
        let stopped = b"restored: only the backup says that it was added".to_vec();
        table.entry(format!("{STOPPED}{id}")).or_insert(stopped);
        notes.push(format!("{id} was added by file; only the backup says so: it is stopped until it is started"));
    }
}

/// The marks know whether the kill switch was thrown.
fn keep_kill(table: &mut Table, present: &Present, known: &Known, notes: &mut Vec<String>) {
    let marked = known.latches.is_some_and(|mark| mark.settled.kill || mark.next.is_some_and(|next| next.kill));
    if (marked || present.damaged.contains(KILL)) && !table.contains_key(KILL) {
        table.insert(KILL.to_string(), b"restored: the switch was on, who threw it is lost".to_vec());
        notes.push("the kill switch was on and stays on; who threw it and why is lost".to_string());
    }
}

/// Where the present life of an instance begins belongs to its records: both come from one place.
pub(super) fn follow(instances: &mut [Planned], catalogs: &[Catalog], present: &Present, table: &mut Table) {
    for Planned { told, catalog, .. } in instances {
        let name = format!("{LIFE}{}", told.instance);
        let is_damaged = present.damaged.contains(&name);
        match (&told.source, catalog.and_then(|at| catalogs.get(at)).and_then(|of| of.latches.get(&name))) {
            (Source::Backup { .. }, Some(value)) => drop(table.insert(name, value.clone())),
            (Source::Backup { .. }, None) => drop(table.remove(&name)),
            // Nothing is left that it could belong to.
            (Source::Lost, _) if is_damaged => drop(table.remove(&name)),
            (Source::Lost, _) => {}
            (Source::Kept, _) if is_damaged => {
                let note = "where its present life begins is damaged: it does not start before that is decided";
                told.note = Some(told.note.take().map_or(note.to_string(), |before| format!("{before}; {note}")));
            }
            (Source::Kept, _) => {}
        }
    }
}

/// Who lost everything does not begin anew by itself.
pub(super) fn lock_lost(instances: &[Planned], table: &mut Table) {
    for Planned { told, .. } in instances {
        if told.source == Source::Lost {
            let why = b"its records were lost and no backup holds them".to_vec();
            table.insert(format!("{LOST}{}", told.instance), why);
        }
    }
}
