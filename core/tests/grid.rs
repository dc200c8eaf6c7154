//! The grid in small markets: the scenario of its file's header and every branch.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use std::collections::BTreeSet;

use common::{
    BTC, MINUTE, ORDERS, advance_to, at, backtest, candle, check_state, command, dec, finish, lines, money, notes,
    price, qty, quoted, run, running, spec, synthetic, walk,
};
use rust_decimal::Decimal;
use supervisor_core::domain::{Candle, ClosedCandle, Fill, OrderKind, OrderNo, Purpose, Qty, Side, Tag, TradeId};
use supervisor_core::instance::{Control, Cx, Event, InstanceState, StrategyIn};
use supervisor_core::orders::{Life, OrderEnded, Origin, Terms};
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_core::strategy::{Note, Regime, StrategyStage};

/// Lines at 80, 90, 100, 110 and 120; one BTC on each.
const GRID: &str = "kind = grid; levels = 5; lower = 80; upper = 120; quantity = 1; breaker = off";
const FREE: &str = "maker_fee = 0; taker_fee = 0";
fn grid(more: &str) -> InstanceSpec {
    spec(&format!("{GRID}; {more}"), FREE, "")
}

fn flat(minute: i64, close: &'static str) -> Candle {
    candle(minute, [close; 4])
}

/// Orders that rest at the end: side and price, from the bottom.
fn resting(state: &InstanceState) -> Vec<String> {
    let mut orders: Vec<(Decimal, Side)> = state.stages.orders.desk().open().values().map(price_side).collect();
    orders.sort();
    orders.into_iter().map(|(price, side)| format!("{side} {}", price.normalize())).collect()
}

fn price_side(order: &supervisor_core::orders::Order) -> (Decimal, Side) {
    match order.terms.kind {
        OrderKind::Limit(price) => (price.get(), order.terms.side),
        OrderKind::Market { .. } => (Decimal::ZERO, order.terms.side),
    }
}

/// Base that each cell holds.
fn cells(state: &InstanceState) -> Vec<Qty> {
    let value = serde_json::to_value(state.stages.strategy.strategy()).unwrap();
    let ladder = &value["grid"]["lines"][0]["ladder"];
    let cells = ladder["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
    cells.iter().map(|cell| qty(cell["held"].as_str().unwrap())).collect()
}

#[test]
fn a_cash_start_buys_under_the_price_and_leaves_the_nearest_line_empty() {
    let orders = |close| lines(&run(&grid(""), &[flat(0, close)]).0, &ORDERS);
    // The lines next to the price come first.
    let (ninety, eighty) = ("order 1 buy 1 limit 90", "order 2 buy 1 limit 80");
    assert_eq!(orders("104"), [ninety, eighty]);
    assert_eq!(orders("106"), ["order 1 buy 1 limit 100", "order 2 buy 1 limit 90", "order 3 buy 1 limit 80"]);
    assert_eq!(orders("100"), [ninety, eighty]);
    assert_eq!(orders("79"), [""; 0]);
    assert_eq!(orders("125").len(), 4, "all four cells; the top line has none of its own");
}

#[test]
fn base_that_is_held_rests_above_the_price() {
    let mut spec = grid("");
    spec.capital.base = qty("1.5");
    let (facts, state) = run(&spec, &[flat(0, "104"), flat(1, "104")]);
    assert_eq!(
        lines(&facts, &ORDERS),
        ["order 1 sell 1 limit 110", "order 2 sell 0.5 limit 120", "order 3 buy 1 limit 90", "order 4 buy 1 limit 80"]
    );
    assert_eq!(cells(&state), ["0", "0", "1", "0.5"].map(qty));
    let (_, state) = run(&spec, &[flat(0, "104"), candle(1, ["112", "121", "112", "121"])]);
    // The sales of 110 and 120 turn into buys at 100 and 110.
    assert_eq!(resting(&state), ["buy 80", "buy 90", "buy 100", "buy 110"]);
    assert_eq!(state.stages.streak.metrics().pair_profit, money("14"), "6 + 8 over the 104 it was priced at");
}

#[test]
fn a_balanced_start_buys_for_the_cells_above() {
    let (facts, state) = run(&grid("start = balanced"), &[flat(0, "104"), flat(1, "104"), flat(2, "104")]);
    assert_eq!(
        lines(&facts, &["order.approved", "order.fill"]),
        [
            "order 1 buy 2 market to 130",
            "order 2 buy 1 limit 90",
            "order 3 buy 1 limit 80",
            "fill 1 buy 2 at 104 fee 0",
            "order 4 sell 1 limit 110",
            "order 5 sell 1 limit 120",
        ]
    );
    assert_eq!(cells(&state), ["0", "0", "1", "1"].map(qty));
}

#[test]
fn a_balanced_start_with_base_buys_the_rest_and_spreads_both() {
    let mut spec = grid("start = balanced");
    spec.capital.base = qty("0.4");
    let (facts, state) = run(&spec, &[flat(0, "104"), flat(1, "104"), flat(2, "104")]);
    assert_eq!(lines(&facts, &["order.fill"]), ["fill 1 buy 1.6 at 104 fee 0"]);
    assert_eq!(cells(&state), ["0", "0", "1", "1"].map(qty));
    assert_eq!(resting(&state), ["buy 80", "buy 90", "sell 110", "sell 120"]);
}

#[test]
fn a_balanced_start_spreads_what_it_bought_wherever_the_price_has_gone() {
    let jump = candle(1, ["112", "112", "112", "112"]);
    let (facts, state) = run(&grid("start = balanced"), &[flat(0, "104"), jump, flat(2, "112")]);
    assert_eq!(lines(&facts, &["order.fill"])[0], "fill 1 buy 2 at 112 fee 0");
    let position = state.stages.orders.positions()[0].qty();
    assert_eq!(cells(&state).into_iter().sum::<Qty>(), position, "all of it belongs to a cell");
    assert_eq!(lines(&facts, &ORDERS)[3..5], ["order 4 sell 1 limit 110", "order 5 sell 1 limit 120"]);
}

#[test]
fn a_swing_between_two_lines_buys_low_and_sells_high_once_per_swing() {
    let spec = spec(GRID, "maker_fee = 0.001", "");
    let swing = |minute| candle(minute, ["100", "101", "89", "100.5"]);
    let (facts, state) = run(&spec, &[flat(0, "101"), swing(1), swing(2), swing(3), flat(4, "101")]);
    let pair = |buy: u32, sell: u32| {
        [
            format!("fill {buy} buy 1 at 90 fee 0.09"),
            format!("fill {sell} sell 1 at 100 fee 0.1"),
            "trip 9.81 Pair".into(),
        ]
    };
    let trades = lines(&facts, &["order.fill", "position.round_trip"]);
    assert_eq!(trades, [pair(1, 3), pair(4, 5), pair(6, 7)].concat());
    let metrics = state.stages.streak.metrics();
    assert_eq!((metrics.trips, metrics.wins, metrics.pair_profit), (3, 3, money("29.43")));
}

/// A strategy stage alone, told by hand; answers the intents.
struct Stage {
    stage: StrategyStage,
    spec: InstanceSpec,
}

impl Stage {
    fn planned(close: &str) -> Self {
        let spec = grid("");
        let mut bench = Self { stage: StrategyStage::new(&spec), spec };
        let candle = candle(0, [close; 4]);
        let timeframe = bench.spec.timeframe;
        bench.tell(StrategyIn::Candle(ClosedCandle { instrument: BTC, timeframe, candle }));
        bench
    }

    fn tell(&mut self, message: StrategyIn) -> Vec<String> {
        let quotes = quoted(0, "104");
        let mut out = Vec::new();
        self.stage.on(&Cx { at: at(0), quotes: &quotes, spec: &self.spec }, message, &mut out);
        out.iter()
            .filter_map(|event| match event {
                Event::Intent(i) => match i.kind {
                    OrderKind::Limit(price) => Some(format!("{} {} {price}", i.side, i.qty)),
                    OrderKind::Market { .. } => Some("market".to_owned()),
                },
                Event::RoundTrip(trip) => Some(format!("pair {} of {}", trip.profit(), trip.qty)),
                _ => None,
            })
            .collect()
    }

    fn fill(&mut self, side: Side, tag: u32, amount: &str, at_price: &str) -> Vec<String> {
        self.tell(StrategyIn::Fill(Fill {
            order: OrderNo(1),
            tag: Tag(tag),
            instrument: BTC,
            side,
            price: price(at_price),
            qty: qty(amount),
            fee: money("0"),
            maker: true,
            trade: TradeId(1),
            at: at(0),
        }))
    }

    fn ended(&mut self, side: Side, tag: u32, life: Life) -> Vec<String> {
        let (order, tag, instrument, origin) = (OrderNo(1), Tag(tag), BTC, Origin::Strategy);
        let kind = OrderKind::Limit(price("90"));
        let terms = Terms { order, tag, instrument, side, kind, qty: qty("1"), purpose: Purpose::Entry, origin };
        self.tell(StrategyIn::Ended(OrderEnded { terms, life, filled: Qty::ZERO, reason: None }))
    }
}

#[test]
fn partial_fills_pair_by_what_was_filled_once_it_reaches_the_venues_minimum() {
    use Side::{Buy, Sell};
    let mut stage = Stage::planned("104");
    // Cell 1 buys at 90 (tag 2) and sells at 100 (tag 3). The venue's minimum is 5.
    assert_eq!(stage.fill(Buy, 2, "0.04", "90"), [""; 0], "4 at the upper line");
    assert_eq!(stage.fill(Buy, 2, "0.26", "90"), ["sell 0.3 100"]);
    assert_eq!(stage.fill(Buy, 2, "0.7", "90"), [""; 0], "one sell of a cell at a time");
    assert_eq!(stage.ended(Buy, 2, Life::Filled), [""; 0]);
    assert_eq!(stage.fill(Sell, 3, "0.1", "100"), ["pair 1 of 0.1"]);
    assert_eq!(stage.fill(Sell, 3, "0.2", "100"), ["pair 2 of 0.2"]);
    assert_eq!(stage.ended(Sell, 3, Life::Filled), ["sell 0.7 100"], "the rest of the cell");
    assert_eq!(stage.fill(Sell, 3, "0.7", "100"), ["pair 7 of 0.7"]);
    assert_eq!(stage.ended(Sell, 3, Life::Filled), ["buy 1 90"], "empty: back again");
}

#[test]
fn an_expired_line_is_placed_again_at_once_and_a_rejected_one_later() {
    let mut stage = Stage::planned("104");
    assert_eq!(stage.ended(Side::Buy, 2, Life::Expired), ["buy 1 90"]);
    assert_eq!(stage.ended(Side::Buy, 2, Life::Canceled), ["buy 1 90"]);
    assert_eq!(stage.ended(Side::Buy, 2, Life::Rejected), [""; 0]);
    let timeframe = stage.spec.timeframe;
    let mut again = Vec::new();
    for minute in 1..=61 {
        let candle = flat(minute, "104");
        let out = stage.tell(StrategyIn::Candle(ClosedCandle { instrument: BTC, timeframe, candle }));
        again.extend(out.into_iter().map(|line| (minute, line)));
    }
    assert_eq!(again, [(60, "buy 1 90".to_owned())]);
}

#[test]
fn orders_that_time_out_come_back_at_once() {
    let mut spec = grid("");
    spec.order_timeout_ms = 10 * MINUTE;
    let (facts, state) = run(&spec, &(0..25).map(|minute| flat(minute, "104")).collect::<Vec<_>>());
    assert_eq!(resting(&state), ["buy 80", "buy 90"]);
    let ended = lines(&facts, &["order.ended"]);
    assert_eq!(ended, ["ended 1 canceled", "ended 2 canceled", "ended 3 canceled", "ended 4 canceled"]);
    let times: Vec<i64> = facts.iter().filter(|r| r.fact.word() == "order.approved").map(|r| r.at.millis()).collect();
    let (first, second, third) = (59_999, 659_999, 1_259_999);
    assert_eq!(times, [first, first, second, second, third, third]);
}

#[test]
fn a_line_that_times_out_comes_back_even_when_it_is_the_nearest_to_the_price() {
    let mut spec = grid("");
    spec.order_timeout_ms = 10 * MINUTE;
    let mut candles = vec![flat(0, "104")];
    candles.extend((1..14).map(|minute| flat(minute, "94")));
    let (facts, state) = run(&spec, &candles);
    assert_eq!(resting(&state), ["buy 80", "buy 90"], "90 is the line nearest to 94");
    let last = facts.iter().rfind(|r| r.fact.word() == "order.approved").unwrap();
    assert_eq!(last.at, at(11 * MINUTE - 1));
}

#[test]
fn sales_after_a_crash_are_judged_by_the_price_that_filled_the_purchases() {
    // One leg of the path falls 25 %: the sale at 90 lies far under the point before it, and over the one that filled.
    let spec = spec(GRID, FREE, "price_collar_pct = 5");
    let crash = candle(1, ["104", "104", "78", "79"]);
    let (facts, state) = run(&spec, &[flat(0, "104"), crash, flat(2, "79")]);
    assert_eq!(lines(&facts, &["risk.vetoed"]), [""; 0]);
    assert_eq!(resting(&state), ["sell 90", "sell 100"]);
    check_state(&spec, &state, "after the crash");
    // The first point after ten hours without candles fills them: the quote before it is ten hours old.
    let late = candle(600, ["78", "79", "78", "79"]);
    let (facts, state) = run(&spec, &[flat(0, "104"), late]);
    assert_eq!(lines(&facts, &["risk.vetoed"]), [""; 0]);
    assert_eq!(resting(&state), ["sell 90", "sell 100"]);
    let sold = facts.iter().rfind(|r| r.fact.word() == "order.approved").unwrap();
    assert_eq!(sold.at, at(600 * MINUTE));
}

/// 100 candles that fall (or rise) evenly from one price to another.
fn slope(from: i64, to: i64) -> Vec<Candle> {
    let at = |step: i64| (Decimal::from(from) + Decimal::from((to - from) * step) / dec("100")).to_string();
    let prices: Vec<String> = (0..=100).map(at).collect();
    walk(&prices.iter().map(String::as_str).collect::<Vec<_>>())
}

fn then(mut candles: Vec<Candle>, more: &[[&str; 4]]) -> Vec<Candle> {
    for prices in more {
        candles.push(candle(candles.len() as i64, *prices));
    }
    candles
}

#[test]
fn a_falling_trend_stops_new_buys_and_nothing_else() {
    // Bought at 110 on the way down, sold at 120 in a spike: the line stays empty until the trend has turned.
    let spike = ["112", "121", "112", "112"];
    let (facts, state) = run(&grid("trend_filter = on"), &then(slope(119, 102), &[spike, ["112"; 4]]));
    assert_eq!(
        lines(&facts, &["order.fill", "position.round_trip"]),
        ["fill 1 buy 1 at 110 fee 0", "fill 5 sell 1 at 120 fee 0", "trip 10 Pair"]
    );
    assert_eq!(notes(&facts), [Note::Regime { regime: Regime::Down }]);
    assert_eq!(resting(&state), ["buy 80", "buy 90", "buy 100"], "what rested before stays");
    // Without the filter it is bought again at once.
    let (_, state) = run(&grid(""), &then(slope(119, 102), &[spike, ["112"; 4]]));
    assert_eq!(resting(&state), ["buy 80", "buy 90", "buy 100", "buy 110"]);
    // And with it, once the averages have turned.
    let mut turned = then(slope(119, 102), &[spike]);
    turned.extend((102..150).map(|minute| flat(minute, "116")));
    let (facts, state) = run(&grid("trend_filter = on"), &turned);
    assert!(notes(&facts).len() > 1, "{:?}", notes(&facts));
    assert_eq!(resting(&state), ["buy 80", "buy 90", "buy 100", "buy 110"]);
}

#[test]
fn a_rising_trend_sells_one_line_higher() {
    let dip = ["98", "98", "89", "98"];
    let (facts, state) = run(&grid("trend_filter = on"), &then(slope(81, 98), &[dip]));
    assert_eq!(notes(&facts), [Note::Regime { regime: Regime::Up }]);
    assert_eq!(lines(&facts, &["order.fill"]), ["fill 2 buy 1 at 90 fee 0"]);
    assert_eq!(resting(&state), ["buy 80", "sell 110"], "two lines over 90");
    let (_, state) = run(&grid(""), &then(slope(81, 98), &[dip]));
    assert_eq!(resting(&state), ["buy 80", "sell 100"]);
}

/// 30 calm candles around 104, one wild one that touches no line, and so many calm ones.
fn spike(calm: i64) -> Vec<Candle> {
    let quiet = |minute| candle(minute, ["104", "104.5", "103.5", "104"]);
    let mut candles: Vec<Candle> = (0..30).map(quiet).collect();
    candles.push(candle(30, ["104", "108", "101", "104"]));
    candles.extend((31..31 + calm).map(quiet));
    candles
}

#[test]
fn the_breaker_takes_entries_off_and_puts_them_back() {
    let spec = |more: &str| {
        let text = GRID.replace("; breaker = off", "");
        let mut spec = common::spec(&format!("{text}; breaker_timeframe = 1m{more}"), FREE, "");
        spec.capital.base = qty("1");
        spec
    };
    let (facts, state) = run(&spec(""), &spike(2));
    // ATR: 1, then (13 x 1 + 7) / 14 = 1.428...
    assert!(matches!(notes(&facts)[..], [Note::BreakerTripped { atr, before }]
        if (atr - 20.0 / 14.0).abs() < 1e-12 && (before - 1.0).abs() < 1e-12));
    assert_eq!(resting(&state), ["sell 110"], "the exit stays");
    // 1 + 0.428 x (13/14)^n <= 1.3 from n = 5 on: clears with the third such candle.
    let (facts, state) = run(&spec(""), &spike(6));
    assert_eq!((notes(&facts).len(), resting(&state)), (1, vec!["sell 110".to_owned()]));
    let (facts, state) = run(&spec(""), &spike(8));
    assert!(matches!(notes(&facts)[1], Note::BreakerCleared { .. }));
    assert_eq!(resting(&state), ["buy 80", "buy 90", "sell 110"]);
    let (facts, _) = run(&spec("; atr_spike_circuit_breaker = 0.43"), &spike(6));
    assert_eq!(notes(&facts), [], "42.9 % is under 43 %");
}

#[test]
fn a_start_price_is_waited_for_from_either_side() {
    for (first, second, trigger) in [("104", "99", "100"), ("97", "101", "100")] {
        let spec = grid(&format!("start_price = {trigger}"));
        let (facts, state) = run(&spec, &[flat(0, first), flat(1, first)]);
        assert_eq!(notes(&facts), [Note::WaitsForStart { trigger: price(trigger) }], "once");
        assert_eq!(resting(&state), [""; 0]);
        let (facts, state) = run(&spec, &[flat(0, first), flat(1, first), flat(2, second)]);
        let planned = facts.iter().find(|r| r.fact.word() == "grid.planned").unwrap();
        assert_eq!(planned.at, at(3 * MINUTE - 1));
        assert_eq!(resting(&state), ["buy 80", "buy 90"]);
    }
}

#[test]
fn a_stop_loss_sells_everything_and_ends_the_grid() {
    let fall = candle(1, ["104", "104", "78", "79"]);
    let back = candle(3, ["79", "111", "79", "111"]);
    let (facts, state) =
        run(&grid("stop_loss_price = 79.5"), &[flat(0, "104"), fall, flat(2, "79"), back, flat(4, "111")]);
    assert_eq!(
        lines(&facts, &["order.fill", "position.guarded"]),
        ["fill 1 buy 1 at 90 fee 0", "fill 2 buy 1 at 80 fee 0", "guarded Stop", "fill 6 sell 2 at 79 fee 0"]
    );
    // The sells of the two fills were approved when the same point reached the stop: they did not leave, and the exit,
    // which had to wait for their base, was asked for again.
    assert_eq!(lines(&facts, &["risk.vetoed"]), ["veto 5 free_balance"]);
    let moved = lines(&facts, &["order.moved"]);
    assert!(
        moved.contains(&"3 is never-sent".to_owned()) && moved.contains(&"4 is never-sent".to_owned()),
        "{moved:?}"
    );
    assert_eq!(notes(&facts), [Note::GridOver { why: supervisor_core::orders::ExitReason::Stop }]);
    assert_eq!(lines(&facts, &["position.round_trip"]), ["trip -1 Stop", "trip -11 Stop"], "each cell's loss");
    assert!(state.stages.orders.positions()[0].qty().is_zero());
    assert_eq!((resting(&state), cells(&state)), (vec![], vec![Qty::ZERO; 4]));
    check_state(&grid(""), &state, "after the stop");
}

#[test]
fn a_take_profit_ends_the_grid_whether_it_holds_base_or_not() {
    let spec = grid("take_profit_price = 125");
    // Bought at 90 and 100 after a dip, carried over the target by a gap.
    let dip = candle(1, ["106", "106", "89", "95"]);
    let gap = flat(2, "126");
    let (facts, state) = run(&spec, &[flat(0, "106"), dip, gap, flat(3, "126"), flat(4, "100")]);
    assert!(lines(&facts, &["position.guarded"]).len() <= 1);
    assert!(matches!(notes(&facts)[..], [Note::GridOver { .. }]), "{:?}", notes(&facts));
    assert_eq!((resting(&state), cells(&state)), (vec![], vec![Qty::ZERO; 4]));
    // Flat all the way: the buys go, too.
    let (facts, state) = run(&spec, &[flat(0, "106"), flat(1, "125"), flat(2, "106"), flat(3, "89")]);
    assert_eq!(notes(&facts), [Note::GridOver { why: supervisor_core::orders::ExitReason::Target }]);
    assert_eq!((resting(&state), lines(&facts, &["order.fill"])), (vec![], vec![]));
    // Base from the start is guarded as soon as the grid is laid out.
    let mut spec = grid("take_profit_price = 115; stop_loss_price = 70");
    spec.capital.base = qty("1.5");
    let (facts, state) =
        run(&spec, &[flat(0, "104"), candle(1, ["104", "104", "69", "69"]), flat(2, "69"), flat(3, "69")]);
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Stop"]);
    assert!(state.stages.orders.positions()[0].qty().is_zero(), "base and purchases are sold");
}

#[test]
fn a_dry_run_says_once_what_it_would_do() {
    let dry = spec(GRID, FREE, "dry_run = true");
    let (facts, state) = run(&dry, &(0..200).map(|minute| flat(minute, "104")).collect::<Vec<_>>());
    assert_eq!(lines(&facts, &["order.would_submit"]), ["would buy 1 limit 90", "would buy 1 limit 80"]);
    assert_eq!(lines(&facts, &["order.approved", "risk.vetoed"]), [""; 0]);
    assert_eq!(state.stages.orders.desk().counts(), (0, 0));
}

#[test]
fn a_pause_takes_entries_off_and_a_resume_puts_them_back() {
    let candles: Vec<Candle> = (0..10).map(|minute| flat(minute, "104")).collect();
    let mut spec = grid("");
    spec.capital.base = qty("1");
    let mut bot = running(&spec, &candles, 1);
    command(&mut bot, Control::Pause);
    advance_to(&mut bot, 3 * MINUTE - 1);
    assert_eq!(resting(&bot.state()), ["sell 110"]);
    command(&mut bot, Control::Resume);
    advance_to(&mut bot, 4 * MINUTE - 1);
    assert_eq!(resting(&bot.state()), ["buy 80", "buy 90", "sell 110"]);
    // Resumed within the duplicate window: refused now, placed with the next candle.
    command(&mut bot, Control::Pause);
    command(&mut bot, Control::Resume);
    finish(&mut bot);
    assert_eq!(resting(&bot.state()), ["buy 80", "buy 90", "sell 110"]);
    check_state(&spec, &bot.state(), "resumed");
}

#[test]
fn a_pair_completes_while_paused() {
    let candles = [flat(0, "104"), flat(1, "104"), candle(2, ["104", "112", "104", "112"]), flat(3, "112")];
    let mut spec = grid("");
    spec.capital.base = qty("1");
    let mut bot = running(&spec, &candles, 1);
    command(&mut bot, Control::Pause);
    let facts = finish(&mut bot);
    assert_eq!(lines(&facts, &["order.fill"]), ["fill 1 sell 1 at 110 fee 0"]);
    assert_eq!(resting(&bot.state()), [""; 0], "and nothing is bought back");
}

#[test]
fn the_kill_switch_cancels_everything_and_waits_for_its_operator() {
    let candles: Vec<Candle> = (0..10).map(|minute| flat(minute, "104")).collect();
    let mut spec = grid("");
    spec.capital.base = qty("1");
    let mut bot = running(&spec, &candles, 1);
    command(&mut bot, Control::Kill);
    advance_to(&mut bot, 3 * MINUTE - 1);
    assert_eq!(resting(&bot.state()), [""; 0]);
    command(&mut bot, Control::Resume);
    advance_to(&mut bot, 4 * MINUTE - 1);
    assert_eq!(resting(&bot.state()), [""; 0], "a resume does not clear it");
    command(&mut bot, Control::ClearKill);
    advance_to(&mut bot, 5 * MINUTE - 1);
    assert_eq!(resting(&bot.state()), ["sell 110"], "cleared means paused: exits only");
    command(&mut bot, Control::Resume);
    finish(&mut bot);
    assert_eq!(resting(&bot.state()), ["buy 80", "buy 90", "sell 110"]);
}

#[test]
fn a_stop_flattens_keeps_or_cancels_as_it_is_told() {
    let candles = |after: &'static str| {
        [
            flat(0, "104"),
            candle(1, ["104", "104", "89", "95"]),
            flat(2, "95"),
            flat(3, "95"),
            flat(4, after),
            flat(5, after),
        ]
    };
    let stopped = |on_stop| {
        let mut bot = running(&grid(""), &candles("95"), 3);
        assert_eq!(resting(&bot.state()), ["buy 80", "sell 100"]);
        command(&mut bot, Control::Stop(on_stop));
        advance_to(&mut bot, 5 * MINUTE - 1);
        check_state(&grid(""), &bot.state(), "stopped");
        bot
    };
    let sell: &[&str] = &["sell 100"];
    for (on_stop, expected) in [
        (OnStop::Keep, &["buy 80", "sell 100"][..]),
        (OnStop::CancelEntries, sell),
        (OnStop::CancelAll, &[]),
        (OnStop::Flatten, &[]),
    ] {
        let mut bot = stopped(on_stop);
        assert_eq!(resting(&bot.state()), expected, "{on_stop:?}");
        let held = bot.state().stages.orders.positions()[0].qty();
        assert_eq!(held.is_zero(), on_stop == OnStop::Flatten, "{on_stop:?}");
        // It starts again where it was; flattened cells begin anew.
        command(&mut bot, Control::Start);
        finish(&mut bot);
        let again = resting(&bot.state());
        assert_eq!(again[0], "buy 80", "{on_stop:?}: {again:?}");
        assert_eq!(again.contains(&"sell 100".to_owned()), on_stop != OnStop::Flatten, "{on_stop:?}: {again:?}");
    }
}

#[test]
fn a_grid_that_its_stop_ended_does_not_start_again_by_an_operators_close_out() {
    let fall = candle(1, ["104", "104", "78", "79"]);
    let candles = [flat(0, "104"), fall, flat(2, "79"), flat(3, "104"), flat(4, "104"), flat(5, "104")];
    let mut bot = running(&grid("stop_loss_price = 79.5"), &candles, 3);
    command(&mut bot, Control::Stop(OnStop::Flatten));
    command(&mut bot, Control::Start);
    finish(&mut bot);
    assert_eq!(resting(&bot.state()), [""; 0]);
}

#[test]
fn a_grid_that_cannot_earn_its_fees_here_trades_nothing() {
    // 100 lines in 1 %: found out when the price is known.
    let spec = spec("kind = grid; levels = 100; width_atr = 1; quantity = 1; breaker = off", "", "");
    let (facts, state) = run(&spec, &synthetic(3, 1, 200, "0.05")[0]);
    assert!(matches!(notes(&facts)[..], [Note::Unplannable { .. }]), "{:?}", notes(&facts));
    assert_eq!(state.stages.orders.desk().counts(), (0, 0));
}

#[test]
fn ladder_desk_gate_venue_and_streak_agree_after_many_swings() {
    let mut trips = 0;
    for seed in 0..12 {
        let more = ["", "start = balanced", "trend_filter = on", "breaker = on; breaker_timeframe = 15m"];
        let more = more[seed as usize % 4];
        let text =
            format!("kind = grid; levels = 25; lower = 92; upper = 108; order_value = 250; breaker = off; {more}");
        let text = if more.contains("breaker = on") { text.replace("breaker = off; ", "") } else { text };
        let mut spec = spec(&text, "latency_ms = 50; queue = touch", "");
        spec.capital.base = if seed % 3 == 2 { qty("12.345") } else { Qty::ZERO };
        spec.order_timeout_ms = 2 * 3_600_000;
        let mut bot = backtest(&spec, &synthetic(seed, 1, 1_500, "0.08")[0]);
        let mut quiet = 0;
        while bot.advance() {
            if bot.scheduler().venue().is_busy() {
                continue;
            }
            quiet += 1;
            if quiet % 50 == 0 {
                agree(
                    &spec,
                    &bot.state(),
                    more == "trend_filter = on",
                    &format!("seed {seed}, {}", bot.list().clock()),
                );
            }
        }
        agree(&spec, &bot.state(), more == "trend_filter = on", &format!("seed {seed}, at the end"));
        trips += bot.stages().streak.metrics().trips;
    }
    assert!(trips > 300, "only {trips} round trips");
}

fn agree(spec: &InstanceSpec, state: &InstanceState, shifted: bool, about: &str) {
    check_state(spec, state, about);
    let position = state.stages.orders.positions()[0].qty();
    let held: Qty = cells(state).into_iter().sum();
    if spec.capital.base.is_zero() {
        assert_eq!(held, position, "{about}: cells and position");
    } else {
        assert!(held <= position, "{about}: cells hold {held} of {position}");
    }
    let streak = serde_json::to_value(&state.stages.streak).unwrap();
    assert_eq!(money(streak["cash"].as_str().unwrap()), state.scheduler.venue.cash(), "{about}: cash");
    assert_eq!(qty(streak["held"][0][0].as_str().unwrap()), position, "{about}: what the streak stage counts");
    let open = state.stages.orders.desk().open();
    let mut seen = BTreeSet::new();
    for order in open.values() {
        // A trend shifts sells by a line, so that two cells may sell at one.
        let shared = shifted && order.terms.side == Side::Sell;
        assert!(seen.insert(price_side(order)) || shared, "{about}: two orders at {:?}", price_side(order));
        let (line, other) = (price_side(order).0, order.terms.side.opposite());
        assert!(!open.values().any(|o| price_side(o) == (line, other)), "{about}: both sides at {line}");
    }
}

#[test]
fn a_grid_that_could_place_no_order_is_refused_before_it_runs() {
    let problems = |strategy: &str, min: &str| {
        let spec = spec(strategy, "maker_fee = 0.001", &format!("min_order_value = {min}"));
        spec.strategy.check(&spec).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let with = |keys: &str| format!("kind = grid; {keys}; breaker = off");
    assert_eq!(problems(&with("levels = 5; lower = 80; upper = 120; order_value = 10"), "9"), [""; 0]);
    assert_eq!(
        problems(&with("levels = 5; lower = 80; upper = 120; order_value = 10"), "11"),
        ["order_value = 10: at least risk.min_order_value = 11"]
    );
    assert_eq!(
        problems(&with("levels = 5; lower = 120; upper = 80; order_value = 10"), "5"),
        ["lower = 120: must be less than upper = 80"]
    );
    let losing = problems(&with("levels = 300; lower = 80; upper = 120; order_value = 10"), "5");
    assert!(losing[0].starts_with("levels = 300: the smallest cell loses: -0.0"), "{losing:?}");
}
