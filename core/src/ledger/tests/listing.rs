//! What a list of open orders tells whom.

use super::*;

#[test]
fn an_order_in_doubt_that_is_listed_is_news_and_one_that_is_known_is_not() {
    let mut account = Account::new();
    let (known, doubtful) = (limit(1, Side::Buy, "90", "1"), limit(1, Side::Buy, "91", "1"));
    account.rest(0, "a", known);
    account.approve(0, "b", doubtful);
    account.ledger.place(at(0), id("b"), 1, &doubtful).unwrap();
    account.fact(1, "b", Fact::OrderMoved(OrderNo(1), Life::Unknown));
    let orders =
        [listed(Some(client("a", 1, 1)), 1, &known, "0", 5), listed(Some(client("b", 1, 1)), 2, &doubtful, "0.25", 6)];
    let news = account.list(9_000, &orders);
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].0, id("b"));
    let view = OrderView { order: OrderNo(1), state: VenueState::Open, filled: qty("0.25"), seq: 6 };
    assert_eq!(state_of(&news[0].1), view);
}

#[test]
fn more_executed_a_newer_number_and_an_end_that_is_none_are_news() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    account.rest(0, "a", terms);
    let name = Some(client("a", 1, 1));
    assert_eq!(account.list(9_000, &[listed(name, 1, &terms, "0.5", 5)]).len(), 1);
    let view = OrderView { order: OrderNo(1), state: VenueState::Open, filled: qty("0"), seq: 5 };
    account.fact(9_001, "a", told(Report::State(view)));
    assert_eq!(account.list(20_000, &[listed(name, 1, &terms, "0", 5)]), vec![]);
    assert_eq!(account.list(30_000, &[listed(name, 1, &terms, "0", 6)]).len(), 1);
    account.end(31_000, "a", terms, Life::Canceled);
    let news = account.list(40_000, &[listed(name, 1, &terms, "0", 7)]);
    assert_eq!(state_of(&news[0].1).state, VenueState::Open);
}

#[test]
fn what_happened_after_the_question_is_newer_than_the_answer() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    account.rest(0, "a", terms);
    account.end(5_000, "a", terms, Life::Canceled);
    let order = listed(Some(client("a", 1, 1)), 1, &terms, "0", 1);
    assert_eq!(account.ledger.on_orders(at(5_001), at(4_000), at(4_000), &[order]), vec![]);
    // An answer that took longer than the next question's is not read at all.
    account.list(9_000, &[]);
    assert_eq!(account.ledger.on_orders(at(9_001), at(8_000), at(8_000), &[order]), vec![]);
}

#[test]
fn only_what_was_acknowledged_and_rests_for_a_while_is_missing() {
    let mut account = Account::new();
    let (first, second, third) =
        (limit(1, Side::Buy, "90", "1"), limit(2, Side::Buy, "90", "1"), limit(3, Side::Buy, "90", "1"));
    account.rest(0, "a", first);
    account.approve(0, "a", second);
    account.ledger.place(at(0), id("a"), 1, &second).unwrap();
    account.fact(1, "a", Fact::OrderMoved(OrderNo(2), Life::Unknown));
    account.rest(8_000, "a", third);
    assert_eq!(account.list(2_000, &[]), vec![], "younger than the guard");
    let missing = |order| (id("a"), Report::Missing(OrderNo(order)));
    assert_eq!(account.list(9_999, &[]), vec![missing(1)]);
    assert_eq!(account.list(15_000, &[]), vec![missing(1), missing(3)]);
}

#[test]
fn an_order_of_nobody_is_adopted_counted_and_let_go_when_it_is_gone() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "2");
    let external = listed(None, 77, &terms, "0.5", 3);
    let of_another = listed(Some(client("elsewhere", 4, 1)), 78, &limit(1, Side::Sell, "110", "1"), "0", 3);
    assert_eq!(account.list(10_000, &[external, of_another]), vec![]);
    assert_eq!(account.ledger.externals().count(), 2);
    assert_eq!(account.ledger.orphans().count(), 0);
    let open = account.ledger.outside_open(symbol(BTC), price("100"));
    assert_eq!(open, OutsideOpen { buys: money("135"), sells: money("110") });
    // Older news about it changes nothing, its end ends it, and a list without the other one ends that.
    assert_eq!(account.ledger.on_order_news(at(10_500), &VenueOrder { seq: 2, filled: qty("0"), ..external }), None);
    assert_eq!(account.ledger.outside_open(symbol(BTC), price("100")).buys, money("135"));
    account.ledger.on_order_news(at(11_000), &VenueOrder { state: VenueState::Canceled, seq: 9, ..external });
    assert_eq!(account.ledger.externals().count(), 1);
    account.list(12_000, &[]);
    assert_eq!(account.ledger.externals().count(), 0);
}

#[test]
fn a_name_that_its_instance_does_not_know_is_an_orphan() {
    let mut account = Account::new();
    let terms = limit(5, Side::Buy, "90", "1");
    let lost = listed(Some(client("a", 1, 5)), 5, &terms, "0", 1);
    assert_eq!(account.list(10_000, &[lost]), vec![]);
    let orphans: Vec<ClientId> = account.ledger.orphans().filter_map(|external| external.order.client).collect();
    assert_eq!(orphans, vec![client("a", 1, 5)]);
    // The same number in another epoch is another order.
    account.fact(10_001, "a", reconcile(2));
    account.approve(10_002, "a", terms);
    account.ledger.place(at(10_002), id("a"), 2, &terms).unwrap();
    account.list(20_000, &[lost, listed(Some(client("a", 2, 5)), 6, &terms, "0", 1)]);
    assert_eq!(account.ledger.orphans().count(), 1);
    assert_eq!(account.ledger.externals().count(), 1);
}

#[test]
fn the_stream_reaches_the_owner_alone() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    account.rest(0, "a", terms);
    let order = listed(Some(client("a", 1, 1)), 1, &terms, "0.5", 4);
    let (to, report) = account.ledger.on_order_news(at(5), &order).unwrap();
    assert_eq!((to, state_of(&report).filled), (id("a"), qty("0.5")));
    assert_eq!(account.ledger.on_order_news(at(6), &VenueOrder { client: None, id: 2, ..order }), None);
    assert_eq!(account.ledger.externals().count(), 1);
}
