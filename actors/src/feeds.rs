//! From a feed's configuration to the feed itself, and from the origin of its prices to the keys of the file.
//!
//! Promises: recordings are shared by all bots that replay the same file; an origin as it is stored with a state is
//! read back, never written in another form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use supervisor_config::{FeedConfig, InstanceConfig};
use supervisor_core::domain::{Candle, InstrumentIx, PublicTrade, Timeframe, Timestamp};
use supervisor_core::sim::{Feed, Recording, ReplayFeed, SyntheticError, SyntheticFeed};
use supervisor_venues::replay::{LoadError, load};

/// Why a feed cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A data file is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The made-up market cannot be walked.
    #[error(transparent)]
    Synthetic(#[from] SyntheticError),
    /// The candles are longer than the instance's, or do not divide them.
    #[error(
        "{path}: candles of {file}, which do not make up timeframe {timeframe}; use a file whose interval divides it"
    )]
    Interval {
        /// The file.
        path: String,
        /// Its interval.
        file: String,
        /// What the instance wants.
        timeframe: String,
    },
}

/// A recording that somebody may still hold.
enum Held {
    Candles(Weak<Vec<Candle>>),
    Trades(Weak<Vec<PublicTrade>>),
}

impl Held {
    fn of(recording: &Recording) -> Self {
        match recording {
            Recording::Candles(candles) => Self::Candles(Arc::downgrade(candles)),
            Recording::Trades(trades) => Self::Trades(Arc::downgrade(trades)),
        }
    }
    fn recording(&self) -> Option<Recording> {
        match self {
            Self::Candles(candles) => candles.upgrade().map(Recording::Candles),
            Self::Trades(trades) => trades.upgrade().map(Recording::Trades),
        }
    }
}

type Shelf = BTreeMap<(PathBuf, Option<SystemTime>), Held>;

/// Recordings in use, by file and its time of change; one that nobody holds any more is read again.
static SHELF: Mutex<Shelf> = Mutex::new(Shelf::new());

/// Builds the feed of an instance; reads files, so call it where blocking is allowed.
///
/// # Errors
/// [`FeedError`] when a file is missing or wrong.
pub fn build(config: &InstanceConfig) -> Result<Box<dyn Feed>, FeedError> {
    match &config.feed {
        FeedConfig::Synthetic { spec, .. } => Ok(Box::new(SyntheticFeed::new(spec.clone())?)),
        FeedConfig::Replay { files, .. } => {
            let mut series = Vec::with_capacity(files.len());
            for (at, file) in files.iter().enumerate() {
                let recording = recording(file)?;
                check_interval(config, file, &recording)?;
                series.push((InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX)), recording));
            }
            Ok(Box::new(ReplayFeed::new(series)))
        }
    }
}

fn recording(file: &Path) -> Result<Recording, LoadError> {
    let changed = std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
    let place = (file.to_owned(), changed);
    let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = shelf.get(&place).and_then(Held::recording) {
        return Ok(found);
    }
    // Read under the lock: a hundred bots that start on one file read it once.
    let loaded = load(file)?;
    shelf.retain(|_, held| held.recording().is_some());
    shelf.insert(place, Held::of(&loaded));
    Ok(loaded)
}

fn check_interval(config: &InstanceConfig, file: &Path, recording: &Recording) -> Result<(), FeedError> {
    let Some(interval) = recording.interval() else { return Ok(()) };
    let wrong = |wanted: supervisor_core::domain::Timeframe| FeedError::Interval {
        path: file.display().to_string(),
        file: interval.to_string(),
        timeframe: wanted.to_string(),
    };
    let spec = &config.spec;
    match spec.strategy.timeframes(spec.timeframe).into_iter().find(|tf| tf.millis() % interval.millis() != 0) {
        Some(timeframe) => Err(wrong(timeframe)),
        None => Ok(()),
    }
}

/// How two origins of prices ([`FeedConfig::origin`]) differ, one line for each key of the file; none when they are the
/// same, and only then. `symbols`: of the instruments, in their order.
#[must_use]
pub fn differences(old: &str, new: &str, symbols: &[String]) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (Some(before), Some(after)) = (keys(old, symbols), keys(new, symbols)) else {
        return vec![format!("feed was {old}, is {new}")];
    };
    let nothing = String::from("nothing");
    let of = |keys: &BTreeMap<String, String>, name: &str| keys.get(name).unwrap_or(&nothing).clone();
    let tell = |name: &str| {
        let (was, is) = (of(&before, name), of(&after, name));
        (was != is).then(|| format!("feed.{name} was {was}, is {is}"))
    };
    // The other keys of two kinds have nothing to do with each other.
    if let Some(kind) = tell("kind") {
        return [Some(kind), tell("path")].into_iter().flatten().collect();
    }
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told: Vec<String> = names.into_iter().filter_map(|name| tell(name)).collect();
    // The step of the prices is no key of the feed: it is told of the instrument.
    if told.is_empty() { vec!["feed: its prices are not the same".to_owned()] } else { told }
}

/// The keys of `[feed]` that an origin speaks of; `None`: it is none.
fn keys(origin: &str, symbols: &[String]) -> Option<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    let mut put = |name: &str, value: String| drop(keys.insert(name.to_owned(), value));
    if let Some(path) = origin.strip_prefix("replay of ") {
        put("kind", "replay".to_owned());
        put("path", path.to_owned());
        return Some(keys);
    }
    let made = origin.strip_prefix("made up: SyntheticSpec { ")?;
    let (market, instruments) = made.split_once("instruments: [")?;
    let (instruments, rest) = instruments.split_once(']')?;
    put("kind", "synthetic".to_owned());
    put("seed", field(market, "seed")?.to_owned());
    put("start", Timestamp::from_millis(inner(field(market, "start")?).parse().ok()?).to_string());
    put("interval", Timeframe::from_millis(inner(field(market, "interval")?).parse().ok()?).to_string());
    let candles = inner(field(rest, "candles")?);
    put("candles", if candles == "None" { "without end".to_owned() } else { candles.to_owned() });
    let instruments: Vec<&str> = instruments.split("SyntheticInstrument ").skip(1).collect();
    for (at, instrument) in instruments.iter().enumerate() {
        let price = match symbols.get(at).filter(|_| instruments.len() > 1) {
            Some(symbol) => format!("start_prices.{symbol}"),
            None => "start_price".to_owned(),
        };
        put(&price, field(instrument, "start_price")?.to_owned());
        put("volatility_day", field(instrument, "volatility_day")?.to_owned());
    }
    Some(keys)
}

/// The value behind `name: `, up to the next field.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = text.split_once(&format!("{name}: "))?;
    value.split([',', '}']).next().map(str::trim)
}

/// `7` of `Timestamp(7)`; the whole text when there are no brackets.
fn inner(text: &str) -> &str {
    text.split_once('(').map_or(text, |(_, inner)| inner.trim_end_matches(')'))
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use supervisor_config::Speed;
    use supervisor_core::domain::Price;
    use supervisor_core::sim::{SyntheticInstrument, SyntheticSpec};

    use super::*;

    fn made(prices: &[i64], change: impl FnOnce(&mut SyntheticSpec)) -> String {
        let instrument = |price: &i64| SyntheticInstrument::new(Price::new((*price).into()), Decimal::new(1, 2));
        let mut spec = SyntheticSpec {
            seed: 1,
            start: Timestamp::from_millis(1_735_689_600_000),
            interval: Timeframe::from_millis(60_000),
            instruments: prices.iter().map(instrument).collect(),
            candles: None,
        };
        change(&mut spec);
        FeedConfig::Synthetic { spec, speed: Speed::Max }.origin()
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        differences(old, new, &["BTCUSDT".to_owned(), "ETHUSDT".to_owned()])
    }

    #[test]
    fn the_stored_form_of_an_origin_is_as_it_was() {
        let stored = "made up: SyntheticSpec { seed: 1, start: Timestamp(1735689600000), interval: Timeframe(60000), \
                      instruments: [SyntheticInstrument { start_price: 100, tick: 0.01, volatility_day: 0.03 }], \
                      candles: None }";
        assert_eq!(made(&[100], |_| ()), stored);
        assert!(told(stored, &made(&[100], |_| ())).is_empty());
    }

    #[test]
    fn a_difference_is_told_with_the_keys_of_the_file() {
        let old = made(&[100], |_| ());
        assert_eq!(told(&old, &made(&[100], |spec| spec.seed = 2)), ["feed.seed was 1, is 2"]);
        let new = made(&[250], |spec| {
            spec.start = spec.start + 86_400_000;
            spec.interval = Timeframe::from_millis(300_000);
            spec.candles = Some(5_000);
            spec.instruments[0].volatility_day = Decimal::new(1, 1);
        });
        let expected = [
            "feed.candles was without end, is 5000",
            "feed.interval was 1m, is 5m",
            "feed.start was 2025-01-01T00:00:00.000Z, is 2025-01-02T00:00:00.000Z",
            "feed.start_price was 100, is 250",
            "feed.volatility_day was 0.03, is 0.1",
        ];
        assert_eq!(told(&old, &new), expected);
        let finer = made(&[100], |spec| spec.instruments[0].tick = Decimal::new(1, 3));
        assert_eq!(told(&old, &finer), ["feed: its prices are not the same"]);
        let two = told(&made(&[100, 10], |_| ()), &made(&[100, 11], |_| ()));
        assert_eq!(two, ["feed.start_prices.ETHUSDT was 10, is 11"]);
    }

    #[test]
    fn another_recording_or_kind_and_what_cannot_be_read_are_told_too() {
        assert_eq!(told("replay of a.csv", "replay of b.csv"), ["feed.path was a.csv, is b.csv"]);
        let kinds = told("replay of a.csv", &made(&[100], |_| ()));
        assert_eq!(kinds, ["feed.kind was replay, is synthetic", "feed.path was a.csv, is nothing"]);
        assert_eq!(told("one", "another"), ["feed was one, is another"]);
    }
}
