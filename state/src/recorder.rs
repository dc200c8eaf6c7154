//! The recorder: the one thread of the process that writes facts and makes them durable.
//!
//! Owns the queue of batches, the check that each instance's sequence is dense, and group commit: everything that is
//! queued is written at once and made durable by one sync. Promises that an append never waits, that every `done` is
//! called exactly once and in the order of the appends, only after its facts are durable or refused, and that after
//! one failed write or sync nothing is accepted any more (fail-stop: what the disk holds then is unknown). Never
//! decides what is worth recording.

mod commit;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::journal::{StateStore, StoreError};
use crate::key::InstanceKey;
use crate::meter::Meter;

/// Longest record in bytes.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a batch was not recorded.
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

/// What is called when a batch is durable (with the instance's last durable sequence number) or refused. It runs on
/// the recorder's thread: send a message and return.
pub type Done = Box<dyn FnOnce(Result<u64, RecordError>) + Send>;

/// Consecutive records of one instance.
pub struct Batch {
    /// Whose records they are.
    pub instance: InstanceKey,
    /// Number of the first record; the others count on from it.
    pub first_seq: u64,
    /// The records. None at all means: tell me when everything before is durable; `first_seq` is ignored then.
    pub records: Vec<Vec<u8>>,
    /// Who wants to know. Without it the batch is written at once, but may wait up to 200 ms for its sync.
    pub done: Option<Done>,
}

/// What the recorder has done so far.
#[derive(Debug, Clone, Default)]
pub struct RecorderStats {
    /// Batches that are queued or being written.
    pub depth: usize,
    /// Syncs that succeeded.
    pub commits: u64,
    /// Records written.
    pub records: u64,
    /// Bytes of the records written.
    pub bytes: u64,
    /// Batches answered with an error.
    pub refused: u64,
    /// Median duration of write and sync over the last 1024 commits, in nanoseconds.
    pub commit_p50_ns: u64,
    /// 99th percentile of the same.
    pub commit_p99_ns: u64,
    /// The last error that a batch was answered with.
    pub last_error: Option<RecordError>,
}

/// What the thread and the handles share.
#[derive(Default)]
struct Shared {
    depth: AtomicUsize,
    commits: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
    meter: Mutex<Meter>,
    last_error: Mutex<Option<RecordError>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch's answer, given exactly once: also when nobody takes the batch any more.
struct Answer {
    done: Option<Done>,
    open: bool,
    shared: Arc<Shared>,
}

impl Answer {
    fn is_wanted(&self) -> bool {
        self.done.is_some()
    }

    fn give(mut self, outcome: Result<u64, RecordError>) {
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
                tracing::error!(target: "recorder", event = "recorder.refused", %error, "facts were not recorded");
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

struct Pending {
    instance: InstanceKey,
    first_seq: u64,
    records: Vec<Vec<u8>>,
    answer: Answer,
}

enum Command {
    Append(Pending),
    Flush(Sender<Result<(), RecordError>>),
    Stop,
}

/// The way to the recorder; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct RecorderHandle {
    queue: Sender<Command>,
    shared: Arc<Shared>,
}

impl RecorderHandle {
    /// Queues a batch and returns at once.
    pub fn append(&self, batch: Batch) {
        let Batch { instance, first_seq, records, done } = batch;
        self.shared.depth.fetch_add(1, Ordering::Relaxed);
        let answer = Answer { done, open: true, shared: Arc::clone(&self.shared) };
        // A refused send gives the batch back, and dropping it answers.
        let _ = self.queue.send(Command::Append(Pending { instance, first_seq, records, answer }));
    }

    /// Waits until everything queued before is durable. For shutdown and tests: never call it on an arbiter or in a
    /// `done`.
    pub fn flush(&self) -> Result<(), RecordError> {
        let (reply, answer) = mpsc::channel();
        self.queue.send(Command::Flush(reply)).map_err(|_| RecordError::Stopped)?;
        answer.recv().unwrap_or(Err(RecordError::Stopped))
    }

    /// Batches that are queued or being written.
    pub fn depth(&self) -> usize {
        self.shared.depth.load(Ordering::Relaxed)
    }

    /// What the recorder has done so far.
    pub fn stats(&self) -> RecorderStats {
        let meter = locked(&self.shared.meter);
        RecorderStats {
            depth: self.depth(),
            commits: self.shared.commits.load(Ordering::Relaxed),
            records: self.shared.records.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            commit_p50_ns: meter.percentile(50),
            commit_p99_ns: meter.percentile(99),
            last_error: locked(&self.shared.last_error).clone(),
        }
    }
}

/// The running recorder. Dropping it stops it as [`Recorder::stop`] does, without telling how that went.
pub struct Recorder {
    handle: RecorderHandle,
    thread: Option<JoinHandle<Result<(), RecordError>>>,
}

impl Recorder {
    /// Starts the thread.
    pub fn start<S: StateStore>(store: Arc<S>) -> Result<Self, RecordError> {
        let (queue, commands) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let handle = RecorderHandle { queue, shared: Arc::clone(&shared) };
        let run = move || commit::Committer::new(store, shared).run(&commands);
        let thread = std::thread::Builder::new().name("recorder".to_string()).spawn(run);
        let thread = thread.map_err(|source| RecordError::Thread { source: Arc::new(source) })?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// A handle for whoever appends.
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// Waits until everything queued before is durable.
    pub fn flush(&self) -> Result<(), RecordError> {
        self.handle.flush()
    }

    /// Makes what was queued before durable, refuses what comes later and ends the thread.
    pub fn stop(mut self) -> Result<(), RecordError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), RecordError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let _ = self.handle.queue.send(Command::Stop);
        thread
            .join()
            .unwrap_or_else(|panic| Err(RecordError::Panicked { message: crate::disk::panic_message(panic.as_ref()) }))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(target: "recorder", event = "recorder.ended", %error, "the recorder ended with an error");
        }
    }
}

#[cfg(test)]
mod tests;
