//! The paper venue: takes approved orders behind a latency and matches them against the path of the price.
//!
//! Owns the book of one instance and its own truth about balances. Promises: an order fills only at a point after its
//! arrival; balances never go negative; the same inputs give the same fills. Never: takes anything but an
//! [`ApprovedOrder`].
//!
//! Model: an order arrives `latency_ms` after it was sent; answers are instant. A resting limit that arrived before a
//! point fills whole, at its own price, as maker, when the path reaches it (`touch`) or goes through it by a tick
//! (`through`). A market order, or a limit that crosses the spread on arrival, fills at the first point at or after its
//! arrival, on the far side of the spread, as taker. There is no depth: size does not move the price.
//!
//! Another model counts from the moment it is given: what is under way keeps its arrival, what rests keeps its place,
//! and fills pay the new fees. A request never arrives ahead of one that was sent before it.

use std::collections::VecDeque;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Candle, Fill, Instrument, InstrumentIx, Notional, OrderKind, OrderNo, Price, Qty, Quote, Side, Timestamp, TradeId,
};
use crate::orders::{CancelRefusal, RejectCode, Report, Terms};
use crate::risk::ApprovedOrder;
use crate::spec::{InstanceSpec, QueueModel, VenueModel};

/// An order or a cancel on its way to the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Inbound {
    arrives: Timestamp,
    what: Request,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Request {
    Place(Terms),
    Cancel(OrderNo),
}

/// An order that rests, or waits for its first point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Resting {
    terms: Terms,
    arrived: Timestamp,
    /// Its limit; a market order has none.
    price: Option<Price>,
    /// True when it takes at its first point.
    takes: bool,
}

/// One instrument's book: buys from the highest price, sells from the lowest, takers apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    buys: Vec<Resting>,
    sells: Vec<Resting>,
    takers: Vec<Resting>,
    last: Option<Price>,
    base: Qty,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperVenue {
    model: VenueModel,
    instruments: Vec<Instrument>,
    inbound: VecDeque<Inbound>,
    books: Vec<Book>,
    cash: Notional,
    next_trade: u64,
}

impl PaperVenue {
    /// A venue that holds the instance's capital.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let mut books = vec![Book::default(); spec.instruments.len()];
        if let Some(first) = books.first_mut() {
            first.base = spec.capital.base;
        }
        Self {
            model: spec.venue_model,
            instruments: spec.instruments.clone(),
            inbound: VecDeque::new(),
            books,
            cash: spec.capital.quote,
            next_trade: 1,
        }
    }

    /// Takes an approved order; it arrives after the latency.
    pub fn place(&mut self, at: Timestamp, order: ApprovedOrder) {
        self.send(at, Request::Place(*order.terms()));
    }

    /// Takes a cancel; it arrives after the latency.
    pub fn cancel(&mut self, at: Timestamp, order: OrderNo) {
        self.send(at, Request::Cancel(order));
    }

    /// With a latency that fell, a request would overtake those before it: it arrives with the last of them.
    fn send(&mut self, at: Timestamp, what: Request) {
        let arrives = at + self.model.latency_ms;
        let arrives = self.inbound.back().map_or(arrives, |last| arrives.max(last.arrives));
        self.inbound.push_back(Inbound { arrives, what });
    }

    /// Works by another model from here on, and holds `transfer` more quote units; negative: less.
    pub fn revise(&mut self, model: VenueModel, transfer: Notional) {
        self.model = model;
        self.cash += transfer;
    }

    /// When the next request arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.inbound.front().map(|inbound| inbound.arrives)
    }

    /// Handles the next request that arrives at or before `at`; answers when, and what the venue says.
    pub fn arrive(&mut self, at: Timestamp, reports: &mut Vec<Report>) -> Option<Timestamp> {
        let inbound = *self.inbound.front().filter(|inbound| inbound.arrives <= at)?;
        self.inbound.pop_front();
        match inbound.what {
            Request::Place(terms) => self.accept(inbound.arrives, terms, reports),
            Request::Cancel(order) => reports.push(self.withdraw(order)),
        }
        Some(inbound.arrives)
    }

    fn accept(&mut self, arrived: Timestamp, terms: Terms, reports: &mut Vec<Report>) {
        let (Some(book), Some(instrument)) =
            (self.books.get_mut(terms.instrument.at()), self.instruments.get(terms.instrument.at()))
        else {
            reports.push(Report::Rejected(terms.order, RejectCode::Filter));
            return;
        };
        let price = match terms.kind {
            OrderKind::Limit(price) => Some(price),
            OrderKind::Market { bound } => bound,
        };
        if price.is_some_and(|price| !instrument.on_tick(price) || !price.is_positive())
            || !instrument.on_lot(terms.qty)
        {
            reports.push(Report::Rejected(terms.order, RejectCode::Filter));
            return;
        }
        reports.push(Report::Accepted(terms.order));
        let takes = match terms.kind {
            OrderKind::Market { .. } => true,
            OrderKind::Limit(price) => {
                book.last.is_some_and(|last| crosses(terms.side, price, last, self.model.spread))
            }
        };
        let resting = Resting { terms, arrived, price, takes };
        if takes {
            book.takers.push(resting);
        } else {
            book.rest(resting);
        }
    }

    fn withdraw(&mut self, order: OrderNo) -> Report {
        for book in &mut self.books {
            for orders in [&mut book.buys, &mut book.sells, &mut book.takers] {
                if let Some(at) = orders.iter().position(|resting| resting.terms.order == order) {
                    orders.remove(at);
                    return Report::Canceled(order, Qty::ZERO);
                }
            }
        }
        Report::CancelRejected(order, CancelRefusal::TooLate)
    }

    /// True when no point of this candle could fill anything and nothing arrives before its end.
    #[must_use]
    pub fn is_quiet(&self, ix: InstrumentIx, candle: &Candle) -> bool {
        let Some(book) = self.books.get(ix.at()) else { return true };
        // A buy fills only at a point under its price (or on it): none does when even the low stays above the best buy.
        book.takers.is_empty()
            && self.inbound.front().is_none_or(|inbound| inbound.arrives > candle.close_time)
            && book.buys.first().and_then(|best| best.price).is_none_or(|price| candle.low > price)
            && book.sells.first().and_then(|best| best.price).is_none_or(|price| candle.high < price)
    }

    /// True when no order rests and none is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let empty = |book: &Book| book.buys.is_empty() && book.sells.is_empty() && book.takers.is_empty();
        self.inbound.is_empty() && self.books.iter().all(empty)
    }

    /// Remembers the last price of a candle whose points were skipped.
    pub fn skip(&mut self, ix: InstrumentIx, close: Price) {
        if let Some(book) = self.books.get_mut(ix.at()) {
            book.last = Some(close);
        }
    }

    /// The price moves to a point: fills what it reaches, takers first.
    pub fn point(&mut self, at: Timestamp, ix: InstrumentIx, price: Price, reports: &mut Vec<Report>) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        book.last = Some(price);
        if !book.takers.is_empty() {
            let (due, wait): (Vec<Resting>, Vec<Resting>) =
                book.takers.drain(..).partition(|order| order.arrived <= at);
            book.takers = wait;
            for order in due {
                self.take(at, ix, &order, price, reports);
            }
        }
        self.sweep(at, ix, Side::Buy, price, reports);
        self.sweep(at, ix, Side::Sell, price, reports);
    }

    /// Fills resting orders that the price reached, best first.
    fn sweep(&mut self, at: Timestamp, ix: InstrumentIx, side: Side, point: Price, reports: &mut Vec<Report>) {
        let margin = match self.model.queue {
            QueueModel::Touch => Price::ZERO,
            QueueModel::Through => self.instruments.get(ix.at()).map_or(Price::ZERO, |i| Price::new(i.tick)),
        };
        let mut from = 0;
        loop {
            let Some(book) = self.books.get_mut(ix.at()) else { return };
            let orders = if side == Side::Buy { &mut book.buys } else { &mut book.sells };
            let Some(order) = orders.get(from).copied() else { return };
            let Some(price) = order.price else { return };
            let reached = if side == Side::Buy { point + margin <= price } else { point - margin >= price };
            if !reached {
                return;
            }
            if order.arrived < at {
                orders.remove(from);
                self.execute(at, ix, &order, price, true, reports);
            } else {
                from += 1;
            }
        }
    }

    /// A taking order meets its first point: the far side of the spread, if that is within its bound.
    fn take(&mut self, at: Timestamp, ix: InstrumentIx, order: &Resting, point: Price, reports: &mut Vec<Report>) {
        let Some(instrument) = self.instruments.get(ix.at()) else { return };
        let (bid, ask) = Quote { at, last: point }.sides(self.model.spread);
        let side = order.terms.side;
        let price = instrument.round_taken(side, if side == Side::Buy { ask } else { bid });
        let within = order.price.is_none_or(|bound| if side == Side::Buy { price <= bound } else { price >= bound });
        match (within, order.terms.kind) {
            (true, _) => self.execute(at, ix, order, price, false, reports),
            (false, OrderKind::Market { .. }) => reports.push(Report::Expired(order.terms.order, Qty::ZERO)),
            (false, OrderKind::Limit(_)) => {
                if let Some(book) = self.books.get_mut(ix.at()) {
                    book.rest(Resting { takes: false, ..*order });
                }
            }
        }
    }

    fn execute(
        &mut self,
        at: Timestamp,
        ix: InstrumentIx,
        order: &Resting,
        price: Price,
        maker: bool,
        reports: &mut Vec<Report>,
    ) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        let Terms { order: number, tag, instrument, side, qty, .. } = order.terms;
        let notional = price * qty;
        let fee = notional * if maker { self.model.maker_fee } else { self.model.taker_fee };
        let enough = match side {
            Side::Buy => self.cash >= notional + fee,
            Side::Sell => book.base >= qty,
        };
        if !enough {
            reports.push(Report::Rejected(number, RejectCode::InsufficientBalance));
            return;
        }
        match side {
            Side::Buy => {
                self.cash -= notional + fee;
                book.base += qty;
            }
            Side::Sell => {
                self.cash += notional - fee;
                book.base -= qty;
            }
        }
        let trade = TradeId(self.next_trade);
        self.next_trade += 1;
        reports.push(Report::Fill(Fill { order: number, tag, instrument, side, price, qty, fee, maker, trade, at }));
    }

    /// Quote units at the venue.
    #[must_use]
    pub const fn cash(&self) -> Notional {
        self.cash
    }

    /// Base units of one instrument at the venue.
    #[must_use]
    pub fn base(&self, ix: InstrumentIx) -> Qty {
        self.books.get(ix.at()).map_or(Qty::ZERO, |book| book.base)
    }

    /// True while requests are under way or orders wait for their first point.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.inbound.is_empty() || self.books.iter().any(|book| !book.takers.is_empty())
    }

    /// Orders that rest or wait for their first point.
    #[must_use]
    pub fn live(&self) -> Vec<OrderNo> {
        let all = |book: &Book| {
            book.buys.iter().chain(&book.sells).chain(&book.takers).map(|o| o.terms.order).collect::<Vec<_>>()
        };
        self.books.iter().flat_map(all).collect()
    }
}

impl Book {
    /// Inserts by price, then by arrival.
    fn rest(&mut self, order: Resting) {
        let Some(price) = order.price else { return };
        match order.terms.side {
            Side::Buy => {
                let at = self.buys.partition_point(|other| other.price.is_some_and(|p| p >= price));
                self.buys.insert(at, order);
            }
            Side::Sell => {
                let at = self.sells.partition_point(|other| other.price.is_some_and(|p| p <= price));
                self.sells.insert(at, order);
            }
        }
    }
}

fn crosses(side: Side, limit: Price, last: Price, spread: Decimal) -> bool {
    let (bid, ask) = Quote { at: Timestamp::default(), last }.sides(spread);
    match side {
        Side::Buy => limit.get() >= ask,
        Side::Sell => limit.get() <= bid,
    }
}
