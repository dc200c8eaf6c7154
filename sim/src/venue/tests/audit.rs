//! The whole truth of a venue, checked against itself and against its news.

use std::collections::{BTreeMap, BTreeSet};

use supervisor_core::domain::{Qty, Side, Symbol, TradeId};
use supervisor_core::ledger::VenueOrder;

use super::*;

/// The news of a venue since its start.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) orders: Vec<(Timestamp, AccountIx, VenueOrder)>,
    trades: BTreeMap<(AccountIx, Symbol, TradeId), bool>,
    last: Timestamp,
}

impl Heard {
    /// Takes what is new; times must not go back, nothing may be told twice.
    pub(super) fn listen(&mut self, venue: &mut Venue) {
        for (at, account, news) in venue.drain_news() {
            assert!(at >= self.last, "news of {at} after news of {}", self.last);
            self.last = at;
            match (news, account) {
                (News::Price { .. }, None) => {}
                (News::Order(order), Some(account)) => self.orders.push((at, account, order)),
                (News::Trade(trade), Some(account)) => {
                    assert_eq!(self.trades.insert((account, trade.symbol, trade.trade), false), None, "{trade:?}");
                }
                (News::Bust(trade), Some(account)) => {
                    let was = self.trades.insert((account, trade.symbol, trade.trade), true);
                    assert_eq!(was, Some(false), "{trade:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Balances are explained by executions, orders by their executions, locks by live orders, news by changes.
pub(super) fn audit(venue: &Venue, heard: &Heard) {
    for account in (0..venue.accounts.len()).map(AccountIx) {
        balances_are_explained(venue, account);
        locks_are_explained(venue, account);
    }
    for order in venue.orders() {
        order_is_explained(venue, order);
        names_are_kept_apart(venue, order);
    }
    news_are_the_truth(venue, heard);
}

fn balances_are_explained(venue: &Venue, account: AccountIx) {
    let mut totals = venue.config.accounts[account.0].1.clone();
    for known in venue.trades(account).iter().filter(|known| known.busted_at.is_none()) {
        let trade = known.trade;
        let base = venue.markets[venue.symbol_at(trade.symbol).unwrap()].instrument.base;
        let sign = if trade.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        *totals.get_mut(&base).unwrap() += sign * trade.qty.get();
        *totals.get_mut(&asset("USDT")).unwrap() -= sign * trade.qty.get() * trade.price.get() + trade.fee.get();
        let rate = if trade.maker { venue.config.maker_fee } else { venue.config.taker_fee };
        assert_eq!(trade.fee.get(), trade.qty.get() * trade.price.get() * rate);
    }
    assert_eq!(&totals, venue.balances(account));
    let told = venue.accounts[account.0].as_of(venue.now);
    assert_eq!(told.into_iter().map(|told| (told.asset, told.total)).collect::<BTreeMap<_, _>>(), totals);
    let first = venue.accounts[account.0].as_of(venue.config.start - 1);
    let first: BTreeMap<_, _> = first.into_iter().map(|told| (told.asset, told.total)).collect();
    assert_eq!(first, venue.config.accounts[account.0].1);
}

fn locks_are_explained(venue: &Venue, account: AccountIx) {
    for (asset, total) in venue.balances(account) {
        let live = venue.orders().filter(|order| order.account == account && order.is_live());
        let needs = |order: &TrueOrder| {
            let rules = &venue.markets[order.symbol_at].instrument;
            let limit = order.limit().expect("only limits live on");
            let left = order.view.qty.get() - order.view.filled.get();
            let fee = Decimal::ONE + venue.config.maker_fee.max(venue.config.taker_fee);
            match order.view.side {
                Side::Buy if rules.quote == *asset => left * limit.get() * fee,
                Side::Sell if rules.base == *asset => left,
                Side::Buy | Side::Sell => Decimal::ZERO,
            }
        };
        let locked: Decimal = live.map(needs).sum();
        assert_eq!(venue.free(account, *asset), total - locked, "{asset}");
        assert!(locked <= *total && !total.is_sign_negative(), "{asset}: {locked} of {total}");
    }
}

fn order_is_explained(venue: &Venue, order: &TrueOrder) {
    let of_order = |known: &&TrueTrade| known.order == order.view.id;
    let trades: Vec<_> = venue.trades(order.account).iter().filter(of_order).collect();
    let standing: Qty = trades.iter().filter(|known| known.busted_at.is_none()).map(|known| known.trade.qty).sum();
    assert_eq!(standing, order.view.filled, "{:?}", order.view);
    assert_eq!(trades.iter().map(|known| known.trade.trade).collect::<Vec<_>>(), order.trades);
    assert!(trades.iter().all(|known| known.trade.client == order.view.client && known.trade.at >= order.accepted_at));
    let numbers: Vec<u64> = order.changes.iter().map(|change| change.seq).collect();
    assert_eq!(numbers, (1..=order.view.seq).collect::<Vec<_>>());
    assert!(order.changes.is_sorted_by_key(|change| change.at));
    assert_eq!(order.as_of(venue.now).as_ref(), Some(&order.view));
    assert_eq!(order.as_of(order.accepted_at - 1), None);
    let is_beyond = order.changes.iter().any(|change| change.filled > order.view.qty);
    assert!(!is_beyond || venue.tally.get("venue: overfills") > 0, "{:?}", order.view);
    let is_over = order.changes.iter().any(|change| change.state == VenueState::Filled);
    assert!(!is_over || order.ended_at.is_some());
    assert!(order.limit().is_none_or(|limit| {
        let better = |known: &&TrueTrade| match order.view.side {
            Side::Buy => known.trade.price <= limit,
            Side::Sell => known.trade.price >= limit,
        };
        trades.iter().all(better)
    }));
}

fn names_are_kept_apart(venue: &Venue, order: &TrueOrder) {
    let Some(client) = order.view.client else { return };
    let born: Vec<_> = venue.born(order.account, client).collect();
    assert_eq!(born.len() as u32, venue.placed_count(client));
    match venue.config.ids {
        IdClass::Unique => assert_eq!(born.len(), 1),
        IdClass::Open | IdClass::None => {
            let apart = |pair: &[&TrueOrder]| pair[0].ended_at.is_some_and(|ended| ended <= pair[1].accepted_at);
            assert!(born.windows(2).all(apart), "{born:?}");
        }
    }
}

fn news_are_the_truth(venue: &Venue, heard: &Heard) {
    let mut told = BTreeMap::<u64, Vec<Change>>::new();
    for (at, account, order) in &heard.orders {
        assert_eq!(venue.order(order.id).map(|order| order.account), Some(*account));
        let change = Change { at: *at, state: order.state, filled: order.filled, seq: order.seq };
        told.entry(order.id).or_default().push(change);
    }
    assert_eq!(told.len(), venue.orders().count());
    assert!(venue.orders().all(|order| told[&order.view.id] == order.changes));
    let accounts = (0..venue.accounts.len()).map(AccountIx);
    let key = |account: AccountIx| {
        let trades = venue.trades(account).iter();
        trades.map(move |known| ((account, known.trade.symbol, known.trade.trade), known.busted_at.is_some()))
    };
    assert_eq!(accounts.flat_map(key).collect::<BTreeMap<_, _>>(), heard.trades);
    let numbers: BTreeSet<_> = heard.trades.keys().map(|(_, symbol, trade)| (*symbol, *trade)).collect();
    assert_eq!(numbers.len(), heard.trades.len(), "a number per symbol is used once, across accounts");
}
