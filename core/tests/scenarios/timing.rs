//! What the clock does to an order: questions, cancels sent again, time-outs, and how long nobody may know.

use supervisor_core::domain::{OrderNo, Qty};
use supervisor_core::instance::{Control, Input};
use supervisor_core::orders::{
    CancelReason, CancelRefusal, Intent, Life, Order, Report, Request, Standing, VenueState,
};

use crate::bench::{Bench, HOUR, MINUTE, SECOND, Truth};
use crate::common::{market, qty};
use crate::script::{buy, outside, sell};
use crate::settling::{begun, fill, in_silence, view};

const DAY: i64 = 24 * HOUR;

#[test]
fn silence_never_ends_an_order_and_all_of_it_stays_held() {
    let mut bench = begun();
    in_silence(&mut bench, 3 * SECOND - 1);
    assert_eq!((bench.told().as_str(), bench.order(1).life), ("", Life::InFlight));
    in_silence(&mut bench, 1);
    assert_eq!((bench.told().as_str(), bench.order(1).life), ("1 is in-doubt, ask 1", Life::Unknown));
    for _ in 0..20 {
        in_silence(&mut bench, HOUR);
        assert_eq!((bench.order(1).life, bench.held(1)), (Life::Unknown, qty("1")));
    }
    let told = bench.told();
    assert!(told.starts_with("ask 1, ask 1, ask 1, ask 1, ask 1, 1 in doubt for 30 s, ask 1"), "{told}");
    assert_eq!(told.matches("in doubt for").count(), 2);
    let asked = told.matches("ask 1").count();
    assert!((2_390..2_410).contains(&asked), "every 30 s for 20 h: {asked}");
    assert_eq!(bench.standing(), Standing { doubtful: true, ..Standing::default() });
    bench.wants(buy("1", "98"));
    assert_eq!(bench.told(), "veto 2 in_doubt", "no order instead of it, nor besides it");
    bench.pass(MINUTE);
    assert!(bench.told().ends_with("1 is never-accepted, 1 ended with 0, entries pass"), "it was proven in the end");
    assert_eq!(bench.held(1), Qty::ZERO);
}

#[test]
fn four_orders_in_doubt_keep_entries_from_passing_and_no_exit() {
    let mut spec = outside();
    spec.capital.base = qty("2");
    let mut bench = Bench::new(spec);
    (1..=4).for_each(|price| bench.wants(buy("1", &(90 + price).to_string())));
    bench.listen();
    for order in (1..=4).map(OrderNo) {
        bench.put(Input::Report(Report::NoAnswer(order, Request::Place)));
        let doubtful = order == OrderNo(4);
        assert_eq!(bench.standing(), Standing { doubtful, ..Standing::default() });
    }
    bench.told();
    bench.wants(buy("1", "98"));
    assert_eq!(bench.told(), "veto 5 in_doubt");
    bench.wants(sell("1", "101"));
    assert_eq!(bench.told(), "order 6 sell 1 limit 101, place 6");
}

#[test]
fn an_order_is_withdrawn_after_its_24_hours_and_the_cancel_sent_every_2_seconds_until_it_is_over() {
    let mut bench = begun();
    view(&mut bench, VenueState::Open, "0", 1);
    bench.told();
    in_silence(&mut bench, DAY - 1);
    assert_eq!(bench.told(), "");
    in_silence(&mut bench, 1);
    assert_eq!(bench.told(), "withdraw 1");
    assert_eq!(bench.order(1).cancel, Some(CancelReason::Expired));
    in_silence(&mut bench, 10 * SECOND);
    let told = bench.told();
    assert_eq!(
        told, "withdraw 1, withdraw 1, withdraw 1, withdraw 1, ask 1, withdraw 1",
        "after 10 s it is asked, too"
    );
    fill(&mut bench, 1, "0.4");
    in_silence(&mut bench, 2 * SECOND);
    assert!(bench.told().starts_with("1 fills 0.4, ") && bench.order(1).life == Life::Open);
    in_silence(&mut bench, 30 * SECOND);
    assert!(bench.told().contains("1 in doubt for 30 s"), "a cancel that leads nowhere is told of");
    view(&mut bench, VenueState::Canceled, "0.4", 3);
    assert_eq!(bench.told(), "1 is canceled, 1 ended with 0.4");
    in_silence(&mut bench, HOUR);
    assert_eq!(bench.told(), "");
}

#[test]
fn a_market_order_has_no_time_out() {
    let mut bench = Bench::new(outside());
    bench.wants(Intent { kind: market(Some("101")), ..buy("1", "99") });
    bench.venue = vec![Truth::default()];
    view(&mut bench, VenueState::Open, "0", 1);
    bench.listen();
    in_silence(&mut bench, 3 * DAY);
    assert_eq!(bench.told(), "");
}

/// An order that rests, with a maker time-out of 60 s.
fn resting(intent: Intent) -> Bench {
    let mut spec = outside();
    (spec.exits.maker_timeout_ms, spec.capital.base) = (Some(MINUTE), qty("2"));
    let mut bench = Bench::new(spec);
    bench.wants(intent);
    bench.venue = vec![Truth::default()];
    view(&mut bench, VenueState::Open, "0", 1);
    bench.listen();
    bench
}

#[test]
fn an_entry_that_rests_unfilled_is_withdrawn_after_the_maker_time_out() {
    let mut bench = resting(buy("1", "99"));
    in_silence(&mut bench, MINUTE - 1);
    assert_eq!(bench.told(), "");
    in_silence(&mut bench, 1);
    assert_eq!((bench.told().as_str(), bench.order(1).cancel), ("withdraw 1", Some(CancelReason::Unfilled)));
    let mut bench = resting(buy("1", "99"));
    fill(&mut bench, 1, "0.1");
    bench.told();
    in_silence(&mut bench, HOUR);
    assert_eq!(bench.told(), "", "part of it is filled");
    in_silence(&mut bench, DAY - HOUR);
    assert_eq!((bench.told().as_str(), bench.order(1).cancel), ("withdraw 1", Some(CancelReason::Expired)));
    let mut bench = resting(sell("1", "101"));
    in_silence(&mut bench, HOUR);
    assert_eq!(bench.told(), "", "an exit");
}

#[test]
fn a_cancel_waits_for_the_acknowledgement_where_the_venue_takes_none_before() {
    let mut spec = outside();
    spec.venue.cancel_by_client_id = false;
    let mut bench = Bench::new(spec);
    bench.wants(buy("1", "99"));
    bench.listen();
    bench.withdraw(OrderNo(1));
    in_silence(&mut bench, MINUTE);
    let told = bench.told();
    assert!(!told.contains("withdraw") && told.starts_with("1 is in-doubt, ask 1, ask 1"), "{told}");
    view(&mut bench, VenueState::Open, "0", 1);
    assert_eq!(bench.told(), "1 is open, withdraw 1");
    in_silence(&mut bench, 4 * SECOND);
    assert_eq!(bench.told(), "ask 1, withdraw 1, ask 1, withdraw 1", "it has been wanted for a minute");
}

#[test]
fn a_cancel_that_is_refused_waits_until_it_is_known_where_the_order_stands() {
    let mut bench = begun();
    view(&mut bench, VenueState::Open, "0", 1);
    bench.withdraw(OrderNo(1));
    bench.put(Input::Report(Report::CancelRejected(OrderNo(1), CancelRefusal::Unknown)));
    in_silence(&mut bench, 10 * SECOND);
    assert_eq!(bench.told(), "1 is open, withdraw 1, 1 is in-doubt, ask 1, ask 1, ask 1, ask 1");
    assert_eq!(bench.held(1), qty("1"), "no end without the venue's word");
    view(&mut bench, VenueState::Open, "0", 1);
    assert_eq!(bench.told(), "1 is open", "not at once: refusals and questions would chase each other");
    in_silence(&mut bench, 1);
    assert_eq!(bench.told(), "withdraw 1");
}

#[test]
fn what_was_once_acknowledged_is_never_proven_absent() {
    let mut bench = begun();
    view(&mut bench, VenueState::Open, "0", 1);
    bench.withdraw(OrderNo(1));
    bench.put(Input::Report(Report::CancelRejected(OrderNo(1), CancelRefusal::Unknown)));
    bench.told();
    bench.pass(HOUR);
    assert_eq!((bench.order(1).life, bench.held(1)), (Life::Unknown, qty("1")), "the venue knows nothing of it");
    assert!(bench.told().contains("1 in doubt for 120 s, doubtful"));
}

#[test]
fn after_a_restart_everything_is_asked_about_before_an_entry_passes() {
    let mut spec = outside();
    spec.capital.base = qty("2");
    let mut bench = Bench::new(spec);
    bench.wants(buy("1", "99"));
    bench.venue = vec![Truth { state: Some(VenueState::Open), seq: 1, ..Truth::default() }];
    let mut bench = bench.restarted(None, &bench.facts);
    bench.listen();
    bench.reconcile();
    assert_eq!(bench.told(), "Reconcile(2), 1 is in-doubt, unreconciled");
    bench.wants(buy("1", "98"));
    bench.wants(sell("1", "101"));
    assert_eq!(bench.told(), "veto 2 unreconciled, order 3 sell 1 limit 101, place 3");
    bench.venue.push(Truth::default());
    bench.venue.push(Truth { state: Some(VenueState::Open), seq: 1, ..Truth::default() });
    in_silence(&mut bench, MINUTE);
    assert!(bench.standing().unreconciled, "no answer, no end of it");
    bench.told();
    bench.pass(MINUTE);
    let told = bench.told();
    assert!(told.contains("1 is open, reconciled 1 with 0 fills, entries pass"), "{told}");
    bench.quote();
    bench.wants(buy("1", "98"));
    assert_eq!(bench.told(), "order 4 buy 1 limit 98, place 4");
    let epochs: Vec<u32> = bench.bot.stages.orders.desk().unsettled().map(|order: &Order| order.epoch).collect();
    assert_eq!(epochs, [0, 2, 2], "each order keeps the epoch of its name");
    bench.command(Control::Reconcile(1));
    assert_eq!(bench.bot.stages.orders.desk().epoch(), 2, "it never goes back");
}
