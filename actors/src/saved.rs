//! A snapshot's bytes: the state with the settings, the prices and the life it belongs to.
//!
//! Promises: what is read back is what was written, proven by the digest inside; a layout of another version is named.
//! Also the way of stores that earlier versions wrote into the present layout: version 1 by way of version 2.

#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod v3;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use supervisor_core::domain::{OrderNo, Qty};
use supervisor_core::instance::{Fact, FactRecord, InstanceState, Revision, StateError};
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{InstanceKey, Migration};

use crate::supervisor::ALERTS;

/// Layout of [`Saved`].
const VERSION: u16 = 3;

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
    /// More follows than belongs to it.
    #[error("{bytes} bytes are left over after it")]
    Left {
        /// How many.
        bytes: usize,
    },
    /// It is another state than the one that was stored.
    #[error("its digest is {found}, stored was {stored}")]
    Digest {
        /// As the state says.
        found: String,
        /// As stored.
        stored: String,
    },
    /// An older state that says less of the executions of an order than is kept of them today.
    #[error("order {} was filled for {filled} in {count} executions; only of one is it known what it was", .order.0)]
    Executions {
        /// Whose.
        order: OrderNo,
        /// How many.
        count: usize,
        /// Base units in all.
        filled: Qty,
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
    fn fact(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        // Alerts are the same in every version.
        if instance.as_str() == ALERTS {
            return Ok(payload.to_vec());
        }
        match from {
            1 => fact_of_1(payload).map_err(|error| error.to_string()),
            2 => fact_of_2(payload).map_err(|error| error.to_string()),
            _ => Err(format!("facts of schema version {from} are not known")),
        }
    }

    fn snapshot(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        if instance.as_str() == ALERTS {
            return Ok(payload.to_vec());
        }
        match from {
            // A store that cannot say its version is taken for an older one.
            1 | 2 if Saved::decode(payload).is_ok() => Ok(payload.to_vec()),
            1 if v2::Saved::decode(payload).is_err() => snapshot_of_1(payload).map_err(|error| error.to_string()),
            1 | 2 => snapshot_of_2(payload).map_err(|error| error.to_string()),
            _ => Err(format!("snapshots of schema version {from} are not known")),
        }
    }
}

/// What the bytes say, to the last of them.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SavedError> {
    match postcard::take_from_bytes(bytes)? {
        (read, []) => Ok(read),
        (_, left) => Err(SavedError::Left { bytes: left.len() }),
    }
}

/// Version 1 knew no place of an operator's command: the last field of such a record is missing, and is 0.
fn fact_of_1(payload: &[u8]) -> Result<Vec<u8>, SavedError> {
    fact_of_2(payload).or_else(|_| fact_of_2(&[payload, &[0]].concat()))
}

/// All facts of version 2 but one are what they were.
fn fact_of_2(payload: &[u8]) -> Result<Vec<u8>, SavedError> {
    let error = match whole::<FactRecord>(payload) {
        Ok(_) => return Ok(payload.to_vec()),
        Err(error) => error,
    };
    let (v2::Head { seq, at, cause, kind }, rest) = postcard::take_from_bytes(payload)?;
    if kind != v2::REVISED {
        return Err(error);
    }
    let v2::Revision { spec, keys, step } = whole(rest)?;
    let fact = Fact::Revised(Box::new(Revision { spec: spec.into(), keys, step }));
    Ok(postcard::to_allocvec(&FactRecord { seq, at, cause, fact })?)
}

fn snapshot_of_1(payload: &[u8]) -> Result<Vec<u8>, SavedError> {
    let (spec, feed, state) = whole::<v1::Saved>(payload)?.lifted();
    present(0, spec, feed, state)
}

fn snapshot_of_2(payload: &[u8]) -> Result<Vec<u8>, SavedError> {
    let v2::Saved { version: _, digest: _, life, spec, feed, state } = v2::Saved::decode(payload)?;
    present(life, spec, feed, state)
}

fn present(life: u32, spec: v2::Spec, feed: String, state: v2::State) -> Result<Vec<u8>, SavedError> {
    let state: InstanceState = whole(&postcard::to_allocvec(&v3::State::try_from(state)?)?)?;
    Saved::new(life, spec.into(), feed, state)?.encode()
}
