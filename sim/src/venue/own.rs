//! What the venue and other people do unasked: withdrawals, expiries, busts, a person's orders, restarts.
//!
//! Promises: each is told like any other change; a bust takes back exactly what its execution moved. Never: takes what
//! an account does not have free.

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, OrderKind, Qty, Side, Timestamp};
use supervisor_core::ledger::VenueTrade;
use supervisor_core::orders::VenueState;

use super::agenda::Due;
use super::book::moved;
use super::place::Wish;
use super::{AccountIx, News, TrueOrder, Venue};

impl Venue {
    /// Draws at birth whether the venue will end an order on its own.
    pub(super) fn plan_own_doings(&mut self, ix: usize) {
        let rates = self.config.rates;
        if self.chances.own.hits(rates.own_cancel) {
            let at = self.now + self.chances.own.span(1, rates.own_ms);
            self.agenda.note(at, Due::OwnCancel(ix));
        }
        if self.chances.own.hits(rates.own_expiry) {
            let at = self.now + self.chances.own.span(1, rates.own_ms);
            self.agenda.note(at, Due::OwnExpiry(ix));
        }
    }

    /// The venue ends an order, unless it is over.
    pub(super) fn end_on_its_own(&mut self, ix: usize, state: VenueState, name: &'static str) {
        if self.orders.get(ix).is_some_and(TrueOrder::is_live) {
            self.tally.count(name);
            self.set_state(ix, state);
        }
    }

    /// An execution is void, unless the account could not give back what it got. A live order may trade that quantity
    /// again; one that was filled is canceled.
    pub(super) fn on_bust(&mut self, account_ix: AccountIx, number: usize) {
        let Some(known) = self.accounts.get(account_ix.0).and_then(|account| account.trades.get(number)).copied()
        else {
            return;
        };
        let ix = (known.order - 1) as usize;
        let Some(order) = self.orders.get(ix) else { return };
        let (symbol_at, view) = (order.symbol_at, order.view);
        let Some(rules) = self.markets.get(symbol_at).map(|market| &market.instrument) else { return };
        let back = moved(&known.trade, rules.base, rules.quote).map(|(asset, change)| (asset, -change));
        let relocked = self.relocked(ix, &known.trade);
        let Some(account) = self.accounts.get_mut(account_ix.0) else { return };
        let fits = |(asset, change)| {
            let locked = relocked.filter(|(of, _)| *of == asset).map_or(Decimal::ZERO, |(_, amount)| amount);
            account.free(asset) + change >= locked
        };
        if !back.into_iter().all(fits) {
            return;
        }
        for (asset, change) in back {
            account.book(self.now, asset, change);
        }
        if let Some(trade) = account.trades.get_mut(number) {
            trade.busted_at = Some(self.now);
        }
        self.tally.count("venue: busts");
        self.tell(Some(account_ix), News::Bust(known.trade));
        let filled = view.filled - known.trade.qty;
        let is_short = view.state == VenueState::Filled && filled < view.qty;
        self.change(ix, if is_short { VenueState::Canceled } else { view.state }, filled);
    }

    /// What a live order must lock again when an execution of it is void.
    fn relocked(&self, ix: usize, trade: &VenueTrade) -> Option<(Asset, Decimal)> {
        let order = self.orders.get(ix).filter(|order| order.is_live())?;
        let rules = &self.markets.get(order.symbol_at)?.instrument;
        match order.view.side {
            Side::Buy => Some((rules.quote, self.dearest(order.limit()?, trade.qty))),
            Side::Sell => Some((rules.base, trade.qty.get())),
        }
    }

    /// A person does something on the account, and comes back later.
    pub(super) fn on_human(&mut self, account: AccountIx) {
        self.plan_human(account);
        match self.chances.own.index(3) {
            0 => self.place_by_hand(account, false),
            1 => self.place_by_hand(account, true),
            _ => self.cancel_by_hand(account),
        }
    }

    pub(super) fn plan_human(&mut self, account: AccountIx) {
        let mean = self.config.rates.human_ms;
        if mean > 0 {
            let at = self.now + self.chances.own.span(1, mean.saturating_mul(2));
            self.agenda.note(at, Due::Human(account));
        }
    }

    /// Some multiples of the least notional, at market or up to half a percent away from it.
    fn place_by_hand(&mut self, account: AccountIx, is_limit: bool) {
        let chance = &mut self.chances.own;
        let symbol_at = chance.index(self.markets.len());
        let side = if chance.hits(500) { Side::Buy } else { Side::Sell };
        let Some(market) = self.markets.get(symbol_at) else { return };
        let away = market.ticks_of(market.price()) / 200;
        let better = chance.span(0, away);
        let ticks = match side {
            Side::Buy => market.taken_at(side) - better,
            Side::Sell => market.taken_at(side) + better,
        };
        let price = market.price_at(ticks.max(1));
        let least = market.instrument.notional_min.get().max(Decimal::ONE) * Decimal::from(chance.span(1, 5));
        let qty = market.lots(market.lots_of(Qty::new(least / price.get())) + 1);
        let kind = if is_limit { OrderKind::Limit(price) } else { OrderKind::Market { bound: None } };
        let wish = Wish { account, client: None, symbol_at, side, kind, qty, post_only: false, immediate: false };
        drop(self.accept(wish));
    }

    /// Withdraws the oldest order of a person, if there is one.
    fn cancel_by_hand(&mut self, account: AccountIx) {
        let Some(known) = self.accounts.get(account.0) else { return };
        let by_hand =
            |ix: &&usize| self.orders.get(**ix).is_some_and(|order| order.is_live() && order.view.client.is_none());
        if let Some(ix) = known.recent.iter().find(by_hand).copied() {
            self.set_state(ix, VenueState::Canceled);
        }
    }

    /// The venue stops and starts again: it answers that it is busy for `down_ms`, though its engine goes on. With
    /// `wipe_book` all open orders are withdrawn and requests that wait in the engine are dropped.
    pub fn restart(&mut self, now: Timestamp, down_ms: i64, wipe_book: bool) {
        self.advance(now);
        self.down_until = self.down_until.max(self.now + down_ms);
        self.tally.count(if wipe_book { "venue: restarts with a wiped book" } else { "venue: restarts" });
        if !wipe_book {
            return;
        }
        self.agenda.drop_births();
        self.held.clear();
        for ix in 0..self.orders.len() {
            self.end_on_its_own(ix, VenueState::Canceled, "venue: orders wiped");
        }
    }

    /// From now on the venue works as it should; what it had in mind to do on its own is dropped.
    pub fn quiet(&mut self) {
        self.config.rates = super::VenueRates::QUIET;
        self.agenda.drop_own_doings();
        self.down_until = self.now;
    }
}
