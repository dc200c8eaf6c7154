//! What an instance needs before its actors can start: its feed, its place in the journal, its last snapshot.
//!
//! Blocking: runs on a thread where that is allowed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use supervisor_config::InstanceConfig;
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{InstanceState, StateError};
use supervisor_core::sim::Feed;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{FactId, InstanceKey, KeyError, RecordError, RecorderHandle, Store, StoreError};

use crate::feeds::{self, FeedError};

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
}

/// A snapshot with the spec and the prices it was taken under.
#[derive(Serialize, Deserialize)]
struct Saved {
    spec: InstanceSpec,
    /// Origin of the feed.
    feed: String,
    state: InstanceState,
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
    pub feed: Box<dyn Feed>,
    /// The state to go on from; `None`: a fresh start.
    pub state: Option<Box<InstanceState>>,
    pub seq_base: u64,
    pub life: Life,
    /// True when an operator paused it and nobody has resumed it.
    pub paused: bool,
    /// Said to the operator when a stored state could not be used.
    pub remark: Option<String>,
}

/// Gathers it. `last` is the state the instance stopped with in this process.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(
    store: &Store,
    recorder: &RecorderHandle,
    config: &InstanceConfig,
    last: Option<Arc<InstanceState>>,
) -> Result<Prepared, PrepareError> {
    let id = config.spec.id;
    let key = InstanceKey::new(id.as_str())?;
    let feed = feeds::build(config)?;
    recorder.flush()?;
    let newest = store.last_fact_id(&key)?;
    let seq_last = newest.map_or(0, |fact| fact.seq);
    let (state, remark) = match last {
        Some(state) => (Some(Box::new(InstanceState::clone(&state))), None),
        None => stored(store, &key, config, seq_last)?,
    };
    if state.is_some() {
        tracing::info!(event = "state.resumed", instance = id.as_str(), "goes on where it stopped");
    }
    let life = match (&state, read_life(store, id)?) {
        (Some(_), Some(life)) => life,
        (_, before) => begin_life(store, id, before, seq_last)?,
    };
    let seq_base = seq_last - state.as_ref().map_or(0, |state| state.mark.facts.min(seq_last));
    let paused = store.get_latch(&paused_latch(id.as_str()))?.is_some();
    Ok(Prepared { key, feed, state, seq_base, life, paused, remark })
}

/// What an instance that is not started has: the state it stopped with in an earlier run, if it still fits.
///
/// # Errors
/// [`PrepareError`].
pub fn recall(store: &Store, config: &InstanceConfig) -> Result<Option<(Life, Box<InstanceState>)>, PrepareError> {
    let key = InstanceKey::new(config.spec.id.as_str())?;
    let seq_last = store.last_fact_id(&key)?.map_or(0, |fact| fact.seq);
    let (state, _) = stored(store, &key, config, seq_last)?;
    Ok(read_life(store, config.spec.id)?.zip(state))
}

/// Where it is kept that an operator paused a bot: also a bot that starts afresh stays paused.
pub fn paused_latch(id: &str) -> String {
    format!("paused/{id}")
}

type Stored = (Option<Box<InstanceState>>, Option<String>);

/// The newest snapshot, if it was taken at the journal's end under the same spec and feed.
fn stored(store: &Store, key: &InstanceKey, config: &InstanceConfig, seq_last: u64) -> Result<Stored, PrepareError> {
    let Some(snapshot) = store.latest_snapshot(key)? else {
        let remark = (seq_last > 0).then(|| "it was not stopped cleanly last time, so it starts afresh".to_owned());
        return Ok((None, remark));
    };
    if snapshot.id.seq != seq_last {
        return Ok((None, Some("it was not stopped cleanly last time, so it starts afresh".to_owned())));
    }
    let saved: Saved = match postcard::from_bytes(&snapshot.bytes) {
        Ok(saved) => saved,
        Err(_) => return Ok((None, Some("its snapshot is of another version, so it starts afresh".to_owned()))),
    };
    if saved.spec != config.spec || saved.feed != config.feed.origin() {
        return Ok((None, Some("its configuration changed, so it starts afresh".to_owned())));
    }
    Ok((Some(Box::new(saved.state)), None))
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

/// Stores the state an instance stopped with, after everything that was recorded before it.
///
/// # Errors
/// [`PrepareError`].
pub fn save(
    store: &Store,
    recorder: &RecorderHandle,
    config: &InstanceConfig,
    state: &InstanceState,
) -> Result<(), PrepareError> {
    let instance = config.spec.id;
    let key = InstanceKey::new(instance.as_str())?;
    recorder.flush()?;
    let seq = store.last_fact_id(&key)?.map_or(0, |fact| fact.seq);
    let saved = Saved { spec: config.spec.clone(), feed: config.feed.origin(), state: state.clone() };
    let bytes =
        postcard::to_allocvec(&saved).map_err(|source| PrepareError::Row { what: "snapshot", instance, source })?;
    store.put_snapshot(&key, store.epoch(), seq, &bytes)?;
    Ok(())
}
