//! Custody: what becomes of messages while the strategy and the market stage are off.
//!
//! Promises: prices reach the quotes and the position monitor as before; nothing reaches the strategy or the market
//! stage; no intent that enters reaches the gate. Exits, reports and timers go their way.

use super::Worklist;
use crate::domain::{InstrumentIx, Price, Purpose, Quote, Side, Timestamp};
use crate::instance::message::{Event, MarketIn, Message, RiskIn};

impl Worklist {
    /// From here on; what waits already is looked at anew.
    pub(super) fn enter_custody(&mut self) {
        self.custody = true;
        for envelope in std::mem::take(&mut self.queue) {
            self.enqueue(envelope);
        }
    }

    /// The message, when somebody may still read it.
    pub(super) fn in_custody(&mut self, at: Timestamp, cause: u64, message: Message) -> Option<Message> {
        let mut quote = |ix: InstrumentIx, last: Price| self.take(at, cause, Event::Quote(ix, Quote { at, last }));
        match message {
            Message::Market(MarketIn::Candle(ix, candle)) => quote(ix, candle.close),
            Message::Market(MarketIn::Point(ix, price)) => quote(ix, price),
            Message::Market(MarketIn::Trade(ix, trade)) => quote(ix, trade.price),
            Message::Market(MarketIn::Revise | MarketIn::Release) | Message::Strategy(_) => {}
            Message::Risk(RiskIn::Review(intent)) if intent.purpose == Purpose::Entry || intent.side == Side::Buy => {}
            Message::Risk(_) | Message::Orders(_) | Message::Streak(_) => return Some(message),
        }
        None
    }

    /// True while strategy and market stage are off.
    #[must_use]
    pub const fn is_custody(&self) -> bool {
        self.custody
    }
}
