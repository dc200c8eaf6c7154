//! The trend follower in small markets: the scenario of its file's header, its sizes and what it does not trade.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{
    BTC, MINUTE, ORDERS, at, check_state, command, dec, finish, lines, money, notes, price, run, running, spec, walk,
};
use rust_decimal::Decimal;
use supervisor_core::domain::{Candle, OrderKind, PublicTrade, Side};
use supervisor_core::instance::{Control, Fact, FactRecord};
use supervisor_core::sim::{Backtest, Recording, ReplayFeed};
use supervisor_core::strategy::Note;

const FREE: &str = "maker_fee = 0; taker_fee = 0";
/// A market entry may cost half a percent more than the ask.
const TIGHT: &str = "price_collar_pct = 1";
const TREND: &str = "kind = trend_following; fast = 5; slow = 15; adx_period = 7; atr_period = 7; adx_min = 10; \
                     risk_per_trade = 0.02; max_position = 0.5";

/// Flat at 100, then up to 108 in steps of 0.2, then (if wanted) down again; every candle has wicks of 0.3.
fn trend_market(falls: bool) -> Vec<Candle> {
    let mut closes = vec![dec("100"); 40];
    closes.extend((1..=40).map(|step| dec("100") + Decimal::new(step * 2, 1)));
    if falls {
        closes.extend((1..=40).map(|step| dec("108") - Decimal::new(step * 2, 1)));
    }
    let mut candles =
        walk(&closes.iter().map(Decimal::to_string).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    for candle in &mut candles {
        (candle.high, candle.low) = (candle.high + price("0.3"), candle.low - price("0.3"));
    }
    candles
}

#[test]
fn a_climb_is_entered_once_and_left_once() {
    let spec = spec(TREND, "maker_fee = 0; taker_fee = 0", TIGHT);
    let (facts, state) = run(&spec, &trend_market(false));
    assert_eq!(lines(&facts, &ORDERS).len(), 1, "{:?}", lines(&facts, &ORDERS));
    assert!(state.stages.orders.positions()[0].qty().is_positive());
    let guard = state.stages.orders.monitor().guard(BTC).unwrap().stop().unwrap();
    assert!(guard > price("104"), "the stop of {guard} has followed the price to 108");
    let (facts, state) = run(&spec, &trend_market(true));
    let orders = lines(&facts, &ORDERS);
    assert_eq!(orders.len(), 2, "{orders:?}");
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Trail"]);
    let trips = lines(&facts, &["position.round_trip"]);
    assert_eq!(trips.len(), 1);
    assert!(state.stages.orders.positions()[0].qty().is_zero());
    assert!(state.stages.streak.metrics().trip_profit.is_positive(), "{trips:?}");
    check_state(&spec, &state, "flat again");
}

#[test]
fn a_trend_that_turns_before_its_stop_is_left_by_the_cross() {
    // A stop that is far away: only the averages can end this.
    let far = format!("{TREND}; stop_atr = 60; trail_atr = 90");
    let (facts, state) = run(&spec(&far, "", TIGHT), &trend_market(true));
    let sold = facts.iter().find_map(|record| match &record.fact {
        Fact::Approved { terms, reason } if terms.side == Side::Sell => Some(reason.to_string()),
        _ => None,
    });
    assert!(sold.unwrap().starts_with("EMA cross down"));
    assert_eq!(lines(&facts, &["position.guarded"]), [""; 0]);
    assert!(state.stages.orders.positions()[0].qty().is_zero());
}

const QUICK: &str = "kind = trend_following; fast = 2; slow = 3; adx_period = 2; atr_period = 2; trail_atr = 90";

/// Moment and text of each order and fill.
fn moments(facts: &[FactRecord]) -> Vec<(i64, String)> {
    let wanted = ["order.approved", "order.fill", "risk.vetoed"];
    let told = facts.iter().filter(|record| wanted.contains(&record.fact.word()));
    told.map(|record| (record.at.millis(), common::fact_line(&record.fact))).collect()
}

#[test]
fn an_entry_that_fills_with_the_close_of_a_candle_is_known_to_that_candle() {
    // Sent with the close of candle 6, filled a minute later with the close of candle 7, which crosses back.
    let market = walk(&["100", "100", "100", "100", "100", "100", "102", "99", "99", "99"]);
    let strategy = format!("{QUICK}; stop_atr = 90");
    let (facts, state) = run(&spec(&strategy, "taker_fee = 0; latency_ms = 60000", ""), &market);
    let (entry, exit) = (7 * MINUTE - 1, 8 * MINUTE - 1);
    let expected = [
        (entry, "order 1 buy 1.111 market to 127.5"),
        (exit, "fill 1 buy 1.111 at 99 fee 0"),
        (exit, "order 2 sell 1.111 market"),
        (exit + MINUTE, "fill 2 sell 1.111 at 99 fee 0"),
    ];
    assert_eq!(moments(&facts), expected.map(|(at, text)| (at, text.to_owned())));
    assert!(state.stages.orders.positions()[0].qty().is_zero());
}

#[test]
fn an_entry_that_fills_with_the_first_trade_after_a_candle_is_known_to_that_candle() {
    // One trade a minute: each ends the candle before it.
    let prices = ["100", "100", "100", "100", "100", "100", "102", "99", "99", "99"];
    let trade = |(minute, text): (usize, &&str)| PublicTrade {
        at: at(minute as i64 * MINUTE),
        price: price(text),
        qty: common::qty("1"),
    };
    let trades = Recording::Trades(std::sync::Arc::new(prices.iter().enumerate().map(trade).collect()));
    let spec = spec(&format!("{QUICK}; stop_atr = 90"), "taker_fee = 0; latency_ms = 60000", "");
    let feed = Box::new(ReplayFeed::new(vec![(BTC, trades)]));
    let facts = finish(&mut Backtest::new(std::sync::Arc::new(spec), feed));
    let when: Vec<(i64, bool)> =
        moments(&facts).into_iter().map(|(at, text)| (at / MINUTE, text.contains("sell"))).collect();
    assert_eq!(when, [(7, false), (8, false), (8, true), (9, true)], "{:?}", moments(&facts));
}

#[test]
fn base_from_the_start_cost_its_first_price_and_its_dust_is_no_position() {
    // One BTC and half a lot, worth 100 at first, is sold when the averages cross down; the climb after that is bought.
    let mut spec = spec(&format!("{QUICK}; stop_atr = 90"), "maker_fee = 0; taker_fee = 0", "");
    spec.capital.base = common::qty("1");
    let market =
        walk(&["100", "101", "102", "103", "104", "103", "99", "98", "98", "98", "98", "102", "104", "106", "107"]);
    let (facts, state) = run(&spec, &market);
    assert_eq!(lines(&facts, &["position.round_trip"]), ["trip -1 Signal"], "99 for what was worth 100");
    assert_eq!(state.stages.streak.metrics().trip_profit, money("-1"));
    spec.capital.base = common::qty("1.0005");
    let (facts, _) = run(&spec, &market);
    let bought = moments(&facts).iter().filter(|(_, text)| text.starts_with("order 2 buy")).count();
    assert_eq!(bought, 1, "{:?}", moments(&facts));
}

#[test]
fn a_stop_waits_for_the_exit_that_is_under_way() {
    // The averages cross back with candle 10; before that exit arrives, candle 11 opens under the stop.
    let mut market = walk(&["100", "100", "100", "100", "100", "100", "101", "102", "103", "102", "101.5"]);
    market.push(common::candle(11, ["99", "99", "98", "98"]));
    market.push(common::candle(12, ["98", "98", "98", "98"]));
    let strategy = format!("{QUICK}; stop_atr = 1");
    let (facts, state) = run(&spec(&strategy, "taker_fee = 0; latency_ms = 50", ""), &market);
    let told = moments(&facts);
    assert_eq!(told.len(), 4, "one entry and one exit: {told:?}");
    assert_eq!((told[2].0, told[3].0), (11 * MINUTE - 1, 11 * MINUTE + 20_000), "{told:?}");
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Stop"]);
    assert!(state.stages.orders.positions()[0].qty().is_zero());
    check_state(&spec(&strategy, "", ""), &state, "sold once");
}

#[test]
fn a_size_is_bound_by_the_smallest_term_and_recorded() {
    let bound = |strategy: &str, risk: &str| {
        let risk = format!("{TIGHT}; {risk}");
        let (facts, _) = run(&spec(strategy, "maker_fee = 0; taker_fee = 0", &risk), &trend_market(false));
        facts.iter().find_map(|record| match &record.fact {
            Fact::Approved { terms, reason } => {
                let OrderKind::Market { bound: Some(worst) } = terms.kind else { panic!("{terms:?}") };
                Some((reason.to_string().rsplit("bound by ").next().unwrap().to_owned(), worst * terms.qty))
            }
            _ => None,
        })
    };
    let (term, value) = bound(TREND, "").unwrap();
    assert_eq!(term, "max_position");
    assert!(value <= money("5000") && value > money("4999"), "{value}");
    let (term, value) = bound(TREND, "max_capital_per_symbol = 0.3").unwrap();
    assert_eq!(term, "max_capital_per_symbol");
    assert!(value <= money("3000") && value > money("2999"), "{value}");
    let (term, _) = bound(TREND, "max_total_exposure = 0.2").unwrap();
    assert_eq!(term, "max_total_exposure");
    let cautious = TREND.replace("risk_per_trade = 0.02", "risk_per_trade = 0.0001");
    assert_eq!(bound(&cautious, "").unwrap().0, "risk_per_trade");
}

#[test]
fn the_risk_per_trade_is_what_the_stop_costs() {
    // A wide collar lets the order cost up to a quarter more than the ask; what it risks is counted from the ask.
    let risky = TREND.replace("risk_per_trade = 0.02", "risk_per_trade = 0.0005");
    let spec = spec(&risky, FREE, "price_collar_pct = 50");
    let mut bot = running(&spec, &trend_market(false), 1);
    let mut sized = None;
    while sized.is_none() && bot.advance() {
        let facts = bot.list_mut().drain_facts();
        sized = facts.iter().find_map(|record| match record.fact {
            Fact::Approved { terms, .. } => Some(terms.qty),
            _ => None,
        });
    }
    let ask = bot.list().quotes().get(BTC).unwrap().last;
    let order = bot.stages().orders.desk().open().values().next().unwrap();
    let stop = order.protect.unwrap().stop.unwrap();
    let loss = (ask - stop) * sized.unwrap();
    assert!(loss <= money("5") && loss > money("4.99"), "0.0005 of 10 000, but the stop costs {loss}");
}

#[test]
fn crosses_that_are_not_traded_say_why() {
    let weak = TREND.replace("adx_min = 10", "adx_min = 100");
    let (facts, _) = run(&spec(&weak, "", ""), &trend_market(true));
    assert!(matches!(notes(&facts)[0], Note::WeakTrend { adx_min, .. } if adx_min == 100.0), "{:?}", notes(&facts));
    let mut coarse = spec(TREND, "", "");
    coarse.instruments[0].lot = dec("1000");
    let (facts, _) = run(&coarse, &trend_market(false));
    assert!(matches!(notes(&facts)[0], Note::TooSmall { .. }), "{:?}", notes(&facts));
    assert_eq!(lines(&facts, &ORDERS), [""; 0]);
}

#[test]
fn a_paused_trend_follower_enters_nothing_and_still_leaves() {
    let market = trend_market(true);
    let spec = spec(TREND, "", TIGHT);
    let mut bot = running(&spec, &market, 1);
    command(&mut bot, Control::Pause);
    let facts = finish(&mut bot);
    assert_eq!(lines(&facts, &ORDERS), [""; 0]);
    assert_eq!(lines(&facts, &["risk.vetoed"]).len(), 1);
    let mut bot = running(&spec, &market, 75);
    assert!(bot.state().stages.orders.positions()[0].qty().is_positive());
    command(&mut bot, Control::Pause);
    finish(&mut bot);
    assert!(bot.state().stages.orders.positions()[0].qty().is_zero(), "the stop works while paused");
}

#[test]
fn the_room_of_one_instrument_shrinks_with_the_orders_of_another() {
    let strategy = TREND.replace("max_position = 0.5", "max_position = 1");
    let mut spec = spec(&strategy, FREE, &format!("{TIGHT}; max_total_exposure = 0.6; max_capital_per_symbol = 0.5"));
    spec.instruments.push(common::instrument("ETHUSDT"));
    let market = trend_market(false);
    let later: Vec<Candle> =
        walk(&["100"; 5]).into_iter().chain(market.iter().copied()).enumerate().map(moved).collect();
    let mut bot = Backtest::new(std::sync::Arc::new(spec), common::feed(vec![market, later]));
    let facts = finish(&mut bot);
    assert_eq!(lines(&facts, &["risk.vetoed"]), [""; 0], "sized to what was left, not refused");
    let bound = facts.iter().filter_map(|record| match &record.fact {
        Fact::Approved { reason, .. } => Some(reason.to_string().rsplit(' ').next().unwrap().to_owned()),
        _ => None,
    });
    assert_eq!(bound.collect::<Vec<_>>(), ["max_capital_per_symbol", "max_total_exposure"]);
}

/// The same candle at another place in the series.
fn moved((minute, candle): (usize, Candle)) -> Candle {
    let open_time = at(minute as i64 * MINUTE);
    Candle { open_time, close_time: open_time + (MINUTE - 1), ..candle }
}
