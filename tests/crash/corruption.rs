//! Damaged store files under the real program: bits, pages, ends and whole files.
//!
//! Promises: one file is damaged at a time, by a seed. Each start must end in "verified, went on" (equal in all that
//! is reported) or in "told": an alert `store.restored` that names every bot. A bot that is missing, or that differs
//! without a word, is a silent loss.

use std::fs;
use std::path::Path;

use super::chance::Chance;
use super::journal::Journals;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, STOPS, alerts};
use super::run::clean;

/// Two days of candles: enough for snapshots, a backup and what comes after it.
const CANDLES: usize = 2_880;
/// Starts that one prepared state serves.
const ROUNDS_PER_IMAGE: usize = 6;
/// Files of a state directory; the database the more often, as it is nearly all of it.
const FILES: [&str; 8] = ["store/db", "store/db", "store/db", "store/db", "store/db", "store/conf", "marks", "epoch"];
/// The alert that tells of a restored store.
const TOLD: &str = "store.restored";

/// A state directory that a process left behind, to be copied and damaged.
#[derive(Clone, Debug)]
struct Image {
    name: String,
    /// It ended by SIGTERM, so its digests differ from the undisturbed ones.
    was_stopped: bool,
    has_backup: bool,
}

/// How a start on a damaged store came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Equal in everything, and nothing was said to be restored.
    Continued,
    /// Equal in everything, and it was told that something was restored.
    Restored,
    /// Told that switches may be lost, too: every bot waits for a person, paused.
    Paused,
    /// Told that a bot is lost, which waits for a person.
    Lost,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Starts on a damaged store.
    pub rounds: usize,
    /// Verified, went on.
    pub continued: usize,
    /// Restored, told.
    pub restored: usize,
    /// Restored with every bot paused, since pauses and stops may be lost, told.
    pub paused: usize,
    /// A bot was lost for want of a backup, told.
    pub lost: usize,
}

impl Image {
    /// Runs to some point, takes a backup on the way, and ends.
    fn new(lab: &Lab, at: usize, chance: &mut Chance) -> Self {
        let name = format!("image-{at}");
        let was_stopped = chance.below(2) == 0;
        let mut run = lab.start(&name, Pace::Fast);
        run.until_progress(chance.between(0.1, 0.5));
        let has_backup = at % 4 != 3 && back_up(lab, &name);
        run.until_progress(chance.between(0.5, 0.9));
        let ended = if was_stopped { run.terminate() } else { run.kill() };
        assert!(!was_stopped || ended.status.code() == Some(0), "{}", ended.err);
        Self { name, was_stopped, has_backup }
    }
}

/// Takes a backup of a running supervisor.
fn back_up(lab: &Lab, state: &str) -> bool {
    let mut command = clean(lab.program());
    let said = command.args(["backup", "create", "--state-dir"]).arg(lab.state(state)).output().unwrap();
    assert!(said.status.success(), "backup create: {}", String::from_utf8_lossy(&said.stderr));
    true
}

/// Damages one file; says what was done.
fn damage(state: &Path, chance: &mut Chance) -> String {
    let there: Vec<&str> = FILES.into_iter().filter(|name| state.join(name).exists()).collect();
    let name = *chance.pick(&there);
    let path = state.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let size = bytes.len() as u64;
    let at = chance.below(size.max(1));
    let end = |length: u64| (at + length).min(size) as usize;
    let what = match chance.below(5) {
        0 => {
            let flips = 1 + chance.below(8);
            for _ in 0..flips {
                bytes[chance.below(size) as usize] ^= 1 << chance.below(8);
            }
            format!("{flips} bits flipped")
        }
        1 => {
            bytes[at as usize..end(4096)].fill_with(|| chance.bits() as u8);
            format!("a page of garbage at {at}")
        }
        2 => {
            bytes[at as usize..end(1024)].fill(0);
            format!("zeroes at {at}")
        }
        3 => {
            bytes.truncate(at as usize);
            format!("cut to {at}")
        }
        _ => {
            fs::remove_file(&path).unwrap();
            return format!("{name} ({size} bytes): removed");
        }
    };
    fs::write(&path, bytes).unwrap();
    format!("{name} ({size} bytes): {what}")
}

/// One start on a damaged copy.
fn round(lab: &Lab, image: &Image, reference: &(Outcome, Journals), chance: &mut Chance) -> Verdict {
    lab.discard("damaged");
    lab.copy(&image.name, "damaged");
    let what = format!("{image:?}: {}", damage(&lab.state("damaged"), chance));
    let mut run = lab.start("damaged", Pace::Max);
    let bots = run.until_settled(lab.ids().len()).unwrap_or_else(|ended| {
        let how = if ended.is_crash() { "it crashed" } else { "it refused to start" };
        panic!("{what}: {how} ({}): {}", ended.status, ended.err)
    });
    let alerts = alerts(&run);
    let told: Vec<&String> = alerts.iter().filter(|line| line.starts_with(TOLD)).collect();
    let names = |id: &&&str| told.iter().any(|line| line.contains(**id));
    let unnamed: Vec<&&str> = lab.ids().iter().filter(|id| !names(id)).collect();
    assert!(told.is_empty() || unnamed.is_empty(), "{what}: not a word about {unnamed:?}: {told:#?}");
    if alerts.iter().any(|line| line.contains("every bot is paused")) {
        // What was switched off may be among what was lost: nobody enters before an operator has looked.
        assert!(!told.is_empty(), "{what}: {alerts:#?}");
        let ended = run.terminate();
        assert_eq!(ended.status.code(), Some(0), "{what}: {}", ended.err);
        let ran: Vec<&str> = bots.iter().filter(|bot| bot.ended).map(|bot| bot.id.as_str()).collect();
        let wrong = Journals::of(&lab.state("damaged")).wrong_pauses(&reference.1, &ran);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{alerts:#?}");
        return Verdict::Paused;
    }
    if let Some(waiting) = bots.iter().find(|bot| !bot.ended) {
        assert!(!told.is_empty() && !image.has_backup, "{what}: {} waits: {waiting:?}: {alerts:#?}", waiting.id);
        let ended = run.terminate();
        assert_eq!(ended.status.code(), Some(0), "{what}: {}", ended.err);
        return Verdict::Lost;
    }
    let is_told = !told.is_empty();
    let outcome = Outcome::now(lab, run);
    let but: &[&str] = if image.was_stopped { &STOPS } else { &[] };
    let differences = outcome.differences(&reference.0, but);
    assert!(
        differences.is_empty(),
        "{what}: {}: {differences:#?}\n{alerts:#?}",
        if is_told { "told" } else { "silent" }
    );
    if is_told { Verdict::Restored } else { Verdict::Continued }
}

/// So many starts on damaged stores.
pub fn many(program: &Path, rounds: usize, seed: u64) -> Tally {
    let lab = Lab::new(program, Crew::Three, CANDLES);
    let reference = (Outcome::undisturbed(&lab, Pace::Max), Journals::undisturbed(&lab));
    let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
    while tally.rounds < rounds {
        let image = Image::new(&lab, tally.rounds / ROUNDS_PER_IMAGE, &mut chance);
        for _ in 0..ROUNDS_PER_IMAGE.min(rounds - tally.rounds) {
            tally.rounds += 1;
            match round(&lab, &image, &reference, &mut chance) {
                Verdict::Continued => tally.continued += 1,
                Verdict::Restored => tally.restored += 1,
                Verdict::Paused => tally.paused += 1,
                Verdict::Lost => tally.lost += 1,
            }
        }
        lab.discard(&image.name);
        println!("seed {seed}: {tally:?}");
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_or_does_no_harm() {
        let tally = many(Path::new(env!("CARGO_BIN_EXE_supervisor")), 25, 13);
        assert_eq!(tally.rounds, tally.continued + tally.restored + tally.paused + tally.lost);
        assert!(tally.continued > 0 && tally.restored + tally.paused > 0, "{tally:?}");
    }
}
