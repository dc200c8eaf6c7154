//! Taking an order: validity, filters, names, funds, the engine's queue, birth, and what it meets when it goes live.
//!
//! Promises: a request is born at most `window_ms` + `engine_ms` after it was signed, or never; a refused one leaves no
//! trace; what could be met of the same account expires first (self-trade prevention). Never: tells the sender that
//! a request waits.

use supervisor_core::domain::{ClientId, OrderKind, Price, Qty, Side, Timestamp};
use supervisor_core::ledger::VenueOrder;
use supervisor_core::orders::{RejectCode, VenueState};
use supervisor_core::spec::IdClass;

use super::agenda::Due;
use super::market::Resting;
use super::{AccountIx, Answer, Change, TrueOrder, Venue};

/// An order that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Whose.
    pub(super) account: AccountIx,
    /// Our name; `None` for a person's order.
    pub(super) client: Option<ClientId>,
    /// Position of its symbol.
    pub(super) symbol_at: usize,
    /// Which way.
    pub(super) side: Side,
    /// How.
    pub(super) kind: OrderKind,
    /// Base units.
    pub(super) qty: Qty,
    /// It may not take.
    pub(super) post_only: bool,
    /// What does not trade at once expires.
    pub(super) immediate: bool,
}

impl Venue {
    /// Works on a request to take an order.
    pub(super) fn place(&mut self, wish: Wish, signed: Timestamp) -> Answer {
        if self.now > signed + self.config.window_ms || signed > self.now + self.config.ahead_ms {
            self.tally.count("venue: too old");
            return Answer::TooOld;
        }
        if let Err(code) = self.filter(&wish).and_then(|()| self.name_is_free(&wish, true)) {
            self.tally.count("venue: refused");
            return Answer::Rejected(code);
        }
        if self.config.engine_ms > 0 && self.chances.engine.hits(self.config.rates.held) {
            let at = self.now + self.chances.engine.span(1, self.config.engine_ms);
            self.agenda.note(at, Due::Birth(wish));
            self.held.extend(wish.client.map(|client| (wish.account, client)));
            self.tally.count("venue: held in the engine");
            return Answer::Busy;
        }
        self.accept(wish)
    }

    /// A request that waited is worked on; a refusal is told to no one.
    pub(super) fn on_birth(&mut self, wish: Wish) {
        if let Some(client) = wish.client {
            self.held.remove(&(wish.account, client));
        }
        match self.name_is_free(&wish, false) {
            Ok(()) => drop(self.accept(wish)),
            Err(_) => self.tally.count("venue: refused"),
        }
    }

    /// The venue's own rules for prices and quantities.
    fn filter(&self, wish: &Wish) -> Result<(), RejectCode> {
        let market = self.markets.get(wish.symbol_at).ok_or(RejectCode::Filter)?;
        let price = match wish.kind {
            OrderKind::Limit(price) => price,
            OrderKind::Market { bound } => bound.unwrap_or_else(|| market.price()),
        };
        let rules = &market.instrument;
        // An order that may not take has to be one that can rest.
        let can_rest = matches!(wish.kind, OrderKind::Limit(_)) && !wish.immediate;
        let is_right = (can_rest || !wish.post_only)
            && price.is_positive()
            && wish.qty.is_positive()
            && rules.on_tick(price)
            && rules.on_lot(wish.qty)
            && price * wish.qty >= rules.notional_min;
        if is_right { Ok(()) } else { Err(RejectCode::Filter) }
    }

    /// Class U: a name is used once, and one that waits in the engine is in use. Class O: once among open orders.
    fn name_is_free(&self, wish: &Wish, count_held: bool) -> Result<(), RejectCode> {
        let (Some(client), Some(account)) = (wish.client, self.accounts.get(wish.account.0)) else {
            return Ok(());
        };
        let born = account.names.get(&client).map_or(&[][..], Vec::as_slice);
        let is_taken = match self.config.ids {
            IdClass::Unique => !born.is_empty() || (count_held && self.held.contains(&(wish.account, client))),
            IdClass::Open | IdClass::None => born.iter().any(|ix| self.orders.get(*ix).is_some_and(TrueOrder::is_live)),
        };
        if is_taken { Err(RejectCode::Other) } else { Ok(()) }
    }

    /// Funds, post-only, then birth.
    pub(super) fn accept(&mut self, wish: Wish) -> Answer {
        if !self.can_pay(&wish) {
            self.tally.count("venue: insufficient balance");
            return Answer::Rejected(RejectCode::InsufficientBalance);
        }
        let late = wish.post_only && self.would_take(&wish);
        if late && !self.chances.engine.hits(self.config.rates.late_reject) {
            self.tally.count("venue: post-only refused");
            return Answer::Rejected(RejectCode::WouldTake);
        }
        let rates = self.config.rates;
        let is_limit = matches!(wish.kind, OrderKind::Limit(_));
        let waits = is_limit && !late && rates.pending_ms > 0 && self.chances.engine.hits(rates.pending);
        let state = match (waits, waits && self.chances.engine.hits(rates.armed)) {
            (true, true) => VenueState::Armed,
            (true, false) => VenueState::Pending,
            (false, _) => VenueState::Open,
        };
        let Some(ix) = self.give_birth(&wish, state) else { return Answer::Rejected(RejectCode::Other) };
        if late || waits {
            let at = self.now + self.chances.engine.span(1, rates.pending_ms.max(1));
            self.agenda.note(at, if late { Due::Refuse(ix) } else { Due::Activate(ix) });
        } else {
            self.go_live(ix);
        }
        self.plan_own_doings(ix);
        self.orders.get(ix).map_or(Answer::NotFound, |order| Answer::Order(order.view))
    }

    /// True when the account can pay for the worst case.
    fn can_pay(&self, wish: &Wish) -> bool {
        let (Some(market), Some(account)) = (self.markets.get(wish.symbol_at), self.accounts.get(wish.account.0))
        else {
            return false;
        };
        let worst = match wish.kind {
            OrderKind::Limit(price) => price,
            OrderKind::Market { .. } => market.price_at(market.taken_at(wish.side) + super::book::LEVELS),
        };
        match wish.side {
            Side::Buy => account.free(market.instrument.quote) >= self.dearest(worst, wish.qty),
            Side::Sell => account.free(market.instrument.base) >= wish.qty.get(),
        }
    }

    fn would_take(&self, wish: &Wish) -> bool {
        let Some(market) = self.markets.get(wish.symbol_at) else { return false };
        let limit = self.limit_ticks(wish.symbol_at, wish.kind);
        market.is_marketable(wish.side, limit) || !market.met_by(wish.account.0, wish.side, limit).is_empty()
    }

    /// The worst price an order accepts, ticks; `None`: any.
    pub(super) fn limit_ticks(&self, symbol_at: usize, kind: OrderKind) -> Option<i64> {
        let price: Price = match kind {
            OrderKind::Limit(price) => price,
            OrderKind::Market { bound } => bound?,
        };
        self.markets.get(symbol_at).map(|market| market.ticks_of(price))
    }

    fn give_birth(&mut self, wish: &Wish, state: VenueState) -> Option<usize> {
        let symbol = self.markets.get(wish.symbol_at)?.instrument.symbol;
        let ix = self.orders.len();
        let view = VenueOrder {
            client: wish.client,
            id: ix as u64 + 1,
            symbol,
            side: wish.side,
            kind: wish.kind,
            qty: wish.qty,
            filled: Qty::ZERO,
            state,
            seq: 1,
        };
        self.orders.push(TrueOrder {
            account: wish.account,
            view,
            post_only: wish.post_only,
            immediate: wish.immediate,
            accepted_at: self.now,
            ended_at: None,
            trades: Vec::new(),
            changes: vec![Change { at: self.now, state, filled: Qty::ZERO, seq: 1 }],
            symbol_at: wish.symbol_at,
        });
        if let Some(account) = self.accounts.get_mut(wish.account.0) {
            account.recent.push(ix);
            if let Some(client) = wish.client {
                account.names.entry(client).or_default().push(ix);
            }
        }
        self.lock_for(ix, true);
        self.tell_order(ix);
        self.tally.count(if wish.client.is_some() { "venue: orders" } else { "venue: orders of a person" });
        Some(ix)
    }

    /// A pending order goes live, unless it is over.
    pub(super) fn on_activate(&mut self, ix: usize) {
        let Some(order) = self.orders.get(ix).filter(|order| order.is_live()) else { return };
        let wish = Self::wish_of(order);
        if order.post_only && self.would_take(&wish) {
            return self.on_refuse(ix);
        }
        self.tally.count("venue: activated");
        self.set_state(ix, VenueState::Open);
        self.go_live(ix);
    }

    const fn wish_of(order: &TrueOrder) -> Wish {
        Wish {
            account: order.account,
            client: order.view.client,
            symbol_at: order.symbol_at,
            side: order.view.side,
            kind: order.view.kind,
            qty: order.view.qty,
            post_only: order.post_only,
            immediate: order.immediate,
        }
    }

    /// An acknowledged post-only order is refused, unless it is over.
    pub(super) fn on_refuse(&mut self, ix: usize) {
        if self.orders.get(ix).is_some_and(TrueOrder::is_live) {
            self.tally.count("venue: rejected after ack");
            self.set_state(ix, VenueState::Rejected);
        }
    }

    /// Expires what it meets of the same account, takes what it can, then rests or expires.
    fn go_live(&mut self, ix: usize) {
        let Some(order) = self.orders.get(ix) else { return };
        let (account, symbol_at, view, immediate) = (order.account, order.symbol_at, order.view, order.immediate);
        let limit = self.limit_ticks(symbol_at, view.kind);
        let Some(market) = self.markets.get(symbol_at) else { return };
        let is_marketable = market.is_marketable(view.side, limit);
        for met in market.met_by(account.0, view.side, limit) {
            self.tally.count("venue: self-trade prevented");
            self.set_state(met, VenueState::Expired);
        }
        if is_marketable {
            self.take(ix, limit);
        }
        if !self.orders.get(ix).is_some_and(TrueOrder::is_live) {
            return;
        }
        match view.kind {
            OrderKind::Limit(price) if !immediate => {
                if let Some(market) = self.markets.get_mut(symbol_at) {
                    let ticks = market.ticks_of(price);
                    market.rest(Resting { order: ix, account: account.0, side: view.side, ticks });
                }
            }
            OrderKind::Limit(_) | OrderKind::Market { .. } => {
                self.tally.count("venue: rest expired");
                self.set_state(ix, VenueState::Expired);
            }
        }
    }
}
