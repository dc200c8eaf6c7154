//! The desk by itself: what counts, what settles, what is asked.

use super::*;
use crate::domain::{OrderKind, Price};
use crate::orders::desk::due::Due;
use crate::orders::doubt::Why;
use crate::orders::{Ask, OrderView, Origin, Traded, VenueState};

const VENUE: VenueTraits = VenueTraits::OUTSIDE;
const ONE: OrderNo = OrderNo(1);
const BTC: InstrumentIx = InstrumentIx(0);
const MINUTE: i64 = 60_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn qty(units: i64) -> Qty {
    Qty::new(units.into())
}

fn terms(order: OrderNo) -> Terms {
    let (tag, instrument, side) = (Tag(0), BTC, Side::Buy);
    let (kind, purpose, origin) = (OrderKind::Limit(Price::new(100.into())), Purpose::Entry, Origin::Strategy);
    Terms { order, tag, instrument, side, kind, qty: qty(10), purpose, origin }
}

fn fill(order: OrderNo, trade: u64, units: i64) -> Fill {
    let Terms { tag, instrument, side, .. } = terms(order);
    let (price, fee) = (Price::new(100.into()), Notional::new(units.into()));
    Fill { order, tag, instrument, side, price, qty: qty(units), fee, maker: true, trade: TradeId(trade), at: at(0) }
}

fn view(state: VenueState, filled: i64, seq: u64) -> OrderView {
    OrderView { order: ONE, state, filled: qty(filled), seq }
}

/// One order, sent at 0.
fn desk() -> Desk {
    let mut desk = Desk::default();
    desk.submit(at(0), terms(ONE), None, &VENUE);
    desk
}

fn life(desk: &Desk) -> Life {
    desk.find(ONE).unwrap().life
}

fn why(desk: &Desk) -> Option<Why> {
    desk.find(ONE).unwrap().doubt.map(|doubt| doubt.why)
}

#[test]
fn each_execution_counts_once_wherever_the_order_lies() {
    let mut desk = desk();
    assert!(desk.fill(at(1), &fill(ONE, 1, 4), &VENUE).unwrap().late.is_none());
    assert_eq!(desk.fill(at(2), &fill(ONE, 1, 4), &VENUE), None);
    desk.see(at(3), &view(VenueState::Canceled, 4, 3), &VENUE);
    assert_eq!((life(&desk), desk.closing.len(), desk.open.len()), (Life::Canceled, 1, 0));
    assert_eq!(desk.fill(at(4), &fill(ONE, 1, 4), &VENUE), None);
    let late = desk.fill(at(5), &fill(ONE, 2, 5), &VENUE).unwrap();
    assert_eq!((late.late, late.moved.unwrap().to), (Some(Life::Canceled), Life::Canceled));
    let whole = desk.fill(at(6), &fill(ONE, 3, 1), &VENUE).unwrap();
    assert_eq!((whole.late, whole.moved.unwrap().to), (Some(Life::Canceled), Life::Filled));
    let over = desk.fill(at(7), &fill(ONE, 4, 1), &VENUE).unwrap();
    assert_eq!(over.moved.unwrap().to, Life::Disputed);
    let order = desk.find(ONE).unwrap();
    assert_eq!(
        (order.filled, order.value, order.fees),
        (qty(11), Notional::new(1_100.into()), Notional::new(11.into()))
    );
    assert_eq!(desk.counts(), (1, 4));
    assert!(desk.has_dispute());
}

#[test]
fn a_fill_of_an_order_that_nobody_knows_counts_once_and_is_no_news_of_ours() {
    let mut desk = Desk::default();
    assert_eq!(desk.fill(at(1), &fill(ONE, 1, 4), &VENUE).unwrap().moved, Err(OrderEvent::PartFill));
    assert_eq!(desk.fill(at(2), &fill(ONE, 1, 4), &VENUE), None);
}

#[test]
fn only_what_is_quiet_and_agreed_is_settled_and_only_settled_orders_are_closed() {
    let spec = crate::tests::spec();
    let mut desk = desk();
    desk.fill(at(1), &fill(ONE, 1, 4), &VENUE);
    desk.see(at(2), &view(VenueState::Canceled, 6, 3), &VENUE);
    assert_eq!(why(&desk), Some(Why::Owed), "two more were executed than we have seen");
    let due = desk.due(at(2), &spec);
    assert_eq!(due, [Due::Ask(Ask::Trades(BTC, at(0)))]);
    assert!(!desk.due(at(60 * MINUTE), &spec).contains(&Due::Settle(ONE)), "not while executions are missing");
    desk.fill(at(60 * MINUTE), &fill(ONE, 2, 2), &VENUE);
    assert_eq!((why(&desk), desk.due(at(70 * MINUTE - 1), &spec)), (None, vec![]));
    assert_eq!(desk.wake(&spec), Some(at(70 * MINUTE)));
    assert_eq!(desk.due(at(70 * MINUTE), &spec), [Due::Settle(ONE)]);
    desk.apply(at(70 * MINUTE), ONE, OrderEvent::Settle, None, &VENUE).unwrap();
    assert_eq!((desk.closing.len(), desk.closed.len(), life(&desk)), (0, 1, Life::Settled));
    assert_eq!(desk.closed[0].shown(), Life::Canceled);
    let after = desk.fill(at(71 * MINUTE), &fill(ONE, 3, 1), &VENUE).unwrap();
    assert_eq!((after.late, after.moved.unwrap().to), (Some(Life::Canceled), Life::Disputed));
    assert_eq!((desk.closing.len(), desk.closed.len()), (1, 0));
    assert!(desk.resolve(at(72 * MINUTE), ONE, Life::Open, &VENUE).is_none());
    assert_eq!(desk.resolve(at(72 * MINUTE), ONE, Life::Canceled, &VENUE).unwrap().to, Life::Canceled);
    assert!(!desk.has_dispute());
}

#[test]
fn executions_of_archived_orders_stay_known_for_as_long_as_a_look_back_brings_them() {
    let mut desk = Desk::default();
    for number in 1..=300 {
        let order = OrderNo(number);
        desk.submit(at(0), terms(order), None, &VENUE);
        desk.fill(at(1), &fill(order, number, 10), &VENUE);
        desk.apply(at(2), order, OrderEvent::Settle, None, &VENUE).unwrap();
    }
    assert_eq!((desk.closed.len(), desk.counted.len()), (256, 44));
    assert_eq!(desk.fill(at(3), &fill(OrderNo(1), 1, 10), &VENUE), None);
    desk.forget(at(2));
    assert_eq!(desk.counted.len(), 44);
    desk.forget(at(3));
    assert_eq!(desk.counted.len(), 0);
}

#[test]
fn older_views_add_executions_and_never_move_an_order_back() {
    let mut desk = desk();
    desk.see(at(1), &view(VenueState::Open, 0, 5), &VENUE);
    assert_eq!(life(&desk), Life::Open);
    let old = desk.see(at(2), &view(VenueState::Canceled, 3, 4), &VENUE);
    assert_eq!((old.moved, life(&desk), why(&desk)), (None, Life::Open, Some(Why::Owed)));
    let newer = desk.see(at(3), &view(VenueState::Canceled, 3, 6), &VENUE);
    assert_eq!(newer.moved.unwrap().unwrap().ended.unwrap().filled, qty(3));
    assert_eq!(desk.see(at(4), &view(VenueState::Open, 0, 5), &VENUE).moved, None, "older than the end");
    assert_eq!(desk.find(ONE).unwrap().claimed, Some(qty(3)), "an older view takes nothing back");
    let live = desk.see(at(5), &view(VenueState::Open, 3, 7), &VENUE).moved.unwrap().unwrap();
    assert_eq!((live.from, live.to, live.reopened), (Life::Canceled, Life::Open, Some((terms(ONE), qty(10)))));
    assert!(!live.may_cancel, "executions are owed: first they are read");
    assert_eq!(desk.find(ONE).unwrap().cancel, Some(CancelReason::Replan), "nobody wants it any more");
}

#[test]
fn what_the_venue_claims_to_have_filled_of_an_ended_order_is_held_until_it_is_seen() {
    let mut desk = desk();
    desk.see(at(1), &view(VenueState::Canceled, 2, 2), &VENUE);
    assert_eq!(desk.see(at(2), &view(VenueState::Canceled, 5, 3), &VENUE).hold, Some((terms(ONE), qty(5))));
    assert_eq!(desk.see(at(3), &view(VenueState::Canceled, 5, 3), &VENUE).hold, None);
    desk.fill(at(4), &fill(ONE, 1, 5), &VENUE);
    assert_eq!(desk.find(ONE).unwrap().owed(), Qty::ZERO);
    // Less than we have seen: the venue is asked again, and the order is not settled.
    desk.see(at(5), &view(VenueState::Canceled, 4, 4), &VENUE);
    assert_eq!(why(&desk), Some(Why::Excess));
    let known = desk.bust(at(6), &fill(ONE, 1, 5), &VENUE).unwrap();
    assert_eq!((known.late, desk.find(ONE).unwrap().filled), (Some(Life::Canceled), Qty::ZERO));
    assert_eq!(desk.fill(at(7), &fill(ONE, 1, 5), &VENUE), None, "void is void");
}

#[test]
fn a_void_execution_may_be_told_of_before_it_is_told() {
    let mut desk = desk();
    assert_eq!(desk.bust(at(1), &fill(ONE, 9, 3), &VENUE), None);
    assert_eq!(desk.fill(at(2), &fill(ONE, 9, 3), &VENUE), None);
    desk.fill(at(3), &fill(ONE, 1, 10), &VENUE);
    assert_eq!(life(&desk), Life::Filled);
    let moved = desk.bust(at(4), &fill(ONE, 1, 10), &VENUE).unwrap().moved.unwrap();
    assert_eq!((moved.to, moved.reopened, why(&desk)), (Life::Unknown, Some((terms(ONE), qty(10))), Some(Why::Bust)));
    assert_eq!(desk.bust(at(5), &fill(ONE, 1, 10), &VENUE), None);
}

#[test]
fn a_cancel_goes_on_until_the_order_is_over_and_waits_for_word_when_it_is_refused() {
    let spec = crate::tests::spec();
    let mut desk = desk();
    assert!(desk.want_cancel(at(10), ONE, CancelReason::Kill, &VENUE));
    assert!(!desk.want_cancel(at(11), ONE, CancelReason::Kill, &VENUE), "asked for already");
    assert_eq!(desk.due(at(2_010), &spec), [Due::CancelAgain(ONE)]);
    assert_eq!(desk.find(ONE).unwrap().cancel_next, Some(at(4_010)));
    desk.apply(at(2_500), ONE, OrderEvent::CancelUnknown, None, &VENUE);
    assert_eq!((life(&desk), why(&desk)), (Life::Unknown, Some(Why::CancelRefused)));
    assert_eq!(desk.due(at(2_500), &spec), [Due::Ask(Ask::Order(ONE))], "no cancel before it is known");
    let seen = desk.see(at(2_600), &view(VenueState::Open, 0, 1), &VENUE).moved.unwrap().unwrap();
    assert!(!seen.may_cancel, "not at once, or refusals and questions would follow each other as fast as they can");
    assert_eq!((desk.wake(&spec), desk.due(at(4_500), &spec)), (Some(at(4_500)), vec![Due::CancelAgain(ONE)]));
    let before_ack = VenueTraits { cancel_by_client_id: false, ..VENUE };
    let mut desk = super::tests::desk();
    assert!(!desk.want_cancel(at(10), ONE, CancelReason::Kill, &before_ack));
    assert!(desk.see(at(20), &view(VenueState::Open, 0, 1), &before_ack).moved.unwrap().unwrap().may_cancel);
}

#[test]
fn what_was_never_heard_of_is_proven_absent_and_what_was_is_not() {
    for heard in [false, true] {
        let mut desk = desk();
        desk.apply(at(3_000), ONE, OrderEvent::Silence, None, &VENUE);
        if heard {
            desk.apply(at(3_100), ONE, OrderEvent::Accept, None, &VENUE);
            desk.apply(at(3_200), ONE, OrderEvent::CancelUnknown, None, &VENUE);
        }
        assert_eq!(life(&desk), Life::Unknown);
        assert!(!desk.not_found(at(14_000), ONE, at(14_000), &VENUE));
        assert!(!desk.not_found(at(19_000), ONE, at(19_000), &VENUE));
        let traded = Traded { instrument: BTC, from: at(0), until: at(19_000), unexplained: false };
        assert_eq!(desk.traded(&traded, &VENUE), if heard { vec![] } else { vec![ONE] });
    }
}

#[test]
fn at_a_start_everything_that_is_not_over_is_asked_about_ten_a_second() {
    let spec = crate::tests::spec();
    let mut desk = Desk::default();
    (1..=25).for_each(|order| desk.submit(at(0), terms(OrderNo(order)), None, &VENUE));
    desk.see(at(1), &view(VenueState::Open, 0, 1), &VENUE);
    let (lost, asked) = desk.begin_reconcile(at(100), &spec);
    assert_eq!((lost.len(), asked, desk.is_reconciled()), (24, 25, false));
    let asks = |desk: &mut Desk, now| desk.due(at(now), &spec).len();
    assert_eq!((asks(&mut desk, 100), asks(&mut desk, 1_099), asks(&mut desk, 1_100)), (10, 0, 20));
    desk.begin_epoch(7);
    desk.begin_epoch(3);
    assert_eq!(desk.epoch(), 7);
}

#[test]
fn an_exit_at_market_that_is_not_over_is_asked_about_every_2_seconds() {
    let spec = crate::tests::spec();
    let exit =
        Terms { side: Side::Sell, kind: OrderKind::Market { bound: None }, purpose: Purpose::Exit, ..terms(ONE) };
    let mut desk = Desk::default();
    desk.submit(at(0), exit, None, &VENUE);
    desk.see(at(100), &view(VenueState::Open, 0, 1), &VENUE);
    assert_eq!((desk.wake(&spec), desk.due(at(2_099), &spec)), (Some(at(2_100)), vec![]));
    assert_eq!(desk.due(at(2_100), &spec), [Due::Ask(Ask::Order(ONE))]);
    assert_eq!(why(&desk), Some(Why::Overdue));
    let mut asked = 1;
    for now in (2_150..130_000).step_by(50) {
        desk.see(at(now), &view(VenueState::Open, 0, 1), &VENUE);
        let due = desk.due(at(now), &spec);
        asked += due.iter().filter(|due| matches!(due, Due::Ask(_))).count();
        if let Some(Due::Tell(_, age)) = due.iter().find(|due| matches!(due, Due::Tell(..))) {
            assert_eq!(now - 2_100, age + (now - 2_100) % 50, "people are told though the venue answers");
        }
    }
    assert!((55..70).contains(&asked), "{asked}");
    desk.see(at(130_000), &view(VenueState::Expired, 0, 2), &VENUE);
    assert_eq!(why(&desk), None);
    // An entry at rest is nobody's hurry.
    let mut desk = super::tests::desk();
    desk.see(at(100), &view(VenueState::Open, 0, 1), &VENUE);
    assert_eq!(desk.wake(&spec), Some(at(spec.order_timeout_ms)));
}

/// A bust that was not heard of, so that the order was filled with one execution too many and a person said so.
#[test]
fn an_order_that_is_complete_without_what_was_void_is_filled_again() {
    let mut desk = desk();
    desk.fill(at(1), &fill(ONE, 1, 3), &VENUE);
    desk.fill(at(2), &fill(ONE, 2, 10), &VENUE);
    assert_eq!(life(&desk), Life::Disputed);
    desk.resolve(at(3), ONE, Life::Filled, &VENUE).unwrap();
    let bust = desk.bust(at(4), &fill(ONE, 1, 3), &VENUE).unwrap().moved.unwrap();
    assert_eq!((bust.to, bust.reopened.map(|(_, rest)| rest)), (Life::Unknown, Some(qty(0))));
    let seen = desk.see(at(5), &view(VenueState::Filled, 10, 4), &VENUE).moved.unwrap().unwrap();
    assert_eq!((seen.to, why(&desk), desk.open.len()), (Life::Filled, None, 0));
}
