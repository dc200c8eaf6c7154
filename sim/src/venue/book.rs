//! Matching: what a taker gets, what resting orders get when the price reaches them, and what each execution moves.
//!
//! Promises: an execution moves both assets and the order at the same moment; nothing is ever paid that the account
//! does not have. Never: fills an order beyond its quantity unless the plan asks for that.

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, Price, Qty, Side, TradeId};
use supervisor_core::ledger::VenueTrade;
use supervisor_core::orders::VenueState;

use super::agenda::Due;
use super::{Change, News, TrueOrder, TrueTrade, Venue};

/// Price levels that a taker reaches at most; the price gets worse by a tick on each.
pub(super) const LEVELS: i64 = 4;

impl Venue {
    /// An order takes from the market at its best prices, as far as its limit goes.
    pub(super) fn take(&mut self, ix: usize, limit: Option<i64>) {
        let Some(order) = self.orders.get(ix) else { return };
        let (side, symbol_at) = (order.view.side, order.symbol_at);
        let expires = order.immediate || order.limit().is_none();
        let mut wanted = self.leaves_lots(ix);
        if expires && self.chances.matching.hits(self.config.rates.thin) {
            wanted = self.chances.matching.span(0, wanted);
            self.tally.count("venue: thin market");
        }
        for level in 0..LEVELS {
            let Some(market) = self.markets.get(symbol_at) else { return };
            let ticks = match side {
                Side::Buy => market.taken_at(side) + level,
                Side::Sell => (market.taken_at(side) - level).max(1),
            };
            let is_within = limit.is_none_or(|limit| if side == Side::Buy { ticks <= limit } else { ticks >= limit });
            if wanted <= 0 || !is_within {
                return;
            }
            let price = market.price_at(ticks);
            let lots = if level + 1 == LEVELS { wanted } else { self.part_of(wanted) };
            wanted -= lots;
            self.execute(ix, price, lots, false);
        }
    }

    /// Resting orders that the price has reached trade at their limits.
    pub(super) fn fill_resting(&mut self, symbol_at: usize) {
        let Some(market) = self.markets.get(symbol_at) else { return };
        for (ix, is_beyond) in market.reached() {
            let trades = is_beyond || self.chances.matching.hits(self.config.rates.touch);
            let limit = self.orders.get(ix).and_then(TrueOrder::limit);
            if let (true, Some(limit)) = (trades, limit) {
                let lots = self.leaves_lots(ix);
                let lots = self.part_of(lots);
                self.execute(ix, limit, lots, true);
            }
        }
    }

    fn leaves_lots(&self, ix: usize) -> i64 {
        let Some(order) = self.orders.get(ix) else { return 0 };
        self.markets.get(order.symbol_at).map_or(0, |market| market.lots_of(order.leaves()))
    }

    /// All of it, or now and then a part.
    fn part_of(&mut self, lots: i64) -> i64 {
        if lots > 1 && self.chances.matching.hits(self.config.rates.partial) {
            self.tally.count("venue: partial fills");
            return self.chances.matching.span(1, lots - 1);
        }
        lots
    }

    /// One execution, and rarely a second one beyond the quantity.
    fn execute(&mut self, ix: usize, price: Price, lots: i64, maker: bool) {
        let Some(market) = self.orders.get(ix).and_then(|order| self.markets.get(order.symbol_at)) else { return };
        let qty = market.lots(lots);
        if lots <= 0 {
            return;
        }
        self.trade(ix, price, qty, maker);
        let is_whole = self.orders.get(ix).is_some_and(|order| order.view.state == VenueState::Filled);
        if is_whole && self.chances.own.hits(self.config.rates.overfill) {
            self.overfill(ix, price, lots, maker);
        }
    }

    fn overfill(&mut self, ix: usize, price: Price, lots: i64, maker: bool) {
        let extra = self.chances.own.span(1, (lots / 4).max(1));
        let Some(order) = self.orders.get(ix) else { return };
        let (Some(market), Some(account)) = (self.markets.get(order.symbol_at), self.accounts.get(order.account.0))
        else {
            return;
        };
        let qty = market.lots(extra);
        let is_paid = match order.view.side {
            Side::Buy => account.free(market.instrument.quote) >= self.dearest(price, qty),
            Side::Sell => account.free(market.instrument.base) >= qty.get(),
        };
        if is_paid {
            self.tally.count("venue: overfills");
            self.trade(ix, price, qty, maker);
        }
    }

    /// Moves the assets, records the execution and tells it, then tells the order.
    fn trade(&mut self, ix: usize, price: Price, qty: Qty, maker: bool) {
        let rate = if maker { self.config.maker_fee } else { self.config.taker_fee };
        let fee = price * qty * rate;
        let Some(order) = self.orders.get_mut(ix) else { return };
        let Some(market) = self.markets.get_mut(order.symbol_at) else { return };
        let trade = VenueTrade {
            client: order.view.client,
            trade: TradeId(market.next_trade()),
            symbol: order.view.symbol,
            side: order.view.side,
            price,
            qty,
            fee,
            maker,
            at: self.now,
        };
        order.trades.push(trade.trade);
        let (account_ix, id) = (order.account, order.view.id);
        let (base, quote) = (market.instrument.base, market.instrument.quote);
        let filled = order.view.filled + qty;
        let state = if filled >= order.view.qty { VenueState::Filled } else { order.view.state };
        let Some(account) = self.accounts.get_mut(account_ix.0) else { return };
        for (asset, change) in moved(&trade, base, quote) {
            account.book(self.now, asset, change);
        }
        account.trades.push(TrueTrade { trade, order: id, busted_at: None });
        let number = account.trades.len() - 1;
        self.tell(Some(account_ix), News::Trade(trade));
        self.change(ix, state, filled);
        self.tally.count(if trade.client.is_some() { "venue: fills" } else { "venue: fills of a person" });
        if self.chances.own.hits(self.config.rates.bust) {
            let at = self.now + self.chances.own.span(1, self.config.rates.bust_ms);
            self.agenda.note(at, Due::Bust(account_ix, number));
        }
    }

    /// Another state, the same executions.
    pub(super) fn set_state(&mut self, ix: usize, state: VenueState) {
        if let Some(filled) = self.orders.get(ix).map(|order| order.view.filled) {
            self.change(ix, state, filled);
        }
    }

    /// The only place that changes an order: locks follow, history and news are kept.
    pub(super) fn change(&mut self, ix: usize, state: VenueState, filled: Qty) {
        self.lock_for(ix, false);
        let now = self.now;
        let Some(order) = self.orders.get_mut(ix) else { return };
        order.view.state = state;
        order.view.filled = filled;
        order.view.seq += 1;
        order.changes.push(Change { at: now, state, filled, seq: order.view.seq });
        match state {
            VenueState::Pending | VenueState::Armed | VenueState::Open => {}
            VenueState::Filled | VenueState::Canceled | VenueState::Expired | VenueState::Rejected => {
                order.ended_at = order.ended_at.or(Some(now));
                if let Some(market) = self.markets.get_mut(order.symbol_at) {
                    market.remove(ix);
                }
            }
        }
        self.lock_for(ix, true);
        self.tell_order(ix);
    }

    /// Locks or releases what the rest of an order needs.
    pub(super) fn lock_for(&mut self, ix: usize, locks: bool) {
        let Some((account, asset, amount)) = self.needed_by(ix) else { return };
        if let Some(account) = self.accounts.get_mut(account) {
            account.lock(asset, if locks { amount } else { -amount });
        }
    }

    /// Whose, what and how much the rest of a limit order keeps locked.
    fn needed_by(&self, ix: usize) -> Option<(usize, Asset, Decimal)> {
        let order = self.orders.get(ix)?;
        let rules = &self.markets.get(order.symbol_at)?.instrument;
        let limit = order.limit()?;
        let (asset, amount) = match order.view.side {
            Side::Buy => (rules.quote, self.dearest(limit, order.leaves())),
            Side::Sell => (rules.base, order.leaves().get()),
        };
        Some((order.account.0, asset, amount))
    }

    /// Quote units that so much costs at this price with the higher of the two fees.
    pub(super) fn dearest(&self, price: Price, qty: Qty) -> Decimal {
        let fee = self.config.maker_fee.max(self.config.taker_fee);
        (price * qty * (Decimal::ONE + fee)).get()
    }
}

/// What an execution moves.
pub(super) fn moved(trade: &VenueTrade, base: Asset, quote: Asset) -> [(Asset, Decimal); 2] {
    let (qty, notional, fee) = (trade.qty.get(), (trade.price * trade.qty).get(), trade.fee.get());
    match trade.side {
        Side::Buy => [(base, qty), (quote, -notional - fee)],
        Side::Sell => [(base, -qty), (quote, notional - fee)],
    }
}
