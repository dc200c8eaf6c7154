//! Facts count once, in their order; after a recovery all that an instance has takes their place.

use super::*;

fn record(seq: u64, fact: Fact) -> FactRecord {
    FactRecord { seq, at: at(0), cause: 0, fact }
}

pub fn fill(order: u64, trade: u64, side: Side, size: &str) -> Fill {
    let (price, qty) = (price("100"), qty(size));
    let order = OrderNo(order);
    Fill {
        order,
        tag: Tag(7),
        instrument: InstrumentIx(0),
        side,
        price,
        qty,
        fee: money("0.1"),
        maker: false,
        trade: TradeId(trade),
        at: at(5),
    }
}

#[test]
fn facts_that_were_followed_count_no_more_and_none_is_left_out() {
    let mut account = Account::opened();
    let facts = [
        record(1, Fact::Approved { terms: limit(1, Side::Buy, "100", "1"), reason: Reason::Flatten }),
        record(2, Fact::Fill(fill(1, 1, Side::Buy, "1"))),
    ];
    for _ in 0..3 {
        facts.iter().for_each(|fact| account.ledger.follow(id("a"), fact).unwrap());
    }
    let member = &account.ledger.members()[&id("a")];
    assert_eq!((member.lines()[0].position, member.cash(), member.followed()), (qty("1"), money("899.9"), 2));
    let before = account.ledger.clone();
    let gap = account.ledger.follow(id("a"), &record(4, Fact::Fill(fill(1, 2, Side::Buy, "1"))));
    assert_eq!(gap, Err(LedgerError::Gap { instance: id("a"), expected: 3, found: 4 }));
    let stranger = account.ledger.follow(id("x"), &facts[0]);
    assert_eq!(stranger, Err(LedgerError::Stranger { instance: id("x") }));
    assert_eq!(account.ledger, before);
}

#[test]
fn capital_comes_out_of_what_nobody_holds() {
    let mut account = Account::opened();
    assert_eq!(account.ledger.unowned(asset("USDT")), dec("3000"));
    let other = spec("a", ("1500", "0"), &[BTC, ETH]);
    let revision = crate::instance::Revision { spec: other.clone(), keys: String::new(), step: 0 };
    account.fact(10, "a", Fact::Revised(Box::new(revision)));
    account.ledger.register(at(11), &other, 1);
    assert_eq!(account.ledger.unowned(asset("USDT")), dec("2500"));
    assert_eq!(account.ledger.members()[&id("a")].cash(), money("1500"));
    account.ledger.register(at(12), &spec("c", ("100", "0.5"), &[BTC]), 1);
    assert_eq!(account.ledger.unowned(asset("BTC")), dec("-0.5"));
    assert_eq!(account.ledger.expected(asset("BTC")), dec("0"));
    account.ledger.unregister(id("c"));
    assert_eq!(account.ledger.unowned(asset("BTC")), dec("0"));
    account.ledger.transfer(asset("USDT"), dec("7"));
    assert_eq!(account.ledger.expected(asset("USDT")), dec("5007"));
}

fn recovered() -> Recovered {
    let open = RecoveredOrder {
        terms: limit(3, Side::Sell, "110", "1"),
        epoch: 1,
        life: Life::Open,
        filled: qty("0.2"),
        sent: at(3),
        ended: None,
        seq: Some(8),
        trades: vec![crate::orders::Trade {
            id: TradeId(31),
            qty: qty("0.2"),
            price: price("100"),
            fee: money("0.02"),
        }],
        voided: vec![],
    };
    let ended = RecoveredOrder {
        terms: limit(2, Side::Buy, "100", "1"),
        life: Life::Canceled,
        ended: Some(at(4)),
        trades: vec![],
        ..open.clone()
    };
    Recovered {
        epoch: 2,
        facts: 40,
        last: OrderNo(4),
        cash: money("920"),
        positions: vec![qty("0.8"), qty("0")],
        orders: vec![open, ended],
    }
}

#[test]
fn a_recovered_instance_takes_the_place_of_what_was_followed() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(9, Side::Buy, "100", "1"));
    // Its execution was read before the instance was there again.
    let foreign = executed(Some(client("a", 1, 3)), 31, Side::Sell, "0.2", 20);
    account.ledger.on_trade_news(at(21), &VenueTrade { client: None, ..foreign });
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("-0.2"));

    account.ledger.rebuild(at(100), &spec("a", ("1000", "0"), &[BTC, ETH]), &recovered());
    let member = &account.ledger.members()[&id("a")];
    assert_eq!((member.followed(), member.epoch(), member.cash()), (40, 2, money("920")));
    assert_eq!(
        (account.ledger.expected(asset("BTC")), account.ledger.expected(asset("USDT"))),
        (dec("0.8"), dec("4920"))
    );
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
    // What it lost is an orphan; what it settled is complete; what it knows stands in the way.
    let lost = listed(Some(client("a", 1, 9)), 9, &limit(9, Side::Buy, "100", "1"), "0", 1);
    account.list(10_000, &[lost]);
    assert_eq!(account.ledger.orphans().count(), 1);
    let settled = executed(Some(client("a", 1, 1)), 11, Side::Buy, "1", 2);
    assert_eq!(account.ledger.on_trade_news(at(10_001), &settled), None);
    assert_eq!(account.ledger.outside_position(symbol(BTC)), qty("0"));
    let late = executed(Some(client("a", 1, 2)), 21, Side::Buy, "0.1", 4);
    assert!(account.ledger.on_trade_news(at(10_002), &late).is_some());
    let known = executed(Some(client("a", 1, 3)), 31, Side::Sell, "0.2", 20);
    assert_eq!(account.ledger.on_trade_news(at(10_003), &known), None);
    let buy = limit(1, Side::Buy, "110", "1");
    let crosses = account.ledger.place(at(10_004), id("b"), 1, &buy);
    assert!(matches!(crosses, Err(LedgerError::Crosses { with, .. }) if with == client("a", 1, 3)));
    // The next fact goes on from there.
    account.ledger.follow(id("a"), &record(41, Fact::OrderMoved(OrderNo(3), Life::Canceled))).unwrap();
    assert!(account.ledger.place(at(10_005), id("b"), 1, &buy).is_ok());
}

#[test]
fn an_instance_can_come_with_its_recovery() {
    let mut ledger = Ledger::new(VenueTraits::OUTSIDE);
    ledger.rebuild(at(0), &spec("a", ("1000", "0"), &[BTC, ETH]), &recovered());
    let balance = |name, total| Balance { asset: asset(name), total: dec(total) };
    let stated = [balance("USDT", "4000"), balance("BTC", "0.9")];
    assert_eq!(ledger.on_balances(at(4_000), at(4_000), &stated), vec![BalanceNews::Opened(at(4_000))]);
    assert_eq!((ledger.expected(asset("USDT")), ledger.unowned(asset("USDT"))), (dec("4000"), dec("3080")));
    // An execution that the statement had in it is told now: what was nobody's is the instance's.
    let trade = executed(Some(client("a", 1, 2)), 21, Side::Buy, "0.1", 4);
    let (_, report) = ledger.on_trade_news(at(5_000), &trade).unwrap();
    ledger.follow(id("a"), &record(41, Fact::Fill(fill_of(&report)))).unwrap();
    assert_eq!((ledger.expected(asset("BTC")), ledger.unowned(asset("BTC"))), (dec("0.9"), dec("0")));
    assert_eq!((ledger.expected(asset("USDT")), ledger.members()[&id("a")].cash()), (dec("4000"), money("909.99")));
    // It is void: the venue takes it back after the statement.
    ledger.follow(id("a"), &record(42, Fact::Bust(fill_of(&report)))).unwrap();
    assert_eq!((ledger.expected(asset("BTC")), ledger.expected(asset("USDT"))), (dec("0.8"), dec("4010.01")));
}

#[test]
fn a_snapshot_is_the_ledger() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "100", "1"));
    account.fact(11, "a", Fact::Fill(fill(1, 1, Side::Buy, "0.5")));
    account.list(10_000, &[listed(None, 3, &limit(1, Side::Sell, "120", "1"), "0", 1)]);
    account.ledger.on_trade_news(at(10_001), &executed(None, 5, Side::Sell, "1", 9_999));
    account.state(20_000, &[("USDT", "1")]);
    let bytes = postcard::to_allocvec(&account.ledger).unwrap();
    assert_eq!(postcard::from_bytes::<Ledger>(&bytes).unwrap(), account.ledger);
}

/// A bot beyond a network with a price of 100, an order that is half executed and one that ended.
pub fn traded() -> crate::instance::Outside {
    use crate::instance::{MarketIn, Outside};
    use crate::orders::Intent;
    let first = InstrumentIx(0);
    let mut bot = Outside::new(std::sync::Arc::new(spec("a", ("3000", "0"), &[BTC, ETH])));
    let print = crate::domain::PublicTrade { at: at(1), price: price("100"), qty: qty("1") };
    bot.put(at(1), Input::Market(MarketIn::Trade(first, print)));
    bot.list.command(at(1), Audit::by_supervisor(Control::Reconcile(3), "start"));
    bot.work();
    let read =
        |instrument| crate::orders::Traded { instrument, from: at(-90_000_000), until: at(2), unexplained: false };
    [0, 1].iter().for_each(|ix| bot.put(at(2), Input::Report(Report::Traded(read(InstrumentIx(*ix))))));
    for (step, buy_at) in ["99", "98"].into_iter().enumerate() {
        let Terms { tag, instrument, side, purpose, .. } = limit(0, Side::Buy, buy_at, "1");
        let intent = Intent {
            tag,
            instrument,
            side,
            kind: OrderKind::Limit(price(buy_at)),
            qty: qty("1.1"),
            purpose,
            origin: Origin::Operator,
            protect: None,
            reason: Reason::Flatten,
        };
        bot.put(at(3 + step as i64), Input::Intent(Box::new(intent)));
    }
    let view = |order, state, seq| OrderView { order: OrderNo(order), state, filled: qty("0"), seq };
    bot.put(at(10), Input::Report(Report::State(view(1, VenueState::Open, 5))));
    bot.put(at(11), Input::Report(Report::Fill(Fill { price: price("99"), ..fill(1, 8, Side::Buy, "0.5") })));
    bot.put(at(12), Input::Report(Report::State(view(2, VenueState::Canceled, 6))));
    bot
}

#[test]
fn to_follow_and_to_rebuild_come_to_the_same() {
    let mut bot = traded();
    let mut followed = Ledger::new(VenueTraits::OUTSIDE);
    followed.register(at(0), &spec("a", ("3000", "0"), &[BTC, ETH]), 0);
    let facts = bot.list.drain_facts();
    for fact in &facts {
        followed.follow(id("a"), fact).unwrap();
    }
    let mut rebuilt = Ledger::new(VenueTraits::OUTSIDE);
    let recovered = Recovered::of(&bot.stages, bot.list.facts_written(), OrderNo(2));
    rebuilt.rebuild(at(20), &spec("a", ("3000", "0"), &[BTC, ETH]), &recovered);
    assert_eq!(followed.members()[&id("a")].holds(asset("BTC")), dec("0.5"));
    assert_eq!(followed.members(), rebuilt.members());
    for order in [1, 2] {
        let name = client("a", 3, order);
        let (Some(a), Some(b)) = (followed.known(name), rebuilt.known(name)) else { panic!("{name} is not known") };
        assert_eq!((a.life, a.filled, a.seq, &a.trades), (b.life, b.filled, b.seq, &b.trades));
        assert_eq!((a.terms, a.symbol, a.ended.is_some()), (b.terms, b.symbol, b.ended.is_some()));
    }
}
