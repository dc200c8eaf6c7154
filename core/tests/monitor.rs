//! The position monitor at a venue that may leave requests unanswered, and its rules of time: what it withdraws, what
//! it sells, when, and that it never sells more than there is.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[path = "monitor/bench.rs"]
mod bench;
#[path = "monitor/chance.rs"]
mod chance;
mod common;

use bench::{Bench, SECOND, protect};
use common::revising::{flat, go, position, revise};
use common::{BTC, MINUTE, ORDERS, at, backtest, candle, dec, limit, lines, market, price, qty, run, spec};
use supervisor_core::domain::OrderNo;
use supervisor_core::instance::{Control, FactRecord, Input, InstanceState};
use supervisor_core::orders::{CancelRefusal, Protect, RejectCode, Report, Request, VenueState};
use supervisor_core::spec::{ExitRules, InstanceSpec, OnStop};

const NONE: [&str; 0] = [];
const STOP: &str = "guarded Stop";

fn plain() -> ExitRules {
    ExitRules::default()
}

fn break_even(gain: &str) -> ExitRules {
    ExitRules { break_even: Some(dec(gain)), ..plain() }
}

#[test]
fn a_gap_through_the_stop_sells_all_of_it_at_once() {
    let mut bench = Bench::holding(plain(), protect("95"));
    assert_eq!(bench.price("95.01"), NONE);
    assert_eq!(bench.price("60"), [STOP, "order 2 sell 1 market", "place 2"]);
    assert_eq!(bench.fill(2, "1", "60"), ["trip -40.16 Stop"]);
    assert!(bench.bot.stages.orders.monitor().guard(BTC).is_none());
}

#[test]
fn the_stop_is_lifted_to_break_even_once_the_price_has_gained_enough() {
    // Paid 100.1 with the fee; 1 % over it is 101.101; a sale at 100.21 brings 100.10979 after its fee.
    let mut bench = Bench::holding(break_even("0.01"), protect("95"));
    for (last, stop) in [("101.1", "95"), ("101.11", "100.21"), ("100.22", "100.21"), ("150", "100.21")] {
        assert_eq!(bench.price(last), NONE, "{last}");
        assert_eq!(bench.stop().unwrap(), stop, "after {last}");
    }
    assert_eq!(bench.price("100.21"), [STOP, "order 2 sell 1 market", "place 2"]);
    assert_eq!(bench.fill(2, "1", "100.21"), ["trip 0.00979 Stop"], "a stop, and no loss");
}

#[test]
fn break_even_is_no_reason_to_sell_at_a_loss_and_never_loosens_a_stop() {
    // The gain is reached at 100.12, under the price that earns the fees back.
    let mut bench = Bench::holding(break_even("0.0001"), Protect::default());
    for (last, stop) in [("100.12", None), ("100.21", None), ("100.22", Some("100.21"))] {
        assert_eq!(bench.price(last), NONE, "{last}");
        assert_eq!(bench.stop().as_deref(), stop, "after {last}");
    }
    let trailing = Protect { trail: Some(price("2")), ..protect("99") };
    let mut bench = Bench::holding(break_even("0.03"), trailing);
    for (last, stop) in [("102", "100"), ("103", "101"), ("104", "102"), ("103.5", "102")] {
        assert_eq!(bench.price(last), NONE, "{last}");
        assert_eq!(bench.stop().unwrap(), stop, "after {last}");
    }
    assert_eq!(bench.price("102")[0], "guarded Trail");
}

#[test]
fn another_entry_moves_break_even_up_with_what_it_cost() {
    let mut bench = Bench::holding(break_even("0.01"), protect("95"));
    bench.price("101.11");
    assert_eq!(bench.stop().unwrap(), "100.21");
    bench.buys("1", market(Some("111")), protect("90"));
    bench.fill(2, "1", "110");
    bench.price("106.15");
    assert_eq!(bench.stop().unwrap(), "100.21", "paid 105.105 on average; one per cent over it is 106.15605");
    bench.price("106.16");
    assert_eq!(bench.stop().unwrap(), "105.22", "105.105 / 0.999");
}

#[test]
fn a_position_is_closed_when_it_has_been_held_for_its_longest_time() {
    let exits = ExitRules { max_holding_ms: Some(10 * MINUTE), ..plain() };
    for protection in [Protect::default(), protect("50")] {
        let mut bench = Bench::new(exits);
        bench.now = 5 * SECOND;
        bench.buys("1", market(Some("101")), protection);
        bench.fill(1, "0.4", "100");
        bench.now = 60 * SECOND;
        bench.fill(1, "0.6", "100");
        assert_eq!(bench.wake_after(at(5 * SECOND)), Some(10 * MINUTE), "counted from the first fill");
        assert_eq!(bench.sleep_until(605 * SECOND - 1), NONE);
        bench.price("101");
        let told = bench.sleep_until(605 * SECOND);
        assert_eq!(told, ["605000: guarded Holding", "605000: order 2 sell 1 market", "605000: place 2"]);
        assert_eq!(bench.fill(2, "1", "101"), ["trip 0.799 Holding"]);
        let guard = bench.bot.stages.orders.monitor().guard(BTC);
        assert!(guard.is_none(), "the next position has its own time");
    }
}

/// Resting orders are asked to go; the sale waits for them, but not for long.
#[test]
fn what_is_free_is_sold_after_five_seconds_and_the_rest_when_it_becomes_free() {
    for (end, filled, then) in [
        (VenueState::Canceled, "0", ["order 4 sell 0.4 market", "place 4"].as_slice()),
        (VenueState::Canceled, "0.15", ["order 4 sell 0.25 market", "place 4"].as_slice()),
        (VenueState::Filled, "0.4", NONE.as_slice()),
    ] {
        let mut bench = Bench::holding(plain(), protect("95"));
        bench.offers(2, "0.4", "110");
        bench.now = 10 * SECOND;
        assert_eq!(bench.price("94"), [STOP, "cancel all Close", "withdraw 2"]);
        bench.report(Report::NoAnswer(OrderNo(2), Request::Cancel));
        bench.price("93");
        let told = bench.sleep_until(15 * SECOND - 1);
        assert_eq!(told, ["12000: withdraw 2", "14000: withdraw 2"], "the desk insists; nothing is sold yet");
        let told = bench.sleep_until(15 * SECOND);
        assert_eq!(told, ["15000: order 3 sell 0.6 market", "15000: place 3"]);
        assert_eq!(bench.selling(), bench.position());
        bench.fill(3, "0.6", "93");
        bench.now = 60 * SECOND;
        if filled != "0" {
            bench.fill(2, filled, "110");
        }
        bench.price("93");
        assert_eq!(bench.view(2, end, filled), then, "{end:?} {filled}");
        assert!(bench.selling() <= bench.position());
    }
}

#[test]
fn orders_that_go_in_time_are_waited_for() {
    let mut bench = Bench::holding(plain(), protect("95"));
    bench.offers(2, "0.4", "110");
    bench.now = 10 * SECOND;
    bench.price("95");
    bench.now = 10_400;
    assert_eq!(bench.view(2, VenueState::Canceled, "0"), ["order 3 sell 1 market", "place 3"]);
}

#[test]
fn a_cancel_that_came_too_late_or_to_nobody_is_asked_for_again() {
    for refusal in [CancelRefusal::TooLate, CancelRefusal::Unknown] {
        let mut bench = Bench::holding(plain(), protect("95"));
        bench.offers(2, "0.4", "110");
        bench.now = 10 * SECOND;
        bench.price("95");
        bench.report(Report::CancelRejected(OrderNo(2), refusal));
        bench.view(2, VenueState::Open, "0");
        let told = bench.sleep_until(12 * SECOND);
        assert!(told.contains(&"12000: withdraw 2".to_owned()), "{refusal:?}: {told:?}");
    }
}

#[test]
fn an_entry_that_is_filling_when_the_stop_is_reached_is_sold_with_the_rest() {
    let mut bench = Bench::new(plain());
    bench.buys("2", limit("99"), protect("95"));
    bench.view(1, VenueState::Open, "0");
    bench.fill(1, "0.5", "99");
    assert_eq!(bench.price("95"), [STOP, "cancel all Close", "withdraw 1"]);
    assert_eq!(bench.fill(1, "0.3", "95"), NONE, "it fills while the cancel is on its way");
    bench.now = 300;
    assert_eq!(bench.view(1, VenueState::Canceled, "1"), ["order 2 sell 0.8 market", "place 2"]);
    assert_eq!(bench.fill(1, "0.2", "95"), ["order 3 sell 0.2 market", "place 3"], "what the venue owed us");
    assert_eq!((bench.position(), bench.selling()), (qty("1"), qty("1")));
}

#[test]
fn what_an_entry_in_doubt_brings_after_the_exit_is_sold_part_by_part() {
    let mut bench = Bench::holding(plain(), protect("95"));
    bench.buys("1", limit("96"), protect("95"));
    bench.report(Report::NoAnswer(OrderNo(2), Request::Place));
    bench.now = 10 * SECOND;
    assert_eq!(bench.price("94")[..2], [STOP, "cancel all Close"]);
    let told = bench.sleep_until(15 * SECOND);
    assert_eq!(told[told.len() - 2..], ["15000: order 3 sell 1 market", "15000: place 3"], "{told:?}");
    assert_eq!(bench.fill(3, "1", "94"), ["trip -6.194 Stop"]);
    // It was live all the time. Its guard would be its own now, but the exit has not ended.
    bench.now = 20 * SECOND;
    assert_eq!(bench.fill(2, "0.5", "96"), ["order 4 sell 0.5 market", "place 4"]);
    assert_eq!(bench.fill(2, "0.3", "96"), ["order 5 sell 0.3 market", "place 5"]);
    assert_eq!(bench.fill(4, "0.5", "94"), NONE);
    assert_eq!(bench.fill(5, "0.3", "94").len(), 1);
    assert_eq!(bench.view(2, VenueState::Canceled, "0.8"), NONE);
    assert!(bench.position().is_zero() && bench.bot.stages.orders.monitor().guard(BTC).is_none());
}

#[test]
fn what_comes_while_the_gate_looks_at_an_exit_gets_one_of_its_own() {
    let mut bench = Bench::new(plain());
    bench.buys("1", limit("96"), protect("95"));
    bench.report(Report::NoAnswer(OrderNo(1), Request::Place));
    bench.fill(1, "0.2", "96");
    bench.price("94");
    bench.sleep_until(5 * SECOND);
    // Two executions arrive before anything is worked off.
    for part in ["0.5", "0.3"] {
        let fill = bench.execution(1, part, "96");
        bench.bot.list.put(at(bench.now), Input::Report(Report::Fill(fill)));
    }
    bench.bot.work();
    let exits = ["order 3 sell 0.5 market", "order 4 sell 0.3 market", "place 3", "place 4"];
    assert_eq!(bench.lines(), exits);
    assert_eq!((bench.selling(), bench.exits().len()), (bench.position(), 3));
}

#[test]
fn an_exit_that_fails_is_tried_again_without_waiting_for_a_price() {
    let mut bench = Bench::holding(plain(), protect("95"));
    bench.now = 10 * SECOND;
    assert_eq!(bench.price("95"), [STOP, "order 2 sell 1 market", "place 2"]);
    bench.report(Report::Rejected(OrderNo(2), RejectCode::Other));
    assert_eq!(bench.sleep_until(12 * SECOND - 1), NONE);
    assert_eq!(bench.sleep_until(12 * SECOND), ["12000: order 3 sell 1 market", "12000: place 3"]);
    // In doubt it is waited for: it may have sold.
    bench.report(Report::NoAnswer(OrderNo(3), Request::Place));
    assert_eq!(bench.sleep_until(120 * SECOND), NONE);
    assert_eq!((bench.exits().len(), bench.selling()), (1, qty("1")));
    bench.price("90");
    bench.view(3, VenueState::Expired, "0.7");
    bench.fill(3, "0.7", "90");
    assert_eq!(bench.sleep_until(122 * SECOND), ["122000: order 4 sell 0.3 market", "122000: place 4"]);
}

#[test]
fn a_part_that_is_too_small_to_be_sold_waits_for_more_and_dust_stays_dust() {
    let mut bench = Bench::holding(plain(), protect("95"));
    bench.offers(2, "0.96", "110");
    bench.now = 10 * SECOND;
    bench.price("95");
    let told = bench.sleep_until(60 * SECOND);
    assert!(told.iter().all(|line| line.ends_with("withdraw 2")), "0.04 at 95 is less than 5: {told:?}");
    bench.fill(2, "0.93", "110");
    bench.price("95");
    assert_eq!(bench.view(2, VenueState::Canceled, "0.93"), ["order 3 sell 0.07 market", "place 3"]);
    bench.fill(3, "0.03", "95");
    bench.view(3, VenueState::Expired, "0.03");
    assert_eq!(bench.sleep_until(62 * SECOND), ["62000: veto 4 min_order_value"]);
    bench.now += MINUTE;
    assert_eq!(bench.price("90"), NONE);
    assert_eq!((bench.position(), bench.bot.stages.orders.monitor().closing(BTC)), (qty("0.04"), None));
}

#[test]
fn a_flatten_sells_what_an_entry_in_doubt_still_brings() {
    let mut bench = Bench::new(plain());
    bench.buys("1", limit("96"), protect("90"));
    bench.report(Report::NoAnswer(OrderNo(1), Request::Place));
    let told = bench.command(Control::Stop(OnStop::Flatten));
    assert!(told.contains(&"guarded Operator".to_owned()), "{told:?}");
    bench.now = 6 * SECOND;
    assert_eq!(bench.fill(1, "0.4", "96"), ["order 2 sell 0.4 market", "place 2"]);
    bench.fill(2, "0.4", "95");
    bench.view(1, VenueState::Canceled, "0.4");
    assert!(bench.position().is_zero() && bench.bot.stages.orders.monitor().guard(BTC).is_none());
}

/// Holds base for two far lines from the start, and a bid at 98.
const LADDER: &str = "kind = grid; levels = 3; lower = 98; upper = 200; order_value = 400; breaker = off; \
                      start = balanced; stop_loss_price = 90; take_profit_price = 110";

fn paper(spec: &InstanceSpec, candles: &[[&str; 4]]) -> (Vec<FactRecord>, InstanceState) {
    let candles: Vec<_> = (0..).zip(candles).map(|(minute, prices)| candle(minute, *prices)).collect();
    run(spec, &candles)
}

fn guarded(facts: &[FactRecord]) -> Vec<String> {
    lines(facts, &["position.guarded"])
}

#[test]
fn a_candle_that_reaches_stop_and_target_ends_the_position_once_at_what_came_first() {
    for (intrabar, first) in [("ohlc", "guarded Target"), ("olhc", STOP), ("pessimistic", STOP)] {
        for ends in [["100", "120", "80", "100"], ["100", "120", "80", "85"], ["100", "120", "80", "115"]] {
            let spec = spec(LADDER, &format!("intrabar = {intrabar}"), "");
            let quiet = ["100", "100", "100", "100"];
            let (facts, state) = paper(&spec, &[quiet, quiet, ends, quiet, quiet]);
            assert_eq!(guarded(&facts), [first], "{intrabar} {ends:?}");
            let at_market = |line: &&String| line.contains(" sell ") && line.ends_with("market");
            assert_eq!(lines(&facts, &ORDERS).iter().filter(at_market).count(), 1, "{intrabar} {ends:?}");
            assert!(state.stages.orders.positions()[0].qty().is_zero(), "{intrabar} {ends:?}");
            common::check_state(&spec, &state, intrabar);
        }
    }
}

#[test]
fn rules_of_time_hold_on_paper_as_well() {
    let mut spec = spec(LADDER, "", "");
    let quiet = ["100", "100.5", "99.5", "100"];
    let (facts, state) = paper(&spec, &[quiet; 40]);
    assert!(guarded(&facts).is_empty() && state.stages.orders.positions()[0].qty().is_positive());
    spec.exits.max_holding_ms = Some(30 * MINUTE);
    let (facts, state) = paper(&spec, &[quiet; 40]);
    let when = |word: &str| facts.iter().find(|record| record.fact.word() == word).unwrap().at;
    assert_eq!(guarded(&facts), ["guarded Holding"]);
    assert_eq!(when("position.guarded").since(when("order.fill")), 30 * MINUTE, "to the millisecond");
    assert!(state.stages.orders.positions()[0].qty().is_zero());
    common::check_state(&spec, &state, "held for its longest time");
}

#[test]
fn rules_that_are_set_later_hold_for_the_position_that_is_there() {
    let plain_ladder = "kind = grid; levels = 3; lower = 80; upper = 200; order_value = 400; breaker = off; \
                        start = balanced";
    let old = spec(plain_ladder, "", "");
    let mut candles: Vec<_> = (0..60).map(|minute| flat(minute, "100")).collect();
    candles[50] = flat(50, "103");
    (51..56).for_each(|minute| candles[minute as usize] = flat(minute, "101"));
    for (exits, expected, minute) in [
        (ExitRules { max_holding_ms: Some(30 * MINUTE), ..plain() }, "guarded Holding", 31),
        (ExitRules { max_holding_ms: Some(5 * MINUTE), ..plain() }, "guarded Holding", 20),
        (break_even("0.02"), STOP, 56),
    ] {
        let mut run = backtest(&old, &candles);
        assert!(guarded(&go(&mut run, 20)).is_empty() && position(&run).is_positive());
        let new = InstanceSpec { exits, ..old.clone() };
        assert!(guarded(&revise(&mut run, &new)).is_empty(), "in force from here on, with the next price or moment");
        // Another change keeps what was lifted and counts on.
        let mut facts = go(&mut run, 32);
        facts.extend(revise(&mut run, &InstanceSpec { order_timeout_ms: 7_200_000, ..new }));
        facts.extend(go(&mut run, 6));
        assert_eq!(guarded(&facts), [expected], "{exits:?}");
        assert!(position(&run).is_zero());
        let when = facts.iter().find(|record| record.fact.word() == "position.guarded").unwrap().at;
        assert_eq!(when.millis() / MINUTE, minute, "{exits:?}");
    }
}
