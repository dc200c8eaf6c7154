//! The transition table of an order: one place, one row per line, total.
//!
//! Owns which event may move an order where. Promises: an event that no row allows changes nothing and is answered
//! with `None`, so that the desk can record it and ask the venue. A wanted cancel is an overlay on
//! these states. Never: a terminal state inferred from silence.
//!
//! What comes before the table is not an order yet: an intent that the gate refuses is a veto.

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
    /// Approved; its request has not been handed over.
    Intent,
    /// Taken by the venue, not live yet.
    Pending,
    /// A stop that rests off the book.
    Armed,
    /// Proven absent: the venue never took it and cannot any more.
    NeverAccepted,
    /// Another order of the venue took its place.
    Replaced,
    /// Over, and nothing more can come: every execution is known, and it has been quiet for long enough.
    Settled,
    /// The facts contradict each other; a person must look.
    Disputed,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEvent {
    /// The venue acknowledged it as live; for a stop: it was triggered.
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
    /// Its request is handed over.
    Send,
    /// The venue took it, but it is not live yet.
    Pend,
    /// It rests off the book until its trigger.
    Arm,
    /// An execution beyond its quantity.
    Overfill,
    /// The proof that the venue never took it is complete.
    Absent,
    /// A list of open orders does not have it, or a query does not find it.
    Missing,
    /// The venue shows it live, in a state newer than the last one known.
    Live,
    /// A cancel was refused: it is over already.
    CancelLate,
    /// A cancel was refused: the venue does not know it.
    CancelUnknown,
    /// One of its executions is void.
    Bust,
    /// Every execution is known and it has been quiet for long enough.
    Settle,
    /// Another order took its place.
    Replace,
}

/// What a row of the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// To this state.
    To(Life),
    /// Known news: the state stays.
    Same,
    /// Not allowed: nothing changes, it is a fact, and the venue is asked.
    No,
}

use Life::{
    Armed, Canceled, Disputed, Expired, Filled, InFlight, Intent, NeverAccepted, NeverSent, Open, Pending, Rejected,
    Replaced, Settled, Unknown,
};
use OrderEvent::{
    Absent, Accept, Arm, Bust, Cancel, CancelLate, CancelUnknown, Expire, FullFill, Live, Missing, Overfill, PartFill,
    Pend, Reject, Replace, Send, Settle, Silence, Withhold,
};
use Then::{No, Same, To};

/// The table. A test proves that each pair of state and event stands in exactly one row.
#[rustfmt::skip]
const TABLE: &[(&[Life], &[OrderEvent], Then)] = &[
    // Before it leaves.
    (&[Intent], &[Send], To(InFlight)),
    (&[Intent, InFlight], &[Withhold], To(NeverSent)),
    (&[Intent], &[PartFill, FullFill, Overfill], To(Disputed)),
    // Sent, and the venue's word is missing.
    (&[InFlight, Unknown], &[Accept, Live, PartFill], To(Open)),
    (&[InFlight, Unknown], &[Pend], To(Pending)),
    (&[InFlight, Unknown], &[Arm], To(Armed)),
    (&[InFlight, Unknown], &[Silence, CancelLate, CancelUnknown], To(Unknown)),
    (&[InFlight, Unknown], &[Missing, Bust], Same),
    (&[Unknown], &[Absent], To(NeverAccepted)),
    // At the venue.
    (&[Pending], &[Pend], To(Pending)),
    (&[Pending, Armed], &[Arm], To(Armed)),
    (&[Pending, Armed, Open], &[Accept, Live, PartFill], To(Open)),
    (&[Pending, Armed, Open], &[CancelUnknown], To(Unknown)),
    (&[Pending, Armed, Open], &[Silence, Missing, CancelLate, Bust], Same),
    // Ends of whatever is not over.
    (&[InFlight, Unknown, Pending, Armed, Open], &[FullFill], To(Filled)),
    (&[InFlight, Unknown, Pending, Armed, Open], &[Overfill], To(Disputed)),
    (&[InFlight, Unknown, Pending, Armed, Open], &[Cancel], To(Canceled)),
    (&[InFlight, Unknown, Pending, Armed, Open], &[Expire], To(Expired)),
    (&[InFlight, Unknown, Pending, Armed, Open], &[Reject], To(Rejected)),
    (&[InFlight, Unknown, Pending, Armed, Open], &[Replace], To(Replaced)),
    // A late fill: the claimed end stands until the fills complete it, the position takes it in any case.
    (&[Canceled, Expired, Rejected, Replaced, NeverAccepted], &[PartFill], Same),
    (&[Canceled, Expired, Rejected, Replaced, NeverAccepted], &[FullFill], To(Filled)),
    (&[Canceled, Expired, Rejected, Replaced, NeverAccepted, Filled], &[Overfill], To(Disputed)),
    // It is live after all.
    (&[Canceled, Expired, Rejected, Replaced, NeverAccepted], &[Live], To(Open)),
    // Whatever the venue says of an order that it never took, so we thought, is better evidence than its absence.
    (&[NeverAccepted], &[Accept], To(Open)),
    (&[NeverAccepted], &[Pend], To(Pending)),
    (&[NeverAccepted], &[Arm], To(Armed)),
    (&[NeverAccepted], &[Cancel], To(Canceled)),
    (&[NeverAccepted], &[Expire], To(Expired)),
    (&[NeverAccepted], &[Reject], To(Rejected)),
    // What was executed is so no more: the venue must say what is left of the order.
    (&[Filled], &[Bust], To(Unknown)),
    (&[Canceled, Expired, Rejected, Replaced, NeverAccepted], &[Bust], Same),
    // Complete.
    (&[Filled, Canceled, Expired, Rejected, Replaced, NeverAccepted, NeverSent], &[Settle], To(Settled)),
    // What we kept back is at the venue, or what was closed for good moves: nobody here can say why.
    (&[NeverSent], &[Accept, Pend, Arm, Live], To(Disputed)),
    (&[NeverSent, Settled], &[PartFill, FullFill, Overfill, Bust], To(Disputed)),
    (&[Settled], &[Live], To(Disputed)),
    // A person decides; until then fills go on counting.
    (&[Disputed], &[PartFill, FullFill, Overfill, Bust], To(Disputed)),
    // Stale news about an order that is live or over changes nothing, and is no surprise.
    (&[Open], &[Pend, Arm], To(Open)),
    (&[Armed], &[Pend], To(Armed)),
    (&[Filled, Canceled, Expired, Rejected, Replaced, Settled, Disputed], &[Accept, Pend, Arm, Cancel, Expire], Same),
    (&[Filled, Canceled, Expired, Rejected, Replaced, Settled, Disputed], &[Silence, Missing], Same),
    (&[Filled, Canceled, Expired, Rejected, Replaced, Settled, Disputed], &[CancelLate, CancelUnknown], Same),
    (&[NeverAccepted], &[Silence, Missing, CancelLate, CancelUnknown], Same),
    (&[Disputed], &[Reject, Live, Replace], To(Disputed)),
    // No row: a fact, and a question to the venue.
    (&[Intent], &[Accept, Reject, Cancel, Expire, Silence, Pend, Arm, Absent, Missing, Live], No),
    (&[Intent], &[CancelLate, CancelUnknown, Bust, Settle, Replace], No),
    (&[InFlight], &[Send, Absent, Settle], No),
    (&[Unknown, Pending, Armed, Open], &[Send, Withhold, Settle], No),
    (&[Pending, Armed, Open], &[Absent], No),
    (&[Filled], &[Send, Withhold, Reject, PartFill, FullFill, Absent, Live, Replace], No),
    (&[Rejected], &[Reject], Same),
    (&[Canceled, Expired, Replaced], &[Reject], No),
    (&[Canceled, Expired, Rejected, Replaced], &[Send, Withhold, Absent, Replace], No),
    (&[NeverAccepted], &[Send, Withhold, Absent, Replace], No),
    (&[NeverSent], &[Send, Withhold, Reject, Cancel, Expire, Silence, Absent, Missing], No),
    (&[NeverSent], &[CancelLate, CancelUnknown, Replace], No),
    (&[Settled], &[Send, Withhold, Reject, Absent, Settle, Replace], No),
    (&[Disputed], &[Send, Withhold, Absent, Settle], No),
];

/// Same table, one byte for each pair.
static NEXT: [[Option<Life>; OrderEvent::ALL.len()]; Life::ALL.len()] = lay_out();

const fn lay_out() -> [[Option<Life>; OrderEvent::ALL.len()]; Life::ALL.len()] {
    let mut laid = [[None; OrderEvent::ALL.len()]; Life::ALL.len()];
    let mut row = 0;
    while row < TABLE.len() {
        let (lives, events, then) = TABLE[row];
        let mut l = 0;
        while l < lives.len() {
            let mut e = 0;
            while e < events.len() {
                laid[lives[l] as usize][events[e] as usize] = match then {
                    To(life) => Some(life),
                    Same => Some(lives[l]),
                    No => None,
                };
                e += 1;
            }
            l += 1;
        }
        row += 1;
    }
    laid
}

/// The state after an event; `None` when no row allows it.
#[must_use]
pub const fn next(life: Life, event: OrderEvent) -> Option<Life> {
    NEXT[life as usize][event as usize]
}

/// What a person may declare an order to be: one that is disputed, or one that nobody can say anything about.
#[must_use]
pub const fn resolve(life: Life, to: Life) -> Option<Life> {
    let asked = matches!(life, Life::Disputed | Life::Unknown);
    let end = matches!(to, Life::Filled | Life::Canceled | Life::Expired | Life::Rejected);
    if asked && end { Some(to) } else { None }
}

impl Life {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::InFlight,
        Self::Unknown,
        Self::Open,
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::NeverSent,
        Self::Intent,
        Self::Pending,
        Self::Armed,
        Self::NeverAccepted,
        Self::Replaced,
        Self::Settled,
        Self::Disputed,
    ];

    /// True when the order is over, so far as anybody claims: no more of it is expected to fill.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Intent | Self::InFlight | Self::Unknown | Self::Pending | Self::Armed | Self::Open => false,
            Self::Filled
            | Self::Canceled
            | Self::Expired
            | Self::Rejected
            | Self::NeverSent
            | Self::NeverAccepted
            | Self::Replaced
            | Self::Settled
            | Self::Disputed => true,
        }
    }

    /// True when the venue has it and it is not over.
    #[must_use]
    pub const fn is_at_venue(self) -> bool {
        matches!(self, Self::Pending | Self::Armed | Self::Open)
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
            Self::Intent => "intent",
            Self::Pending => "pending",
            Self::Armed => "armed",
            Self::NeverAccepted => "never-accepted",
            Self::Replaced => "replaced",
            Self::Settled => "settled",
            Self::Disputed => "disputed",
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl OrderEvent {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Accept,
        Self::Reject,
        Self::PartFill,
        Self::FullFill,
        Self::Cancel,
        Self::Expire,
        Self::Silence,
        Self::Withhold,
        Self::Send,
        Self::Pend,
        Self::Arm,
        Self::Overfill,
        Self::Absent,
        Self::Missing,
        Self::Live,
        Self::CancelLate,
        Self::CancelUnknown,
        Self::Bust,
        Self::Settle,
        Self::Replace,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_event_stands_in_exactly_one_row() {
        for life in Life::ALL {
            for event in OrderEvent::ALL {
                let rows = TABLE.iter().filter(|(lives, events, _)| lives.contains(&life) && events.contains(&event));
                assert_eq!(rows.count(), 1, "{life:?} {event:?}");
            }
        }
    }

    #[test]
    fn silence_is_doubt_and_never_an_end() {
        for life in Life::ALL {
            for event in [Silence, Missing, CancelLate, CancelUnknown] {
                let after = next(life, event);
                assert!(after.is_none_or(|after| after.is_over() == life.is_over()), "{life:?} {event:?}");
            }
        }
        assert_eq!(next(InFlight, Silence), Some(Unknown));
        assert_eq!(next(Unknown, Silence), Some(Unknown));
        assert_eq!(next(Unknown, Accept), Some(Open));
        assert_eq!(next(Open, CancelUnknown), Some(Unknown));
    }

    #[test]
    fn a_late_fill_is_taken_and_news_after_the_end_changes_nothing() {
        assert_eq!(next(Canceled, PartFill), Some(Canceled));
        assert_eq!(next(Canceled, FullFill), Some(Filled));
        assert_eq!(next(Filled, Cancel), Some(Filled));
        assert_eq!(next(Filled, FullFill), None);
        assert_eq!(next(Open, Withhold), None);
        assert_eq!(next(Settled, PartFill), Some(Disputed));
        assert_eq!(next(NeverSent, FullFill), Some(Disputed));
    }

    #[test]
    fn a_person_ends_disputes_and_doubts_and_nothing_else() {
        for life in Life::ALL {
            for to in Life::ALL {
                let allowed =
                    matches!(life, Disputed | Unknown) && matches!(to, Filled | Canceled | Expired | Rejected);
                assert_eq!(resolve(life, to), allowed.then_some(to), "{life:?} {to:?}");
            }
        }
    }
}
