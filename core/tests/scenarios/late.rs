//! Fills after the end, whichever end it was: the position takes each.

use crate::play::{play, play_booked, play_with};
use crate::script::buy;

#[test]
fn late_fill_after_cancel() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("canceled 0", "1 is canceled, 1 ended with 0"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as canceled, ask 1"),
        ("later", "ask 1, ask trades"),
    ];
    play_booked(buy("1", "99"), &script, "canceled", "canceled 0.4");
}

#[test]
fn late_fill_after_cancel_completes_the_order() {
    let script = [
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("canceled 0.4", "1 is canceled, 1 ended with 0.4"),
        ("fill 0.6", "1 fills 0.6, 1 had ended as canceled, 1 is filled, ask 1"),
        ("later", "ask 1, ask trades"),
    ];
    play_booked(buy("1", "99"), &script, "filled", "filled 1");
}

#[test]
fn late_fill_that_the_cancel_spoke_of() {
    let script = [
        ("pending 0", "1 is pending"),
        ("open 0", "1 is open"),
        ("withdraw", "withdraw 1"),
        ("canceled 0.7", "1 is canceled, 1 ended with 0.7, ask trades"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as canceled"),
        ("fill 0.3", "1 fills 0.3, 1 had ended as canceled"),
        ("late", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.7");
}

#[test]
fn late_fill_after_expiry() {
    let script = [
        ("open 0", "1 is open"),
        ("expired 0", "1 is expired, 1 ended with 0"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as expired, ask 1"),
        ("later", "ask 1, ask trades"),
    ];
    play_booked(buy("1", "99"), &script, "expired", "expired 0.4");
}

#[test]
fn late_fill_after_rejection() {
    let script = [
        ("rejected 0", "1 is rejected, 1 ended with 0"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as rejected, ask 1"),
        ("later", "ask 1, ask trades"),
    ];
    play_booked(buy("1", "99"), &script, "rejected", "rejected 0.4");
}

#[test]
fn whole_fill_after_rejection() {
    let script = [
        ("rejected 0", "1 is rejected, 1 ended with 0"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as rejected, ask 1"),
        ("fill 0.6", "1 fills 0.6, 1 had ended as rejected, 1 is filled"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn the_venue_takes_its_cancel_back() {
    let script = [
        ("withdraw", "withdraw 1"),
        ("open 0", "1 is open"),
        ("canceled 0", "1 is canceled, 1 ended with 0"),
        ("open 0", "1 is open, 1 lives again, withdraw 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("later", "withdraw 1, 1 is canceled, 1 ended with 0.4"),
    ];
    play_booked(buy("1", "99"), &script, "open", "canceled 0.4");
}

/// The proof was complete, and the venue's books were wrong when it gave it.
#[test]
fn late_fill_after_never_accepted() {
    let script = [
        ("lost place", "1 is in-doubt, ask 1"),
        ("absent 14000", ""),
        ("read 19000", ""),
        ("absent 19000", "1 is never-accepted, 1 ended with 0"),
        ("fill 0.4", "1 fills 0.4, 1 had ended as never-accepted, ask 1"),
        ("later", "ask 1, ask trades, 1 is canceled"),
    ];
    play_with(vec![buy("1", "99")], &script, Some("canceled"), "canceled 0.4", |scenario| scenario.polled = true);
}
