//! Ends by the order's own terms, and refusals.

use crate::play::play;
use crate::script::{buy, buy_now};

#[test]
fn partial_then_expire() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("open 0.4", ""),
        ("fill 0.1", "1 fills 0.1"),
        ("open 0.5", ""),
        ("fill 0.2", "1 fills 0.2"),
        ("expired 0.7", "1 is expired, 1 ended with 0.7"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "expired 0.7");
}

#[test]
fn immediate_or_cancel_expires_with_fills() {
    let script = [
        ("fill 0.3", "1 fills 0.3, 1 is open"),
        ("expired 0.6", "1 is expired, 1 ended with 0.6, ask trades"),
        ("fill 0.3", "1 fills 0.3, 1 had ended as expired"),
        ("later", ""),
    ];
    play(buy_now("1"), &script, "expired 0.6");
}

#[test]
fn a_market_order_expires_with_fills() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.3", "1 fills 0.3"),
        ("fill 0.2", "1 fills 0.2"),
        ("expired 0.5", "1 is expired, 1 ended with 0.5"),
        ("later", ""),
    ];
    play(buy_now("1"), &script, "expired 0.5");
}

#[test]
fn a_market_order_expires_without_a_fill() {
    let script = [("open 0", "1 is open"), ("expired 0", "1 is expired, 1 ended with 0"), ("later", "")];
    play(buy_now("1"), &script, "expired 0");
}

#[test]
fn the_venue_rejects() {
    play(buy("1", "99"), &[("rejected 0", "1 is rejected, 1 ended with 0"), ("later", "")], "rejected 0");
}

#[test]
fn post_only_rejected_after_ack() {
    let script = [
        ("pending 0", "1 is pending"),
        ("open 0", "1 is open"),
        ("rejected 0", "1 is rejected, 1 ended with 0"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "rejected 0");
}

#[test]
fn rejected_after_a_part_was_filled() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("rejected 0.4", "1 is rejected, 1 ended with 0.4"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "rejected 0.4");
}
