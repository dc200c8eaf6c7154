//! Amounts: prices, quantities and notionals as exact decimals.
//!
//! Owns the three money newtypes. Promises: exact arithmetic; no sentinel values. Never: a float on the way in.
//!
//! `Decimal` panics when a result passes 7.9e28. Every amount that enters the core is bounded by [`DECIMAL_MAX`] at the
//! door (configuration and feeds check it), so that the product of two amounts stays far inside that range.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Largest magnitude of any amount accepted from a file, a feed or an operator: 10^12.
pub const DECIMAL_MAX: Decimal = Decimal::from_parts(0xD4A5_1000, 0xE8, 0, false, 0);

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Decimal);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// Wraps an exact decimal.
            #[must_use]
            pub const fn new(value: Decimal) -> Self {
                Self(value)
            }

            /// The exact decimal inside.
            #[must_use]
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// True when the amount is exactly zero.
            #[must_use]
            pub fn is_zero(self) -> bool {
                self.0.is_zero()
            }

            /// True when the amount is greater than zero.
            #[must_use]
            pub fn is_positive(self) -> bool {
                !self.0.is_zero() && self.0.is_sign_positive()
            }

            /// True when the amount is less than zero.
            #[must_use]
            pub fn is_negative(self) -> bool {
                !self.0.is_zero() && self.0.is_sign_negative()
            }

            /// The same value without trailing zeros, for people and reports.
            #[must_use]
            pub fn normalized(self) -> Decimal {
                self.0.normalize()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.normalize(), f)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Mul<Decimal> for $name {
            type Output = Self;
            fn mul(self, factor: Decimal) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, Add::add)
            }
        }
    };
}

amount! {
    /// Quote units per one base unit.
    Price
}
amount! {
    /// Base units.
    Qty
}
amount! {
    /// Quote units: price times quantity, fees, profit, cash.
    Notional
}

impl Mul<Qty> for Price {
    type Output = Notional;
    fn mul(self, qty: Qty) -> Notional {
        Notional(self.0 * qty.0)
    }
}

impl Mul<Price> for Qty {
    type Output = Notional;
    fn mul(self, price: Price) -> Notional {
        price * self
    }
}

impl Price {
    /// The value as a float for indicators only; see [`fast_f64`].
    #[must_use]
    pub fn to_f64(self) -> f64 {
        fast_f64(self.0)
    }
}

impl Qty {
    /// The value as a float for indicators only; see [`fast_f64`].
    #[must_use]
    pub fn to_f64(self) -> f64 {
        fast_f64(self.0)
    }
}

/// Powers of ten that a double holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The double nearest to a decimal. Correctly rounded when mantissa < 2^53 and scale <= 22 (one exact division, the
/// classic fast path of decimal parsing); otherwise by way of its text.
#[must_use]
pub fn fast_f64(value: Decimal) -> f64 {
    let mantissa = value.mantissa();
    let scale = value.scale() as usize;
    if mantissa.unsigned_abs() < (1 << 53) && scale < EXACT_TENS.len() {
        return (mantissa as i64) as f64 / EXACT_TENS[scale];
    }
    value.to_string().parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_a_trillion() {
        assert_eq!(DECIMAL_MAX, Decimal::from(1_000_000_000_000_i64));
    }

    #[test]
    fn floats_are_the_nearest_ones() {
        for text in ["0", "0.1", "94098.91", "0.00000001", "123456789012.123456789", "-7.25"] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(fast_f64(decimal), text.parse::<f64>().unwrap(), "{text}");
        }
    }
}
