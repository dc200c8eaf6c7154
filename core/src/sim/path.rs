//! The path of a candle: four points in time, one after the other.
//!
//! Owns which extreme comes first, and when each point is. Promises: open at the first millisecond, close at the last.
//! Never: a price that the candle does not name.

use serde::{Deserialize, Serialize};

use crate::domain::{Candle, InstrumentIx, Price, Timestamp};
use crate::spec::Intrabar;

/// A candle on its way along its four points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Path {
    pub instrument: InstrumentIx,
    pub candle: Candle,
    points: [Price; 4],
    next: u8,
}

impl Path {
    /// At its first point.
    pub fn new(instrument: InstrumentIx, candle: Candle, intrabar: Intrabar, long: bool) -> Self {
        let Candle { open, high, low, close, .. } = candle;
        let low_first = match intrabar {
            Intrabar::Ohlc => false,
            Intrabar::Olhc => true,
            Intrabar::Pessimistic => long,
        };
        let points = if low_first { [open, low, high, close] } else { [open, high, low, close] };
        Self { instrument, candle, points, next: 0 }
    }

    /// Open at the first millisecond, the extremes at one and two thirds, close and the whole at the last one.
    pub fn at(&self) -> Timestamp {
        let length = self.candle.close_time.since(self.candle.open_time);
        match self.next {
            0 => self.candle.open_time,
            1 => self.candle.open_time + (length + 1) / 3,
            2 => self.candle.open_time + (length + 1) * 2 / 3,
            _ => self.candle.close_time,
        }
    }

    /// The next point, taken, and whether it is the last one; `None` when all are.
    pub fn take(&mut self) -> Option<(Price, bool)> {
        let price = self.points.get(usize::from(self.next)).copied()?;
        self.next += 1;
        Some((price, self.next == 4))
    }
}
