//! The two brakes of a grid: the trend filter and the ATR circuit breaker.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::Regime;
use crate::domain::Candle;
use crate::indicators::{Atr, Ema};

const FAST: usize = 20;
const SLOW: usize = 50;
/// The slow average is compared with its value this many closed candles ago.
const SLOPE: usize = 3;

/// EMA(20), EMA(50) and the slope of the slow one; a change needs several candles in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendFilter {
    fast: Ema,
    slow: Ema,
    past: VecDeque<f64>,
    regime: Regime,
    candidate: Regime,
    agreed: u32,
    confirm: u32,
}

impl TrendFilter {
    /// A filter that asks for `confirm` candles in a row.
    #[must_use]
    pub fn new(confirm: u32) -> Self {
        let (fast, slow) = (Ema::new(FAST), Ema::new(SLOW));
        Self { fast, slow, past: VecDeque::new(), regime: Regime::Flat, candidate: Regime::Flat, agreed: 0, confirm }
    }

    /// The confirmed regime.
    #[must_use]
    pub const fn regime(&self) -> Regime {
        self.regime
    }

    /// One closed candle; answers the new regime when it changed.
    pub fn update(&mut self, candle: &Candle) -> Option<Regime> {
        let close = candle.close.to_f64();
        let (fast, slow) = (self.fast.update(close), self.slow.update(close));
        let (fast, slow) = (fast?, slow?);
        let before = if self.past.len() == SLOPE { self.past.pop_front() } else { None };
        self.past.push_back(slow);
        let before = before?;
        let seen = if fast < slow && slow < before {
            Regime::Down
        } else if fast > slow && slow > before {
            Regime::Up
        } else {
            Regime::Flat
        };
        self.confirm(seen)
    }

    fn confirm(&mut self, seen: Regime) -> Option<Regime> {
        if seen == self.regime {
            self.agreed = 0;
            return None;
        }
        self.agreed = if seen == self.candidate { self.agreed + 1 } else { 1 };
        self.candidate = seen;
        if self.agreed < self.confirm {
            return None;
        }
        self.agreed = 0;
        self.regime = seen;
        Some(seen)
    }
}

/// ATR(14) of the breaker's timeframe; trips on a jump, clears when it has calmed down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    atr: Atr,
    limit: f64,
    resume: u32,
    /// ATR before the spike, while tripped.
    before: Option<f64>,
    calm: u32,
}

/// What the breaker did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tripped {
    /// It tripped: ATR now and one candle before.
    On(f64, f64),
    /// It cleared: ATR now.
    Off(f64),
}

impl Breaker {
    /// Trips when ATR grows by more than `limit` (fraction) in one candle; clears after `resume` calm candles.
    #[must_use]
    pub fn new(limit: f64, resume: u32) -> Self {
        Self { atr: Atr::new(14), limit, resume, before: None, calm: 0 }
    }

    /// True while entries are off.
    #[must_use]
    pub const fn is_tripped(&self) -> bool {
        self.before.is_some()
    }

    /// One closed candle of the breaker's timeframe.
    pub fn update(&mut self, candle: &Candle) -> Option<Tripped> {
        let last = self.atr.value();
        let now = self.atr.update(candle.high.to_f64(), candle.low.to_f64(), candle.close.to_f64())?;
        let Some(before) = self.before else {
            let last = last?;
            if now > last * (1.0 + self.limit) {
                self.before = Some(last);
                self.calm = 0;
                return Some(Tripped::On(now, last));
            }
            return None;
        };
        self.calm = if now <= before * (1.0 + self.limit) { self.calm + 1 } else { 0 };
        if self.calm < self.resume {
            return None;
        }
        self.before = None;
        Some(Tripped::Off(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty, Timestamp};
    use rust_decimal::Decimal;

    fn candle(close: i64, range: Decimal) -> Candle {
        let price = Price::new(Decimal::from(close));
        let half = Price::new(range / Decimal::TWO);
        let at = Timestamp::from_millis(0);
        Candle {
            open_time: at,
            close_time: at,
            open: price,
            high: price + half,
            low: price - half,
            close: price,
            volume: Qty::ZERO,
        }
    }

    #[test]
    fn the_breaker_trips_over_its_limit_and_clears_after_calm() {
        // ATR 100 before; one candle of range r moves it to (13 x 100 + r) / 14.
        for (range, trips) in [(519, false), (520, false), (521, true)] {
            let mut breaker = Breaker::new(0.30, 3);
            for _ in 0..30 {
                assert_eq!(breaker.update(&candle(1000, Decimal::ONE_HUNDRED)), None);
            }
            let answer = breaker.update(&candle(1000, Decimal::from(range)));
            assert_eq!(matches!(answer, Some(Tripped::On(..))), trips, "range {range}: {answer:?}");
            if trips {
                assert_eq!(breaker.update(&candle(1000, Decimal::ONE_HUNDRED)), None);
                assert_eq!(breaker.update(&candle(1000, Decimal::ONE_HUNDRED)), None);
                assert!(matches!(breaker.update(&candle(1000, Decimal::ONE_HUNDRED)), Some(Tripped::Off(_))));
                assert!(!breaker.is_tripped());
            }
        }
    }

    #[test]
    fn a_regime_needs_its_candles_in_a_row() {
        let mut filter = TrendFilter::new(3);
        let mut changes = Vec::new();
        for step in 0..200 {
            let close = if step < 100 { 10_000 } else { 10_000 - (step - 100) * 20 };
            if let Some(regime) = filter.update(&candle(close, Decimal::TEN)) {
                changes.push((step, regime));
            }
        }
        // The first lower close is 101; the slow average is under its value of 3 candles ago at once, confirmed by the
        // third.
        assert_eq!(changes, [(103, Regime::Down)]);
    }
}
