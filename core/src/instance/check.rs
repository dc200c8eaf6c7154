//! Does the position of an instance make sense? Asked when it starts with a stored state.
//!
//! Pure. Promises: what is odd is named, with figures; nothing is changed and nothing is refused because of it. The
//! state must be one at rest: while messages wait, the venue knows of fills that the gate has not heard of.

use std::fmt;

use rust_decimal::Decimal;

use super::state::InstanceState;
use crate::domain::{Asset, Instrument, InstrumentIx, Price, Symbol};
use crate::position::Position;
use crate::spec::InstanceSpec;

/// Largest move that is taken for granted, fraction.
const MOVE_MAX: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// One thing that is odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionWarning {
    /// Of which instrument; that of the first one for the quote asset that all share.
    pub instrument: Symbol,
    /// What.
    pub kind: PositionOddity,
}

/// What can be odd about a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionOddity {
    /// Base is held and nobody knows what it cost.
    EntryMissing,
    /// The price is far from where the position was entered, or, without a known entry, from the last one seen.
    PriceMoved {
        /// Entry price, or the last price seen.
        entry: Price,
        /// The newest price.
        now: Price,
        /// Change as a fraction of `entry`; negative when it fell.
        share: Decimal,
    },
    /// The venue holds another amount than the gate or the desk believes.
    Balances {
        /// Of what.
        asset: Asset,
        /// At the venue.
        venue: Decimal,
        /// By our own count.
        ours: Decimal,
    },
}

impl fmt::Display for PositionWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instrument = self.instrument;
        match &self.kind {
            PositionOddity::EntryMissing => write!(f, "{instrument}: base is held, but its entry price is not known"),
            PositionOddity::PriceMoved { entry, now, share } => {
                let percent = (share.abs() * Decimal::ONE_HUNDRED).round_dp(1).normalize();
                let way = if share.is_sign_negative() { "under" } else { "over" };
                write!(
                    f,
                    "{instrument}: the price {now} is {percent} % {way} {entry}, where it was; is it the same market?"
                )
            }
            PositionOddity::Balances { asset, venue, ours } => {
                let (venue, ours) = (venue.normalize(), ours.normalize());
                write!(f, "{instrument}: the venue holds {venue} {asset}, by our own count it is {ours}")
            }
        }
    }
}

/// What is odd about the positions of a state. `now`: the newest price of each instrument, where there is one.
#[must_use]
pub fn check_position(state: &InstanceState, spec: &InstanceSpec, now: &[Option<Price>]) -> Vec<PositionWarning> {
    let mut found = Vec::new();
    for (at, instrument) in spec.instruments.iter().enumerate() {
        let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
        let position = state.stages.orders.positions().get(at);
        let newest = now.get(at).copied().flatten();
        let last = state.mark.quotes.get(ix).map(|quote| quote.last);
        let odd = [position.and_then(entry_missing), position.and_then(|held| price_moved(held, last, newest))];
        found.extend(odd.into_iter().flatten().map(|kind| PositionWarning { instrument: instrument.symbol, kind }));
        found.extend(base_differs(state, ix, instrument));
    }
    found.extend(spec.instruments.first().and_then(|first| cash_differs(state, first)));
    found
}

/// The entry price of what is held; one of zero is none.
fn entry(position: &Position) -> Option<Price> {
    position.entry().filter(|entry| entry.is_positive())
}

fn entry_missing(position: &Position) -> Option<PositionOddity> {
    (position.qty().is_positive() && entry(position).is_none()).then_some(PositionOddity::EntryMissing)
}

fn price_moved(position: &Position, last: Option<Price>, now: Option<Price>) -> Option<PositionOddity> {
    let (entry, now) = (entry(position).or(last).filter(|price| price.is_positive())?, now?);
    let share = (now - entry).get() / entry.get();
    (share.abs() > MOVE_MAX).then_some(PositionOddity::PriceMoved { entry, now, share })
}

/// Holds are no balance: they lie inside what gate and venue both hold.
fn base_differs(state: &InstanceState, ix: InstrumentIx, instrument: &Instrument) -> Option<PositionWarning> {
    let venue = state.scheduler.venue.base(ix);
    let gate = state.stages.risk.gate().exposure().line(ix).position;
    let desk = state.stages.orders.positions().get(ix.at()).map_or(gate, Position::qty);
    let ours = [gate, desk].into_iter().find(|ours| *ours != venue)?.get();
    let kind = PositionOddity::Balances { asset: instrument.base, venue: venue.get(), ours };
    Some(PositionWarning { instrument: instrument.symbol, kind })
}

fn cash_differs(state: &InstanceState, first: &Instrument) -> Option<PositionWarning> {
    let (venue, ours) = (state.scheduler.venue.cash(), state.stages.risk.gate().exposure().cash());
    let kind = PositionOddity::Balances { asset: first.quote, venue: venue.get(), ours: ours.get() };
    (venue != ours).then_some(PositionWarning { instrument: first.symbol, kind })
}
