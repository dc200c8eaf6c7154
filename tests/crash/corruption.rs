//! Damaged store files under the real program.
//!
//! Promises: the damage comes out of a seed ([`Damage`]). Each start must end in "verified, went on" (equal in all that
//! is reported) or in "told": alerts `store.restored` that say of every bot what became of it, and each of them is held
//! against what lay there before ([`fate`]). A bot that is missing, or that differs without a word, is a silent loss.

use std::path::Path;

use supervisor_state::{FactId, backup};

use super::chance::Chance;
use super::damage::Damage;
use super::durable::Durable;
use super::fate::{self, Before};
use super::journal::Journals;
use super::lab::{Crew, Lab, Pace};
use super::outcome::{Outcome, STOPS, alerts};
use super::run::{Run, Seen, clean};

/// Two days of candles: enough for snapshots, a backup and what comes after it.
const CANDLES: usize = 2_880;
/// Starts that one prepared state serves.
const ROUNDS_PER_IMAGE: usize = 6;
/// The alerts that tell of a restored store; they are about no bot.
const TOLD: &str = "store.restored : ";
/// What they say where switches may be lost, too.
const ALL_PAUSED: &str = "every bot is paused";

/// A state directory that a process left behind, to be copied and damaged.
#[derive(Debug)]
struct Image {
    name: String,
    /// It ended by SIGTERM, so its digests differ from the undisturbed ones.
    was_stopped: bool,
    before: Before,
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
    /// Of these, with several files damaged.
    pub several: usize,
    /// Verified, went on.
    pub continued: usize,
    /// Restored, told.
    pub restored: usize,
    /// Restored with every bot paused, since pauses and stops may be lost, told.
    pub paused: usize,
    /// A bot was lost for want of a backup, told.
    pub lost: usize,
}

impl Tally {
    fn count(&mut self, damage: &Damage, verdict: Verdict) {
        self.rounds += 1;
        self.several += usize::from(damage.is_several());
        match verdict {
            Verdict::Continued => self.continued += 1,
            Verdict::Restored => self.restored += 1,
            Verdict::Paused => self.paused += 1,
            Verdict::Lost => self.lost += 1,
        }
    }
}

impl Image {
    /// Runs to some point with a kill and a backup on the way, and ends.
    fn new(lab: &Lab, at: usize, chance: &mut Chance) -> Self {
        let name = format!("image-{at}");
        let was_stopped = chance.below(2) == 0;
        let mut run = lab.start(&name, Pace::Fast);
        run.until_progress(chance.between(0.1, 0.3));
        run.kill();
        let mut run = lab.start(&name, Pace::Fast);
        run.until_progress(chance.between(0.3, 0.5));
        let backup = (at % 4 != 3).then(|| back_up(lab, &name, &run));
        run.until_progress(chance.between(0.5, 0.9));
        let ended = if was_stopped { run.terminate() } else { run.kill() };
        assert!(!was_stopped || ended.status.code() == Some(0), "{}", ended.err);
        let durable = Durable::marked(&lab.state(&name)).unwrap();
        Self { name, was_stopped, before: Before { durable, backup } }
    }
}

/// Takes a backup of a running supervisor: what stands in it, which is at least what was shown before.
fn back_up(lab: &Lab, state: &str, run: &Run) -> Durable {
    let shown: Vec<Option<FactId>> = lab.ids().iter().map(|id| newest_shown(run, id)).collect();
    let mut command = clean(lab.program());
    let said = command.args(["backup", "create", "--state-dir"]).arg(lab.state(state)).output().unwrap();
    assert!(said.status.success(), "backup create: {}", String::from_utf8_lossy(&said.stderr));
    let made = backup::list(&lab.state(state).join("backups")).unwrap().remove(0);
    let found = Durable::backed_up(&made.path);
    for (id, shown) in lab.ids().iter().zip(shown) {
        let newest = found.newest(id);
        assert!(newest.is_some() && newest >= shown, "{id}: {newest:?} is in the backup, {shown:?} was shown before");
    }
    found
}

/// The place of the newest fact of a bot that the program shows.
fn newest_shown(run: &Run, id: &str) -> Option<FactId> {
    let answer = run.ask(&format!("/api/v1/instances/{id}/facts?limit=1")).unwrap();
    let (epoch, seq) = answer["items"][0]["cursor"].as_str().and_then(|place| place.split_once('-'))?;
    Some(FactId { epoch: epoch.parse().unwrap(), seq: seq.parse().unwrap() })
}

/// A damaged copy of an image.
struct Case<'a> {
    lab: &'a Lab,
    image: &'a Image,
    damage: Damage,
    what: String,
}

impl<'a> Case<'a> {
    fn new(lab: &'a Lab, image: &'a Image, chance: &mut Chance) -> Self {
        lab.discard("damaged");
        lab.copy(&image.name, "damaged");
        let damage = Damage::new(&lab.state("damaged"), chance);
        let Image { name, was_stopped, before } = image;
        let backup = if before.backup.is_some() { "a backup" } else { "no backup" };
        let what = format!("{name}, stopped: {was_stopped}, {backup}, {:?}", damage.done);
        Self { lab, image, damage, what }
    }

    /// One start on it.
    fn start(&self, reference: &(Outcome, Journals)) -> Verdict {
        let (lab, what) = (self.lab, &self.what);
        let mut run = lab.start("damaged", Pace::Max);
        let bots = run.until_settled(lab.ids().len()).unwrap_or_else(|ended| {
            let how = if ended.is_crash() { "it crashed" } else { "it refused to start" };
            panic!("{what}: {how} ({}): {}", ended.status, ended.err)
        });
        let alerts = alerts(&run);
        let told: Vec<&str> = alerts.iter().filter_map(|line| line.strip_prefix(TOLD)).collect();
        let verdict = match (told.iter().any(|line| line.contains(ALL_PAUSED)), bots.iter().all(|bot| bot.ended)) {
            (true, _) => Verdict::Paused,
            (false, false) => Verdict::Lost,
            (false, true) if told.is_empty() => Verdict::Continued,
            (false, true) => Verdict::Restored,
        };
        let differences = match verdict {
            Verdict::Continued | Verdict::Restored | Verdict::Lost => self.differences(run, &bots, &reference.0),
            Verdict::Paused => self.wrong_pauses(run, &bots, &reference.1),
        };
        assert!(differences.is_empty(), "{what}: {verdict:?}: {differences:#?}\n{alerts:#?}");
        let after = Durable::found(&lab.state("damaged")).unwrap();
        let wrong = |bot: &Seen| fate::wrong(&self.image.before, &self.damage, &told, bot, &after);
        let wrong: Vec<String> = bots.iter().flat_map(wrong).collect();
        assert!(wrong.is_empty(), "{what}: {verdict:?}: {wrong:#?}\n{alerts:#?}");
        verdict
    }

    /// Whoever is lost cannot be compared.
    fn differences(&self, run: Run, bots: &[Seen], reference: &Outcome) -> Vec<String> {
        let but: &[&str] = if self.image.was_stopped { &STOPS } else { &[] };
        let (mut ours, mut theirs) = (Outcome::now(self.lab, run), reference.clone());
        for lost in bots.iter().filter(|bot| !bot.ended) {
            ours.bots.remove(&lost.id);
            theirs.bots.remove(&lost.id);
        }
        ours.differences(&theirs, but)
    }

    /// What was switched off may be among what was lost: nobody enters before an operator has looked.
    fn wrong_pauses(&self, run: Run, bots: &[Seen], reference: &Journals) -> Vec<String> {
        let ended = run.terminate();
        assert_eq!(ended.status.code(), Some(0), "{}: {}", self.what, ended.err);
        let ran: Vec<&str> = bots.iter().filter(|bot| bot.ended).map(|bot| bot.id.as_str()).collect();
        Journals::of(&self.lab.state("damaged")).wrong_pauses(reference, &ran)
    }
}

/// So many starts on damaged stores.
pub fn many(program: &Path, rounds: usize, seed: u64) -> Tally {
    let lab = Lab::new(program, Crew::Three, CANDLES);
    let reference = (Outcome::undisturbed(&lab, Pace::Max), Journals::undisturbed(&lab));
    let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
    while tally.rounds < rounds {
        let image = Image::new(&lab, tally.rounds / ROUNDS_PER_IMAGE, &mut chance);
        for _ in 0..ROUNDS_PER_IMAGE.min(rounds - tally.rounds) {
            let case = Case::new(&lab, &image, &mut chance);
            let verdict = case.start(&reference);
            tally.count(&case.damage, verdict);
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
        assert!(tally.continued > 0 && tally.restored + tally.paused > 0 && tally.several > 0, "{tally:?}");
    }
}
