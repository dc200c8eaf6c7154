//! The instance's own orders, from submission to the archive.
//!
//! Owns every order and its state. Promises: a fill is counted once, by the venue's trade id; an order that ended stays
//! known long enough for late news, and its hash stays in the archive for ever. Never: a state that `lifecycle` does
//! not allow.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::lifecycle::{Life, OrderEvent, next};
use super::{CancelReason, OrderEnded, Protect, Terms};
use crate::domain::{Fill, InstrumentIx, Notional, OrderKind, OrderNo, Purpose, Qty, Tag, Timestamp, TradeId};

/// Ended orders that stay at hand.
const CLOSED_KEPT: usize = 256;

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
    /// Base units filled, as counted here.
    pub filled: Qty,
    /// Quote units of the fills.
    pub value: Notional,
    /// Fees of the fills, quote units.
    pub fees: Notional,
    /// When it was sent.
    pub sent: Timestamp,
    /// Executions counted.
    pub trades: Vec<TradeId>,
}

/// All orders of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    open: BTreeMap<OrderNo, Order>,
    closed: VecDeque<Order>,
    archive: [u8; 32],
    placed: u64,
    fills: u64,
}

/// What became of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The state before.
    pub from: Life,
    /// The state now.
    pub to: Life,
    /// Set when the order is over by this very news.
    pub ended: Option<OrderEnded>,
}

impl Desk {
    /// Takes an order that is about to leave.
    pub fn submit(&mut self, at: Timestamp, terms: Terms, protect: Option<Protect>) {
        self.placed += 1;
        let order = Order {
            terms,
            protect,
            life: Life::InFlight,
            cancel: None,
            filled: Qty::ZERO,
            value: Notional::ZERO,
            fees: Notional::ZERO,
            sent: at,
            trades: Vec::new(),
        };
        self.open.insert(terms.order, order);
    }

    /// Applies news that is no fill. `claimed` is what the venue says it filled. `None`: no row of the table allows it.
    pub fn apply(&mut self, order: OrderNo, event: OrderEvent, claimed: Option<Qty>) -> Option<Moved> {
        let entry = self.find(order)?;
        let from = entry.life;
        let to = next(from, event)?;
        entry.life = to;
        let ended = (to.is_over() && !from.is_over()).then(|| OrderEnded {
            terms: entry.terms,
            life: to,
            filled: claimed.unwrap_or(entry.filled),
            reason: entry.cancel,
        });
        if ended.is_some() {
            self.close(order);
        }
        Some(Moved { from, to, ended })
    }

    /// Counts a fill. `Ok(None)`: counted before. `Err`: the order is unknown, or overfilled.
    ///
    /// # Errors
    /// The event that the order table does not allow; the caller still moves the position.
    pub fn fill(&mut self, fill: &Fill) -> Result<Option<Moved>, OrderEvent> {
        let entry = self.find(fill.order).ok_or(OrderEvent::PartFill)?;
        if entry.trades.contains(&fill.trade) {
            return Ok(None);
        }
        entry.trades.push(fill.trade);
        entry.filled += fill.qty;
        entry.value += fill.notional();
        entry.fees += fill.fee;
        let event = if entry.filled >= entry.terms.qty { OrderEvent::FullFill } else { OrderEvent::PartFill };
        self.fills += 1;
        self.apply(fill.order, event, None).map(Some).ok_or(event)
    }

    /// Marks an order as being withdrawn. False when it is over, unknown, or already marked.
    pub fn want_cancel(&mut self, order: OrderNo, reason: CancelReason) -> bool {
        match self.open.get_mut(&order) {
            Some(entry) if entry.cancel.is_none() => {
                entry.cancel = Some(reason);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Removes the cancel overlay after the venue refused the cancel.
    pub fn clear_cancel(&mut self, order: OrderNo) {
        if let Some(entry) = self.open.get_mut(&order) {
            entry.cancel = None;
        }
    }

    fn find(&mut self, order: OrderNo) -> Option<&mut Order> {
        match self.open.get_mut(&order) {
            Some(entry) => Some(entry),
            None => self.closed.iter_mut().rev().find(|entry| entry.terms.order == order),
        }
    }

    fn close(&mut self, order: OrderNo) {
        let Some(entry) = self.open.remove(&order) else { return };
        // Out before in: one more than are kept would double the room that they take.
        let oldest = if self.closed.len() == CLOSED_KEPT { self.closed.pop_front() } else { None };
        self.closed.push_back(entry);
        if let Some(oldest) = oldest {
            self.archive(&oldest);
        }
    }

    /// Chains the hash of an order into the archive, so that the digest still covers it.
    fn archive(&mut self, order: &Order) {
        let mut hash = Sha256::new();
        hash.update(self.archive);
        // Serialising plain data into memory cannot fail; an empty encoding would still change the chain.
        hash.update(postcard::to_allocvec(order).unwrap_or_default());
        self.archive = hash.finalize().into();
    }

    /// Orders that are not over, by number.
    #[must_use]
    pub const fn open(&self) -> &BTreeMap<OrderNo, Order> {
        &self.open
    }

    /// Orders that ended most recently, oldest first.
    #[must_use]
    pub const fn closed(&self) -> &VecDeque<Order> {
        &self.closed
    }

    /// Guards of an order, wherever it is.
    #[must_use]
    pub fn protect_of(&self, order: OrderNo) -> Option<Protect> {
        let closed = || self.closed.iter().rev().find(|entry| entry.terms.order == order);
        self.open.get(&order).or_else(closed).and_then(|entry| entry.protect)
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
        let leaves = |o: &Order| o.terms.purpose == Purpose::Exit && matches!(o.terms.kind, OrderKind::Market { .. });
        self.open.values().filter(|o| o.terms.instrument == ix && !leaves(o)).map(|o| o.terms.order).collect()
    }

    /// True while an order of the instrument is open.
    #[must_use]
    pub fn rests(&self, ix: InstrumentIx) -> bool {
        self.open.values().any(|o| o.terms.instrument == ix)
    }

    /// True while an exit at market of the instrument is open and nobody asked for its end.
    #[must_use]
    pub fn leaves(&self, ix: InstrumentIx) -> bool {
        let at_market =
            |o: &Order| o.terms.purpose == Purpose::Exit && matches!(o.terms.kind, OrderKind::Market { .. });
        self.open.values().any(|o| o.terms.instrument == ix && o.cancel.is_none() && at_market(o))
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

    /// Orders sent and fills counted so far.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.placed, self.fills)
    }
}
