//! The true range and the bar that it is measured on. Owns the previous close; never smooths.

use serde::{Deserialize, Serialize};

use super::usable;

/// Wilder's true range: the larger of high and previous close, less the smaller of low and previous close. It is the
/// largest of `high - low`, `|high - previous close|` and `|low - previous close|`. Unit: price. First value: with the
/// second bar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrueRange {
    previous: Option<f64>,
    value: Option<f64>,
}

impl TrueRange {
    /// Before the first bar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bar. `None` for the first bar, and for a bar that is skipped.
    #[inline]
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let bar = Bar::new(high, low, close)?;
        self.value = self.previous.replace(bar.close).map(|previous| bar.true_range(previous));
        self.value
    }

    /// The true range of the last usable bar.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        self.value
    }
}

/// High, low and close of one candle, with `low <= close <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bar {
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
}

impl Bar {
    /// `None` when a number is not usable. A close outside its range widens it: conversions to `f64` may put it there.
    #[inline]
    pub(super) fn new(high: f64, low: f64, close: f64) -> Option<Self> {
        let bar = Self { high: larger(high, close), low: smaller(low, close), close };
        (usable(high) && usable(low) && usable(close)).then_some(bar)
    }

    #[inline]
    pub(super) fn true_range(&self, previous_close: f64) -> f64 {
        larger(self.high, previous_close) - smaller(self.low, previous_close)
    }
}

/// `f64::max` spends instructions on NaN, which cannot come here.
#[inline]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline]
fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_from_the_previous_close() {
        let mut range = TrueRange::new();
        assert_eq!(range.update(10.0, 8.0, 9.0), None);
        assert_eq!(range.update(11.0, 8.5, 10.0), Some(2.5), "inside: high - low");
        assert_eq!(range.update(14.0, 13.0, 13.5), Some(4.0), "gap up");
        assert_eq!(range.update(10.0, 9.0, 9.5), Some(4.5), "gap down");
        assert_eq!(range.value(), Some(4.5));
    }

    #[test]
    fn a_close_outside_the_range_widens_it_and_an_unusable_bar_is_skipped() {
        let mut range = TrueRange::new();
        range.update(10.0, 8.0, 9.0);
        assert_eq!(range.update(10.0, f64::NAN, 9.0), None);
        assert_eq!(range.update(10.0, 9.0, 12.0), Some(3.0));
        assert_eq!(range.update(f64::INFINITY, 9.0, 12.0), None);
        assert_eq!(range.value(), Some(3.0));
    }
}
