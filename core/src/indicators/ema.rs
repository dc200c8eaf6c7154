//! The exponential moving average. Owns one smoothed number; never looks at more than the newest sample.

use serde::{Deserialize, Serialize};

use super::smoothing::Smoothed;
use super::usable;

/// EMA(n): `ema += (close - ema) * 2/(n+1)`, seeded with the simple mean of the first n samples (TA-Lib's default).
///
/// Unit: that of the samples. First value: with sample n.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ema {
    average: Smoothed,
}

impl Ema {
    /// `period` in candles; 0 counts as 1.
    pub fn new(period: usize) -> Self {
        Self { average: Smoothed::exponential(period) }
    }

    /// Takes the next sample. `None` before the warm-up is over, and for a sample that is skipped.
    #[inline]
    pub fn update(&mut self, close: f64) -> Option<f64> {
        if usable(close) { self.average.push(close) } else { None }
    }

    /// The value after the last usable sample.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        self.average.value()
    }
}
