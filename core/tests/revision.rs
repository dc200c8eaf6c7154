//! Other settings for an instance that keeps its state: what goes on, what begins anew, and that everything adds up.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::revising::{FREE, GRID, TREND, dip, flat, go, hill, in_cells, line, position, resting, revise, stop, with};
use common::{
    MINUTE, ORDERS, advance_to, backtest, candle, check, check_state, command, dec, feed, instrument, lines, notes,
    qty, running, spec, synthetic, walk,
};
use serde_json::Value;
use std::sync::Arc;
use supervisor_core::domain::{Candle, InstrumentIx, Purpose, Qty, Timeframe};
use supervisor_core::instance::{Control, Fact, FactRecord, InstanceState};
use supervisor_core::orders::{CancelReason, Life};
use supervisor_core::sim::{Backtest, SeededRng};
use supervisor_core::spec::InstanceSpec;
use supervisor_core::strategy::{AnyStrategy, Note};

fn grid(more: &str) -> InstanceSpec {
    spec(&format!("{GRID}; {more}"), FREE, "")
}

#[test]
fn another_order_value_plans_the_grid_anew_around_what_it_holds() {
    let old = grid("quantity = 1; breaker = off");
    let mut run = running(&old, &dip(30), 4);
    assert_eq!(resting(&run), ["buy 1 80", "sell 1 100"]);
    let new = with(&old, &format!("{GRID}; quantity = 0.4; breaker = off"));
    let facts = revise(&mut run, &new);
    assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
    assert_eq!(position(&run), qty("1"), "the position is not touched");
    let facts = go(&mut run, 2);
    assert_eq!(lines(&facts, &["order.ended"]), ["ended 2 canceled", "ended 3 canceled"]);
    assert_eq!(facts.iter().filter(|r| matches!(r.fact, Fact::GridPlanned(_))).count(), 1);
    // 96: the nearest line is 100. Cells 90-100 and above are stocked from the lowest; what is left tops the last one.
    assert_eq!(resting(&run), ["buy 0.4 80", "buy 0.4 90", "sell 0.4 110", "sell 0.6 120"]);
    assert_eq!((in_cells(&run, 0), position(&run)), (Some(qty("1")), qty("1")));
    check_state(&new, &run.state(), "planned anew");
}

#[test]
fn another_range_waits_until_the_last_order_of_the_old_one_is_over() {
    // Cancels take two and a half candles to arrive; meanwhile an old buy fills.
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off"), &format!("{FREE}; latency_ms = 60000"), "");
    let mut candles = dip(8);
    candles.push(candle(8, ["96", "96", "79", "85"]));
    candles.extend((9..40).map(|minute| flat(minute, "85")));
    let mut run = running(&old, &candles, 8);
    let new = with(&old, "kind = grid; levels = 5; lower = 76; upper = 96; quantity = 1; breaker = off");
    assert!(!revise(&mut run, &new).is_empty());
    let facts = go(&mut run, 1);
    let fills = lines(&facts, &["order.fill"]);
    assert!(fills.iter().any(|fill| fill.contains("at 80")), "an old line fills on its way out: {fills:?}");
    assert_eq!(in_cells(&run, 0), None, "no ladder while an old order may fill");
    go(&mut run, 12);
    assert_eq!(in_cells(&run, 0), Some(position(&run)), "and its base is the new ladder's");
    check_state(&new, &run.state(), "planned anew");
}

#[test]
fn a_higher_range_sells_what_it_finds_and_buys_nothing_twice() {
    let old = grid("order_value = 100; start = balanced; breaker = off");
    let mut run = running(&old, &dip(40), 6);
    let held = position(&run);
    assert!(held > qty("2"), "{held}");
    let new = with(
        &old,
        "kind = grid; levels = 5; lower = 90; upper = 130; order_value = 100; start = balanced; breaker = off",
    );
    revise(&mut run, &new);
    let facts = go(&mut run, 3);
    let bought: Vec<String> = lines(&facts, &ORDERS).into_iter().filter(|order| order.contains("market")).collect();
    let planned: Qty = ["110", "120", "130"].iter().map(|p| qty(&(dec("100") / dec(p)).to_string())).sum();
    assert!(bought.is_empty() || held < planned, "{bought:?} with {held} held");
    assert_eq!(in_cells(&run, 0), Some(position(&run)));
    check_state(&new, &run.state(), "planned anew");
}

#[test]
fn another_stop_keeps_ladder_and_orders_and_is_in_force_at_once() {
    let old = grid("quantity = 1; breaker = off; stop_loss_price = 70");
    let mut run = running(&old, &dip(30), 4);
    let (before, orders) = (line(&run, 0)["ladder"]["cells"].clone(), resting(&run));
    assert_eq!(stop(&run).as_deref(), Some("70"));
    for (settings, stands) in [("stop_loss_price = 75", Some("75")), ("stop_loss_price = 60", Some("60")), ("", None)] {
        let facts = revise(&mut run, &with(&old, &format!("{GRID}; quantity = 1; breaker = off; {settings}")));
        assert_eq!(facts.len(), 1, "only that it was revised: {facts:?}");
        assert_eq!(stop(&run).as_deref(), stands);
        assert_eq!((line(&run, 0)["ladder"]["cells"].clone(), resting(&run)), (before.clone(), orders.clone()));
    }
    // The one that was taken away does not fire, one that is back does.
    let mut candles = dip(8);
    candles.extend([
        candle(8, ["96", "96", "69", "72"]),
        flat(9, "72"),
        candle(10, ["72", "72", "58", "60"]),
        flat(11, "60"),
    ]);
    let mut run = running(&old, &candles, 4);
    revise(&mut run, &with(&old, &format!("{GRID}; quantity = 1; breaker = off; stop_loss_price = 59")));
    let facts = go(&mut run, 5);
    assert!(lines(&facts, &["position.guarded"]).is_empty());
    let facts = go(&mut run, 6);
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Stop"]);
    assert!(position(&run).is_zero());
}

#[test]
fn another_brake_keeps_ladder_and_orders() {
    let old = grid("quantity = 1; breaker = off");
    let mut run = running(&old, &dip(30), 4);
    let (before, orders) = (line(&run, 0)["ladder"]["cells"].clone(), resting(&run));
    let brakes = "breaker = on; breaker_timeframe = 5m; trend_filter = on";
    let facts = revise(&mut run, &with(&old, &format!("{GRID}; quantity = 1; {brakes}")));
    assert_eq!(facts.len(), 1, "{facts:?}");
    assert_eq!((line(&run, 0)["ladder"]["cells"].clone(), resting(&run)), (before, orders));
    assert!(line(&run, 0)["breaker"].is_object() && line(&run, 0)["filter"].is_object());
    go(&mut run, 12);
    let market = serde_json::to_value(&run.stages().market).unwrap();
    assert_eq!(market["wanted"], serde_json::json!([60_000, 300_000]), "the brake has its candles");
}

/// A calm market with one wild candle, number 20.
fn shaken() -> Vec<Candle> {
    let calm = |minute| candle(minute, ["104", "104.1", "103.9", "104"]);
    let mut candles: Vec<Candle> = (0..50).map(calm).collect();
    candles[20] = candle(20, ["104", "104.8", "103.3", "104"]);
    candles
}

#[test]
fn a_tripped_breaker_stays_tripped_when_the_lines_change() {
    let brake = "breaker_timeframe = 1m; resume_candles = 2";
    let old = grid(&format!("quantity = 1; {brake}"));
    let mut run = running(&old, &shaken(), 21);
    assert!(notes(&run.list_mut().drain_facts()).iter().any(|note| matches!(note, Note::BreakerTripped { .. })));
    revise(&mut run, &with(&old, &format!("{GRID}; quantity = 2; {brake}")));
    let facts = go(&mut run, 2);
    assert_eq!(facts.iter().filter(|r| matches!(r.fact, Fact::GridPlanned(_))).count(), 1);
    assert_eq!(lines(&facts, &ORDERS), [""; 0], "entries are off");
    let facts = go(&mut run, 12);
    assert!(notes(&facts).iter().any(|note| matches!(note, Note::BreakerCleared { .. })));
    assert_eq!(resting(&run), ["buy 2 80", "buy 2 90"]);
}

#[test]
fn a_start_trigger_that_was_reached_is_not_waited_for_again() {
    let old = grid("quantity = 1; breaker = off; start_price = 104");
    let candles: Vec<Candle> = walk(&["110", "107", "104", "106", "108", "108", "108", "108", "108"]);
    let mut run = running(&old, &candles, 3);
    assert_eq!(resting(&run).len(), 2);
    revise(&mut run, &with(&old, &format!("{GRID}; quantity = 2; breaker = off; start_price = 104")));
    let facts = go(&mut run, 2);
    assert!(!notes(&facts).iter().any(|note| matches!(note, Note::WaitsForStart { .. })), "{facts:?}");
    assert!(resting(&run).contains(&"buy 2 90".to_owned()), "{:?}", resting(&run));
    // One that was not reached still is; another one is waited for from here.
    let mut run = running(&old, &candles, 2);
    revise(&mut run, &with(&old, &format!("{GRID}; quantity = 2; breaker = off; start_price = 104")));
    assert_eq!(resting(&run).len(), 0);
    go(&mut run, 1);
    assert_eq!(resting(&run).len(), 2);
}

#[test]
fn a_grid_that_its_stop_ended_stays_over_until_its_lines_or_ends_change() {
    let text = "quantity = 1; breaker = off; stop_loss_price = 70";
    let old = grid(text);
    let mut candles = dip(4);
    candles.push(candle(4, ["96", "96", "69", "72"]));
    candles.extend((5..30).map(|minute| flat(minute, "96")));
    let over = |run: &Backtest| line(run, 0)["over"].as_bool().unwrap();
    let mut run = running(&old, &candles, 8);
    assert!(over(&run) && position(&run).is_zero());
    revise(&mut run, &with(&old, &format!("{GRID}; {text}; trend_filter = on")));
    let slower = InstanceSpec { timeframe: Timeframe::from_millis(120_000), ..old.clone() };
    revise(&mut run, &slower);
    let facts = go(&mut run, 4);
    assert!(over(&run) && lines(&facts, &ORDERS).is_empty());
    revise(&mut run, &with(&old, &format!("{GRID}; quantity = 0.5; breaker = off; stop_loss_price = 70")));
    go(&mut run, 3);
    assert_eq!(resting(&run), ["buy 0.5 80", "buy 0.5 90"]);
}

#[test]
fn a_paused_bot_stays_paused_through_it() {
    let old = grid("quantity = 1; breaker = off");
    let mut run = running(&old, &dip(30), 4);
    command(&mut run, Control::Pause);
    for text in ["quantity = 0.5; breaker = off", "quantity = 0.5; breaker = off; stop_loss_price = 60"] {
        revise(&mut run, &with(&old, &format!("{GRID}; {text}")));
        let facts = go(&mut run, 3);
        assert!(lines(&facts, &ORDERS).is_empty(), "{facts:?}");
        assert!(run.stages().risk.gate().latches().paused);
    }
    command(&mut run, Control::Resume);
    go(&mut run, 2);
    assert_eq!(in_cells(&run, 0), Some(position(&run)));
    assert!(resting(&run).contains(&"buy 0.5 80".to_owned()), "{:?}", resting(&run));
}

#[test]
fn limits_are_in_force_at_once() {
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off"), FREE, "dry_run = true");
    let mut run = running(&old, &dip(30), 4);
    assert_eq!(resting(&run), [""; 0]);
    let mut new = old.clone();
    new.risk.dry_run = false;
    new.risk.max_capital_per_symbol = dec("0.0085");
    let facts = revise(&mut run, &new);
    assert_eq!(lines(&facts, &ORDERS), ["order 4 buy 1 limit 80"], "what was refused is asked for again");
    assert_eq!(lines(&facts, &["risk.vetoed"]), ["veto 3 max_capital_per_symbol"], "and meets the new cap");
    new.risk.max_capital_per_symbol = dec("1");
    assert_eq!(lines(&revise(&mut run, &new), &["order.cancel_wanted"]), [""; 0]);
    check_state(&new, &run.state(), "revised");
}

#[test]
fn an_order_timeout_is_in_force_at_once() {
    let old = grid("quantity = 1; breaker = off");
    let mut run = running(&old, &dip(40), 4);
    let new = InstanceSpec { order_timeout_ms: 10 * MINUTE, ..old };
    assert_eq!(revise(&mut run, &new).len(), 1);
    let facts = go(&mut run, 12);
    let timed_out = |r: &FactRecord| match r.fact {
        Fact::Ended(ended) => ended.life == Life::Canceled && ended.reason == Some(CancelReason::Expired),
        _ => false,
    };
    assert_eq!(facts.iter().filter(|r| timed_out(r)).count(), 2, "both orders rested for longer");
}

#[test]
fn another_stop_distance_keeps_the_indicators_of_a_trend_follower() {
    let old = spec(&format!("{TREND}; fast = 5; stop_atr = 2"), FREE, "price_collar_pct = 1");
    let mut run = running(&old, &hill(), 70);
    let (before, guard) = (line(&run, 0), stop(&run));
    assert!(position(&run).is_positive() && guard.is_some());
    let facts = revise(&mut run, &with(&old, &format!("{TREND}; fast = 5; stop_atr = 4; trail_atr = 5")));
    assert_eq!(facts.len(), 1, "{facts:?}");
    assert_eq!((line(&run, 0), stop(&run)), (before, guard), "an entry's own stop stays");
    let AnyStrategy::TrendFollowing(_) = run.stages().strategy.strategy() else { panic!() };
    let value = serde_json::to_value(run.stages().strategy.strategy()).unwrap();
    assert_eq!(value["trend_following"]["params"]["stop_atr"], 4.0);
}

#[test]
fn another_period_warms_a_trend_follower_up_again_with_its_position() {
    let old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 1");
    let mut run = running(&old, &hill(), 70);
    let (held, guard) = (position(&run), stop(&run));
    let new = with(&old, &format!("{TREND}; fast = 4"));
    let facts = revise(&mut run, &new);
    assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
    assert_eq!(line(&run, 0)["above"], Value::Null);
    let facts = go(&mut run, 2);
    assert!(lines(&facts, &ORDERS).is_empty());
    assert_eq!((position(&run), guard.is_some() && stop(&run) >= guard), (held, true), "guarded as before");
    let facts = go(&mut run, 60);
    assert_eq!(lines(&facts, &["position.round_trip"]).len(), 1, "and left when its stop is reached");
    check_state(&new, &run.state(), "the end");
}

#[test]
fn an_exit_at_market_is_not_called_back_and_an_entry_is() {
    let slow = format!("{FREE}; latency_ms = 30000");
    let far = format!("{TREND}; stop_atr = 60; trail_atr = 90");
    let old = spec(&format!("{far}; fast = 5"), &slow, "price_collar_pct = 1");
    let mut run = backtest(&old, &hill());
    let new = with(&old, &format!("{far}; fast = 4"));
    let in_flight =
        |run: &Backtest, wanted| run.stages().orders.desk().open().values().any(|order| order.terms.purpose == wanted);
    while !in_flight(&run, Purpose::Entry) && run.advance() {}
    let mut other = Backtest::resume(Arc::new(old.clone()), feed(vec![hill()]), run.state());
    revise(&mut other, &new);
    let facts = go(&mut other, 2);
    assert!(lines(&facts, &["order.ended"]).iter().all(|ended| ended.ends_with("canceled")), "{facts:?}");
    assert!(position(&other).is_zero() && other.stages().orders.desk().open().is_empty());
    while !in_flight(&run, Purpose::Exit) && run.advance() {}
    assert!(position(&run).is_positive());
    revise(&mut run, &new);
    go(&mut run, 2);
    assert!(position(&run).is_zero(), "it has left");
    check_state(&new, &run.state(), "left");
}

#[test]
fn another_timeframe_begins_anew() {
    for (text, more) in [(format!("{GRID}; quantity = 1; breaker = off"), 12), (format!("{TREND}; fast = 5"), 60)] {
        let old = spec(&text, FREE, "price_collar_pct = 1");
        let mut run = running(&old, &hill(), 62);
        let new = InstanceSpec { timeframe: Timeframe::from_millis(5 * MINUTE), ..old };
        let facts = revise(&mut run, &new);
        assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
        let facts = go(&mut run, more);
        let planned: Vec<i64> = facts
            .iter()
            .filter(|r| matches!(r.fact, Fact::GridPlanned(_)))
            .map(|r| (r.at.millis() + 1) % (5 * MINUTE))
            .collect();
        assert!(
            planned.iter().all(|rest| *rest == 0) && planned.len() <= 1,
            "at the end of a candle of five: {planned:?}"
        );
        assert_eq!(planned.len(), usize::from(text.starts_with(GRID)));
        check_state(&new, &run.state(), "anew");
    }
}

/// A grid of one or two instruments that gets other settings at random moments, with every latency.
fn restless(seed: u64) -> (u64, u64) {
    let mut rng = SeededRng::new(seed);
    let latency = [0, 50, 20_000, 60_000][rng.below(4) as usize];
    let text = |rng: &mut SeededRng| {
        let width = ["3", "6", "10"][rng.below(3) as usize];
        let value = ["150", "300", "450"][rng.below(3) as usize];
        let start = ["cash", "balanced"][rng.below(2) as usize];
        let end = ["", "; stop_loss_price = 93"][rng.below(2) as usize];
        format!(
            "kind = grid; levels = 9; width_pct = {width}; order_value = {value}; start = {start}; breaker = off{end}"
        )
    };
    let venue = format!("latency_ms = {latency}; queue = touch; spread_pct = 0.02");
    let mut spec = spec(&text(&mut rng), &venue, "");
    if seed.is_multiple_of(3) {
        spec.instruments.push(instrument("ETHUSDT"));
    }
    let count = spec.instruments.len();
    let mut run = Backtest::new(Arc::new(spec.clone()), feed(synthetic(9_000 + seed, count, 220, "0.15")));
    let (mut replans, mut inputs) = (0, 0);
    while run.advance() {
        inputs += 1;
        let about = format!("seed {seed}, input {inputs}");
        let quiet = !run.list().has_facts();
        run.list_mut().drop_facts();
        if quiet && rng.below(60) != 0 {
            continue;
        }
        check(run.list().spec(), run.stages(), run.scheduler().venue(), &about);
        for ix in 0..count {
            let held = run.stages().orders.positions()[ix].qty();
            if let Some(cells) = in_cells(&run, ix) {
                assert_eq!(cells, held, "{about}: base in the cells of {ix} and held");
            }
            let mut tags: Vec<u32> = run
                .stages()
                .orders
                .desk()
                .open()
                .values()
                .filter(|order| order.terms.instrument == InstrumentIx(ix as u16))
                .map(|order| order.terms.tag.0)
                .collect();
            let all = tags.len();
            tags.sort_unstable();
            tags.dedup();
            assert_eq!(tags.len(), all, "{about}: two orders of one line of {ix}");
        }
        if quiet || rng.below(25) == 0 {
            spec = with(&spec, &text(&mut rng));
            if rng.below(6) == 0 {
                spec.timeframe = Timeframe::from_millis([1, 3][rng.below(2) as usize] * MINUTE);
            }
            let facts = revise(&mut run, &spec);
            replans += u64::from(!lines(&facts, &["order.cancel_wanted"]).is_empty());
        }
    }
    (replans, run.stages().orders.desk().counts().1)
}

#[test]
fn nothing_is_forgotten_or_counted_twice_whenever_the_settings_change() {
    let (mut replans, mut fills) = (0, 0);
    for seed in 0..90 {
        let (more, filled) = restless(seed);
        (replans, fills) = (replans + more, fills + filled);
    }
    assert!(replans > 200 && fills > 2_000, "{replans} plans, {fills} fills");
}

#[test]
fn a_state_under_other_settings_is_written_and_read_back() {
    let old = grid("quantity = 1; breaker = off");
    let mut run = running(&old, &dip(30), 4);
    let new = with(&old, &format!("{GRID}; quantity = 0.4; breaker = off"));
    revise(&mut run, &new);
    let state = run.state();
    let back = InstanceState::decode(new.id, &state.encode(new.id).unwrap()).unwrap();
    let mut other = Backtest::resume(Arc::new(new), feed(vec![dip(30)]), back);
    advance_to(&mut run, 20 * MINUTE);
    advance_to(&mut other, 20 * MINUTE);
    assert_eq!(run.state(), other.state());
}
