//! Where the lines of a grid lie.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{Instrument, Price, fast_f64};

/// How lines are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Equal distances: p_k = L + k (U - L) / (n - 1).
    Arithmetic,
    /// Equal ratios: p_k = L (U / L)^(k / (n - 1)).
    Geometric,
}

/// The prices of the lines from the bottom, snapped to the nearest tick. `None` when two lines share a tick or one is
/// not positive.
#[must_use]
pub fn lines(
    spacing: Spacing,
    count: u32,
    lower: Decimal,
    upper: Decimal,
    instrument: &Instrument,
) -> Option<Vec<Price>> {
    let cells = count.checked_sub(1).filter(|cells| *cells > 0)?;
    let raw: Vec<Decimal> = match spacing {
        Spacing::Arithmetic => {
            let step = (upper - lower) / Decimal::from(cells);
            (0..count).map(|k| if k == cells { upper } else { lower + step * Decimal::from(k) }).collect()
        }
        Spacing::Geometric => geometric(count, lower, upper)?,
    };
    let snapped: Vec<Price> = raw.into_iter().map(|price| instrument.nearest_price(price)).collect();
    let rising = snapped.windows(2).all(|pair| pair[0] < pair[1]);
    (rising && snapped.first()?.is_positive()).then_some(snapped)
}

/// The ratio is an (n-1)-th root, found in floats with multiplications only, so that it is the same on every machine;
/// the snap to ticks absorbs its last digits. The ends are exact.
fn geometric(count: u32, lower: Decimal, upper: Decimal) -> Option<Vec<Decimal>> {
    use rust_decimal::prelude::FromPrimitive;
    let cells = count - 1;
    let ratio = root(fast_f64(upper) / fast_f64(lower), cells);
    let mut factor = 1.0_f64;
    let mut prices = Vec::with_capacity(count as usize);
    for k in 0..count {
        prices.push(if k == cells { upper } else { lower * Decimal::from_f64(factor)? });
        factor *= ratio;
    }
    Some(prices)
}

/// The positive n-th root of `value` >= 1 by bisection.
fn root(value: f64, n: u32) -> f64 {
    let (mut low, mut high) = (1.0_f64, value.max(1.0));
    for _ in 0..128 {
        let middle = low + (high - low) / 2.0;
        if power(middle, n) > value {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

fn power(base: f64, exponent: u32) -> f64 {
    let (mut result, mut square, mut rest) = (1.0_f64, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

/// Net return of the smallest cell: min over k of q (1 - fee) / (1 + fee) - 1 with q = p_{k+1} / p_k.
#[must_use]
pub fn cell_net(lines: &[Price], fee: Decimal) -> Option<Decimal> {
    let net =
        |pair: &[Price]| pair[1].get() / pair[0].get() * (Decimal::ONE - fee) / (Decimal::ONE + fee) - Decimal::ONE;
    lines.windows(2).map(net).min().map(|net| net.round_dp(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Notional, split_symbol};

    fn btc() -> Instrument {
        let symbol = "BTCUSDT".parse().unwrap();
        let (base, quote) = split_symbol(symbol).unwrap();
        Instrument {
            symbol,
            base,
            quote,
            tick: Decimal::new(1, 2),
            lot: Decimal::new(1, 5),
            notional_min: Notional::ZERO,
        }
    }

    #[test]
    fn lines_are_spaced_as_their_formulas_say() {
        let (low, high) = (Decimal::from(90_000), Decimal::from(110_000));
        let even = lines(Spacing::Arithmetic, 5, low, high, &btc()).unwrap();
        let texts: Vec<String> = even.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["90000", "95000", "100000", "105000", "110000"]);
        let ratio = lines(Spacing::Geometric, 3, low, high, &btc()).unwrap();
        // 90000 x sqrt(110000 / 90000) = 99498.7437...
        assert_eq!(ratio[1].to_string(), "99498.74");
        assert_eq!(ratio[2].to_string(), "110000");
    }

    #[test]
    fn lines_on_one_tick_are_no_grid() {
        assert!(lines(Spacing::Arithmetic, 100, Decimal::ONE, Decimal::new(102, 2), &btc()).is_none());
    }

    #[test]
    fn the_smallest_arithmetic_cell_is_the_top_one() {
        let even = lines(Spacing::Arithmetic, 3, Decimal::ONE_HUNDRED, Decimal::from(102), &btc()).unwrap();
        // 102 / 101 x 0.999 / 1.001 - 1
        assert_eq!(cell_net(&even, Decimal::new(1, 3)).unwrap().to_string(), "0.00788321");
    }
}
