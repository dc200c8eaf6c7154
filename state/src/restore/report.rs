//! What a restore did, for a person.
//!
//! Owns the words. Promises one line for each instance. Never decides anything.

use std::path::PathBuf;

use crate::backup::BackupInfo;
use crate::key::{FactId, InstanceKey};
use crate::stamp;

/// Where an instance's records came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the store that was replaced: nothing that it needs to go on is lost; if anything else is, a note says so.
    Kept,
    /// From a backup made at this moment, in milliseconds since 1970.
    Backup {
        /// The backup's name.
        name: String,
        /// When it was made.
        created_ms: i64,
    },
    /// Nothing was found.
    Lost,
}

/// What became of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredInstance {
    /// The instance.
    pub instance: InstanceKey,
    /// Where its records came from.
    pub source: Source,
    /// Its newest fact that is known to have been durable.
    pub known: Option<FactId>,
    /// Its newest fact now.
    pub reached: Option<FactId>,
    /// Facts that were durable and are not there any more, at least.
    pub facts_lost_at_least: u64,
    /// What else is to be said.
    pub note: Option<String>,
}

/// Where the latches came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latches {
    /// From the store that was replaced, all of them.
    Kept,
    /// Put together from what could be read and from the backup: whatever stands in one of them is set.
    Merged,
    /// From the backup that was asked for; a kill switch, pauses and stops that were set before stay set as well.
    Backup,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Where the replaced store lies now; `None` when there was none.
    pub moved_to: Option<PathBuf>,
    /// Why it was replaced.
    pub reason: String,
    /// The newest backup that was used.
    pub backup: Option<BackupInfo>,
    /// Each instance.
    pub instances: Vec<RestoredInstance>,
    /// The latches.
    pub latches: Latches,
    /// What is to be said about the latches and about backups that could not be used.
    pub notes: Vec<String>,
}

impl RestoreReport {
    /// The whole report in plain words, one line for each thing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("the store was replaced: {}", self.reason)];
        if let Some(moved_to) = &self.moved_to {
            lines.push(format!("what was there lies in {}", moved_to.display()));
        }
        lines.extend(self.instances.iter().map(RestoredInstance::line));
        lines.push(match self.latches {
            Latches::Kept => "halts, pauses and stops: unharmed, kept".to_string(),
            Latches::Merged => {
                "halts, pauses and stops: put together from what could be read and the backup; whatever \
                 is set in one of them stays set, later changes may be missing"
                    .to_string()
            }
            Latches::Backup => {
                "halts, pauses and stops: those of the backup, and whatever was set before this restore stays set"
                    .to_string()
            }
        });
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

impl RestoredInstance {
    fn line(&self) -> String {
        let Self { instance, source, facts_lost_at_least: lost, .. } = self;
        let text = match source {
            Source::Kept if self.note.is_some() => format!("{instance}: kept"),
            Source::Kept => format!("{instance}: unharmed, kept"),
            Source::Backup { name, created_ms } => {
                let made = stamp::in_words(*created_ms);
                let loss = match lost {
                    0 if self.known.is_none() => "what it lost since then cannot be counted".to_string(),
                    0 => "no durable fact is known to be lost".to_string(),
                    1 => "at least 1 fact lost".to_string(),
                    lost => format!("at least {lost} facts lost"),
                };
                format!("{instance}: back to the backup of {made} ({name}); {loss}")
            }
            Source::Lost => {
                let loss = if *lost > 0 { format!(" at least {lost} facts lost;") } else { String::new() };
                format!("{instance}: lost, no backup holds it;{loss} it stays quarantined until started anew")
            }
        };
        match &self.note {
            Some(note) => format!("{text}; {note}"),
            None => text,
        }
    }
}

/// How many facts lie between two places, at least.
pub(super) fn facts_between(reached: Option<FactId>, known: Option<FactId>) -> u64 {
    match (reached, known) {
        (_, None) => 0,
        (None, Some(known)) => known.seq,
        (Some(reached), Some(known)) if known <= reached => 0,
        // A sequence that began anew in a later epoch has lost all that it had since.
        (Some(reached), Some(known)) if known.seq <= reached.seq => known.seq,
        (Some(reached), Some(known)) => known.seq - reached.seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: u32, seq: u64) -> Option<FactId> {
        Some(FactId { epoch, seq })
    }

    #[test]
    fn losses_are_counted_from_below() {
        assert_eq!(facts_between(id(1, 100), id(3, 137)), 37);
        assert_eq!(facts_between(id(3, 137), id(3, 137)), 0);
        assert_eq!(facts_between(None, id(3, 137)), 137);
        assert_eq!(facts_between(id(1, 100), id(2, 20)), 20);
        assert_eq!(facts_between(id(1, 100), None), 0);
    }

    #[test]
    fn each_instance_has_a_line_that_says_what_it_means() {
        let of = |name: &str, source, lost, note: Option<&str>| RestoredInstance {
            instance: InstanceKey::new(name).unwrap(),
            source,
            known: None,
            reached: None,
            facts_lost_at_least: lost,
            note: note.map(str::to_string),
        };
        let backup = Source::Backup { name: "b.backup".to_string(), created_ms: 0 };
        let report = RestoreReport {
            moved_to: Some(PathBuf::from("store.damaged-x")),
            reason: "a page is damaged".to_string(),
            backup: None,
            instances: vec![
                of("grid-btc", Source::Kept, 0, Some("a snapshot was left out")),
                of("trend-eth", backup, 37, None),
                of("x", Source::Lost, 0, None),
            ],
            latches: Latches::Kept,
            notes: vec!["a note".to_string()],
        };
        let expected = [
            "the store was replaced: a page is damaged",
            "what was there lies in store.damaged-x",
            "grid-btc: kept; a snapshot was left out",
            "trend-eth: back to the backup of 1970-01-01 00:00:00 UTC (b.backup); at least 37 facts lost",
            "x: lost, no backup holds it; it stays quarantined until started anew",
            "halts, pauses and stops: unharmed, kept",
            "a note",
        ];
        assert_eq!(report.lines(), expected);
    }
}
