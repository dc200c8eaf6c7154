//! Statements of the venue against what is expected.

use super::*;

fn difference(expected: &str, stated: &str, since: i64, since_pending: bool) -> Difference {
    Difference { expected: dec(expected), stated: dec(stated), since: at(since), since_pending }
}

#[test]
fn two_statements_in_a_row_make_a_difference_and_only_a_statement_ends_it() {
    let mut account = Account::opened();
    assert_eq!(account.state(100, &[("USDT", "5000")]), vec![]);
    assert_eq!(account.state(200, &[("USDT", "4990")]), vec![]);
    assert_eq!(account.ledger.differences()[&asset("USDT")], difference("5000", "4990", 200, true));
    assert_eq!(account.ledger.oldest_difference(at(70_000)), None);
    let stands = difference("5000", "4990", 200, false);
    assert_eq!(account.state(300, &[("USDT", "4990")]), vec![BalanceNews::Differs(asset("USDT"), stands)]);
    assert_eq!(account.ledger.oldest_difference(at(70_200)), Some(70_000));
    // Told once; another amount is the same difference.
    assert_eq!(account.state(400, &[("USDT", "4980")]), vec![]);
    assert_eq!(account.ledger.differences()[&asset("USDT")], difference("5000", "4980", 200, false));
    assert_eq!(account.state(1_200, &[("USDT", "5000")]), vec![BalanceNews::Agrees(asset("USDT"), 1_000)]);
    assert!(account.ledger.differences().is_empty());
}

#[test]
fn an_execution_that_is_under_way_is_no_difference() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    let trade = executed(Some(client("a", 1, 1)), 1, Side::Buy, "1", 90);
    // The statement has it, the stream is late.
    assert_eq!(account.state(100, &[("USDT", "4899.9"), ("BTC", "1")]), vec![]);
    assert_eq!(account.ledger.differences().len(), 2);
    let (_, report) = account.ledger.on_trade_news(at(110), &trade).unwrap();
    account.fact(111, "a", Fact::Fill(fill_of(&report)));
    assert_eq!(account.state(200, &[("USDT", "4899.9"), ("BTC", "1")]), vec![]);
    assert!(account.ledger.differences().is_empty());
    assert_eq!(account.ledger.compared(), Some(at(200)));
    // A statement of before the execution says nothing, and neither does one that was overtaken.
    assert_eq!(account.ledger.on_balances(at(300), at(90), &[]), vec![]);
    assert_eq!(account.ledger.on_balances(at(300), at(199), &[]), vec![]);
    assert!(account.ledger.differences().is_empty());
}

#[test]
fn a_difference_whose_amount_never_stays_stands_after_a_minute() {
    let mut account = Account::opened();
    assert_eq!(account.state(1_000, &[("USDT", "4999")]), vec![]);
    assert_eq!(account.state(31_000, &[("USDT", "4998")]), vec![]);
    let stands = difference("5000", "4997", 1_000, false);
    assert_eq!(account.state(61_000, &[("USDT", "4997")]), vec![BalanceNews::Differs(asset("USDT"), stands)]);
}

#[test]
fn every_asset_counts_whoever_holds_it() {
    let mut account = Account::new();
    account.state(1, &[("USDT", "5000"), ("DOGE", "10")]);
    assert_eq!(account.ledger.expected(asset("DOGE")), dec("10"));
    account.state(100, &[("USDT", "5000")]);
    let news = account.state(200, &[("USDT", "5000")]);
    assert_eq!(news, vec![BalanceNews::Differs(asset("DOGE"), difference("10", "0", 100, false))]);
    account.ledger.transfer(asset("DOGE"), dec("-10"));
    assert_eq!(account.state(300, &[("USDT", "5000")]), vec![BalanceNews::Agrees(asset("DOGE"), 200)]);
    // An asset may stand on several lines.
    assert_eq!(account.state(400, &[("USDT", "4000"), ("USDT", "1000")]), vec![]);
    assert!(account.ledger.differences().is_empty());
}

#[test]
fn a_moment_far_ahead_is_not_believed() {
    let mut account = Account::opened();
    account.ledger.on_balances(at(10), at(1_000_000_000), &[]);
    assert_eq!(account.ledger.compared(), Some(at(60_010)));
    account.ledger.on_trade_news(at(20), &executed(None, 1, Side::Buy, "1", 1_000_000_000));
    account.state(70_000, &[("USDT", "4899.9"), ("BTC", "1")]);
    assert_eq!(account.ledger.compared(), Some(at(70_000)));
    assert!(account.ledger.differences().is_empty());
}
