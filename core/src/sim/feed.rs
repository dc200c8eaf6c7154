//! Recorded market data and the one order in which its events are taken.
//!
//! Owns recordings (checked series, shared without copying) and their merge by (time, instrument). Promises: the same
//! recordings give the same events in the same order; a position alone recreates a feed. Never: a file or a clock.

use std::sync::Arc;

use crate::domain::{Candle, InstrumentIx, PublicTrade, Timeframe, Timestamp};

/// One thing that a venue published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// A finished candle.
    Candle {
        /// Whose.
        instrument: InstrumentIx,
        /// The prices.
        candle: Candle,
    },
    /// A public print.
    Trade {
        /// Whose.
        instrument: InstrumentIx,
        /// The print.
        trade: PublicTrade,
    },
}

impl FeedEvent {
    /// The moment it is ordered by: a candle's open time, a trade's own.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Candle { candle, .. } => candle.open_time,
            Self::Trade { trade, .. } => trade.at,
        }
    }

    /// Whose event it is.
    #[must_use]
    pub const fn instrument(&self) -> InstrumentIx {
        match self {
            Self::Candle { instrument, .. } | Self::Trade { instrument, .. } => *instrument,
        }
    }
}

/// Events in the order of their time, ties by instrument; a cursor that can be put anywhere.
pub trait Feed: Send {
    /// Time of the next event; `None` at the end.
    fn peek_at(&self) -> Option<Timestamp>;

    /// The next event, left in place; `None` at the end.
    fn peek(&self) -> Option<FeedEvent>;

    /// Steps past the next event; at the end it does nothing.
    fn advance(&mut self);

    /// Events taken so far.
    fn position(&self) -> u64;

    /// Events from first to last; `None` when there is no last one.
    fn len(&self) -> Option<u64>;

    /// As if so many events had been taken since the start; beyond the end means at the end.
    fn seek(&mut self, position: u64);

    /// True when it never had an event.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// True when no event is left.
    fn is_ended(&self) -> bool {
        self.peek_at().is_none()
    }

    /// Takes the next event.
    fn take(&mut self) -> Option<FeedEvent> {
        let event = self.peek()?;
        self.advance();
        Some(event)
    }
}

/// A checked series in time order; a clone shares it. `Arc<Vec>`, because making an `Arc<[_]>` copies it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Strictly increasing open times, one interval.
    Candles(Arc<Vec<Candle>>),
    /// Times that never decrease.
    Trades(Arc<Vec<PublicTrade>>),
}

/// Candles that a recording leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Open time of the first candle that is missing.
    pub from: Timestamp,
    /// Open time of the candle that ends the gap.
    pub to: Timestamp,
    /// How many candles are missing.
    pub missing: u64,
}

impl Recording {
    /// Number of candles or trades.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Candles(candles) => candles.len(),
            Self::Trades(trades) => trades.len(),
        }
    }

    /// True when it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Time of the first event.
    #[must_use]
    pub fn first_at(&self) -> Option<Timestamp> {
        self.at(0)
    }

    /// Time of the last event (a candle's open time).
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.at(self.len().checked_sub(1)?)
    }

    /// Length of the candles; `None` for trades and for an empty series.
    #[must_use]
    pub fn interval(&self) -> Option<Timeframe> {
        match self {
            Self::Candles(candles) => interval_of(candles),
            Self::Trades(_) => None,
        }
    }

    /// Stretches without candles, in order. Trades come when they come: they have none.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        match (self, self.interval()) {
            (Self::Candles(candles), Some(interval)) => {
                candles.windows(2).filter_map(|pair| gap_between(&pair[0], &pair[1], interval)).collect()
            }
            (Self::Candles(_), None) | (Self::Trades(_), _) => Vec::new(),
        }
    }

    fn at(&self, index: usize) -> Option<Timestamp> {
        match self {
            Self::Candles(candles) => candles.get(index).map(|candle| candle.open_time),
            Self::Trades(trades) => trades.get(index).map(|trade| trade.at),
        }
    }

    fn event(&self, index: usize, instrument: InstrumentIx) -> Option<FeedEvent> {
        match self {
            Self::Candles(candles) => {
                candles.get(index).map(|candle| FeedEvent::Candle { instrument, candle: *candle })
            }
            Self::Trades(trades) => trades.get(index).map(|trade| FeedEvent::Trade { instrument, trade: *trade }),
        }
    }
}

/// Length of a series' candles. An outage makes venues publish a candle that closes early (Binance BTCUSDT 1d of
/// 2018-02-08), so that the longer of the first two counts.
#[must_use]
pub fn interval_of(candles: &[Candle]) -> Option<Timeframe> {
    let length = |candle: &Candle| candle.close_time.since(candle.open_time).saturating_add(1);
    candles.iter().take(2).map(length).max().map(Timeframe::from_millis)
}

fn gap_between(before: &Candle, after: &Candle, interval: Timeframe) -> Option<Gap> {
    let from = before.open_time + interval.millis();
    if after.open_time == from {
        return None;
    }
    let missing = after.open_time.since(from) / interval.millis();
    (missing > 0).then_some(Gap { from, to: after.open_time, missing: missing.unsigned_abs() })
}

/// Several recordings as one feed.
#[derive(Clone, Debug)]
pub struct ReplayFeed {
    tracks: Vec<Track>,
    /// Index of the track whose event is next; anything at the end.
    current: usize,
    position: u64,
}

#[derive(Clone, Debug)]
struct Track {
    instrument: InstrumentIx,
    recording: Recording,
    next: usize,
}

impl Track {
    fn at(&self) -> Option<Timestamp> {
        self.recording.at(self.next)
    }
}

impl ReplayFeed {
    /// Merges recordings by (time, instrument), further ties by place in the list.
    #[must_use]
    pub fn new(recordings: Vec<(InstrumentIx, Recording)>) -> Self {
        let track = |(instrument, recording)| Track { instrument, recording, next: 0 };
        let mut feed = Self { tracks: recordings.into_iter().map(track).collect(), current: 0, position: 0 };
        feed.tracks.sort_by_key(|track| track.instrument);
        feed.current = feed.earliest();
        feed
    }

    fn earliest(&self) -> usize {
        let due = self.tracks.iter().enumerate().filter_map(|(ix, track)| Some((track.at()?, ix)));
        due.min().map_or(0, |(_, ix)| ix)
    }

    fn total(&self) -> usize {
        self.tracks.iter().map(|track| track.recording.len()).sum()
    }
}

impl Feed for ReplayFeed {
    fn peek_at(&self) -> Option<Timestamp> {
        self.tracks.get(self.current)?.at()
    }

    fn peek(&self) -> Option<FeedEvent> {
        let track = self.tracks.get(self.current)?;
        track.recording.event(track.next, track.instrument)
    }

    fn advance(&mut self) {
        let Some(track) = self.tracks.get_mut(self.current) else { return };
        if track.next >= track.recording.len() {
            return;
        }
        track.next += 1;
        self.position += 1;
        if self.tracks.len() > 1 {
            self.current = self.earliest();
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn len(&self) -> Option<u64> {
        Some(self.total() as u64)
    }

    fn seek(&mut self, position: u64) {
        let target = position.min(self.total() as u64);
        if let [track] = self.tracks.as_mut_slice() {
            track.next = target as usize;
            self.position = target;
            return;
        }
        self.tracks.iter_mut().for_each(|track| track.next = 0);
        self.position = 0;
        self.current = self.earliest();
        while self.position < target {
            self.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Price, Qty};

    fn candle(open: i64, length: i64) -> Candle {
        let price = Price::new(rust_decimal::Decimal::from(open + 1));
        Candle {
            open_time: Timestamp::from_millis(open),
            close_time: Timestamp::from_millis(open + length - 1),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
        }
    }

    fn candles(opens: &[i64], length: i64) -> Recording {
        Recording::Candles(Arc::new(opens.iter().map(|open| candle(*open, length)).collect()))
    }

    fn trades(times: &[i64]) -> Recording {
        let one = rust_decimal::Decimal::ONE;
        let trade =
            |at: &i64| PublicTrade { at: Timestamp::from_millis(*at), price: Price::new(one), qty: Qty::new(one) };
        Recording::Trades(Arc::new(times.iter().map(trade).collect()))
    }

    fn drain(feed: &mut dyn Feed) -> Vec<(i64, u16)> {
        std::iter::from_fn(|| feed.take()).map(|event| (event.at().millis(), event.instrument().0)).collect()
    }

    #[test]
    fn events_merge_by_time_then_instrument() {
        let mut feed = ReplayFeed::new(vec![
            (InstrumentIx(1), candles(&[0, 60_000, 180_000], 60_000)),
            (InstrumentIx(0), trades(&[5, 60_000, 60_000, 200_000])),
        ]);
        assert_eq!(feed.len(), Some(7));
        assert_eq!(
            drain(&mut feed),
            [(0, 1), (5, 0), (60_000, 0), (60_000, 0), (60_000, 1), (180_000, 1), (200_000, 0)]
        );
        assert!(feed.is_ended() && feed.position() == 7);
        feed.advance();
        assert_eq!(feed.position(), 7);
    }

    #[test]
    fn one_instrument_is_read_straight_through() {
        let mut feed = ReplayFeed::new(vec![(InstrumentIx(3), candles(&[0, 1_000], 1_000))]);
        assert_eq!(feed.peek_at(), Some(Timestamp::from_millis(0)));
        assert_eq!(feed.peek(), Some(FeedEvent::Candle { instrument: InstrumentIx(3), candle: candle(0, 1_000) }));
        assert_eq!(drain(&mut feed), [(0, 3), (1_000, 3)]);
        feed.seek(1);
        assert_eq!((feed.position(), drain(&mut feed)), (1, vec![(1_000, 3)]));
        feed.seek(99);
        assert_eq!((feed.position(), feed.peek()), (2, None));
    }

    #[test]
    fn no_recordings_make_an_ended_feed() {
        let mut feed = ReplayFeed::new(Vec::new());
        feed.advance();
        feed.seek(3);
        assert_eq!((feed.len(), feed.position(), feed.peek()), (Some(0), 0, None));
    }

    #[test]
    fn recordings_tell_their_span_interval_and_gaps() {
        let recording = candles(&[0, 60_000, 240_000, 300_000, 420_000], 60_000);
        assert_eq!(recording.len(), 5);
        assert_eq!(recording.interval().map(|t| t.to_string()).as_deref(), Some("1m"));
        let at = Timestamp::from_millis;
        assert_eq!((recording.first_at(), recording.last_at()), (Some(at(0)), Some(at(420_000))));
        let gap = |from, to, missing| Gap { from: at(from), to: at(to), missing };
        assert_eq!(recording.gaps(), [gap(120_000, 240_000, 2), gap(360_000, 420_000, 1)]);
        assert_eq!((trades(&[1, 99]).gaps(), trades(&[1]).interval()), (vec![], None));
        assert_eq!((candles(&[], 1).interval(), candles(&[], 1).gaps()), (None, vec![]));
    }

    #[test]
    fn a_candle_cut_short_by_an_outage_does_not_set_the_interval() {
        let series = [candle(0, 20_000), candle(60_000, 60_000)];
        assert_eq!(interval_of(&series), Some(Timeframe::from_millis(60_000)));
    }

    proptest! {
        #[test]
        fn seeking_equals_advancing(
            mut left in prop::collection::vec(0_i64..50, 0..20),
            mut right in prop::collection::vec(0_i64..50, 0..20),
            position in 0_u64..50,
        ) {
            left.sort_unstable();
            right.sort_unstable();
            let fresh = || ReplayFeed::new(vec![(InstrumentIx(0), trades(&left)), (InstrumentIx(1), trades(&right))]);
            let (mut stepped, mut sought) = (fresh(), fresh());
            (0..position).for_each(|_| stepped.advance());
            drain(&mut sought);
            sought.seek(position);
            prop_assert_eq!(stepped.position(), sought.position());
            let rest = drain(&mut stepped);
            prop_assert!(rest.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert_eq!(rest, drain(&mut sought));
        }
    }
}
