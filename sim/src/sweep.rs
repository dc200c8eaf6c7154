//! Many seeds, on some threads: each world runs on one thread alone.
//!
//! Promises: which seeds are run and what each of them brings does not depend on the number of threads. Never: shares
//! anything between two worlds.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::histogram::Histogram;
use crate::world::{CRASHES_MIN, FAULTS_MIN, ORDERS_MIN, Outcome, World};

/// Which seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The first one.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Threads at work; at least one.
    pub threads: usize,
}

/// What came of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// What was exercised.
    pub histogram: Histogram,
    /// Seeds with a violation, the smallest first.
    pub broken: Vec<Outcome>,
    /// Seeds that did not hold what each must, and what they lack.
    pub poor: Vec<(u64, String)>,
}

impl Swept {
    fn add(&mut self, outcome: Outcome) {
        self.histogram.add(&outcome);
        if let Some(lack) = lack_of(&outcome) {
            self.poor.push((outcome.seed, lack));
        }
        if outcome.violation.is_some() {
            self.broken.push(outcome);
        }
    }
}

/// What a seed lacks of the least that each must hold. One that ended early with a violation lacks nothing.
#[must_use]
pub fn lack_of(outcome: &Outcome) -> Option<String> {
    let least = [("bots", 5), ("orders sent", ORDERS_MIN), ("faults", FAULTS_MIN), ("crashes", CRASHES_MIN)];
    let lacks = |(name, least): &(&str, u64)| outcome.tally.get(name) < *least;
    let found = least.iter().find(|entry| outcome.violation.is_none() && lacks(entry))?;
    Some(format!("{} {}, at least {} are asked", outcome.tally.get(found.0), found.0, found.1))
}

impl Sweep {
    /// Runs the seeds. `told` hears of each outcome and may end the sweep; seeds under way are finished.
    pub fn run(&self, prepare: impl Fn() + Sync, told: impl Fn(&Outcome) -> ControlFlow<()> + Sync) -> Swept {
        let (next, ends) = (AtomicU64::new(0), AtomicBool::new(false));
        let swept = Mutex::new(Swept::default());
        let work = || {
            prepare();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= self.count || ends.load(Ordering::Relaxed) {
                    return;
                }
                let outcome = World::new(self.first.wrapping_add(at), false).run();
                if told(&outcome).is_break() {
                    ends.store(true, Ordering::Relaxed);
                }
                if let Ok(mut swept) = swept.lock() {
                    swept.add(outcome);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.max(1) {
                scope.spawn(work);
            }
            work();
        });
        let mut swept = swept.into_inner().unwrap_or_default();
        swept.broken.sort_by_key(|outcome| outcome.seed);
        swept.poor.sort();
        swept
    }
}
