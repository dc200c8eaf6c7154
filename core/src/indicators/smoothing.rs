//! The two recursive averages that the indicators are made of.
//!
//! Owns seeding and decay. Promises: finite in, finite out; the cost does not depend on the period. Never sees a
//! candle, and never judges its input: the indicators do.

use serde::{Deserialize, Serialize};

use super::bounded;

/// Under this size a decaying sum is history that no price move can be compared with.
const FADED: f64 = 1e-200;

/// An exponential average: the mean of the first `period` samples, then a step of `weight` towards each sample.
///
/// In steps towards the sample, not as a weighted sum: a flat market then keeps the average exactly where it is, and
/// two averages of different length do not cross by a rounding error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Smoothed {
    weight: f64,
    mean: f64,
    seen: u32,
    period: u32,
}

impl Smoothed {
    /// Weight 2/(n+1).
    pub(super) fn exponential(period: usize) -> Self {
        let period = bounded(period);
        Self { weight: 2.0 / (f64::from(period) + 1.0), mean: 0.0, seen: 0, period }
    }

    /// Wilder's weight 1/n.
    pub(super) fn wilder(period: usize) -> Self {
        let period = bounded(period);
        Self { weight: 1.0 / f64::from(period), mean: 0.0, seen: 0, period }
    }

    #[inline]
    pub(super) fn push(&mut self, sample: f64) -> Option<f64> {
        if self.seen >= self.period {
            self.mean += (sample - self.mean) * self.weight;
            return Some(self.mean);
        }
        self.seen += 1;
        self.mean += (sample - self.mean) / f64::from(self.seen);
        self.value()
    }

    #[inline]
    pub(super) fn value(&self) -> Option<f64> {
        (self.seen >= self.period).then_some(self.mean)
    }
}

/// The sums of upward and downward moves under Wilder's smoothing, `sum = sum - sum/n + move`.
///
/// Only their proportion is ever asked for, so they stay sums and are never divided by n.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moves {
    pub(super) up: f64,
    pub(super) down: f64,
}

impl Moves {
    pub(super) const NONE: Self = Self { up: 0.0, down: 0.0 };

    #[inline]
    pub(super) fn total(&self) -> f64 {
        self.up + self.down
    }

    /// Adds without decay: the seed is a simple sum.
    #[inline]
    pub(super) fn seed(&mut self, up: f64, down: f64) {
        self.up += up;
        self.down += down;
    }

    /// True when nothing moves and the past has faded. A further decay would lose the last digits of both sums and
    /// with them their proportion: an indicator would move although the price does not.
    #[inline]
    pub(super) fn idle(&self, up: f64, down: f64) -> bool {
        self.total() < FADED && still(up, down)
    }

    #[inline]
    pub(super) fn decay(&mut self, keep: f64, up: f64, down: f64) {
        self.up = self.up * keep + up;
        self.down = self.down * keep + down;
    }
}

/// Apart and cold, so that the faded past is asked about first: that answer is predictable, this one is not.
#[cold]
#[inline(never)]
fn still(up: f64, down: f64) -> bool {
    up == 0.0 && down == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_the_mean_and_then_each_sample_weighs_its_share() {
        let mut average = Smoothed::wilder(4);
        let seeded: Vec<_> = [1.0, 2.0, 3.0, 6.0].into_iter().map(|x| average.push(x)).collect();
        assert_eq!(seeded, [None, None, None, Some(3.0)]);
        assert_eq!(average.push(7.0), Some(4.0));
        let mut fast = Smoothed::exponential(3);
        assert_eq!([2.0, 4.0, 6.0, 8.0].map(|x| fast.push(x)), [None, None, Some(4.0), Some(6.0)]);
    }

    #[test]
    fn a_flat_series_stays_exactly_flat() {
        let mut average = Smoothed::exponential(20);
        for _ in 0..1_000 {
            average.push(0.1043);
        }
        assert_eq!(average.value(), Some(0.1043));
    }

    #[test]
    fn faded_moves_are_idle_until_something_moves() {
        let faded = Moves { up: 1e-201, down: 3e-201 };
        assert!(faded.idle(0.0, 0.0) && !faded.idle(1e-8, 0.0) && !faded.idle(0.0, 1e-8));
        assert!(!Moves { up: 1e-8, down: 0.0 }.idle(0.0, 0.0));
    }
}
