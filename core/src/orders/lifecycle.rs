//! The transition table of an order: one place, one row per line, total.
//!
//! Owns which event may move an order where. Promises: an event that no row allows changes nothing and is answered
//! with `None`, so that the desk can record it. Never: a terminal state inferred from silence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an order stands. A wanted cancel is an overlay on this, not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Durable here, on its way; the venue has not answered.
    InFlight,
    /// Sent and unanswered for too long, or the answer was lost: it may exist. Never taken for a rejection.
    Unknown,
    /// Live at the venue.
    Open,
    /// Filled to the last lot.
    Filled,
    /// Withdrawn.
    Canceled,
    /// Over by its own terms.
    Expired,
    /// Refused by the venue.
    Rejected,
    /// Stopped here before it left.
    NeverSent,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEvent {
    /// The venue acknowledged it.
    Accept,
    /// The venue refused it.
    Reject,
    /// An execution that leaves a rest.
    PartFill,
    /// An execution that completes it.
    FullFill,
    /// The venue withdrew it.
    Cancel,
    /// It ended by its own terms.
    Expire,
    /// No answer in time.
    Silence,
    /// It was stopped before it left.
    Withhold,
}

/// The state after an event; `None` when no row allows it.
#[rustfmt::skip]
#[must_use]
pub fn next(life: Life, event: OrderEvent) -> Option<Life> {
    use Life::{Canceled, Expired, Filled, InFlight, NeverSent, Open, Rejected, Unknown};
    use OrderEvent::{Accept, Cancel, Expire, FullFill, PartFill, Reject, Silence, Withhold};
    match (life, event) {
        (InFlight | Unknown,                      Accept)   => Some(Open),
        (InFlight | Unknown | Open,               Reject)   => Some(Rejected),
        (InFlight | Unknown | Open,               PartFill) => Some(Open),
        (InFlight | Unknown | Open,               FullFill) => Some(Filled),
        (InFlight | Unknown | Open,               Cancel)   => Some(Canceled),
        (InFlight | Unknown | Open,               Expire)   => Some(Expired),
        (InFlight | Unknown,                      Silence)  => Some(Unknown),
        (InFlight,                                Withhold) => Some(NeverSent),
        // A late fill: the claimed end stands until the fills complete it, the position takes it in any case.
        (Canceled | Expired | Rejected,           PartFill) => Some(life),
        (Canceled | Expired | Rejected,           FullFill) => Some(Filled),
        // Stale news about an order that is live or over changes nothing, and is no surprise.
        (Open,                                    Accept | Silence) => Some(Open),
        (Filled,                                  Accept | Cancel | Expire | Silence) => Some(Filled),
        (Canceled | Expired | Rejected,           Accept | Cancel | Expire | Silence) => Some(life),
        (Filled,                                  Reject | PartFill | FullFill) => None,
        (Canceled | Expired | Rejected,           Reject) => None,
        (NeverSent,            Accept | Reject | PartFill | FullFill | Cancel | Expire | Silence) => None,
        (Unknown | Open | Filled | Canceled | Expired | Rejected | NeverSent, Withhold) => None,
    }
}

impl Life {
    /// True when the venue claims that the order is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::InFlight | Self::Unknown | Self::Open => false,
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::NeverSent => true,
        }
    }

    /// The stage word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::Unknown => "in-doubt",
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::NeverSent => "never-sent",
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_doubt_and_never_an_end() {
        assert_eq!(next(Life::InFlight, OrderEvent::Silence), Some(Life::Unknown));
        assert_eq!(next(Life::Unknown, OrderEvent::Silence), Some(Life::Unknown));
        assert_eq!(next(Life::Unknown, OrderEvent::Accept), Some(Life::Open));
    }

    #[test]
    fn a_late_fill_is_taken_and_news_after_the_end_changes_nothing() {
        assert_eq!(next(Life::Canceled, OrderEvent::PartFill), Some(Life::Canceled));
        assert_eq!(next(Life::Canceled, OrderEvent::FullFill), Some(Life::Filled));
        assert_eq!(next(Life::Filled, OrderEvent::Cancel), Some(Life::Filled));
        assert_eq!(next(Life::Filled, OrderEvent::FullFill), None);
        assert_eq!(next(Life::Open, OrderEvent::Withhold), None);
    }
}
