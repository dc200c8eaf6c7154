//! The check of a store in use: of its files, as they lie on the disk.
//!
//! The open database answers from its memory what it has read once, and a panic over a damaged page would end it. So a
//! copy of its files is opened instead, in a directory of its own beside the store. Owns that directory. Promises that
//! what is checked are bytes that a kill would have left at one moment (see [`mirror`]); that facts wait for it at most
//! [`Hold::LONGEST`] at a time; that the directory is gone afterwards, or at the next start if a crash leaves it there;
//! and that no refusal of the system (no room, no right) is called damage. Never writes to the store.

mod mirror;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::{Scope, VerifyReport};
use crate::journal::StoreError;
use crate::key::{InstanceKey, KeyError};
use crate::marks::Known;
use crate::recorder::{Batch, RecordError, RecorderHandle};
use crate::reserve::{Reserve, ReserveError};
use crate::store::Store;
use mirror::{Mirror, MirrorError};

/// Beside the store. Whatever begins like this is cleared up by the next start.
const COPIES: &str = "store.new.verify";
/// What the database may write into the copy while it opens it.
const SPARE_BYTES: u64 = 2 * 1024 * 1024;
/// Looks while everything goes on; a store that is written rarely needs no more.
const FREE_LOOKS: usize = 3;
const HOLDS: usize = 3;
/// The recorder knows this name from nowhere else.
const ASKER: &str = "_verify";

/// One copy at a time.
static TURN: Mutex<()> = Mutex::new(());
/// A database that panicked may write to its directory for a while: none is used twice.
static COPY: AtomicU64 = AtomicU64::new(0);

/// Why a store in use was not checked. None of these says anything about the store.
#[derive(Debug, thiserror::Error)]
pub enum UncheckedError {
    /// Somebody else has it checked.
    #[error("nothing was checked: the store is being checked already")]
    Busy,
    /// The copy does not fit.
    #[error(
        "nothing was checked: there is no room for a copy of the store's files: {0}; without a running supervisor \
        they are checked in place"
    )]
    NoRoom(#[from] ReserveError),
    /// The files could not be copied.
    #[error("nothing was checked: the store's files could not be copied: {0}")]
    Mirror(#[from] MirrorError),
    /// The files were written all the time.
    #[error("nothing was checked: the store was written faster than its files could be copied; try again later")]
    Restless,
    /// The recorder has failed.
    #[error("nothing was checked: {0}")]
    Recorder(#[from] RecordError),
    /// The system did not let the copy be opened or read.
    #[error("nothing was checked: the copy of the store's files could not be read: {problem}")]
    Refused {
        /// What the system said.
        problem: String,
    },
    /// The name under which the recorder is asked.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Store {
    /// Checks every row as it lies on the disk, beside the recorder that writes to this store. Blocks for as long as it
    /// takes to read, copy and read the store; never call it on an arbiter.
    ///
    /// # Errors
    /// [`UncheckedError`]: nothing was checked, and nothing is known.
    pub fn verify_files(&self, recorder: &RecorderHandle) -> Result<VerifyReport, UncheckedError> {
        let _turn = match TURN.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(UncheckedError::Busy),
        };
        recorder.flush()?;
        let beside = self.dir().parent().unwrap_or(self.dir());
        let copies = Copies::make(beside)?;
        let bytes = mirror::bytes(self.dir())?.saturating_add(SPARE_BYTES);
        Reserve::new(beside).spares(beside, bytes)?;
        let copy = copies.0.join(COPY.fetch_add(1, Ordering::Relaxed).to_string());
        let known = copied(self, recorder, &copy)?;
        look(&copy, self, &known)
    }
}

/// Copies the files as they were at one moment; answers what the marks said in that moment.
fn copied(store: &Store, recorder: &RecorderHandle, copy: &Path) -> Result<Known, UncheckedError> {
    let mut mirror = Mirror::new(store.dir(), copy)?;
    mirror.begin()?;
    for _ in 0..FREE_LOOKS {
        if let Some(known) = still(store, &mut mirror)? {
            return Ok(known);
        }
    }
    for _ in 0..HOLDS {
        let hold = Hold::take(recorder)?;
        while !hold.is_over() {
            if let Some(known) = still(store, &mut mirror)? {
                return Ok(known);
            }
        }
    }
    Err(UncheckedError::Restless)
}

/// One more pass. When nothing has changed since the one before, the copy is what was there between the two, and so
/// are the marks, which are raised to no more than what lies in the files.
fn still(store: &Store, mirror: &mut Mirror<'_>) -> Result<Option<Known>, UncheckedError> {
    let known = store.marked();
    Ok(mirror.pass()?.then_some(known))
}

/// Checks the copy as a start would.
fn look(copy: &Path, store: &Store, known: &Known) -> Result<VerifyReport, UncheckedError> {
    let refused = |error: StoreError| UncheckedError::Refused { problem: error.to_string() };
    let of_store = |text: String| text.replace(&copy.display().to_string(), &store.dir().display().to_string());
    let opened = match Store::peek(copy) {
        Ok(opened) => opened,
        Err(error) if is_refusal(&error) => return Err(refused(error)),
        Err(error) => return Ok(unopened(of_store(error.to_string()))),
    };
    let mut report = super::run(&opened, known, Some(store.epoch()), Scope::Everything);
    if let Some(problem) = report.problems().find(|problem| says_refusal(problem)) {
        return Err(UncheckedError::Refused { problem });
    }
    if report.is_whole() {
        opened.close().map_err(refused)?;
    }
    let instances = report.instances.iter_mut().map(|instance| &mut instance.problems);
    for problems in instances.chain([&mut report.problems, &mut report.latch_problems]) {
        problems.iter_mut().for_each(|problem| *problem = of_store(std::mem::take(problem)));
    }
    Ok(report)
}

fn unopened(problem: String) -> VerifyReport {
    let (instances, latch_problems) = (Vec::new(), Vec::new());
    VerifyReport { scope: Scope::Everything, instances, latches: 0, latch_problems, problems: vec![problem] }
}

/// EPERM, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, ESTALE, EDQUOT: a matter of the system, not of the bytes.
const SYSTEM_CODES: [i32; 10] = [1, 5, 12, 13, 23, 24, 28, 30, 116, 122];

fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Create { .. }) || error.is_storage_full() || says_refusal(&error.to_string())
}

/// Whether an error of the store, in its words, says that the system kept it from being opened or read, so that nothing
/// is known about its records. The database hands the system's answers on as text, in errors and panics of its own.
pub fn says_refusal(text: &str) -> bool {
    text.contains("could not acquire lock") || SYSTEM_CODES.iter().any(|code| says_code(text, *code))
}

/// Whether it says that the system answered with this code.
pub(crate) fn says_code(text: &str, code: i32) -> bool {
    text.contains(&format!("(os error {code})")) || text.contains(&format!("code: {code},"))
}

/// The directory of the copies, for as long as one is needed.
struct Copies(PathBuf);

impl Copies {
    /// An empty one; also what an earlier check could not remove is cleared.
    fn make(beside: &Path) -> Result<Self, MirrorError> {
        let dir = beside.join(COPIES);
        clear(&dir).and_then(|()| crate::lock::create_private(&dir)).map_err(|source| MirrorError {
            path: dir.clone(),
            during: "made",
            source,
        })?;
        Ok(Self(dir))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.0) {
            let (event, path) = ("store.copy_left", self.0.display());
            tracing::warn!(target: "store", event, %error, %path, "a copy that was checked could not be removed");
        }
    }
}

fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The recorder, kept from writing: what is recorded meanwhile waits in its queue.
struct Hold {
    since: Instant,
    /// Dropped with the hold, which lets the recorder go on.
    _release: Sender<()>,
}

impl Hold {
    /// The recorder goes on after this time whatever becomes of the copy.
    const LONGEST: Duration = Duration::from_secs(1);

    /// Returns when everything that was queued before is durable and nothing more is written.
    fn take(recorder: &RecorderHandle) -> Result<Self, UncheckedError> {
        let (answer, answered) = channel();
        let (release, released) = channel::<()>();
        let held = move |outcome: Result<u64, RecordError>| {
            let is_held = outcome.is_ok();
            if answer.send(outcome).is_ok() && is_held {
                // Nothing is ever sent: it ends with the other end, or with the time.
                let _ = released.recv_timeout(Self::LONGEST);
            }
        };
        // An empty batch is answered on the recorder's thread; no generation is above this one, so no fence counts.
        let (instance, generation) = (InstanceKey::new(ASKER)?, u32::MAX);
        recorder.append(Batch { instance, generation, first_seq: 0, records: Vec::new(), done: Some(Box::new(held)) });
        answered.recv().unwrap_or(Err(RecordError::Stopped))?;
        Ok(Self { since: Instant::now(), _release: release })
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= Self::LONGEST
    }
}

#[cfg(test)]
mod tests;
