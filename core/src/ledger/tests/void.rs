//! Void executions: told, or missing where they must be.

use super::*;
use crate::orders::Trade;

const HOUR: i64 = 3_600_000;

/// A whole reading of the last hour.
fn read(account: &mut Account, ms: i64, trades: &[VenueTrade]) -> Vec<(InstanceId, Report)> {
    account.ledger.on_trades(at(ms), at(ms - HOUR), at(ms), symbol(BTC), trades)
}

fn outside(account: &Account) -> (Qty, Decimal) {
    (account.ledger.outside_position(symbol(BTC)), account.ledger.expected(asset("USDT")))
}

fn busts(news: &[(InstanceId, Report)]) -> Vec<(&str, TradeId)> {
    let bust = |(to, report): &(InstanceId, Report)| match report {
        Report::Bust(fill) => (to.as_str().to_owned(), fill.trade),
        other => panic!("no bust: {other:?}"),
    };
    news.iter().map(bust).map(|(to, trade)| (if to == "a" { "a" } else { "b" }, trade)).collect()
}

/// Order 1 of `a` has one execution that counts.
fn counted() -> (Account, VenueTrade) {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    let trade = executed(Some(client("a", 1, 1)), 7, Side::Buy, "0.4", 1_000);
    let (_, report) = account.ledger.on_trade_news(at(1_001), &trade).unwrap();
    account.fact(1_002, "a", Fact::Fill(fill_of(&report)));
    (account, trade)
}

#[test]
fn a_bust_of_others_goes_back_once_in_whichever_order_and_over_a_crash() {
    let trade = executed(None, 7, Side::Buy, "2", 1_000);
    let mut account = Account::opened();
    account.ledger.on_trade_news(at(1_001), &trade);
    assert_eq!(outside(&account), (qty("2"), dec("4799.8")));
    for _ in 0..2 {
        assert_eq!(account.ledger.on_bust(at(2_000), &trade), None);
        assert_eq!(outside(&account), (qty("0"), dec("5000")));
        account.ledger = postcard::from_bytes(&postcard::to_allocvec(&account.ledger).unwrap()).unwrap();
        account.ledger.restarted(at(2_001));
    }
    read(&mut account, 2_100, &[trade]);
    assert_eq!(outside(&account), (qty("0"), dec("5000")), "an older reading does not bring it back");

    let mut account = Account::opened();
    account.ledger.on_bust(at(2_000), &trade);
    account.ledger.on_trade_news(at(2_001), &trade);
    assert_eq!(outside(&account), (qty("0"), dec("5000")), "told before it");
}

#[test]
fn a_bust_of_what_the_opening_had_in_it_goes_back_too() {
    let mut account = Account::new();
    let trade = executed(None, 7, Side::Buy, "2", 50);
    account.ledger.on_trade_news(at(60), &trade);
    account.state(100, &[("USDT", "5000"), ("BTC", "2")]);
    account.ledger.on_bust(at(200), &trade);
    account.ledger.on_bust(at(201), &trade);
    assert_eq!(
        (account.ledger.expected(asset("BTC")), account.ledger.expected(asset("USDT"))),
        (dec("0"), dec("5200.2"))
    );
}

#[test]
fn a_bust_of_ours_is_for_its_desk_until_it_is_a_fact() {
    let (mut account, trade) = counted();
    let (to, report) = account.ledger.on_bust(at(2_000), &trade).unwrap();
    let Report::Bust(fill) = report else { panic!("{report:?}") };
    assert_eq!((to, fill.order, fill.tag, fill.qty), (id("a"), OrderNo(1), Tag(7), qty("0.4")));
    assert!(account.ledger.on_bust(at(2_001), &trade).is_some());
    account.fact(2_002, "a", Fact::Bust(fill));
    assert_eq!(account.ledger.on_bust(at(2_003), &trade), None);
    assert_eq!(account.ledger.expected(asset("USDT")), dec("5000"));
    // One that its desk has not counted yet: it must know, or it would count it when it comes.
    let early = executed(Some(client("a", 1, 1)), 8, Side::Buy, "0.1", 2_000);
    assert!(account.ledger.on_bust(at(2_004), &early).is_some());
    // What has left the instance is nobody's.
    let gone = account.ledger.on_bust(at(2_005), &VenueTrade { client: Some(client("x", 1, 1)), ..trade });
    assert_eq!(gone, None);
}

#[test]
fn an_execution_that_two_whole_readings_lack_is_void() {
    let (mut account, trade) = counted();
    let margin = VenueTraits::OUTSIDE.margin_ms;
    // As long as it is there, or too young to be missed, nothing is wrong.
    assert_eq!(read(&mut account, 2_000, &[trade]), vec![]);
    assert_eq!(read(&mut account, 1_000 + margin, &[]), vec![]);
    assert_eq!(read(&mut account, 1_001 + margin, &[]), vec![], "one reading may be wrong");
    assert!(account.ledger.next_due() <= at(1_001 + 2 * margin), "it is looked at again soon");
    assert_eq!(read(&mut account, 1_000 + 2 * margin, &[]), vec![], "both may come from one source");
    let news = read(&mut account, 1_001 + 2 * margin, &[]);
    assert_eq!(busts(&news), [("a", TradeId(7))]);
    assert_eq!(busts(&read(&mut account, 20_000, &[])), [("a", TradeId(7))], "until its desk has recorded it");
    let Report::Bust(fill) = news[0].1 else { panic!("{news:?}") };
    account.fact(20_001, "a", Fact::Bust(fill));
    assert_eq!(read(&mut account, 30_000, &[]), vec![]);
    assert_eq!(account.ledger.expected(asset("USDT")), dec("5000"));
}

#[test]
fn one_that_turns_up_in_between_stands() {
    let (mut account, trade) = counted();
    for (ms, listed) in [(10_000, vec![]), (14_000, vec![trade]), (16_000, vec![]), (20_000, vec![])] {
        assert_eq!(read(&mut account, ms, &listed), vec![], "{ms}");
    }
}

#[test]
fn a_reading_that_does_not_reach_it_says_nothing() {
    let (mut account, _) = counted();
    for ms in [10_000, 20_000, 30_000] {
        let from = if ms == 20_000 { 1_001 } else { 1_000 };
        let news = account.ledger.on_trades(at(ms), at(from), at(ms), symbol(BTC), &[]);
        assert_eq!(news, vec![], "it happened at the very edge, or before");
        let of_ether = account.ledger.on_trades(at(ms), at(0), at(ms), symbol(ETH), &[]);
        assert_eq!(of_ether, vec![], "another symbol");
    }
}

#[test]
fn one_of_others_that_two_readings_lack_goes_back_by_itself() {
    let mut account = Account::opened();
    let trade = executed(None, 7, Side::Sell, "2", 1_000);
    account.ledger.on_trade_news(at(1_001), &trade);
    read(&mut account, 10_000, &[]);
    assert_eq!(outside(&account).0, qty("-2"));
    read(&mut account, 20_000, &[]);
    assert_eq!(outside(&account), (qty("0"), dec("5000")));
    read(&mut account, 30_000, &[]);
    account.ledger.on_bust(at(30_001), &trade);
    assert_eq!(outside(&account), (qty("0"), dec("5000")));
}

/// An instance comes back with executions of which it does not know when they happened.
fn rebuilt(account: &mut Account, ms: i64) {
    let trade = Trade { id: TradeId(7), qty: qty("0.4"), price: price("100"), fee: money("0.04") };
    let order = RecoveredOrder {
        terms: limit(1, Side::Buy, "100", "1"),
        epoch: 1,
        life: Life::Open,
        filled: qty("0.4"),
        sent: at(10),
        ended: None,
        seq: None,
        trades: vec![trade],
        voided: vec![],
    };
    let (cash, positions) = (money("959.96"), vec![qty("0.4"), qty("0")]);
    let recovered = Recovered { epoch: 1, facts: 9, last: OrderNo(1), cash, positions, orders: vec![order] };
    account.ledger.rebuild(at(ms), &spec("a", ("1000", "0"), &[BTC, ETH]), &recovered);
    account.ledger.restarted(at(ms));
}

#[test]
fn what_became_void_while_nobody_listened_is_found_after_a_restart() {
    let mut account = Account::opened();
    rebuilt(&mut account, 2_000);
    // It may have happened up to a minute after now, by the venue's clock: only then a reading proves anything.
    let mut found = None;
    let mut ms = 2_000;
    while found.is_none() && ms < 120_000 {
        for poll in account.ledger.due(at(ms)) {
            if let Poll::Trades(name, from) = poll
                && name == symbol(BTC)
            {
                let news = account.ledger.on_trades(at(ms), from, at(ms), name, &[]);
                found = found.or(busts(&news).first().map(|_| ms));
            }
        }
        ms += 1_000;
    }
    let found = found.unwrap();
    assert!((72_000..100_000).contains(&found), "{found}");
}

#[test]
fn a_reading_dates_what_came_back_and_what_the_opening_had_changes_hands() {
    let mut account = Account::opened();
    let trade = executed(Some(client("a", 1, 1)), 7, Side::Buy, "0.4", 1);
    account.ledger = Ledger::new(VenueTraits::OUTSIDE);
    account.ledger.register(at(0), &spec("a", ("1000", "0"), &[BTC, ETH]), 1);
    account.state(100, &[("USDT", "959.96"), ("BTC", "0.4")]);
    rebuilt(&mut account, 2_000);
    read(&mut account, 3_000, &[trade]);
    assert_eq!(
        (account.ledger.expected(asset("BTC")), account.ledger.expected(asset("USDT"))),
        (dec("0.4"), dec("959.96"))
    );
    read(&mut account, 4_000, &[trade]);
    assert_eq!(account.ledger.unowned(asset("BTC")), dec("0"), "once");
    // From now on its moment is known, and two readings that lack it prove that it is void.
    read(&mut account, 10_000, &[]);
    assert_eq!(busts(&read(&mut account, 20_000, &[])), [("a", TradeId(7))]);
}

#[test]
fn orders_that_were_over_stay_known_when_their_instance_comes_back_without_them() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(2, Side::Buy, "100", "1"));
    account.end(20, "a", limit(2, Side::Buy, "100", "1"), Life::Canceled);
    rebuilt(&mut account, 2_000);
    assert!(account.ledger.known(client("a", 1, 2)).is_some());
    // All of them are forgotten in time, those that came back twice as well.
    rebuilt(&mut account, 3_000);
    account.end(3_001, "b", limit(9, Side::Buy, "100", "1"), Life::Canceled);
    account.list(VenueTraits::OUTSIDE.look_back_ms + 10_000, &[]);
    assert!(account.ledger.known(client("a", 1, 2)).is_none());
}

#[test]
fn a_symbol_that_nobody_trades_is_read_when_it_is_watched() {
    let mut ledger = Ledger::new(VenueTraits::OUTSIDE);
    ledger.watch(at(0), symbol(ETH));
    assert!(ledger.due(at(0)).iter().any(|poll| matches!(poll, Poll::Trades(name, _) if *name == symbol(ETH))));
}
