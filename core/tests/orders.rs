//! The order stage, message by message, with everything it answers: desk, life of an order, position monitor.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{BTC, at, dec, event_line, intent, limit, market, money, price, qty, quoted, spec};
use supervisor_core::domain::{Fill, OrderNo, Purpose, Qty, Quotes, Side, Tag, TradeId};
use supervisor_core::instance::{Cx, Event, OrdersIn, RiskIn};
use supervisor_core::orders::{
    CancelReason, CancelRefusal, CancelRequest, CancelScope, EXIT_TAG, Intent, Life, Orders, Origin, Protect,
    RejectCode, Report,
};
use supervisor_core::risk::{Risk, Veto, VetoCode};
use supervisor_core::spec::InstanceSpec;

use Purpose::{Entry, Exit};
use Side::{Buy, Sell};

const DAY: i64 = 86_400_000;

/// The stage with a gate in front of it, which approves and is told of fills and ends.
struct Bench {
    orders: Orders,
    risk: Risk,
    spec: InstanceSpec,
    quotes: Quotes,
    now: i64,
    trades: u64,
}

impl Bench {
    fn new() -> Self {
        let spec = spec("kind = trend_following", "", "duplicate_window_ms = 1");
        let (orders, risk) = (Orders::new(&spec), Risk::new(&spec));
        Self { orders, risk, spec, quotes: quoted(0, "100"), now: 0, trades: 0 }
    }

    fn tell(&mut self, message: OrdersIn) -> Vec<String> {
        let cx = Cx { at: at(self.now), quotes: &self.quotes, spec: &self.spec };
        let (mut out, mut ignored) = (Vec::new(), Vec::new());
        self.orders.on(&cx, message, &mut out);
        for event in &out {
            match event {
                Event::Fill(fill) => self.risk.on(&cx, RiskIn::Fill(*fill), &mut ignored),
                Event::Ended(ended) => self.risk.on(&cx, RiskIn::Ended(*ended), &mut ignored),
                _ => {}
            }
        }
        out.iter().map(event_line).collect()
    }

    fn approve(&mut self, intent: Intent) -> OrdersIn {
        let cx = Cx { at: at(self.now), quotes: &self.quotes, spec: &self.spec };
        let mut out = Vec::new();
        self.risk.on(&cx, RiskIn::Review(Box::new(intent)), &mut out);
        match out.remove(0) {
            Event::Approved { order, .. } => OrdersIn::Submit(order),
            other => panic!("{other:?}"),
        }
    }

    fn submit(&mut self, intent: Intent) -> Vec<String> {
        let order = self.approve(intent);
        self.tell(order)
    }

    fn report(&mut self, report: Report) -> Vec<String> {
        self.tell(OrdersIn::Report(report))
    }

    fn fill(&mut self, order: u64, side: Side, amount: &str, at_price: &str) -> (Report, Vec<String>) {
        self.trades += 1;
        let tag = self.orders.desk().open().get(&OrderNo(order)).map_or(Tag(0), |order| order.terms.tag);
        let fill = Report::Fill(Fill {
            order: OrderNo(order),
            tag,
            instrument: BTC,
            side,
            price: price(at_price),
            qty: qty(amount),
            fee: money("0"),
            maker: true,
            trade: TradeId(self.trades),
            at: at(self.now),
        });
        (fill, self.report(fill))
    }

    fn cancel(&mut self, scope: CancelScope) -> Vec<String> {
        self.tell(OrdersIn::Cancel(CancelRequest { scope, reason: CancelReason::Replan }))
    }

    fn quote(&mut self, ms: i64, last: &str) -> Vec<String> {
        (self.now, self.quotes) = (ms, quoted(ms, last));
        self.tell(OrdersIn::Quote(BTC))
    }

    fn veto(&mut self, code: VetoCode) -> Vec<String> {
        let (value, limit) = (dec("0"), dec("0"));
        let kind = market(None);
        let (tag, instrument, origin) = (EXIT_TAG, BTC, Origin::Monitor);
        let (order, side, purpose) = (OrderNo(9), Sell, Exit);
        let qty = qty("1");
        let veto = Veto { order, tag, instrument, side, kind, qty, purpose, origin, code, value, limit, failed: 0 };
        self.tell(OrdersIn::Veto(veto))
    }

    /// Buys 1 at 100 with a guard.
    fn guarded(stop: Option<&str>, target: Option<&str>, trail: Option<&str>) -> Self {
        let mut bench = Self::new();
        let protect = Protect { stop: stop.map(price), target: target.map(price), trail: trail.map(price) };
        bench.submit(Intent { protect: Some(protect), ..intent(Buy, market(Some("100")), "1", Entry, 0) });
        let (_, out) = bench.fill(1, Buy, "1", "100");
        assert_eq!(out, ["fill 1 buy 1 at 100", "1 is filled", "ended 1 filled with 1", "watch true"]);
        bench
    }

    fn position(&self) -> Qty {
        self.orders.positions()[0].qty()
    }

    fn life(&self, order: u64) -> Life {
        let desk = self.orders.desk();
        let closed = || desk.closed().iter().find(|o| o.terms.order == OrderNo(order));
        desk.open().get(&OrderNo(order)).or_else(closed).unwrap().life
    }
}

fn buy(amount: &str, at: &str) -> Intent {
    intent(Buy, limit(at), amount, Entry, 0)
}

fn exit(amount: &str) -> Intent {
    Intent { tag: EXIT_TAG, origin: Origin::Monitor, ..intent(Sell, market(None), amount, Exit, 0) }
}

#[test]
fn an_order_is_placed_accepted_and_filled_and_each_fill_counts_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.submit(buy("1", "99")), ["place 1", &format!("wake {DAY}")]);
    assert_eq!(bench.life(1), Life::InFlight);
    assert_eq!(bench.report(Report::Accepted(OrderNo(1))), ["1 is open"]);
    assert_eq!(bench.report(Report::Accepted(OrderNo(1))), [""; 0], "old news");
    let (first, out) = bench.fill(1, Buy, "0.4", "99");
    assert_eq!(out, ["fill 1 buy 0.4 at 99"]);
    assert_eq!(bench.report(first), [""; 0], "the same execution");
    assert_eq!(bench.position(), qty("0.4"));
    let (second, out) = bench.fill(1, Buy, "0.6", "98.99");
    assert_eq!(out, ["fill 1 buy 0.6 at 98.99", "1 is filled", "ended 1 filled with 1", "wake never"]);
    assert_eq!(bench.report(second), [""; 0], "the same execution, after the end");
    assert_eq!((bench.position(), bench.orders.desk().counts()), (qty("1"), (1, 2)));
    assert_eq!(bench.risk.gate().exposure().cash(), money("9901.006"), "10 000 - 39.6 - 59.394");
}

#[test]
fn a_fill_may_come_before_the_acceptance() {
    let mut bench = Bench::new();
    bench.submit(buy("1", "99"));
    let (_, out) = bench.fill(1, Buy, "0.4", "99");
    assert_eq!(out, ["fill 1 buy 0.4 at 99", "1 is open"]);
    assert_eq!(bench.report(Report::Accepted(OrderNo(1))), [""; 0]);
}

#[test]
fn a_late_fill_moves_the_position_of_a_cancelled_order() {
    let mut bench = Bench::new();
    bench.submit(buy("1", "99"));
    bench.report(Report::Accepted(OrderNo(1)));
    assert_eq!(bench.cancel(CancelScope::Order(OrderNo(1))), ["withdraw 1", "wake never"]);
    let out = bench.report(Report::Canceled(OrderNo(1), qty("0.4")));
    assert_eq!(out, ["1 is canceled", "ended 1 canceled with 0.4"]);
    assert_eq!(bench.risk.gate().exposure().holds()[&OrderNo(1)].qty, qty("0.4"), "claimed, not seen: held");
    let (late, out) = bench.fill(1, Buy, "0.4", "99");
    assert_eq!(out, ["fill 1 buy 0.4 at 99", "1 had ended as canceled"]);
    assert_eq!(bench.report(late), [""; 0]);
    assert_eq!((bench.position(), bench.life(1)), (qty("0.4"), Life::Canceled));
    assert!(bench.risk.gate().exposure().holds().is_empty());
    // More than was claimed: the trades are the truth, and they complete the order.
    let (_, out) = bench.fill(1, Buy, "0.6", "99");
    assert_eq!(out, ["fill 1 buy 0.6 at 99", "1 had ended as canceled", "1 is filled"]);
    assert_eq!(bench.position(), qty("1"));
}

#[test]
fn a_wanted_cancel_is_an_overlay_and_asked_for_once() {
    let mut bench = Bench::new();
    bench.submit(buy("1", "99"));
    assert_eq!(bench.cancel(CancelScope::Entries(BTC)), ["withdraw 1", "wake never"]);
    assert_eq!(bench.cancel(CancelScope::Instrument(BTC)), [""; 0]);
    assert_eq!(bench.report(Report::Accepted(OrderNo(1))), ["1 is open"], "the acceptance crosses the cancel");
    assert_eq!(bench.orders.desk().open()[&OrderNo(1)].cancel, Some(CancelReason::Replan));
    assert_eq!(bench.report(Report::CancelRejected(OrderNo(1), CancelRefusal::TooLate)), [format!("wake {DAY}")]);
    assert_eq!(
        bench.cancel(CancelScope::Tagged(BTC, Tag(0))),
        ["withdraw 1", "wake never"],
        "so it may be asked again"
    );
    let out = bench.report(Report::Canceled(OrderNo(1), Qty::ZERO));
    assert_eq!(out, ["1 is canceled", "ended 1 canceled with 0"]);
    assert_eq!(bench.cancel(CancelScope::Order(OrderNo(1))), [""; 0]);
}

#[test]
fn scopes_pick_entries_tags_or_everything() {
    let mut bench = Bench::guarded(None, Some("1000"), None);
    bench.submit(intent(Buy, limit("99"), "1", Entry, 4));
    bench.submit(intent(Buy, limit("98"), "1", Entry, 6));
    bench.submit(intent(Sell, limit("101"), "1", Exit, 5));
    assert_eq!(bench.cancel(CancelScope::Tagged(BTC, Tag(6))), ["withdraw 3"]);
    assert_eq!(bench.cancel(CancelScope::Entries(BTC)), ["withdraw 2"]);
    assert_eq!(bench.cancel(CancelScope::Instrument(BTC)), ["withdraw 4", "wake never"]);
}

#[test]
fn an_order_times_out_after_its_24_hours_and_not_a_millisecond_earlier() {
    let mut bench = Bench::new();
    bench.now = 1_000;
    assert_eq!(bench.submit(buy("1", "99")), ["place 1".to_owned(), format!("wake {}", 1_000 + DAY)]);
    bench.now = 2_000;
    assert_eq!(bench.submit(buy("1", "98")), ["place 2"]);
    bench.now = 1_000 + DAY - 1;
    assert_eq!(bench.tell(OrdersIn::Wakeup), [format!("wake {}", 1_000 + DAY)], "woken too early: asks again");
    bench.now = 1_000 + DAY;
    assert_eq!(bench.tell(OrdersIn::Wakeup), ["withdraw 1".to_owned(), format!("wake {}", 2_000 + DAY)]);
    bench.now = 2_000 + DAY + 1;
    assert_eq!(bench.tell(OrdersIn::Wakeup), ["withdraw 2"], "nothing is left to wake for");
    let ended = bench.report(Report::Canceled(OrderNo(1), Qty::ZERO));
    assert_eq!(ended, ["1 is canceled", "ended 1 canceled with 0"]);
    assert_eq!(bench.orders.desk().closed()[0].cancel, Some(CancelReason::Expired));
}

#[test]
fn a_market_order_has_no_time_out() {
    let mut bench = Bench::new();
    assert_eq!(bench.submit(intent(Buy, market(Some("101")), "1", Entry, 0)), ["place 1"]);
}

#[test]
fn a_stop_and_a_target_work_at_their_price() {
    let mut bench = Bench::guarded(Some("95"), Some("110"), None);
    assert_eq!(bench.quote(1, "95.01"), [""; 0]);
    assert_eq!(bench.quote(2, "109.99"), [""; 0]);
    assert_eq!(bench.quote(3, "95"), ["guarded Stop", "intent sell 1 market Exit stop 95 reached"]);
    let mut bench = Bench::guarded(Some("95"), Some("110"), None);
    assert_eq!(bench.quote(1, "110"), ["guarded Target", "intent sell 1 market Exit target 110 reached"]);
    // Straight through: the price of a gap is what it is.
    let mut bench = Bench::guarded(Some("95"), None, None);
    assert_eq!(bench.quote(1, "60"), ["guarded Stop", "intent sell 1 market Exit stop 95 reached"]);
}

#[test]
fn a_trailing_stop_only_tightens() {
    let mut bench = Bench::guarded(Some("98"), None, Some("3"));
    let stop = |bench: &Bench| bench.orders.monitor().guard(BTC).unwrap().stop();
    let mut now = 0;
    for (last, expected) in
        [("100", "98"), ("101", "98"), ("105", "102"), ("102.01", "102"), ("104.99", "102"), ("105.5", "102.5")]
    {
        now += 1;
        assert_eq!(bench.quote(now, last), [""; 0], "{last}");
        assert_eq!(stop(&bench), Some(price(expected)), "after {last}");
    }
    assert_eq!(bench.quote(now + 1, "102.51"), [""; 0]);
    assert_eq!(
        bench.quote(now + 2, "102.5"),
        ["guarded Trail", "intent sell 1 market Exit trailing stop 102.5 reached (highest 105.5)"]
    );
}

#[test]
fn another_entry_tightens_the_guard_and_never_loosens_it() {
    let mut bench = Bench::guarded(Some("95"), Some("110"), None);
    for (order, stop, expected) in [(2, "94", "95"), (3, "96", "96")] {
        let protect = Protect { stop: Some(price(stop)), target: None, trail: None };
        bench.now += 10;
        bench.submit(Intent { protect: Some(protect), ..intent(Buy, market(Some("100")), "1", Entry, 0) });
        bench.fill(order, Buy, "1", "100");
        let guard = bench.orders.monitor().guard(BTC).unwrap();
        assert_eq!((guard.stop(), guard.target()), (Some(price(expected)), Some(price("110"))));
    }
    assert_eq!(bench.quote(30, "96"), ["guarded Stop", "intent sell 3 market Exit stop 96 reached"]);
}

#[test]
fn resting_orders_go_before_the_exit_is_asked_for() {
    let mut bench = Bench::guarded(Some("95"), None, None);
    bench.submit(intent(Sell, limit("105"), "1", Exit, 1));
    bench.submit(buy("1", "96"));
    assert_eq!(bench.quote(10, "95"), ["guarded Stop", "cancel all Close"]);
    let request = CancelRequest { scope: CancelScope::Instrument(BTC), reason: CancelReason::Close };
    assert_eq!(bench.tell(OrdersIn::Cancel(request)), ["withdraw 2", "withdraw 3", "wake never"]);
    assert_eq!(bench.quote(20, "94"), [""; 0], "one exit at a time");
    let out = bench.report(Report::Canceled(OrderNo(2), Qty::ZERO));
    assert_eq!(out, ["2 is canceled", "ended 2 canceled with 0"], "the other one is still there");
    // It filled before the cancel arrived: the exit sells that, too.
    let (_, out) = bench.fill(3, Buy, "1", "96");
    let intent = "intent sell 2 market Exit stop 95 reached";
    assert_eq!(out, ["fill 3 buy 1 at 96", "3 is filled", "ended 3 filled with 1", intent]);
    assert_eq!(bench.report(Report::CancelRejected(OrderNo(3), CancelRefusal::TooLate)), [""; 0]);
    assert_eq!(bench.quote(5_000, "90"), [""; 0], "no second exit while the first is on its way");
    assert_eq!(bench.submit(exit("2")), ["place 4"]);
    assert_eq!(bench.quote(9_000, "80"), [""; 0]);
    let (_, out) = bench.fill(4, Sell, "2", "80");
    assert_eq!(
        out,
        ["fill 4 sell 2 at 80", "trip -36 Stop", "4 is filled", "ended 4 filled with 2", "watch false"],
        "160 - 100 - 96"
    );
    assert!(bench.orders.monitor().guard(BTC).is_none() && bench.position().is_zero());
}

#[test]
fn a_cancel_that_the_venue_refused_is_asked_for_again_until_the_exit_can_go() {
    let mut bench = Bench::guarded(Some("95"), None, None);
    bench.submit(buy("1", "90"));
    let request = CancelRequest { scope: CancelScope::Instrument(BTC), reason: CancelReason::Close };
    assert_eq!(bench.quote(10, "95"), ["guarded Stop", "cancel all Close"]);
    bench.tell(OrdersIn::Cancel(request));
    bench.report(Report::CancelRejected(OrderNo(2), CancelRefusal::TooLate));
    assert_eq!(bench.quote(2_009, "94"), [""; 0]);
    assert_eq!(bench.quote(2_010, "94"), ["cancel all Close"]);
    assert_eq!(bench.tell(OrdersIn::Cancel(request)), ["withdraw 2", "wake never"]);
    let out = bench.report(Report::Canceled(OrderNo(2), Qty::ZERO));
    assert_eq!(out.last().unwrap(), "intent sell 1 market Exit stop 95 reached");
}

#[test]
fn an_order_approved_just_before_the_stop_does_not_leave() {
    for (late, number) in [(buy("1", "96"), 2), (intent(Sell, limit("105"), "1", Exit, 1), 2)] {
        let mut bench = Bench::guarded(Some("95"), None, None);
        let approved = bench.approve(late);
        assert_eq!(bench.quote(10, "95"), ["guarded Stop", "intent sell 1 market Exit stop 95 reached"]);
        let never = [format!("{number} is never-sent"), format!("ended {number} never-sent with 0")];
        assert_eq!(bench.tell(approved), never);
        assert!(bench.risk.gate().exposure().holds().is_empty(), "its room is free again");
        assert_eq!(bench.submit(exit("1")), ["place 3"]);
    }
}

#[test]
fn a_refused_exit_is_tried_again_after_two_seconds() {
    let mut bench = Bench::guarded(Some("95"), None, None);
    bench.quote(100, "95");
    assert_eq!(bench.veto(VetoCode::StaleData), [""; 0]);
    assert_eq!(bench.quote(2_099, "95"), [""; 0]);
    let again = "intent sell 1 market Exit stop 95 reached";
    // The price may have come back: what was triggered is carried through.
    assert_eq!(bench.quote(2_100, "97"), [again]);
    bench.submit(exit("1"));
    let out = bench.report(Report::Rejected(OrderNo(2), RejectCode::InsufficientBalance));
    assert_eq!(out, ["2 is rejected", "ended 2 rejected with 0"]);
    assert_eq!(bench.quote(4_099, "97"), [""; 0]);
    assert_eq!(bench.quote(4_100, "97"), [again], "the venue's refusal is tried again, too");
}

#[test]
fn a_rest_that_is_too_small_stays_as_dust_and_does_not_disarm_the_next_guard() {
    let mut bench = Bench::guarded(Some("95"), None, None);
    bench.quote(100, "95");
    assert_eq!(bench.veto(VetoCode::MinOrderValue), [""; 0]);
    assert_eq!(bench.quote(9_000, "94"), [""; 0], "dust is left alone");
    bench.quotes = quoted(9_000, "100");
    let protect = Protect { stop: Some(price("98")), target: None, trail: None };
    bench.submit(Intent { protect: Some(protect), ..intent(Buy, market(Some("100")), "2", Entry, 0) });
    bench.fill(2, Buy, "2", "100");
    assert_eq!(bench.quote(9_100, "98"), ["guarded Stop", "intent sell 3 market Exit stop 98 reached"]);
}

#[test]
fn news_that_no_row_allows_is_recorded_and_fills_still_count() {
    let mut bench = Bench::new();
    assert_eq!(bench.report(Report::Accepted(OrderNo(7))), ["7 refuses Accept"]);
    bench.submit(buy("1", "99"));
    bench.fill(1, Buy, "1", "99");
    let (_, out) = bench.fill(1, Buy, "0.5", "99");
    let told = ["fill 1 buy 0.5 at 99", "1 had ended as filled", "1 is disputed"];
    assert_eq!(out, told, "overfilled: the position has it all the same");
    assert_eq!((bench.position(), bench.life(1)), (qty("1.5"), Life::Disputed));
    assert_eq!(bench.report(Report::Canceled(OrderNo(1), qty("1"))), [""; 0], "stale");
    assert_eq!(bench.report(Report::NeverSent(OrderNo(1))), ["1 refuses Withhold"]);
}

#[test]
fn an_order_that_ended_long_ago_still_marks_the_digest() {
    let archive = |amount: &str| {
        let mut bench = Bench::new();
        for number in 1..=300_i64 {
            bench.now = number * 10;
            bench.submit(buy(if number == 1 { amount } else { "1" }, "99"));
            bench.report(Report::Canceled(OrderNo(number.unsigned_abs()), Qty::ZERO));
        }
        assert_eq!(bench.orders.desk().closed().len(), 256);
        bench.orders.desk().clone()
    };
    assert_eq!(archive("1"), archive("1"));
    assert_ne!(archive("1"), archive("2"));
}
