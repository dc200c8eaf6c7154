//! Executions reach their owner once, and those of others count once.

use super::*;

fn hold(account: &Account, name: &str) -> (Decimal, Decimal) {
    let member = &account.ledger.members()[&id(name)];
    (member.holds(asset("BTC")), member.holds(asset("USDT")))
}

fn read(account: &mut Account, ms: i64, trades: &[VenueTrade]) -> Vec<(InstanceId, Report)> {
    account.ledger.on_trades(at(ms), at(ms - 3_600_000), at(ms), symbol(BTC), trades)
}

#[test]
fn a_fill_counts_when_it_is_a_fact_and_is_told_until_then() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    let trade = executed(Some(client("a", 1, 1)), 1, Side::Buy, "0.4", 20);
    let (to, report) = account.ledger.on_trade_news(at(21), &trade).unwrap();
    assert_eq!(to, id("a"));
    let fill = fill_of(&report);
    assert_eq!((fill.order, fill.tag, fill.instrument, fill.trade), (OrderNo(1), Tag(7), InstrumentIx(0), TradeId(1)));
    assert_eq!(hold(&account, "a"), (dec("0"), dec("1000")));
    assert_eq!(read(&mut account, 22, &[trade]).len(), 1);
    account.fact(23, "a", Fact::Fill(fill));
    assert_eq!(hold(&account, "a"), (dec("0.4"), dec("959.96")));
    assert_eq!(read(&mut account, 24, &[trade, trade]), vec![]);
    assert_eq!(account.ledger.known(client("a", 1, 1)).unwrap().filled, qty("0.4"));
    account.fact(25, "a", Fact::Bust(fill));
    assert_eq!(hold(&account, "a"), (dec("0"), dec("1000")));
    assert_eq!(account.ledger.known(client("a", 1, 1)).unwrap().filled, qty("0"));
    assert_eq!(read(&mut account, 26, &[trade]), vec![], "a void one is not news");
    assert_eq!(account.ledger.expected(asset("USDT")), dec("5000"));
}

#[test]
fn a_late_fill_finds_the_owner_of_an_ended_order() {
    let mut account = Account::opened();
    let terms = limit(1, Side::Buy, "100", "1");
    account.rest(10, "a", terms);
    account.end(20, "a", terms, Life::Canceled);
    let trade = executed(Some(client("a", 1, 1)), 1, Side::Buy, "0.4", 19);
    let late = VenueTraits::OUTSIDE.look_back_ms - 1_000;
    assert_eq!(read(&mut account, late, &[trade]).len(), 1);
    // After the look-back it is known as one of ours that is complete: it is neither news nor somebody else's.
    account.list(late + 10_000, &[]);
    assert_eq!(account.ledger.known(client("a", 1, 1)), None);
    assert_eq!(read(&mut account, late + 10_001, &[trade]), vec![]);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
}

#[test]
fn others_count_once_and_only_after_the_opening() {
    let mut account = Account::new();
    let (before, after) = (executed(None, 1, Side::Buy, "1", 90), executed(None, 2, Side::Buy, "2", 110));
    assert_eq!(read(&mut account, 120, &[before, after]), vec![]);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
    // A statement that may lack what has been read is no opening.
    assert_eq!(account.ledger.on_balances(at(121), at(100), &[]), vec![]);
    let later = executed(None, 3, Side::Sell, "0.5", 200);
    account.state(150, &[("USDT", "5000"), ("BTC", "3")]);
    assert_eq!(read(&mut account, 201, &[before, after, later, later]), vec![]);
    assert_eq!(account.ledger.on_trade_news(at(202), &later), None);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("-0.5"));
    assert_eq!(account.ledger.expected(asset("BTC")), dec("2.5"));
    assert_eq!(account.ledger.expected(asset("USDT")), dec("5049.95"));
}

#[test]
fn an_execution_whose_owner_turns_up_changes_over_to_it() {
    let mut account = Account::opened();
    let trade = executed(Some(client("c", 1, 1)), 1, Side::Buy, "1", 20);
    assert_eq!(account.ledger.on_trade_news(at(21), &trade), None);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("1"));
    let expected = account.ledger.expected(asset("BTC"));
    account.ledger.register(at(22), &spec("c", ("100", "0"), &[BTC]), 1);
    let terms = limit(1, Side::Buy, "100", "1");
    account.rest(23, "c", terms);
    let (_, report) = account.ledger.on_trade_news(at(24), &trade).unwrap();
    account.fact(25, "c", Fact::Fill(fill_of(&report)));
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
    assert_eq!(account.ledger.expected(asset("BTC")), expected);
    assert_eq!(account.ledger.expected(asset("USDT")), dec("4899.9"));
    assert_eq!(hold(&account, "c"), (dec("1"), dec("-0.1")));
}

#[test]
fn whoever_asked_hears_the_fills_first_and_whether_all_is_explained() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    account.ledger.ask_trades(at(20), id("a"), InstrumentIx(0), at(-5_000)).unwrap();
    account.ledger.ask_trades(at(20), id("b"), InstrumentIx(0), at(-9_000_000)).unwrap();
    let ours = executed(Some(client("a", 1, 1)), 1, Side::Buy, "0.4", 15);
    let news = read(&mut account, 30, &[ours, executed(None, 2, Side::Sell, "1", 16)]);
    assert_eq!(news.len(), 2, "b asked for more than was read");
    assert_eq!(fill_of(&news[0].1).trade, TradeId(1));
    let (from, until) = (at(30 - 3_600_000), at(30));
    let traded = |unexplained| crate::orders::Traded { instrument: InstrumentIx(0), from, until, unexplained };
    assert_eq!(news[1], (id("a"), Report::Traded(traded(false))));
    assert_eq!(read(&mut account, 30, &[]), vec![], "an answer is given once");

    account.ledger.ask_trades(at(40), id("a"), InstrumentIx(0), at(0)).unwrap();
    let orphan = executed(Some(client("a", 1, 99)), 3, Side::Buy, "1", 17);
    let news = read(&mut account, 30, &[orphan]);
    assert_eq!(news, vec![(id("a"), Report::Traded(traded(true)))]);
    // It counts as somebody else's, so that the balances stay explained.
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
    assert_eq!(account.ledger.expected(asset("BTC")), dec("0"));
}

#[test]
fn a_base_that_differs_leaves_everything_unexplained() {
    let mut account = Account::opened();
    account.state(100, &[("USDT", "5000"), ("BTC", "0.1")]);
    account.ledger.ask_trades(at(101), id("a"), InstrumentIx(0), at(0)).unwrap();
    let unexplained = |news: &[(InstanceId, Report)]| match news {
        [(_, Report::Traded(traded))] => traded.unexplained,
        other => panic!("{other:?}"),
    };
    assert!(unexplained(&read(&mut account, 102, &[])));
    account.state(200, &[("USDT", "5000")]);
    account.ledger.ask_trades(at(201), id("a"), InstrumentIx(0), at(0)).unwrap();
    assert!(!unexplained(&read(&mut account, 202, &[])));
}

#[test]
fn without_names_an_execution_may_be_that_of_an_order_in_flight() {
    let mut account = Account::opened();
    account.ledger.venue.ids = IdClass::None;
    let terms = limit(1, Side::Buy, "100", "1");
    account.approve(10, "a", terms);
    account.ledger.place(at(10), id("a"), 1, &terms).unwrap();
    account.ledger.ask_trades(at(11), id("a"), InstrumentIx(0), at(0)).unwrap();
    let news = read(&mut account, 30, &[executed(None, 1, Side::Buy, "1", 20)]);
    assert!(matches!(news[..], [(_, Report::Traded(traded))] if traded.unexplained));
    account.fact(40, "a", Fact::OrderMoved(OrderNo(1), Life::Open));
    account.ledger.ask_trades(at(41), id("a"), InstrumentIx(0), at(0)).unwrap();
    let news = read(&mut account, 50, &[executed(None, 1, Side::Buy, "1", 20)]);
    assert!(matches!(news[..], [(_, Report::Traded(traded))] if !traded.unexplained));
}

#[test]
fn what_an_instance_counted_before_it_left_does_not_count_again() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    let trade = executed(Some(client("a", 1, 1)), 1, Side::Buy, "0.4", 15);
    let (_, report) = account.ledger.on_trade_news(at(16), &trade).unwrap();
    account.fact(17, "a", Fact::Fill(fill_of(&report)));
    let expected = account.ledger.expected(asset("USDT"));
    account.ledger.unregister(id("a"));
    assert_eq!(account.ledger.expected(asset("USDT")), expected);
    let rest = executed(Some(client("a", 1, 1)), 2, Side::Buy, "0.6", 18);
    assert_eq!(read(&mut account, 30, &[trade, rest]), vec![]);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0.6"));
    assert_eq!(account.ledger.expected(asset("BTC")), dec("1"));
    // One of the same name comes back in another epoch: it has nothing to do with either.
    account.ledger.register(at(40), &spec("a", ("10", "0"), &[BTC]), 2);
    assert_eq!(read(&mut account, 50, &[trade, rest]), vec![]);
    assert_eq!(account.ledger.expected(asset("BTC")), dec("1"));
}
