//! What ought not to be: executions beyond the order, executions that are void, news that no row allows.

use crate::play::{play, play_booked, play_with};
use crate::script::buy;

#[test]
fn overfill() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.6", "1 fills 0.6"),
        ("fill 0.6", "1 fills 0.6, 1 is disputed, 1 ended with 1.2, disputed"),
        ("filled 1.2", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "disputed 1.2");
}

#[test]
fn overfill_of_a_canceled_order() {
    let script = [
        ("open 0", "1 is open"),
        ("canceled 0", "1 is canceled, 1 ended with 0"),
        ("fill 0.7", "1 fills 0.7, 1 had ended as canceled, ask 1"),
        ("fill 0.7", "1 fills 0.7, 1 had ended as canceled, 1 is disputed, disputed"),
        ("later", ""),
    ];
    play_booked(buy("1", "99"), &script, "canceled", "disputed 1.4");
}

#[test]
fn bust_of_a_part() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("fill 0.3", "1 fills 0.3"),
        ("bust 1", "1 loses 0.4, withdraw 1, ask 1"),
        ("open 0.3", ""),
        ("withdraw", ""),
        ("canceled 0.3", "1 is canceled, 1 ended with 0.3"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.3");
}

#[test]
fn bust_before_its_fill() {
    let script = [
        ("open 0", "1 is open"),
        ("bust 1", ""),
        ("fill 0.4", ""),
        ("fill 0.3", "1 fills 0.3"),
        ("canceled 0.3", "1 is canceled, 1 ended with 0.3"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.3");
}

#[test]
fn bust_after_the_cancel_that_spoke_of_it() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("fill 0.3", "1 fills 0.3"),
        ("canceled 0.7", "1 is canceled, 1 ended with 0.7"),
        ("bust 1", "1 loses 0.4, ask 1"),
        ("later", "ask 1"),
    ];
    play_booked(buy("1", "99"), &script, "canceled", "canceled 0.3");
}

#[test]
fn bust_of_a_filled_order() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.6", "1 fills 0.6"),
        ("fill 0.4", "1 fills 0.4, 1 is filled, 1 ended with 1"),
        ("bust 1", "1 loses 0.6, 1 is in-doubt, 1 lives again, ask 1"),
        ("later", "ask 1, 1 is canceled, 1 ended with 0.4"),
    ];
    play_with(vec![buy("1", "99")], &script, Some("canceled"), "canceled 0.4", |scenario| scenario.polled = true);
}

#[test]
fn a_rejection_of_what_is_filled_is_recorded_and_asked_about() {
    let script = [
        ("fill 1", "1 fills 1, 1 is filled, 1 ended with 1"),
        ("rejected 0", "1 refuses Reject, ask 1"),
        ("later", "ask 1"),
    ];
    play_booked(buy("1", "99"), &script, "filled", "filled 1");
}

#[test]
fn bust_of_an_order_that_the_venue_goes_on_calling_filled() {
    let script = [
        ("fill 0.6", "1 fills 0.6, 1 is open"),
        ("fill 0.4", "1 fills 0.4, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("bust 1", "1 loses 0.6, 1 is in-doubt, 1 lives again, ask 1"),
        ("later", "ask 1, 1 is canceled, 1 ended with 0.4"),
    ];
    play_booked(buy("1", "99"), &script, "filled", "canceled 0.4");
}
