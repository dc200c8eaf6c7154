//! The instance's own orders, from submission to the archive.
//!
//! Owns every order and its state. Promises: a fill is counted once, by the venue's trade id; an order that is over
//! stays at hand until it is settled, and only then goes to the archive, where its hash stays for ever. Never: a state
//! that `lifecycle` does not allow.
//!
//! An order lies in one of three places. *Open*: it may still do something. *Closing*: it is over, but the venue may
//! have more to say. *Closed*: it is settled; the newest stay at hand. At a venue that is certain an order is settled
//! when it ends, so nothing is ever closing there.

mod archive;
mod due;
mod news;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::doubt::Doubt;
use super::lifecycle::{Life, OrderEvent};
use super::{CancelReason, OrderEnded, Protect, Terms};
use crate::domain::{
    Fill, InstrumentIx, Notional, OrderKind, OrderNo, Price, Purpose, Qty, Side, Tag, Timestamp, TradeId,
};
use crate::spec::VenueTraits;

pub use due::Due;
pub use news::Moved;

/// One execution of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The venue's number.
    pub id: TradeId,
    /// Base units.
    pub qty: Qty,
    /// At which price.
    pub price: Price,
    /// Quote units.
    pub fee: Notional,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it is.
    pub terms: Terms,
    /// What guards the position it opens.
    pub protect: Option<Protect>,
    /// Where it stands.
    pub life: Life,
    /// The overlay: we asked for its end, and why.
    pub cancel: Option<CancelReason>,
    /// When the cancel is sent again; `None`: it waits until the venue has the order, or nobody asked.
    pub cancel_next: Option<Timestamp>,
    /// When the cancel was first wanted.
    pub cancel_since: Option<Timestamp>,
    /// Base units filled, as counted here: the sum of `trades`.
    pub filled: Qty,
    /// Quote units of the fills.
    pub value: Notional,
    /// Fees of the fills, quote units.
    pub fees: Notional,
    /// When it was sent.
    pub sent: Timestamp,
    /// In which epoch, for its client order id.
    pub epoch: u32,
    /// Executions counted.
    pub trades: Vec<Trade>,
    /// Executions that are void, also those that have not come yet.
    pub voided: Vec<TradeId>,
    /// Base units that the venue says it executed; may be ahead of what was counted.
    pub claimed: Option<Qty>,
    /// The venue's number of the newest state known; 0: none.
    pub seq: u64,
    /// True once the venue has shown that it has it, or had it.
    pub is_acked: bool,
    /// Why and how it is under query, if it is.
    pub doubt: Option<Doubt>,
    /// When the newest news came.
    pub news: Timestamp,
    /// How it ended, once it is settled.
    pub end: Option<Life>,
    /// True once whoever wanted it was told that it is over.
    pub is_told: bool,
}

/// All orders of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    pub(super) open: BTreeMap<OrderNo, Order>,
    pub(super) closing: BTreeMap<OrderNo, Order>,
    pub(super) closed: VecDeque<Order>,
    pub(super) archive: [u8; 32],
    /// Executions of orders in the archive that a look back could still bring.
    pub(super) counted: BTreeMap<(InstrumentIx, TradeId), Timestamp>,
    /// Executions of orders in the archive that are void.
    pub(super) voided: BTreeMap<(InstrumentIx, TradeId), Timestamp>,
    pub(super) placed: u64,
    pub(super) fills: u64,
    pub(super) epoch: u32,
}

impl Order {
    fn new(at: Timestamp, epoch: u32, terms: Terms, protect: Option<Protect>) -> Self {
        Self {
            terms,
            protect,
            life: Life::Intent,
            cancel: None,
            cancel_next: None,
            cancel_since: None,
            filled: Qty::ZERO,
            value: Notional::ZERO,
            fees: Notional::ZERO,
            sent: at,
            epoch,
            trades: Vec::new(),
            voided: Vec::new(),
            claimed: None,
            seq: 0,
            is_acked: false,
            doubt: None,
            news: at,
            end: None,
            is_told: false,
        }
    }

    /// Base units that may still fill, if it is live.
    #[must_use]
    pub fn rest(&self) -> Qty {
        (self.terms.qty - self.filled).max(Qty::ZERO)
    }

    /// True while nobody can say whether it is at the venue.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self.life, Life::Unknown)
    }

    /// The word for people: how it ended, once it is settled.
    #[must_use]
    pub fn shown(&self) -> Life {
        self.end.unwrap_or(self.life)
    }

    fn ended(&self) -> OrderEnded {
        let filled = self.claimed.unwrap_or(self.filled).max(self.filled);
        OrderEnded { terms: self.terms, life: self.life, filled, reason: self.cancel }
    }

    /// Base units that the venue says it executed and that we have not seen.
    #[must_use]
    pub fn owed(&self) -> Qty {
        self.claimed.map_or(Qty::ZERO, |claimed| (claimed - self.filled).max(Qty::ZERO))
    }

    fn is_exit_at_market(&self) -> bool {
        self.terms.purpose == Purpose::Exit && matches!(self.terms.kind, OrderKind::Market { .. })
    }
}

impl Desk {
    /// Takes an order that is about to leave.
    pub fn submit(&mut self, at: Timestamp, terms: Terms, protect: Option<Protect>, venue: &VenueTraits) {
        self.placed += 1;
        self.open.insert(terms.order, Order::new(at, self.epoch, terms, protect));
        self.apply(at, terms.order, OrderEvent::Send, None, venue);
    }

    /// Marks an order as being withdrawn. True when the request shall leave now; false when the order is over, unknown,
    /// already marked, or not yet known to a venue that takes no cancel before.
    pub fn want_cancel(&mut self, at: Timestamp, order: OrderNo, reason: CancelReason, venue: &VenueTraits) -> bool {
        let Some(entry) = self.open.get_mut(&order).filter(|entry| entry.cancel.is_none()) else { return false };
        (entry.cancel, entry.cancel_since) = (Some(reason), Some(at));
        if venue.is_certain {
            return true;
        }
        let may = venue.cancel_by_client_id || entry.life.is_at_venue();
        entry.cancel_next = may.then(|| at + venue.cancel_ms);
        may
    }

    /// Removes the cancel overlay after a venue that is certain refused the cancel.
    pub fn clear_cancel(&mut self, order: OrderNo) {
        if let Some(entry) = self.open.get_mut(&order) {
            entry.cancel = None;
        }
    }

    /// A new epoch for the ids of orders to come; it never goes back.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    pub(super) fn find(&self, order: OrderNo) -> Option<&Order> {
        let closed = || self.closed.iter().rev().find(|entry| entry.terms.order == order);
        self.open.get(&order).or_else(|| self.closing.get(&order)).or_else(closed)
    }

    fn find_mut(&mut self, order: OrderNo) -> Option<&mut Order> {
        if let Some(entry) = self.open.get_mut(&order) {
            return Some(entry);
        }
        match self.closing.get_mut(&order) {
            Some(entry) => Some(entry),
            None => self.closed.iter_mut().rev().find(|entry| entry.terms.order == order),
        }
    }

    /// Puts an order where its state belongs.
    fn settle_place(&mut self, order: OrderNo, venue: &VenueTraits) {
        let Some(entry) = self.take(order) else { return };
        if !entry.life.is_over() {
            self.open.insert(order, entry);
        } else if venue.is_certain || entry.life == Life::Settled {
            self.close(entry);
        } else {
            self.closing.insert(order, entry);
        }
    }

    fn take(&mut self, order: OrderNo) -> Option<Order> {
        self.open.remove(&order).or_else(|| self.closing.remove(&order)).or_else(|| {
            let at = self.closed.iter().rposition(|entry| entry.terms.order == order)?;
            self.closed.remove(at)
        })
    }

    /// Orders that are not over, by number.
    #[must_use]
    pub const fn open(&self) -> &BTreeMap<OrderNo, Order> {
        &self.open
    }

    /// Orders that are over and not settled, by number.
    #[must_use]
    pub const fn closing(&self) -> &BTreeMap<OrderNo, Order> {
        &self.closing
    }

    /// Orders that were settled most recently, oldest first.
    #[must_use]
    pub const fn closed(&self) -> &VecDeque<Order> {
        &self.closed
    }

    /// Orders that are open or closing.
    pub fn unsettled(&self) -> impl Iterator<Item = &Order> {
        self.open.values().chain(self.closing.values())
    }

    /// The epoch of orders to come.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Guards of an order, wherever it is.
    #[must_use]
    pub fn protect_of(&self, order: OrderNo) -> Option<Protect> {
        self.find(order).and_then(|entry| entry.protect)
    }

    /// Numbers of the open orders of one instrument; entries only, or all.
    #[must_use]
    pub fn of(&self, ix: InstrumentIx, entries_only: bool) -> Vec<OrderNo> {
        let wanted = |o: &&Order| o.terms.instrument == ix && (!entries_only || o.terms.purpose == Purpose::Entry);
        self.open.values().filter(wanted).map(|o| o.terms.order).collect()
    }

    /// Numbers of the open orders of one instrument that are no exits at market.
    #[must_use]
    pub fn staying(&self, ix: InstrumentIx) -> Vec<OrderNo> {
        let stays = |o: &&Order| o.terms.instrument == ix && !o.is_exit_at_market();
        self.open.values().filter(stays).map(|o| o.terms.order).collect()
    }

    /// True while an order of the instrument is open.
    #[must_use]
    pub fn rests(&self, ix: InstrumentIx) -> bool {
        self.open.values().any(|o| o.terms.instrument == ix)
    }

    /// True while the venue has executed more of an order of the instrument that is over than we have seen.
    #[must_use]
    pub fn owes(&self, ix: InstrumentIx) -> bool {
        self.closing.values().any(|o| o.terms.instrument == ix && o.owed().is_positive())
    }

    /// True while an open order of the instrument that is no exit at market has not been asked to go.
    #[must_use]
    pub fn stays(&self, ix: InstrumentIx) -> bool {
        self.open.values().any(|o| o.terms.instrument == ix && o.cancel.is_none() && !o.is_exit_at_market())
    }

    /// Base units of an instrument that sales may still take: what is left of those that are open, and what others
    /// executed and we have not seen.
    #[must_use]
    pub fn leaving_qty(&self, ix: InstrumentIx) -> Qty {
        let sells = |o: &&Order| o.terms.instrument == ix && o.terms.side == Side::Sell;
        let open: Qty = self.open.values().filter(sells).map(Order::rest).sum();
        open + self.closing.values().filter(sells).map(Order::owed).sum::<Qty>()
    }

    /// True while an exit at market of the instrument is open and nobody asked for its end.
    #[must_use]
    pub fn leaves(&self, ix: InstrumentIx) -> bool {
        self.open.values().any(|o| o.terms.instrument == ix && o.cancel.is_none() && o.is_exit_at_market())
    }

    /// The open order with this tag.
    #[must_use]
    pub fn tagged(&self, ix: InstrumentIx, tag: Tag) -> Option<OrderNo> {
        self.open.values().find(|o| o.terms.instrument == ix && o.terms.tag == tag).map(|o| o.terms.order)
    }

    /// The oldest resting order whose end nobody asked for; numbers grow with time.
    #[must_use]
    pub fn oldest_resting(&self) -> Option<&Order> {
        self.open.values().find(|o| o.cancel.is_none() && matches!(o.terms.kind, OrderKind::Limit(_)))
    }

    /// The oldest entry that rests unfilled and whose end nobody asked for.
    #[must_use]
    pub fn oldest_unfilled(&self) -> Option<&Order> {
        let is_one = |o: &&Order| {
            o.cancel.is_none()
                && o.filled.is_zero()
                && o.terms.purpose == Purpose::Entry
                && matches!(o.terms.kind, OrderKind::Limit(_))
        };
        self.open.values().find(is_one)
    }

    /// Orders sent and fills counted so far.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.placed, self.fills)
    }
}

/// A fill that this desk counts, or not.
impl Desk {
    /// True when the order is known and over.
    #[cfg(feature = "canaries")]
    pub(super) fn is_over(&self, order: OrderNo) -> bool {
        self.find(order).is_some_and(|entry| entry.life.is_over())
    }

    /// True when this execution was counted before, or is void.
    #[must_use]
    pub fn knows(&self, fill: &Fill) -> bool {
        #[cfg(feature = "canaries")]
        if crate::canary::is(crate::canary::Canary::CountFillTwice) {
            return false;
        }
        let of_order = |o: &Order| o.voided.contains(&fill.trade) || o.trades.iter().any(|t| t.id == fill.trade);
        let key = (fill.instrument, fill.trade);
        self.find(fill.order).is_some_and(of_order) || self.counted.contains_key(&key) || self.voided.contains_key(&key)
    }
}
