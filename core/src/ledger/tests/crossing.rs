//! No entry passes the port that would trade with another order of the account.

use super::*;

fn with(result: Result<ClientId, LedgerError>) -> Option<ClientId> {
    match result {
        Ok(_) => None,
        Err(LedgerError::Crosses { with, .. }) => Some(with),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn prices_that_meet_cross_and_prices_apart_do_not() {
    let mut account = Account::new();
    account.rest(0, "a", limit(1, Side::Sell, "100", "1"));
    let mut place = |terms: Terms| with(account.ledger.place(at(1), id("b"), 1, &terms));
    assert_eq!(place(limit(1, Side::Buy, "99.99", "1")), None);
    assert_eq!(place(limit(2, Side::Buy, "100", "1")), Some(client("a", 1, 1)));
    assert_eq!(place(limit(3, Side::Sell, "99.99", "1")), Some(client("b", 1, 1)));
    assert_eq!(place(limit(4, Side::Sell, "100", "1")), None);
}

#[test]
fn a_market_entry_reaches_as_far_as_its_bound() {
    let mut account = Account::new();
    account.rest(0, "a", limit(1, Side::Sell, "105", "1"));
    let mut place = |terms: Terms| with(account.ledger.place(at(1), id("b"), 1, &terms));
    assert_eq!(place(market(1, Side::Buy, Some("104.99"))), None);
    assert_eq!(place(market(2, Side::Buy, Some("105"))), Some(client("a", 1, 1)));
    assert_eq!(place(market(3, Side::Buy, None)), Some(client("a", 1, 1)));
    // The one that is on its way would take what rests within its bound, too.
    assert_eq!(place(limit(4, Side::Sell, "104.99", "1")), Some(client("b", 1, 1)));
}

#[test]
fn an_exit_passes_and_is_in_the_way_of_entries() {
    let mut account = Account::new();
    account.rest(0, "a", limit(1, Side::Buy, "100", "1"));
    let stop = exit(market(1, Side::Sell, None));
    assert_eq!(with(account.ledger.place(at(1), id("b"), 1, &stop)), None);
    let entry = limit(2, Side::Buy, "1", "1");
    assert_eq!(with(account.ledger.place(at(1), id("a"), 1, &entry)), Some(client("b", 1, 1)));
}

#[test]
fn an_instance_does_not_cross_itself_either_and_other_symbols_do_not_matter() {
    let mut account = Account::new();
    account.rest(0, "a", limit(1, Side::Sell, "100", "1"));
    let buy = limit(2, Side::Buy, "101", "1");
    assert_eq!(with(account.ledger.place(at(1), id("a"), 1, &buy)), Some(client("a", 1, 1)));
    let ether = Terms { instrument: InstrumentIx(1), ..buy };
    assert_eq!(with(account.ledger.place(at(1), id("a"), 1, &ether)), None);
}

#[test]
fn doubt_and_flight_stand_in_the_way_until_an_end_is_a_fact() {
    let mut account = Account::new();
    let sell = limit(1, Side::Sell, "100", "1");
    account.approve(0, "a", sell);
    let buy = limit(1, Side::Buy, "100", "1");
    // Approved, but not through the port yet: whoever comes first goes first.
    assert!(account.ledger.book.in_the_way(symbol(BTC), &buy, (id("b"), OrderNo(1))).is_none());
    account.ledger.place(at(0), id("a"), 1, &sell).unwrap();
    assert_eq!(with(account.ledger.place(at(1), id("b"), 1, &buy)), Some(client("a", 1, 1)));
    account.fact(2, "a", Fact::OrderMoved(OrderNo(1), Life::Unknown));
    assert_eq!(with(account.ledger.place(at(3), id("b"), 1, &buy)), Some(client("a", 1, 1)));
    account.end(4, "a", sell, Life::NeverAccepted);
    assert_eq!(with(account.ledger.place(at(5), id("b"), 1, &buy)), None);
    // It was there after all.
    account.fact(6, "a", Fact::OrderMoved(OrderNo(1), Life::Open));
    account.fact(6, "a", Fact::Reopened(OrderNo(1)));
    assert_eq!(
        with(account.ledger.place(at(7), id("b"), 1, &limit(2, Side::Buy, "100", "1"))),
        Some(client("a", 1, 1))
    );
}

#[test]
fn what_never_left_and_what_is_disputed() {
    let mut account = Account::new();
    let sell = limit(1, Side::Sell, "100", "1");
    account.approve(0, "a", sell);
    account.ledger.place(at(0), id("a"), 1, &sell).unwrap();
    account.fact(1, "a", Fact::Withheld { order: OrderNo(1), step: 0 });
    let buy = limit(1, Side::Buy, "100", "1");
    assert_eq!(with(account.ledger.place(at(2), id("b"), 1, &buy)), None);
    account.end(3, "b", buy, Life::Canceled);
    // The venue has it: nobody knows why, but it is in the way.
    account.fact(4, "a", Fact::OrderMoved(OrderNo(1), Life::Disputed));
    let again = limit(2, Side::Buy, "100", "1");
    assert_eq!(with(account.ledger.place(at(5), id("b"), 1, &again)), Some(client("a", 1, 1)));
}

#[test]
fn after_a_start_whatever_was_approved_may_have_left() {
    let mut account = Account::new();
    account.approve(0, "a", limit(1, Side::Sell, "100", "1"));
    account.ledger.restarted(at(1));
    let buy = limit(1, Side::Buy, "100", "1");
    assert_eq!(with(account.ledger.place(at(2), id("b"), 1, &buy)), Some(client("a", 1, 1)));
}

#[test]
fn strangers_and_unknown_instruments_are_refused() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "1", "1");
    let stranger = account.ledger.place(at(0), id("c"), 1, &terms);
    assert_eq!(stranger, Err(LedgerError::Stranger { instance: id("c") }));
    let other = Terms { instrument: InstrumentIx(2), ..terms };
    let result = account.ledger.place(at(0), id("a"), 1, &other);
    assert_eq!(result, Err(LedgerError::Instrument { instance: id("a"), instrument: InstrumentIx(2) }));
}

#[test]
fn an_order_of_an_instance_that_is_gone_is_in_the_way_while_it_is_listed() {
    let mut account = Account::new();
    let sell = limit(1, Side::Sell, "100", "1");
    account.rest(0, "a", sell);
    account.ledger.unregister(id("a"));
    let buy = limit(1, Side::Buy, "100", "1");
    account.list(10_000, &[listed(Some(client("a", 1, 1)), 9, &sell, "0", 1)]);
    assert_eq!(account.ledger.externals().count(), 1);
    assert_eq!(with(account.ledger.place(at(10_001), id("b"), 1, &buy)), Some(client("a", 1, 1)));
    account.list(20_000, &[]);
    assert_eq!(with(account.ledger.place(at(20_001), id("b"), 1, &buy)), None);
}
