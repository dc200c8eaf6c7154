//! The check of a position at the start: each kind of oddity, and silence when there is none.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{candle, dec, feed, instrument, price, qty, running, spec, synthetic};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use supervisor_core::domain::Candle;
use supervisor_core::instance::{InstanceState, PositionOddity, check_position};
use supervisor_core::sim::Backtest;
use supervisor_core::spec::InstanceSpec;

const GRID: &str = "kind = grid; levels = 5; lower = 80; upper = 120; quantity = 1; breaker = off";

/// Bought one at 90 for 0.09, last price 96.
fn holding() -> (InstanceSpec, InstanceState) {
    let spec = spec(GRID, "maker_fee = 0.001", "");
    let mut candles: Vec<Candle> = (0..9).map(|minute| candle(minute, ["96"; 4])).collect();
    candles[0] = candle(0, ["104"; 4]);
    candles[1] = candle(1, ["104", "104", "89", "96"]);
    let state = running(&spec, &candles, 6).state();
    (spec, state)
}

fn forged(state: &InstanceState, path: &str, value: Value) -> InstanceState {
    let mut tree = serde_json::to_value(state).unwrap();
    *tree.pointer_mut(path).unwrap() = value;
    InstanceState::deserialize(&tree).unwrap()
}

fn texts(state: &InstanceState, spec: &InstanceSpec, now: &str) -> Vec<String> {
    check_position(state, spec, &[Some(price(now))]).iter().map(ToString::to_string).collect()
}

#[test]
fn a_position_that_adds_up_is_nothing_to_talk_about() {
    let (spec, state) = holding();
    assert_eq!(texts(&state, &spec, "96"), [""; 0]);
    assert_eq!(check_position(&state, &spec, &[None]), []);
    assert_eq!(check_position(&state, &spec, &[]), []);
}

#[test]
fn a_price_that_moved_by_more_than_half_is_told() {
    let (spec, state) = holding();
    // Entry at 90.09, the fee included: half of it is 45.045.
    assert_eq!(texts(&state, &spec, "45.05"), [""; 0]);
    assert_eq!(texts(&state, &spec, "135.13"), [""; 0]);
    assert_eq!(
        texts(&state, &spec, "45"),
        ["BTCUSDT: the price 45 is 50 % under 90.09, where it was; is it the same market?"]
    );
    let found = check_position(&state, &spec, &[Some(price("180.18"))]);
    let kind = PositionOddity::PriceMoved { entry: price("90.09"), now: price("180.18"), share: dec("1") };
    assert_eq!(found.iter().map(|warning| &warning.kind).collect::<Vec<_>>(), [&kind]);
    assert!(found[0].to_string().contains("100 % over"), "{}", found[0]);
}

#[test]
fn without_an_entry_the_last_price_is_what_it_moved_from() {
    let spec = spec(GRID, "", "");
    let flat = running(&spec, &[candle(0, ["104"; 4]), candle(1, ["104"; 4])], 2).state();
    assert_eq!(texts(&flat, &spec, "53"), [""; 0]);
    assert_eq!(texts(&flat, &spec, "51").len(), 1);
    let unseen = running(&spec, &[], 0).state();
    assert_eq!(texts(&unseen, &spec, "51"), [""; 0], "nothing to compare with");
}

#[test]
fn base_without_an_entry_price_is_told() {
    let (mut spec, state) = holding();
    let free = forged(&state, "/stages/orders/positions/0/cost", json!("0"));
    assert_eq!(texts(&free, &spec, "96"), ["BTCUSDT: base is held, but its entry price is not known"]);
    // Base from the start that has not met a price yet.
    spec.capital.base = qty("2");
    let unpriced = running(&spec, &[], 0).state();
    let found = check_position(&unpriced, &spec, &[Some(price("96"))]);
    assert_eq!(found.iter().map(|warning| &warning.kind).collect::<Vec<_>>(), [&PositionOddity::EntryMissing]);
}

#[test]
fn balances_that_differ_are_told_by_asset() {
    let (spec, state) = holding();
    let more = forged(&state, "/scheduler/venue/books/0/base", json!("1.5"));
    assert_eq!(texts(&more, &spec, "96"), ["BTCUSDT: the venue holds 1.5 BTC, by our own count it is 1"]);
    let less = forged(&state, "/stages/risk/gate/exposure/lines/0/position", json!("0.4"));
    assert_eq!(texts(&less, &spec, "96"), ["BTCUSDT: the venue holds 1 BTC, by our own count it is 0.4"]);
    let desk = forged(&state, "/stages/orders/positions/0/qty", json!("1.00000001"));
    assert_eq!(texts(&desk, &spec, "96"), ["BTCUSDT: the venue holds 1 BTC, by our own count it is 1.00000001"]);
    let cash = forged(&state, "/scheduler/venue/cash", json!("9909.9"));
    assert_eq!(texts(&cash, &spec, "96"), ["BTCUSDT: the venue holds 9909.9 USDT, by our own count it is 9909.91"]);
    let [a, b] = ["/scheduler/venue/cash", "/scheduler/venue/books/0/base"];
    assert_eq!(texts(&forged(&forged(&state, a, json!("1")), b, json!("0")), &spec, "96").len(), 2);
}

/// Orders under way, holds and fills between two candles are no oddity: at rest venue, gate and desk always agree.
#[test]
fn a_busy_instance_at_rest_is_never_odd() {
    let text = "kind = grid; levels = 13; width_pct = 8; order_value = 300; start = balanced; breaker = off";
    let mut spec = spec(text, "latency_ms = 45000; queue = touch; spread_pct = 0.02", "");
    spec.instruments.push(instrument("ETHUSDT"));
    let mut run = Backtest::new(Arc::new(spec.clone()), feed(synthetic(3, 2, 300, "0.12")));
    let mut busy = 0;
    while run.advance() {
        if run.list().has_facts() {
            run.list_mut().drop_facts();
            busy += u64::from(run.scheduler().venue().is_busy());
            assert_eq!(check_position(&run.state(), &spec, &[None, None]), []);
        }
    }
    assert!(busy > 50 && run.stages().orders.desk().counts().1 > 50, "{busy}");
}
