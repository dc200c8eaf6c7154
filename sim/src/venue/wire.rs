//! What goes over the wire: requests, answers, and the news that a venue tells unasked.
//!
//! Promises: plain values that a real venue could send. Never: anything that only the venue's own truth knows.

use serde::{Deserialize, Serialize};
use supervisor_core::domain::{ClientId, OrderKind, Price, Qty, Side, Symbol, Timestamp};
use supervisor_core::ledger::{Balance, VenueOrder, VenueTrade};
use supervisor_core::orders::{CancelRefusal, RejectCode};

/// Position of an account in the venue's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountIx(pub usize);

/// A request at the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Take an order.
    Place {
        /// Our name for it.
        client: ClientId,
        /// What.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// How.
        kind: OrderKind,
        /// Base units.
        qty: Qty,
        /// Refuse it rather than let it take.
        post_only: bool,
        /// What does not trade at once expires (IOC).
        immediate: bool,
        /// When it was signed, by the venue's clock as the sender knows it.
        signed: Timestamp,
    },
    /// Withdraw an order.
    Cancel {
        /// Which.
        client: ClientId,
    },
    /// Where an order stands.
    Query {
        /// Which.
        client: ClientId,
    },
    /// All open orders of the account.
    OpenOrders,
    /// Executions of the account.
    Trades {
        /// Of which symbol.
        symbol: Symbol,
        /// From when on.
        from: Timestamp,
    },
    /// What the account holds.
    Balances,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// An order was taken, withdrawn or found.
    Order(VenueOrder),
    /// The order is refused: it was never born.
    Rejected(RejectCode),
    /// The request was not valid at that moment: definitely not worked on.
    TooOld,
    /// The order is not withdrawn.
    CancelRefused(CancelRefusal),
    /// No such order, as far as this source knows.
    NotFound,
    /// The open orders.
    OpenOrders {
        /// Of which moment.
        as_of: Timestamp,
        /// The orders.
        orders: Vec<VenueOrder>,
    },
    /// Executions: every one that happened in this time, and none that was void by its end.
    Trades {
        /// From when on.
        from: Timestamp,
        /// Up to and with this millisecond.
        until: Timestamp,
        /// The executions, oldest first.
        trades: Vec<VenueTrade>,
    },
    /// What the account holds.
    Balances {
        /// At the end of this millisecond.
        as_of: Timestamp,
        /// One entry per asset.
        balances: Vec<Balance>,
    },
    /// An error of the venue's own (5xx): the request may have been worked on, or may be yet.
    Busy,
    /// Too many requests (429): definitely not worked on.
    Limited {
        /// The next one is taken after this, ms.
        retry_ms: i64,
    },
}

/// What a venue tells unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// An order changed.
    Order(VenueOrder),
    /// An execution.
    Trade(VenueTrade),
    /// An execution is void.
    Bust(VenueTrade),
    /// The last price of a symbol; public.
    Price {
        /// Of what.
        symbol: Symbol,
        /// The price.
        price: Price,
    },
}
