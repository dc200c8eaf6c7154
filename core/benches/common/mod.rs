//! What the benches run on: specs, a year of made-up candles, and recorded candles where they are present.
//!
//! Promises: the same cases in every run; nothing is loaded or parsed while a clock ticks.

#![allow(dead_code)]

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rust_decimal::Decimal;
use supervisor_core::domain::{
    Candle, Instrument, InstrumentIx, Notional, Price, Qty, Timeframe, Timestamp, split_symbol,
};
use supervisor_core::params::{Reader, Table, Value};
use supervisor_core::sim::{
    Backtest, Recording, ReplayFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles,
};
use supervisor_core::spec::{Capital, InstanceSpec, Mode, OnStop, RiskLimits, VenueModel};
use supervisor_core::strategy::StrategyParams;

/// Candles of a year of minutes.
pub const YEAR: usize = 525_600;

/// Price lines of the grid case.
const LEVELS: &str = "20";

/// Candles behind a shared pointer, so that a new feed costs nothing.
pub type Candles = Arc<Vec<Candle>>;

/// A year of seeded minutes of a made-up pair near 100,000.
pub fn year() -> Candles {
    static YEAR_OF: OnceLock<Candles> = OnceLock::new();
    Arc::clone(YEAR_OF.get_or_init(|| {
        let spec = SyntheticSpec {
            seed: 42,
            start: Timestamp::from_millis(1_735_689_600_000),
            interval: Timeframe::from_millis(60_000),
            instruments: vec![SyntheticInstrument::new(Price::new(Decimal::from(100_000)), Decimal::new(1, 2))],
            candles: None,
        };
        Arc::new(synthetic_candles(&spec, YEAR).expect("a valid market"))
    }))
}

/// 50,000 recorded minutes of BTCUSDT; `None` where the recordings are absent.
pub fn recorded() -> Option<Candles> {
    static RECORDED: OnceLock<Option<Candles>> = OnceLock::new();
    RECORDED.get_or_init(|| read_recording().map(Arc::new)).clone()
}

fn read_recording() -> Option<Vec<Candle>> {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into();
    let mut path = PathBuf::from(std::env::var("SUPERVISOR_DATA").unwrap_or_else(|_| default()));
    path.push("klines/binance_spot_ohlcv/BTCUSDT-1m-20250101-20250204.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).ok()?).read_to_string(&mut text).ok()?;
    text.lines().skip(1).map(candle).collect()
}

fn candle(line: &str) -> Option<Candle> {
    let mut fields = line.split(',');
    let open_time = Timestamp::from_millis(fields.next()?.parse().ok()?);
    let mut amount = || fields.next()?.parse::<Decimal>().ok();
    let [open, high, low, close] = [amount()?, amount()?, amount()?, amount()?].map(Price::new);
    let volume = Qty::new(amount()?);
    Some(Candle { open_time, close_time: open_time + 59_999, open, high, low, close, volume })
}

/// Trend following with its defaults.
pub fn trend() -> Arc<InstanceSpec> {
    spec(&[("kind", "trend_following")])
}

/// Trend following on averages so fast that it trades all the time.
pub fn busy_trend() -> Arc<InstanceSpec> {
    spec(&[("kind", "trend_following"), ("fast", "5"), ("slow", "10"), ("adx_min", "0")])
}

/// A geometric grid of 20 lines over the whole range of the candles.
pub fn grid(candles: &[Candle]) -> Arc<InstanceSpec> {
    let lower = candles.iter().map(|candle| candle.low).min().unwrap_or_default().to_string();
    let upper = candles.iter().map(|candle| candle.high).max().unwrap_or_default().to_string();
    let keys = [("kind", "grid"), ("spacing", "geometric"), ("levels", LEVELS), ("order_value", "200")];
    spec(&[&keys[..], &[("lower", &lower), ("upper", &upper)]].concat())
}

fn spec(strategy: &[(&str, &str)]) -> Arc<InstanceSpec> {
    let value = |text: &&str| Value::Text((*text).to_owned());
    let table: Table = strategy.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    let mut problems = Vec::new();
    let empty = Table::new();
    let strategy = StrategyParams::read(&mut Reader::new(&table, &mut problems));
    let venue_model = VenueModel::read(&mut Reader::new(&empty, &mut problems));
    let risk = RiskLimits::read(&mut Reader::new(&empty, &mut problems), 150_000);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(InstanceSpec {
        id: "bench".parse().expect("a valid id"),
        instruments: vec![instrument()],
        timeframe: Timeframe::from_millis(60_000),
        capital: Capital { quote: Notional::new(Decimal::from(10_000)), base: Qty::ZERO },
        mode: Mode::Paper,
        venue_model,
        strategy: strategy.expect("a known strategy"),
        risk: RiskLimits { max_capital_per_symbol: Decimal::new(8, 1), ..risk },
        order_timeout_ms: 604_800_000,
        on_stop: OnStop::Keep,
    })
}

fn instrument() -> Instrument {
    let symbol = "BTCUSDT".parse().expect("a valid symbol");
    let (base, quote) = split_symbol(symbol).expect("a known quote asset");
    let notional_min = Notional::new(Decimal::from(5));
    Instrument { symbol, base, quote, tick: Decimal::new(1, 2), lot: Decimal::new(1, 5), notional_min }
}

/// A backtest at its start.
pub fn backtest(spec: &Arc<InstanceSpec>, candles: &Candles) -> Backtest {
    let recording = Recording::Candles(Arc::clone(candles));
    Backtest::new(Arc::clone(spec), Box::new(ReplayFeed::new(vec![(InstrumentIx(0), recording)])))
}
