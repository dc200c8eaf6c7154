//! Streaming indicators in `f64`: one value per closed candle, from the state of the candle before.
//!
//! Owns the arithmetic of SMA, EMA, RSI, true range, ATR and ADX with +DI/-DI. The formulas are the textbook ones of
//! J. W. Wilder and, for the seeds, those that TA-Lib uses; every type names its own.
//!
//! Promises: constant cost per candle, no heap growth after `new`, `None` (never 0) before the warm-up is over, and
//! finite values only. A sample that is not a usable number (NaN, infinite, beyond [`MAX_INPUT`]) is skipped: `update`
//! answers `None`, the state and `value()` stay as they were. The state serialises and continues where it stopped.
//!
//! Never: money. What an indicator says returns to an amount only through the instrument's own rounding.

mod adx;
mod atr;
mod ema;
mod rsi;
mod sma;
mod smoothing;
mod true_range;

pub use adx::{Adx, AdxValue, DiValue};
pub use atr::Atr;
pub use ema::Ema;
pub use rsi::Rsi;
pub use sma::Sma;
pub use true_range::TrueRange;

/// The largest magnitude of an input. Far above any price or volume, and low enough that no sum can overflow.
pub const MAX_INPUT: f64 = 1e100;

/// The longest period in candles; a longer one is taken as this one. The configuration allows far less.
pub const MAX_PERIOD: usize = 1_000_000;

/// False for NaN too: a comparison with NaN is false.
#[inline]
fn usable(sample: f64) -> bool {
    sample.abs() <= MAX_INPUT
}

/// A period that can be divided by and allocated.
fn bounded(period: usize) -> u32 {
    period.clamp(1, MAX_PERIOD) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_of_zero_counts_as_one_and_a_huge_one_as_the_longest() {
        assert_eq!(bounded(0), 1);
        assert_eq!(bounded(14), 14);
        assert_eq!(bounded(usize::MAX), 1_000_000);
    }

    #[test]
    fn only_numbers_within_the_bound_are_usable() {
        assert!(usable(0.0) && usable(-1e100) && usable(94_098.9));
        assert!(!usable(f64::NAN) && !usable(f64::INFINITY) && !usable(f64::NEG_INFINITY) && !usable(1.1e100));
    }
}
