//! Doubt: what is asked about an order when the venue's word is missing, when, and what proves that it is not there.
//!
//! Owns the evidence about one order that is under query. Promises: questions go on, with a back-off, until the venue
//! says something; absence is believed only when the whole proof of `orders-and-risk` 2.4 is there: the venue's clock
//! is past the moment at which the order could still be born, two looks after that, apart in time, did not find it, and
//! the executions read up to then hold nothing that is not explained. Never: an end out of impatience.

use serde::{Deserialize, Serialize};

use super::Traded;
use crate::domain::Timestamp;
use crate::spec::VenueTraits;

/// First and longest pause between two questions that stay without an answer, ms.
const PAUSE_MS: (i64, i64) = (1_000, 30_000);
/// Pause between two questions as long as the venue answers, ms; also how long an exit at market may take before it is
/// asked about.
pub const AGAIN_MS: i64 = 2_000;
/// How far our clock may lie ahead of the venue's for a look to count at the first try, ms.
const ASIDE_MS: i64 = 500;
/// Ages of a doubt at which people are told, ms: an alert, a page.
pub const TOLD_AT_MS: [i64; 2] = [30_000, 120_000];

/// Why an order is under query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A request has no answer.
    Silence,
    /// News may have been lost since the last start.
    Restart,
    /// A cancel was refused.
    CancelRefused,
    /// A list of open orders does not have it.
    Missing,
    /// News that no row of the order table allows.
    Refused,
    /// One of its executions is void.
    Bust,
    /// The venue says that it executed more than we have seen.
    Owed,
    /// The venue says that it executed less of an ended order than we have counted.
    Excess,
    /// An exit at market, or an order whose cancel leaves again and again, should be over by now.
    Overdue,
}

impl Why {
    /// True when the venue's count and ours differ: only counts that agree end it.
    #[must_use]
    pub const fn is_of_counts(self) -> bool {
        matches!(self, Self::Owed | Self::Excess)
    }
}

/// What is known about an order under query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Why.
    pub why: Why,
    /// Since when.
    pub since: Timestamp,
    /// When it is asked about next.
    pub next: Timestamp,
    tries: u32,
    /// Questions since the newest answer.
    silent: u32,
    /// When, by the venue's clock, a look first did not find it, late enough to count.
    absent: Option<Timestamp>,
    /// True after a second such look.
    twice: bool,
    /// True when the executions up to then were read and are all explained.
    traded: bool,
    /// How many of [`TOLD_AT_MS`] have passed.
    told: u8,
}

impl Doubt {
    /// From now on; the first question is due at `next`.
    #[must_use]
    pub const fn new(why: Why, since: Timestamp, next: Timestamp) -> Self {
        Self { why, since, next, tries: 0, silent: 0, absent: None, twice: false, traded: false, told: 0 }
    }

    /// Asked anew for another reason: since when it lasts, and who was told of it, stays.
    #[must_use]
    pub const fn anew(self, why: Why, next: Timestamp) -> Self {
        Self { told: self.told, ..Self::new(why, self.since, next) }
    }

    /// For another reason, too: what is known stays, the next question is due now.
    pub fn again(&mut self, why: Why, at: Timestamp) {
        // What a start wants to know stays wanted.
        if self.why != Why::Restart {
            self.why = why;
        }
        self.next = self.next.min(at);
    }

    /// A question leaves. The looks that can prove an absence come as soon as they count: one when the order cannot be
    /// born any more, the second one apart enough from the first.
    pub fn asked(&mut self, at: Timestamp, sent: Timestamp, venue: &VenueTraits) {
        let (first, longest) = PAUSE_MS;
        let least = if self.tries == 0 { first } else { AGAIN_MS };
        let next = at + (first << self.silent.min(5)).clamp(least, longest);
        self.tries = self.tries.saturating_add(1);
        self.silent = self.silent.saturating_add(1);
        let counts = venue.born_by(sent) + ASIDE_MS;
        self.next = if at < counts { next.min(counts) } else { next };
    }

    /// The venue answers, though not what ends the doubt: there is no reason to wait for long, until people have been
    /// paged.
    pub fn answered(&mut self, at: Timestamp) {
        if !self.is_old() {
            self.silent = 0;
            self.next = self.next.min(at + AGAIN_MS);
        }
    }

    /// A look did not find it. `sent`: when it was approved.
    pub fn on_not_found(&mut self, at: Timestamp, venue_now: Timestamp, sent: Timestamp, venue: &VenueTraits) {
        self.answered(at);
        let born_by = venue.born_by(sent);
        // A venue that cannot look it up, or has forgotten what ended long ago, has said nothing.
        let looks = venue.finds_by_client_id && venue_now.since(sent) <= venue.finds_ended_ms;
        if venue_now <= born_by || !looks {
            return;
        }
        match self.absent {
            None => {
                self.absent = Some(venue_now);
                self.next = self.next.min(at + venue.margin_ms + ASIDE_MS);
            }
            Some(first) => {
                let apart = venue_now.since(first) >= venue.margin_ms;
                self.twice |= apart && venue_now > born_by + venue.margin_ms;
            }
        }
    }

    /// The executions of its instrument were read.
    pub fn on_traded(&mut self, traded: &Traded, sent: Timestamp, venue: &VenueTraits) {
        self.traded |= traded.from <= sent && traded.until > venue.born_by(sent) && !traded.unexplained;
    }

    /// True when the state of the order is to be asked for. Where executions are missing they are asked for first: only
    /// when that was in vain may the claim that they exist be out of date.
    #[must_use]
    pub const fn wants_state(&self) -> bool {
        !matches!(self.why, Why::Owed) || self.tries > 0
    }

    /// True when the executions are to be read: some are missing, or may be void, or the proof of absence lacks them.
    #[must_use]
    pub const fn wants_trades(&self) -> bool {
        let counts = matches!(self.why, Why::Owed) || (matches!(self.why, Why::Excess) && self.tries > 0);
        counts || (self.absent.is_some() && !self.traded)
    }

    /// True when it is proven that the venue never took the order.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.twice && self.traded
    }

    /// The next age at which people are told, when it has come, ms.
    pub fn tell(&mut self, at: Timestamp) -> Option<i64> {
        let age = TOLD_AT_MS.get(usize::from(self.told)).copied().filter(|age| at.since(self.since) >= *age)?;
        self.told += 1;
        Some(age)
    }

    /// When something about it is due next.
    #[must_use]
    pub fn wake(&self) -> Timestamp {
        let told = TOLD_AT_MS.get(usize::from(self.told)).map(|age| self.since + *age);
        told.map_or(self.next, |told| told.min(self.next))
    }

    /// True once it has lasted for the longest of [`TOLD_AT_MS`].
    #[must_use]
    pub fn is_old(&self) -> bool {
        usize::from(self.told) == TOLD_AT_MS.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InstrumentIx;

    const VENUE: VenueTraits = VenueTraits::OUTSIDE;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn traded(from: i64, until: i64, unexplained: bool) -> Traded {
        Traded { instrument: InstrumentIx(0), from: at(from), until: at(until), unexplained }
    }

    #[test]
    fn questions_come_after_1_2_4_8_16_and_then_every_30_seconds() {
        let mut doubt = Doubt::new(Why::Silence, at(0), at(0));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let now = doubt.next;
            doubt.asked(now, at(-60_000), &VENUE);
            pauses.push(doubt.next.since(now));
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    }

    /// Sent at 0: born by 13 s (1 s to leave, 2 s window, 10 s engine), believed absent from 18 s on.
    #[test]
    fn absence_needs_two_late_looks_apart_and_the_executions() {
        type Step = (i64, bool);
        let looks: [(&[Step], bool); 6] = [
            (&[(13_000, true), (18_001, true)], false),
            (&[(13_001, true), (18_001, true)], true),
            (&[(13_001, true), (18_000, true)], false),
            (&[(14_000, true), (18_999, true)], false),
            (&[(14_000, true), (19_000, true)], true),
            (&[(1_000, true), (2_000, true), (3_000, true)], false),
        ];
        for (steps, proven) in looks {
            let mut doubt = Doubt::new(Why::Silence, at(2_000), at(2_000));
            steps.iter().for_each(|(now, _)| doubt.on_not_found(at(*now), at(*now), at(0), &VENUE));
            assert!(!doubt.is_absent(), "without the executions");
            doubt.on_traded(&traded(0, 13_001, false), at(0), &VENUE);
            assert_eq!(doubt.is_absent(), proven, "{steps:?}");
        }
        for (from, until, unexplained) in [(1, 13_001, false), (0, 13_000, false), (0, 13_001, true)] {
            let mut doubt = Doubt::new(Why::Silence, at(2_000), at(2_000));
            [14_000, 19_000].iter().for_each(|now| doubt.on_not_found(at(*now), at(*now), at(0), &VENUE));
            doubt.on_traded(&traded(from, until, unexplained), at(0), &VENUE);
            assert!(!doubt.is_absent(), "{from} {until} {unexplained}");
            assert!(doubt.wants_trades());
        }
    }

    #[test]
    fn while_the_venue_answers_it_is_asked_every_2_seconds_and_as_soon_as_a_look_counts() {
        let mut doubt = Doubt::new(Why::Silence, at(2_000), at(2_000));
        let mut asked = Vec::new();
        while !doubt.twice {
            let now = doubt.next;
            doubt.asked(now, at(0), &VENUE);
            doubt.on_not_found(now + 40, now + 20, at(0), &VENUE);
            asked.push(now.millis());
        }
        assert_eq!(asked, [2_000, 3_000, 5_000, 7_000, 9_000, 11_000, 13_000, 13_500, 15_500, 17_500, 19_500]);
    }

    #[test]
    fn a_venue_that_cannot_look_it_up_or_has_forgotten_it_proves_nothing() {
        let blind = VenueTraits { finds_by_client_id: false, ..VENUE };
        let forgetful = VenueTraits { finds_ended_ms: 18_000, ..VENUE };
        for (venue, proven) in [(VENUE, true), (blind, false), (forgetful, false)] {
            let mut doubt = Doubt::new(Why::Silence, at(2_000), at(2_000));
            [14_000, 19_000].iter().for_each(|now| doubt.on_not_found(at(*now), at(*now), at(0), &venue));
            doubt.on_traded(&traded(0, 13_001, false), at(0), &venue);
            assert_eq!(doubt.is_absent(), proven, "{venue:?}");
        }
    }

    #[test]
    fn people_are_told_after_30_and_120_seconds_once_each() {
        let mut doubt = Doubt::new(Why::Missing, at(0), at(500));
        assert_eq!(
            (doubt.tell(at(29_999)), doubt.tell(at(30_000)), doubt.tell(at(60_000))),
            (None, Some(30_000), None)
        );
        assert!(!doubt.is_old());
        assert_eq!((doubt.tell(at(120_000)), doubt.tell(at(900_000))), (Some(120_000), None));
        assert!(doubt.is_old());
        assert_eq!(doubt.wake(), at(500));
    }

    #[test]
    fn where_counts_differ_the_other_side_is_asked_too_once_the_first_answer_was_in_vain() {
        for (why, first) in [(Why::Owed, (false, true)), (Why::Excess, (true, false)), (Why::Bust, (true, false))] {
            let mut doubt = Doubt::new(why, at(0), at(0));
            assert_eq!((doubt.wants_state(), doubt.wants_trades()), first, "{why:?}");
            doubt.asked(at(0), at(-60_000), &VENUE);
            let second = (true, why.is_of_counts());
            assert_eq!((doubt.wants_state(), doubt.wants_trades()), second, "{why:?}, again");
        }
    }

    #[test]
    fn what_a_start_wants_to_know_stays_wanted() {
        let mut doubt = Doubt::new(Why::Restart, at(0), at(9_000));
        doubt.again(Why::Silence, at(3_000));
        assert_eq!((doubt.why, doubt.next, doubt.since), (Why::Restart, at(3_000), at(0)));
    }
}
