//! SIGTERM at any moment: a clean stop, and on from there.
//!
//! Stops and starts are recorded inputs, so digests and the numbers of later inputs differ from a run that was never
//! stopped; everything else must be equal.

use std::path::Path;

use super::chance::Chance;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, STOPS};

/// One complete run of all recordings with so many stops; its end must equal the reference but for [`STOPS`].
pub fn one_run(lab: &Lab, seed: u64, stops: usize, reference: &Outcome) {
    let mut chance = Chance::new(seed);
    let state = format!("stopped-{seed}");
    for (at, share) in chance.rising(stops, 0.0, 0.99).into_iter().enumerate() {
        let mut run = lab.start(&state, Pace::Fast);
        // Every fourth as soon as it can be asked at all, most often while its bots are being started.
        let share = if at % 4 == 3 { 0.0 } else { share };
        run.until_progress(share);
        let ended = run.terminate();
        assert_eq!(ended.status.code(), Some(0), "seed {seed}, stop {at}: {}", ended.err);
        // The report is about the bots that ran, which are none when it was stopped at once.
        assert!(ended.report()["items"].is_array(), "seed {seed}, stop {at}: {}", ended.out);
    }
    let outcome = Outcome::of(lab, lab.start(&state, Pace::Fast));
    let differences = outcome.differences(reference, &STOPS);
    assert!(differences.is_empty(), "seed {seed}: {differences:#?}\nalerts: {:#?}", outcome.alerts);
    lab.discard(&state);
}

/// The long variant: so many stops over as many complete months as that takes.
#[cfg(not(test))]
pub fn many(program: &Path, stops: usize, seed: u64) {
    let lab = Lab::new(program, Crew::Three, 50_000);
    let reference = Outcome::undisturbed(&lab, Pace::Fast);
    let mut done = 0;
    for seed in seed.. {
        if done == stops {
            break;
        }
        let now = (stops - done).min(25);
        one_run(&lab, seed, now, &reference);
        done += now;
        println!("seed {seed}: {done} stops");
    }
    println!("{done} stops: every end was the undisturbed one, but for {STOPS:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_same_however_often_it_is_stopped() {
        let lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_supervisor")), Crew::Three, 5_000);
        let reference = Outcome::undisturbed(&lab, Pace::Fast);
        one_run(&lab, 5, 20, &reference);
    }
}
