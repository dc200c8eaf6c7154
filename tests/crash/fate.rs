//! What a start on a damaged store said of each bot, and what has to be true then.
//!
//! Promises: the program's word is held against facts read before: those that were marked as durable when the process
//! ended, and those that stand in the backup. A bot that says "kept" has all of the former, one that says "backup" all
//! of the latter, and one that is lost has no backup and waits.

use super::damage::Damage;
use super::durable::Durable;
use super::run::Seen;

/// What lay there before the damage.
#[derive(Clone, Debug)]
pub struct Before {
    /// What the marks called durable.
    pub durable: Durable,
    /// What stands in the backup, if there is one.
    pub backup: Option<Durable>,
}

/// What was said of a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was restored, so there was nothing to be said.
    Untold,
    /// It kept what it had.
    Kept,
    /// It went back to a backup.
    BackedUp,
    /// Nothing was left of it.
    Lost,
}

impl Fate {
    /// Out of the lines that tell of a restore; `None` when there are such lines, and no one line is about this bot.
    pub fn of(told: &[&str], bot: &str) -> Option<Self> {
        if told.is_empty() {
            return Some(Self::Untold);
        }
        let about = format!("{bot}: ");
        let mut said = told.iter().filter_map(|line| line.strip_prefix(&about));
        let line = said.next().filter(|_| said.next().is_none())?;
        let fates = [
            ("unharmed, kept", Self::Kept),
            ("kept", Self::Kept),
            ("back to the backup of ", Self::BackedUp),
            ("lost, no backup holds it", Self::Lost),
        ];
        fates.into_iter().find(|(words, _)| line.starts_with(words)).map(|(_, fate)| fate)
    }
}

/// What is wrong with a bot of which `told` speaks after the damage, and that left `after` behind.
pub fn wrong(before: &Before, damage: &Damage, told: &[&str], bot: &Seen, after: &Durable) -> Vec<String> {
    let id = bot.id.as_str();
    let fail = |what: &str| vec![format!("{id} {what}: {bot:?}")];
    match (Fate::of(told, id), &before.backup) {
        (None, _) => fail("is not told of in one line"),
        (Some(Fate::Lost), Some(_)) => fail("is lost in spite of a backup"),
        (Some(Fate::Lost), None) if bot.ended => fail("is lost, and ran"),
        (Some(Fate::Lost), None) => Vec::new(),
        (Some(_), _) if !bot.ended => fail("waits, and was not lost"),
        (Some(Fate::BackedUp), None) => fail("went back to a backup that there never was"),
        (Some(Fate::BackedUp), Some(backup)) => after.lacks_of(backup, id),
        (Some(Fate::Untold | Fate::Kept), _) if !damage.is_blinding() => after.lacks_of(&before.durable, id),
        (Some(Fate::Untold | Fate::Kept), Some(backup)) => after.lacks_of(backup, id),
        (Some(Fate::Untold), None) if !damage.is_blank() && after.is_anew(&before.durable, id) => {
            fail("began anew without a word")
        }
        (Some(Fate::Untold | Fate::Kept), None) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_about_a_bot_tells_its_fate() {
        let told = [
            "the store was replaced: instance grid: fact 3 is damaged",
            "grid: unharmed, kept",
            "stock: back to the backup of 2025-01-01 00:00:00 UTC (b); at least 1 fact lost",
            "trend: lost, no backup holds it; it stays quarantined until started anew",
            "twice: kept",
            "twice: kept; a note",
            "odd: something else",
        ];
        let fate = |bot: &str| Fate::of(&told, bot);
        assert_eq!((fate("grid"), fate("stock")), (Some(Fate::Kept), Some(Fate::BackedUp)));
        assert_eq!((fate("trend"), fate("twice")), (Some(Fate::Lost), None));
        assert_eq!((fate("odd"), fate("absent"), Fate::of(&[], "grid")), (None, None, Some(Fate::Untold)));
    }
}
