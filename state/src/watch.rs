//! Work on a damaged store, watched: the database can run in circles on damaged pages, where nothing stops it.
//!
//! Promises an answer: what the work answers, its panic, or that it spent a bounded processor time without reading one
//! row. Time spent waiting hardly counts, so a slow disk or a busy machine is not taken for damage. Work that is stuck
//! cannot be ended; it keeps its thread, and what it holds, until the database gives up by itself.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::disk::panic_message;

const POLL: Duration = Duration::from_millis(50);
/// The system counts processor time in hundredths of a second, on every machine that this runs on.
const TICKS_PER_SECOND: u64 = 100;
/// How many polls without a row count as stuck however little processor time was spent: two minutes. The database's
/// own threads may have died while this one waits for them.
const POLLS_MAX: u64 = 20 * 120;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It panicked.
    Panicked(String),
    /// It runs in circles.
    Stuck,
    /// The system gave no thread.
    NoThread(String),
}

/// Runs `work` in a thread of its own. `steps` is what it counts up whenever it gets on.
pub(crate) fn watched<T: Send + 'static>(
    seconds: u64,
    steps: &Arc<AtomicU64>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (place, places) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let run = move || {
        let _ = place.send(fs::read_link("/proc/thread-self").ok());
        give(&answer, work);
    };
    let spawned = std::thread::Builder::new().name("store-check".to_string()).spawn(run);
    spawned.map_err(|error| NoAnswer::NoThread(error.to_string()))?;
    let stat = places.recv().ok().flatten().map(|place: PathBuf| Path::new("/proc").join(place).join("stat"));
    wait(&answers, seconds, steps, stat.as_deref())
}

fn give<T>(answer: &Sender<Result<T, NoAnswer>>, work: impl FnOnce() -> T) {
    let done = catch_unwind(AssertUnwindSafe(work));
    // Whoever asked may have given up.
    let _ = answer.send(done.map_err(|panic| NoAnswer::Panicked(panic_message(panic.as_ref()))));
}

fn wait<T>(
    answers: &Receiver<Result<T, NoAnswer>>,
    seconds: u64,
    steps: &AtomicU64,
    stat: Option<&Path>,
) -> Result<T, NoAnswer> {
    let (mut seen, mut since, mut polls) = (steps.load(Ordering::Relaxed), ticks(stat), 0);
    loop {
        match answers.recv_timeout(POLL) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Panicked("no message".to_string())),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let (step, now) = (steps.load(Ordering::Relaxed), ticks(stat));
        if step != seen {
            (seen, since, polls) = (step, now, 0);
            continue;
        }
        polls += 1;
        let spent = now.zip(since).map(|(now, since)| now.saturating_sub(since));
        if polls > POLLS_MAX || spent.is_some_and(|spent| spent > seconds * TICKS_PER_SECOND) {
            eprintln!("STUCK");
            return Err(NoAnswer::Stuck);
        }
    }
}

/// The processor time of a thread so far. The name in the second field may hold anything but ends at the last bracket.
fn ticks(stat: Option<&Path>) -> Option<u64> {
    let text = fs::read_to_string(stat?).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_ends_is_answered() {
        assert_eq!(watched(1, &Arc::default(), || 7), Ok(7));
        let panicked = watched(1, &Arc::default(), || -> u32 { panic!("bad page") });
        assert_eq!(panicked, Err(NoAnswer::Panicked("bad page".to_string())));
    }

    #[test]
    fn circles_are_noticed_and_progress_is_not_mistaken_for_them() {
        let steps: Arc<AtomicU64> = Arc::default();
        let end = Arc::new(AtomicU64::new(0));
        let (counted, circling) = (Arc::clone(&steps), Arc::clone(&end));
        let answer = watched(0, &steps, move || {
            (0..50_000).for_each(|_| drop(counted.fetch_add(1, Ordering::Relaxed)));
            while circling.load(Ordering::Relaxed) == 0 {
                std::hint::spin_loop();
            }
        });
        assert_eq!(answer, Err(NoAnswer::Stuck));
        assert_eq!(steps.load(Ordering::Relaxed), 50_000);
        end.store(1, Ordering::Relaxed);
    }

    #[test]
    fn short_waiting_does_not_count() {
        let (release, released) = mpsc::channel::<u32>();
        let steps: Arc<AtomicU64> = Arc::default();
        let late = std::thread::spawn(move || {
            std::thread::park_timeout(POLL * 8);
            release.send(9).unwrap();
        });
        assert_eq!(watched(0, &steps, move || released.recv().unwrap()), Ok(9));
        late.join().unwrap();
    }
}
