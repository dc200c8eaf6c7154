//! Requests without an answer, looks that do not find an order, lists that do not have it.

use crate::play::{play, play_booked, play_with};
use crate::script::buy;

/// From the third question on: one every 2 s, since the venue answers; the executions are read, and the proof is there
/// before people are told.
const ASKED_IN_VAIN: &str = "ask 1, ask 1, ask 1, ask 1, ask 1, ask 1, ask 1, ask 1, ask trades, ask 1, ask 1, \
    1 is never-accepted, 1 ended with 0";

#[test]
fn timed_out_and_accepted() {
    let script = [
        ("lost place", "1 is in-doubt, ask 1"),
        ("absent 1000", ""),
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("open 0.4", ""),
        ("fill 0.1", "1 fills 0.1"),
        ("open 0.5", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "open 0.5");
}

#[test]
fn timed_out_and_found_by_asking() {
    let script = [("lost place", "1 is in-doubt, ask 1"), ("later", "ask 1, 1 is open")];
    play_booked(buy("1", "99"), &script, "open", "open 0");
}

#[test]
fn timed_out_and_filled() {
    let script = [
        ("lost place", "1 is in-doubt, ask 1"),
        ("fill 0.4", "1 fills 0.4, 1 is open"),
        ("fill 0.6", "1 fills 0.6, 1 is filled, 1 ended with 1"),
        ("later", ""),
    ];
    play_booked(buy("1", "99"), &script, "filled", "filled 1");
}

/// Neither the time-out nor any single look ends it.
#[test]
fn timed_out_and_not_accepted() {
    let script =
        [("lost place", "1 is in-doubt, ask 1"), ("absent 1000", ""), ("missing", "ask 1"), ("later", ASKED_IN_VAIN)];
    play_booked(buy("1", "99"), &script, "nothing", "never-accepted 0");
}

#[test]
fn timed_out_and_rejected() {
    let script =
        [("lost place", "1 is in-doubt, ask 1"), ("rejected 0", "1 is rejected, 1 ended with 0"), ("later", "")];
    play(buy("1", "99"), &script, "rejected 0");
}

#[test]
fn silence_alone_and_not_accepted() {
    let later = format!("ask 1, 1 is in-doubt, {ASKED_IN_VAIN}");
    let script = [("missing", "ask 1"), ("later", later.as_str())];
    play_booked(buy("1", "99"), &script, "nothing", "never-accepted 0");
}

#[test]
fn found_after_not_found() {
    let script = [
        ("lost place", "1 is in-doubt, ask 1"),
        ("absent 1000", ""),
        ("absent 2000", ""),
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("later", ""),
    ];
    play_booked(buy("1", "99"), &script, "open", "open 0.4");
}

/// The looks were late enough to count; one is not two, and the list of executions has another say.
#[test]
fn found_after_all_but_the_proof() {
    let script = [
        ("lost place", "1 is in-doubt, ask 1"),
        ("absent 14000", ""),
        ("read 14000", ""),
        ("fill 0.4", "1 fills 0.4, 1 is open"),
        ("canceled 0.4", "1 is canceled, 1 ended with 0.4"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "canceled 0.4");
}

#[test]
fn found_after_never_accepted_is_withdrawn() {
    let script = [
        ("withdraw", "withdraw 1"),
        ("lost place", "1 is in-doubt, ask 1"),
        ("absent 14000", ""),
        ("read 19000", ""),
        ("absent 19000", "1 is never-accepted, 1 ended with 0"),
        ("open 0", "1 is open, 1 lives again, withdraw 1"),
        ("later", "withdraw 1, 1 is canceled, 1 ended with 0"),
    ];
    play_with(vec![buy("1", "99")], &script, Some("open"), "canceled 0", |scenario| scenario.polled = true);
}

#[test]
fn missing_from_a_list_and_alive() {
    let script =
        [("open 0", "1 is open"), ("missing", "ask 1"), ("fill 0.4", "1 fills 0.4"), ("open 0.4", ""), ("later", "")];
    play(buy("1", "99"), &script, "open 0.4");
}

#[test]
fn missing_from_a_list_and_gone() {
    let script = [
        ("open 0", "1 is open"),
        ("missing", "ask 1"),
        ("fill 0.4", "1 fills 0.4"),
        ("later", "ask 1, 1 is canceled, 1 ended with 0.4"),
    ];
    play_with(vec![buy("1", "99")], &script, Some("canceled"), "canceled 0.4", |scenario| scenario.polled = true);
}
