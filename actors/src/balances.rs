//! Venue, gate and desk side by side: does everybody count the same?
//!
//! Promises: compared at rest only, so that nothing is on its way between them; a difference keeps the moment at which
//! it was first seen until it is gone, and is told once. Never: a correction.

use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use supervisor_core::domain::{Asset, InstrumentIx, Notional, Qty, Timestamp};
use supervisor_core::sim::PaperVenue;
use supervisor_core::spec::InstanceSpec;

/// A difference of this age is told to people.
const TOLD_AFTER: Duration = Duration::from_secs(60);
/// Time between two comparisons that nobody asked for.
const EVERY: Duration = Duration::from_secs(1);

/// What an instance counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Quote units by the gate.
    pub cash: Notional,
    /// Base units of each instrument by the gate.
    pub gate: Vec<Qty>,
    /// Base units of each instrument by the desk.
    pub desk: Vec<Qty>,
}

/// One asset of which the venue holds another amount than the instance counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Of what.
    pub asset: String,
    /// By our own count.
    pub expected: Decimal,
    /// By the venue.
    pub stated: Decimal,
    /// Since when it was seen, by the instance's clock, ISO 8601.
    pub since: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asset, expected, stated, since } = self;
        write!(f, "{asset}: the venue holds {stated}, by our own count it is {expected}, since {since}")
    }
}

/// Compares; answers each asset that differs with our count and the venue's.
#[must_use]
pub fn differences(spec: &InstanceSpec, counted: &Counted, venue: &PaperVenue) -> Vec<(Asset, Decimal, Decimal)> {
    let quote = spec.instruments.first().map(|first| (first.quote, counted.cash.get(), venue.cash().get()));
    let bases = spec.instruments.iter().enumerate().map(|(at, instrument)| {
        let stated = venue.base(InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX)));
        let of = |counts: &[Qty]| counts.get(at).copied().unwrap_or_default();
        let (gate, desk) = (of(&counted.gate), of(&counted.desk));
        let ours = if gate == stated { desk } else { gate };
        (instrument.base, ours.get(), stated.get())
    });
    let all = quote.into_iter().chain(bases);
    all.filter(|(_, ours, stated)| ours != stated)
        .map(|(asset, ours, stated)| (asset, ours.normalize(), stated.normalize()))
        .collect()
}

/// The newest comparison of one instance, and since when what differs.
#[derive(Debug, Default)]
pub struct Comparison {
    /// When all counts were last the same, by the instance's clock.
    pub agreed: Option<Timestamp>,
    /// What differs.
    pub found: Vec<Difference>,
    since: Option<Instant>,
    is_told: bool,
    looked: Option<(Instant, u64)>,
}

impl Comparison {
    /// True when something has happened since the last comparison, and that is a while ago.
    #[must_use]
    pub fn is_due(&self, now: Instant, inputs: u64) -> bool {
        self.looked.is_none_or(|(at, seen)| {
            let may_differ = seen != inputs || !self.found.is_empty();
            may_differ && now.duration_since(at) >= EVERY
        })
    }

    /// Takes what a comparison found; answers what people are to be told now.
    pub fn take(
        &mut self,
        now: Instant,
        inputs: u64,
        clock: Timestamp,
        found: Vec<(Asset, Decimal, Decimal)>,
    ) -> Vec<String> {
        self.looked = Some((now, inputs));
        if found.is_empty() {
            *self = Self { agreed: Some(clock), looked: self.looked, ..Self::default() };
            return Vec::new();
        }
        let before = std::mem::take(&mut self.found);
        let since = |asset: &str| before.iter().find(|known| known.asset == asset).map(|known| known.since.clone());
        let row = |(asset, expected, stated): (Asset, Decimal, Decimal)| {
            let asset = asset.to_string();
            let since = since(&asset).unwrap_or_else(|| clock.to_string());
            Difference { asset, expected, stated, since }
        };
        self.found = found.into_iter().map(row).collect();
        let first = *self.since.get_or_insert(now);
        if self.is_told || now.duration_since(first) < TOLD_AFTER {
            return Vec::new();
        }
        self.is_told = true;
        self.found.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(expected: i64, stated: i64) -> Vec<(Asset, Decimal, Decimal)> {
        vec![("USDT".parse().unwrap(), expected.into(), stated.into())]
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_difference_keeps_its_beginning_and_is_told_once_after_a_minute() {
        let (mut comparison, start) = (Comparison::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(comparison.take(start, 1, at(1_000), found(10, 9)).is_empty());
        assert!(comparison.take(after(59), 2, at(2_000), found(12, 9)).is_empty());
        let told = comparison.take(after(60), 3, at(3_000), found(13, 9));
        let text = "USDT: the venue holds 9, by our own count it is 13, since 1970-01-01T00:00:01.000Z";
        assert_eq!(told, [text]);
        assert!(comparison.take(after(300), 4, at(4_000), found(13, 9)).is_empty(), "once");
        assert_eq!(comparison.agreed, None);
        assert!(comparison.take(after(301), 5, at(5_000), Vec::new()).is_empty());
        assert_eq!((comparison.agreed, comparison.found.len()), (Some(at(5_000)), 0));
        assert!(comparison.take(after(302), 6, at(6_000), found(1, 2)).is_empty(), "another one, from its own start");
    }

    #[test]
    fn a_comparison_is_due_once_a_second_while_something_happens() {
        let (mut comparison, start) = (Comparison::default(), Instant::now());
        assert!(comparison.is_due(start, 0));
        comparison.take(start, 5, at(0), Vec::new());
        let later = start + EVERY;
        assert!(!comparison.is_due(start, 6) && !comparison.is_due(later, 5) && comparison.is_due(later, 6));
        comparison.take(later, 6, at(0), found(1, 2));
        assert!(comparison.is_due(later + EVERY, 6), "what differs is looked at on");
    }
}
