//! Custody: what becomes of messages while the strategy and the market stage are off, and perhaps the streak monitor.
//!
//! Promises: prices reach the quotes and the position monitor as before; nothing reaches the strategy or the market
//! stage; no intent that enters reaches the gate. Exits, reports and timers go their way. What a parked streak monitor
//! would be told is kept in its order, as part of the state, and told at the release: none of it is lost.

use serde::{Deserialize, Serialize};

use super::{Envelope, Worklist};
use crate::domain::{InstrumentIx, Price, Purpose, Quote, Side, Timestamp};
use crate::instance::message::{Event, MarketIn, Message, RiskIn, StreakIn};

/// Which stages are off.
///
/// In postcard the first two are what `false` and `true` are: snapshots of before there was a third read as they did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Custody {
    /// None: it trades.
    #[default]
    Off,
    /// Strategy and market stage.
    On,
    /// The streak monitor as well; with what it would have been told since, and when. That comes of orders that were
    /// open then and of exits, so it does not grow without end.
    StreakParked(Vec<(Timestamp, StreakIn)>),
}

impl Worklist {
    /// From here on; what waits already is looked at anew.
    pub(super) fn enter_custody(&mut self) {
        if self.custody == Custody::Off {
            self.custody = Custody::On;
        }
        self.look_anew();
    }

    /// The streak monitor hears of nothing more; outside of custody that cannot be.
    pub(super) fn park_streak(&mut self) {
        if self.custody == Custody::On {
            self.custody = Custody::StreakParked(Vec::new());
        }
        self.look_anew();
    }

    fn look_anew(&mut self) {
        for envelope in std::mem::take(&mut self.queue) {
            self.enqueue(envelope);
        }
    }

    /// Everything reaches its stage again; answers what the streak monitor has missed.
    pub(super) fn leave_custody(&mut self) -> Vec<(Timestamp, StreakIn)> {
        match std::mem::take(&mut self.custody) {
            Custody::Off | Custody::On => Vec::new(),
            Custody::StreakParked(missed) => missed,
        }
    }

    /// The message, when somebody may still read it now.
    pub(super) fn in_custody(&mut self, envelope: Envelope) -> Option<Envelope> {
        let Envelope { at, cause, message } = envelope;
        let mut quote = |ix: InstrumentIx, last: Price| self.take(at, cause, Event::Quote(ix, Quote { at, last }));
        match message {
            Message::Market(MarketIn::Candle(ix, candle)) => quote(ix, candle.close),
            Message::Market(MarketIn::Point(ix, price)) => quote(ix, price),
            Message::Market(MarketIn::Trade(ix, trade)) => quote(ix, trade.price),
            Message::Market(MarketIn::Revise | MarketIn::Release) | Message::Strategy(_) => {}
            Message::Risk(RiskIn::Review(intent)) if intent.purpose == Purpose::Entry || intent.side == Side::Buy => {}
            Message::Streak(told) => match &mut self.custody {
                Custody::StreakParked(missed) => missed.push((at, told)),
                Custody::Off | Custody::On => return Some(Envelope { at, cause, message }),
            },
            Message::Risk(_) | Message::Orders(_) => return Some(Envelope { at, cause, message }),
        }
        None
    }

    /// True while strategy and market stage are off.
    #[must_use]
    pub fn is_custody(&self) -> bool {
        self.custody != Custody::Off
    }

    /// True while the streak monitor is off, too.
    #[must_use]
    pub const fn is_streak_parked(&self) -> bool {
        matches!(self.custody, Custody::StreakParked(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Notional;

    #[test]
    fn what_snapshots_of_before_say_is_read_as_it_was_and_written_as_it_was() {
        for (before, now) in [(false, Custody::Off), (true, Custody::On)] {
            let bytes = postcard::to_allocvec(&before).unwrap();
            assert_eq!(postcard::to_allocvec(&now).unwrap(), bytes);
            assert_eq!(postcard::from_bytes::<Custody>(&bytes).unwrap(), now);
        }
        let told = (Timestamp::from_millis(7), StreakIn::Transfer(Notional::new(5.into())));
        let parked = Custody::StreakParked(vec![told]);
        let bytes = postcard::to_allocvec(&parked).unwrap();
        assert_eq!(postcard::from_bytes::<Custody>(&bytes).unwrap(), parked);
        assert!(postcard::from_bytes::<bool>(&bytes[..1]).is_err(), "no older program takes it for one of the others");
    }
}
