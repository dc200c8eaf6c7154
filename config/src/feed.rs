//! `[feed]`: where the prices of an instance come from and how fast they run.
//!
//! Promises: a replay's files exist when the configuration is accepted; a synthetic market can be walked. Never: a data
//! file is opened here.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use supervisor_core::domain::{Instrument, Price, Timeframe, Timestamp};
use supervisor_core::params::{Reader, Table, Value};
use supervisor_core::sim::{SyntheticFeed, SyntheticInstrument, SyntheticSpec};

use crate::Env;
use crate::paths::find_data;

/// Pace of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// As fast as the instance can take it.
    Max,
    /// This many times real time.
    Times(Decimal),
}

/// Where prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedConfig {
    /// Recorded candles or trades.
    Replay {
        /// As written; may hold `{symbol}`.
        path: String,
        /// The files, in the order of the instruments.
        files: Vec<PathBuf>,
        /// Pace (default [`Speed::Max`]).
        speed: Speed,
    },
    /// A made-up market.
    Synthetic {
        /// What to make up; instruments in the order of the instance's.
        spec: SyntheticSpec,
        /// Pace (default 300 times).
        speed: Speed,
    },
}

impl FeedConfig {
    /// Its pace.
    #[must_use]
    pub const fn speed(&self) -> Speed {
        match self {
            Self::Replay { speed, .. } | Self::Synthetic { speed, .. } => *speed,
        }
    }

    /// Which prices it brings, whatever their pace: a state that was reached on others does not fit.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Replay { path, .. } => format!("replay of {path}"),
            Self::Synthetic { spec, .. } => format!("made up: {spec:?}"),
        }
    }
}

/// What the feed has to fit.
pub(crate) struct Around<'a> {
    pub instruments: &'a [Instrument],
    pub timeframe: Option<Timeframe>,
    /// Directory of the instance file.
    pub beside: Option<&'a Path>,
    pub env: &'a Env,
}

#[derive(Clone, Copy)]
enum Kind {
    Replay,
    Synthetic,
}

/// Reads `[feed]`; `None` when a problem was noted that leaves no feed.
pub(crate) fn read_feed(mut reader: Reader<'_>, around: &Around<'_>) -> Option<FeedConfig> {
    reader.missing("kind", "\"synthetic\" or \"replay\"");
    let feed = match reader.choice("kind", &[("synthetic", Kind::Synthetic), ("replay", Kind::Replay)])? {
        Kind::Replay => read_replay(&mut reader, around),
        Kind::Synthetic => read_synthetic(&mut reader, around),
    };
    reader.finish();
    feed
}

fn read_speed(reader: &mut Reader<'_>, default: Speed) -> Speed {
    let range = Decimal::new(1, 3)..=Decimal::from(1_000_000);
    match reader.raw("speed") {
        None => default,
        Some(Value::Text(word)) if word == "max" => Speed::Max,
        Some(Value::Number(digits)) => match digits.parse().ok().filter(|times| range.contains(times)) {
            Some(times) => Speed::Times(times),
            None => refused(reader, default),
        },
        Some(Value::Text(_) | Value::Bool(_) | Value::List(_) | Value::Table(_)) => refused(reader, default),
    }
}

fn refused(reader: &mut Reader<'_>, default: Speed) -> Speed {
    reader.problem("speed", "allowed: \"max\" or 0.001 to 1000000 (times real time)");
    default
}

fn read_replay(reader: &mut Reader<'_>, around: &Around<'_>) -> Option<FeedConfig> {
    reader.missing("path", "a .csv or .csv.gz file of candles or trades; {symbol} stands for the instrument");
    let speed = read_speed(reader, Speed::Max);
    let path = reader.text("path")?;
    if around.instruments.len() > 1 && !path.contains("{symbol}") {
        reader.problem("path", "several instruments need {symbol} in the path");
        return None;
    }
    let mut files = Vec::new();
    for instrument in around.instruments {
        let name = path.replace("{symbol}", instrument.symbol.as_str());
        match find_data(&name, around.beside, around.env) {
            Ok(file) => files.push(file),
            Err(places) => {
                let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
                reader.problem("path", format!("no such data file; looked for {}", places.join(", ")));
            }
        }
    }
    Some(FeedConfig::Replay { path, files, speed })
}

fn read_synthetic(reader: &mut Reader<'_>, around: &Around<'_>) -> Option<FeedConfig> {
    let speed = read_speed(reader, Speed::Times(Decimal::from(300)));
    let seed = reader.whole("seed", 0..=u64::MAX, "seed").unwrap_or(1);
    let candles = reader.whole("candles", 1..=1_000_000_000, "candles of each instrument; endless without it");
    let start = read_start(reader);
    let interval = read_interval(reader, around.timeframe);
    let volatility = reader.decimal("volatility_day", Decimal::new(1, 4)..=Decimal::ONE, "fraction; 0.03 = 3 % a day");
    let prices = start_prices(reader, around.instruments);
    let instruments = around.instruments.iter().zip(prices?).map(|(instrument, price)| {
        let made = SyntheticInstrument::new(price, instrument.tick);
        SyntheticInstrument { volatility_day: volatility.unwrap_or(made.volatility_day), ..made }
    });
    let spec = SyntheticSpec { seed, start, interval: interval?, instruments: instruments.collect(), candles };
    if let Err(error) = SyntheticFeed::new(spec.clone()) {
        let key = if error.key == "tick" { "start_price" } else { error.key };
        reader.problem(key, error.to_string());
    }
    Some(FeedConfig::Synthetic { spec, speed })
}

fn read_interval(reader: &mut Reader<'_>, timeframe: Option<Timeframe>) -> Option<Timeframe> {
    let interval = reader.timeframe("interval").or(timeframe)?;
    let timeframe = timeframe?;
    if timeframe.millis() % interval.millis() != 0 {
        reader.problem("interval", format!("timeframe = {timeframe} must be a whole number of intervals"));
    }
    Some(interval)
}

/// 2025-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_735_689_600_000);

fn read_start(reader: &mut Reader<'_>) -> Timestamp {
    let given = match reader.raw("start") {
        None => return START,
        Some(Value::Text(text)) => moment(text),
        Some(Value::Number(_) | Value::Bool(_) | Value::List(_) | Value::Table(_)) => None,
    };
    given.unwrap_or_else(|| {
        reader.problem("start", "allowed: a UTC moment from 1970 on in quotes, such as \"2025-01-01T00:00:00Z\"");
        START
    })
}

/// `2025-01-01` or `2025-01-01T00:00:00Z` as a moment.
fn moment(text: &str) -> Option<Timestamp> {
    let parsed: toml_edit::Datetime = text.parse().ok()?;
    let date = parsed.date?;
    let day = day_number(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let seconds = match (parsed.time, parsed.offset) {
        (None, None) => 0,
        (Some(time), Some(toml_edit::Offset::Z)) => {
            i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second.unwrap_or(0))
        }
        (Some(_) | None, Some(_) | None) => return None,
    };
    let at = (day * 86_400 + seconds) * 1000;
    (at >= 0).then_some(Timestamp::from_millis(at))
}

/// Days since 1970-01-01 of a Gregorian date: whole years with their leap days, months counted from March.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let from_march = (month + 9) % 12;
    let year = year - i64::from(month <= 2);
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 153 days in each five months from March on; 719468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leaps + (153 * from_march + 2) / 5 + day - 1 - 719_468
}

/// `start_price` for one instrument, `start_prices` for several; the prices in the order of the instruments.
fn start_prices(reader: &mut Reader<'_>, instruments: &[Instrument]) -> Option<Vec<Price>> {
    if instruments.is_empty() {
        // Said elsewhere; the keys are known all the same.
        let _ = (reader.raw("start_price"), reader.raw("start_prices"));
        return None;
    }
    if let ([_], false) = (instruments, reader.has("start_prices")) {
        reader.missing("start_price", &price_words());
        return reader.decimal("start_price", price_range(), "quote units").map(|price| vec![Price::new(price)]);
    }
    reader.missing("start_prices", "a price for each instrument, such as { BTCUSDT = 95000 }");
    let Value::Table(table) = reader.raw("start_prices")? else {
        reader.problem("start_prices", "write it as a table such as { BTCUSDT = 95000 }");
        return None;
    };
    for name in table.keys().filter(|name| instruments.iter().all(|i| i.symbol.as_str() != *name)) {
        reader.problem("start_prices", format!("{name} is none of the instruments"));
    }
    let prices: Vec<Option<Price>> = instruments.iter().map(|i| price_of(reader, table, i.symbol.as_str())).collect();
    prices.into_iter().collect()
}

fn price_of(reader: &mut Reader<'_>, table: &Table, symbol: &str) -> Option<Price> {
    let value = table.get(symbol);
    let digits = match value {
        Some(Value::Number(digits) | Value::Text(digits)) => digits.as_str(),
        Some(Value::Bool(_) | Value::List(_) | Value::Table(_)) | None => "",
    };
    let price = digits.parse().ok().filter(|price| price_range().contains(price)).map(Price::new);
    if price.is_none() {
        let written = value.map_or_else(|| "missing".to_owned(), ToString::to_string);
        reader.problem("start_prices", format!("{symbol} = {written}; allowed: {}", price_words()));
    }
    price
}

fn price_range() -> RangeInclusive<Decimal> {
    Decimal::new(1, 8)..=Decimal::from(250_000_000_000_i64)
}

fn price_words() -> String {
    format!("{} to {} (quote units)", price_range().start(), price_range().end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_utc() {
        let millis = |text| moment(text).map(Timestamp::millis);
        assert_eq!(millis("2025-01-01T00:00:00Z"), Some(START.millis()));
        assert_eq!(millis("2025-01-01"), Some(START.millis()));
        assert_eq!(millis("2020-02-29T01:02:03Z"), Some(1_582_938_123_000));
        assert_eq!(millis("1970-01-01"), Some(0));
        for wrong in
            ["1969-12-31", "2025-02-30", "2025-01-01T00:00:00", "2025-01-01T00:00:00+01:00", "12:00:00", "x", ""]
        {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, shown) in
            [((2000, 2, 29), "2000-02-29"), ((2100, 3, 1), "2100-03-01"), ((2024, 12, 31), "2024-12-31")]
        {
            let at = Timestamp::from_millis(day_number(date.0, date.1, date.2) * 86_400_000);
            assert!(at.to_string().starts_with(shown), "{at}");
        }
    }
}
