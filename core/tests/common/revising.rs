//! What the tests of revisions share: bots that get other settings on the way, and a look into them.

use rust_decimal::Decimal;
use serde_json::Value;
use supervisor_core::domain::{Candle, OrderKind, Qty, Side};
use supervisor_core::instance::FactRecord;
use supervisor_core::params::Reader;
use supervisor_core::sim::Backtest;
use supervisor_core::spec::InstanceSpec;
use supervisor_core::strategy::StrategyParams;

use super::{BTC, MINUTE, candle, check, dec, price, qty, table, walk};

/// Lines at 80, 90, 100, 110 and 120.
pub const GRID: &str = "kind = grid; levels = 5; lower = 80; upper = 120";
pub const FREE: &str = "maker_fee = 0; taker_fee = 0";

pub fn with(spec: &InstanceSpec, strategy: &str) -> InstanceSpec {
    let (table, mut problems) = (table(strategy), Vec::new());
    let strategy = StrategyParams::read(&mut Reader::new(&table, &mut problems)).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    InstanceSpec { strategy, ..spec.clone() }
}

pub fn flat(minute: i64, close: &'static str) -> Candle {
    candle(minute, [close; 4])
}

/// Flat at 104, a dip that buys at 90, flat at 96 for the rest.
pub fn dip(minutes: i64) -> Vec<Candle> {
    let mut candles = vec![flat(0, "104"), candle(1, ["104", "104", "89", "96"])];
    candles.extend((2..minutes).map(|minute| flat(minute, "96")));
    candles
}

pub fn revise(run: &mut Backtest, spec: &InstanceSpec) -> Vec<FactRecord> {
    run.list_mut().drop_facts();
    run.revise(spec.clone(), "keys".to_owned());
    run.list_mut().drain_facts()
}

/// Advances by whole candles; answers the facts.
pub fn go(run: &mut Backtest, minutes: i64) -> Vec<FactRecord> {
    let until = (run.list().clock().millis() / MINUTE + 1 + minutes) * MINUTE - 1;
    let mut facts = Vec::new();
    while run.list().clock().millis() < until && run.advance() {
        facts.extend(run.list_mut().drain_facts());
        check(run.list().spec(), run.stages(), run.scheduler().venue(), "on the way");
    }
    facts
}

/// Orders that rest and are to stay: side and price, from the bottom.
pub fn resting(run: &Backtest) -> Vec<String> {
    let open = run.stages().orders.desk().open().values();
    let mut orders: Vec<(Decimal, Side, Qty)> = open
        .filter(|order| order.cancel.is_none())
        .map(|order| match order.terms.kind {
            OrderKind::Limit(price) => (price.get(), order.terms.side, order.terms.qty),
            OrderKind::Market { .. } => (Decimal::ZERO, order.terms.side, order.terms.qty),
        })
        .collect();
    orders.sort();
    orders.into_iter().map(|(price, side, qty)| format!("{side} {qty} {}", price.normalize())).collect()
}

pub fn line(run: &Backtest, ix: usize) -> Value {
    let value = serde_json::to_value(run.stages().strategy.strategy()).unwrap();
    let kind = if value.get("grid").is_some() { "grid" } else { "trend_following" };
    value[kind]["lines"][ix].clone()
}

/// Base in the cells of a ladder; `None`: no ladder.
pub fn in_cells(run: &Backtest, ix: usize) -> Option<Qty> {
    let ladder = line(run, ix)["ladder"].clone();
    let cells = ladder["cells"].as_array()?.clone();
    Some(cells.iter().map(|cell| qty(cell["held"].as_str().unwrap())).sum())
}

pub fn position(run: &Backtest) -> Qty {
    run.stages().orders.positions()[0].qty()
}

pub fn stop(run: &Backtest) -> Option<String> {
    run.stages().orders.monitor().guard(BTC)?.stop().map(|stop| stop.to_string())
}

pub const TREND: &str = "kind = trend_following; slow = 15; adx_period = 7; atr_period = 7; adx_min = 10; \
                     risk_per_trade = 0.02; max_position = 0.5";

/// Flat at 100, up to 108, down to 100; wicks of 0.3.
pub fn hill() -> Vec<Candle> {
    let up = (1..=40).map(|step| dec("100") + Decimal::new(step * 2, 1));
    let down = (1..=40).map(|step| dec("108") - Decimal::new(step * 2, 1));
    let closes: Vec<String> = vec![dec("100"); 40].into_iter().chain(up).chain(down).map(|c| c.to_string()).collect();
    let mut candles = walk(&closes.iter().map(String::as_str).collect::<Vec<_>>());
    for candle in &mut candles {
        (candle.high, candle.low) = (candle.high + price("0.3"), candle.low - price("0.3"));
    }
    candles
}
