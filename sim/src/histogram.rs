//! What a sweep has exercised, for people: counts over all seeds, and in how many seeds each was.

use std::collections::BTreeMap;
use std::fmt;

use crate::venue::Tally;
use crate::world::Outcome;

/// Counts over many seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    seeds: u64,
    length_ms: i64,
    /// Count, and in how many seeds.
    rows: BTreeMap<&'static str, (u64, u64)>,
}

impl Histogram {
    /// One more seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.length_ms += outcome.length_ms;
        self.add_tally(&outcome.tally);
    }

    fn add_tally(&mut self, tally: &Tally) {
        for (name, count) in tally.iter() {
            let row = self.rows.entry(name).or_default();
            row.0 += count;
            row.1 += 1;
        }
    }

    /// The counts of another.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.length_ms += other.length_ms;
        for (name, (count, seeds)) in &other.rows {
            let row = self.rows.entry(name).or_default();
            row.0 += count;
            row.1 += seeds;
        }
    }

    /// Seeds so far.
    #[must_use]
    pub const fn seeds(&self) -> u64 {
        self.seeds
    }

    /// How many of this, over all seeds.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.rows.get(name).map_or(0, |(count, _)| *count)
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.length_ms / 3_600_000;
        writeln!(f, "{} seeds, {hours} hours of the world", self.seeds)?;
        writeln!(f, "{:<44} {:>12} {:>10} {:>10}", "what", "count", "per seed", "in seeds")?;
        for (name, (count, seeds)) in &self.rows {
            let each = *count as f64 / self.seeds.max(1) as f64;
            writeln!(f, "{name:<44} {count:>12} {each:>10.1} {seeds:>10}")?;
        }
        Ok(())
    }
}
