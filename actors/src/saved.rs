//! A snapshot's bytes: the state with the settings, the prices and the life it belongs to.
//!
//! Promises: what is read back is what was written, proven by the digest inside; a layout of another version is named.
//! Also the way of stores that version 1 wrote into the present layout.

use serde::{Deserialize, Serialize};
use supervisor_core::domain::{Quotes, Timestamp};
use supervisor_core::instance::{Custody, FactRecord, InstanceState, Mark, Stages, StateError};
use supervisor_core::sim::SchedulerState;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::Migration;

/// Layout of [`Saved`].
const VERSION: u16 = 2;

/// Why a snapshot is none.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Another layout.
    #[error("its layout is version {found}, this program writes {VERSION}")]
    Version {
        /// As stored.
        found: u16,
    },
    /// Its bytes are no snapshot.
    #[error("it cannot be decoded: {0}")]
    Layout(#[from] postcard::Error),
    /// It is another state than the one that was stored.
    #[error("its digest is {found}, stored was {stored}")]
    Digest {
        /// As the state says.
        found: String,
        /// As stored.
        stored: String,
    },
    /// The state itself.
    #[error(transparent)]
    State(#[from] StateError),
}

/// See the module.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    version: u16,
    digest: String,
    /// Number of the life it belongs to; 0: not known, from a version-1 store.
    pub life: u32,
    /// Settings the state was reached under.
    pub spec: InstanceSpec,
    /// Origin of the prices.
    pub feed: String,
    /// The state.
    pub state: InstanceState,
}

impl Saved {
    /// Ready to be stored.
    ///
    /// # Errors
    /// [`SavedError::State`] when the state cannot be encoded.
    pub fn new(life: u32, spec: InstanceSpec, feed: String, state: InstanceState) -> Result<Self, SavedError> {
        let digest = state.digest(spec.id)?.to_string();
        Ok(Self { version: VERSION, digest, life, spec, feed, state })
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`SavedError::Layout`].
    pub fn encode(&self) -> Result<Vec<u8>, SavedError> {
        Ok(postcard::to_allocvec(self)?)
    }

    /// From its bytes, digest compared.
    ///
    /// # Errors
    /// [`SavedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SavedError> {
        let (found, _) = postcard::take_from_bytes::<u16>(bytes)?;
        if found != VERSION {
            return Err(SavedError::Version { found });
        }
        let saved: Self = postcard::from_bytes(bytes)?;
        let found = saved.state.digest(saved.spec.id)?.to_string();
        if found != saved.digest {
            return Err(SavedError::Digest { found, stored: saved.digest });
        }
        Ok(saved)
    }
}

/// From the layouts of older stores to the present one.
pub struct Migrate;

impl Migration for Migrate {
    fn fact(&self, from: u32, payload: &[u8]) -> Result<Vec<u8>, String> {
        match from {
            1 => fact_of_1(payload),
            _ => Err(format!("facts of schema version {from} are not known")),
        }
    }

    fn snapshot(&self, from: u32, payload: &[u8]) -> Result<Vec<u8>, String> {
        match from {
            // A store that cannot say its version is taken for the oldest.
            1 if Saved::decode(payload).is_ok() => Ok(payload.to_vec()),
            1 => snapshot_of_1(payload).map_err(|error| error.to_string()),
            _ => Err(format!("snapshots of schema version {from} are not known")),
        }
    }
}

/// Version 1 knew no place of an operator's command: the last field of such a record is missing, and is 0.
fn fact_of_1(payload: &[u8]) -> Result<Vec<u8>, String> {
    if postcard::from_bytes::<FactRecord>(payload).is_ok() {
        return Ok(payload.to_vec());
    }
    let longer = [payload, &[0]].concat();
    match postcard::from_bytes::<FactRecord>(&longer) {
        Ok(_) => Ok(longer),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Deserialize)]
struct Mark1 {
    quotes: Quotes,
    watch: bool,
    kill_told: bool,
    clock: Timestamp,
    inputs: u64,
    facts: u64,
}

#[derive(Deserialize)]
struct Saved1 {
    spec: InstanceSpec,
    feed: String,
    state: State1,
}

#[derive(Deserialize)]
struct State1 {
    mark: Mark1,
    scheduler: SchedulerState,
    stages: Stages,
}

fn snapshot_of_1(payload: &[u8]) -> Result<Vec<u8>, SavedError> {
    let Saved1 { spec, feed, state: State1 { mark, scheduler, stages } } = postcard::from_bytes(payload)?;
    let Mark1 { quotes, watch, kill_told, clock, inputs, facts } = mark;
    let mark = Mark { quotes, watch, kill_told, custody: Custody::Off, clock, inputs, steps: 0, facts };
    Saved::new(0, spec, feed, InstanceState { mark, scheduler, stages })?.encode()
}
