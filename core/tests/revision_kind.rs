//! Another strategy for an instance that keeps its state: it begins anew with the position that is there, under the
//! guards and the latches that are, and what was earned is told once.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;
#[path = "recovery/live.rs"]
mod live;

use common::revising::{FREE, GRID, TREND, dip, flat, go, hill, in_cells, line, position, resting, revise, stop, with};
use common::{
    BTC, MINUTE, ORDERS, candle, check_state, command, feed, instrument, lines, money, notes, qty, running, spec,
    synthetic,
};
use live::{Live, Plan, Told, again};
use supervisor_core::domain::{Notional, Qty, Timeframe};
use supervisor_core::instance::{Control, Fact, FactRecord};
use supervisor_core::orders::ExitReason;
use supervisor_core::sim::{Backtest, SeededRng};
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_core::strategy::{AnyStrategy, Note};

fn grid(more: &str) -> InstanceSpec {
    spec(&format!("{GRID}; quantity = 1; breaker = off; {more}"), FREE, "")
}

fn trend(old: &InstanceSpec) -> InstanceSpec {
    with(old, &format!("{TREND}; fast = 5"))
}

fn is_grid(run: &Backtest) -> bool {
    matches!(run.stages().strategy.strategy(), AnyStrategy::Grid(_))
}

fn profits(facts: &[FactRecord]) -> Vec<(Notional, ExitReason)> {
    let trip = |r: &FactRecord| if let Fact::RoundTrip(t) = r.fact { Some((t.profit(), t.exit)) } else { None };
    facts.iter().filter_map(trip).collect()
}

#[test]
fn a_trend_follower_takes_over_what_a_grid_holds() {
    let old = grid("stop_loss_price = 70");
    let mut candles = dip(20);
    candles.push(candle(20, ["96", "96", "69", "72"]));
    candles.extend((21..80).map(|minute| flat(minute, "72")));
    let mut run = running(&old, &candles, 4);
    assert_eq!(resting(&run), ["buy 1 80", "sell 1 100"]);
    let new = trend(&old);
    let facts = revise(&mut run, &new);
    assert_eq!(lines(&facts, &["config.revised", "order.cancel_wanted"]).len(), 2);
    assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
    assert!(!is_grid(&run));
    let facts = go(&mut run, 2);
    assert_eq!(lines(&facts, &["order.ended"]), ["ended 2 canceled", "ended 3 canceled"]);
    assert!(run.stages().orders.desk().open().is_empty());
    assert_eq!((position(&run), stop(&run).as_deref()), (qty("1"), Some("70")), "held, and guarded as it was");
    check_state(&new, &run.state(), "taken over");
    let facts = go(&mut run, 60);
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Stop"]);
    assert_eq!((position(&run), profits(&facts).len()), (Qty::ZERO, 1));
    check_state(&new, &run.state(), "left");
}

#[test]
fn what_pairs_have_earned_is_not_told_again_by_the_way_from_flat_to_flat() {
    // Bought at 90 and 80; one of them sold at 90; what is left goes at 70.
    let mut candles = dip(3);
    candles.extend([candle(3, ["96", "96", "79", "85"]), candle(4, ["85", "91", "85", "88"])]);
    candles.extend((5..10).map(|minute| flat(minute, "88")));
    candles.push(candle(10, ["88", "88", "69", "72"]));
    candles.extend((11..20).map(|minute| flat(minute, "72")));
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off; stop_loss_price = 70"), "maker_fee = 0.001", "");
    let mut run = running(&old, &candles, 8);
    let told = profits(&run.list_mut().drain_facts());
    assert_eq!(told.iter().map(|trip| trip.1).collect::<Vec<_>>(), [ExitReason::Pair]);
    let before = run.stages().orders.positions()[0].realised();
    let new = trend(&old);
    revise(&mut run, &new);
    let facts = go(&mut run, 8);
    let trips = profits(&facts);
    let grown = run.stages().orders.positions()[0].realised() - before;
    assert_eq!(trips, [(grown, ExitReason::Stop)], "what it has realised since, no more");
    assert!(grown.is_negative());
    assert_eq!(run.stages().streak.metrics().trip_profit, told[0].0 + grown);
    // Another candle length under the same strategy begins no other count.
    let mut run = running(&spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 1"), &hill(), 70);
    let trips = |run: &Backtest| serde_json::to_value(&run.stages().orders.positions()[0]).unwrap()["trip"].clone();
    let before = trips(&run);
    let slower = InstanceSpec { timeframe: Timeframe::from_millis(5 * MINUTE), ..run.list().spec().as_ref().clone() };
    revise(&mut run, &slower);
    assert_eq!(trips(&run), before);
}

#[test]
fn a_grid_takes_over_what_a_trend_follower_holds() {
    let width = "kind = grid; levels = 9; width_pct = 10; order_value = 300; breaker = off";
    for (ends, stands) in [("", None), ("; stop_loss_price = 90", Some("90"))] {
        let old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 50");
        let mut run = running(&old, &hill(), 62);
        let held = position(&run);
        assert!(held.is_positive() && stop(&run).is_some());
        let new = with(&old, &format!("{width}{ends}"));
        let facts = revise(&mut run, &new);
        assert_eq!(lines(&facts, &["order.cancel_wanted"]), ["cancel all Replan"]);
        assert_eq!((is_grid(&run), position(&run)), (true, held));
        assert_eq!(stop(&run).as_deref(), stands, "the guard is the grid's");
        let facts = go(&mut run, 2);
        assert_eq!(facts.iter().filter(|r| matches!(r.fact, Fact::GridPlanned(_))).count(), 1);
        assert_eq!(in_cells(&run, 0), Some(position(&run)), "its cells have what is held");
        // The price goes on up: a stop of the grid does not trail behind it.
        go(&mut run, 8);
        assert_eq!(stop(&run).as_deref(), stands);
        assert_eq!(in_cells(&run, 0), Some(position(&run)));
        check_state(&new, &run.state(), "taken over");
    }
}

#[test]
fn a_grid_that_takes_over_obeys_the_commands_that_it_has_not_heard() {
    let old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 50");
    let new = with(&old, "kind = grid; levels = 9; width_pct = 10; order_value = 300; breaker = off");
    for (control, then) in [
        (Control::Pause, Control::Resume),
        (Control::Stop(OnStop::Keep), Control::Start),
        (Control::Kill, Control::ClearKill),
    ] {
        let mut run = running(&old, &hill(), 62);
        command(&mut run, control);
        revise(&mut run, &new);
        let facts = go(&mut run, 4);
        let asked = lines(&facts, &["order.approved", "risk.vetoed", "grid.planned"]);
        assert!(asked.is_empty(), "{control:?}: {asked:?}");
        command(&mut run, then);
        command(&mut run, Control::Resume);
        let facts = go(&mut run, 2);
        assert!(!lines(&facts, &ORDERS).is_empty(), "{then:?}");
        assert_eq!(in_cells(&run, 0), Some(position(&run)));
    }
}

#[test]
fn an_exit_under_way_is_neither_called_back_nor_repeated() {
    // The stop is reached, its sale takes a minute, and meanwhile another strategy takes over.
    let slow = format!("{FREE}; latency_ms = 60000");
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off; stop_loss_price = 70"), &slow, "");
    let mut candles = dip(8);
    candles.push(candle(8, ["96", "96", "69", "72"]));
    candles.extend((9..60).map(|minute| flat(minute, "72")));
    let mut run = running(&old, &candles, 6);
    let sale = |run: &Backtest| run.stages().orders.desk().leaves(BTC);
    while !sale(&run) && run.advance() {}
    let new = trend(&old);
    assert_eq!(lines(&revise(&mut run, &new), &["order.cancel_wanted"]), ["cancel all Replan"]);
    let facts = go(&mut run, 20);
    let fills = lines(&facts, &["order.fill"]);
    assert_eq!((fills.len(), position(&run)), (1, Qty::ZERO), "{fills:?}");
    assert_eq!(profits(&facts).iter().map(|trip| trip.1).collect::<Vec<_>>(), [ExitReason::Stop]);
    check_state(&new, &run.state(), "left");
}

#[test]
fn a_strategy_that_is_changed_in_custody_begins_when_it_is_released() {
    let old = grid("stop_loss_price = 70");
    let mut run = running(&old, &dip(90), 4);
    command(&mut run, Control::Quarantine);
    let mut new = trend(&old);
    new.capital.quote = money("12000");
    revise(&mut run, &new);
    assert!(is_grid(&run), "its strategy is off");
    assert_eq!(run.stages().streak.cash(), run.scheduler().venue().cash());
    go(&mut run, 3);
    command(&mut run, Control::Release);
    assert!(!is_grid(&run));
    let facts = go(&mut run, 4);
    assert_eq!((position(&run), lines(&facts, &ORDERS).len()), (qty("1"), 0));
    assert_eq!(resting(&run), [""; 0]);
    check_state(&new, &run.state(), "released");
}

#[test]
fn there_and_back_again() {
    let old = grid("");
    let mut run = running(&old, &dip(60), 4);
    revise(&mut run, &trend(&old));
    go(&mut run, 3);
    revise(&mut run, &old);
    let facts = go(&mut run, 3);
    assert_eq!(facts.iter().filter(|r| matches!(r.fact, Fact::GridPlanned(_))).count(), 1);
    assert!(!notes(&facts).iter().any(|note| matches!(note, Note::Occupied)));
    assert_eq!((in_cells(&run, 0), position(&run)), (Some(qty("1")), qty("1")));
    assert!(line(&run, 0)["ladder"].is_object());
}

fn some_text(rng: &mut SeededRng) -> String {
    let end = ["", "; stop_loss_price = 95", "; take_profit_price = 104"][rng.below(3) as usize];
    let start = ["cash", "balanced"][rng.below(2) as usize];
    match rng.below(2) {
        0 => format!("kind = grid; levels = 9; width_pct = 6; order_value = 300; start = {start}; breaker = off{end}"),
        _ => "kind = trend_following; fast = 3; slow = 8; adx_period = 4; atr_period = 4; adx_min = 5; \
              max_position = 0.4; stop_atr = 1; trail_atr = 2; risk_per_trade = 0.05"
            .to_owned(),
    }
}

/// One or two instruments whose strategy changes at random moments, with every latency. Answers changes and fills.
fn restless(seed: u64) -> (u64, u64) {
    let mut rng = SeededRng::new(seed);
    let latency = [0, 50, 20_000, 60_000][rng.below(4) as usize];
    let venue = format!("latency_ms = {latency}; queue = touch; spread_pct = 0.02");
    let mut spec = spec(&some_text(&mut rng), &venue, "");
    if seed.is_multiple_of(3) {
        spec.instruments.push(instrument("ETHUSDT"));
    }
    let count = spec.instruments.len();
    let tracks = synthetic(5_000 + seed, count, 240, "0.15");
    let mut run = Backtest::new(std::sync::Arc::new(spec.clone()), feed(tracks));
    let mut changes = 0;
    while run.advance() {
        let about = format!("seed {seed}, at {}", run.list().clock());
        run.list_mut().drop_facts();
        common::check(run.list().spec(), run.stages(), run.scheduler().venue(), &about);
        for ix in (0..count).filter(|_| is_grid(&run)) {
            let held = run.stages().orders.positions()[ix].qty();
            assert!(in_cells(&run, ix).is_none_or(|cells| cells == held), "{about}: cells and {held} held of {ix}");
        }
        if rng.below(40) == 0 {
            let next = with(&spec, &some_text(&mut rng));
            changes += u64::from(next.strategy.word() != spec.strategy.word());
            spec = next;
            revise(&mut run, &spec);
        }
    }
    (changes, run.stages().orders.desk().counts().1)
}

#[test]
fn nothing_is_forgotten_or_counted_twice_whenever_the_strategy_changes() {
    let (mut changes, mut fills) = (0, 0);
    for seed in 0..60 {
        let (more, filled) = restless(seed);
        (changes, fills) = (changes + more, fills + filled);
    }
    assert!(changes > 150 && fills > 1_000, "{changes} changes, {fills} fills");
}

#[test]
fn a_life_cut_anywhere_around_it_goes_on_as_if_nothing_had_happened() {
    let grid = grid("stop_loss_price = 70");
    let old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 50");
    let other = with(&old, "kind = grid; levels = 9; width_pct = 10; order_value = 300; breaker = off");
    for (spec, new, candles, at) in [(&grid, trend(&grid), dip(60), 10), (&old, other, hill(), 70)] {
        let tracks = vec![candles];
        let told = vec![(at, Told::Revise(Box::new(new))), (at + 12, Told::Revise(Box::new(spec.clone())))];
        let plan = Plan { told, snapshots: vec![0, at - 2, at + 2, at + 14], ..Plan::default() };
        let left = Live::new(spec, &tracks, &plan).finish(true);
        let revised = left.journal.iter().filter(|r| matches!(r.fact, Fact::Revised(_))).count();
        assert_eq!((revised, left.snapshots.len()), (2, 4));
        for cut in &left.cuts {
            for snapshot in left.snapshots.iter().filter(|s| s.facts <= *cut).map(Some).chain([None]) {
                let other = again(spec, &tracks, &plan, &left, (snapshot, *cut, false));
                assert!(left.journal == other.journal && left.bytes == other.bytes, "cut at {cut}");
                assert_eq!(left.digest, other.digest, "cut at {cut}");
            }
        }
    }
}
