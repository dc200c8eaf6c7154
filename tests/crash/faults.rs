//! Storage that fails at the k-th call of a reference day: EIO, a full disk, half a write, a failed sync, a kill.
//!
//! Promises: the fault strikes inside the real program, between it and the system ([`Shim`]); whether it struck is
//! read from the shim's own count. What follows may be an error, a refusal to start or nothing at all, never a crash;
//! and the next start without the fault comes to the end of a run that had none, and keeps every fact that the struck
//! one left where that can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::chance::Chance;
use super::durable::Durable;
use super::journal::Journals;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, STOPS, losses};
use super::run::{Ended, Shim};

/// Candles of a day.
const DAY: usize = 1_440;
/// Calls at which the program opens its store, more or less; a stride must not step over them.
const OPENING: u64 = 24;
/// A program that has not ended of itself by then is asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// What goes wrong, and with which calls.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    what: &'static str,
    on: &'static str,
}

const FAULTS: [Fault; 7] = [
    Fault { what: "eio", on: "write" },
    Fault { what: "eio", on: "sync" },
    Fault { what: "enospc", on: "write" },
    Fault { what: "full", on: "write" },
    Fault { what: "short", on: "write" },
    Fault { what: "kill", on: "any" },
    Fault { what: "half", on: "write" },
];

/// What the shim has counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: u64,
    writes: u64,
    syncs: u64,
    struck: u64,
}

impl Counts {
    fn of(&self, on: &str) -> u64 {
        match on {
            "write" => self.writes,
            "sync" => self.syncs,
            _ => self.all,
        }
    }
}

/// What was counted over all faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs with a fault ordered.
    pub ordered: usize,
    /// Runs in which it struck.
    pub struck: usize,
    /// Struck and still came to its end.
    pub survived: usize,
    /// Struck and ended with a message.
    pub refused: usize,
    /// Struck by a kill.
    pub killed: usize,
    /// Struck, went on without its storage, and ended when it was asked to.
    pub stopped: usize,
    /// Struck by a full disk, or while the reserve was made, as its bots were started: they are paused then.
    pub paused: usize,
}

impl Tally {
    fn count(&mut self, was_struck: bool, was_stopped: bool, ended: &Ended) {
        self.ordered += 1;
        if !was_struck {
            return;
        }
        self.struck += 1;
        match ended.status.code() {
            None => self.killed += 1,
            Some(_) if was_stopped => self.stopped += 1,
            Some(0) => self.survived += 1,
            Some(_) => self.refused += 1,
        }
    }
}

/// How a day went.
struct Day {
    ended: Ended,
    /// It had to be asked to end.
    was_stopped: bool,
    counts: Counts,
}

/// A day with a grid and a trend follower, the library that makes storage fail, and how the day ends without it.
pub struct Range {
    lab: Lab,
    preload: PathBuf,
    reference: Outcome,
    journals: Journals,
    calls: Counts,
}

impl Range {
    /// Builds the library and counts the calls of the day.
    pub fn new(program: &Path) -> Self {
        let lab = Lab::new(program, Crew::Two, DAY);
        let preload = build(&lab.state("shim.so"));
        let reference = Outcome::undisturbed(&lab, Pace::Max);
        reference.agrees_with_backtest(&lab);
        let journals = Journals::undisturbed(&lab);
        let mut range = Self { lab, preload, reference, journals, calls: Counts::default() };
        let Day { ended, was_stopped, counts: calls } = range.run(None);
        assert_eq!((ended.status.code(), was_stopped), (Some(0), false), "{}", ended.err);
        assert!(calls.writes > 50 && calls.syncs > 20 && calls.struck == 0, "{calls:?}");
        println!("a day takes {} storage calls: {} writes, {} syncs", calls.all, calls.writes, calls.syncs);
        range.calls = calls;
        range
    }

    /// A day in the state directory `struck`.
    fn run(&self, fault: Option<(Fault, u64)>) -> Day {
        let (state, counts) = (self.lab.state("struck"), self.lab.state("counts"));
        self.lab.discard("struck");
        let _ = fs::remove_file(&counts);
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let mut orders = vec![("SHIM_DIR", path(&state)), ("SHIM_COUNTS", path(&counts))];
        if let Some((fault, at)) = fault {
            let more = [("SHIM_DO", fault.what.to_owned()), ("SHIM_ON", fault.on.to_owned())];
            orders.extend(more);
            orders.push(("SHIM_AT", at.to_string()));
        }
        let shim = Shim { preload: self.preload.clone(), orders };
        let mut run = self.lab.start_until_end("struck", Pace::Max, Some(&shim));
        let (ended, was_stopped) = match run.wait_for(PATIENCE) {
            Some(ended) => (ended, false),
            None => (run.terminate(), true),
        };
        Day { ended, was_stopped, counts: read_counts(&counts) }
    }

    /// One fault at one call, and the start after it.
    pub fn strike(&self, fault: Fault, at: u64, tally: &mut Tally) {
        let what = format!("{fault:?} at call {at}");
        let Day { ended, was_stopped, counts } = self.run(Some((fault, at)));
        let was_struck = counts.struck > 0;
        let by_us = was_struck && matches!(fault.what, "kill" | "half");
        assert!(by_us || !ended.is_crash(), "{what}: {}: {}", ended.status, ended.err);
        tally.count(was_struck, was_stopped, &ended);
        if !by_us && ended.status.code() != Some(0) {
            assert!(!ended.err.trim().is_empty(), "{what}: {} without a word", ended.status);
        }
        let state = self.lab.state("struck");
        // What cannot be opened as it is has to be mended first, and told if that loses anything.
        let mut durable = Durable::found(&state).unwrap_or_default();
        let outcome = Outcome::of(&self.lab, self.lab.start("struck", Pace::Max));
        durable.follow(Durable::found(&state).unwrap(), 1, &what);
        let but: &[&str] = if was_stopped { &STOPS } else { &[] };
        if outcome.alerts.iter().any(|line| line.starts_with("storage.low")) {
            // Whoever starts without the reserve is paused until a person says otherwise: told, and nothing is lost.
            assert_eq!(losses(&outcome.alerts), Vec::<String>::new(), "{what}: {}", ended.err);
            let after = Journals::of(&state);
            // One that did not come up then was not there to be paused: it began at the next start.
            let is_later = |id: &&&str| {
                let failed = format!("start.failed {id}:");
                outcome.alerts.iter().any(|line| line.starts_with(&failed)) && after.is_undisturbed(&self.journals, id)
            };
            let there: Vec<&str> = self.lab.ids().iter().filter(|id| !is_later(id)).copied().collect();
            let wrong = after.wrong_pauses(&self.journals, &there);
            assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{}\n{:#?}", ended.err, outcome.alerts);
            tally.paused += 1;
            return;
        }
        let differences = outcome.differences(&self.reference, but);
        assert!(differences.is_empty(), "{what}: {differences:#?}\n{}\n{:#?}", ended.err, outcome.alerts);
        assert_eq!(losses(&outcome.alerts), Vec::<String>::new(), "{what}: {}", ended.err);
    }

    /// Every fault at about `each` calls, all of them when that is as many; half of the calls are of the opening.
    pub fn sweep(&self, each: u64, seed: u64) -> Tally {
        let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
        for fault in FAULTS {
            let (calls, before) = (self.calls.of(fault.on), tally.ordered);
            let places = places(calls, each, &mut chance);
            places.iter().for_each(|at| self.strike(fault, *at, &mut tally));
            let struck = tally.ordered - before;
            let which = if struck as u64 == calls { "all".to_owned() } else { format!("{places:?}") };
            println!("seed {seed}: {fault:?} at {struck} of {calls} calls: {which}");
        }
        println!("seed {seed}: {tally:?}");
        tally
    }
}

/// Which calls to strike, ascending.
fn places(calls: u64, each: u64, chance: &mut Chance) -> Vec<u64> {
    if each >= calls {
        return (1..=calls).collect();
    }
    let opening = OPENING.min(calls);
    let mut places: Vec<u64> = (0..each / 2).map(|_| 1 + chance.below(opening)).collect();
    let rest = each - each / 2;
    let stride = (calls - opening).div_ceil(rest).max(1);
    let offset = chance.below(stride);
    places.extend((0..rest).map(|at| opening + 1 + offset + at * stride).filter(|at| *at <= calls));
    places.sort_unstable();
    places.dedup();
    places
}

fn build(library: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim.c");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(library).arg(&source).arg("-ldl");
    let said = command.output().unwrap_or_else(|error| panic!("this test needs the C compiler `cc`: {error}"));
    assert!(said.status.success(), "cc {}: {}", source.display(), String::from_utf8_lossy(&said.stderr));
    library.to_path_buf()
}

fn read_counts(path: &Path) -> Counts {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("the library was not loaded: {error}"));
    let number = |at: usize| u64::from_ne_bytes(bytes[at * 8..at * 8 + 8].try_into().unwrap());
    Counts { all: number(0), writes: number(1), syncs: number(2), struck: number(3) }
}

/// The long variant: every fault at `each` calls.
#[cfg(not(test))]
pub fn many(program: &Path, each: u64, seed: u64) {
    let range = Range::new(program);
    range.sweep(each, seed);
    println!("every start after a fault came to the end of a day without one");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_the_same_whatever_its_storage_does() {
        let range = Range::new(Path::new(env!("CARGO_BIN_EXE_supervisor")));
        let tally = range.sweep(6, 7);
        assert!(tally.struck * 10 >= tally.ordered * 8, "the faults hardly struck: {tally:?}");
        assert!(tally.killed > 0 && tally.refused + tally.survived > 0, "{tally:?}");
    }
}
