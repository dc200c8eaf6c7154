//! What happens at the edges: moments that are equal, news that is old, names that fit nothing.

use super::*;

const HOUR: i64 = 3_600_000;
const LOOK_BACK: i64 = 86_400_000;

fn read(account: &mut Account, ms: i64, trades: &[VenueTrade]) -> Vec<(InstanceId, Report)> {
    account.ledger.on_trades(at(ms), at(ms - HOUR), at(ms), symbol(BTC), trades)
}

fn outside(account: &Account) -> Qty {
    account.ledger.outside_position(symbol(BTC))
}

#[test]
fn an_order_that_the_venue_shows_is_in_the_way_even_if_nobody_saw_it_leave() {
    let mut account = Account::new();
    let sell = limit(1, Side::Sell, "100", "1");
    account.approve(0, "a", sell);
    account.fact(1, "a", Fact::OrderMoved(OrderNo(1), Life::InFlight));
    let buy = limit(1, Side::Buy, "100", "1");
    assert!(account.ledger.place(at(2), id("b"), 1, &buy).is_ok());
    account.end(3, "b", buy, Life::Canceled);
    account.fact(4, "a", Fact::OrderMoved(OrderNo(1), Life::Open));
    let again = limit(2, Side::Buy, "100", "1");
    assert!(matches!(account.ledger.place(at(5), id("b"), 1, &again), Err(LedgerError::Crosses { .. })));
}

#[test]
fn an_order_bears_the_epoch_with_which_it_left() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "100", "1");
    account.approve(0, "a", terms);
    assert_eq!(account.ledger.place(at(1), id("a"), 2, &terms), Ok(client("a", 2, 1)));
    assert!(account.ledger.known(client("a", 2, 1)).is_some());
    assert_eq!(account.ledger.known(client("a", 1, 1)), None);
}

#[test]
fn an_older_number_does_not_take_a_newer_one_back() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    account.rest(0, "a", terms);
    for seq in [6, 4] {
        let view = OrderView { order: OrderNo(1), state: VenueState::Open, filled: qty("0"), seq };
        account.fact(1, "a", told(Report::State(view)));
    }
    account.fact(2, "a", Fact::LateFill(OrderNo(1), Life::Open));
    assert_eq!(account.ledger.known(client("a", 1, 1)).unwrap().seq, Some(6));
    assert_eq!(account.list(10_000, &[listed(Some(client("a", 1, 1)), 1, &terms, "0", 6)]), vec![]);
}

#[test]
fn a_name_of_an_epoch_to_come_is_an_orphan() {
    let mut account = Account::opened();
    account.approve(10, "a", limit(1, Side::Buy, "90", "1"));
    assert_eq!(account.ledger.on_trade_news(at(20), &executed(Some(client("a", 9, 1)), 1, Side::Buy, "1", 15)), None);
    assert_eq!(outside(&account), qty("1"));
}

#[test]
fn an_execution_of_another_symbol_than_its_order_is_nobodys() {
    let mut account = Account::opened();
    account.rest(10, "a", limit(1, Side::Buy, "90", "1"));
    let trade = executed(Some(client("a", 1, 1)), 1, Side::Buy, "1", 15);
    let of_ether = VenueTrade { symbol: symbol(ETH), ..trade };
    assert_eq!(account.ledger.on_trade_news(at(20), &of_ether), None);
    assert_eq!(account.ledger.expected(asset("ETH")), dec("1"));
    let of_none = VenueTrade { symbol: symbol("XYZ"), trade: TradeId(2), client: None, ..trade };
    assert_eq!(account.ledger.on_trade_news(at(21), &of_none), None);
    assert_eq!(read(&mut account, 30, &[of_ether]), vec![], "it was asked about another symbol");
}

#[test]
fn an_order_that_turns_out_to_be_ours_is_external_no_more() {
    let mut account = Account::new();
    let terms = limit(1, Side::Buy, "90", "1");
    let order = listed(Some(client("a", 1, 1)), 1, &terms, "0", 1);
    account.ledger.on_order_news(at(5), &order);
    assert_eq!(account.ledger.orphans().count(), 1);
    account.approve(6, "a", terms);
    account.ledger.on_order_news(at(7), &order).unwrap();
    assert_eq!(account.ledger.externals().count(), 0);
}

#[test]
fn what_the_opening_has_in_it_moves_nothing_whoever_it_belongs_to() {
    let mut account = Account::new();
    let (before, after) = (executed(None, 1, Side::Buy, "1", 90), executed(None, 2, Side::Buy, "2", 100));
    let later = executed(None, 3, Side::Buy, "4", 140);
    read(&mut account, 120, &[before]);
    // The clocks are not the same: what was read came before the newest execution that is known of the venue.
    account.ledger.on_balances(at(121), at(100), &[]);
    assert_eq!(account.ledger.expected(asset("BTC")), dec("0"));
    read(&mut account, 130, &[after]);
    assert_eq!(outside(&account), qty("0"), "the same moment as the opening");
    read(&mut account, 150, &[later]);
    assert_eq!(outside(&account), qty("4"));
    // Now the first one finds its owner: nothing was counted, so nothing is taken back.
    account.rest(160, "a", limit(1, Side::Buy, "100", "1"));
    let (_, report) =
        account.ledger.on_trade_news(at(161), &VenueTrade { client: Some(client("a", 1, 1)), ..before }).unwrap();
    account.fact(162, "a", Fact::Fill(fill_of(&report)));
    assert_eq!(outside(&account), qty("4"));
    assert_eq!((account.ledger.expected(asset("BTC")), account.ledger.unowned(asset("BTC"))), (dec("4"), dec("3")));
}

#[test]
fn a_statement_of_the_very_moment_of_an_execution_is_not_compared() {
    let mut account = Account::opened();
    account.ledger.on_trade_news(at(91), &executed(None, 1, Side::Buy, "1", 90));
    assert_eq!(account.ledger.on_balances(at(100), at(90), &[]), vec![]);
    assert_eq!(account.ledger.compared(), Some(at(1)));
    account.rest(110, "a", limit(1, Side::Buy, "100", "1"));
    let trade = executed(Some(client("a", 1, 1)), 2, Side::Buy, "1", 120);
    let (_, report) = account.ledger.on_trade_news(at(121), &trade).unwrap();
    account.fact(122, "a", Fact::Fill(fill_of(&report)));
    account.ledger.on_balances(at(130), at(120), &[]);
    assert_eq!(account.ledger.compared(), Some(at(1)));
}

#[test]
fn executions_older_than_any_reading_brings_are_forgotten_and_count_no_more() {
    let mut account = Account::opened();
    let old = executed(None, 1, Side::Buy, "1", 10);
    read(&mut account, 20, &[old]);
    assert_eq!(outside(&account), qty("1"));
    let bytes = |account: &Account| postcard::to_allocvec(&account.ledger).unwrap().len();
    let before = bytes(&account);
    let later = LOOK_BACK + 2 * HOUR;
    read(&mut account, later, &[]);
    assert!(bytes(&account) < before, "it is forgotten");
    read(&mut account, later + 1, &[old]);
    assert_eq!(outside(&account), qty("1"), "and yet it counts once");
    // One that is news and still inside the window counts.
    read(&mut account, later + 2, &[executed(None, 2, Side::Buy, "2", later - LOOK_BACK)]);
    assert_eq!(outside(&account), qty("3"));
}

#[test]
fn a_moment_far_ahead_does_not_age_the_others() {
    let mut account = Account::opened();
    account.ledger.on_trade_news(at(20), &executed(None, 1, Side::Buy, "1", 10 * LOOK_BACK));
    account.ledger.on_trades(at(30), at(-2 * LOOK_BACK), at(10 * LOOK_BACK), symbol(BTC), &[]);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), Some(at(60_030)));
    account.ledger.on_trade_news(at(40), &executed(None, 2, Side::Buy, "2", 25));
    assert_eq!(outside(&account), qty("3"));
}

#[test]
fn an_orphan_of_another_time_explains_nothing_away() {
    let mut account = Account::opened();
    let orphan = executed(Some(client("a", 1, 99)), 3, Side::Buy, "1", 1_000);
    account.ledger.on_trade_news(at(1_001), &orphan);
    let mut unexplained = |from: i64, until: i64| {
        account.ledger.ask_trades(at(2_000), id("a"), InstrumentIx(0), at(from)).unwrap();
        let news = account.ledger.on_trades(at(2_000), at(from), at(until), symbol(BTC), &[]);
        matches!(news[..], [(_, Report::Traded(traded))] if traded.unexplained)
    };
    assert!(unexplained(1_000, 1_000));
    assert!(!unexplained(1_001, 2_000));
    assert!(!unexplained(0, 999));
}

#[test]
fn the_earliest_wish_counts_and_a_start_reads_as_far_back_as_must_be() {
    let mut account = Account::new();
    for name in [BTC, ETH] {
        account.ledger.on_trades(at(0), at(-2 * LOOK_BACK), at(0), symbol(name), &[]);
    }
    for from in [-2 * HOUR, -3 * HOUR, -HOUR] {
        account.ledger.ask_trades(at(1), id("a"), InstrumentIx(0), at(from)).unwrap();
    }
    assert!(account.ledger.due(at(1)).contains(&Poll::Trades(symbol(BTC), at(-3 * HOUR))));
    // A short stop: the look-back reaches further than the last reading.
    account.ledger.restarted(at(HOUR));
    assert!(account.ledger.due(at(HOUR)).contains(&Poll::Trades(symbol(ETH), at(HOUR - LOOK_BACK))));
    // A long one: the last reading does.
    account.ledger.restarted(at(3 * LOOK_BACK));
    let settle = VenueTraits::OUTSIDE.settle_ms;
    assert!(account.ledger.due(at(3 * LOOK_BACK)).contains(&Poll::Trades(symbol(ETH), at(-settle))));
}

#[test]
fn void_executions_of_a_recovered_order_are_no_news() {
    let mut bot = super::following::traded();
    let fill = Fill { price: price("99"), ..super::following::fill(1, 8, Side::Buy, "0.5") };
    bot.put(at(20), Input::Report(Report::Bust(fill)));
    let mut ledger = Ledger::new(VenueTraits::OUTSIDE);
    let recovered = Recovered::of(&bot.stages, bot.list.facts_written(), OrderNo(2));
    ledger.rebuild(at(30), &spec("a", ("3000", "0"), &[BTC, ETH]), &recovered);
    assert_eq!(ledger.members()[&id("a")].holds(asset("BTC")), dec("0"));
    assert_eq!(ledger.on_trade_news(at(31), &executed(Some(client("a", 3, 1)), 8, Side::Buy, "0.5", 5)), None);
}
