//! An order and an execution as the venue truly has them.
//!
//! Owns the history of each order: every change with its moment. Promises: the number of changes grows by one with
//! each; what an order looked like at an earlier moment can be told. Never: forgets an order.

use supervisor_core::domain::{OrderKind, Price, Qty, Timestamp, TradeId};
use supervisor_core::ledger::{VenueOrder, VenueTrade};
use supervisor_core::orders::VenueState;

use super::AccountIx;

/// One change of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Where it stood from then on.
    pub state: VenueState,
    /// Base units executed in all.
    pub filled: Qty,
    /// Number of the change.
    pub seq: u64,
}

/// An order that was born, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueOrder {
    /// Whose.
    pub account: AccountIx,
    /// As it is now.
    pub view: VenueOrder,
    /// It may not take.
    pub post_only: bool,
    /// What does not trade at once expires.
    pub immediate: bool,
    /// When it was born.
    pub accepted_at: Timestamp,
    /// When it ended; `None` while it lives.
    pub ended_at: Option<Timestamp>,
    /// Numbers of its executions, busted ones too; unique per symbol.
    pub trades: Vec<TradeId>,
    /// Every change, oldest first.
    pub changes: Vec<Change>,
    /// Position of its symbol.
    pub(super) symbol_at: usize,
}

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueTrade {
    /// As it is told.
    pub trade: VenueTrade,
    /// The venue's number of its order.
    pub order: u64,
    /// When it was declared void; `None` when it stands.
    pub busted_at: Option<Timestamp>,
}

impl TrueOrder {
    /// True while it can still trade or be withdrawn.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Base units that can still trade.
    #[must_use]
    pub fn leaves(&self) -> Qty {
        let left = self.view.qty - self.view.filled;
        if self.is_live() && left.is_positive() { left } else { Qty::ZERO }
    }

    /// The order as it was at the end of that millisecond; `None` before its birth.
    #[must_use]
    pub fn as_of(&self, at: Timestamp) -> Option<VenueOrder> {
        let change = self.changes.iter().rev().find(|change| change.at <= at)?;
        Some(VenueOrder { state: change.state, filled: change.filled, seq: change.seq, ..self.view })
    }

    /// Its limit; `None` for a market order.
    pub(super) const fn limit(&self) -> Option<Price> {
        match self.view.kind {
            OrderKind::Limit(price) => Some(price),
            OrderKind::Market { .. } => None,
        }
    }
}
