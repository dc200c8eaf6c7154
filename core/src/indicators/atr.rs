//! The average true range. Owns a true range and its smoothing.

use serde::{Deserialize, Serialize};

use super::smoothing::Smoothed;
use super::true_range::TrueRange;

/// ATR(n): Wilder's smoothing of the true range, seeded with the simple mean of true ranges 1..n. Unit: price. First
/// value: with bar n+1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Atr {
    range: TrueRange,
    average: Smoothed,
}

impl Atr {
    /// `period` in candles; 0 counts as 1.
    pub fn new(period: usize) -> Self {
        Self { range: TrueRange::new(), average: Smoothed::wilder(period) }
    }

    /// Takes the next bar. `None` before the warm-up is over, and for a bar that is skipped.
    #[inline]
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let range = self.range.update(high, low, close)?;
        self.average.push(range)
    }

    /// The value after the last usable bar.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        self.average.value()
    }
}
