//! The threads that the instances live on, and whether each still moves.
//!
//! A handler that blocks stops every actor of its arbiter. Promises: a stopped arbiter is noticed within the time
//! limit, with the instance whose handler it is stuck in; it is left alone then and a new one takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Arbiter, ArbiterHandle};

/// What an arbiter's actors leave behind while they work.
#[derive(Debug, Default)]
pub struct Beat {
    /// Pings answered.
    answered: AtomicU64,
    /// Ordinal of the instance whose handler ran last.
    busy: AtomicU32,
}

impl Beat {
    /// This instance's handler begins.
    #[inline]
    pub fn enter(&self, ordinal: u32) {
        self.busy.store(ordinal, Ordering::Relaxed);
    }
}

/// One thread.
struct Lane {
    arbiter: Arbiter,
    beat: Arc<Beat>,
    asked: u64,
    seen: u64,
    since: Instant,
}

impl Lane {
    fn new() -> Self {
        Self { arbiter: Arbiter::new(), beat: Arc::default(), asked: 0, seen: 0, since: Instant::now() }
    }
}

/// An arbiter that does not answer.
pub struct Stuck {
    /// Its place in the pool.
    pub lane: usize,
    /// Ordinal of the instance whose handler it is in.
    pub culprit: u32,
}

/// All threads.
pub struct Pool {
    lanes: Vec<Lane>,
    next: usize,
    /// Threads that were left alone; dropping the handle would not end them either.
    abandoned: Vec<Arbiter>,
}

impl Pool {
    /// So many threads, one at least.
    pub fn new(lanes: usize) -> Self {
        Self { lanes: (0..lanes.max(1)).map(|_| Lane::new()).collect(), next: 0, abandoned: Vec::new() }
    }

    /// The lane of the next instance, in turn.
    pub fn assign(&mut self) -> usize {
        self.next = (self.next + 1) % self.lanes.len();
        self.next
    }

    /// Where to start actors, and what they mark.
    pub fn lane(&self, lane: usize) -> (ArbiterHandle, Arc<Beat>) {
        let lane = &self.lanes[lane % self.lanes.len()];
        (lane.arbiter.handle(), lane.beat.clone())
    }

    /// Asks every thread for a sign of life; answers those that have owed one for longer than `limit`, each replaced
    /// by a new thread already.
    pub fn check(&mut self, now: Instant, limit: Duration) -> Vec<Stuck> {
        let mut stuck = Vec::new();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let answered = lane.beat.answered.load(Ordering::Acquire);
            if answered != lane.seen || answered == lane.asked {
                (lane.seen, lane.since) = (answered, now);
            }
            if answered == lane.asked {
                lane.asked += 1;
                let (beat, mark) = (lane.beat.clone(), lane.asked);
                // A thread that is gone does not answer, which is what counts.
                let _ = lane.arbiter.spawn(async move { beat.answered.store(mark, Ordering::Release) });
            } else if now.saturating_duration_since(lane.since) >= limit {
                stuck.push(Stuck { lane: at, culprit: lane.beat.busy.load(Ordering::Relaxed) });
                self.abandoned.push(std::mem::replace(lane, Lane::new()).arbiter);
            }
        }
        stuck
    }
}
