//! What the wiring may do with a worklist, and where a worklist stands.

use super::{Custody, Effect, Envelope, Worklist};
use crate::domain::{InstrumentIx, Quote, Quotes, Timeframe, Timestamp};
use crate::instance::fact::{Fact, FactRecord};
use crate::instance::message::Message;

/// Where a worklist stood while it was empty.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// Last quotes.
    pub quotes: Quotes,
    /// Whether every price is wanted.
    pub watch: bool,
    /// Whether the stages know that the kill switch is on.
    pub kill_told: bool,
    /// Which stages are off.
    pub custody: Custody,
    /// Moment of the newest input.
    pub clock: Timestamp,
    /// Inputs so far.
    pub inputs: u64,
    /// Messages handled so far.
    pub steps: u64,
    /// Facts so far.
    pub facts: u64,
}

impl Mark {
    /// The part that the digest covers: all but the numbers of inputs and steps, which count causes.
    #[must_use]
    pub const fn covered(&self) -> (&Quotes, bool, bool, &Custody, Timestamp, u64) {
        (&self.quotes, self.watch, self.kill_told, &self.custody, self.clock, self.facts)
    }
}

/// What `route` may do with an event.
pub struct Router<'a> {
    pub(super) list: &'a mut Worklist,
    pub(super) at: Timestamp,
    pub(super) cause: u64,
}

impl Router<'_> {
    /// A message to a stage, at the back of the queue.
    #[inline]
    pub fn send(&mut self, message: Message) {
        self.list.enqueue(Envelope { at: self.at, cause: self.cause, message });
    }

    /// Something that happened.
    pub fn record(&mut self, fact: Fact) {
        self.list.facts_written += 1;
        let seq = self.list.facts_written;
        self.list.facts.push(FactRecord { seq, at: self.at, cause: self.cause, fact });
    }

    /// Something to be done outside.
    pub fn effect(&mut self, effect: Effect) {
        self.list.effects.push(effect);
    }

    /// A new last price.
    pub fn quote(&mut self, ix: InstrumentIx, quote: Quote) {
        self.list.quotes.set(ix, quote);
    }

    /// Whether every price is wanted.
    pub const fn watch(&mut self, on: bool) {
        self.list.watch = on;
    }

    /// Whether every price is wanted now.
    #[must_use]
    pub const fn watching(&self) -> bool {
        self.list.watch
    }

    /// The candle length that the instance marks to market by.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.list.spec.timeframe
    }
}
