//! Orders: intents, their terms, the life of an order, and the stage that owns them.

mod desk;
mod doubt;
mod lifecycle;
mod monitor;
mod reconcile;
mod report;
mod stage;

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{InstrumentIx, Notional, OrderKind, OrderNo, Price, Purpose, Qty, Side, Tag, Timestamp};

pub use desk::{Desk, Order, Trade};
pub use doubt::{Doubt, TOLD_AT_MS, Why};
pub use lifecycle::{Life, OrderEvent, next, resolve};
pub use monitor::{EXIT_TAG, Guard, Monitor};
pub use report::{Ask, CancelRefusal, OrderView, RejectCode, Report, Request, Traded, VenueState};
pub use stage::Orders;

/// Who wants an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The strategy.
    Strategy,
    /// The position monitor: a stop, a target.
    Monitor,
    /// A person, through the program.
    Operator,
}

/// What guards a position once an entry fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protect {
    /// Leave at or under this price.
    pub stop: Option<Price>,
    /// Leave at or over this price.
    pub target: Option<Price>,
    /// Keep the stop this far under the highest price since entry.
    pub trail: Option<Price>,
}

/// Which term of the size formula was the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeTerm {
    /// Risk per trade divided by the stop distance.
    RiskPerTrade,
    /// The cap of one position.
    MaxPosition,
    /// What is left of the symbol cap.
    SymbolCap,
    /// What is left of the total cap.
    ExposureCap,
    /// Free balance.
    FreeBalance,
}

/// Why an order is wanted, with the figures that decided. Floats here are indicator values, never money.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A line of the ladder.
    GridLine {
        /// Which, from the bottom, 0-based.
        line: u32,
    },
    /// Inventory of a balanced start.
    GridStart {
        /// Cells above the price.
        cells: u32,
    },
    /// Fast average crossed over the slow one.
    CrossUp {
        /// Fast EMA.
        fast: f64,
        /// Slow EMA.
        slow: f64,
        /// ADX.
        adx: f64,
        /// ATR.
        atr: f64,
        /// What bound the size.
        size: SizeTerm,
    },
    /// Fast average crossed under the slow one.
    CrossDown {
        /// Fast EMA.
        fast: f64,
        /// Slow EMA.
        slow: f64,
    },
    /// The stop was reached.
    Stop {
        /// Its price.
        stop: Price,
    },
    /// The trailing stop was reached.
    Trail {
        /// Its price.
        stop: Price,
        /// Highest price since entry.
        highest: Price,
    },
    /// The target was reached.
    Target {
        /// Its price.
        target: Price,
    },
    /// An operator closes the position.
    Flatten,
    /// The position was held for as long as it may be.
    HoldingTime {
        /// How long that is, ms.
        ms: i64,
    },
    /// The stop at break-even was reached.
    BreakEven {
        /// Its price.
        stop: Price,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GridLine { line } => write!(f, "grid line {line}"),
            Self::GridStart { cells } => write!(f, "inventory for {cells} cells above the price"),
            Self::CrossUp { fast, slow, adx, atr, size } => write!(
                f,
                "EMA cross up: {fast:.6} over {slow:.6}, ADX {adx:.1}, ATR {atr:.6}; size bound by {}",
                match size {
                    SizeTerm::RiskPerTrade => "risk_per_trade",
                    SizeTerm::MaxPosition => "max_position",
                    SizeTerm::SymbolCap => "max_capital_per_symbol",
                    SizeTerm::ExposureCap => "max_total_exposure",
                    SizeTerm::FreeBalance => "free balance",
                }
            ),
            Self::CrossDown { fast, slow } => write!(f, "EMA cross down: {fast:.6} under {slow:.6}"),
            Self::Stop { stop } => write!(f, "stop {stop} reached"),
            Self::Trail { stop, highest } => write!(f, "trailing stop {stop} reached (highest {highest})"),
            Self::Target { target } => write!(f, "target {target} reached"),
            Self::Flatten => f.write_str("closed by the operator"),
            Self::HoldingTime { ms } => write!(f, "held for {} min, its longest time", ms / 60_000),
            Self::BreakEven { stop } => write!(f, "stop {stop} at break-even reached"),
        }
    }
}

/// A wish for an order. Only the gate can turn it into an approved one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The author's name for it.
    pub tag: Tag,
    /// What.
    pub instrument: InstrumentIx,
    /// Which way.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// How much, base units.
    pub qty: Qty,
    /// Entry or exit.
    pub purpose: Purpose,
    /// Who asks.
    pub origin: Origin,
    /// What guards the position it opens.
    pub protect: Option<Protect>,
    /// Why.
    pub reason: Reason,
}

/// The terms of an order: what the venue is told and what the records keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Its number.
    pub order: OrderNo,
    /// The author's name for it.
    pub tag: Tag,
    /// What.
    pub instrument: InstrumentIx,
    /// Which way.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// How much, base units.
    pub qty: Qty,
    /// Entry or exit.
    pub purpose: Purpose,
    /// Who asked.
    pub origin: Origin,
}

/// Why an order should be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The strategy re-plans.
    Replan,
    /// Older than the order time-out.
    Expired,
    /// The instance is paused, its breaker tripped, or it stops.
    EntriesOff,
    /// The kill switch.
    Kill,
    /// The position is being closed.
    Close,
    /// It rested longer than the maker time-out.
    Unfilled,
}

/// Which orders to withdraw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelScope {
    /// One order.
    Order(OrderNo),
    /// The strategy's order with this tag.
    Tagged(InstrumentIx, Tag),
    /// Entries of one instrument.
    Entries(InstrumentIx),
    /// Everything of one instrument.
    Instrument(InstrumentIx),
}

/// A request to withdraw orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Which.
    pub scope: CancelScope,
    /// Why.
    pub reason: CancelReason,
}

/// An order is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEnded {
    /// What it was.
    pub terms: Terms,
    /// How it ended.
    pub life: Life,
    /// What the venue says it filled, base units; fills that we have not seen yet stay held.
    pub filled: Qty,
    /// Why we asked for its end, if we did.
    pub reason: Option<CancelReason>,
}

/// What of the order stage keeps entries from passing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The venue has not been asked about everything since the start.
    pub unreconciled: bool,
    /// An order has been in doubt for too long, or too many are.
    pub doubtful: bool,
    /// The facts about an order contradict each other; a person must look.
    pub disputed: bool,
}

/// A start at a venue beyond a network is complete: everything that was known here was asked about there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// Epoch that began with it.
    pub epoch: u32,
    /// How long it took, ms.
    pub took_ms: i64,
    /// Orders that were asked about.
    pub orders: u32,
    /// Fills that were new.
    pub fills: u32,
}

/// From flat to flat, or one completed cell of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// What.
    pub instrument: InstrumentIx,
    /// Base units.
    pub qty: Qty,
    /// Quote units paid, without fees.
    pub bought: Notional,
    /// Quote units received, without fees.
    pub sold: Notional,
    /// Fees of both ways, quote units.
    pub fees: Notional,
    /// Start.
    pub opened: Timestamp,
    /// End.
    pub closed: Timestamp,
    /// Why it was closed.
    pub exit: ExitReason,
}

impl RoundTrip {
    /// Profit net of fees, quote units.
    #[must_use]
    pub fn profit(&self) -> Notional {
        self.sold - self.bought - self.fees
    }
}

/// Why a round trip was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The pair of a grid cell.
    Pair,
    /// The strategy's own exit.
    Signal,
    /// Stop.
    Stop,
    /// Trailing stop.
    Trail,
    /// Target.
    Target,
    /// Operator.
    Operator,
    /// Held for as long as it may be.
    Holding,
}

impl Intent {
    /// The reference notional: limit price, or `worst` for a market order, times quantity.
    #[must_use]
    pub fn notional_at(&self, market: Price) -> Notional {
        let price = match self.kind {
            OrderKind::Limit(price) => price,
            OrderKind::Market { bound } => bound.unwrap_or(market),
        };
        price * self.qty
    }
}

/// Fraction of a price, as a distance.
#[must_use]
pub fn fraction_of(price: Price, fraction: Decimal) -> Price {
    price * fraction
}
