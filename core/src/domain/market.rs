//! What a venue publishes: trades, candles, quotes; and the timeframes of candles.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{InstrumentIx, Price, Qty, Timestamp};

/// Length of a candle: `1s` to `1w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeframe(i64);

impl Timeframe {
    /// A timeframe of so many milliseconds (> 0).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Start of the candle that contains `at`. Weeks start on Monday, as on the venues.
    #[must_use]
    pub const fn open_of(self, at: Timestamp) -> Timestamp {
        // 1970-01-01 was a Thursday; the first Monday is day 4.
        let origin = if self.0 == 604_800_000 { 4 * 86_400_000 } else { 0 };
        Timestamp::from_millis((at.millis() - origin).div_euclid(self.0) * self.0 + origin)
    }
}

/// Text is not a timeframe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a timeframe; write a number and s, m, h, d or w, from 1s to 1w (1m, 15m, 4h, 1d)")]
pub struct TimeframeError(String);

impl FromStr for Timeframe {
    type Err = TimeframeError;
    fn from_str(text: &str) -> Result<Self, TimeframeError> {
        let wrong = || TimeframeError(text.to_owned());
        let unit = text.chars().last().ok_or_else(wrong)?;
        let millis = match unit {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 604_800_000,
            _ => return Err(wrong()),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        let total = i64::from(count) * millis;
        if count == 0 || total > 604_800_000 {
            return Err(wrong());
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(604_800_000, 'w'), (86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'm'), (1_000, 's')];
        match units.iter().find(|(ms, _)| self.0 % ms == 0) {
            Some((ms, unit)) => write!(f, "{}{unit}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}

/// Open, extremes, close and volume of an interval; the last millisecond belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candle {
    /// First millisecond.
    pub open_time: Timestamp,
    /// Last millisecond.
    pub close_time: Timestamp,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base units traded.
    pub volume: Qty,
}

/// A finished candle of one timeframe of one instrument; the only kind a strategy sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedCandle {
    /// Whose.
    pub instrument: InstrumentIx,
    /// Of which length.
    pub timeframe: Timeframe,
    /// The prices.
    pub candle: Candle,
}

/// A public print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicTrade {
    /// When it happened, by the venue's clock.
    pub at: Timestamp,
    /// Price.
    pub price: Price,
    /// Base units.
    pub qty: Qty,
}

/// The last known price with bid and ask around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// When it was true.
    pub at: Timestamp,
    /// Last price.
    pub last: Price,
}

impl Quote {
    /// Bid and ask around the last price, unrounded; `spread` is the full width as a fraction of the price.
    #[must_use]
    pub fn sides(&self, spread: Decimal) -> (Decimal, Decimal) {
        let half = self.last.get() * spread / Decimal::TWO;
        (self.last.get() - half, self.last.get() + half)
    }
}

/// The last quote of each instrument. Written by the market stage, read by all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotes(Vec<Option<Quote>>);

impl Quotes {
    /// No quotes yet for so many instruments.
    #[must_use]
    pub fn new(instruments: usize) -> Self {
        Self(vec![None; instruments])
    }

    /// The last quote, if there was one.
    #[must_use]
    pub fn get(&self, ix: InstrumentIx) -> Option<Quote> {
        self.0.get(ix.at()).copied().flatten()
    }

    /// Replaces a quote.
    pub fn set(&mut self, ix: InstrumentIx, quote: Quote) {
        if let Some(slot) = self.0.get_mut(ix.at()) {
            *slot = Some(quote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeframes_parse_and_align() {
        for text in ["1s", "1m", "15m", "4h", "1d", "1w"] {
            assert_eq!(text.parse::<Timeframe>().unwrap().to_string(), text);
        }
        for text in ["", "m", "0m", "2w", "1x", "-1m", "1.5h"] {
            assert!(text.parse::<Timeframe>().is_err(), "{text}");
        }
        let week: Timeframe = "1w".parse().unwrap();
        // 2025-01-01 was a Wednesday; its week opened on Monday 2024-12-30.
        assert_eq!(week.open_of(Timestamp::from_millis(1_735_700_400_000)).to_string(), "2024-12-30T00:00:00.000Z");
    }
}
