//! Answers, and what the recorder's thread shows to its handles.
//!
//! Owns the counters, the state of the storage and the call of each `done`. Promises that each answer is given exactly
//! once, also when the recorder is gone, and that a panic in a `done` harms nobody else. Never waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Done, RecordError};
use crate::meter::Meter;

/// How it stands with the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StorageState {
    /// Everything is written and the reserve is there.
    #[default]
    Good,
    /// Everything is written, but the reserve is used up or could not be made: the next full disk may be the last.
    Low {
        /// What brought it about.
        since_what: String,
    },
    /// Nothing is written any more.
    Failed {
        /// The first failure.
        error: String,
    },
}

/// What the thread and the handles share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) depth: AtomicUsize,
    pub(super) commits: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) snapshots: AtomicU64,
    pub(super) pruned: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) meter: Mutex<Meter>,
    pub(super) last_error: Mutex<Option<RecordError>>,
    pub(super) storage: Mutex<StorageState>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch's answer, given exactly once: also when nobody takes the batch any more.
pub(super) struct Answer {
    done: Option<Done>,
    open: bool,
    shared: Arc<Shared>,
}

impl Answer {
    /// An answer that somebody waits for in the queue.
    pub(super) fn queued(done: Option<Done>, shared: &Arc<Shared>) -> Self {
        shared.depth.fetch_add(1, Ordering::Relaxed);
        Self { done, open: true, shared: Arc::clone(shared) }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.done.is_some()
    }

    pub(super) fn give(mut self, outcome: Result<u64, RecordError>) {
        self.close(outcome);
    }

    fn close(&mut self, outcome: Result<u64, RecordError>) {
        self.open = false;
        // The receiver may look at the depth: this batch is no part of it any more.
        self.shared.depth.fetch_sub(1, Ordering::Relaxed);
        let mut known = false;
        if let Err(error) = &outcome {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            let before = locked(&self.shared.last_error).replace(error.clone());
            known = before.is_some_and(|before| before.to_string() == error.to_string());
        }
        match (self.done.take(), outcome) {
            (Some(done), outcome) => {
                if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
                    let event = "recorder.panicked";
                    tracing::error!(target: "recorder", event, "the receiver of a recorder's answer panicked");
                }
            }
            (None, Err(error)) if !known => {
                tracing::error!(target: "recorder", event = "recorder.refused", %error, "a batch was not recorded");
            }
            (None, Ok(_) | Err(_)) => {}
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.open {
            self.close(Err(RecordError::Stopped));
        }
    }
}
