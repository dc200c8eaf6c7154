//! Why an instance cannot be prepared, in words that say what to do.

use supervisor_core::domain::InstanceId;
use supervisor_core::instance::StateError;
use supervisor_core::sim::Diverged;
use supervisor_state::{KeyError, RecordError, StoreError};

use crate::feeds::FeedError;

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
    /// The state belongs to other settings, or cannot pay for these.
    #[error(
        "the state of '{instance}' does not fit its settings: {}; put them back, or start it anew and forget its \
         orders and position: supervisor start-instance {instance} --fresh", reasons.join("; ")
    )]
    Unfit {
        /// Whose.
        instance: InstanceId,
        /// What differs, or is missing.
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
