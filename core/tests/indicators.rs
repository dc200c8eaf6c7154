//! The streaming indicators against two judges: the reference columns of the shared data (where they are present), and
//! the textbook formulas written out slowly over the whole history (always).

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[path = "indicators/textbook.rs"]
mod textbook;

use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use supervisor_core::indicators::{Adx, AdxValue, Atr, Ema, Rsi, Sma, TrueRange};
use textbook::textbook;

/// Name of each compared column with the number of rows before its first value.
const COLUMNS: [(&str, usize); 20] = [
    ("sma_5", 4),
    ("sma_10", 9),
    ("sma_20", 19),
    ("sma_30", 29),
    ("sma_50", 49),
    ("sma_200", 199),
    ("ema_9", 8),
    ("ema_12", 11),
    ("ema_20", 19),
    ("ema_26", 25),
    ("ema_50", 49),
    ("ema_200", 199),
    ("rsi_7", 7),
    ("rsi_14", 14),
    ("trange", 1),
    ("atr_7", 7),
    ("atr_14", 14),
    ("adx_14", 27),
    ("plus_di_14", 14),
    ("minus_di_14", 14),
];

/// Reference files with the number of their rows.
const FILES: [(&str, usize); 5] = [
    ("ALGOUSDT-1m-zero-volume.csv.gz", 2000),
    ("BTCUSDT-1d.csv.gz", 2191),
    ("BTCUSDT-1m.csv.gz", 3000),
    ("ETHUSDT-5m.csv.gz", 3000),
    ("LINKUSDT-1h.csv.gz", 3000),
];

/// 20 columns of 13 191 rows, less 718 rows of warm-up in each of the 5 files.
const COMPARED_IN_ALL_FILES: usize = 260_230;

type Column = Vec<Option<f64>>;

#[derive(Clone, Copy, Debug)]
struct Bar {
    high: f64,
    low: f64,
    close: f64,
}

// ---- the streaming side -------------------------------------------------------------------------------------------

/// "ema_200" is ("ema", 200); "trange" has no period.
fn split(column: &str) -> (&str, usize) {
    match column.rsplit_once('_') {
        Some((name, period)) => (name, period.parse().unwrap()),
        None => (column, 0),
    }
}

fn streamed(column: &str, bars: &[Bar]) -> Column {
    let (name, n) = split(column);
    match name {
        "sma" => by_close(bars, Sma::new(n), Sma::update),
        "ema" => by_close(bars, Ema::new(n), Ema::update),
        "rsi" => by_close(bars, Rsi::new(n), Rsi::update),
        "trange" => by_bar(bars, TrueRange::new(), TrueRange::update),
        "atr" => by_bar(bars, Atr::new(n), Atr::update),
        "adx" => by_bar(bars, Adx::new(n), |adx, h, l, c| adx.update(h, l, c).map(|value| value.adx)),
        "plus_di" => by_bar(bars, Adx::new(n), |adx, h, l, c| {
            adx.update(h, l, c);
            adx.di().map(|di| di.plus_di)
        }),
        "minus_di" => by_bar(bars, Adx::new(n), |adx, h, l, c| {
            adx.update(h, l, c);
            adx.di().map(|di| di.minus_di)
        }),
        other => panic!("no indicator for {other}"),
    }
}

fn by_close<I>(bars: &[Bar], mut indicator: I, update: fn(&mut I, f64) -> Option<f64>) -> Column {
    bars.iter().map(|bar| update(&mut indicator, bar.close)).collect()
}

fn by_bar<I>(bars: &[Bar], mut indicator: I, update: fn(&mut I, f64, f64, f64) -> Option<f64>) -> Column {
    bars.iter().map(|bar| update(&mut indicator, bar.high, bar.low, bar.close)).collect()
}

// ---- data ---------------------------------------------------------------------------------------------------------

fn reference_folder() -> Option<PathBuf> {
    let data = std::env::var_os("SUPERVISOR_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let folder = data.join("reference/indicators");
    folder.is_dir().then_some(folder)
}

/// One reference file: the header's names and the rows as text.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        Self { header: lines.next().unwrap(), rows: lines.collect() }
    }

    /// An empty field is `None`; anything else has to be a finite number.
    fn column(&self, name: &str) -> Column {
        let at = self.header.iter().position(|header| header == name).unwrap();
        let number = |text: &String| (!text.is_empty()).then(|| text.parse::<f64>().unwrap());
        let column: Column = self.rows.iter().map(|row| number(&row[at])).collect();
        assert!(column.iter().flatten().all(|value| value.is_finite()), "{name} holds a value that is no number");
        column
    }

    fn bars(&self) -> Vec<Bar> {
        let (high, low, close) = (self.column("high"), self.column("low"), self.column("close"));
        let bar = |i: usize| Bar { high: high[i].unwrap(), low: low[i].unwrap(), close: close[i].unwrap() };
        (0..self.rows.len()).map(bar).collect()
    }
}

/// Seeded linear congruential numbers in 0..1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A random walk with gaps and with candles in which nothing happens, rounded to a hundredth.
fn made_market(seed: u64, start: f64, count: usize) -> Vec<Bar> {
    let (mut dice, mut price) = (Dice(seed), start);
    let cents = |x: f64| (x * 100.0).round() / 100.0;
    let mut next = || {
        if dice.roll() < 0.1 {
            return Bar { high: price, low: price, close: price };
        }
        let gap = if dice.roll() < 0.05 { 0.03 } else { 0.0 };
        let open = price * (1.0 + gap * (dice.roll() - 0.5));
        let close = open * (1.0 + 0.01 * (dice.roll() - 0.5));
        price = cents(close);
        let high = cents(open.max(close) * (1.0 + 0.003 * dice.roll()));
        let low = cents(open.min(close) * (1.0 - 0.003 * dice.roll()));
        Bar { high: high.max(price), low: low.min(price), close: price }
    };
    (0..count).map(|_| next()).collect()
}

// ---- comparison ---------------------------------------------------------------------------------------------------

fn close_enough(value: f64, expected: f64, price: f64) -> bool {
    (value - expected).abs() <= 1e-9 * expected.abs().max(price.abs())
}

/// Compares one row; true when both sides have a value and it is the same.
fn same(at: &str, row: usize, value: Option<f64>, expected: Option<f64>, price: f64) -> bool {
    match (value, expected) {
        (None, None) => false,
        (Some(value), Some(expected)) => {
            assert!(close_enough(value, expected, price), "{at}, row {row}: {value} instead of {expected}");
            true
        }
        (value, expected) => panic!("{at}, row {row}: {value:?} instead of {expected:?}"),
    }
}

fn compare_file(table: &Table, file: &str, rows: usize) -> usize {
    let bars = table.bars();
    assert_eq!(bars.len(), rows, "{file}");
    let mut compared = 0;
    for (column, warm_up) in COLUMNS {
        let (ours, theirs) = (streamed(column, &bars), table.column(column));
        let at = format!("{file} {column}");
        let equal: Vec<bool> = (0..rows).map(|i| same(&at, i, ours[i], theirs[i], bars[i].close)).collect();
        assert!(equal[..warm_up].iter().all(|equal| !equal), "{at} has a value before its warm-up is over");
        assert!(equal[warm_up..].iter().all(|equal| *equal), "{at} has no value after its warm-up");
        compared += equal.iter().filter(|equal| **equal).count();
    }
    compared
}

/// Every row up to 600, then every 97th: the textbook starts at the first candle for each of them.
fn compare_with_textbook(at: &str, bars: &[Bar]) {
    let rows = || (0..bars.len()).filter(|i| *i < 600 || i % 97 == 0);
    for (column, warm_up) in COLUMNS {
        let ours = streamed(column, bars);
        let slow = textbook(column, bars, rows());
        let at = format!("{at} {column}");
        let equal = slow.iter().filter(|(i, slow)| same(&at, *i, ours[*i], *slow, bars[*i].close)).count();
        assert_eq!(equal, rows().count() - warm_up, "{at}");
    }
}

#[test]
fn every_defined_row_of_every_reference_column_is_met() {
    let Some(folder) = reference_folder() else {
        println!("no reference data: self-made market against the textbook formulas instead");
        for seed in 1..=5 {
            compare_with_textbook(&format!("made market {seed}"), &made_market(seed, 94_098.9, 3_000));
        }
        return;
    };
    let mut compared = 0;
    for (file, rows) in FILES {
        let table = Table::read(&folder.join(file));
        let here = compare_file(&table, file, rows);
        let warm_ups: usize = COLUMNS.iter().map(|(_, warm_up)| warm_up).sum();
        assert_eq!(here, rows * COLUMNS.len() - warm_ups, "{file}");
        compared += here;
    }
    assert_eq!(compared, COMPARED_IN_ALL_FILES);
}

#[test]
fn the_streaming_values_are_those_of_the_textbook() {
    for (seed, start) in [(7, 94_098.9), (8, 12.34), (9, 3_362.61)] {
        compare_with_textbook(&format!("made market {seed}"), &made_market(seed, start, 2_000));
    }
}

#[test]
fn the_textbook_agrees_with_the_reference_too() {
    let Some(folder) = reference_folder() else {
        println!("no reference data: nothing to hold the textbook formulas against");
        return;
    };
    let (file, _) = FILES[1];
    let table = Table::read(&folder.join(file));
    let bars = table.bars();
    for (column, _) in COLUMNS {
        let theirs = table.column(column);
        for (i, slow) in textbook(column, &bars, (0..bars.len()).filter(|i| *i < 300 || i % 211 == 0)) {
            same(&format!("textbook, {file} {column}"), i, slow, theirs[i], bars[i].close);
        }
    }
}

#[test]
fn an_sma_does_not_drift_and_forgets_a_spike_with_the_candle_that_leaves() {
    let (mut sma, mut dice, mut window) = (Sma::new(200), Dice(3), std::collections::VecDeque::new());
    for i in 0..300_000u32 {
        let price = if i % 50_021 == 777 { 1e21 } else { 0.1 + 1e-4 * dice.roll() };
        window.push_back(price);
        if window.len() > 200 {
            window.pop_front();
        }
        let value = sma.update(price);
        if i >= 199 && i % 7 == 0 {
            let expected = window.iter().sum::<f64>() / 200.0;
            assert!((value.unwrap() - expected).abs() <= 1e-13 * expected, "{i}: {value:?} instead of {expected}");
        }
    }
}

// ---- bad input, and a stop midway ---------------------------------------------------------------------------------

/// One of each, with the periods that a strategy might choose.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct All(Sma, Ema, Rsi, TrueRange, Atr, Adx);

type Values = ([Option<f64>; 5], Option<AdxValue>);

impl All {
    fn new(n: usize) -> Self {
        Self(Sma::new(n), Ema::new(n), Rsi::new(n), TrueRange::new(), Atr::new(n), Adx::new(n))
    }

    fn update(&mut self, Bar { high, low, close }: Bar) -> Values {
        let by_close = [self.0.update(close), self.1.update(close), self.2.update(close)];
        let by_bar = [self.3.update(high, low, close), self.4.update(high, low, close)];
        ([by_close[0], by_close[1], by_close[2], by_bar[0], by_bar[1]], self.5.update(high, low, close))
    }

    fn values(&self) -> Values {
        ([self.0.value(), self.1.value(), self.2.value(), self.3.value(), self.4.value()], self.5.value())
    }
}

fn numbers(values: Values) -> Vec<f64> {
    let adx = values.1.into_iter().flat_map(|value| [value.adx, value.plus_di, value.minus_di]);
    values.0.into_iter().flatten().chain(adx).collect()
}

#[test]
fn an_unusable_bar_changes_nothing() {
    let (mut all, bars) = (All::new(5), made_market(4, 100.0, 60));
    for bar in bars {
        all.update(bar);
    }
    let before = all.clone();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1e101] {
        assert_eq!(all.update(Bar { high: bad, low: bad, close: bad }), ([None; 5], None));
        assert_eq!(all, before);
        assert_eq!(all.values(), before.values());
    }
}

#[test]
fn a_period_of_zero_is_one() {
    let bars = made_market(5, 100.0, 30);
    let (mut zero, mut one) = (All::new(0), All::new(1));
    for bar in bars {
        let value = zero.update(bar);
        assert_eq!(value, one.update(bar));
        assert_eq!(value.0[0], Some(bar.close));
        assert_eq!(value.0[1], Some(bar.close));
    }
}

/// `serde_json` without its feature `float_roundtrip` may read a number back one step in the last place away from what
/// was written, so the way through text is held to a rounding error. The snapshots' own format is exact.
#[test]
fn stored_and_restored_midway_it_goes_on_the_same() {
    let bars = made_market(6, 94_098.9, 120);
    for stop in [0, 1, 7, 13, 14, 20, 27, 28, 60] {
        let mut straight = All::new(14);
        for bar in &bars[..stop] {
            straight.update(*bar);
        }
        let mut by_bytes: All = postcard::from_bytes(&postcard::to_stdvec(&straight).unwrap()).unwrap();
        let mut by_text: All = serde_json::from_str(&serde_json::to_string(&straight).unwrap()).unwrap();
        assert_eq!(by_bytes, straight);
        for bar in &bars[stop..] {
            let expected = straight.update(*bar);
            assert_eq!(by_bytes.update(*bar), expected);
            let (read, expected) = (numbers(by_text.update(*bar)), numbers(expected));
            assert_eq!(read.len(), expected.len());
            let off = |(read, expected): (&f64, &f64)| (read - expected).abs() > 1e-12 * expected.abs();
            assert!(!read.iter().zip(&expected).any(off), "{read:?} instead of {expected:?}");
        }
    }
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), proptest::num::f64::ANY, -100.0..100.0, Just(0.0), Just(1e100), Just(f64::MIN_POSITIVE)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics_or_makes_a_value_that_is_no_number(
        n in 0usize..20,
        bars in prop::collection::vec((any_number(), any_number(), any_number()), 0..120),
    ) {
        let mut all = All::new(n);
        for (high, low, close) in bars {
            let values = all.update(Bar { high, low, close });
            prop_assert!(numbers(values).iter().all(|value| value.is_finite()), "{values:?}");
            prop_assert!(numbers(all.values()).iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn what_is_a_share_stays_within_its_bounds(n in 1usize..20, seed in any::<u64>()) {
        let (mut rsi, mut adx, mut atr) = (Rsi::new(n), Adx::new(n), Atr::new(n));
        for bar in made_market(seed, 50.0, 200) {
            if let Some(value) = rsi.update(bar.close) {
                prop_assert!((0.0..=100.0).contains(&value));
            }
            if let Some(value) = adx.update(bar.high, bar.low, bar.close) {
                let parts = [value.adx, value.plus_di, value.minus_di, value.plus_di + value.minus_di];
                prop_assert!(parts.iter().all(|part| (0.0..=100.0 + 1e-9).contains(part)), "{value:?}");
            }
            if let Some(value) = atr.update(bar.high, bar.low, bar.close) {
                prop_assert!(value >= 0.0);
            }
        }
    }
}
