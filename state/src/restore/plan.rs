//! What goes into a new store: per instance and for the latches, from where.
//!
//! Promises that an instance is kept only if it lost nothing that it needs to go on, that otherwise the newest good
//! backup that holds it is taken, and that a store which the system refuses to read is not planned for. Never writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::latches::{self, Present};
use super::report::{Latches, RestoredInstance, Source, facts_between};
use super::wreck::Wreck;
use crate::backup::{self, BackupError, BackupInfo, ReadError, Record};
use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey};
use crate::marks::{Known, Mark};
use crate::verify::{self, InstanceReport, Problems, Scope};

/// A good backup and what stands in it.
pub(super) struct Catalog {
    pub(super) info: BackupInfo,
    instances: BTreeMap<InstanceKey, Option<FactId>>,
    pub(super) latches: BTreeMap<String, Vec<u8>>,
}

/// An instance of the new store.
pub(super) struct Planned {
    pub(super) told: RestoredInstance,
    /// Which backup it comes from, if it does.
    pub(super) catalog: Option<usize>,
    /// The whole snapshots of a kept one.
    pub(super) snapshots: Vec<FactId>,
}

/// The new store.
pub(super) struct Plan {
    pub(super) instances: Vec<Planned>,
    pub(super) catalogs: Vec<Catalog>,
    pub(super) latches: BTreeMap<String, Vec<u8>>,
    pub(super) latches_from: Latches,
    pub(super) notes: Vec<String>,
    pub(super) epoch: u32,
}

/// Reads a backup and makes its catalog.
pub(super) fn catalog(path: &Path) -> Result<Catalog, BackupError> {
    let mut instances = BTreeMap::new();
    let mut latches = BTreeMap::new();
    let info = backup::read(path, |instance, record| {
        match (instance, record) {
            (_, Record::Latch { name, value }) => drop(latches.insert(name, value)),
            (Some(instance), Record::Fact { id, .. }) => drop(instances.insert(instance, Some(id))),
            (Some(instance), _) => drop(instances.entry(instance).or_insert(None)),
            (None, _) => {}
        }
        Ok(())
    });
    match info {
        Ok(info) => Ok(Catalog { info, instances, latches }),
        Err(ReadError::Backup(error)) => Err(error),
        // The visitor above refuses nothing.
        Err(ReadError::Visitor(error)) => Err(BackupError::Store(error)),
    }
}

/// Plans a store that keeps what is whole in `wreck` and takes the rest from `backups`. `bad` could not be kept
/// although they looked whole. `is_blind`: marks are missing that should be there; then whoever has no mark must have
/// reached the newest backup at least.
///
/// # Errors
/// The system refused to read the store or the backups: nothing can be said about what is in them.
pub(super) fn salvage(
    wreck: &mut Wreck,
    known: &Known,
    is_blind: bool,
    backups: &Path,
    bad: &BTreeSet<InstanceKey>,
    present: &Present,
) -> Result<Plan, StoreError> {
    let mut notes = Vec::new();
    let least = if is_blind { at_least(known, backups)? } else { known.clone() };
    let reports = reports(wreck, &least);
    // Who had a snapshot cannot go on without one, however many facts are there.
    let had_snapshot = |instance: &InstanceKey| least.instances.get(instance).is_some_and(|m| m.snapshot.is_some());
    let is_unmarked = |report: &InstanceReport| is_blind && !known.instances.contains_key(&report.instance);
    let is_kept = |report: &InstanceReport| {
        let lacks_snapshot = report.snapshots.is_empty() && had_snapshot(&report.instance);
        // A name alone is left of what may have been much.
        let is_nothing = is_unmarked(report) && report.last.is_none();
        report.is_usable() && !lacks_snapshot && !is_nothing && !bad.contains(&report.instance)
    };
    let mut wanted: BTreeSet<InstanceKey> =
        reports.iter().filter(|report| !is_kept(report)).map(|report| report.instance).collect();
    let latches_from = present.source();
    let is_all_there = wanted.is_empty() && latches_from == Latches::Kept && wreck.ask(|_| ()).is_some();
    let catalogs = if is_all_there { Vec::new() } else { catalogs(backups, &mut wanted, &mut notes)? };
    let mut instances: Vec<Planned> = Vec::new();
    for report in &reports {
        instances.push(match (is_kept(report), is_unmarked(report)) {
            (true, is_unmarked) => kept(report, is_unmarked),
            (false, true) => from_backup(report.instance, None, &catalogs),
            (false, false) => replaced(report, known, &catalogs),
        });
    }
    // What stands in a backup only was forgotten by the store and by the marks.
    let named: BTreeSet<InstanceKey> = reports.iter().map(|report| report.instance).collect();
    let forgotten: BTreeSet<InstanceKey> = catalogs.iter().flat_map(|of| of.instances.keys().copied()).collect();
    for instance in forgotten.difference(&named) {
        instances.push(from_backup(*instance, None, &catalogs));
    }
    let mut latches = latches::merged(present, catalogs.first(), known, &mut notes);
    latches::follow(&mut instances, &catalogs, present, &mut latches);
    latches::pause_all(&mut latches, present, &instances, &mut notes);
    latches::lock_lost(&instances, &mut latches);
    let reached = instances.iter().filter_map(|planned| planned.told.reached).map(|id| id.epoch).max();
    let epoch = highest_epoch(wreck, known, backups)?.max(reached.unwrap_or(0));
    wreck.refused()?;
    Ok(Plan { instances, catalogs, latches, latches_from, notes, epoch })
}

/// Plans the store that stands in one backup. Instances that are known and not in it are lost; a kill switch, pauses
/// and stops that are set now stay set.
///
/// # Errors
/// The system refused to copy a store that cannot be read as it is.
pub(super) fn whole_backup(
    wreck: &mut Wreck,
    known: &Known,
    catalog: Catalog,
    backups: &Path,
) -> Result<Plan, StoreError> {
    let present = latches::present(wreck, known, false);
    let named: BTreeSet<InstanceKey> = instances(wreck).into_iter().chain(known.instances.keys().copied()).collect();
    let all: BTreeSet<InstanceKey> = named.into_iter().chain(catalog.instances.keys().copied()).collect();
    let epoch = highest_epoch(wreck, known, backups)?.max(catalog.info.epoch);
    let mut notes = Vec::new();
    let mut latches = latches::backed_up(&present, &catalog, known, &mut notes);
    let catalogs = vec![catalog];
    let instances: Vec<Planned> = all
        .into_iter()
        .map(|instance| {
            let last = wreck.ask(|store| store.last_fact_id(&instance).ok()).flatten().flatten();
            let marked = known.instances.get(&instance).and_then(|mark| mark.last);
            from_backup(instance, last.max(marked), &catalogs)
        })
        .collect();
    wreck.refused_though_readable()?;
    latches::lock_lost(&instances, &mut latches);
    Ok(Plan { instances, catalogs, latches, latches_from: Latches::Backup, notes, epoch })
}

fn instances(wreck: &mut Wreck) -> BTreeSet<InstanceKey> {
    wreck.ask(|store| verify::instances(store, &mut Problems::default())).unwrap_or_default()
}

/// Whether the marks speak of this store; they do, if it cannot tell.
pub(super) fn is_bound(wreck: &mut Wreck, known: &Known) -> bool {
    wreck.ask(|store| store.is_bound_by(known).unwrap_or(true)).unwrap_or(true)
}

/// One report per instance, each on a store that is opened again if the one before broke it.
fn reports(wreck: &mut Wreck, known: &Known) -> Vec<InstanceReport> {
    let found = instances(wreck);
    let bound = is_bound(wreck, known);
    let marks = known.instances.iter().filter(|_| bound).map(|(instance, mark)| (*instance, *mark));
    let marks: BTreeMap<_, _> = marks.collect();
    let all: BTreeSet<InstanceKey> = found.into_iter().chain(marks.keys().copied()).collect();
    let report = |instance: InstanceKey| {
        let mark = marks.get(&instance).copied();
        let report = wreck.ask(|store| verify::instance(store, &instance, mark, Scope::Everything));
        report.unwrap_or_else(|| InstanceReport::unreadable(instance))
    };
    all.into_iter().map(report).collect()
}

fn kept(report: &InstanceReport, is_unmarked: bool) -> Planned {
    let snapshots = report.snapshots_reached();
    let unmarked = "whether that is all there was cannot be told";
    let note = report.problems.first().map(|problem| {
        let from = snapshots.last().map_or("the beginning".to_string(), |id| format!("the snapshot of {id}"));
        format!("{problem}; it goes on from {from} and the facts after it, which are whole")
    });
    let note = note.or_else(|| is_unmarked.then(|| unmarked.to_string()));
    let told = RestoredInstance {
        instance: report.instance,
        source: Source::Kept,
        known: report.last,
        reached: report.last,
        facts_lost_at_least: 0,
        note,
    };
    Planned { told, catalog: None, snapshots }
}

fn replaced(report: &InstanceReport, known: &Known, catalogs: &[Catalog]) -> Planned {
    let marked = known.instances.get(&report.instance).and_then(|mark| mark.last);
    // A damaged key may name any place; the mark is sealed.
    from_backup(report.instance, marked.or(report.last), catalogs)
}

fn from_backup(instance: InstanceKey, known: Option<FactId>, catalogs: &[Catalog]) -> Planned {
    let found =
        catalogs.iter().enumerate().find_map(|(at, of)| of.instances.get(&instance).map(|last| (at, of, *last)));
    let reached = found.and_then(|(_, _, last)| last);
    let source = found.map_or(Source::Lost, |(_, of, _)| Source::Backup {
        name: of.info.name.clone(),
        created_ms: of.info.created_ms,
    });
    let facts_lost_at_least = facts_between(reached, known);
    let told = RestoredInstance { instance, source, known, reached, facts_lost_at_least, note: None };
    Planned { told, catalog: found.map(|(at, _, _)| at), snapshots: Vec::new() }
}

/// The marks, and for whoever has none what stands in the newest good backup: that much was durable once.
fn at_least(known: &Known, backups: &Path) -> Result<Known, StoreError> {
    let mut least = known.clone();
    let newest = catalogs(backups, &mut BTreeSet::new(), &mut Vec::new())?;
    for (instance, last) in newest.iter().flat_map(|of| &of.instances) {
        least.instances.entry(*instance).or_insert(Mark { last: *last, ..Mark::default() });
    }
    Ok(least)
}

/// Good backups, the newest first, until each of `wanted` is found. A newer version's backup is no damage: it says
/// that this program is too old for the directory.
fn catalogs(
    dir: &Path,
    wanted: &mut BTreeSet<InstanceKey>,
    notes: &mut Vec<String>,
) -> Result<Vec<Catalog>, StoreError> {
    let mut found = Vec::new();
    for entry in backup::list(dir).map_err(|error| StoreError::Backup(Box::new(error)))? {
        if wanted.is_empty() && !found.is_empty() {
            break;
        }
        match catalog(&entry.path) {
            Ok(good) => {
                wanted.retain(|instance| !good.instances.contains_key(instance));
                found.push(good);
            }
            Err(error @ BackupError::Newer { .. }) => return Err(StoreError::Backup(Box::new(error))),
            Err(error) => notes.push(format!("not used: {error}")),
        }
    }
    Ok(found)
}

/// The highest epoch that anything with a seal has seen, so that the next one is new.
fn highest_epoch(wreck: &mut Wreck, known: &Known, backups: &Path) -> Result<u32, StoreError> {
    let listed = backup::list(backups).map_err(|error| StoreError::Backup(Box::new(error)))?;
    let backed_up = listed.into_iter().filter_map(|entry| entry.info.ok()).map(|info| info.epoch).max();
    let marked = known.instances.values().filter_map(|mark| mark.last.map(|last| last.epoch)).max();
    let stored = wreck.ask(|store| store.stored_epoch().ok()).flatten().flatten();
    Ok([backed_up, marked, stored, known.epoch].into_iter().flatten().max().unwrap_or(0))
}
