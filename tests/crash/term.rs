//! SIGTERM at any moment: a clean stop, and on from there.
//!
//! Stops and starts are recorded inputs, so digests and the numbers of later inputs differ from a run that was never
//! stopped; everything else must be equal, and no fact that was there after a stop may be gone after the next one. A
//! signal that comes before anybody listens ends the process at once: then nothing may be lost either.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use super::chance::Chance;
use super::durable::Durable;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, STOPS};
use super::run::Ended;

/// The number of SIGTERM.
const TERM: i32 = 15;
/// Early stops that one state directory sees.
const EARLY_PER_STATE: usize = 3;
/// The latest of them, after the start of the process.
const EARLY: Duration = Duration::from_millis(500);

/// One complete run of all recordings with so many stops; its end must equal the reference but for [`STOPS`].
pub fn one_run(lab: &Lab, seed: u64, stops: usize, reference: &Outcome) {
    let (mut chance, mut durable) = (Chance::new(seed), Durable::default());
    let state = format!("stopped-{seed}");
    for (at, share) in chance.rising(stops, 0.0, 0.99).into_iter().enumerate() {
        let what = format!("seed {seed}, stop {at}");
        let mut run = lab.start(&state, Pace::Fast);
        // Every fourth as soon as it can be asked at all, most often while its bots are being started.
        let share = if at % 4 == 3 { 0.0 } else { share };
        run.until_progress(share);
        clean_stop(&run.terminate(), &what);
        durable.follow(Durable::found(&lab.state(&state)).unwrap(), 1, &what);
    }
    on_to_the_end(lab, &state, durable, reference);
}

/// So many stops at random times from the very start of the process on, the earlier the likelier; a few for each state
/// directory, which then goes on to the end. Answers how many came before anybody listened.
pub fn early(lab: &Lab, seed: u64, stops: usize, reference: &Outcome) -> usize {
    let (mut chance, mut unheard, mut left) = (Chance::new(seed), 0, stops);
    while left > 0 {
        let (state, now) = (format!("stopped-early-{left}"), left.min(EARLY_PER_STATE));
        let mut durable = Durable::default();
        for _ in 0..now {
            let delay = EARLY.mul_f64(chance.between(0.0, 1.0).powi(3));
            let what = format!("seed {seed}, stopped after {delay:?}");
            let run = lab.start(&state, Pace::Fast);
            std::thread::park_timeout(delay);
            let ended = run.terminate();
            let was_heard = ended.status.signal() != Some(TERM);
            if was_heard {
                clean_stop(&ended, &what);
            } else {
                unheard += 1;
            }
            durable.follow(Durable::found_early(&lab.state(&state)), u32::from(was_heard), &what);
        }
        on_to_the_end(lab, &state, durable, reference);
        left -= now;
    }
    unheard
}

fn clean_stop(ended: &Ended, what: &str) {
    assert_eq!(ended.status.code(), Some(0), "{what}: {}: {}", ended.status, ended.err);
    // The report is about the bots that ran, which are none when it was stopped at once.
    assert!(ended.report()["items"].is_array(), "{what}: {}", ended.out);
}

fn on_to_the_end(lab: &Lab, state: &str, mut durable: Durable, reference: &Outcome) {
    let outcome = Outcome::of(lab, lab.start(state, Pace::Fast));
    let differences = outcome.differences(reference, &STOPS);
    assert!(differences.is_empty(), "{state}: {differences:#?}\nalerts: {:#?}", outcome.alerts);
    durable.follow(Durable::found(&lab.state(state)).unwrap(), 1, state);
    lab.discard(state);
}

/// The long variant: so many stops over as many complete months as that takes, and a quarter as many early ones.
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
    let lab = Lab::new(program, Crew::Three, 5_000);
    let (early_stops, reference) = (stops.div_ceil(4), Outcome::undisturbed(&lab, Pace::Fast));
    let unheard = early(&lab, seed, early_stops, &reference);
    println!(
        "{done} stops and {early_stops} early ones ({unheard} before anybody listened): every end was the undisturbed \
         one, but for {STOPS:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_same_however_often_it_is_stopped() {
        let lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_supervisor")), Crew::Three, 5_000);
        let reference = Outcome::undisturbed(&lab, Pace::Fast);
        one_run(&lab, 5, 20, &reference);
        let unheard = early(&lab, 5, 9, &reference);
        println!("{unheard} of 9 early stops came before anybody listened");
    }
}
