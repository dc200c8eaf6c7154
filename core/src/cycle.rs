//! From a signal to a sized order.
//!
//! Size = min(risk per trade / stop distance, position cap, room in the symbol, room in total, free balance); the
//! smallest term is recorded with the order.

use rust_decimal::Decimal;

use crate::domain::{Instrument, Notional, Price, Qty};
use crate::orders::SizeTerm;
use crate::risk::Funds;

/// How much a signal strategy may stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Share of capital lost when the stop is hit.
    pub risk_per_trade: Decimal,
    /// Largest position, share of capital.
    pub max_position: Decimal,
}

/// Quantity of an entry, and the term that bound it. It is expected at `ask` with its stop at `stop`, which is what it
/// risks; caps and balance must bear its `worst` price. The quantity is zero when nothing is left.
#[must_use]
pub fn size(
    stake: Stake,
    funds: &Funds,
    instrument: &Instrument,
    (ask, worst): (Price, Price),
    stop: Price,
    fee: Decimal,
) -> (Qty, SizeTerm, Notional) {
    let capital = funds.capital;
    let distance = (ask - stop).get();
    let by_risk = if distance > Decimal::ZERO {
        Notional::new((capital.get() * stake.risk_per_trade * worst.get() / distance).round_dp(12))
    } else {
        Notional::ZERO
    };
    let free = Notional::new((funds.free_quote.get() / (Decimal::ONE + fee)).round_dp(12));
    let terms = [
        (by_risk, SizeTerm::RiskPerTrade),
        (capital * stake.max_position, SizeTerm::MaxPosition),
        (funds.symbol_left, SizeTerm::SymbolCap),
        (funds.total_left, SizeTerm::ExposureCap),
        (free, SizeTerm::FreeBalance),
    ];
    let (notional, term) =
        terms.into_iter().min_by_key(|(notional, _)| *notional).unwrap_or((Notional::ZERO, SizeTerm::FreeBalance));
    if !notional.is_positive() || !worst.is_positive() {
        return (Qty::ZERO, term, notional);
    }
    (instrument.round_qty(notional.get() / worst.get()), term, notional)
}
