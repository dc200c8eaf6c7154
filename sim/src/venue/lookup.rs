//! Answers to questions: from the truth of now, or from a source that lags.
//!
//! Promises: an answer is the truth of one moment that is not in the future and at most `lookup_lag_ms` ago;
//! executions and balances are whole up to the moment that the answer names. Never: mixes two moments in one answer.

use supervisor_core::domain::{ClientId, Symbol, Timestamp};
use supervisor_core::ledger::VenueOrder;
use supervisor_core::orders::{CancelRefusal, VenueState};

use super::{AccountIx, Answer, TrueOrder, Venue};

impl Venue {
    /// Where the newest order of this name stands.
    pub(super) fn query(&mut self, account: AccountIx, client: ClientId) -> Answer {
        let at = self.seen_at();
        let found = self.named(account, client).rev().find_map(|ix| self.orders.get(ix)?.as_of(at));
        self.tally.count(if found.is_some() { "venue: queries found" } else { "venue: queries not found" });
        found.map_or(Answer::NotFound, Answer::Order)
    }

    /// Withdraws the newest order of this name. This goes to the engine, which never lags.
    pub(super) fn cancel(&mut self, account: AccountIx, client: ClientId) -> Answer {
        let Some(ix) = self.named(account, client).next_back() else {
            self.tally.count("venue: cancel unknown");
            return Answer::CancelRefused(CancelRefusal::Unknown);
        };
        if !self.orders.get(ix).is_some_and(TrueOrder::is_live) {
            let is_forgotten = self.chances.engine.hits(self.config.rates.forgetful);
            self.tally.count(if is_forgotten { "venue: cancel unknown" } else { "venue: cancel too late" });
            let refusal = if is_forgotten { CancelRefusal::Unknown } else { CancelRefusal::TooLate };
            return Answer::CancelRefused(refusal);
        }
        self.tally.count("venue: cancels");
        self.set_state(ix, VenueState::Canceled);
        self.orders.get(ix).map_or(Answer::NotFound, |order| Answer::Order(order.view))
    }

    fn named(&self, account: AccountIx, client: ClientId) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let account = self.accounts.get(account.0);
        account.and_then(|account| account.names.get(&client)).cloned().unwrap_or_default().into_iter()
    }

    /// The orders that were open at one moment.
    pub(super) fn open_orders(&mut self, account_ix: AccountIx) -> Answer {
        let as_of = self.seen_at();
        let oldest = self.now - self.config.lookup_lag_ms;
        let Some(account) = self.accounts.get_mut(account_ix.0) else { return Answer::NotFound };
        let orders = &self.orders;
        let order = |ix: usize| orders.get(ix);
        account.recent.retain(|ix| order(*ix).is_some_and(|order| order.ended_at.is_none_or(|ended| ended >= oldest)));
        let open = account.recent.iter().filter_map(|ix| order(*ix)?.as_of(as_of)).filter(is_open).collect();
        Answer::OpenOrders { as_of, orders: open }
    }

    /// Every execution of the account in a symbol from then on.
    pub(super) fn trades_since(&mut self, account: AccountIx, symbol: Symbol, from: Timestamp) -> Answer {
        // More can happen within this millisecond: it is not over.
        let until = self.seen_at() - 1;
        let Some(account) = self.accounts.get(account.0) else { return Answer::NotFound };
        let first = account.trades.partition_point(|known| known.trade.at < from);
        let newer = account.trades.get(first..).unwrap_or_default().iter();
        let seen = newer.take_while(|known| known.trade.at <= until).filter(|known| known.trade.symbol == symbol);
        let standing = seen.filter(|known| known.busted_at.is_none_or(|busted| busted > until));
        Answer::Trades { from, until, trades: standing.map(|known| known.trade).collect() }
    }

    /// What the account held at the end of a millisecond.
    pub(super) fn balances_seen(&mut self, account: AccountIx) -> Answer {
        let as_of = self.seen_at() - 1;
        let Some(account) = self.accounts.get(account.0) else { return Answer::NotFound };
        Answer::Balances { as_of, balances: account.as_of(as_of) }
    }

    /// The moment that a lookup sees: now, or an earlier one when its source lags.
    fn seen_at(&mut self) -> Timestamp {
        if !self.chances.lookup.hits(self.config.rates.lagging) {
            return self.now;
        }
        self.tally.count("venue: lagging lookups");
        self.now - self.chances.lookup.span(0, self.config.lookup_lag_ms)
    }
}

const fn is_open(order: &VenueOrder) -> bool {
    match order.state {
        VenueState::Pending | VenueState::Armed | VenueState::Open => true,
        VenueState::Filled | VenueState::Canceled | VenueState::Expired | VenueState::Rejected => false,
    }
}
