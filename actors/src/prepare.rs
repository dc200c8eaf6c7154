//! What an instance needs before its actors can start: its feed, its place in the journal, its state as it was.
//!
//! Blocking: runs on a thread where that is allowed. Promises: recovery is the normal start; a state is never
//! forgotten quietly: what cannot be brought back is an error that says why and what to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use supervisor_config::InstanceConfig;
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{FactRecord, InstanceState, StateError};
use supervisor_core::sim::{Diverged, Feed, Recovered, recover};
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{FactId, InstanceKey, KeyError, RecordError, RecorderHandle, Store, StoreError};

use crate::feeds::{self, FeedError};
use crate::revision::{Change, between};
use crate::saved::{Saved, SavedError};

/// Why an instance cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorder.
    #[error(transparent)]
    Recorder(#[from] RecordError),
    /// Its name as a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A stored row cannot be read or written.
    #[error("stored {what} of '{instance}' cannot be read: {source}")]
    Row {
        /// What it was.
        what: &'static str,
        /// Whose.
        instance: InstanceId,
        /// Why.
        source: postcard::Error,
    },
    /// The state belongs to other settings.
    #[error(
        "the state of '{instance}' belongs to other settings: {}; put them back, or start it anew and forget its \
         orders and position: supervisor start-instance {instance} --fresh", reasons.join("; ")
    )]
    Unfit {
        /// Whose.
        instance: InstanceId,
        /// What differs.
        reasons: Vec<String>,
    },
    /// There is a journal, and no snapshot to begin with.
    #[error(
        "'{instance}' has a journal and no snapshot that can be read{}; restore a backup, or start it anew: supervisor \
         start-instance {instance} --fresh", remarks.iter().map(|remark| format!(" ({remark})")).collect::<String>()
    )]
    NoSnapshot {
        /// Whose.
        instance: InstanceId,
        /// What is wrong with those that are there.
        remarks: Vec<String>,
    },
    /// The journal and the code do not agree.
    #[error("'{instance}' diverged: {source}; nothing was traded on it; look at it, then start it anew with --fresh")]
    Diverged {
        /// Whose.
        instance: InstanceId,
        /// Where.
        source: Diverged,
    },
    /// A stage panicked while its inputs ran again.
    #[error("'{instance}' panicked while it was recovered: {text}")]
    Panicked {
        /// Whose.
        instance: InstanceId,
        /// The panic.
        text: String,
    },
    /// The store lost its state, and no backup had it.
    #[error("the state of '{instance}' is lost: {text}; start it anew: supervisor start-instance {instance} --fresh")]
    Lost {
        /// Whose.
        instance: InstanceId,
        /// As the restore told it.
        text: String,
    },
}

impl PrepareError {
    /// Stable code of its alert.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Diverged { .. } => "state.diverged",
            Self::Unfit { .. } => "state.unfit",
            Self::NoSnapshot { .. } | Self::Lost { .. } => "state.lost",
            Self::Panicked { .. } => "recovery.panicked",
            Self::Feed(_) | Self::Store(_) | Self::Recorder(_) | Self::Key(_) | Self::State(_) | Self::Row { .. } => {
                "start.failed"
            }
        }
    }
}

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
    let before = read_life(store, instance)?;
    let prepared = match (before.filter(|_| !how.fresh), lost) {
        (None, Some(text)) if !how.fresh => return Err(is_lost(instance, &text)),
        (Some(_), Some(text)) => return Err(is_lost(instance, &text)),
        (Some(life), None) => bring_back(store, key, config, life)?,
        (None, _) => None,
    };
    let mut prepared = match prepared {
        Some(prepared) => prepared,
        None => begin(store, key, config, before, how.fresh)?,
    };
    prepared.paused = store.get_latch(&paused_latch(instance.as_str()))?.is_some();
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
    let told = facts.len();
    let recovered = rerun(instance, Arc::new(spec), feeds::build(config)?, Some(state), facts)?;
    tracing::info!(event = "state.recovered", instance = instance.as_str(), compared = told, "goes on where it was");
    let revision = match between(recovered.list.spec(), &config.spec, &feed, &feed) {
        Change::Revised(keys) => Some((Box::new(config.spec.clone()), keys)),
        Change::None | Change::Unfit(_) => None,
    };
    let (paused, is_fresh) = (false, false);
    Ok(Some(Prepared { key, feed, recovered, seq_base, life, is_fresh, paused, revision, remarks }))
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
            Ok(saved) if saved.life == life.number || saved.life == 0 => return Ok(Some((id, saved))),
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
    match catch_unwind(AssertUnwindSafe(|| recover(spec, feed, state, facts))) {
        Ok(recovered) => recovered.map_err(|source| PrepareError::Diverged { instance, source }),
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
    Ok(Some((life, Box::new(prepared.recovered.at_rest()))))
}

/// Where it is kept that an operator paused a bot: also a bot that starts afresh stays paused.
pub fn paused_latch(id: &str) -> String {
    format!("paused/{id}")
}

/// Where it is kept that the kill switch is on.
pub const KILL_LATCH: &str = "kill";

/// Where it is kept that a restore could not bring a bot back.
fn lost_latch(id: &str) -> String {
    format!("lost/{id}")
}

fn read_life(store: &Store, instance: InstanceId) -> Result<Option<Life>, PrepareError> {
    let Some(bytes) = store.get_latch(&format!("life/{instance}"))? else { return Ok(None) };
    postcard::from_bytes(&bytes).map(Some).map_err(|source| PrepareError::Row { what: "life", instance, source })
}

fn begin_life(store: &Store, instance: InstanceId, before: Option<Life>, seq_last: u64) -> Result<Life, PrepareError> {
    let number = before.map_or(1, |life| life.number + 1);
    let life = Life { number, epoch: store.epoch(), seq: seq_last + 1 };
    let bytes = postcard::to_allocvec(&life).map_err(|source| PrepareError::Row { what: "life", instance, source })?;
    store.put_latch(&format!("life/{instance}"), &bytes)?;
    Ok(life)
}
