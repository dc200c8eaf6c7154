//! The order table stated a second time, event by event: what each event does to an order in each state.
//!
//! The table in the code goes by state. Here it goes by event, from `orders-and-risk` 2.2, so that a slip in either one
//! shows. An event that is not allowed answers `None`.

use Life::{
    Armed, Canceled, Disputed, Expired, Filled, InFlight, Intent, NeverAccepted, NeverSent, Open, Pending, Rejected,
    Replaced, Settled, Unknown,
};
use supervisor_core::orders::{Life, OrderEvent, next};

/// On its way, or at the venue: it may still fill.
const WORKING: [Life; 5] = [InFlight, Unknown, Pending, Armed, Open];
/// Over, as somebody claims; a late execution is still its own.
const CLAIMED: [Life; 5] = [Canceled, Expired, Rejected, Replaced, NeverAccepted];
/// News about these is stale.
const STALE: [Life; 7] = [Filled, Canceled, Expired, Rejected, Replaced, Settled, Disputed];

/// Some states, and what becomes of them.
type Group<'a> = (&'a [Life], fn(Life) -> Life);

/// What an event makes of every state: the first group that has it decides, and no group refuses.
fn expect(event: OrderEvent, groups: &[Group<'_>]) {
    for life in Life::ALL {
        let expected = groups.iter().find(|(lives, _)| lives.contains(&life)).map(|(_, then)| then(life));
        assert_eq!(next(life, event), expected, "{life:?} {event:?}");
    }
}

const fn same(life: Life) -> Life {
    life
}

#[test]
fn an_order_leaves_once_and_is_kept_back_only_before_the_venue_has_it() {
    expect(OrderEvent::Send, &[(&[Intent], |_| InFlight)]);
    expect(OrderEvent::Withhold, &[(&[Intent, InFlight], |_| NeverSent)]);
}

#[test]
fn the_venue_takes_it_and_old_news_does_not_take_it_back() {
    let contradicts: Group<'_> = (&[NeverSent], |_| Disputed);
    expect(OrderEvent::Accept, &[(&WORKING, |_| Open), (&[NeverAccepted], |_| Open), (&STALE, same), contradicts]);
    let pend: &[Life] = &[InFlight, Unknown, Pending, NeverAccepted];
    expect(OrderEvent::Pend, &[(pend, |_| Pending), (&[Armed, Open], same), (&STALE, same), contradicts]);
    let arm: &[Life] = &[InFlight, Unknown, Pending, Armed, NeverAccepted];
    expect(OrderEvent::Arm, &[(arm, |_| Armed), (&[Open], same), (&STALE, same), contradicts]);
}

#[test]
fn what_the_venue_shows_live_is_live_unless_it_was_complete() {
    let contradicts: &[Life] = &[NeverSent, Settled, Disputed];
    expect(OrderEvent::Live, &[(&WORKING, |_| Open), (&CLAIMED, |_| Open), (contradicts, |_| Disputed)]);
}

#[test]
fn executions_complete_an_order_wherever_it_stands_and_contradict_what_was_closed() {
    let contradicts: &[Life] = &[Intent, NeverSent, Settled, Disputed];
    expect(OrderEvent::PartFill, &[(&WORKING, |_| Open), (&CLAIMED, same), (contradicts, |_| Disputed)]);
    expect(OrderEvent::FullFill, &[(&WORKING, |_| Filled), (&CLAIMED, |_| Filled), (contradicts, |_| Disputed)]);
    expect(OrderEvent::Overfill, &[(&Life::ALL, |_| Disputed)]);
}

#[test]
fn a_void_execution_leaves_a_complete_order_in_doubt_and_changes_no_claim() {
    let contradicts: &[Life] = &[NeverSent, Settled, Disputed];
    let bust: [Group<'_>; 4] =
        [(&WORKING, same), (&CLAIMED, same), (&[Filled], |_| Unknown), (contradicts, |_| Disputed)];
    expect(OrderEvent::Bust, &bust);
}

#[test]
fn the_venue_ends_what_works_and_nothing_that_is_over() {
    expect(OrderEvent::Cancel, &[(&WORKING, |_| Canceled), (&[NeverAccepted], |_| Canceled), (&STALE, same)]);
    expect(OrderEvent::Expire, &[(&WORKING, |_| Expired), (&[NeverAccepted], |_| Expired), (&STALE, same)]);
    let again: &[Life] = &[Rejected, Disputed];
    expect(OrderEvent::Reject, &[(&WORKING, |_| Rejected), (&[NeverAccepted], |_| Rejected), (again, same)]);
    expect(OrderEvent::Replace, &[(&WORKING, |_| Replaced), (&[Disputed], same)]);
}

#[test]
fn silence_and_refused_cancels_are_doubt_and_never_an_end() {
    let sent: &[Life] = &[InFlight, Unknown];
    let there: &[Life] = &[Pending, Armed, Open];
    let over: Group<'_> = (&[NeverAccepted], same);
    expect(OrderEvent::Silence, &[(sent, |_| Unknown), (there, same), (&STALE, same), over]);
    expect(OrderEvent::Missing, &[(&WORKING, same), (&STALE, same), over]);
    expect(OrderEvent::CancelLate, &[(sent, |_| Unknown), (there, same), (&STALE, same), over]);
    expect(OrderEvent::CancelUnknown, &[(&WORKING, |_| Unknown), (&STALE, same), over]);
}

#[test]
fn absence_needs_doubt_and_closing_needs_an_end() {
    expect(OrderEvent::Absent, &[(&[Unknown], |_| NeverAccepted)]);
    let ends: &[Life] = &[Filled, Canceled, Expired, Rejected, Replaced, NeverAccepted, NeverSent];
    expect(OrderEvent::Settle, &[(ends, |_| Settled)]);
}

#[test]
fn every_state_is_on_its_way_at_the_venue_or_over_and_has_its_word() {
    let words = Life::ALL.map(|life| life.word());
    let expected = [
        "in-flight",
        "in-doubt",
        "open",
        "filled",
        "canceled",
        "expired",
        "rejected",
        "never-sent",
        "intent",
        "pending",
        "armed",
        "never-accepted",
        "replaced",
        "settled",
        "disputed",
    ];
    assert_eq!(words, expected);
    for life in Life::ALL {
        assert_eq!(life.is_over(), !(life == Intent || WORKING.contains(&life)), "{life:?}");
        assert_eq!(life.is_at_venue(), matches!(life, Pending | Armed | Open), "{life:?}");
        assert_eq!((format!("{life}"), format!("{life:>20}").len()), (life.word().to_owned(), 20));
    }
}
