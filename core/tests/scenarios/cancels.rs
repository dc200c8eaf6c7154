//! Cancels: before the acknowledgement, across fills, refused, unanswered; and ends that nobody here asked for.

use crate::play::{play, play_booked, play_with};
use crate::script::buy;

#[test]
fn fill_and_cancel_cross_and_the_fill_wins() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("fill 0.3", "1 fills 0.3"),
        ("open 0.3", ""),
        ("fill 0.7", "1 fills 0.7, 1 is filled, 1 ended with 1"),
        ("late", ""),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn fill_and_cancel_cross_and_the_cancel_wins() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("open 0.4", ""),
        ("canceled 0.4", "1 is canceled, 1 ended with 0.4"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.4");
}

#[test]
fn cancel_before_ack() {
    let script = [
        ("withdraw", "withdraw 1"),
        ("open 0", "1 is open"),
        ("canceled 0", "1 is canceled, 1 ended with 0"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0");
}

#[test]
fn cancel_before_ack_waits_where_an_order_is_withdrawn_by_the_venues_id() {
    let script = [
        ("withdraw", ""),
        ("pending 0", "1 is pending, withdraw 1"),
        ("open 0", "1 is open"),
        ("canceled 0", "1 is canceled, 1 ended with 0"),
        ("later", ""),
    ];
    play_with(vec![buy("1", "99")], &script, None, "canceled 0", |scenario| {
        scenario.spec.venue.cancel_by_client_id = false;
    });
}

#[test]
fn cancel_overtakes_the_order_and_is_sent_again() {
    let script = [
        ("withdraw", "withdraw 1"),
        ("unknown", "1 is in-doubt, ask 1"),
        ("open 0", "1 is open"),
        ("later", "withdraw 1, 1 is canceled, 1 ended with 0"),
    ];
    play_booked(buy("1", "99"), &script, "open", "canceled 0");
}

#[test]
fn cancel_rejected_as_too_late() {
    let script = [
        ("pending 0", "1 is pending"),
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("late", "ask 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("fill 0.6", "1 fills 0.6, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn cancel_rejected_as_unknown() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("unknown", "1 is in-doubt, ask 1"),
        ("fill 0.4", "1 fills 0.4, 1 is open"),
        ("open 0.4", ""),
        ("fill 0.1", "1 fills 0.1"),
        ("expired 0.5", "1 is expired, 1 ended with 0.5"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "expired 0.5");
}

#[test]
fn cancel_rejected_and_nothing_more_is_told() {
    for refused in ["late", "unknown"] {
        let asked = if refused == "late" { "ask 1" } else { "1 is in-doubt, ask 1" };
        let script = [
            ("open 0", "1 is open"),
            ("withdraw", "withdraw 1"),
            (refused, asked),
            ("fill 0.4", if refused == "late" { "1 fills 0.4" } else { "1 fills 0.4, 1 is open" }),
            ("later", "ask 1, 1 is expired, 1 ended with 0.4"),
        ];
        play_booked(buy("1", "99"), &script, "expired", "expired 0.4");
    }
}

#[test]
fn partial_then_cancel() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.2", "1 fills 0.2"),
        ("open 0.2", ""),
        ("fill 0.3", "1 fills 0.3"),
        ("open 0.5", ""),
        ("withdraw", "withdraw 1"),
        ("canceled 0.5", "1 is canceled, 1 ended with 0.5"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.5");
}

#[test]
fn a_cancel_without_an_answer_is_sent_again_until_the_order_is_over() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("lost cancel", "ask 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("later", "withdraw 1, 1 is canceled, 1 ended with 0.4"),
    ];
    play_booked(buy("1", "99"), &script, "open", "canceled 0.4");
}

#[test]
fn the_venue_cancels_on_its_own() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("open 0.4", ""),
        ("canceled 0.4", "1 is canceled, 1 ended with 0.4"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.4");
}
