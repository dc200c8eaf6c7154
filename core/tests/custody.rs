//! Custody: an instance without its strategy and its market stage. Entries go and none comes, exits and guards work by
//! prices alone; and the way out of it.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use std::sync::Arc;

use common::revising::hill;
use common::{
    BTC, MINUTE, ORDERS, backtest, candle, check, check_state, command, feed, instrument, lines, price, qty, running,
    spec, synthetic,
};
use serde_json::Value;
use supervisor_core::domain::{Candle, Purpose, Qty, Timeframe};
use supervisor_core::instance::{Audit, Control, Fact, FactRecord, Message, RiskIn};
use supervisor_core::orders::CancelReason;
use supervisor_core::risk::Latches;
use supervisor_core::sim::{Backtest, SeededRng};
use supervisor_core::spec::{InstanceSpec, OnStop};

/// Lines at 80, 90, 100, 110 and 120; one BTC on each.
const GRID: &str = "kind = grid; levels = 5; lower = 80; upper = 120; quantity = 1; breaker = off";
const FREE: &str = "maker_fee = 0; taker_fee = 0";

fn grid(more: &str) -> InstanceSpec {
    spec(&format!("{GRID}; {more}"), FREE, "")
}

fn flat(minute: i64, close: &'static str) -> Candle {
    candle(minute, [close; 4])
}

/// Flat at 104, a dip that buys at 90, 96 up to minute 8, then `more`, then 96 to minute 40.
fn market(more: &[[&'static str; 4]]) -> Vec<Candle> {
    let mut candles = vec![flat(0, "104"), candle(1, ["104", "104", "89", "96"])];
    candles.extend((2..8).map(|minute| flat(minute, "96")));
    candles.extend((8..).zip(more).map(|(minute, prices)| candle(minute, *prices)));
    candles.extend((8 + more.len() as i64..40).map(|minute| flat(minute, "96")));
    candles
}

fn go(run: &mut Backtest, minutes: i64) -> Vec<FactRecord> {
    let until = (run.list().clock().millis() / MINUTE + 1 + minutes) * MINUTE - 1;
    let mut facts = run.list_mut().drain_facts();
    while run.list().clock().millis() < until && run.advance() {
        facts.extend(run.list_mut().drain_facts());
        check(run.list().spec(), run.stages(), run.scheduler().venue(), "on the way");
    }
    facts
}

fn entries(facts: &[FactRecord]) -> usize {
    let entry = |r: &&FactRecord| matches!(r.fact, Fact::Approved { terms, .. } if terms.purpose == Purpose::Entry);
    facts.iter().filter(entry).count()
}

fn resting(run: &Backtest) -> Vec<String> {
    let open = run.stages().orders.desk().open().values();
    open.filter(|order| order.cancel.is_none()).map(|o| format!("{} {}", o.terms.side, o.terms.qty)).collect()
}

fn line(run: &Backtest, ix: usize) -> Value {
    let value = serde_json::to_value(run.stages().strategy.strategy()).unwrap();
    value["grid"]["lines"][ix].clone()
}

fn in_cells(run: &Backtest, ix: usize) -> Option<Qty> {
    let ladder = line(run, ix)["ladder"].clone();
    let cells = ladder["cells"].as_array()?.clone();
    Some(cells.iter().map(|cell| qty(cell["held"].as_str().unwrap())).sum())
}

fn position(run: &Backtest) -> Qty {
    run.stages().orders.positions()[0].qty()
}

#[test]
fn entries_go_exits_stay_and_no_entry_comes() {
    let deep: [[&str; 4]; 2] = [["96", "96", "78", "95"], ["95", "101", "95", "99"]];
    let spec = grid("");
    let mut run = running(&spec, &market(&deep), 4);
    assert_eq!(resting(&run), ["buy 1", "sell 1"]);
    command(&mut run, Control::Quarantine);
    assert_eq!(resting(&run), ["sell 1"]);
    let before = (run.stages().strategy.clone(), run.stages().market.clone());
    let facts = go(&mut run, 8);
    assert_eq!(lines(&facts, &["order.fill"]), ["fill 1 buy 1 at 90 fee 0", "fill 3 sell 1 at 100 fee 0"]);
    assert!(position(&run).is_zero());
    let facts = go(&mut run, 30);
    assert_eq!((entries(&facts), lines(&facts, &["order.fill"]).len()), (0, 0));
    let after = (run.stages().strategy.clone(), run.stages().market.clone());
    assert_eq!(before, after, "neither stage was told anything");
    check_state(&spec, &run.state(), "in custody");
}

#[test]
fn a_stop_fires_from_prices_alone() {
    for (settings, moves, why) in [
        ("stop_loss_price = 70", ["96", "96", "69", "72"], "Stop"),
        ("take_profit_price = 99", ["96", "99.5", "96", "99"], "Target"),
    ] {
        let spec = grid(settings);
        let mut candles = market(&[moves, ["72", "72", "72", "72"]]);
        // Under the target from the start.
        candles[0] = flat(0, "98");
        candles[1] = candle(1, ["98", "98", "89", "96"]);
        let mut run = running(&spec, &candles, 4);
        command(&mut run, Control::Quarantine);
        let facts = go(&mut run, 10);
        assert_eq!(lines(&facts, &["position.guarded"]), [format!("guarded {why}")]);
        assert!(position(&run).is_zero() && run.stages().orders.desk().open().is_empty());
        assert_eq!(entries(&go(&mut run, 25)), 0);
    }
}

#[test]
fn a_trailing_stop_follows_and_fires_from_prices_alone() {
    let trend = "kind = trend_following; fast = 5; slow = 15; adx_period = 7; atr_period = 7; adx_min = 10; \
                 risk_per_trade = 0.02; max_position = 0.5";
    let spec = spec(trend, FREE, "price_collar_pct = 1");
    let mut run = running(&spec, &hill(), 60);
    let stop = |run: &Backtest| run.stages().orders.monitor().guard(BTC).unwrap().stop().unwrap();
    let before = stop(&run);
    command(&mut run, Control::Quarantine);
    run.list_mut().drop_facts();
    go(&mut run, 18);
    assert!(stop(&run) > before, "it has followed");
    let facts = go(&mut run, 40);
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Trail"]);
    assert_eq!((lines(&facts, &["position.round_trip"]).len(), entries(&facts)), (1, 0));
    check_state(&spec, &run.state(), "left");
}

#[test]
fn orders_time_out() {
    let spec = InstanceSpec { order_timeout_ms: 10 * MINUTE, ..grid("") };
    let mut run = running(&spec, &market(&[]), 4);
    command(&mut run, Control::Quarantine);
    let facts = go(&mut run, 20);
    let timed_out = |r: &&FactRecord| match &r.fact {
        Fact::Ended(ended) => ended.reason == Some(CancelReason::Expired) && ended.terms.order.0 == 3,
        _ => false,
    };
    assert_eq!(facts.iter().filter(timed_out).count(), 1, "the sell");
    assert_eq!(position(&run), qty("1"), "held, guarded or not, until it is released");
}

#[test]
fn released_a_grid_begins_anew_with_what_it_holds() {
    let spec = grid("");
    let mut run = running(&spec, &market(&[]), 4);
    command(&mut run, Control::Quarantine);
    go(&mut run, 10);
    command(&mut run, Control::Release);
    assert!(!run.list().is_custody());
    let facts = go(&mut run, 2);
    assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
    assert!(lines(&facts, &["market.gap"]).is_empty(), "what it missed is no gap of the feed");
    assert_eq!((in_cells(&run, 0), position(&run)), (Some(qty("1")), qty("1")));
    assert_eq!(resting(&run), ["sell 1", "buy 1", "buy 1"]);
    check_state(&spec, &run.state(), "released");
}

#[test]
fn no_candle_that_began_before_custody_is_closed_after_it() {
    let spec = InstanceSpec { timeframe: Timeframe::from_millis(5 * MINUTE), ..grid("") };
    let mut run = running(&spec, &market(&[["96", "200", "1", "96"]]), 8);
    command(&mut run, Control::Quarantine);
    go(&mut run, 4);
    command(&mut run, Control::Release);
    run.list_mut().drop_facts();
    let market = serde_json::to_value(&run.stages().market).unwrap();
    assert_eq!((&market["books"][0]["forming"][0], &market["books"][0]["last"]), (&Value::Null, &Value::Null));
}

fn halts(run: &Backtest) -> (bool, bool, bool) {
    let value = serde_json::to_value(run.stages().strategy.strategy()).unwrap();
    let halt = |key: &str| value["grid"]["halts"][key].as_bool().unwrap();
    (halt("killed"), halt("paused"), halt("stopping"))
}

#[test]
fn what_an_operator_said_before_and_meanwhile_holds_after_it() {
    let stop = Control::Stop(OnStop::Keep);
    for (before, meanwhile, expected) in [
        (vec![], vec![], (false, false, false)),
        (vec![Control::Pause], vec![], (false, true, false)),
        (vec![], vec![Control::Pause], (false, true, false)),
        (vec![Control::Pause], vec![Control::Resume], (false, false, false)),
        (vec![], vec![Control::Kill], (true, false, false)),
        (vec![Control::Kill], vec![Control::ClearKill], (false, true, false)),
        (vec![], vec![stop], (false, false, true)),
        (vec![stop], vec![Control::Start], (false, false, false)),
    ] {
        let mut run = running(&grid(""), &market(&[]), 4);
        before.iter().for_each(|control| command(&mut run, *control));
        command(&mut run, Control::Quarantine);
        meanwhile.iter().for_each(|control| command(&mut run, *control));
        go(&mut run, 3);
        command(&mut run, Control::Release);
        let Latches { killed, paused, stopping } = run.stages().risk.gate().latches();
        assert_eq!((killed, paused, stopping), expected, "{before:?}, {meanwhile:?}: the gate");
        assert_eq!(halts(&run), expected, "{before:?}, {meanwhile:?}: the grid");
        let facts = go(&mut run, 4);
        assert_eq!(entries(&facts) > 0, expected == (false, false, false), "{before:?}, {meanwhile:?}");
    }
}

#[test]
fn settings_that_change_meanwhile_are_those_it_begins_anew_with() {
    let old = grid("stop_loss_price = 70");
    let mut run = running(&old, &market(&[]), 4);
    command(&mut run, Control::Quarantine);
    let slower = InstanceSpec { timeframe: Timeframe::from_millis(2 * MINUTE), ..grid("stop_loss_price = 75") };
    run.revise(slower.clone(), "keys".to_owned());
    let stop = run.stages().orders.monitor().guard(BTC).unwrap().stop();
    assert_eq!(stop, Some(price("75")), "the guard at once");
    go(&mut run, 3);
    command(&mut run, Control::Release);
    let facts = go(&mut run, 5);
    let planned = facts.iter().filter(|r| matches!(r.fact, Fact::GridPlanned(_)));
    assert_eq!(planned.map(|r| (r.at.millis() + 1) % (2 * MINUTE)).collect::<Vec<_>>(), [0]);
    check_state(&slower, &run.state(), "released");
}

#[test]
fn what_waits_for_the_strategy_is_dropped_when_custody_comes_first() {
    let spec = grid("");
    let mut run = backtest(&spec, &market(&[]));
    // The first candle: the strategy asks for two entries, the first of which is judged.
    run.scheduler_mut().always_expand();
    let review = |message: Option<&Message>| matches!(message, Some(Message::Risk(RiskIn::Review(_))));
    let mut list = supervisor_core::instance::Worklist::new(Arc::new(spec.clone()));
    let mut stages = supervisor_core::instance::Stages::new(&spec);
    while !review(list.front()) {
        match list.pop() {
            Some(envelope) => list.step(envelope, |cx, message, out| stages.on(cx, message, out)),
            None => assert!(run.scheduler_mut().release(&mut list)),
        }
    }
    let envelope = list.pop().unwrap();
    list.step(envelope, |cx, message, out| stages.on(cx, message, out));
    assert!(review(list.front()), "the second one waits");
    let now = list.clock();
    list.command_first(now, Audit::by_supervisor(Control::Quarantine, "failed too often"));
    while let Some(envelope) = list.pop() {
        assert!(!matches!(envelope.message, Message::Strategy(_) | Message::Market(_)), "{:?}", envelope.message);
        list.step(envelope, |cx, message, out| stages.on(cx, message, out));
    }
    let facts = list.drain_facts();
    assert_eq!(lines(&facts, &ORDERS).len(), 1);
    assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel entries EntriesOff"]);
    let open = stages.orders.desk().open();
    assert!(open.values().all(|order| order.cancel.is_some()) && open.len() <= 1, "what was approved is withdrawn");
}

/// Grids that are put into custody and released at random, with every latency.
fn in_and_out(seed: u64) -> (u64, u64, u64) {
    let mut rng = SeededRng::new(seed);
    let latency = [0, 50, 20_000, 60_000][rng.below(4) as usize];
    let end = ["", "; stop_loss_price = 92"][rng.below(2) as usize];
    let text = format!("kind = grid; levels = 9; width_pct = 6; order_value = 300; breaker = off{end}");
    let venue = format!("latency_ms = {latency}; queue = touch; spread_pct = 0.02");
    let mut spec = spec(&text, &venue, "");
    if seed.is_multiple_of(3) {
        spec.instruments.push(instrument("ETHUSDT"));
    }
    let count = spec.instruments.len();
    let mut run = Backtest::new(Arc::new(spec.clone()), feed(synthetic(7_000 + seed, count, 220, "0.15")));
    let (mut terms, mut exits) = (0, 0);
    while run.advance() {
        let facts = run.list_mut().drain_facts();
        if !facts.is_empty() {
            check(&spec, run.stages(), run.scheduler().venue(), &format!("seed {seed}"));
            let custody = run.list().is_custody();
            assert!(!custody || entries(&facts) == 0, "seed {seed}: an entry in custody");
            exits += if custody { lines(&facts, &["order.fill"]).len() as u64 } else { 0 };
            for ix in (0..count).filter(|_| !custody) {
                let held = run.stages().orders.positions()[ix].qty();
                assert!(in_cells(&run, ix).is_none_or(|cells| cells == held), "seed {seed}: {held} held");
            }
        }
        if rng.below(50) == 0 {
            let custody = run.list().is_custody();
            terms += u64::from(!custody);
            command(&mut run, if custody { Control::Release } else { Control::Quarantine });
            run.list_mut().drop_facts();
        }
    }
    (terms, exits, run.stages().orders.desk().counts().1)
}

#[test]
fn nothing_is_forgotten_or_counted_twice_in_and_out_of_custody() {
    let (mut terms, mut exits, mut fills) = (0, 0, 0);
    for seed in 0..60 {
        let (more, sold, filled) = in_and_out(seed);
        (terms, exits, fills) = (terms + more, exits + sold, fills + filled);
    }
    assert!(terms > 150 && exits > 40 && fills > 1_000, "{terms} terms, {exits} fills in them, {fills} in all");
}
