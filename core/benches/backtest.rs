//! Candles per second on one core: trend following with its defaults and a grid of 20 lines, against the same averages
//! in a loop by hand.
//!
//! Counted is everything a backtest does, gate, messages and accounting included; the candles are in memory before.

mod common;

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use supervisor_core::spec::InstanceSpec;

fn main() {
    divan::main();
    if common::is_measuring() {
        compare();
    }
}

fn run(bencher: Bencher<'_, '_>, spec: &Arc<InstanceSpec>, candles: &common::Candles) {
    bencher
        .counter(ItemsCount::new(candles.len()))
        .with_inputs(|| common::backtest(spec, candles))
        .bench_local_refs(|backtest| backtest.run_silent());
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn trend_year(bencher: Bencher<'_, '_>) {
    run(bencher, &common::trend(), &common::year());
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn grid_year(bencher: Bencher<'_, '_>) {
    let candles = common::year();
    run(bencher, &common::grid(&candles), &candles);
}

#[divan::bench(sample_count = 100, sample_size = 1, ignore = common::recorded().is_none())]
fn trend_recorded(bencher: Bencher<'_, '_>) {
    if let Some(candles) = common::recorded() {
        run(bencher, &common::trend(), &candles);
    }
}

#[divan::bench(sample_count = 100, sample_size = 1, ignore = common::recorded().is_none())]
fn grid_recorded(bencher: Bencher<'_, '_>) {
    if let Some(candles) = common::recorded() {
        run(bencher, &common::grid(&candles), &candles);
    }
}

#[divan::bench(sample_count = 100, sample_size = 1)]
fn loop_by_hand(bencher: Bencher<'_, '_>) {
    let closes = closes();
    bencher.counter(ItemsCount::new(closes.len())).bench_local(|| cross(black_box(&closes)));
}

fn closes() -> Vec<f64> {
    common::year().iter().map(|candle| candle.close.to_f64()).collect()
}

/// A cross of EMA 20 and 50 over floats, all in and all out at the close, 0.1 % fee: what a backtest costs without
/// orders, rules, records and exact amounts.
fn cross(closes: &[f64]) -> (f64, u32) {
    let first = closes.first().copied().unwrap_or_default();
    let (mut fast, mut slow, mut above) = (first, first, false);
    let (mut cash, mut base, mut orders) = (10_000.0, 0.0, 0);
    for close in closes {
        fast += (close - fast) * (2.0 / 21.0);
        slow += (close - slow) * (2.0 / 51.0);
        if (fast > slow) != above {
            above = !above;
            orders += 1;
            if above {
                (base, cash) = (cash * 0.999 / close, 0.0);
            } else {
                (cash, base) = (base * close * 0.999, 0.0);
            }
        }
    }
    (cash + base * closes.last().copied().unwrap_or_default(), orders)
}

/// The shortest runs of each, side by side, so that their proportion does not depend on the machine's other work.
fn compare() {
    let (candles, closes) = (common::year(), closes());
    let rate = |time: std::time::Duration| common::YEAR as f64 / time.as_secs_f64() / 1e6;
    let by_hand = rate(common::best(20, || (), |()| cross(black_box(&closes))));
    println!("\nmillion candles per second, best of 10; the loop by hand makes {by_hand:.0}");
    for (name, spec) in [("trend following", common::trend()), ("grid of 20 lines", common::grid(&candles))] {
        let ours = rate(common::best(10, || common::backtest(&spec, &candles), |backtest| backtest.run_silent()));
        println!("  {name:<16} {ours:.2} ({:.0} times slower than the loop)", by_hand / ours);
    }
}
