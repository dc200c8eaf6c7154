//! One tradable pair: its assets, ticks and lots. The only place that rounds prices and quantities.

use rust_decimal::prelude::FromPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{Asset, Notional, Price, Qty, Side, Symbol};

/// A tradable pair and the venue's rules for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Venue symbol.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
    /// Price step, > 0.
    pub tick: Decimal,
    /// Quantity step, > 0.
    pub lot: Decimal,
    /// Least notional of an order the venue accepts.
    pub notional_min: Notional,
}

impl Instrument {
    /// The price on the tick grid, against ourselves: buys down, sells up.
    #[must_use]
    pub fn round_price(&self, side: Side, price: Decimal) -> Price {
        let way = match side {
            Side::Buy => RoundingStrategy::ToNegativeInfinity,
            Side::Sell => RoundingStrategy::ToPositiveInfinity,
        };
        Price::new(step(price, self.tick, way))
    }

    /// The price on the tick grid as a taker gets it: buys up, sells down.
    #[must_use]
    pub fn round_taken(&self, side: Side, price: Decimal) -> Price {
        self.round_price(side.opposite(), price)
    }

    /// The nearest price on the tick grid.
    #[must_use]
    pub fn nearest_price(&self, price: Decimal) -> Price {
        Price::new(step(price, self.tick, RoundingStrategy::MidpointNearestEven))
    }

    /// An indicator's figure as a price: the nearest tick; `None` unless finite, positive and in range.
    #[must_use]
    pub fn indicator_price(&self, value: f64) -> Option<Price> {
        let price = self.nearest_price(Decimal::from_f64(value)?);
        (price.is_positive() && price.get() <= super::DECIMAL_MAX).then_some(price)
    }

    /// The quantity on the lot grid, rounded down.
    #[must_use]
    pub fn round_qty(&self, qty: Decimal) -> Qty {
        Qty::new(step(qty, self.lot, RoundingStrategy::ToNegativeInfinity))
    }

    /// True when the price lies on the tick grid.
    #[must_use]
    pub fn on_tick(&self, price: Price) -> bool {
        (price.get() % self.tick).is_zero()
    }

    /// True when the quantity lies on the lot grid.
    #[must_use]
    pub fn on_lot(&self, qty: Qty) -> bool {
        (qty.get() % self.lot).is_zero()
    }
}

fn step(value: Decimal, step: Decimal, way: RoundingStrategy) -> Decimal {
    ((value / step).round_dp_with_strategy(0, way) * step).normalize()
}

/// Quote assets recognised at the end of a symbol, longest first.
const QUOTES: [&str; 14] =
    ["FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD1", "BTC", "ETH", "BNB", "EUR", "USD", "NOK", "DKK", "TRY"];

/// Why a symbol cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{symbol}' does not end in a known quote asset; \
     known: FDUSD, USDT, USDC, TUSD, BUSD, USD1, BTC, ETH, BNB, EUR, USD, NOK, DKK, TRY"
)]
pub struct SymbolError {
    /// The symbol.
    pub symbol: String,
}

/// Base and quote asset of a symbol such as `BTCUSDT`.
///
/// # Errors
/// [`SymbolError`] when no known quote asset ends the symbol.
pub fn split_symbol(symbol: Symbol) -> Result<(Asset, Asset), SymbolError> {
    let text = symbol.as_str();
    QUOTES
        .iter()
        .find_map(|quote| {
            let base = text.strip_suffix(quote)?;
            Some((base.parse().ok()?, quote.parse().ok()?))
        })
        .ok_or_else(|| SymbolError { symbol: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btc() -> Instrument {
        let dec = |t: &str| t.parse().unwrap();
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let (base, quote) = split_symbol(symbol).unwrap();
        Instrument {
            symbol,
            base,
            quote,
            tick: dec("0.01"),
            lot: dec("0.00001"),
            notional_min: Notional::new(dec("5")),
        }
    }

    #[test]
    fn rounding_is_against_ourselves() {
        let dec = |t: &str| t.parse::<Decimal>().unwrap();
        let i = btc();
        assert_eq!(i.round_price(Side::Buy, dec("10.019")).get(), dec("10.01"));
        assert_eq!(i.round_price(Side::Sell, dec("10.011")).get(), dec("10.02"));
        assert_eq!(i.round_taken(Side::Buy, dec("10.011")).get(), dec("10.02"));
        assert_eq!(i.round_qty(dec("0.123459")).get(), dec("0.12345"));
        assert!(i.on_tick(Price::new(dec("10.020"))) && !i.on_tick(Price::new(dec("10.021"))));
    }

    #[test]
    fn symbols_split_at_a_known_quote() {
        assert_eq!((btc().base.as_str(), btc().quote.as_str()), ("BTC", "USDT"));
        assert!(split_symbol("BTCXXX".parse().unwrap()).is_err());
        assert!(split_symbol("USDT".parse().unwrap()).is_err());
    }
}
