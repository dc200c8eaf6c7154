//! A made-up market for demos, tests and benches: volatility clusters, trends, ranges, jumps and missing candles.
//!
//! Owns the specification and the merge of its instruments. Promises: one specification gives the same candles on
//! every run and every machine; an instrument's candles depend on the seed and its place in the list, not on the
//! others. Never: a claim about any real market.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::feed::{Feed, FeedEvent};
use super::walk::Walk;
use crate::domain::{Candle, InstrumentIx, Price, Timeframe, Timestamp};

/// Largest distance between start price and tick, in ticks: four times it stays exact in a double.
const TICKS_MAX: i64 = 1_000_000_000_000;

/// What to make up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyntheticSpec {
    /// Same seed, same market.
    pub seed: u64,
    /// The first candle contains this moment.
    pub start: Timestamp,
    /// Length of the candles.
    pub interval: Timeframe,
    /// One walk each; its index is its place here.
    pub instruments: Vec<SyntheticInstrument>,
    /// Candles of each instrument; `None` never ends.
    pub candles: Option<u64>,
}

/// One made-up instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyntheticInstrument {
    /// Where it starts and what it is pulled back to.
    pub start_price: Price,
    /// Price step.
    pub tick: Decimal,
    /// Standard deviation of a day's return as a fraction (0.03 = 3 %).
    pub volatility_day: Decimal,
}

impl SyntheticInstrument {
    /// An instrument that moves 3 % a day.
    #[must_use]
    pub fn new(start_price: Price, tick: Decimal) -> Self {
        Self { start_price, tick, volatility_day: Decimal::new(3, 2) }
    }
}

/// A specification that cannot be walked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("synthetic market: {key} = {value}; allowed: {allowed}")]
pub struct SyntheticError {
    /// Which value.
    pub key: &'static str,
    /// What it was.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

/// The made-up market as a feed.
#[derive(Clone, Debug)]
pub struct SyntheticFeed {
    spec: SyntheticSpec,
    walks: Vec<Walk>,
    /// Index of the walk whose candle is next.
    current: usize,
    position: u64,
}

impl SyntheticFeed {
    /// The market at its start.
    ///
    /// # Errors
    /// [`SyntheticError`] when a value is outside its range.
    pub fn new(spec: SyntheticSpec) -> Result<Self, SyntheticError> {
        check(&spec)?;
        let walks = walks(&spec);
        let mut feed = Self { spec, walks, current: 0, position: 0 };
        feed.current = feed.earliest();
        Ok(feed)
    }

    fn earliest(&self) -> usize {
        let due = self.walks.iter().enumerate().filter_map(|(ix, walk)| Some((walk.next()?.open_time, ix)));
        due.min().map_or(0, |(_, ix)| ix)
    }
}

impl Feed for SyntheticFeed {
    fn peek_at(&self) -> Option<Timestamp> {
        Some(self.walks.get(self.current)?.next()?.open_time)
    }

    fn peek(&self) -> Option<FeedEvent> {
        let candle = *self.walks.get(self.current)?.next()?;
        Some(FeedEvent::Candle { instrument: InstrumentIx(self.current as u16), candle })
    }

    fn advance(&mut self) {
        let Some(walk) = self.walks.get_mut(self.current) else { return };
        if walk.next().is_none() {
            return;
        }
        walk.step();
        self.position += 1;
        if self.walks.len() > 1 {
            self.current = self.earliest();
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn len(&self) -> Option<u64> {
        Some(self.spec.candles?.saturating_mul(self.walks.len() as u64))
    }

    /// Walks there again from the start when the position lies behind; about 0.2 us per candle.
    fn seek(&mut self, position: u64) {
        if position < self.position {
            self.walks = walks(&self.spec);
            self.position = 0;
            self.current = self.earliest();
        }
        while self.position < position && self.peek_at().is_some() {
            self.advance();
        }
    }
}

/// The first `count` candles of the first instrument, for tests and benches.
///
/// # Errors
/// [`SyntheticError`] when a value is outside its range.
pub fn synthetic_candles(spec: &SyntheticSpec, count: usize) -> Result<Vec<Candle>, SyntheticError> {
    check(spec)?;
    let first = spec.instruments.first().map(|instrument| Walk::new(spec, 0, instrument));
    let candles = first.into_iter().flat_map(|mut walk| {
        std::iter::from_fn(move || {
            let candle = *walk.next()?;
            walk.step();
            Some(candle)
        })
    });
    Ok(candles.take(count).collect())
}

fn walks(spec: &SyntheticSpec) -> Vec<Walk> {
    spec.instruments.iter().enumerate().map(|(ix, instrument)| Walk::new(spec, ix, instrument)).collect()
}

fn check(spec: &SyntheticSpec) -> Result<(), SyntheticError> {
    let require = |ok: bool, key: &'static str, value: String, allowed: &'static str| {
        if ok { Ok(()) } else { Err(SyntheticError { key, value, allowed }) }
    };
    let (start, interval, count) = (spec.start.millis(), spec.interval.millis(), spec.instruments.len());
    require((0..100_000_000_000_000).contains(&start), "start", start.to_string(), "0 to 10^14 ms since 1970")?;
    require((1_000..=604_800_000).contains(&interval), "interval", interval.to_string(), "1000 to 604800000 ms")?;
    require((1..=10_000).contains(&count), "instruments", count.to_string(), "1 to 10000")?;
    for instrument in &spec.instruments {
        let (price, tick) = (instrument.start_price.get(), instrument.tick);
        require(
            price > Decimal::ZERO && price <= Decimal::from(TICKS_MAX / 4),
            "start_price",
            price.to_string(),
            "more than 0, at most 250000000000",
        )?;
        let ticks = if tick > Decimal::ZERO { price.checked_div(tick) } else { None };
        require(
            ticks.is_some_and(|n| n >= Decimal::ONE && n <= Decimal::from(TICKS_MAX)) && tick.scale() <= 12,
            "tick",
            tick.to_string(),
            "more than 0, at most the start price, at least a 10^12th of it, 12 decimal places",
        )?;
        let volatility = instrument.volatility_day;
        let allowed = volatility >= Decimal::new(1, 4) && volatility <= Decimal::ONE;
        require(allowed, "volatility_day", volatility.to_string(), "0.0001 to 1")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn instrument(price: &str, tick: &str) -> SyntheticInstrument {
        SyntheticInstrument::new(Price::new(dec(price)), dec(tick))
    }

    fn spec(instruments: Vec<SyntheticInstrument>) -> SyntheticSpec {
        SyntheticSpec {
            seed: 42,
            start: Timestamp::from_millis(1_735_689_600_000),
            interval: Timeframe::from_millis(MINUTE),
            instruments,
            candles: None,
        }
    }

    fn btc(count: usize) -> Vec<Candle> {
        synthetic_candles(&spec(vec![instrument("100000", "0.01")]), count).unwrap()
    }

    #[test]
    fn the_same_on_every_machine() {
        let candles = btc(20_000);
        let shown = |c: &Candle| format!("{} {} {} {} {}", c.open, c.high, c.low, c.close, c.volume);
        assert_eq!(shown(&candles[0]), "100000 100004.67 99865.95 99865.95 1.49577963");
        assert_eq!(shown(&candles[19_999]), "76910.22 76910.22 76860.67 76909.76 0.89660658");
        assert_eq!(candles, btc(20_000));
    }

    #[test]
    fn an_instrument_does_not_depend_on_the_others() {
        let (one, two) = (instrument("100000", "0.01"), instrument("3000", "0.01"));
        let mut both = SyntheticFeed::new(spec(vec![one.clone(), two])).unwrap();
        let events: Vec<FeedEvent> = std::iter::from_fn(|| both.take()).take(20_000).collect();
        assert!(events.windows(2).all(|p| (p[0].at(), p[0].instrument()) < (p[1].at(), p[1].instrument())));
        let of = |wanted: u16| {
            let pick = move |event: &FeedEvent| match event {
                FeedEvent::Candle { instrument, candle } if instrument.0 == wanted => Some(*candle),
                FeedEvent::Candle { .. } | FeedEvent::Trade { .. } => None,
            };
            events.iter().filter_map(pick).collect::<Vec<_>>()
        };
        assert_eq!(of(0), synthetic_candles(&spec(vec![one]), of(0).len()).unwrap());
        assert!(of(1).len() > 9_000 && of(0)[9].volume != of(1)[9].volume);
    }

    #[test]
    fn seeking_equals_advancing() {
        let fresh = || SyntheticFeed::new(spec(vec![instrument("100", "0.1"), instrument("5", "0.001")])).unwrap();
        let (mut stepped, mut sought) = (fresh(), fresh());
        (0..5_000).for_each(|_| stepped.advance());
        for way in [5_000, 9_000, 5_000] {
            sought.seek(way);
        }
        assert_eq!((sought.position(), sought.len()), (5_000, None));
        assert!((0..100).all(|_| stepped.take() == sought.take()));
    }

    #[test]
    fn it_ends_after_the_candles_asked_for() {
        let mut spec = spec(vec![instrument("100", "0.1"), instrument("5", "0.001")]);
        spec.candles = Some(10);
        let mut feed = SyntheticFeed::new(spec).unwrap();
        assert_eq!((feed.len(), std::iter::from_fn(|| feed.take()).count()), (Some(20), 20));
        feed.advance();
        feed.seek(99);
        assert_eq!((feed.position(), feed.is_ended()), (20, true));
    }

    #[test]
    fn values_out_of_range_are_named() {
        let good = spec(vec![instrument("100", "0.1")]);
        let bad = |change: fn(&mut SyntheticSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            SyntheticFeed::new(spec).err().map(|error| error.key)
        };
        assert_eq!(bad(|_| {}), None);
        assert_eq!(bad(|s| s.interval = Timeframe::from_millis(0)), Some("interval"));
        assert_eq!(bad(|s| s.start = Timestamp::from_millis(i64::MIN)), Some("start"));
        assert_eq!(bad(|s| s.instruments.clear()), Some("instruments"));
        assert_eq!(bad(|s| s.instruments[0].start_price = Price::ZERO), Some("start_price"));
        assert_eq!(bad(|s| s.instruments[0].tick = Decimal::ZERO), Some("tick"));
        assert_eq!(bad(|s| s.instruments[0].tick = Decimal::new(1, 28)), Some("tick"));
        assert_eq!(bad(|s| s.instruments[0].volatility_day = Decimal::TWO), Some("volatility_day"));
        let error = SyntheticFeed::new(spec(vec![instrument("100", "200")])).unwrap_err().to_string();
        assert!(
            error.starts_with("synthetic market: tick = 200; allowed: more than 0, at most the start price"),
            "{error}"
        );
    }
}
