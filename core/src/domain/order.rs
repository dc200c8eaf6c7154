//! Sides, kinds and executions of orders.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{InstrumentIx, Notional, OrderNo, Price, Qty, Tag, Timestamp, TradeId};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Quote for base.
    Buy,
    /// Base for quote.
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        })
    }
}

/// How an order executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// Rests at this price or better, good till cancelled.
    Limit(Price),
    /// Takes what is there at once. `bound` is the worst acceptable price of an entry; exits have none.
    Market {
        /// Worst acceptable price; the rest expires.
        bound: Option<Price>,
    },
}

/// What an order is for: entries may be refused for their size, exits may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Adds to a position.
    Entry,
    /// Reduces a position.
    Exit,
}

/// One execution of one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Our order.
    pub order: OrderNo,
    /// The author's name for it.
    pub tag: Tag,
    /// What.
    pub instrument: InstrumentIx,
    /// Which way.
    pub side: Side,
    /// At which price.
    pub price: Price,
    /// How much, base units.
    pub qty: Qty,
    /// Fee in quote units.
    pub fee: Notional,
    /// True when the order was resting.
    pub maker: bool,
    /// The venue's number of this execution; counted once.
    pub trade: TradeId,
    /// When, by the venue.
    pub at: Timestamp,
}

impl Fill {
    /// Price times quantity.
    #[must_use]
    pub fn notional(&self) -> Notional {
        self.price * self.qty
    }
}
