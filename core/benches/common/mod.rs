//! What the benches run on: specs, a year of made-up candles, and recorded candles where they are present.
//!
//! Promises: the same cases in every run; nothing is loaded or parsed while a clock ticks.

#![allow(dead_code, reason = "each bench uses its own part")]
#![allow(clippy::expect_used, reason = "a bench may stop at what cannot be")]
#![allow(clippy::disallowed_types, reason = "a bench measures time")]

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use supervisor_core::domain::{
    Candle, Instrument, InstrumentIx, Notional, Price, Qty, Timeframe, Timestamp, split_symbol,
};
use supervisor_core::params::{Reader, Table, Value};
use supervisor_core::sim::{Backtest, Recording, ReplayFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles};
use supervisor_core::spec::{
    Capital, ExitRules, InstanceSpec, Mode, OnStop, RiskLimits, VenueFaults, VenueModel, VenueTraits,
};
use supervisor_core::strategy::StrategyParams;

/// Candles of a year of minutes.
pub const YEAR: usize = 525_600;

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

/// The shortest of `runs` runs of `work`; `prepare` is not counted.
pub fn best<T, R>(runs: usize, prepare: impl Fn() -> T, work: impl Fn(&mut T) -> R) -> Duration {
    let run = |_| {
        let mut input = prepare();
        let start = Instant::now();
        std::hint::black_box(work(&mut input));
        start.elapsed()
    };
    (0..runs).map(run).min().unwrap_or_default()
}

/// True under `cargo bench`; false when a test run only looks whether the benches still work.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
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

/// Trend following on averages so fast that it trades all the time; without fees, so that its capital lasts.
pub fn busy_trend() -> Arc<InstanceSpec> {
    free(spec(&[("kind", "trend_following"), ("fast", "5"), ("slow", "10"), ("adx_min", "0")]))
}

/// The same averages, none of whose crosses is ever strong enough.
pub fn idle_trend() -> Arc<InstanceSpec> {
    free(spec(&[("kind", "trend_following"), ("fast", "5"), ("slow", "10"), ("adx_min", "100")]))
}

fn free(spec: Arc<InstanceSpec>) -> Arc<InstanceSpec> {
    let mut spec = Arc::unwrap_or_clone(spec);
    (spec.venue_model.maker_fee, spec.venue_model.taker_fee) = (Decimal::ZERO, Decimal::ZERO);
    Arc::new(spec)
}

/// A geometric grid of 20 lines over the whole range of the candles.
pub fn grid(candles: &[Candle]) -> Arc<InstanceSpec> {
    let lower = candles.iter().map(|candle| candle.low).min().unwrap_or_default().to_string();
    let upper = candles.iter().map(|candle| candle.high).max().unwrap_or_default().to_string();
    let lines = [("kind", "grid"), ("spacing", "geometric"), ("levels", "20"), ("order_value", "200")];
    spec(&[&lines[..], &[("lower", &lower), ("upper", &upper)]].concat())
}

fn spec(strategy: &[(&str, &str)]) -> Arc<InstanceSpec> {
    let table: Table =
        strategy.iter().map(|(key, text)| ((*key).to_owned(), Value::Text((*text).to_owned()))).collect();
    let (empty, mut problems) = (Table::new(), Vec::new());
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
        venue: VenueTraits::PAPER,
        exits: ExitRules::default(),
        faults: VenueFaults::default(),
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
