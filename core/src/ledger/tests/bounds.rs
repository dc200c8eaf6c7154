//! Both sides of every bound: how long, how far, how many, and the moment in between.

use super::following::traded;
use super::*;

const HOUR: i64 = 3_600_000;
const LOOK_BACK: i64 = 86_400_000;
const CLOCKS: i64 = 60_000;

fn outside(account: &Account) -> Qty {
    account.ledger.outside_position(symbol(BTC))
}

/// One unit bought under that name of `a`, told now: it moves what is outside unless the account knows better.
fn is_orphan(account: &mut Account, epoch: u32, order: u64) -> bool {
    let before = outside(account);
    let trade =
        executed(Some(client("a", epoch, order)), 10_000 + order + 1_000 * u64::from(epoch), Side::Buy, "1", 50);
    assert_eq!(account.ledger.on_trade_news(at(60), &trade), None);
    outside(account) != before
}

fn recovered_order(number: u64, epoch: u32) -> RecoveredOrder {
    RecoveredOrder {
        terms: limit(number, Side::Sell, "110", "1"),
        epoch,
        life: Life::Open,
        filled: qty("0.2"),
        sent: at(3),
        ended: None,
        seq: Some(8),
        trades: vec![],
        voided: vec![],
    }
}

fn rebuilt(last: u64, orders: Vec<RecoveredOrder>) -> Account {
    let mut account = Account::opened();
    let (cash, positions) = (money("1000"), vec![qty("0"), qty("0")]);
    let recovered = Recovered { epoch: 2, facts: 9, last: OrderNo(last), cash, positions, orders };
    account.ledger.rebuild(at(100), &spec("a", ("1000", "0"), &[BTC, ETH]), &recovered);
    account
}

#[test]
fn sixty_four_starts_are_told_apart() {
    let mut account = Account::opened();
    for epoch in 1..=65 {
        if epoch > 1 {
            account.fact(10, "a", reconcile(epoch));
        }
        account.approve(11, "a", limit(u64::from(epoch), Side::Buy, "90", "1"));
    }
    assert!(is_orphan(&mut account, 1, 2), "number 2 was given in epoch 2");
    assert!(!is_orphan(&mut account, 2, 1), "the numbers of before are not told apart from it");
    account.fact(12, "a", reconcile(66));
    assert!(!is_orphan(&mut account, 0, 2), "what came before the kept ones is one");
    assert!(is_orphan(&mut account, 64, 65));
}

#[test]
fn a_start_that_is_told_twice_begins_once() {
    let mut account = Account::opened();
    account.approve(10, "a", limit(1, Side::Buy, "90", "1"));
    account.fact(11, "a", reconcile(2));
    account.approve(12, "a", limit(2, Side::Buy, "90", "1"));
    account.fact(13, "a", reconcile(2));
    account.fact(14, "a", reconcile(1));
    assert_eq!(account.ledger.members()[&id("a")].epoch(), 2);
    assert!(is_orphan(&mut account, 1, 2));
    assert!(!is_orphan(&mut account, 2, 1));
}

#[test]
fn a_recovery_tells_which_numbers_its_epoch_did_not_give() {
    let mut without_own = rebuilt(4, vec![recovered_order(3, 1)]);
    assert!(!is_orphan(&mut without_own, 1, 4), "nothing is of the new epoch yet");
    assert!(is_orphan(&mut without_own, 1, 5));
    let mut with_own = rebuilt(9, vec![recovered_order(3, 1), recovered_order(7, 2), recovered_order(8, 2)]);
    assert!(!is_orphan(&mut with_own, 1, 6));
    assert!(is_orphan(&mut with_own, 1, 7), "it is of epoch 2");
}

#[test]
fn what_is_known_of_a_recovered_order_is_no_news_and_what_is_newer_is() {
    let orders = vec![recovered_order(3, 1)];
    let terms = orders[0].terms;
    let told = |ms: i64, filled: &str, seq: u64| {
        let mut account = rebuilt(4, orders.clone());
        account.list(ms, &[listed(Some(client("a", 1, 3)), 5, &terms, filled, seq)]).len()
    };
    assert_eq!(told(10_000, "0.2", 8), 0);
    assert_eq!(told(10_000, "0.2", 9), 1);
    assert_eq!(told(10_000, "0.3", 8), 1);
    assert_eq!(told(100, "0.3", 9), 0, "the question is as old as the recovery");
    assert_eq!(told(101, "0.3", 9), 1);
}

#[test]
fn an_order_that_ended_is_known_for_the_look_back_from_its_end_on() {
    let ended = RecoveredOrder { life: Life::Canceled, ended: Some(at(4)), ..recovered_order(3, 1) };
    let mut account = rebuilt(4, vec![ended]);
    account.list(LOOK_BACK + 4, &[]);
    assert!(account.ledger.known(client("a", 1, 3)).is_some());
    account.list(LOOK_BACK + 5, &[]);
    assert_eq!(account.ledger.known(client("a", 1, 3)), None);
    // A list in between takes nothing away.
    let mut account = Account::opened();
    let terms = limit(1, Side::Buy, "100", "1");
    account.rest(10, "a", terms);
    account.end(20, "a", terms, Life::Canceled);
    account.list(10_000, &[]);
    assert_eq!(account.ledger.known(client("a", 1, 1)).map(|known| known.life), Some(Life::Canceled));
}

#[test]
fn an_order_without_a_number_of_the_venue_comes_without_one() {
    let mut bot = traded();
    let number_of = |bot: &crate::instance::Outside, order| {
        let recovered = Recovered::of(&bot.stages, bot.list.facts_written(), OrderNo(9));
        recovered.orders.iter().find(|known| known.terms.order == OrderNo(order)).unwrap().seq
    };
    assert_eq!((number_of(&bot, 1), number_of(&bot, 2)), (Some(5), Some(6)));
    let intent = crate::orders::Intent {
        tag: Tag(7),
        instrument: InstrumentIx(0),
        side: Side::Buy,
        kind: OrderKind::Limit(price("97")),
        qty: qty("1.1"),
        purpose: Purpose::Entry,
        origin: Origin::Operator,
        protect: None,
        reason: Reason::Flatten,
    };
    bot.put(at(13), Input::Intent(Box::new(intent)));
    assert_eq!(number_of(&bot, 3), None);
}

#[test]
fn an_execution_far_ahead_counts_as_one_of_the_next_minute() {
    let compares = |account: &mut Account, ms: i64| {
        account.state(ms, &[("USDT", "5000")]);
        account.ledger.compared() == Some(at(ms))
    };
    let mut by_others = Account::opened();
    by_others.ledger.on_trade_news(at(20), &executed(None, 1, Side::Buy, "1", LOOK_BACK));
    assert!(!compares(&mut by_others, CLOCKS + 20));
    assert!(compares(&mut by_others, CLOCKS + 21));
    let mut by_us = Account::opened();
    by_us.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    let fill = Fill { at: at(LOOK_BACK), ..super::following::fill(1, 1, Side::Buy, "1") };
    by_us.fact(20, "a", Fact::Fill(fill));
    assert!(!compares(&mut by_us, CLOCKS + 20));
    assert!(compares(&mut by_us, CLOCKS + 21));
}

#[test]
fn executions_are_known_for_the_look_back_and_an_hour() {
    let keep = LOOK_BACK + HOUR;
    let mut account = Account::opened();
    let read = |account: &mut Account, ms: i64, trades: &[VenueTrade]| {
        account.ledger.on_trades(at(ms), at(ms - HOUR), at(ms), symbol(BTC), trades);
        outside(account)
    };
    let first = executed(None, 1, Side::Buy, "1", 10);
    assert_eq!(read(&mut account, 20, &[first]), qty("1"));
    assert_eq!(read(&mut account, keep + 10, &[]), qty("1"));
    assert_eq!(read(&mut account, keep + 10, &[first]), qty("1"), "it is still known");
    // One that is told for the first time counts up to the same bound.
    let (inside, beyond) = (executed(None, 2, Side::Buy, "2", 110), executed(None, 3, Side::Buy, "4", 109));
    read(&mut account, keep + 110, &[]);
    assert_eq!(read(&mut account, keep + 110, &[beyond]), qty("1"));
    assert_eq!(read(&mut account, keep + 110, &[inside]), qty("3"));
}

#[test]
fn what_happened_at_the_moment_of_the_question_may_not_be_in_the_answer() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    account.rest(0, "a", terms);
    account.fact(5_000, "a", Fact::OrderMoved(OrderNo(1), Life::Unknown));
    let order = listed(Some(client("a", 1, 1)), 1, &terms, "0", 1);
    assert_eq!(account.list(5_000, &[order]), vec![]);
    assert_eq!(account.list(5_001, &[order]).len(), 1);
    // A second answer to the same question is read as well.
    assert_eq!(account.list(5_001, &[order]).len(), 1);
    assert_eq!(account.ledger.polls().listed_as_of(), Some(at(5_001)));
}

#[test]
fn an_order_that_its_instance_left_short_before_the_question_is_in_the_way() {
    let mut account = Account::new();
    account.rest(9_000, "a", limit(1, Side::Sell, "100", "1"));
    account.ledger.unregister(id("a"));
    let buy = limit(1, Side::Buy, "100", "1");
    account.list(11_000, &[]);
    assert!(account.ledger.place(at(11_000), id("b"), 1, &buy).is_err());
    account.list(11_001, &[]);
    assert!(account.ledger.place(at(11_001), id("b"), 1, &buy).is_ok());
}

#[test]
fn the_late_execution_of_an_order_that_ended_before_its_instance_left_is_counted() {
    let mut account = Account::opened();
    let terms = limit(1, Side::Buy, "100", "1");
    account.rest(10, "a", terms);
    account.end(20, "a", terms, Life::Canceled);
    account.ledger.unregister(id("a"));
    account.list(10_000, &[]);
    let late = executed(Some(client("a", 1, 1)), 1, Side::Buy, "0.4", 19);
    assert_eq!(account.ledger.on_trade_news(at(10_001), &late), None);
    assert_eq!(outside(&account), qty("0.4"), "its instance is gone: nobody else counts it");
}

#[test]
fn only_an_unacknowledged_order_of_that_symbol_and_side_may_own_a_nameless_execution() {
    let unexplained = |side: Side, traded: &str, ids: IdClass| {
        let mut account = Account::opened();
        account.ledger.venue.ids = ids;
        let terms = limit(1, Side::Buy, "100", "1");
        account.approve(10, "a", terms);
        account.ledger.place(at(10), id("a"), 1, &terms).unwrap();
        let ix = InstrumentIx(u16::from(traded == ETH));
        account.ledger.ask_trades(at(11), id("b"), ix, at(0)).unwrap();
        let trade = VenueTrade { symbol: symbol(traded), ..executed(None, 1, side, "1", 20) };
        let news = account.ledger.on_trades(at(30), at(0), at(30), symbol(traded), &[trade]);
        matches!(news[..], [(_, Report::Traded(answer))] if answer.unexplained)
    };
    assert!(unexplained(Side::Buy, BTC, IdClass::None));
    assert!(!unexplained(Side::Sell, BTC, IdClass::None));
    assert!(!unexplained(Side::Buy, ETH, IdClass::None));
    assert!(!unexplained(Side::Buy, BTC, IdClass::Unique));
}

#[test]
fn a_difference_says_how_much_more_there_is() {
    let (expected, stated) = (dec("5000"), dec("5010"));
    let more = Difference { expected, stated, since: at(0), since_pending: true };
    assert_eq!(more.amount(), dec("10"));
    assert_eq!(Difference { expected: stated, stated: expected, ..more }.amount(), dec("-10"));
}

#[test]
fn an_order_of_others_is_worth_what_it_may_still_trade() {
    let mut account = Account::new();
    let open = |account: &Account| account.ledger.outside_open(symbol(BTC), price("100"));
    let terms = market(1, Side::Sell, None);
    let order = VenueOrder { qty: qty("3"), ..listed(None, 1, &terms, "1", 4) };
    account.ledger.on_order_news(at(1), &order);
    assert_eq!(open(&account), OutsideOpen { buys: money("0"), sells: money("200") });
    let bounded = market(2, Side::Sell, Some("90"));
    account.ledger.on_order_news(at(2), &listed(None, 2, &bounded, "0.5", 4));
    account.ledger.on_order_news(at(2), &listed(None, 3, &limit(3, Side::Buy, "10", "2"), "0", 4));
    account.ledger.on_order_news(at(2), &listed(None, 4, &limit(4, Side::Buy, "20", "2"), "0", 4));
    assert_eq!(open(&account), OutsideOpen { buys: money("60"), sells: money("245") });
    // News of the same number is not older.
    account.ledger.on_order_news(at(3), &VenueOrder { filled: qty("2"), ..order });
    assert_eq!(open(&account).sells, money("145"));
}

#[test]
fn the_end_of_an_order_of_others_is_no_reason_to_read_its_symbol() {
    let mut account = Account::new();
    let order = VenueOrder { symbol: symbol("SOLUSDT"), ..listed(None, 1, &limit(1, Side::Buy, "1", "1"), "0", 1) };
    account.ledger.on_order_news(at(0), &VenueOrder { state: VenueState::Canceled, ..order });
    let asks_sol =
        |polls: Vec<Poll>| polls.iter().any(|poll| matches!(poll, Poll::Trades(s, _) if *s == symbol("SOLUSDT")));
    assert!(!asks_sol(account.ledger.due(at(0))));
    account.ledger.on_order_news(at(7_000), &order);
    assert_eq!(account.ledger.due(at(6_999)).len(), 4, "the others are asked again");
    assert_eq!(account.ledger.next_due(), at(7_000), "it is due from the moment on that it was seen");
    assert!(asks_sol(account.ledger.due(at(7_000))));
}

#[test]
fn a_first_reading_that_is_too_short_covers_nothing_and_an_exact_one_answers_once() {
    let mut account = Account::new();
    account.ledger.on_trades(at(0), at(-LOOK_BACK + 1), at(0), symbol(BTC), &[]);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), None);
    account.ledger.on_trades(at(0), at(-LOOK_BACK), at(0), symbol(BTC), &[]);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), Some(at(0)));
    account.ledger.ask_trades(at(1), id("a"), InstrumentIx(0), at(-500)).unwrap();
    assert_eq!(account.ledger.on_trades(at(2), at(-500), at(2), symbol(BTC), &[]).len(), 1);
    assert!(account.ledger.on_trades(at(3), at(-500), at(3), symbol(BTC), &[]).is_empty());
}

#[test]
fn what_works_is_live_and_what_is_over_is_not() {
    let mut account = Account::new();
    let (first, second) = (limit(1, Side::Buy, "90", "1"), limit(2, Side::Buy, "91", "1"));
    account.rest(0, "a", first);
    account.rest(1, "b", second);
    let live = |account: &Account| account.ledger.live().map(|known| known.id).collect::<Vec<_>>();
    assert_eq!(live(&account), [client("a", 1, 1), client("b", 1, 2)]);
    account.end(2, "a", first, Life::Canceled);
    assert_eq!(live(&account), [client("b", 1, 2)]);
}
