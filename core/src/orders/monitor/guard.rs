//! The guard of one position: which price or moment ends it, and how far on its way out it is.
//!
//! Owns the figures of one guard. Promises: a stop only ever tightens, unless the settings change. Never: asks for
//! anything; the monitor does.

use serde::{Deserialize, Serialize};

use crate::domain::{Price, Timestamp};
use crate::instance::Cx;
use crate::orders::{ExitReason, Protect, Reason};
use crate::spec::ExitRules;

/// Pause between two attempts at an exit, ms.
const RETRY_MS: i64 = 2_000;

/// What a guard is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    Armed,
    /// Set off; waits for resting orders to go, or for the next attempt.
    Closing(Exit, Timestamp),
    /// An exit was asked for and the gate has not answered. There may be earlier ones on their way.
    Asked(Exit),
    /// An exit is on its way.
    Sent(Exit),
    /// The rest is too small to be sold.
    Dust,
}

/// Why and since when a position is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) reached: Reached,
    pub(super) since: Timestamp,
}

impl Exit {
    /// True when resting orders have had their time to go. Where nothing is ever in doubt they go, however long it
    /// takes.
    pub(super) const fn is_overdue(&self, cx: &Cx<'_>) -> bool {
        !cx.spec.venue.is_certain && cx.at.since(self.since) >= ExitRules::LEAVE_MS
    }

    /// The moment of the next attempt: after a pause, and once when resting orders have had their time.
    pub(super) fn again(&self, cx: &Cx<'_>) -> Timestamp {
        let (next, limit) = (cx.at + RETRY_MS, self.since + ExitRules::LEAVE_MS);
        if cx.spec.venue.is_certain || cx.at >= limit { next } else { next.min(limit) }
    }
}

/// What set a guard off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reached {
    Stop(Price),
    Trail {
        stop: Price,
        highest: Price,
    },
    Target(Price),
    Operator,
    /// The longest holding time, ms.
    Holding(i64),
    BreakEven(Price),
}

impl Reached {
    pub(super) const fn exit(self) -> ExitReason {
        match self {
            Self::Stop(_) | Self::BreakEven(_) => ExitReason::Stop,
            Self::Trail { .. } => ExitReason::Trail,
            Self::Target(_) => ExitReason::Target,
            Self::Operator => ExitReason::Operator,
            Self::Holding(_) => ExitReason::Holding,
        }
    }

    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Stop(stop) => Reason::Stop { stop },
            Self::Trail { stop, highest } => Reason::Trail { stop, highest },
            Self::Target(target) => Reason::Target { target },
            Self::Operator => Reason::Flatten,
            Self::Holding(ms) => Reason::HoldingTime { ms },
            Self::BreakEven(stop) => Reason::BreakEven { stop },
        }
    }
}

/// What set the stop that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StopBy {
    /// An entry, or the settings.
    Entry,
    /// The trailing distance.
    Trail,
    /// The rule of break-even.
    BreakEven,
}

/// Guard of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    stop: Option<Price>,
    target: Option<Price>,
    trail: Option<Price>,
    highest: Price,
    by: StopBy,
    pub(super) phase: Phase,
    /// Since when it guards the position.
    pub(super) opened: Timestamp,
}

impl Guard {
    pub(super) const fn new(protect: Protect, price: Price, opened: Timestamp) -> Self {
        let Protect { stop, target, trail } = protect;
        Self { stop, target, trail, highest: price, by: StopBy::Entry, phase: Phase::Armed, opened }
    }

    /// Current stop price.
    #[must_use]
    pub const fn stop(&self) -> Option<Price> {
        self.stop
    }

    /// Target price.
    #[must_use]
    pub const fn target(&self) -> Option<Price> {
        self.target
    }

    /// What it does about a position on its way out, if it is.
    pub(super) const fn exit(&self) -> Option<Exit> {
        match self.phase {
            Phase::Closing(exit, _) | Phase::Asked(exit) | Phase::Sent(exit) => Some(exit),
            Phase::Armed | Phase::Dust => None,
        }
    }

    /// Another entry: what it brings can only tighten the stop.
    pub(super) fn tighten(&mut self, protect: Protect, price: Price) {
        self.stop = self.stop.max(protect.stop);
        self.target = protect.target.or(self.target);
        self.trail = protect.trail.or(self.trail);
        self.highest = self.highest.max(price);
    }

    /// The settings say what guards the position. A stop that was lifted to break-even stays while that rule does.
    pub(super) fn replace(&mut self, protect: Protect, exits: &ExitRules) {
        let lifted = self.stop.filter(|_| self.by == StopBy::BreakEven && exits.break_even.is_some());
        (self.stop, self.target, self.trail) = (protect.stop.max(lifted), protect.target, protect.trail);
        self.by = if lifted.is_some() && self.stop == lifted { StopBy::BreakEven } else { StopBy::Entry };
    }

    /// The price moved and reached nothing: the trailing stop follows.
    pub(super) fn follow(&mut self, price: Price) {
        self.highest = self.highest.max(price);
        if let Some(trail) = self.trail {
            self.raise(self.highest - trail, StopBy::Trail);
        }
    }

    /// The price is at `from` or over it: the stop is not under `floor` any more.
    pub(super) fn lift(&mut self, price: Price, from: Price, floor: Price) {
        // A stop over the price would sell at once, and not at break-even.
        if price >= from && price > floor {
            self.raise(floor, StopBy::BreakEven);
        }
    }

    fn raise(&mut self, stop: Price, by: StopBy) {
        if stop.is_positive() && self.stop.is_none_or(|old| stop > old) {
            (self.stop, self.by) = (Some(stop), by);
        }
    }

    /// Which of its prices a price has reached; the stop first.
    pub(super) fn reached(&self, price: Price) -> Option<Reached> {
        if let Some(stop) = self.stop.filter(|stop| price <= *stop) {
            return Some(match self.by {
                StopBy::Entry => Reached::Stop(stop),
                StopBy::Trail => Reached::Trail { stop, highest: self.highest },
                StopBy::BreakEven => Reached::BreakEven(stop),
            });
        }
        self.target.filter(|target| price >= *target).map(Reached::Target)
    }
}
