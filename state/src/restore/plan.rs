//! What goes into a new store: per instance and for the latches, from where.
//!
//! Promises that an instance is kept only if it lost nothing, that otherwise the newest good backup that holds it is
//! taken, and that latches are only ever added when in doubt. Never writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::report::{Latches, RestoredInstance, Source, facts_between};
use super::wreck::Wreck;
use crate::backup::{self, BackupError, BackupInfo, ReadError, Record};
use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey};
use crate::marks::Known;
use crate::verify::{self, InstanceReport, Problems, Scope};

/// A good backup and what stands in it.
pub(super) struct Catalog {
    pub(super) info: BackupInfo,
    instances: BTreeMap<InstanceKey, Option<FactId>>,
    latches: BTreeMap<String, Vec<u8>>,
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
/// although they looked whole.
pub(super) fn salvage(
    wreck: &mut Wreck,
    known: &Known,
    backups: &Path,
    bad: &BTreeSet<InstanceKey>,
) -> Result<Plan, StoreError> {
    let reports = reports(wreck, known);
    // Who had a snapshot cannot go on without one, however many facts are there.
    let had_snapshot = |instance: &InstanceKey| known.instances.get(instance).is_some_and(|m| m.snapshot.is_some());
    let is_kept = |report: &InstanceReport| {
        let lacks_snapshot = report.snapshots.is_empty() && had_snapshot(&report.instance);
        report.is_usable() && !lacks_snapshot && !bad.contains(&report.instance)
    };
    let mut wanted: BTreeSet<InstanceKey> =
        reports.iter().filter(|report| !is_kept(report)).map(|report| report.instance).collect();
    let (readable, latches_from) = readable_latches(wreck, known);
    let is_all_there = wanted.is_empty() && latches_from == Latches::Kept && wreck.ask(|_| ()).is_some();
    let mut notes = Vec::new();
    let catalogs = if is_all_there { Vec::new() } else { catalogs(backups, &mut wanted, &mut notes)? };
    let mut instances: Vec<Planned> = Vec::new();
    for report in &reports {
        instances.push(if is_kept(report) { kept(report) } else { replaced(report, known, &catalogs) });
    }
    // What stands in a backup only was forgotten by the store and by the marks.
    let named: BTreeSet<InstanceKey> = reports.iter().map(|report| report.instance).collect();
    let forgotten: BTreeSet<InstanceKey> = catalogs.iter().flat_map(|of| of.instances.keys().copied()).collect();
    for instance in forgotten.difference(&named) {
        instances.push(from_backup(*instance, None, &catalogs));
    }
    let mut latches = readable;
    if latches_from == Latches::Merged {
        merge_latches(&mut latches, catalogs.first(), known, &mut notes);
    }
    follow_instances(&instances, &catalogs, &mut latches);
    lock_lost(&instances, &mut latches);
    let reached = instances.iter().filter_map(|planned| planned.told.reached).map(|id| id.epoch).max();
    let epoch = highest_epoch(wreck, known, backups)?.max(reached.unwrap_or(0));
    Ok(Plan { instances, catalogs, latches, latches_from, notes, epoch })
}

/// Plans the store that stands in one backup. Instances that are known and not in it are lost; a kill that is set now
/// stays set.
pub(super) fn whole_backup(
    wreck: &mut Wreck,
    known: &Known,
    catalog: Catalog,
    backups: &Path,
) -> Result<Plan, StoreError> {
    let present = instances(wreck);
    let named: BTreeSet<InstanceKey> = present.into_iter().chain(known.instances.keys().copied()).collect();
    let all: BTreeSet<InstanceKey> = named.into_iter().chain(catalog.instances.keys().copied()).collect();
    let epoch = highest_epoch(wreck, known, backups)?.max(catalog.info.epoch);
    let (present, _) = readable_latches(wreck, known);
    let mut latches = catalog.latches.clone();
    latches.extend(present.into_iter().filter(|(name, _)| name == "kill"));
    let mut notes = Vec::new();
    keep_kill(&mut latches, known, &mut notes);
    let catalogs = vec![catalog];
    let instances: Vec<Planned> = all
        .into_iter()
        .map(|instance| {
            let last = wreck.ask(|store| store.last_fact_id(&instance).ok()).flatten().flatten();
            let marked = known.instances.get(&instance).and_then(|mark| mark.last);
            from_backup(instance, last.max(marked), &catalogs)
        })
        .collect();
    lock_lost(&instances, &mut latches);
    Ok(Plan { instances, catalogs, latches, latches_from: Latches::Merged, notes, epoch })
}

fn instances(wreck: &mut Wreck) -> BTreeSet<InstanceKey> {
    wreck.ask(|store| verify::instances(store, &mut Problems::default())).unwrap_or_default()
}

/// Whether the marks speak of this store; they do, if it cannot tell.
fn is_bound(wreck: &mut Wreck, known: &Known) -> bool {
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

fn kept(report: &InstanceReport) -> Planned {
    let note = (!report.is_whole()).then(|| {
        let from = report.snapshots.last().map_or("the beginning".to_string(), |id| format!("the snapshot of {id}"));
        format!("a damaged snapshot was left out, it goes on from {from} and the facts after it")
    });
    let told = RestoredInstance {
        instance: report.instance,
        source: Source::Kept,
        known: report.last,
        reached: report.last,
        facts_lost_at_least: 0,
        note,
    };
    Planned { told, catalog: None, snapshots: report.snapshots.clone() }
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

/// The latches that can be read, and whether those are all.
fn readable_latches(wreck: &mut Wreck, known: &Known) -> (BTreeMap<String, Vec<u8>>, Latches) {
    let bound = is_bound(wreck, known);
    let read = wreck.ask(|store| {
        let mut problems = Problems::default();
        let readable = store.readable_latches(&mut problems);
        (readable.latches, readable.sum.filter(|_| problems.told().is_empty()))
    });
    let Some((latches, sum)) = read else { return (BTreeMap::new(), Latches::Merged) };
    let mark = known.latches.filter(|_| bound);
    let is_whole = sum.is_some_and(|sum| mark.is_none_or(|mark| mark.accepts(sum)));
    (latches, if is_whole { Latches::Kept } else { Latches::Merged })
}

/// When in doubt a latch is set: what stands in the backup is added.
fn merge_latches(
    latches: &mut BTreeMap<String, Vec<u8>>,
    newest: Option<&Catalog>,
    known: &Known,
    notes: &mut Vec<String>,
) {
    let readable = latches.len();
    for (name, value) in newest.iter().flat_map(|of| &of.latches) {
        latches.entry(name.clone()).or_insert_with(|| value.clone());
    }
    keep_kill(latches, known, notes);
    if let Some(mark) = known.latches {
        let (stored, now) = (mark.settled.count, latches.len());
        notes.push(format!(
            "halts, pauses and stops: {stored} entries were stored, {readable} could be read, {now} are set"
        ));
    }
}

/// The marks know whether the kill switch was thrown.
fn keep_kill(latches: &mut BTreeMap<String, Vec<u8>>, known: &Known, notes: &mut Vec<String>) {
    let was_set = known.latches.is_some_and(|mark| mark.settled.kill || mark.next.is_some_and(|next| next.kill));
    if was_set && !latches.contains_key("kill") {
        latches.insert("kill".to_string(), b"restored: the switch was on, who threw it is lost".to_vec());
        notes.push("the kill switch was on and stays on; who threw it and why is lost".to_string());
    }
}

/// Where the present life of an instance begins belongs to its records: both come from one place.
fn follow_instances(instances: &[Planned], catalogs: &[Catalog], latches: &mut BTreeMap<String, Vec<u8>>) {
    for Planned { told, catalog, .. } in instances {
        let Some(of) = catalog.and_then(|at| catalogs.get(at)) else { continue };
        let name = format!("life/{}", told.instance);
        match of.latches.get(&name) {
            Some(value) => drop(latches.insert(name, value.clone())),
            None => drop(latches.remove(&name)),
        }
    }
}

fn lock_lost(instances: &[Planned], latches: &mut BTreeMap<String, Vec<u8>>) {
    for Planned { told, .. } in instances {
        if told.source == Source::Lost {
            let why = b"its records were lost and no backup holds them".to_vec();
            latches.insert(format!("lost/{}", told.instance), why);
        }
    }
}

/// The highest epoch that anything with a seal has seen, so that the next one is new.
fn highest_epoch(wreck: &mut Wreck, known: &Known, backups: &Path) -> Result<u32, StoreError> {
    let listed = backup::list(backups).map_err(|error| StoreError::Backup(Box::new(error)))?;
    let backed_up = listed.into_iter().filter_map(|entry| entry.info.ok()).map(|info| info.epoch).max();
    let marked = known.instances.values().filter_map(|mark| mark.last.map(|last| last.epoch)).max();
    let stored = wreck.ask(|store| store.stored_epoch().ok()).flatten().flatten();
    Ok([backed_up, marked, stored, known.epoch].into_iter().flatten().max().unwrap_or(0))
}
