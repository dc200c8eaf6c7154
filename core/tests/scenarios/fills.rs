//! Executions and acknowledgements in every order, whole and in parts, counted once each.

use crate::common::qty;
use crate::play::{play, play_all, play_with};
use crate::script::{buy, buy_now, sell};

#[test]
fn ack_before_fill() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("open 0.4", ""),
        ("fill 0.6", "1 fills 0.6, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn fill_before_ack() {
    let script = [
        ("fill 0.4", "1 fills 0.4, 1 is open"),
        ("fill 0.6", "1 fills 0.6, 1 is filled, 1 ended with 1"),
        ("open 0", "ask 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn an_order_rests_partly_filled() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.2", "1 fills 0.2"),
        ("open 0.2", ""),
        ("fill 0.3", "1 fills 0.3"),
        ("open 0.5", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "open 0.5");
}

#[test]
fn seven_pieces_of_news_of_one_order() {
    let script = [
        ("pending 0", "1 is pending"),
        ("open 0", "1 is open"),
        ("fill 0.2", "1 fills 0.2"),
        ("open 0.2", ""),
        ("fill 0.3", "1 fills 0.3"),
        ("fill 0.5", "1 fills 0.5, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn a_trigger_order_is_armed_and_then_filled() {
    let script = [
        ("pending 0", "1 is pending"),
        ("armed 0", "1 is armed"),
        ("open 0", "1 is open"),
        ("fill 1", "1 fills 1, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn the_claim_of_a_fill_is_no_fill() {
    let script = [
        ("filled 1", "1 is open, ask trades"),
        ("fill 0.4", "1 fills 0.4"),
        ("fill 0.6", "1 fills 0.6, 1 is filled, 1 ended with 1"),
        ("later", ""),
    ];
    play(buy("1", "99"), &script, "filled 1");
}

#[test]
fn a_market_order_fills_in_three_parts() {
    let script = [
        ("fill 0.2", "1 fills 0.2, 1 is open"),
        ("fill 0.3", "1 fills 0.3"),
        ("fill 0.5", "1 fills 0.5, 1 is filled, 1 ended with 1"),
        ("filled 1", ""),
        ("later", ""),
    ];
    play(buy_now("1"), &script, "filled 1");
}

#[test]
fn a_sale_of_part_of_the_position() {
    let script = [
        ("open 0", "1 is open"),
        ("fill 0.4", "1 fills 0.4"),
        ("fill 0.5", "1 fills 0.5"),
        ("open 0.9", ""),
        ("withdraw", "withdraw 1"),
        ("canceled 0.9", "1 is canceled, 1 ended with 0.9"),
        ("later", ""),
    ];
    play_with(vec![sell("1", "101")], &script, None, "canceled 0.9", |scenario| {
        scenario.spec.capital.base = qty("2");
    });
}

#[test]
fn the_news_of_two_orders_in_one_stream() {
    let script = [
        ("1: open 0", "1 is open"),
        ("2: open 0", "2 is open"),
        ("1: fill 0.4", "1 fills 0.4"),
        ("2: fill 2", "2 fills 2, 2 is filled, 2 ended with 2"),
        ("2: filled 2", ""),
        ("1: withdraw", "withdraw 1"),
        ("1: canceled 0.4", "1 is canceled, 1 ended with 0.4"),
        ("later", ""),
    ];
    play_all(vec![buy("1", "99"), buy("2", "98")], &script, None, "canceled 0.4, filled 2");
}
