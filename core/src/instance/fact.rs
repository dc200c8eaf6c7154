//! What happened: past tense, immutable, the only thing besides inputs that is stored.

use serde::{Deserialize, Serialize};

use super::message::{Control, Input};
use crate::domain::{ClientId, Fill, InstrumentIx, OrderNo, Timestamp};
use crate::orders::{
    CancelRequest, ExitReason, Life, OrderEnded, OrderEvent, Reason, Reconciled, RoundTrip, Standing, Terms,
};
use crate::risk::Veto;
use crate::spec::InstanceSpec;
use crate::strategy::{GridPlan, Note};
use crate::streak::DayResult;

/// Candles that a feed did not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketGap {
    /// Whose.
    pub instrument: InstrumentIx,
    /// First missing millisecond.
    pub from: Timestamp,
    /// First millisecond that is there again.
    pub to: Timestamp,
    /// Number of missing candles.
    pub missing: u64,
}

/// An operator's command, with its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// What.
    pub control: Control,
    /// Who: the user id of the peer, or `supervisor`.
    pub by: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// The request that carried it.
    pub request: String,
    /// Its place among the messages of its input: how many the instance had handled when it came. Recovery puts it in
    /// there again.
    pub step: u64,
}

impl Audit {
    /// A command on its way; the worklist that takes it notes its place.
    #[must_use]
    pub const fn new(control: Control, by: String, reason: String, request: String) -> Self {
        Self { control, by, reason, request, step: 0 }
    }

    /// A command of the supervisor itself.
    #[must_use]
    pub fn by_supervisor(control: Control, reason: &str) -> Self {
        Self::new(control, "supervisor".to_owned(), reason.to_owned(), String::new())
    }
}

/// Other settings for an instance that keeps its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The settings from here on.
    pub spec: InstanceSpec,
    /// The keys that changed, for people.
    pub keys: String,
    /// Its place, as of [`Audit::step`].
    pub step: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Candles are missing in the feed.
    Gap(MarketGap),
    /// The grid laid out its lines.
    GridPlanned(Box<GridPlan>),
    /// The strategy decided something that is no order.
    Note(InstrumentIx, Note),
    /// An intent was approved; the order is on its way.
    Approved {
        /// The terms.
        terms: Terms,
        /// Why it was wanted.
        reason: Reason,
    },
    /// An intent was refused.
    Vetoed {
        /// Which rule, with its figures.
        veto: Veto,
        /// Why it was wanted.
        reason: Reason,
    },
    /// Dry run: approved, not sent.
    WouldSubmit {
        /// The terms.
        veto: Veto,
        /// Why it was wanted.
        reason: Reason,
    },
    /// Orders are to be withdrawn.
    CancelWanted(CancelRequest),
    /// An order moved to another state.
    OrderMoved(OrderNo, Life),
    /// News that no row of the order table allows; nothing changed.
    OrderRefused(OrderNo, OrderEvent),
    /// An execution.
    Fill(Fill),
    /// An order is over.
    Ended(OrderEnded),
    /// A position closes by its guard.
    Guarded(InstrumentIx, ExitReason),
    /// A round trip is complete.
    RoundTrip(RoundTrip),
    /// A UTC day is complete.
    DayClosed(DayResult),
    /// An operator's command.
    Control(Box<Audit>),
    /// The configuration changed.
    Revised(Box<Revision>),
    /// The kill switch kept an approved order from leaving.
    Withheld {
        /// Which.
        order: OrderNo,
        /// Its place, as of [`Audit::step`].
        step: u64,
    },
    /// Something came from beyond the network.
    Input {
        /// What.
        input: Box<Input>,
        /// Its place, as of [`Audit::step`].
        step: u64,
    },
    /// An approved order was kept from leaving: it would trade with another order of the account.
    Crossed {
        /// Which.
        order: OrderNo,
        /// The one in its way.
        with: ClientId,
        /// Its place, as of [`Audit::step`].
        step: u64,
    },
    /// A fill came after its order had ended in this state. It counts.
    LateFill(OrderNo, Life),
    /// A fill is void; it counts no more.
    Bust(Fill),
    /// An order that was over is live at the venue.
    Reopened(OrderNo),
    /// An order has been in doubt for so long, ms.
    InDoubt(OrderNo, i64),
    /// What keeps entries from passing has changed.
    Standing(Standing),
    /// The start at the venue is complete.
    Reconciled(Reconciled),
}

/// A fact in its place: the dense sequence of its instance, the moment and the input that caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactRecord {
    /// Dense from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Number of the input that set it off.
    pub cause: u64,
    /// What.
    pub fact: Fact,
}

impl Fact {
    /// The order it speaks of, if any.
    #[must_use]
    pub const fn order(&self) -> Option<OrderNo> {
        match self {
            Self::Approved { terms, .. } => Some(terms.order),
            Self::Vetoed { veto, .. } | Self::WouldSubmit { veto, .. } => Some(veto.order),
            Self::OrderMoved(order, _)
            | Self::OrderRefused(order, _)
            | Self::Withheld { order, .. }
            | Self::Crossed { order, .. }
            | Self::LateFill(order, _)
            | Self::Reopened(order)
            | Self::InDoubt(order, _) => Some(*order),
            Self::Fill(fill) | Self::Bust(fill) => Some(fill.order),
            Self::Ended(ended) => Some(ended.terms.order),
            Self::Gap(_)
            | Self::GridPlanned(_)
            | Self::Note(..)
            | Self::CancelWanted(_)
            | Self::Guarded(..)
            | Self::RoundTrip(_)
            | Self::DayClosed(_)
            | Self::Control(_)
            | Self::Revised(_)
            | Self::Input { .. }
            | Self::Standing(_)
            | Self::Reconciled(_) => None,
        }
    }

    /// True when it came from outside the feed: recovery must put it in again, for nothing else brings it back.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Control(_) | Self::Revised(_) | Self::Withheld { .. } | Self::Input { .. } | Self::Crossed { .. }
        )
    }

    /// Stable name of the event in logs and API.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Gap(_) => "market.gap",
            Self::GridPlanned(_) => "grid.planned",
            Self::Note(..) => "strategy.note",
            Self::Approved { .. } => "order.approved",
            Self::Vetoed { .. } => "risk.vetoed",
            Self::WouldSubmit { .. } => "order.would_submit",
            Self::CancelWanted(_) => "order.cancel_wanted",
            Self::OrderMoved(..) => "order.moved",
            Self::OrderRefused(..) => "order.refused_news",
            Self::Fill(_) => "order.fill",
            Self::Ended(_) => "order.ended",
            Self::Guarded(..) => "position.guarded",
            Self::RoundTrip(_) => "position.round_trip",
            Self::DayClosed(_) => "streak.day_closed",
            Self::Control(_) => "operator.command",
            Self::Revised(_) => "config.revised",
            Self::Withheld { .. } => "order.withheld",
            Self::Input { .. } => "input",
            Self::Crossed { .. } => "order.crossed",
            Self::LateFill(..) => "order.late_fill",
            Self::Bust(_) => "order.bust",
            Self::Reopened(_) => "order.reopened",
            Self::InDoubt(..) => "order.in_doubt",
            Self::Standing(_) => "order.standing",
            Self::Reconciled(_) => "order.reconciled",
        }
    }
}
