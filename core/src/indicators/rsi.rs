//! Wilder's relative strength index. Owns the smoothed gains and losses; never moves while the price does not.

use serde::{Deserialize, Serialize};

use super::smoothing::Moves;
use super::{bounded, usable};

/// RSI(n) = 100 * gains / (gains + losses), 0..=100, both under Wilder's smoothing and seeded with the simple mean of
/// the first n changes. First value: with close n+1.
///
/// While no close has ever differed from the one before it there is no strength to either side: the value is 50.
/// (TA-Lib writes 0 there, which a reversal strategy would read as deeply oversold.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rsi {
    period: u32,
    changes: u32,
    keep: f64,
    previous: Option<f64>,
    moves: Moves,
}

impl Rsi {
    /// `period` in candles; 0 counts as 1.
    pub fn new(period: usize) -> Self {
        let period = bounded(period);
        let keep = 1.0 - 1.0 / f64::from(period);
        Self { period, changes: 0, keep, previous: None, moves: Moves::NONE }
    }

    /// Takes the next close. `None` before the warm-up is over, and for a close that is skipped.
    #[inline]
    pub fn update(&mut self, close: f64) -> Option<f64> {
        if !usable(close) {
            return None;
        }
        let change = close - self.previous.replace(close)?;
        let (up, down) = (if change > 0.0 { change } else { 0.0 }, if change < 0.0 { -change } else { 0.0 });
        if self.changes < self.period {
            self.changes += 1;
            self.moves.seed(up, down);
        } else if !self.moves.idle(up, down) {
            self.moves.decay(self.keep, up, down);
        }
        self.value()
    }

    /// The value after the last usable close.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        (self.changes >= self.period).then(|| {
            let total = self.moves.total();
            if total > 0.0 { 100.0 * (self.moves.up / total) } else { 50.0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(period: usize, closes: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut rsi = Rsi::new(period);
        closes.into_iter().map(|close| rsi.update(close)).last().flatten()
    }

    #[test]
    fn the_first_value_comes_with_one_close_more_than_the_period() {
        assert_eq!(last(3, [1.0, 2.0, 3.0]), None);
        assert_eq!(last(3, [1.0, 4.0, 3.0, 3.0]), Some(75.0));
    }

    #[test]
    fn only_gains_are_100_only_losses_0_and_no_move_at_all_50() {
        assert_eq!(last(5, (1..40).map(f64::from)), Some(100.0));
        assert_eq!(last(5, (1..40).rev().map(f64::from)), Some(0.0));
        assert_eq!(last(5, [7.0; 40]), Some(50.0));
    }

    #[test]
    fn a_market_that_stands_still_for_long_keeps_its_value() {
        let start = [10.0, 9.0, 8.0, 8.5, 7.0, 6.0, 6.2];
        let Some(before) = last(3, start) else { panic!("warm after four closes") };
        let Some(after) = last(3, start.into_iter().chain(std::iter::repeat_n(6.2, 50_000))) else {
            panic!("still warm")
        };
        assert!((before - after).abs() < 1e-9, "{before} became {after} without a trade");
    }
}
