//! The paper venue and the scheduler: the worked example of `docs/paper-venue.md`, line by line, and the edges of the
//! candle's path.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{BTC, MINUTE, at, candle, intent, limit, lines, market, money, price, qty, spec};
use supervisor_core::domain::{Candle, InstrumentIx, OrderKind, Price, PublicTrade, Purpose, Side};
use supervisor_core::instance::{Fact, FactRecord, Message, RiskIn};
use supervisor_core::orders::{Intent, Protect};
use supervisor_core::sim::{Backtest, Next, Recording, ReplayFeed};
use supervisor_core::spec::InstanceSpec;

use Purpose::{Entry, Exit};
use Side::{Buy, Sell};

/// A strategy that never trades: its averages are never warm.
const IDLE: &str = "kind = trend_following; fast = 999; slow = 1000";
const NEWS: [&str; 3] = ["order.fill", "order.ended", "risk.vetoed"];

fn scripted(spec: &InstanceSpec, candles: &[Candle]) -> Backtest {
    let mut backtest = common::backtest(spec, candles);
    backtest.scheduler_mut().always_expand();
    backtest
}

/// An intent from outside, at the moment that the run has reached.
fn send(backtest: &mut Backtest, intent: Intent) {
    let now = backtest.list().clock();
    backtest.list_mut().input(now, Message::Risk(RiskIn::Review(Box::new(intent))));
    backtest.settle();
}

/// Works up to a moment, that moment included, and answers the facts.
fn until(backtest: &mut Backtest, ms: i64) -> Vec<FactRecord> {
    while matches!(backtest.scheduler().next(true), Next::At(next) if next <= at(ms)) {
        backtest.advance();
    }
    backtest.list_mut().drain_facts()
}

fn order(side: Side, kind: OrderKind) -> Intent {
    intent(side, kind, "1", if side == Buy { Entry } else { Exit }, 0)
}

/// One line of the worked example.
struct Line {
    at: i64,
    price: &'static str,
    fills: &'static str,
    sent: &'static [(Side, OrderKindText)],
    cash: &'static str,
}

#[derive(Clone, Copy)]
enum OrderKindText {
    Limit(&'static str),
    Market(Option<&'static str>),
}

impl OrderKindText {
    fn kind(self) -> OrderKind {
        match self {
            Self::Limit(at) => limit(at),
            Self::Market(bound) => market(bound),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Limit(at) => format!("limit {at}"),
            Self::Market(Some(bound)) => format!("market to {bound}"),
            Self::Market(None) => "market".to_owned(),
        }
    }
}

use OrderKindText::{Limit, Market};

#[rustfmt::skip]
const EXAMPLE: [Line; 10] = [
    Line { at: 0,       price: "100",   fills: "", sent: &[(Buy, Market(Some("103"))), (Buy, Limit("99.5")), (Buy, Limit("99"))], cash: "10000" },
    Line { at: 20_000,  price: "101",   fills: "buy at 101.02 fee 0.20204", sent: &[], cash: "9898.77796" },
    Line { at: 40_000,  price: "99",    fills: "buy at 99.5 fee 0.0995",    sent: &[(Sell, Limit("100.2"))], cash: "9799.17846" },
    Line { at: 59_999,  price: "100.5", fills: "sell at 100.2 fee 0.1002",  sent: &[(Sell, Market(None))], cash: "9899.27826" },
    Line { at: 60_000,  price: "98",    fills: "buy at 99 fee 0.099",       sent: &[], cash: "9800.17926" },
    Line { at: 80_000,  price: "97",    fills: "sell at 96.99 fee 0.19398", sent: &[(Sell, Limit("96.5"))], cash: "9896.97528" },
    Line { at: 100_000, price: "99.5",  fills: "sell at 99.49 fee 0.19898", sent: &[], cash: "9996.2663" },
    Line { at: 119_999, price: "99",    fills: "", sent: &[(Buy, Market(Some("99.6"))), (Buy, Limit("98"))], cash: "9996.2663" },
    Line { at: 140_000, price: "101",   fills: "", sent: &[], cash: "9996.2663" },
    Line { at: 160_000, price: "97.99", fills: "buy at 98 fee 0.098", sent: &[], cash: "9898.1683" },
];

impl Line {
    fn markdown(&self, number: usize) -> String {
        let sent: Vec<String> = self.sent.iter().map(|(side, kind)| format!("{side} {}", kind.words())).collect();
        let at = format!("{:02}:{:02}.{:03}", self.at / MINUTE, self.at / 1000 % 60, self.at % 1000);
        let (price, fills, sent, cash) = (self.price, self.fills, sent.join(", "), self.cash);
        format!("| {number} | {at} | {price} | {fills} | {sent} | {cash} |")
            .replace("|  |", "| |")
            .replace("|  |", "| |")
    }
}

const MODEL: &str = "latency_ms = 50; spread_pct = 0.02; maker_fee = 0.001; taker_fee = 0.002; queue = through; \
                     intrabar = pessimistic";

#[test]
fn the_worked_example_gives_the_documented_fills() {
    let candles = [
        candle(0, ["100", "101", "99", "100.5"]),
        candle(1, ["98", "99.5", "97", "99"]),
        candle(2, ["99.5", "101", "97.99", "98.5"]),
    ];
    let mut backtest = scripted(&spec(IDLE, MODEL, ""), &candles);
    for (number, line) in EXAMPLE.iter().enumerate() {
        let fills: Vec<String> = until(&mut backtest, line.at)
            .iter()
            .filter_map(|record| match record.fact {
                Fact::Fill(fill) => Some(format!("{} at {} fee {}", fill.side, fill.price, fill.fee)),
                _ => None,
            })
            .collect();
        assert_eq!(fills.join(", "), line.fills, "line {}", number + 1);
        assert_eq!(backtest.list().quotes().get(BTC).unwrap().last, price(line.price), "line {}", number + 1);
        assert_eq!(backtest.scheduler().venue().cash(), money(line.cash), "line {}", number + 1);
        for (side, kind) in line.sent {
            send(&mut backtest, order(*side, kind.kind()));
        }
    }
    assert_eq!(backtest.scheduler().base(BTC), qty("1"));
    let ended = backtest.stages().orders.desk().closed().iter().map(|o| o.life.word()).collect::<Vec<_>>();
    assert_eq!(ended.iter().filter(|word| **word == "expired").count(), 1, "{ended:?}");
}

#[test]
fn the_documented_table_is_the_tested_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/paper-venue.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    let expected: Vec<String> = EXAMPLE.iter().enumerate().map(|(at, line)| line.markdown(at + 1)).collect();
    assert_eq!(rows, expected, "the table of docs/paper-venue.md");
}

/// A buy at 99 against candles whose low is 99 or 98.99, sent at the first open.
fn resting(queue: &str, low: &str) -> Vec<String> {
    let candles = [candle(0, ["100", "100", "100", "100"]), candle(1, ["100", "100", low, "100"])];
    let mut backtest = scripted(&spec(IDLE, &format!("queue = {queue}"), ""), &candles);
    until(&mut backtest, 0);
    send(&mut backtest, order(Buy, limit("99")));
    lines(&until(&mut backtest, 2 * MINUTE), &NEWS)
}

#[test]
fn through_needs_a_tick_and_touch_does_not() {
    let filled = ["fill 1 buy 1 at 99 fee 0.099", "ended 1 filled"];
    assert_eq!(resting("through", "99"), [""; 0]);
    assert_eq!(resting("through", "98.99"), filled);
    assert_eq!(resting("touch", "99.01"), [""; 0]);
    assert_eq!(resting("touch", "99"), filled);
}

#[test]
fn an_order_meets_no_point_before_its_arrival() {
    let candles = [candle(0, ["100", "102", "98", "100"]), candle(1, ["97", "100", "97", "100"])];
    let at_latency = |latency: i64, order: &Intent| {
        let model = format!("latency_ms = {latency}; maker_fee = 0; taker_fee = 0");
        let mut backtest = scripted(&spec(IDLE, &model, ""), &candles);
        until(&mut backtest, 0);
        send(&mut backtest, order.clone());
        let facts = until(&mut backtest, 2 * MINUTE);
        let fill = facts.iter().find_map(|record| match record.fact {
            Fact::Fill(fill) => Some((fill.at.millis(), fill.price)),
            _ => None,
        });
        fill.unwrap()
    };
    let taker = order(Buy, market(Some("110")));
    assert_eq!(at_latency(19_999, &taker), (20_000, price("102")));
    assert_eq!(at_latency(20_000, &taker), (20_000, price("102")), "at its arrival");
    assert_eq!(at_latency(20_001, &taker), (40_000, price("98")));
    let resting = order(Buy, limit("99"));
    assert_eq!(at_latency(39_999, &resting), (40_000, price("99")));
    assert_eq!(at_latency(40_000, &resting), (60_000, price("99")), "not at its arrival");
}

#[test]
fn a_cancel_takes_as_long_as_an_order() {
    // Sent at 20 000 with a latency of 20 000: on time for the point at 40 000, one more and it is too late.
    for (latency, expected) in [(20_000, "ended 1 canceled"), (20_001, "fill 1 buy 1 at 99 fee 0")] {
        let candles = [candle(0, ["100", "100", "100", "100"]), candle(1, ["100", "100", "98", "98"])];
        let model = format!("latency_ms = {latency}; maker_fee = 0");
        let mut backtest = scripted(&spec(IDLE, &model, ""), &candles);
        until(&mut backtest, 0);
        send(&mut backtest, order(Buy, limit("99")));
        until(&mut backtest, MINUTE + 20_000);
        common::command(&mut backtest, supervisor_core::instance::Control::Pause);
        assert_eq!(lines(&until(&mut backtest, 3 * MINUTE), &NEWS)[0], expected);
    }
}

/// A long position with a stop at 95 and a target at 105 meets a candle that reaches both.
fn both_reached(intrabar: &str) -> Vec<String> {
    let candles = [
        candle(0, ["100", "100", "100", "100"]),
        candle(1, ["100", "100", "100", "100"]),
        candle(2, ["100", "106", "94", "100"]),
        candle(3, ["100", "100", "100", "100"]),
    ];
    let mut backtest =
        scripted(&spec(IDLE, &format!("maker_fee = 0; taker_fee = 0; intrabar = {intrabar}"), ""), &candles);
    until(&mut backtest, 0);
    let protect = Some(Protect { stop: Some(price("95")), target: Some(price("105")), trail: None });
    send(&mut backtest, Intent { protect, ..order(Buy, market(Some("110"))) });
    lines(&until(&mut backtest, 4 * MINUTE), &["position.guarded", "position.round_trip"])
}

#[test]
fn the_order_of_the_extremes_is_the_configured_one() {
    // The exit is sent at the extreme and meets the next point: no latency, and still not the same point.
    assert_eq!(both_reached("ohlc"), ["guarded Target", "trip -6 Target"]);
    assert_eq!(both_reached("olhc"), ["guarded Stop", "trip 6 Stop"]);
    assert_eq!(both_reached("pessimistic"), ["guarded Stop", "trip 6 Stop"]);
}

#[test]
fn fees_are_the_makers_or_the_takers() {
    let candles = [candle(0, ["100", "100", "100", "100"]), candle(1, ["100", "100", "98", "99"])];
    let mut backtest = scripted(&spec(IDLE, "maker_fee = 0.0002; taker_fee = 0.0005", ""), &candles);
    until(&mut backtest, 0);
    send(&mut backtest, order(Buy, limit("99")));
    send(&mut backtest, order(Buy, market(Some("101"))));
    assert_eq!(
        lines(&until(&mut backtest, 2 * MINUTE), &["order.fill"]),
        ["fill 2 buy 1 at 100 fee 0.05", "fill 1 buy 1 at 99 fee 0.0198"]
    );
}

#[test]
fn each_trade_of_a_trades_feed_is_a_point() {
    let trade = |ms, text| PublicTrade { at: at(ms), price: price(text), qty: qty("1") };
    let trades = vec![trade(0, "100"), trade(10, "99.5"), trade(20, "98.99"), trade(30, "99.4"), trade(40, "99.41")];
    let feed = Box::new(ReplayFeed::new(vec![(BTC, Recording::Trades(Arc::new(trades)))]));
    let spec = spec(IDLE, "latency_ms = 5; maker_fee = 0; taker_fee = 0", "");
    let mut backtest = Backtest::new(Arc::new(spec), feed);
    until(&mut backtest, 0);
    send(&mut backtest, order(Buy, limit("99")));
    assert_eq!(lines(&until(&mut backtest, 19), &NEWS), [""; 0]);
    assert_eq!(lines(&until(&mut backtest, 20), &NEWS), ["fill 1 buy 1 at 99 fee 0", "ended 1 filled"]);
    send(&mut backtest, order(Sell, limit("99.4")));
    assert_eq!(lines(&until(&mut backtest, 30), &NEWS), [""; 0], "touched");
    assert_eq!(lines(&until(&mut backtest, 40), &NEWS), ["fill 2 sell 1 at 99.4 fee 0", "ended 2 filled"]);
}

#[test]
fn a_timer_is_kept_inside_a_gap_of_the_feed() {
    let day = 24 * 60;
    let flat = ["100", "100", "100", "100"];
    let candles = [candle(0, flat), candle(2 * day, flat), candle(2 * day + 1, ["100", "100", "90", "100"])];
    let mut backtest = scripted(&spec(IDLE, "latency_ms = 50", ""), &candles);
    until(&mut backtest, 0);
    send(&mut backtest, order(Buy, limit("99")));
    let facts = common::finish(&mut backtest);
    let ended = facts.iter().find(|record| record.fact.word() == "order.ended").unwrap();
    assert_eq!(ended.at, at(day * MINUTE + 50), "24 hours after it was sent, and the cancel's way");
    assert_eq!(lines(&facts, &["order.fill"]), [""; 0]);
    let gap = facts.iter().find_map(|record| match record.fact {
        Fact::Gap(gap) => Some((gap.from, gap.to, gap.missing)),
        _ => None,
    });
    assert_eq!(gap, Some((at(MINUTE), at(2 * day * MINUTE), 2 * day.unsigned_abs() - 1)));
}

/// Facts without the number of the input: a candle taken whole is one input, in points it is four.
fn told(facts: Vec<FactRecord>) -> Vec<FactRecord> {
    facts.into_iter().map(|record| FactRecord { cause: 0, ..record }).collect()
}

#[test]
fn candles_taken_whole_and_in_points_give_the_same_facts_and_digest() {
    let grid = "kind = grid; levels = 9; width_pct = 8; order_value = 300";
    let base = "kind = grid; levels = 7; lower = 96; upper = 104; order_value = 300; start = balanced; \
                stop_loss_price = 92; take_profit_price = 108";
    let trend = "kind = trend_following; fast = 5; slow = 12; adx_min = 10; max_position = 0.5";
    let models = ["latency_ms = 50; queue = touch", "latency_ms = 25000; spread_pct = 0.05; intrabar = pessimistic"];
    let mut fills = 0;
    for (seed, strategy) in [grid, base, trend].into_iter().enumerate() {
        for model in models {
            for instruments in [1, if strategy == base { 1 } else { 2 }] {
                let mut spec = spec(strategy, model, "max_spread_pct = 1");
                spec.order_timeout_ms = 3 * 3_600_000 + 7;
                if instruments == 2 {
                    spec.instruments.push(common::instrument("ETHUSDT"));
                }
                let feed = || common::feed(common::synthetic(seed as u64 + 1, instruments, 1_500, "0.06"));
                let spec = Arc::new(spec);
                let mut fast = Backtest::new(spec.clone(), feed());
                let mut slow = Backtest::new(spec.clone(), feed());
                slow.scheduler_mut().always_expand();
                let (quick, full) = (told(common::finish(&mut fast)), told(common::finish(&mut slow)));
                assert_eq!(quick, full, "{strategy} {model}");
                assert_eq!(fast.state().digest(spec.id).unwrap(), slow.state().digest(spec.id).unwrap());
                assert!(fast.list().inputs() < slow.list().inputs(), "nothing was quiet");
                fills += quick.iter().filter(|record| matches!(record.fact, Fact::Fill(_))).count();
            }
        }
    }
    assert!(fills > 300, "only {fills} fills");
}

#[test]
fn instruments_do_not_fill_each_others_orders() {
    let mut spec = spec(IDLE, "maker_fee = 0", "");
    spec.instruments.push(common::instrument("ETHUSDT"));
    let flat = ["100", "100", "100", "100"];
    let fall = ["100", "100", "90", "90"];
    let tracks = vec![vec![candle(0, flat), candle(1, flat)], vec![candle(0, flat), candle(1, fall)]];
    let mut backtest = Backtest::new(Arc::new(spec), common::feed(tracks));
    backtest.scheduler_mut().always_expand();
    until(&mut backtest, 0);
    send(&mut backtest, order(Buy, limit("95")));
    send(&mut backtest, Intent { instrument: InstrumentIx(1), ..order(Buy, limit("96")) });
    // Both candles of a minute are under way together: the second instrument falls through its own order only.
    let news = lines(&common::finish(&mut backtest), &NEWS);
    assert_eq!(news, ["fill 2 buy 1 at 96 fee 0", "ended 2 filled"]);
    assert_eq!(backtest.stages().orders.desk().open().len(), 1, "the first instrument stayed at 100");
    assert_eq!(backtest.list().quotes().get(InstrumentIx(1)).unwrap().last, Price::new(common::dec("90")));
}
