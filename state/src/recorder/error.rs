//! Why the recorder did not record something.
//!
//! Owns [`RecordError`]. Promises that a refusal names its instance and its numbers, and that a failure of the store
//! comes with the store's own words. Never decides what a failure means for the recorder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::RECORD_BYTES_MAX;
use crate::disk::panic_message;
use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey};

/// Why a batch or a snapshot was not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// A hole or a repeat; nothing of the batch was written.
    #[error("instance {instance}: the batch begins with seq {got}, expected was {expected}")]
    Sequence {
        /// Whose batch it was.
        instance: InstanceKey,
        /// The number that would have been next.
        expected: u64,
        /// The batch's first number.
        got: u64,
    },
    /// A record is too long; nothing of the batch was written.
    #[error("instance {instance}: record {seq} has {bytes} bytes, allowed are {RECORD_BYTES_MAX}")]
    TooLong {
        /// Whose record it was.
        instance: InstanceKey,
        /// Its number.
        seq: u64,
        /// Its length.
        bytes: usize,
    },
    /// A later generation of the instance has begun; nothing of what this one sends is written any more.
    #[error("instance {instance}: generation {generation} was fenced off by generation {current}; nothing is written")]
    Fenced {
        /// Whose it was.
        instance: InstanceKey,
        /// The generation that sent it.
        generation: u32,
        /// The lowest generation that may write.
        current: u32,
    },
    /// A snapshot contains a fact that the recorder has not been given.
    #[error("instance {instance}: a snapshot after fact {seq}, but the last fact is {last}; it was not written")]
    SnapshotAhead {
        /// Whose snapshot it was.
        instance: InstanceKey,
        /// The last fact that it contains.
        seq: u64,
        /// The last fact that there is, 0 if there is none.
        last: u64,
    },
    /// After a full disk the store was opened again and lacks facts that it had reported as durable.
    #[error("instance {instance}: durable facts are gone from the store: {} was there, now its last is {}",
        .expected, place(.found))]
    Lost {
        /// Whose facts they were.
        instance: InstanceKey,
        /// What has to be there.
        expected: FactId,
        /// The last fact that is there.
        found: Option<FactId>,
    },
    /// The store failed, now or before.
    #[error("the recorder has stopped accepting facts: {source}")]
    Storage {
        /// The first failure.
        source: Arc<StoreError>,
    },
    /// The store panicked, now or before.
    #[error("the recorder has stopped accepting facts: panic in the store: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The recorder has been stopped.
    #[error("the recorder is stopped")]
    Stopped,
    /// The system refused a thread.
    #[error("the recorder's thread could not be started: {source}")]
    Thread {
        /// What the system said.
        source: Arc<std::io::Error>,
    },
}

fn place(id: &Option<FactId>) -> String {
    id.map_or_else(|| "nothing".to_string(), |id| id.to_string())
}

impl RecordError {
    /// What the store said, or what else was wrong.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Storage { source } => source.to_string(),
            Self::Sequence { .. }
            | Self::TooLong { .. }
            | Self::Fenced { .. }
            | Self::SnapshotAhead { .. }
            | Self::Lost { .. }
            | Self::Panicked { .. }
            | Self::Stopped
            | Self::Thread { .. } => self.to_string(),
        }
    }

    /// Whether the store failed because the disk is full.
    pub fn is_storage_full(&self) -> bool {
        matches!(self, Self::Storage { source } if source.is_storage_full())
    }
}

/// Runs an operation of the store; its panics are errors.
pub(super) fn guarded<T>(operation: impl FnOnce() -> Result<T, StoreError>) -> Result<T, RecordError> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(result) => result.map_err(|source| RecordError::Storage { source: Arc::new(source) }),
        Err(panic) => Err(RecordError::Panicked { message: panic_message(panic.as_ref()) }),
    }
}
