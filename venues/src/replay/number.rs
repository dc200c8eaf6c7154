//! Exact numbers from the bytes of a field.

use rust_decimal::Decimal;

/// Most decimal places of an amount, trailing zeros not counted.
pub(super) const PLACES_MAX: usize = 12;
/// Digits that always fit into 64 bits.
const DIGITS_MAX: usize = 18;
/// Digits before the point that always stay below 10^12.
const WHOLE_MAX: usize = 12;
/// Digits that always fit into a `Decimal`.
const SIGNIFICANT_MAX: i64 = 28;

/// Why a field is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAmount {
    /// Not a decimal number.
    Text,
    /// More than [`PLACES_MAX`] decimal places.
    Places,
    /// More digits than a `Decimal` holds, thus more than anything allowed.
    Large,
}

/// The exact value without trailing zeros, if the field has the common form (digits and a point). Its magnitude is
/// below 10^12.
pub(super) fn short_decimal(field: &[u8]) -> Option<Decimal> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, field),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], trim_zeros(&digits[at + 1..])),
        None => (digits, &[][..]),
    };
    let count = whole.len() + fraction.len();
    if whole.is_empty() || whole.len() > WHOLE_MAX || fraction.len() > PLACES_MAX || count > DIGITS_MAX {
        return None;
    }
    let mantissa = append_digits(append_digits(0, whole)?, fraction)?;
    let [b0, b1, b2, b3, b4, b5, b6, b7] = mantissa.to_le_bytes();
    let (low, middle) = (u32::from_le_bytes([b0, b1, b2, b3]), u32::from_le_bytes([b4, b5, b6, b7]));
    Some(Decimal::from_parts(low, middle, 0, negative && mantissa != 0, fraction.len() as u32))
}

fn append_digits(start: u64, digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(start, |total, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| total * 10 + u64::from(digit))
    })
}

fn trim_zeros(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
}

/// The exact value in any other form: a sign, digits with or without a point, an exponent.
pub(super) fn long_decimal(field: &[u8]) -> Result<Decimal, NotAmount> {
    let (negative, unsigned) = match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, field),
    };
    let (number, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..]).ok_or(NotAmount::Text)?),
        None => (unsigned, 0),
    };
    let mut points = number.split(|byte| *byte == b'.');
    let (whole, fraction) = (points.next().unwrap_or_default(), points.next().unwrap_or_default());
    let digits = [whole, fraction].concat();
    if points.next().is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NotAmount::Text);
    }
    let trimmed = trim_zeros(&digits);
    let zeros = (digits.len() - trimmed.len()) as i64;
    scaled(negative, trimmed, exponent - fraction.len() as i64 + zeros)
}

/// The digits times 10^`power`; they do not end in a zero.
fn scaled(negative: bool, digits: &[u8], power: i64) -> Result<Decimal, NotAmount> {
    let significant = digits.iter().position(|byte| *byte != b'0').map_or(&[][..], |at| &digits[at..]);
    if significant.is_empty() {
        return Ok(Decimal::ZERO);
    }
    if power < -(PLACES_MAX as i64) {
        return Err(NotAmount::Places);
    }
    if significant.len() as i64 + power.max(0) > SIGNIFICANT_MAX {
        return Err(NotAmount::Large);
    }
    let mantissa = significant.iter().fold(0_i128, |total, byte| total * 10 + i128::from(byte - b'0'));
    let (grown, scale) = (mantissa * 10_i128.pow(power.max(0) as u32), (-power).max(0) as u32);
    Decimal::try_from_i128_with_scale(if negative { -grown } else { grown }, scale).map_err(|_| NotAmount::Large)
}

/// Three digits and a sign; more is no price.
fn exponent(field: &[u8]) -> Option<i64> {
    let digits = field.strip_prefix(b"+").unwrap_or(field);
    if digits.len() > 4 { None } else { whole(digits) }
}

/// A whole number of at most 18 digits.
pub(super) fn whole(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, field),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let total = append_digits(0, digits)? as i64;
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(field: &[u8]) -> Result<Decimal, NotAmount> {
        let long = long_decimal(field);
        if let Some(short) = short_decimal(field) {
            assert_eq!(long.map(|d| d.to_string()), Ok(short.to_string()));
        }
        long
    }

    #[test]
    fn common_forms_are_exact_and_lose_their_zeros() {
        for (text, same) in [
            ("94098.91", "94098.91"),
            ("3839.00000000", "3839"),
            ("0.10", "0.1"),
            ("100", "100"),
            ("-7.250", "-7.25"),
            ("6e-05", "0.00006"),
            ("1.5E+3", "1500"),
            ("+2.5", "2.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.0000000000000000000000000000000000000000", "0"),
            ("-0.0", "0"),
            ("0e-30", "0"),
            ("1200000000000000000e-18", "1.2"),
            ("123456789012.123456789012", "123456789012.123456789012"),
            ("000000000000000000000001.5", "1.5"),
        ] {
            assert_eq!(decimal(text.as_bytes()).map(|d| d.to_string()), Ok(same.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "", "-", ".", "1.2.3", "1,5", "nan", "NaN", "inf", "1_000", "0x10", " 1", "1 ", "--1", "1e", "e5", "+-1",
            "1e99999", "1e5e5",
        ] {
            assert_eq!(decimal(text.as_bytes()), Err(NotAmount::Text), "{text}");
        }
        assert_eq!(decimal(b"0.1234567890123"), Err(NotAmount::Places));
        assert_eq!(decimal(b"1e-13"), Err(NotAmount::Places));
        assert_eq!(decimal(b"0.00000000000000000000000000000000001"), Err(NotAmount::Places));
        assert_eq!(decimal(b"100000000000000000000000000000000"), Err(NotAmount::Large));
        assert_eq!(decimal(b"1e99"), Err(NotAmount::Large));
        assert_eq!(decimal(b"\xFF"), Err(NotAmount::Text));
    }

    #[test]
    fn whole_numbers_have_at_most_18_digits() {
        assert_eq!(whole(b"1735700400000"), Some(1_735_700_400_000));
        assert_eq!(whole(b"-5"), Some(-5));
        for text in ["", "-", "1.0", "1e3", "1234567890123456789", "+1", " 1"] {
            assert_eq!(whole(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_decimal_comes_back(digits in 0_i64..1_000_000_000_000_000_000, minus: bool, scale in 0_u32..=12) {
            let mantissa = if minus { -digits } else { digits };
            let value = Decimal::new(mantissa, scale);
            let read = decimal(value.to_string().as_bytes());
            prop_assert_eq!(read, Ok(value));
            prop_assert_eq!(read.map(|d| d.to_string()), Ok(value.normalize().to_string()));
        }

        #[test]
        fn no_bytes_panic(field in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (decimal(&field), whole(&field));
        }
    }
}
