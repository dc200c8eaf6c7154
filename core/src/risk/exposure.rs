//! What is bought, what may still be bought, and what is held for orders that may fill.
//!
//! Owns positions, cash and holds as the gate sees them. Promises: the worst case per side (position plus all buy
//! holds, position minus all sell holds) is what every limit is compared with. Never: a hold released for fills that
//! the venue reports and we have not seen.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{Fill, InstrumentIx, Notional, OrderNo, Price, Qty, Quotes, Side};
use crate::orders::OrderEnded;

/// Room kept for an order that may still fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What.
    pub instrument: InstrumentIx,
    /// Which way.
    pub side: Side,
    /// Worst price.
    pub price: Price,
    /// Base units that may still fill.
    pub qty: Qty,
    /// Base units seen filled.
    pub seen: Qty,
}

/// One instrument as the gate sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Base units held.
    pub position: Qty,
    /// Notional of all buy holds at their worst prices.
    pub buy_held: Notional,
    /// Base units of all sell holds.
    pub sell_held: Qty,
}

/// What the strategy may know about its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    /// Quote units free after holds and their fees.
    pub free_quote: Notional,
    /// Base units held.
    pub position: Qty,
    /// Base units free after sell holds.
    pub free_base: Qty,
    /// Quote units left of the symbol cap.
    pub symbol_left: Notional,
    /// Quote units left of the total cap.
    pub total_left: Notional,
    /// The capital that shares are taken of, quote units.
    pub capital: Notional,
    /// The price that the position was valued at; zero before the first one.
    pub mark: Price,
}

/// Positions, cash and holds of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    cash: Notional,
    fee: Decimal,
    lines: Vec<Line>,
    holds: BTreeMap<OrderNo, Hold>,
}

impl Exposure {
    /// Starts with `cash` quote units and `base` units of the first instrument; `fee` is the dearest fee rate.
    #[must_use]
    pub fn new(cash: Notional, base: Qty, fee: Decimal, instruments: usize) -> Self {
        let mut lines = vec![Line::default(); instruments];
        if let Some(first) = lines.first_mut() {
            first.position = base;
        }
        Self { cash, fee, lines, holds: BTreeMap::new() }
    }

    /// One instrument.
    #[must_use]
    pub fn line(&self, ix: InstrumentIx) -> Line {
        self.lines.get(ix.at()).copied().unwrap_or_default()
    }

    /// All holds, by order.
    #[must_use]
    pub const fn holds(&self) -> &BTreeMap<OrderNo, Hold> {
        &self.holds
    }

    /// Quote units, holds included.
    #[must_use]
    pub const fn cash(&self) -> Notional {
        self.cash
    }

    /// Quote units that no hold claims, fees of the holds included.
    #[must_use]
    pub fn free_quote(&self) -> Notional {
        self.free_quote_at(self.fee)
    }

    /// The same, if the dearest fee rate were `fee`.
    #[must_use]
    pub fn free_quote_at(&self, fee: Decimal) -> Notional {
        let held: Notional = self.lines.iter().map(|line| line.buy_held).sum();
        self.cash - held - held * fee
    }

    /// Quote units come in (negative: go out), and the dearest fee rate is another: what is held is held with it.
    pub fn revise(&mut self, transfer: Notional, fee: Decimal) {
        self.cash += transfer;
        self.fee = fee;
    }

    /// Base units that no sell hold claims.
    #[must_use]
    pub fn free_base(&self, ix: InstrumentIx) -> Qty {
        let line = self.line(ix);
        line.position - line.sell_held
    }

    /// A notional plus the fee of buying it.
    #[must_use]
    pub fn with_fee(&self, notional: Notional) -> Notional {
        notional + notional * self.fee
    }

    /// Worst-case long exposure of one instrument at `mark`: position plus all buy holds.
    #[must_use]
    pub fn symbol(&self, ix: InstrumentIx, mark: Price) -> Notional {
        let line = self.line(ix);
        mark * line.position + line.buy_held
    }

    /// Worst-case gross exposure of all instruments; one without a quote counts with its holds only.
    #[must_use]
    pub fn total(&self, quotes: &Quotes) -> Notional {
        (0..self.lines.len())
            .map(|at| {
                let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
                let mark = quotes.get(ix).map_or(Price::ZERO, |quote| quote.last);
                self.symbol(ix, mark)
            })
            .sum()
    }

    /// Places the hold of an approved order.
    pub fn hold(&mut self, order: OrderNo, hold: Hold) {
        self.add(hold.instrument, hold.side, hold.price, hold.qty);
        self.holds.insert(order, hold);
    }

    /// Turns held room into position, cash and fee.
    pub fn on_fill(&mut self, fill: &Fill) {
        if let Some(mut hold) = self.holds.remove(&fill.order) {
            let part = fill.qty.min(hold.qty);
            self.add(hold.instrument, hold.side, hold.price, -part);
            hold.qty -= part;
            hold.seen += fill.qty;
            if hold.qty.is_positive() {
                self.holds.insert(fill.order, hold);
            }
        }
        let Some(line) = self.lines.get_mut(fill.instrument.at()) else { return };
        match fill.side {
            Side::Buy => {
                line.position += fill.qty;
                self.cash -= fill.notional() + fill.fee;
            }
            Side::Sell => {
                line.position -= fill.qty;
                self.cash += fill.notional() - fill.fee;
            }
        }
    }

    /// Releases the hold of an order that is over, minus what the venue says it filled and we have not seen.
    pub fn on_ended(&mut self, ended: &OrderEnded) {
        let Some(mut hold) = self.holds.remove(&ended.terms.order) else { return };
        let unseen = (ended.filled - hold.seen).max(Qty::ZERO).min(hold.qty);
        self.add(hold.instrument, hold.side, hold.price, unseen - hold.qty);
        hold.qty = unseen;
        if unseen.is_positive() {
            self.holds.insert(ended.terms.order, hold);
        }
    }

    /// The room of an order is what `hold` says, at the price of before if there was one. `whole`: the order's
    /// quantity.
    pub fn hold_again(&mut self, order: OrderNo, hold: Hold, whole: Qty) {
        let before = self.holds.remove(&order);
        if let Some(before) = before {
            self.add(before.instrument, before.side, before.price, -before.qty);
        }
        if hold.qty.is_positive() {
            let price = before.map_or(hold.price, |before| before.price);
            self.hold(order, Hold { price, seen: whole - hold.qty, ..hold });
        }
    }

    /// A fill is void: position, cash and fee go back.
    pub fn on_bust(&mut self, fill: &Fill) {
        let Some(line) = self.lines.get_mut(fill.instrument.at()) else { return };
        match fill.side {
            Side::Buy => {
                line.position -= fill.qty;
                self.cash += fill.notional() + fill.fee;
            }
            Side::Sell => {
                line.position += fill.qty;
                self.cash -= fill.notional() - fill.fee;
            }
        }
    }

    fn add(&mut self, ix: InstrumentIx, side: Side, price: Price, qty: Qty) {
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        match side {
            Side::Buy => line.buy_held += price * qty,
            Side::Sell => line.sell_held += qty,
        }
    }
}
