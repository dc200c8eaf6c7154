//! The cost of an order must not grow with the number of orders before it.
//!
//! Fast averages trade on every cross until so many orders are sent; the same candles without a trade are the baseline.

mod common;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use supervisor_core::sim::Backtest;

const FEW: u64 = 1_000;
const MANY: u64 = 10_000;

fn main() {
    divan::main();
    if common::is_measuring() {
        compare();
    }
}

#[divan::bench(args = [FEW, MANY], sample_count = 20, sample_size = 1)]
fn orders(bencher: Bencher<'_, '_>, count: u64) {
    let (spec, candles) = (common::busy_trend(), until(count));
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| common::backtest(&spec, &candles))
        .bench_local_refs(|backtest| backtest.run_silent());
}

fn sent(backtest: &Backtest) -> u64 {
    backtest.stages().orders.desk().counts().0
}

/// The first candles of the year, as many as it takes to send `count` orders.
fn until(count: u64) -> common::Candles {
    let year = common::year();
    let mut backtest = common::backtest(&common::busy_trend(), &year);
    while sent(&backtest) < count {
        assert!(backtest.advance(), "a year has only {} orders", sent(&backtest));
    }
    let taken = backtest.scheduler().progress().0 as usize;
    Arc::new(year[..taken].to_vec())
}

/// Nanoseconds per order over the cost of the same candles without orders; watching the position is part of it.
fn cost(count: u64) -> f64 {
    let candles = until(count);
    let time = |spec| common::best(20, || common::backtest(&spec, &candles), |backtest| backtest.run_silent());
    let (busy, idle) = (time(common::busy_trend()), time(common::idle_trend()));
    busy.saturating_sub(idle).as_nanos() as f64 / count as f64
}

fn compare() {
    let (few, many) = (cost(FEW), cost(MANY));
    println!("\nper order, candles apart, best of 20: {few:.0} ns of {FEW}, {many:.0} ns of {MANY}");
    println!("  proportion {:.2}; 1 means that the cost is linear in the number of orders", many / few);
}
