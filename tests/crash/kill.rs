//! SIGKILL at any moment: at a random share of the recordings, with orders in flight, and while it recovers.
//!
//! Promises: what is counted was seen, not assumed. In flight: the journal of the dead process holds an approved order
//! without an answer. During recovery: a bot was seen starting and none running, and the journal holds no fact of the
//! epoch that the dead process had marked as its own. After each death, and at the end, every fact is still there that
//! was durable at the death before ([`Durable`]).

use std::path::Path;
use std::time::{Duration, Instant};

use super::autopsy::{Autopsy, epoch_mark};
use super::chance::Chance;
use super::durable::Durable;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, alerts, losses};
use super::run::Run;

/// When to kill.
#[derive(Clone, Copy, Debug)]
pub enum Shot {
    /// Once this share of the recordings is done.
    At(f64),
    /// Once an order is seen in flight, in the slow pace.
    InFlight,
    /// So long after a bot was first seen starting, unless one runs before.
    InRecovery(Duration),
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes killed.
    pub kills: usize,
    /// Of these, with orders in flight.
    pub in_flight: usize,
    /// Of these, during recovery.
    pub in_recovery: usize,
    /// Replays brought to their end in spite of it.
    pub runs: usize,
}

/// One complete run of all recordings with about `kills` kills; its end must equal the reference exactly.
pub fn one_run(lab: &Lab, seed: u64, kills: usize, reference: &Outcome, tally: &mut Tally) {
    let mut chance = Chance::new(seed);
    let state = format!("killed-{seed}");
    let mut durable = Durable::default();
    for shot in shots(&mut chance, kills) {
        let found = fire(lab, &state, shot, tally);
        durable.follow(found, 1, &format!("seed {seed}, {shot:?}"));
        println!("seed {seed}: {shot:?}: {tally:?}");
    }
    let outcome = Outcome::of(lab, lab.start(&state, Pace::Fast));
    durable.follow(Durable::found(&lab.state(&state)).unwrap(), 1, &format!("seed {seed}, end"));
    let differences = outcome.differences(reference, &[]);
    assert!(differences.is_empty(), "seed {seed}: {differences:#?}\nalerts: {:#?}", outcome.alerts);
    lab.discard(&state);
    tally.runs += 1;
}

/// Random shares in rising order; after some of them a kill in flight, after some of them one in recovery, or both.
fn shots(chance: &mut Chance, kills: usize) -> Vec<Shot> {
    let points = chance.rising(kills.div_ceil(2), 0.01, 0.99);
    let mut shots = Vec::new();
    for (at, point) in points.into_iter().enumerate() {
        shots.push(Shot::At(point));
        if at % 3 != 1 {
            shots.push(Shot::InFlight);
        }
        if at % 3 != 0 {
            shots.push(Shot::InRecovery(Duration::from_micros(chance.below(40_000))));
        }
    }
    shots.truncate(kills);
    shots
}

/// Kills one process; what was durable then.
fn fire(lab: &Lab, state: &str, shot: Shot, tally: &mut Tally) -> Durable {
    let path = lab.state(state);
    tally.kills += 1;
    match shot {
        Shot::At(share) => {
            let mut run = lab.start(state, Pace::Fast);
            run.until_progress(share);
            nothing_lost(&run);
            run.kill();
            Autopsy::of(&path).durable
        }
        Shot::InFlight => {
            let mut run = lab.start(state, Pace::Slow);
            run.until("an order is in flight", |run| run.has_order_in_flight().then_some(()));
            run.kill();
            let found = Autopsy::of(&path);
            tally.in_flight += usize::from(!found.in_flight.is_empty());
            found.durable
        }
        Shot::InRecovery(delay) => {
            let before = epoch_mark(&path);
            let mut run = lab.start(state, Pace::Fast);
            run.until("a bot starts", |run| (epoch_mark(&path) > before && is_any(run, "starting")).then_some(()));
            let was_running = watch(&run, delay);
            run.kill();
            let found = Autopsy::of(&path);
            tally.in_recovery += usize::from(!was_running && found.epoch_of_facts < epoch_mark(&path));
            found.durable
        }
    }
}

/// Looks for that long; true as soon as a bot runs.
fn watch(run: &Run, delay: Duration) -> bool {
    let since = Instant::now();
    loop {
        if is_any(run, "running") {
            return true;
        }
        if since.elapsed() >= delay {
            return false;
        }
    }
}

fn is_any(run: &Run, state: &str) -> bool {
    run.look().is_some_and(|bots| bots.iter().any(|bot| bot.state == state))
}

fn nothing_lost(run: &Run) {
    let lost = losses(&alerts(run));
    assert!(lost.is_empty(), "{lost:#?}");
}

/// The long variant: so many kills over as many complete months as that takes.
#[cfg(not(test))]
pub fn many(program: &Path, kills: usize, seed: u64) {
    let lab = Lab::new(program, Crew::Three, 50_000);
    let reference = Outcome::undisturbed(&lab, Pace::Fast);
    reference.agrees_with_backtest(&lab);
    let mut tally = Tally::default();
    for seed in seed.. {
        let left = kills - tally.kills;
        if left == 0 {
            break;
        }
        one_run(&lab, seed, left.min(25), &reference, &mut tally);
    }
    println!("{tally:?}: every end was the end of the run that was never killed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_same_however_often_it_is_killed() {
        let lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_supervisor")), Crew::Three, 50_000);
        let reference = Outcome::undisturbed(&lab, Pace::Fast);
        let mut tally = Tally::default();
        one_run(&lab, 3, 24, &reference, &mut tally);
        println!("{tally:?}");
        assert!(tally.kills >= 20 && tally.in_flight >= 5 && tally.in_recovery >= 2, "{tally:?}");
    }
}
