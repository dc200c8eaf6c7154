//! When the venue is asked what.

use super::*;

fn settled() -> Account {
    let mut account = Account::new();
    account.ledger.stream_back(at(0));
    assert_eq!(account.ledger.due(at(0)).len(), 4);
    answer(&mut account, 0);
    account
}

/// Answers everything there is to ask.
fn answer(account: &mut Account, ms: i64) {
    account.list(ms, &[]);
    account.state(ms, &[]);
    for name in [BTC, ETH] {
        account.ledger.on_trades(at(ms), at(ms - 90_000_000), at(ms), symbol(name), &[]);
    }
}

fn trades(polls: &[Poll]) -> Vec<(Symbol, Timestamp)> {
    polls
        .iter()
        .filter_map(|poll| if let Poll::Trades(symbol, from) = poll { Some((*symbol, *from)) } else { None })
        .collect()
}

#[test]
fn everything_is_due_at_first_and_executions_from_the_look_back_on() {
    let mut account = Account::new();
    let polls = account.ledger.due(at(0));
    let back = at(-86_400_000);
    assert_eq!(
        polls,
        vec![Poll::Orders, Poll::Balances, Poll::Trades(symbol(BTC), back), Poll::Trades(symbol(ETH), back)]
    );
    assert_eq!(account.ledger.due(at(0)), vec![]);
}

#[test]
fn a_healthy_stream_needs_fewer_lists() {
    let mut account = settled();
    assert_eq!(account.ledger.next_due(), at(15_000));
    assert_eq!(account.ledger.due(at(14_999)), vec![]);
    account.ledger.stream_lost(at(14_999));
    assert_eq!(account.ledger.due(at(14_999)), vec![Poll::Orders]);
    account.list(14_999, &[]);
    assert!(account.ledger.polls().is_doubtful());
    let overlap = at(-VenueTraits::OUTSIDE.settle_ms);
    let polls = account.ledger.due(at(19_999));
    assert_eq!(trades(&polls), vec![(symbol(BTC), overlap), (symbol(ETH), overlap)]);
    assert_eq!(polls.len(), 4);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), Some(at(0)));
}

#[test]
fn silence_is_asked_again_ever_more_slowly_and_for_ever() {
    let mut account = settled();
    let mut asked = Vec::new();
    for second in 0..400 {
        if account.ledger.due(at(second * 1_000)).contains(&Poll::Orders) {
            asked.push(second);
        }
    }
    assert_eq!(asked[..5], [15, 20, 30, 50, 80]);
    assert!(asked.windows(2).skip(4).all(|pair| pair[1] - pair[0] == 30) && asked.len() > 12);
    account.list(400_000, &[]);
    assert!(!account.ledger.due(at(414_999)).contains(&Poll::Orders));
    assert!(account.ledger.due(at(415_000)).contains(&Poll::Orders));
}

#[test]
fn a_command_under_way_puts_orders_and_balances_off_but_not_for_ever() {
    let mut account = settled();
    account.ledger.withdrawing(at(14_000));
    assert_eq!(trades(&account.ledger.due(at(15_000))).len(), 2);
    assert_eq!(account.ledger.due(at(15_999)), vec![]);
    assert_eq!(account.ledger.due(at(16_000)), vec![Poll::Orders, Poll::Balances]);

    let mut busy = settled();
    let mut asked = None;
    for second in 10..40 {
        busy.ledger.withdrawing(at(second * 1_000));
        if busy.ledger.due(at(second * 1_000)).contains(&Poll::Orders) {
            asked.get_or_insert(second);
        }
    }
    assert_eq!(asked, Some(25));
}

#[test]
fn what_an_instance_wants_to_know_is_asked_at_once() {
    let mut account = settled();
    account.ledger.withdrawing(at(1_000));
    account.ledger.ask_trades(at(1_000), id("a"), InstrumentIx(0), at(-700_000)).unwrap();
    account.ledger.ask_trades(at(1_000), id("b"), InstrumentIx(0), at(-800_000)).unwrap();
    account.ledger.ask_trades(at(1_000), id("b"), InstrumentIx(0), at(-650_000)).unwrap();
    assert_eq!(account.ledger.due(at(1_000)), vec![Poll::Trades(symbol(BTC), at(-800_000))]);
    // What was read answers one of them; the other is asked for again, until it is answered or gone.
    let news = account.ledger.on_trades(at(1_100), at(-750_000), at(1_100), symbol(BTC), &[]);
    assert!(matches!(news[..], [(to, Report::Traded(_))] if to == id("a")), "{news:?}");
    assert_eq!(account.ledger.due(at(1_100)), vec![Poll::Trades(symbol(BTC), at(-800_000))]);
    account.ledger.unregister(id("b"));
    assert!(account.ledger.on_trades(at(1_200), at(-800_000), at(1_200), symbol(BTC), &[]).is_empty());
}

#[test]
fn a_restart_reads_back_and_what_was_not_read_stays_to_be_read() {
    let mut account = settled();
    let later = 100_000_000;
    account.ledger.restarted(at(later));
    let polls = account.ledger.due(at(later));
    // Down for longer than the look-back: from where the reading ended.
    assert_eq!(trades(&polls)[0].1, at(-VenueTraits::OUTSIDE.settle_ms));
    account.ledger.on_trades(at(later), at(later - 1_000), at(later), symbol(BTC), &[]);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), Some(at(0)));
    account.ledger.on_trades(at(later), at(-VenueTraits::OUTSIDE.settle_ms), at(later), symbol(BTC), &[]);
    assert_eq!(account.ledger.polls().read_until(symbol(BTC)), Some(at(later)));
}

#[test]
fn an_adopted_order_has_its_symbol_read() {
    let mut account = settled();
    let order = listed(None, 1, &limit(1, Side::Buy, "1", "1"), "0", 1);
    account.list(1_000, &[VenueOrder { symbol: symbol("SOLUSDT"), ..order }]);
    assert_eq!(trades(&account.ledger.due(at(1_000)))[0].0, symbol("SOLUSDT"));
}
