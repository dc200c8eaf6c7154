//! What an instance needs before its actors can start: its feed, its place in the journal, its state as it was.
//!
//! Blocking: runs on a thread where that is allowed. Promises: recovery is the normal start; a state is never
//! forgotten quietly: what cannot be brought back is an error that says why and what to do.

mod error;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use supervisor_config::InstanceConfig;
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{FactRecord, InstanceState};
use supervisor_core::sim::{Feed, Recovered, recover};
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{FactId, InstanceKey, RecorderHandle, Store, StoreError};

use crate::feeds::{self};
pub use error::PrepareError;

use crate::revision::{Change, between, costs, shortage};
use crate::saved::{Saved, SavedError};

/// Where an instance's present life begins in the journal: its state was fresh there and its order numbers began at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Number of the life; part of every order id.
    pub number: u32,
    /// Epoch of its first fact.
    pub epoch: u32,
    /// Journal number of its first fact.
    pub seq: u64,
}

impl Life {
    /// Its first place in the journal.
    #[must_use]
    pub const fn origin(self) -> FactId {
        FactId { epoch: self.epoch, seq: self.seq }
    }
}

/// Everything a start needs.
pub struct Prepared {
    pub key: InstanceKey,
    pub feed: String,
    pub recovered: Recovered,
    pub seq_base: u64,
    pub life: Life,
    /// True when nothing of this life is stored yet.
    pub is_fresh: bool,
    /// True when an operator paused it and nobody has resumed it.
    pub paused: bool,
    /// True when it was quarantined and no operator has let it out.
    pub quarantined: bool,
    /// The settings to go on with, when they changed, and the keys.
    pub revision: Option<(Box<InstanceSpec>, String)>,
    /// Said to the operator.
    pub remarks: Vec<String>,
}

/// How to prepare.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Older generations are shut out of the journal.
    pub generation: u32,
    /// Forget the stored state.
    pub fresh: bool,
    /// An operator lets it out of a quarantine.
    pub release: bool,
}

/// Gathers it.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(
    store: &Store,
    recorder: &RecorderHandle,
    config: &InstanceConfig,
    how: How,
) -> Result<Prepared, PrepareError> {
    let instance = config.spec.id;
    let key = InstanceKey::new(instance.as_str())?;
    recorder.fence(key, how.generation);
    recorder.flush()?;
    let lost = store.get_latch(&lost_latch(instance.as_str()))?;
    let before = match read_life(store, instance) {
        // Who starts anew needs to know only that the number is not used again.
        Err(PrepareError::Row { .. } | PrepareError::Store(_)) if how.fresh => life_after(store, &key)?,
        before => before?,
    };
    let prepared = match (before.filter(|_| !how.fresh), lost) {
        (None, Some(text)) if !how.fresh => return Err(is_lost(instance, &text)),
        (Some(_), Some(text)) => return Err(is_lost(instance, &text)),
        (Some(life), None) => bring_back(store, key, config, life)?,
        (None, None) if !how.fresh && store.last_fact_id(&key)?.is_some() => {
            return Err(is_lost(instance, b"its journal is there, and where its life begins is not"));
        }
        (None, _) => None,
    };
    let mut prepared = match prepared {
        Some(prepared) => prepared,
        None => begin(store, key, config, before, how.fresh)?,
    };
    let quarantined = quarantined_latch(instance.as_str());
    let is_latched = store.get_latch(&quarantined)?.is_some();
    // A custodian goes on under the old settings.
    if how.release || !(is_latched || prepared.recovered.list.is_custody()) {
        afford(store, config, &prepared)?;
    }
    if how.release && is_latched {
        store.remove_latch(&quarantined)?;
    }
    prepared.quarantined = store.get_latch(&quarantined)?.is_some();
    prepared.paused = store.get_latch(&paused_latch(instance.as_str()))?.is_some();
    if !prepared.is_fresh {
        let compared = prepared.recovered.compared;
        tracing::info!(event = "state.recovered", instance = instance.as_str(), compared, "goes on where it was");
    }
    Ok(prepared)
}

fn is_lost(instance: InstanceId, text: &[u8]) -> PrepareError {
    PrepareError::Lost { instance, text: String::from_utf8_lossy(text).into_owned() }
}

/// A new life.
fn begin(
    store: &Store,
    key: InstanceKey,
    config: &InstanceConfig,
    before: Option<Life>,
    forget: bool,
) -> Result<Prepared, PrepareError> {
    let instance = config.spec.id;
    let seq_base = store.last_fact_id(&key)?.map_or(0, |fact| fact.seq);
    // A life that was begun and has recorded nothing yet is the one to go on with.
    let life = match before.filter(|life| !forget && life.seq == seq_base + 1) {
        Some(life) => life,
        None => begin_life(store, instance, before, seq_base)?,
    };
    if forget {
        store.remove_latch(&lost_latch(instance.as_str()))?;
    }
    let feed = feeds::build(config)?;
    let recovered = rerun(instance, Arc::new(config.spec.clone()), feed, None, Vec::new())?;
    let feed = config.feed.origin();
    Ok(Prepared {
        key,
        feed,
        recovered,
        seq_base,
        life,
        is_fresh: true,
        paused: false,
        quarantined: false,
        revision: None,
        remarks: Vec::new(),
    })
}

/// What the store has of the present life.
struct Stored {
    saved: Saved,
    /// Place of the snapshot.
    id: FactId,
    /// What happened after it.
    facts: Vec<FactRecord>,
    remarks: Vec<String>,
}

/// `None`: nothing of the life is stored.
fn stored(
    store: &Store,
    key: &InstanceKey,
    config: &InstanceConfig,
    life: Life,
) -> Result<Option<Stored>, PrepareError> {
    let instance = config.spec.id;
    let seq_last = store.last_fact_id(key)?.map_or(0, |fact| fact.seq);
    let mut remarks = Vec::new();
    let Some((id, saved)) = newest_snapshot(store, key, life, &mut remarks)? else {
        if seq_last + 1 < life.seq {
            remarks.push(format!("its journal ends with fact {seq_last}, its life began with fact {}", life.seq));
        }
        if seq_last >= life.seq || !remarks.is_empty() {
            return Err(PrepareError::NoSnapshot { instance, remarks });
        }
        return Ok(None);
    };
    if let Change::Unfit(reasons) = between(&saved.spec, &config.spec, &saved.feed, &config.feed.origin()) {
        return Err(PrepareError::Unfit { instance, reasons });
    }
    let facts = facts_after(store, key, instance, id)?;
    Ok(Some(Stored { saved, id, facts, remarks }))
}

/// Refuses settings that the state cannot pay for at the moment they are to count: when all that waits is worked off.
fn afford(store: &Store, config: &InstanceConfig, prepared: &Prepared) -> Result<(), PrepareError> {
    let (instance, old) = (config.spec.id, prepared.recovered.list.spec());
    if prepared.revision.is_none() || !costs(old, &config.spec) {
        return Ok(());
    }
    // A look ahead uses a recovered instance up, so it takes one of its own.
    let Some(other) = bring_back(store, prepared.key, config, prepared.life)? else { return Ok(()) };
    let state = unharmed(instance, || Ok(other.recovered.at_rest()))?;
    match shortage(old, &config.spec, state.stages.risk.gate()) {
        Some(reason) => Err(PrepareError::Unfit { instance, reasons: vec![reason] }),
        None => Ok(()),
    }
}

/// The present life as it was; `None`: nothing of it is stored.
fn bring_back(
    store: &Store,
    key: InstanceKey,
    config: &InstanceConfig,
    life: Life,
) -> Result<Option<Prepared>, PrepareError> {
    let instance = config.spec.id;
    let Some(Stored { saved, id, facts, remarks }) = stored(store, &key, config, life)? else { return Ok(None) };
    let Saved { spec, feed, state, .. } = saved;
    let seq_base = id.seq - state.mark.facts.min(id.seq);
    let recovered = rerun(instance, Arc::new(spec), feeds::build(config)?, Some(state), facts)?;
    let revision = match between(recovered.list.spec(), &config.spec, &feed, &feed) {
        Change::Revised(keys) => Some((Box::new(config.spec.clone()), keys)),
        Change::None | Change::Unfit(_) => None,
    };
    let (is_fresh, paused, quarantined) = (false, false, false);
    Ok(Some(Prepared { key, feed, recovered, seq_base, life, is_fresh, paused, quarantined, revision, remarks }))
}

/// The newest snapshot of the life that is whole; what is wrong with newer ones becomes a remark.
fn newest_snapshot(
    store: &Store,
    key: &InstanceKey,
    life: Life,
    remarks: &mut Vec<String>,
) -> Result<Option<(FactId, Saved)>, PrepareError> {
    for id in store.snapshot_ids(key)?.into_iter().rev() {
        let bytes = match store.snapshot(key, id) {
            Ok(snapshot) => snapshot.bytes,
            Err(error @ StoreError::DamagedSnapshot { .. }) => {
                remarks.push(error.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match Saved::decode(&bytes) {
            Ok(saved) if saved.life == life.number => return Ok(Some((id, saved))),
            // Its life is not noted in it, but its facts are counted from where that began.
            Ok(saved) if saved.life == 0 && id.seq + 1 == life.seq + saved.state.mark.facts => {
                return Ok(Some((id, saved)));
            }
            // Those of an earlier life are none of this one.
            Ok(_) => return Ok(None),
            Err(error @ SavedError::Version { .. }) => remarks.push(format!("snapshot {id}: {error}")),
            Err(error) => remarks.push(format!("snapshot {id} is damaged: {error}")),
        }
    }
    Ok(None)
}

fn facts_after(
    store: &Store,
    key: &InstanceKey,
    instance: InstanceId,
    id: FactId,
) -> Result<Vec<FactRecord>, PrepareError> {
    let from = FactId { epoch: id.epoch, seq: id.seq + 1 };
    let read = |fact: supervisor_state::StoredFact| {
        postcard::from_bytes(&fact.payload).map_err(|source| PrepareError::Row { what: "fact", instance, source })
    };
    store.facts(key, Some(from), usize::MAX)?.into_iter().map(read).collect()
}

fn rerun(
    instance: InstanceId,
    spec: Arc<InstanceSpec>,
    feed: Box<dyn Feed>,
    state: Option<InstanceState>,
    facts: Vec<FactRecord>,
) -> Result<Recovered, PrepareError> {
    let run = || recover(spec.clone(), feed, state, facts).map_err(|source| PrepareError::diverged(&spec, &source));
    unharmed(instance, run)
}

/// A panic of a stage becomes an error.
fn unharmed<T>(instance: InstanceId, work: impl FnOnce() -> Result<T, PrepareError>) -> Result<T, PrepareError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(_) => {
            let text = crate::guard::take_panic().unwrap_or_else(|| "panic without a message".to_owned());
            Err(PrepareError::Panicked { instance, text })
        }
    }
}

/// What an instance that is not started has: its state as it was, if that can be brought back.
///
/// # Errors
/// [`PrepareError`].
pub fn recall(store: &Store, config: &InstanceConfig) -> Result<Option<(Life, Box<InstanceState>)>, PrepareError> {
    let key = InstanceKey::new(config.spec.id.as_str())?;
    let Some(life) = read_life(store, config.spec.id)? else { return Ok(None) };
    // One that was stopped cleanly needs no feed to be looked at.
    match stored(store, &key, config, life)? {
        None => return Ok(None),
        Some(Stored { saved, facts, .. }) if facts.is_empty() => return Ok(Some((life, Box::new(saved.state)))),
        Some(_) => {}
    }
    let Some(prepared) = bring_back(store, key, config, life)? else { return Ok(None) };
    let state = unharmed(config.spec.id, || Ok(prepared.recovered.at_rest()))?;
    Ok(Some((life, Box::new(state))))
}

/// Where it is kept that an operator paused a bot: also a bot that starts afresh stays paused.
pub fn paused_latch(id: &str) -> String {
    format!("paused/{id}")
}

/// Where it is kept that a bot failed too often.
pub fn quarantined_latch(id: &str) -> String {
    format!("quarantined/{id}")
}

/// Where it is kept that the kill switch is on.
pub const KILL_LATCH: &str = "kill";

/// Where it is kept that a restore could not bring a bot back.
pub fn lost_latch(id: &str) -> String {
    format!("lost/{id}")
}

fn read_life(store: &Store, instance: InstanceId) -> Result<Option<Life>, PrepareError> {
    let Some(bytes) = store.get_latch(&format!("life/{instance}"))? else { return Ok(None) };
    postcard::from_bytes(&bytes).map(Some).map_err(|source| PrepareError::Row { what: "life", instance, source })
}

/// What stands for a life that cannot be read any more: its number is higher than any epoch's and any life's so far.
fn life_after(store: &Store, key: &InstanceKey) -> Result<Option<Life>, PrepareError> {
    let seq = store.last_fact_id(key)?.map_or(0, |fact| fact.seq);
    Ok(Some(Life { number: store.epoch().saturating_add(1_000), epoch: 0, seq }))
}

fn begin_life(store: &Store, instance: InstanceId, before: Option<Life>, seq_last: u64) -> Result<Life, PrepareError> {
    let number = before.map_or(1, |life| life.number + 1);
    let life = Life { number, epoch: store.epoch(), seq: seq_last + 1 };
    let bytes = postcard::to_allocvec(&life).map_err(|source| PrepareError::Row { what: "life", instance, source })?;
    store.put_latch(&format!("life/{instance}"), &bytes)?;
    Ok(life)
}
