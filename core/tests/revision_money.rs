//! Another venue model and other capital for an instance that keeps its state: both count from the moment of the
//! change, gate, venue and streak agree, and a transfer is no profit, no loss and no fall.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;
#[path = "recovery/live.rs"]
mod live;

use std::sync::Arc;

use common::revising::{FREE, GRID, TREND, dip, flat, go, hill, position, resting, revise, with};
use common::{
    backtest, candle, check_state, dec, feed, finish, instrument, lines, money, qty, running, spec, synthetic,
};
use live::{Live, Plan, Told, again};
use rust_decimal::Decimal;
use supervisor_core::domain::{Candle, Notional, Timestamp};
use supervisor_core::instance::Fact;
use supervisor_core::sim::{Backtest, SeededRng};
use supervisor_core::spec::{InstanceSpec, Intrabar, QueueModel, VenueModel};

fn grid(venue: &str) -> InstanceSpec {
    spec(&format!("{GRID}; quantity = 1; breaker = off"), venue, "")
}

fn model(spec: &InstanceSpec, change: impl FnOnce(&mut VenueModel)) -> InstanceSpec {
    let mut other = spec.clone();
    change(&mut other.venue_model);
    other
}

fn capital(spec: &InstanceSpec, quote: &str) -> InstanceSpec {
    let mut other = spec.clone();
    other.capital.quote = money(quote);
    other
}

fn profit(run: &Backtest) -> Notional {
    let metrics = run.stages().streak.metrics();
    metrics.equity - metrics.equity_start.unwrap()
}

fn fall(run: &Backtest) -> Option<Decimal> {
    run.stages().streak.metrics().drawdown_share()
}

/// What gate, venue and streak hold, which must be the same.
fn cash(run: &Backtest) -> Notional {
    check_state(run.list().spec(), &run.state(), "cash");
    run.scheduler().venue().cash()
}

#[test]
fn fees_count_from_the_next_fill_also_for_what_rests() {
    let old = grid(FREE);
    let mut candles = dip(6);
    candles.extend([candle(6, ["96", "101", "96", "100"]), flat(7, "100")]);
    let mut run = running(&old, &candles, 4);
    assert_eq!(resting(&run), ["buy 1 80", "sell 1 100"]);
    let (free, before) = (run.stages().risk.gate().exposure().free_quote(), cash(&run));
    let new = model(&old, |model| model.maker_fee = dec("0.002"));
    let facts = revise(&mut run, &new);
    assert_eq!(facts.len(), 1, "only that it was revised: {facts:?}");
    let exposure = run.stages().risk.gate().exposure();
    assert_eq!(exposure.free_quote(), free - money("0.16"), "the buy at 80 is held with its fee");
    assert_eq!(exposure.with_fee(money("1000")), money("1002"));
    let facts = go(&mut run, 3);
    assert_eq!(lines(&facts, &["order.fill"]), ["fill 3 sell 1 at 100 fee 0.2"]);
    assert_eq!(cash(&run), before + money("99.8"));
    // The dearer one of the two is held.
    revise(&mut run, &model(&new, |model| (model.maker_fee, model.taker_fee) = (dec("0.001"), dec("0.003"))));
    assert_eq!(run.stages().risk.gate().exposure().with_fee(money("1000")), money("1003"));
}

#[test]
fn queue_and_spread_count_at_once() {
    let touched = |queue: QueueModel| {
        let mut candles = dip(6);
        candles.extend([candle(6, ["96", "96", "80", "85"]), flat(7, "85")]);
        let old = grid(FREE);
        let mut run = running(&old, &candles, 4);
        revise(&mut run, &model(&old, |model| model.queue = queue));
        lines(&go(&mut run, 3), &["order.fill"])
    };
    assert_eq!(touched(QueueModel::Through), [""; 0]);
    assert_eq!(touched(QueueModel::Touch), ["fill 2 buy 1 at 80 fee 0"]);
    // A stop at market sells at the bid of the new spread.
    let mut candles = dip(6);
    candles.extend([candle(6, ["96", "96", "70", "70"]), flat(7, "70"), flat(8, "70")]);
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off; stop_loss_price = 75"), FREE, "");
    let mut run = running(&old, &candles, 4);
    revise(&mut run, &model(&old, |model| model.spread = dec("0.004")));
    let fills = lines(&go(&mut run, 4), &["order.fill"]);
    assert!(fills.last().unwrap().contains("at 69.86"), "{fills:?}");
}

#[test]
fn the_path_of_a_candle_counts_from_the_next_one() {
    // Both the sell at 100 and the stop at 75 lie inside one candle: what comes first decides.
    let mut candles = dip(6);
    candles.extend([candle(6, ["96", "101", "70", "72"]), flat(7, "72")]);
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off; stop_loss_price = 75"), FREE, "");
    for (intrabar, first) in [(Intrabar::Ohlc, "sell 1 at 100"), (Intrabar::Olhc, "buy 1 at 80")] {
        let mut run = running(&old, &candles, 4);
        revise(&mut run, &model(&old, |model| model.intrabar = intrabar));
        let fills = lines(&go(&mut run, 3), &["order.fill"]);
        assert!(fills[0].contains(first), "{intrabar:?}: {fills:?}");
    }
}

fn arrivals(run: &Backtest) -> Vec<i64> {
    let state = serde_json::to_value(run.scheduler().state()).unwrap();
    let inbound = state["venue"]["inbound"].as_array().unwrap().clone();
    inbound.iter().map(|request| request["arrives"].as_i64().unwrap()).collect()
}

#[test]
fn with_a_lower_latency_nothing_overtakes_what_is_under_way() {
    let old = grid(&format!("{FREE}; latency_ms = 60000"));
    let mut run = backtest(&old, &dip(20));
    while arrivals(&run).is_empty() && run.advance() {}
    let before = arrivals(&run);
    assert_eq!(before.len(), 2, "two entries");
    let sent = run.list().clock();
    // Another strategy withdraws them at once, and its cancels would be there before the orders.
    let new = model(&with(&old, &format!("{TREND}; fast = 5")), |model| model.latency_ms = 10);
    revise(&mut run, &new);
    let after = arrivals(&run);
    assert_eq!(after[..2], before, "what is under way keeps its arrival");
    assert_eq!(after, vec![sent.millis() + 60_000; 4]);
    let facts = go(&mut run, 3);
    assert_eq!(lines(&facts, &["order.ended"]), ["ended 1 canceled", "ended 2 canceled"]);
    assert!(run.scheduler().venue().live().is_empty() && run.stages().orders.desk().open().is_empty());
    assert_eq!(run.scheduler().latency_ms(), 10);
    check_state(&new, &run.state(), "withdrawn");
    // The next order takes the new time.
    let mut run = running(&old, &dip(20), 0);
    revise(&mut run, &model(&old, |model| model.latency_ms = 10));
    while arrivals(&run).is_empty() && run.advance() {}
    assert_eq!(arrivals(&run), vec![run.list().clock().millis() + 10; 2]);
}

#[test]
fn a_change_before_the_first_input_is_as_if_it_had_begun_so() {
    let base = [
        grid(""),
        spec(&format!("{TREND}; fast = 5"), "", "price_collar_pct = 50"),
        spec(&format!("{GRID}; capital_share = 0.5; start = balanced"), "latency_ms = 2000; spread_pct = 0.1", ""),
    ];
    for old in &base {
        for other in &base {
            let new = InstanceSpec { capital: capital(old, "7654.321").capital, ..other.clone() };
            let mut run = backtest(old, &hill());
            revise(&mut run, &new);
            finish(&mut run);
            let mut born = backtest(&new, &hill());
            finish(&mut born);
            let (run, born) = (run.state(), born.state());
            assert_eq!(run.stages, born.stages);
            assert_eq!(run.scheduler, born.scheduler);
        }
    }
}

#[test]
fn a_transfer_moves_cash_and_the_base_of_the_shares_and_nothing_else() {
    let old = grid("");
    let mut run = running(&old, &dip(30), 4);
    for (quote, moved) in [("12500", "2500"), ("12500.5", "0.5"), ("10000", "-2500.5"), ("9000", "-1000")] {
        let (before, gate, orders) = (cash(&run), run.stages().risk.gate().capital().unwrap(), resting(&run));
        let (earned, fell, held) = (profit(&run), fall(&run), position(&run));
        let new = capital(&old, quote);
        let facts = revise(&mut run, &new);
        assert_eq!(facts.len(), 1, "{facts:?}");
        assert_eq!(cash(&run), before + money(moved));
        assert_eq!(run.stages().risk.gate().capital(), Some(gate + money(moved)));
        for minutes in 0..3 {
            assert_eq!((profit(&run), fall(&run)), (earned, fell), "{quote}, {minutes} candles later");
            assert_eq!((position(&run), resting(&run)), (held, orders.clone()));
            go(&mut run, 1);
        }
        assert_eq!(cash(&run), before + money(moved));
    }
    let report = run.state().report(run.list().spec()).unwrap();
    assert_eq!(report.equity, (money("9000") + profit(&run)).normalized());
}

#[test]
fn more_capital_admits_what_was_refused_and_less_refuses_it() {
    let old = spec(&format!("{GRID}; quantity = 1; breaker = off"), FREE, "");
    let poor = capital(&old, "165");
    let mut run = running(&poor, &dip(30), 1);
    assert_eq!(resting(&run), ["buy 1 90"], "no room for 80 more");
    let facts = revise(&mut run, &capital(&old, "200"));
    assert_eq!(lines(&facts, &["order.approved"]), ["order 3 buy 1 limit 80"], "asked for again, and there is room");
    // Shares are taken of what is left after a withdrawal.
    let capped = spec(&format!("{GRID}; quantity = 1; breaker = off"), FREE, "max_capital_per_symbol = 0.02");
    let mut run = running(&capped, &dip(30), 1);
    assert_eq!(resting(&run), ["buy 1 80", "buy 1 90"], "170 of 200");
    let new = capital(&capped, "1000");
    revise(&mut run, &new);
    let (gate, quotes) = (run.stages().risk.gate(), run.list().quotes());
    assert_eq!(gate.funds(quotes, &new, common::BTC).symbol_left, money("-150"), "0.02 of 1000, less 170");
}

/// Up to 108 and down again while something is held.
fn under_water() -> (InstanceSpec, Backtest) {
    let old = spec(
        "kind = trend_following; slow = 15; adx_period = 7; atr_period = 7; adx_min = 10; risk_per_trade = 0.2; \
         max_position = 1; fast = 5; stop_atr = 60; trail_atr = 90",
        FREE,
        "price_collar_pct = 1",
    );
    let mut run = running(&old, &hill(), 84);
    let metrics = run.stages().streak.metrics().clone();
    assert!(position(&run).is_positive() && metrics.equity < metrics.peak, "{metrics:?}");
    run.list_mut().drop_facts();
    (old, run)
}

#[test]
fn a_fall_stays_the_share_that_it_was() {
    let (old, mut run) = under_water();
    let before = run.stages().streak.metrics().clone();
    let share = (before.peak - before.equity).get() / before.peak.get();
    assert_eq!(before.drawdown_share(), Some(share.round_dp(8)), "the deepest point is now");
    let free = run.stages().risk.gate().exposure().free_quote();
    // All that is free goes out, twice as much comes in.
    let poor = capital(&old, &(money("10000") - free).to_string());
    for new in [&poor, &capital(&old, &(money("10000") + free).to_string()), &old] {
        revise(&mut run, new);
        let metrics = run.stages().streak.metrics();
        assert_eq!((metrics.drawdown, profit(&run)), (before.drawdown, before.equity - before.equity_start.unwrap()));
        let now = (metrics.peak - metrics.equity).get() / metrics.peak.get();
        assert!((now - share).abs() < dec("0.0000000001"), "{now}, {share}");
    }
    // After all of it the peak is where it was, and so is what follows.
    let peak = run.stages().streak.metrics().peak;
    assert!((peak - before.peak).get().abs() < dec("0.000000001"), "{peak}, {}", before.peak);
}

#[test]
fn an_account_that_was_emptied_begins_with_what_comes_in_next() {
    let mut old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 1");
    old.capital.base = qty("1");
    let mut empty = backtest(&old, &hill());
    while empty.list().clock() < Timestamp::from_millis(200_000) && empty.advance() {}
    let before = profit(&empty);
    let none = capital(&old, "0");
    revise(&mut empty, &none);
    assert_eq!((cash(&empty), profit(&empty)), (Notional::ZERO, before));
    go(&mut empty, 1);
    revise(&mut empty, &capital(&old, "500"));
    assert_eq!(cash(&empty), money("500"));
    // Nothing at all left: no share of nothing, and no fall from it either.
    let old = spec(&format!("{TREND}; fast = 5"), FREE, "price_collar_pct = 1");
    let mut run = running(&old, &hill(), 3);
    revise(&mut run, &capital(&old, "0"));
    revise(&mut run, &capital(&old, "300"));
    let metrics = run.stages().streak.metrics();
    assert_eq!((metrics.equity, metrics.peak, metrics.drawdown), (money("300"), money("300"), None));
}

/// With orders of a fixed size and room enough, transfers change nothing of what is traded and earned.
#[test]
fn transfers_on_the_way_leave_trades_and_profit_as_they_are() {
    let mut moved = 0;
    for seed in 0..20 {
        let mut rng = SeededRng::new(seed);
        let old = spec("kind = grid; levels = 9; width_pct = 6; order_value = 100; breaker = off", "queue = touch", "");
        let tracks = synthetic(3_000 + seed, 1, 300, "0.1");
        let mut still = Backtest::new(Arc::new(old.clone()), feed(tracks.clone()));
        let mut run = Backtest::new(Arc::new(old.clone()), feed(tracks));
        while still.advance() {
            assert!(run.advance());
            if rng.below(30) == 0 {
                moved += 1;
                let quote = ["5000", "8000.25", "10000", "40000"][rng.below(4) as usize];
                revise(&mut run, &capital(&old, quote));
            }
            assert_eq!(cash(&run) - run.list().spec().capital.quote, cash(&still) - old.capital.quote, "seed {seed}");
            if run.stages().streak.metrics().equity_start.is_some() {
                assert_eq!(profit(&run), profit(&still), "seed {seed}");
            }
        }
        let (ours, theirs) = (run.stages().streak.metrics(), still.stages().streak.metrics());
        assert_eq!((ours.trips, ours.trip_profit, ours.fees), (theirs.trips, theirs.trip_profit, theirs.fees));
        assert_eq!(run.stages().orders, still.stages().orders, "seed {seed}");
    }
    assert!(moved > 100, "{moved}");
}

#[test]
fn a_life_cut_anywhere_around_it_goes_on_as_if_nothing_had_happened() {
    let old = grid("latency_ms = 60000");
    let mut candles: Vec<Candle> = dip(6);
    candles.extend([candle(6, ["96", "101", "79", "85"]), candle(7, ["85", "95", "85", "91"])]);
    candles.extend((8..30).map(|minute| flat(minute, "91")));
    let changes: [InstanceSpec; 5] = [
        model(&old, |model| model.latency_ms = 0),
        model(&old, |model| (model.maker_fee, model.taker_fee) = (dec("0.0002"), dec("0.0004"))),
        capital(&old, "12000.5"),
        capital(&model(&old, |model| model.intrabar = Intrabar::Olhc), "8000"),
        capital(&model(&with(&old, &format!("{TREND}; fast = 5")), |model| model.latency_ms = 50), "9000"),
    ];
    for (nth, new) in changes.into_iter().enumerate() {
        for at in [3, 9, 16] {
            let tracks = vec![candles.clone()];
            let told = vec![(at, Told::Revise(Box::new(new.clone()))), (at + 9, Told::Revise(Box::new(old.clone())))];
            let plan = Plan { told, snapshots: vec![0, at - 1, at + 1, at + 10], ..Plan::default() };
            let left = Live::new(&old, &tracks, &plan).finish(true);
            assert_eq!(left.journal.iter().filter(|r| matches!(r.fact, Fact::Revised(_))).count(), 2);
            for cut in &left.cuts {
                for snapshot in left.snapshots.iter().filter(|s| s.facts <= *cut).map(Some).chain([None]) {
                    let other = again(&old, &tracks, &plan, &left, (snapshot, *cut, false));
                    assert!(left.journal == other.journal && left.bytes == other.bytes, "change {nth}, cut at {cut}");
                    assert_eq!(left.digest, other.digest, "change {nth}, cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn several_instruments_share_one_transfer() {
    let mut old = spec("kind = grid; levels = 9; width_pct = 6; order_value = 100; breaker = off", "queue = touch", "");
    old.instruments.push(instrument("ETHUSDT"));
    let mut run = Backtest::new(Arc::new(old.clone()), feed(synthetic(41, 2, 200, "0.1")));
    while run.stages().orders.positions().iter().any(|held| held.qty().is_zero()) && run.advance() {}
    assert!(run.stages().orders.positions().iter().all(|held| held.qty().is_positive()));
    let (before, earned) = (cash(&run), profit(&run));
    revise(&mut run, &capital(&old, "7000"));
    assert_eq!((cash(&run), profit(&run)), (before - money("3000"), earned));
    go(&mut run, 30);
    check_state(run.list().spec(), &run.state(), "later");
}
