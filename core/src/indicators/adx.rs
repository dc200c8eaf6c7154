//! Wilder's directional movement: +DI, -DI and the average directional index. Owns the three smoothed sums.

use std::hint::select_unpredictable;

use serde::{Deserialize, Serialize};

use super::bounded;
use super::smoothing::Moves;
use super::true_range::{Bar, larger};

/// A smaller sum of true ranges is no range at all; the division by a larger one cannot overflow.
const NO_RANGE: f64 = 1e-290;

/// ADX with the direction it was computed from. Each in 0..=100, without unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdxValue {
    /// Strength of the trend, whichever way it goes.
    pub adx: f64,
    /// +DI: the share of the true range that went up.
    pub plus_di: f64,
    /// -DI: the share of the true range that went down.
    pub minus_di: f64,
}

/// The two directional indicators. Each in 0..=100, without unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiValue {
    /// +DI: the share of the true range that went up.
    pub plus_di: f64,
    /// -DI: the share of the true range that went down.
    pub minus_di: f64,
}

/// ADX(n) and +DI/-DI as Wilder defined them, with TA-Lib's seeds: the sums of directional movement and true range
/// begin with n-1 bars and then decay by 1/n; ADX begins with the mean of n values of DX and then moves by 1/n.
///
/// First +DI/-DI: with bar n+1. First ADX: with bar 2n. While nothing has any direction DI is 0 and ADX stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adx {
    period: u32,
    /// Bars that had a previous bar, counted up to the last one of the warm-up.
    bars: u32,
    keep: f64,
    weight: f64,
    previous: Option<Bar>,
    moves: Moves,
    range: f64,
    adx: f64,
}

impl Adx {
    /// `period` in candles; 0 counts as 1.
    pub fn new(period: usize) -> Self {
        let period = bounded(period);
        let weight = 1.0 / f64::from(period);
        let (moves, keep) = (Moves::NONE, 1.0 - weight);
        Self { period, bars: 0, keep, weight, previous: None, moves, range: 0.0, adx: 0.0 }
    }

    /// Takes the next bar. `None` before the warm-up of ADX is over, and for a bar that is skipped.
    #[inline]
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<AdxValue> {
        let bar = Bar::new(high, low, close)?;
        let previous = self.previous.replace(bar)?;
        let (up, down) = directional(&bar, &previous);
        let range = bar.true_range(previous.close);
        if self.bars < self.warm() {
            self.seed(up, down, range);
        } else {
            self.decay(up, down, range);
            self.adx += (self.dx().unwrap_or(self.adx) - self.adx) * self.weight;
        }
        self.value()
    }

    /// ADX and its direction after the last usable bar.
    #[inline]
    pub fn value(&self) -> Option<AdxValue> {
        if self.bars < self.warm() {
            return None;
        }
        self.di().map(|DiValue { plus_di, minus_di }| AdxValue { adx: self.adx, plus_di, minus_di })
    }

    /// +DI and -DI after the last usable bar. They are defined n-1 bars before ADX is.
    #[inline]
    pub fn di(&self) -> Option<DiValue> {
        if self.bars < self.period {
            return None;
        }
        let scale = if self.range > NO_RANGE { 100.0 / self.range } else { 0.0 };
        Some(DiValue { plus_di: self.moves.up * scale, minus_di: self.moves.down * scale })
    }

    /// Saturating: the state may come from a file.
    #[inline]
    fn warm(&self) -> u32 {
        self.period.saturating_mul(2).saturating_sub(1)
    }

    #[cold]
    fn seed(&mut self, up: f64, down: f64, range: f64) {
        self.bars += 1;
        if self.bars < self.period {
            self.moves.seed(up, down);
            self.range += range;
            return;
        }
        self.decay(up, down, range);
        let counted = f64::from(self.bars - self.period + 1);
        self.adx += (self.dx().unwrap_or(0.0) - self.adx) / counted;
    }

    #[inline]
    fn decay(&mut self, up: f64, down: f64, range: f64) {
        if !self.moves.idle(up, down) {
            self.moves.decay(self.keep, up, down);
        } else if range == 0.0 {
            // The range must not fade further than the moves that are measured against it.
            return;
        }
        self.range = self.range * self.keep + range;
    }

    /// Directional index: how one-sided the movement is, 0..=100. `None` while there is none.
    #[inline]
    fn dx(&self) -> Option<f64> {
        let total = self.moves.total();
        (total > 0.0).then(|| 100.0 * ((self.moves.up - self.moves.down).abs() / total))
    }
}

/// +DM and -DM of a bar: only the larger of the two moves counts, and neither when they are equal or inward.
///
/// Which one it is cannot be predicted; a branch would cost more than the whole rest of the update.
#[inline]
fn directional(bar: &Bar, previous: &Bar) -> (f64, f64) {
    let (up, down) = (bar.high - previous.high, previous.low - bar.low);
    let (plus, minus) = (larger(up, 0.0), larger(down, 0.0));
    (select_unpredictable(up > down, plus, 0.0), select_unpredictable(down > up, minus, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rising(bars: usize, period: usize) -> Adx {
        let mut adx = Adx::new(period);
        for i in 0..bars {
            let base = 100.0 + i as f64;
            adx.update(base + 1.0, base - 1.0, base);
        }
        adx
    }

    #[test]
    fn direction_is_known_before_strength() {
        assert_eq!(rising(5, 5).di(), None);
        assert!(rising(6, 5).di().is_some() && rising(9, 5).value().is_none());
        assert!(rising(10, 5).value().is_some());
    }

    #[test]
    fn a_steady_rise_is_all_plus() {
        let value = rising(40, 5).value();
        assert_eq!(value, Some(AdxValue { adx: 100.0, plus_di: 50.0, minus_di: 0.0 }));
    }

    #[test]
    fn the_larger_move_counts_and_a_tie_counts_for_neither() {
        let previous = Bar { high: 10.0, low: 8.0, close: 9.0 };
        let moves = |high, low| directional(&Bar { high, low, close: 9.0 }, &previous);
        assert_eq!(moves(12.0, 7.0), (2.0, 0.0));
        assert_eq!(moves(11.0, 6.0), (0.0, 2.0));
        assert_eq!(moves(11.0, 7.0), (0.0, 0.0));
        assert_eq!(moves(9.5, 8.5), (0.0, 0.0));
    }

    #[test]
    fn a_market_without_any_range_has_no_direction() {
        let mut adx = Adx::new(3);
        let values: Vec<_> = (0..10).map(|_| adx.update(5.0, 5.0, 5.0)).collect();
        assert_eq!(values[4], None);
        assert_eq!(values[9], Some(AdxValue { adx: 0.0, plus_di: 0.0, minus_di: 0.0 }));
    }

    #[test]
    fn standing_still_for_long_keeps_the_direction() {
        let mut adx = rising(40, 5);
        adx.update(120.0, 118.0, 119.0);
        // The first still bar moves the range; from the second on nothing does.
        adx.update(119.0, 119.0, 119.0);
        let Some(before) = adx.di() else { panic!("warm") };
        for _ in 0..50_000 {
            adx.update(119.0, 119.0, 119.0);
        }
        let Some(after) = adx.di() else { panic!("warm") };
        assert!((before.plus_di - after.plus_di).abs() < 1e-6, "{before:?} became {after:?}");
        assert!((before.minus_di - after.minus_di).abs() < 1e-6, "{before:?} became {after:?}");
    }
}
