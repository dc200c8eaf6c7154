//! Opening a store so that damage is mended where it can be, and told in any case.
//!
//! Owns the decision between opening, migrating, restoring and refusing. Promises that a store is used only after it
//! verified; that a damaged, rewound or missing one is put aside, never removed; that what is whole in it is kept and
//! the rest comes from the newest good backup; that nothing is given up without a line in the report; and that a crash
//! at any step is mended by the next start. A newer schema and a refusal of the system (permissions, a full disk) are
//! no damage: then nothing is touched. Never starts a bot.

mod build;
mod latches;
mod plan;
mod report;
mod room;
mod swap;
mod told;
mod wreck;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use latches::ALL_PAUSED;
pub use report::{Latches, RestoreReport, RestoredInstance, Source};
pub use told::told;

use crate::backup;
use crate::journal::StoreError;
use crate::lock::StateDir;
use crate::mark::{self, MarkError};
use crate::marks::{self, Known};
use crate::migrate::Migration;
use crate::stamp;
use crate::store::{SCHEMA_VERSION, Store};
use crate::verify::{self, Scope, VerifyReport};
use build::Stop;
use plan::Plan;
use wreck::Wreck;

/// How to open.
pub struct OpenOptions<'a> {
    /// Now, in milliseconds since 1970: what is put aside is named after it.
    pub now_ms: i64,
    /// Where the backups lie.
    pub backups: PathBuf,
    /// A store with more facts than this is verified only as far as a start needs it ([`Scope::Tail`]).
    pub tail_rows: u64,
    /// Turns the payloads of earlier versions into those of this one.
    pub migration: &'a dyn Migration,
}

/// An open store and what has to be told about it.
pub struct Opened {
    /// The store, in a new epoch.
    pub store: Store,
    /// What was verified of it before it was used; `None` for a store that was just begun, migrated or restored.
    pub verified: Option<Scope>,
    /// What was restored, if anything was. Once it has been recorded, say so with [`told`].
    pub told: Option<RestoreReport>,
    /// What a person should know besides: marks made anew, a migration, a restore that an earlier start could not tell.
    pub remarks: Vec<String>,
}

/// What is known apart from the store.
struct Seen {
    /// The epoch mark.
    epoch: Option<u32>,
    known: Known,
    /// Whether this state directory has been used, as far as the files beside the store tell.
    used: bool,
    /// Why the high-water marks cannot say what a store has lost, if they cannot. The first schema version did without.
    blind: Option<String>,
    remarks: Vec<String>,
}

/// What the store looks like.
enum Found {
    /// Nothing is wrong with it; without a scope it is new.
    Whole(Wreck, Option<Scope>),
    Older(Wreck, u32),
    Damaged(Wreck, String),
}

/// Opens the store of a state directory; verifies it, and migrates or restores it where needed.
///
/// # Errors
/// A newer schema, a refusal of the system, a payload that cannot be migrated: the store is as it was.
///
/// A full disk is tried once more without the reserve; a remark says so.
pub fn open(lock: &StateDir, opts: &OpenOptions<'_>) -> Result<Opened, StoreError> {
    let (mut opened, remark) = room::make(lock, || open_once(lock, opts))?;
    opened.remarks.extend(remark);
    Ok(opened)
}

fn open_once(lock: &StateDir, opts: &OpenOptions<'_>) -> Result<Opened, StoreError> {
    swap::tidy(lock)?;
    let mut seen = see(lock)?;
    let (store, verified, told) = match examine(lock, &mut seen, opts)? {
        Found::Whole(store, scope) => (begin(store, lock, &seen, opts)?, scope, None),
        Found::Older(wreck, from) => {
            let (store, aside) = migrate(lock, &seen, wreck, from, opts)?;
            seen.remarks.push(format!(
                "the store was migrated from schema version {from} to {SCHEMA_VERSION}; the old one lies in {}",
                aside.display()
            ));
            (store, None, None)
        }
        Found::Damaged(wreck, reason) => {
            let (store, report) = mend(lock, &seen, wreck, reason, opts)?;
            if seen.used || !report.instances.is_empty() {
                (store, None, Some(report))
            } else {
                // No start ever came to its end here, so there was nothing to lose.
                told::told(lock)?;
                let aside = report.moved_to.map(|dir| format!("; what was there lies in {}", dir.display()));
                let (aside, reason) = (aside.unwrap_or_default(), report.reason);
                seen.remarks
                    .push(format!("the store's first opening was never finished ({reason}): begun anew{aside}"));
                (store, None, None)
            }
        }
    };
    let mut remarks = seen.remarks;
    if verified.is_none() && !seen.used && told.is_none() && !backup::list(&opts.backups).unwrap_or_default().is_empty()
    {
        remarks.push("the store is new, and none of the backups that are there can be used".to_string());
    }
    if told.is_none() {
        remarks.extend(told::untold(lock));
    }
    Ok(Opened { store, verified, told, remarks })
}

/// Replaces the store by a backup, whatever state it is in: the operator's way. The present store is put aside; a kill
/// switch, pauses and stops that are set stay set; instances that the backup does not hold are lost.
///
/// # Errors
/// The backup is damaged or newer, or the system refused: the store is as it was.
pub fn restore(
    lock: &StateDir,
    path: &Path,
    now_ms: i64,
    migration: &dyn Migration,
) -> Result<RestoreReport, StoreError> {
    swap::tidy(lock)?;
    let seen = see(lock)?;
    let mut wreck = Wreck::new(lock);
    refuse_newer(&mut wreck)?;
    let catalog = plan::catalog(path).map_err(|error| StoreError::Backup(Box::new(error)))?;
    let backups = path.parent().unwrap_or(Path::new("."));
    let mut plan = plan::whole_backup(&mut wreck, &seen.known, catalog, backups)?;
    plan.epoch = next_epoch(&seen, plan.epoch)?;
    swap::clear(&swap::new_dir(lock))?;
    if let Err(stop) = build::build(&swap::new_dir(lock), &plan, &mut wreck, SCHEMA_VERSION, migration) {
        return Err(failed(stop, &swap::new_dir(lock)));
    }
    let reason = "an operator asked for this backup".to_string();
    let (store, report) = put_in_place(lock, wreck, plan, reason, "replaced", now_ms)?;
    store.seal()?;
    Ok(report)
}

/// Verifies the store without a new epoch and without mending anything; the store must not be in use.
///
/// # Errors
/// The store cannot be opened at all.
pub fn inspect(lock: &StateDir) -> Result<VerifyReport, StoreError> {
    let seen = see(lock)?;
    if !Store::has_data(&lock.store_dir()) {
        let (dir, mark) = (lock.store_dir(), mark::path(lock.path()));
        return Err(StoreError::Rewound { dir, stored: 0, marked: seen.highest(), mark });
    }
    let store = Store::peek(&lock.store_dir())?;
    let report = verify::run(&store, &seen.known, seen.epoch, Scope::Everything);
    // A device that fails now is not to be called whole.
    store.close()?;
    Ok(report)
}

impl Seen {
    fn highest(&self) -> u32 {
        self.epoch.max(self.known.epoch).unwrap_or(0)
    }
}

fn see(lock: &StateDir) -> Result<Seen, StoreError> {
    let mut remarks = Vec::new();
    let (epoch, has_epoch) = match mark::read(lock.path()) {
        Ok(epoch) => (epoch, epoch.is_some()),
        Err(error @ MarkError::Damaged { .. }) => {
            remarks.push(format!("{error}; it was made anew"));
            (None, true)
        }
        Err(error @ MarkError::Io { .. }) => return Err(error.into()),
    };
    let marks = marks::read(lock.path())?;
    let path = marks::path(lock.path());
    let blind = match &marks {
        None => Some(format!("the high-water marks {} are missing", path.display())),
        Some((_, 0)) => None,
        Some((_, damaged)) => Some(format!("{damaged} slots of the high-water marks {} are damaged", path.display())),
    };
    let used = has_epoch || marks.is_some();
    let known = marks.map(|(known, _)| known).unwrap_or_default();
    Ok(Seen { epoch, known, used, blind, remarks })
}

fn examine(lock: &StateDir, seen: &mut Seen, opts: &OpenOptions<'_>) -> Result<Found, StoreError> {
    let mut wreck = Wreck::new(lock);
    if !Store::has_data(&lock.store_dir()) {
        if seen.used {
            return Ok(Found::Damaged(wreck, "the store is missing".to_string()));
        }
        if has_backups(opts) {
            return Ok(Found::Damaged(wreck, "the store is missing, and there are backups of it".to_string()));
        }
    }
    match wreck.open() {
        Ok(()) => {}
        Err(error) if wreck::is_refusal(&error) => return Err(error),
        Err(error) => return Ok(Found::Damaged(wreck, error.to_string())),
    }
    let look = wreck.ask(|store| {
        let version = store.version();
        if matches!(version, Ok(Some(found)) if found > SCHEMA_VERSION) {
            return (version, true, None);
        }
        let is_new = !seen.used && matches!(version, Ok(None)) && matches!(store.is_new(), Ok(true));
        let scope = verify::scope(store, opts.tail_rows);
        let report = (!is_new).then(|| verify::run(store, &seen.known, seen.epoch, scope));
        let is_empty = report.as_ref().is_none_or(|report| report.instances.is_empty())
            && store.latches().is_ok_and(|latches| latches.is_empty());
        (version, is_empty, report)
    });
    let (version, is_empty, report) = match look {
        None => return Ok(Found::Damaged(wreck, "the database panics".to_string())),
        Some((Ok(Some(found)), _, None)) => {
            return Err(StoreError::NewerSchema { dir: lock.store_dir(), found, supported: SCHEMA_VERSION });
        }
        Some((Ok(Some(from)), _, Some(report))) if from < SCHEMA_VERSION && report.is_whole() => {
            return Ok(Found::Older(wreck, from));
        }
        Some((version, is_empty, report)) => (version.ok().flatten(), is_empty, report),
    };
    let problem = report.as_ref().and_then(|report| report.problems().next());
    let problem = problem.or_else(|| unknowable(seen, version, is_empty, opts));
    Ok(match (problem, report.map(|report| report.scope)) {
        (Some(problem), _) => Found::Damaged(wreck, problem),
        (None, scope) => Found::Whole(wreck, scope),
    })
}

/// Why a store that looks whole may not be all there was; `None`: the marks say that it is, or there was nothing yet.
fn unknowable(seen: &Seen, version: Option<u32>, is_empty: bool, opts: &OpenOptions<'_>) -> Option<String> {
    // A first start that dies at once leaves an epoch mark, no other marks and an empty store.
    let was_first = is_empty && seen.epoch.is_none_or(|epoch| epoch <= 1) && !has_backups(opts);
    let reason = seen.blind.as_ref().filter(|_| version == Some(SCHEMA_VERSION) && !was_first)?;
    Some(format!("{reason}, so what is there may not be all there was"))
}

/// Whether there is a backup that can be read.
fn has_backups(opts: &OpenOptions<'_>) -> bool {
    backup::list(&opts.backups).unwrap_or_default().iter().any(|entry| entry.info.is_ok())
}

fn refuse_newer(wreck: &mut Wreck) -> Result<(), StoreError> {
    match wreck.ask(|store| store.version().ok()).flatten().flatten() {
        Some(found) if found > SCHEMA_VERSION => {
            let dir = wreck.dir().to_path_buf();
            Err(StoreError::NewerSchema { dir, found, supported: SCHEMA_VERSION })
        }
        Some(_) | None => Ok(()),
    }
}

/// Goes on with a whole store. Backups may have seen later epochs than a directory that was begun anew.
fn begin(wreck: Wreck, lock: &StateDir, seen: &Seen, opts: &OpenOptions<'_>) -> Result<Store, StoreError> {
    let problem = "the database does not open".to_string();
    let store = wreck.take().ok_or_else(|| StoreError::Unreadable { dir: lock.store_dir(), problem })?;
    let mut highest = store.checked_epoch(seen.epoch, lock.path())?.max(seen.highest());
    if store.is_new()? {
        let listed = backup::list(&opts.backups).map_err(|error| StoreError::Backup(Box::new(error)))?;
        let backed_up = listed.into_iter().filter_map(|entry| entry.info.ok()).map(|info| info.epoch).max();
        highest = highest.max(backed_up.unwrap_or(0));
    }
    store.begin(lock.path(), highest)
}

fn migrate(
    lock: &StateDir,
    seen: &Seen,
    mut wreck: Wreck,
    from: u32,
    opts: &OpenOptions<'_>,
) -> Result<(Store, PathBuf), StoreError> {
    let plan = rebuild(lock, seen, &mut wreck, (from, false), opts)?;
    // It verified a moment ago: whatever is not kept now was damaged meanwhile, and the next start restores it.
    if let Some(planned) = plan.instances.iter().find(|planned| planned.told.source != Source::Kept) {
        let problem = format!("instance {} cannot be read", planned.told.instance);
        return Err(StoreError::Unreadable { dir: lock.store_dir(), problem });
    }
    wreck.close();
    let aside = swap::aside(lock, &format!("v{from}"), opts.now_ms);
    swap::commit(lock, &aside)?;
    let store = Store::peek(&lock.store_dir())?;
    Ok((store.begin(lock.path(), plan.epoch)?, aside))
}

fn mend(
    lock: &StateDir,
    seen: &Seen,
    mut wreck: Wreck,
    reason: String,
    opts: &OpenOptions<'_>,
) -> Result<(Store, RestoreReport), StoreError> {
    let stored = wreck.ask(|store| store.version().ok()).flatten().flatten();
    // The first version kept no marks.
    let from = stored.or(seen.known.schema).unwrap_or(if seen.known == Known::default() { 1 } else { SCHEMA_VERSION });
    // A store that cannot say its version may be of this one, and then its marks should be there.
    let is_blind = seen.blind.is_some() && stored.is_none_or(|version| version == SCHEMA_VERSION);
    let plan = rebuild(lock, seen, &mut wreck, (from, is_blind), opts)?;
    let (store, report) = put_in_place(lock, wreck, plan, reason, "damaged", opts.now_ms)?;
    Ok((store, report))
}

/// Builds a new store from what is whole; an instance that breaks while it is copied is taken from a backup instead.
/// `from`: the schema version of the payloads; blind: marks are missing that should be there.
fn rebuild(
    lock: &StateDir,
    seen: &Seen,
    wreck: &mut Wreck,
    (from, is_blind): (u32, bool),
    opts: &OpenOptions<'_>,
) -> Result<Plan, StoreError> {
    let dir = swap::new_dir(lock);
    let mut present = latches::present(wreck, &seen.known, is_blind);
    present.is_first = !seen.used;
    let mut bad = BTreeSet::new();
    loop {
        swap::clear(&dir)?;
        let mut plan = plan::salvage(wreck, &seen.known, is_blind, &opts.backups, &bad, &present)?;
        plan.epoch = next_epoch(seen, plan.epoch)?;
        match build::build(&dir, &plan, wreck, from, opts.migration) {
            Ok(()) => return Ok(plan),
            Err(Stop::Unreadable(instance)) if bad.insert(instance) => {}
            Err(stop) => return Err(failed(stop, &dir)),
        }
    }
}

fn failed(stop: Stop, dir: &Path) -> StoreError {
    match stop {
        Stop::Failed(error) => error,
        Stop::Unreadable(instance) => {
            StoreError::BadCopy { dir: dir.to_path_buf(), problem: format!("instance {instance} cannot be read") }
        }
    }
}

fn next_epoch(seen: &Seen, planned: u32) -> Result<u32, StoreError> {
    planned.max(seen.highest()).checked_add(1).ok_or(StoreError::EpochsUsedUp)
}

/// Swaps the built store in, begins its epoch and keeps the report until it is known to be told.
fn put_in_place(
    lock: &StateDir,
    mut wreck: Wreck,
    plan: Plan,
    reason: String,
    kind: &str,
    now_ms: i64,
) -> Result<(Store, RestoreReport), StoreError> {
    wreck.close();
    let aside = swap::aside(lock, kind, now_ms);
    let moved_to = lock.store_dir().exists().then(|| aside.clone());
    let epoch = plan.epoch;
    let report = report_of(plan, reason, moved_to);
    let heading = format!("restored at {}:", stamp::in_words(now_ms));
    told::keep(lock, std::iter::once(heading).chain(report.lines()))?;
    swap::commit(lock, &aside)?;
    let store = Store::peek(&lock.store_dir())?.begin(lock.path(), epoch)?;
    swap::clear(&swap::salvage_dir(lock))?;
    swap::thin_out(lock, kind)?;
    Ok((store, report))
}

fn report_of(plan: Plan, reason: String, moved_to: Option<PathBuf>) -> RestoreReport {
    let used = |at: &usize| plan.instances.iter().any(|planned| planned.catalog == Some(*at));
    let newest = (0..plan.catalogs.len()).find(used).or_else(|| {
        let used = plan.latches_from != Latches::Kept && !plan.catalogs.is_empty();
        used.then_some(0)
    });
    let backup = newest.and_then(|at| plan.catalogs.get(at)).map(|of| of.info.clone());
    let instances = plan.instances.into_iter().map(|planned| planned.told).collect();
    RestoreReport { moved_to, reason, backup, instances, latches: plan.latches_from, notes: plan.notes }
}

#[cfg(test)]
mod tests;
