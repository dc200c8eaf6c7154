//! Building the new store as planned.
//!
//! Promises that what was built was closed, opened again and verified row by row before anybody puts it in place, and
//! that an instance which turns out unreadable while it is copied is named, so that another plan can be made.

use std::collections::BTreeMap;
use std::path::Path;

use super::plan::{Catalog, Plan, Planned};
use super::report::Source;
use super::wreck::Wreck;
use crate::backup::{self, BackupError, ReadError, Record};
use crate::journal::{StoreError, StoredFact};
use crate::key::{FactId, InstanceKey};
use crate::marks::{Known, Mark};
use crate::migrate::{Converter, Migration};
use crate::store::Store;
use crate::verify::{self, Scope};

const FACTS_AT_ONCE: usize = 512;

/// Why a store was not built.
pub(super) enum Stop {
    /// This instance cannot be copied from the damaged store.
    Unreadable(InstanceKey),
    /// Nothing more can be done.
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

/// Builds the planned store in `dir`. `from` is the schema version of the damaged one.
pub(super) fn build(
    dir: &Path,
    plan: &Plan,
    wreck: &mut Wreck,
    from: u32,
    migration: &dyn Migration,
) -> Result<(), Stop> {
    let store = Store::peek(dir)?;
    let convert = Converter::new(migration, from);
    for planned in plan.instances.iter().filter(|planned| planned.told.source == Source::Kept) {
        copy(&store, planned, wreck, convert)?;
    }
    for (at, catalog) in plan.catalogs.iter().enumerate() {
        unpack(&store, plan, at, catalog, migration)?;
    }
    plan.latches.iter().try_for_each(|(name, value)| store.build_latch(name, value))?;
    store.build_end(plan.epoch)?;
    store.close()?;
    Ok(check(dir, plan)?)
}

/// One instance from the damaged store.
fn copy(store: &Store, planned: &Planned, wreck: &mut Wreck, convert: Converter<'_>) -> Result<(), Stop> {
    let instance = planned.told.instance;
    let unreadable = Stop::Unreadable(instance);
    for id in planned.snapshots.iter().copied() {
        let read = wreck.ask(|from| from.snapshot(&instance, id).ok()).flatten();
        let Some(snapshot) = read else { return Err(unreadable) };
        store.build_snapshot(&instance, id, &convert.snapshot(&instance, id, snapshot.bytes)?)?;
    }
    let mut writer = FactWriter::new(store);
    let mut next = None;
    loop {
        let read = wreck.ask(|from| from.facts(&instance, next, FACTS_AT_ONCE).ok()).flatten();
        let Some(facts) = read else { return Err(unreadable) };
        let Some(last) = facts.last().map(StoredFact::id) else { break };
        next = Some(FactId { seq: last.seq.saturating_add(1), ..last });
        for StoredFact { epoch, seq, payload } in facts {
            let id = FactId { epoch, seq };
            let payload = convert.fact(&instance, id, payload)?;
            writer.add(instance, StoredFact { epoch, seq, payload })?;
        }
    }
    Ok(writer.flush()?)
}

/// All instances that come from one backup.
fn unpack(
    store: &Store,
    plan: &Plan,
    at: usize,
    catalog: &Catalog,
    migration: &dyn Migration,
) -> Result<(), StoreError> {
    let chosen = |planned: &&Planned| planned.catalog == Some(at);
    let wanted: Vec<InstanceKey> = plan.instances.iter().filter(chosen).map(|planned| planned.told.instance).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let convert = Converter::new(migration, catalog.info.schema);
    let mut writer = FactWriter::new(store);
    let read = backup::read(&catalog.info.path, |instance, record| {
        let Some(instance) = instance.filter(|instance| wanted.contains(instance)) else { return Ok(()) };
        match record {
            Record::Snapshot { id, bytes } => {
                store.build_snapshot(&instance, id, &convert.snapshot(&instance, id, bytes)?)
            }
            Record::Fact { id, payload } => {
                let payload = convert.fact(&instance, id, payload)?;
                writer.add(instance, StoredFact { epoch: id.epoch, seq: id.seq, payload })
            }
            Record::Header { .. } | Record::Instance(_) | Record::Latch { .. } | Record::End(_) => Ok(()),
        }
    });
    match read {
        Ok(_) => writer.flush(),
        Err(ReadError::Visitor(error)) => Err(error),
        Err(ReadError::Backup(error)) => Err(StoreError::Backup(Box::<BackupError>::new(error))),
    }
}

/// Gathers facts of one instance after the other.
struct FactWriter<'a> {
    store: &'a Store,
    instance: Option<InstanceKey>,
    facts: Vec<StoredFact>,
}

impl<'a> FactWriter<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, instance: None, facts: Vec::new() }
    }

    fn add(&mut self, instance: InstanceKey, fact: StoredFact) -> Result<(), StoreError> {
        if self.instance != Some(instance) {
            self.flush()?;
            self.instance = Some(instance);
            // The first of a sequence that was pruned.
            if fact.seq > 1 {
                self.store.build_floor(&instance, fact.seq)?;
            }
        }
        self.facts.push(fact);
        if self.facts.len() < FACTS_AT_ONCE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let Some(instance) = self.instance else { return Ok(()) };
        self.store.build_facts(&instance, std::mem::take(&mut self.facts))
    }
}

/// Opens what was built and compares it with the plan.
fn check(dir: &Path, plan: &Plan) -> Result<(), StoreError> {
    let found = plan.instances.iter().filter(|planned| planned.told.source != Source::Lost);
    let mark = |planned: &Planned| Mark { last: planned.told.reached, ..Mark::default() };
    let instances: BTreeMap<InstanceKey, Mark> = found.map(|of| (of.told.instance, mark(of))).collect();
    let known = Known { epoch: Some(plan.epoch), instances, ..Known::default() };
    let store = Store::peek(dir)?;
    let report = verify::run(&store, &known, None, Scope::Everything);
    let latches = store.latches()?;
    store.close()?;
    let problem = match report.problems().next() {
        Some(problem) => problem,
        None if latches != plan.latches => "its latches are not those that were written".to_string(),
        None => return Ok(()),
    };
    Err(StoreError::BadCopy { dir: dir.to_path_buf(), problem })
}
