//! The recorder: the one thread of the process that writes facts and makes them durable.
//!
//! Owns the queue of batches and snapshots, the check that each instance's sequence is dense and of a generation that
//! may still write, and group commit: everything that is queued is written at once and made durable by one sync.
//! Promises that an append never waits, that every `done` is called exactly once, those of appends in their order, only
//! after its facts are durable or refused; that no snapshot is durable ahead of its facts; that old facts are removed
//! to a stated bound ([`Settings::facts_kept`]); and that after one failed write or sync nothing is accepted any more
//! (fail-stop: what the disk holds then is unknown). A full disk is the one exception: the reserve is given up, the
//! store opened again, and what it lacks written once more. Never decides what is worth recording.

mod answer;
mod commit;
mod error;
mod group;
mod relief;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

pub use answer::StorageState;
use answer::{Answer, Shared, locked};
pub use error::RecordError;
use group::{Command, Pending, Work};

use crate::journal::StateStore;
use crate::key::InstanceKey;
use crate::reserve::RESERVE_BYTES;

/// Longest record in bytes.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many facts of an instance are kept unless told otherwise.
pub const FACTS_KEPT: u64 = 100_000;

/// Most rows that one step of pruning removes. A step follows each snapshot, and each commit or idle moment after it
/// until nothing is left to remove.
pub const PRUNED_AT_ONCE: usize = 4096;

/// What the recorder is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many of an instance's newest facts stay in any case. Older ones are removed once each of the two newest
    /// snapshots contains them, so that an instance never has more than this number, the facts after the older
    /// snapshot and [`PRUNED_AT_ONCE`] together, as long as it writes no more than those between two commits.
    pub facts_kept: u64,
    /// Bytes set aside for a full disk.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { facts_kept: FACTS_KEPT, reserve_bytes: RESERVE_BYTES }
    }
}

/// What is called when a batch or a snapshot is durable (with the instance's last durable sequence number) or refused.
/// It runs on the recorder's thread: send a message and return.
pub type Done = Box<dyn FnOnce(Result<u64, RecordError>) + Send>;

/// Consecutive records of one instance.
pub struct Batch {
    /// Whose records they are.
    pub instance: InstanceKey,
    /// Which life of the instance's actors wrote them, see [`RecorderHandle::fence`].
    pub generation: u32,
    /// Number of the first record; the others count on from it.
    pub first_seq: u64,
    /// The records. None at all means: tell me when everything before is durable; `first_seq` is ignored then.
    pub records: Vec<Vec<u8>>,
    /// Who wants to know. Without it the batch is written at once, but may wait up to 200 ms for its sync.
    pub done: Option<Done>,
}

/// The state of an instance after one of its facts.
pub struct SnapshotBatch {
    /// Whose state it is.
    pub instance: InstanceKey,
    /// Which life of the instance's actors took it.
    pub generation: u32,
    /// The last fact that it contains, 0 if there is none. It must have been appended before.
    pub seq: u64,
    /// The state.
    pub bytes: Vec<u8>,
    /// Who wants to know. Without it the snapshot may wait up to 200 ms for its sync.
    pub done: Option<Done>,
}

/// What the recorder has done so far.
#[derive(Debug, Clone, Default)]
pub struct RecorderStats {
    /// Batches and snapshots that are queued or being written.
    pub depth: usize,
    /// Syncs that succeeded.
    pub commits: u64,
    /// Records written.
    pub records: u64,
    /// Bytes of the records written.
    pub bytes: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Facts removed because nobody needs them any more.
    pub pruned: u64,
    /// Batches and snapshots answered with an error.
    pub refused: u64,
    /// Median duration of write and sync over the last 1024 commits, in nanoseconds.
    pub commit_p50_ns: u64,
    /// 99th percentile of the same.
    pub commit_p99_ns: u64,
    /// The last error that a batch was answered with.
    pub last_error: Option<RecordError>,
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
        let Batch { instance, generation, first_seq, records, done } = batch;
        self.send(instance, generation, Work::Records { first_seq, records }, done);
    }

    /// Queues a snapshot and returns at once. It becomes durable after the facts that were appended before it; one of
    /// the same place is replaced, and all but the two newest are removed.
    pub fn snapshot(&self, snapshot: SnapshotBatch) {
        let SnapshotBatch { instance, generation, seq, bytes, done } = snapshot;
        self.send(instance, generation, Work::Snapshot { seq, bytes }, done);
    }

    fn send(&self, instance: InstanceKey, generation: u32, work: Work, done: Option<Done>) {
        let answer = Answer::queued(done, &self.shared);
        // A refused send gives the work back, and dropping it answers.
        let _ = self.queue.send(Command::Work(Pending { instance, generation, work, answer }));
    }

    /// Refuses whatever lower generations of an instance send from now on, with [`RecordError::Fenced`]; what is
    /// queued already is still written. A fence is never lowered.
    pub fn fence(&self, instance: InstanceKey, generation: u32) {
        let _ = self.queue.send(Command::Fence { instance, generation });
    }

    /// Queues an attempt to set the reserve aside again; [`RecorderHandle::storage`] tells how it went. It also opens
    /// the store again when somebody else's write, such as a latch, has found the disk full.
    pub fn replenish(&self) {
        let _ = self.queue.send(Command::Replenish);
    }

    /// How it stands with the disk.
    pub fn storage(&self) -> StorageState {
        locked(&self.shared.storage).clone()
    }

    /// Waits until everything queued before is durable. For shutdown, tests and whoever has found the disk full with a
    /// write of his own, such as a latch: once this has succeeded the store is open again, and he repeats it, once.
    /// Never call it on an arbiter or in a `done`.
    pub fn flush(&self) -> Result<(), RecordError> {
        let (reply, answer) = mpsc::channel();
        self.queue.send(Command::Flush(reply)).map_err(|_| RecordError::Stopped)?;
        answer.recv().unwrap_or(Err(RecordError::Stopped))
    }

    /// Batches and snapshots that are queued or being written.
    pub fn depth(&self) -> usize {
        self.shared.depth.load(Ordering::Relaxed)
    }

    /// Grows with everything that is written, removed or refused. One that stands still while something is queued says
    /// that the device does not answer.
    pub fn moved(&self) -> u64 {
        let Shared { commits, records, snapshots, pruned, refused, .. } = &*self.shared;
        [commits, records, snapshots, pruned, refused].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// What the recorder has done so far.
    pub fn stats(&self) -> RecorderStats {
        let meter = locked(&self.shared.meter);
        RecorderStats {
            depth: self.depth(),
            commits: self.shared.commits.load(Ordering::Relaxed),
            records: self.shared.records.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            snapshots: self.shared.snapshots.load(Ordering::Relaxed),
            pruned: self.shared.pruned.load(Ordering::Relaxed),
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
    /// Starts the thread with the usual settings.
    pub fn start<S: StateStore>(store: Arc<S>) -> Result<Self, RecordError> {
        Self::start_with(store, Settings::default())
    }

    /// Starts the thread, which first sets the reserve aside.
    pub fn start_with<S: StateStore>(store: Arc<S>, settings: Settings) -> Result<Self, RecordError> {
        let (queue, commands) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let handle = RecorderHandle { queue, shared: Arc::clone(&shared) };
        let run = move || commit::Committer::new(store, shared, settings).run(&commands);
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
