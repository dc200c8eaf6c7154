//! What passes between an instance and its venue besides the orders: reports, views, questions.

use serde::{Deserialize, Serialize};

use crate::domain::{Fill, InstrumentIx, OrderNo, Qty, Timestamp};

/// What a venue says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It is live.
    Accepted(OrderNo),
    /// The venue refused it.
    Rejected(OrderNo, RejectCode),
    /// One execution.
    Fill(Fill),
    /// Gone by our request; with what it filled before.
    Canceled(OrderNo, Qty),
    /// Gone by its own terms; with what it filled before.
    Expired(OrderNo, Qty),
    /// It could not be withdrawn.
    CancelRejected(OrderNo, CancelRefusal),
    /// It never left: the kill switch, or one of our own orders in its way, was seen before the send.
    NeverSent(OrderNo),
    /// Where it stands, from a venue whose news may come twice, late or in another order. The short forms above are
    /// those of a venue whose reports come in order.
    State(OrderView),
    /// A request about it has no answer: a time-out, a reset, an error of the venue's own. It says nothing.
    NoAnswer(OrderNo, Request),
    /// The venue does not know it; with the venue's clock at that moment. One such answer proves nothing.
    NotFound(OrderNo, Timestamp),
    /// A list of open orders does not have it.
    Missing(OrderNo),
    /// An execution is void.
    Bust(Fill),
    /// The executions of an instrument were read; those of this instance came before this.
    Traded(Traded),
}

/// Where an order stands, as the venue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Which.
    pub order: OrderNo,
    /// Where it stands.
    pub state: VenueState,
    /// Base units executed in all.
    pub filled: Qty,
    /// The venue's number of this change of the order; grows with each.
    pub seq: u64,
}

impl OrderView {
    /// True when the venue says that it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self.state {
            VenueState::Pending | VenueState::Armed | VenueState::Open => false,
            VenueState::Filled | VenueState::Canceled | VenueState::Expired | VenueState::Rejected => true,
        }
    }
}

/// The states that a venue speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueState {
    /// Taken, not live yet.
    Pending,
    /// A stop that rests off the book.
    Armed,
    /// Live.
    Open,
    /// Executed whole.
    Filled,
    /// Withdrawn, by us or by the venue.
    Canceled,
    /// Over by its own terms.
    Expired,
    /// Refused.
    Rejected,
}

/// What was asked of a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// To take an order.
    Place,
    /// To withdraw it.
    Cancel,
    /// Where it stands.
    Query,
}

/// Why a venue does not withdraw an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelRefusal {
    /// It is over already.
    TooLate,
    /// The venue does not know it, or not yet, or not any more.
    Unknown,
}

/// The executions of an instrument were read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traded {
    /// Of which instrument.
    pub instrument: InstrumentIx,
    /// From when on.
    pub from: Timestamp,
    /// Up to when, by the venue's clock.
    pub until: Timestamp,
    /// True when the account moved in a way that no known order explains.
    pub unexplained: bool,
}

/// What is asked of a venue besides orders and cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Where an order stands, by its client order id.
    Order(OrderNo),
    /// The executions of an instrument since then.
    Trades(InstrumentIx, Timestamp),
}

/// Why a venue refuses an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// Not enough of the asset.
    InsufficientBalance,
    /// Price off the tick grid, quantity off the lot grid, or notional too small.
    Filter,
    /// Post-only, and it would have taken.
    WouldTake,
    /// Any other reason of the venue's.
    Other,
}
