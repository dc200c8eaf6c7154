//! The facts of every bot, read from a copy of a state directory, and what a pause has to look like in them.

use std::collections::BTreeMap;
use std::path::Path;

use supervisor_core::domain::{Purpose, Timestamp};
use supervisor_core::instance::{Control, Fact, FactRecord};
use supervisor_state::{StateDir, Store};

use super::lab::{Lab, Pace, copy_dir};
use super::outcome::Outcome;

/// All facts, by bot, from the first one on, or from the one on where a backup begins.
#[derive(Clone, Debug, Default)]
pub struct Journals(BTreeMap<String, Vec<FactRecord>>);

impl Journals {
    /// Reads them from a copy, so that the state itself stays as it was found.
    pub fn of(state: &Path) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(state, copy.path());
        let lock = StateDir::acquire(copy.path()).unwrap();
        let store = Store::open(&lock).unwrap();
        // The supervisor's own alerts are no bot's facts.
        let bots = store.instances().unwrap().into_iter().filter(|bot| !bot.to_string().starts_with('_'));
        let facts = bots.map(|bot| {
            let mut facts: Vec<FactRecord> = store
                .facts_rev(&bot)
                .unwrap()
                .map(|stored| postcard::from_bytes(&stored.unwrap().payload).unwrap())
                .collect();
            facts.reverse();
            (bot.to_string(), facts)
        });
        Self(facts.collect())
    }

    /// What a run leaves behind that nothing disturbs.
    pub fn undisturbed(lab: &Lab) -> Self {
        let name = "undisturbed";
        Outcome::of(lab, lab.start(name, Pace::Max));
        let journals = Self::of(&lab.state(name));
        lab.discard(name);
        journals
    }

    /// What is wrong with the bots in `ran`, which were told to be paused by the supervisor: up to its pause each must
    /// have done what the undisturbed one did, and after it nobody may have entered.
    pub fn wrong_pauses(&self, undisturbed: &Self, ran: &[&str]) -> Vec<String> {
        ran.iter().filter_map(|id| self.wrong_pause(undisturbed, id)).collect()
    }

    /// True when the bot did all that the undisturbed one did: it began when the disturbance was over.
    pub fn is_undisturbed(&self, undisturbed: &Self, id: &str) -> bool {
        self.0.get(id).is_some_and(|facts| deeds(facts) == deeds(&undisturbed.0[id]))
    }

    fn wrong_pause(&self, undisturbed: &Self, id: &str) -> Option<String> {
        let Some(facts) = self.0.get(id) else { return Some(format!("{id} ran and left no journal")) };
        let Some(pause) = facts.iter().position(is_pause) else { return Some(format!("{id} was not paused")) };
        let (before, after) = facts.split_at(pause);
        let (ours, mut theirs) = (deeds(before), deeds(&undisturbed.0[id]));
        if facts.first().is_none_or(|first| first.seq > 1) {
            let from = theirs.iter().position(|deed| Some(deed) == ours.first());
            theirs.drain(..from.unwrap_or(0));
        }
        if !theirs.starts_with(&ours) {
            let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
            return Some(format!("{id}: what it did before its pause differs at {at:?} of {}", ours.len()));
        }
        let entry = after.iter().find(|record| is_entry(&record.fact))?;
        Some(format!("{id} entered after its pause: {entry:?}"))
    }
}

/// Everything but commands, which a stop and a start add, too; they move the numbers of facts and inputs.
fn deeds(facts: &[FactRecord]) -> Vec<(Timestamp, &Fact)> {
    let is_deed = |record: &&FactRecord| !matches!(record.fact, Fact::Control(_));
    facts.iter().filter(is_deed).map(|record| (record.at, &record.fact)).collect()
}

fn is_pause(record: &FactRecord) -> bool {
    matches!(&record.fact, Fact::Control(audit) if audit.control == Control::Pause && audit.by == "supervisor")
}

fn is_entry(fact: &Fact) -> bool {
    matches!(fact, Fact::Approved { terms, .. } if terms.purpose == Purpose::Entry)
}
