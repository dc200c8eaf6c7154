//! What nobody here did: orders and executions of others on the account, and what of it no instance holds.
//!
//! Owns the external orders, the external executions of the look-back window, and the holdings of nobody: what the
//! venue's opening statement had beyond the capital of the instances, moved by what others trade. Promises: each
//! external execution counts once; one whose owner turns up later changes over to it. Never: asks for the end of an
//! order.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::account::Flow;
use super::{CLOCKS_MS, VenueOrder, VenueTrade};
use crate::domain::{Asset, ClientId, InstanceId, Notional, OrderKind, Price, Qty, Side, Symbol, Timestamp, TradeId};
use crate::orders::VenueState;

/// Executions stay known for so much longer than they are read back, ms.
const SLACK_MS: i64 = 3_600_000;

/// An order that was adopted: it counts, and nobody here touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// What the venue said last.
    pub order: VenueOrder,
    /// True when it carries a name of one of our instances which that instance does not know: it was sent by a state
    /// that was lost, or by another process.
    pub orphan: bool,
    /// When it was seen first, by our clock.
    pub since: Timestamp,
    /// When it was seen last.
    pub(super) seen: Timestamp,
}

/// What base and quote of a symbol are.
pub(super) type Pair = (Asset, Asset);

/// An execution that no instance made, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Foreign {
    pub trade: VenueTrade,
    /// `None` for a symbol that nobody can split: it never counts, so the balances will differ.
    pub pair: Option<Pair>,
    /// True when it may be one of ours.
    pub orphan: bool,
    /// False for what the opening statement had in it, and for what is void.
    pub counted: bool,
    /// True when the venue took it back.
    pub void: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outside {
    orders: BTreeMap<(Symbol, u64), External>,
    trades: BTreeMap<(Symbol, TradeId), Foreign>,
    /// Newest execution or reading of each symbol, by the venue's clock.
    newest: BTreeMap<Symbol, Timestamp>,
    positions: BTreeMap<Symbol, Qty>,
    holds: BTreeMap<Asset, Decimal>,
    keep_ms: i64,
}

impl External {
    /// Quote units that it may still trade: at its own price, or at `mark` when it has none.
    #[must_use]
    pub fn open_notional(&self, mark: Price) -> Notional {
        let price = match self.order.kind {
            OrderKind::Limit(price) | OrderKind::Market { bound: Some(price) } => price,
            OrderKind::Market { bound: None } => mark,
        };
        price * (self.order.qty - self.order.filled)
    }
}

const fn is_open(state: VenueState) -> bool {
    match state {
        VenueState::Pending | VenueState::Armed | VenueState::Open => true,
        VenueState::Filled | VenueState::Canceled | VenueState::Expired | VenueState::Rejected => false,
    }
}

impl Outside {
    /// Nothing yet. Executions are read back for `look_back_ms`.
    pub const fn new(look_back_ms: i64) -> Self {
        Self {
            orders: BTreeMap::new(),
            trades: BTreeMap::new(),
            newest: BTreeMap::new(),
            positions: BTreeMap::new(),
            holds: BTreeMap::new(),
            keep_ms: look_back_ms + SLACK_MS,
        }
    }

    /// The adopted orders.
    pub fn orders(&self) -> impl Iterator<Item = &External> {
        self.orders.values()
    }

    /// What others have of a symbol since the opening, base units; negative: they sold.
    pub fn position(&self, symbol: Symbol) -> Qty {
        self.positions.get(&symbol).copied().unwrap_or_default()
    }

    /// What no instance holds of an asset.
    pub fn holds(&self, asset: Asset) -> Decimal {
        self.holds.get(&asset).copied().unwrap_or_default()
    }

    /// Assets of which something was moved.
    pub fn assets(&self) -> impl Iterator<Item = Asset> {
        self.holds.keys().copied()
    }

    /// Somebody puts in (negative: takes out) so much of an asset.
    pub fn give(&mut self, asset: Asset, amount: Decimal) {
        *self.holds.entry(asset).or_default() += amount;
    }

    /// What one execution moved was nobody's and has an owner now.
    pub fn hand_over(&mut self, (base, quote): Pair, flow: Flow) {
        self.give(base, -flow.base.get());
        self.give(quote, -flow.quote.get());
    }

    /// An order of others, as the venue says it stands; one that is over is let go. News that is older than what is
    /// known changes nothing. True: it is open.
    pub fn adopt(&mut self, at: Timestamp, order: &VenueOrder, orphan: bool) -> bool {
        let key = (order.symbol, order.id);
        let old = self.orders.get(&key).copied();
        let order = old.map(|old| old.order).filter(|old| old.seq > order.seq).unwrap_or(*order);
        if is_open(order.state) {
            let since = old.map_or(at, |old| old.since);
            self.orders.insert(key, External { order, orphan, since, seen: at });
        } else {
            self.orders.remove(&key);
        }
        is_open(order.state)
    }

    /// It is one of ours after all.
    pub fn disown(&mut self, order: &VenueOrder) {
        self.orders.remove(&(order.symbol, order.id));
    }

    /// Orders under a name of this instance are to be looked at anew.
    pub fn disown_all(&mut self, instance: InstanceId) {
        let named = |client: Option<ClientId>| client.is_some_and(|id| id.instance == instance);
        self.orders.retain(|_, external| !named(external.order.client));
    }

    /// A list that was asked for then has all that are open.
    pub fn listed(&mut self, asked_at: Timestamp) {
        self.orders.retain(|_, external| external.seen >= asked_at);
    }

    /// An execution of others, told once or many times. It counts when it came after the `opening` statement.
    pub fn trade(&mut self, at: Timestamp, foreign: Foreign, opening: Option<Timestamp>) {
        let trade = foreign.trade;
        if let Some(known) = self.trades.get_mut(&(trade.symbol, trade.trade)) {
            known.orphan = foreign.orphan;
        } else if self.keeps(&trade) {
            let counted = opening.is_some_and(|opening| trade.at > opening);
            self.put(Foreign { counted, ..foreign });
            self.saw(at, trade.symbol, trade.at);
        }
    }

    /// False for what no reading brings any more: it is not known whether it counted.
    fn keeps(&self, trade: &VenueTrade) -> bool {
        self.newest.get(&trade.symbol).is_none_or(|newest| trade.at >= *newest - self.keep_ms)
    }

    /// An execution of others is void, told once or many times, before it or after it: what it moved goes back.
    /// `counts`: the opening statement had it in it, so that it counts though nothing was moved.
    pub fn void(&mut self, at: Timestamp, foreign: Foreign, counts: bool) {
        let known = self.trades.get(&(foreign.trade.symbol, foreign.trade.trade));
        if known.is_some_and(|known| known.void) || (known.is_none() && !self.keeps(&foreign.trade)) {
            return;
        }
        if counts || known.map_or(foreign.counted, |known| known.counted) {
            self.shift(&foreign, Flow::from(&foreign.trade).back());
        }
        self.put(Foreign { counted: false, void: true, ..foreign });
        self.saw(at, foreign.trade.symbol, foreign.trade.at);
    }

    /// Executions of a symbol that are not void.
    pub fn standing(&self, symbol: Symbol) -> impl Iterator<Item = &VenueTrade> {
        let (first, last) = ((symbol, TradeId(0)), (symbol, TradeId(u64::MAX)));
        self.trades
            .range(first..=last)
            .map(|(_, foreign)| foreign)
            .filter(|known| !known.void)
            .map(|known| &known.trade)
    }

    fn put(&mut self, foreign: Foreign) {
        if foreign.counted {
            self.shift(&foreign, Flow::from(&foreign.trade));
        }
        self.trades.insert((foreign.trade.symbol, foreign.trade.trade), foreign);
    }

    fn shift(&mut self, foreign: &Foreign, flow: Flow) {
        let Some((base, quote)) = foreign.pair else { return };
        self.give(base, flow.base.get());
        self.give(quote, flow.quote.get());
        *self.positions.entry(foreign.trade.symbol).or_default() += flow.base;
    }

    /// An instance counted this execution: it counts here no more.
    pub fn owned(&mut self, symbol: Symbol, trade: TradeId) {
        if let Some(foreign) = self.trades.remove(&(symbol, trade)).filter(|foreign| foreign.counted) {
            self.shift(&foreign, Flow::from(&foreign.trade).back());
        }
    }

    /// Executions of a symbol were read up to here; what no reading will bring again is forgotten.
    pub fn read(&mut self, at: Timestamp, symbol: Symbol, until: Timestamp) {
        let newest = self.saw(at, symbol, until);
        let (from, to) = ((symbol, TradeId(0)), (symbol, TradeId(u64::MAX)));
        let old = self.trades.range(from..=to).filter(|(_, foreign)| foreign.trade.at < newest - self.keep_ms);
        let old: Vec<(Symbol, TradeId)> = old.map(|(key, _)| *key).collect();
        old.iter().for_each(|key| {
            self.trades.remove(key);
        });
    }

    fn saw(&mut self, at: Timestamp, symbol: Symbol, when: Timestamp) -> Timestamp {
        let newest = self.newest.entry(symbol).or_insert(when.min(at + CLOCKS_MS));
        *newest = (*newest).max(when.min(at + CLOCKS_MS));
        *newest
    }

    /// True when an execution of these moments may be one of ours.
    pub fn has_orphan(&self, symbol: Symbol, from: Timestamp, until: Timestamp) -> bool {
        let (first, last) = ((symbol, TradeId(0)), (symbol, TradeId(u64::MAX)));
        let inside = |foreign: &Foreign| foreign.trade.at >= from && foreign.trade.at <= until;
        self.trades.range(first..=last).any(|(_, foreign)| foreign.orphan && !foreign.void && inside(foreign))
    }
}

/// Quote units of adopted orders that may still trade, per side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideOpen {
    /// Of buys.
    pub buys: Notional,
    /// Of sells.
    pub sells: Notional,
}

impl Outside {
    /// What the adopted orders of a symbol may still trade; those without a price at `mark`.
    pub fn open(&self, symbol: Symbol, mark: Price) -> OutsideOpen {
        let mut open = OutsideOpen::default();
        for external in self.orders.range((symbol, 0)..=(symbol, u64::MAX)).map(|(_, external)| external) {
            match external.order.side {
                Side::Buy => open.buys += external.open_notional(mark),
                Side::Sell => open.sells += external.open_notional(mark),
            }
        }
        open
    }
}
