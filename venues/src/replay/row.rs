//! One row: its fields, and the rules that a field obeys by itself.

use rust_decimal::Decimal;
use supervisor_core::domain::{DECIMAL_MAX, Timeframe, Timestamp};

use super::number::{self, NotAmount};

/// Columns looked at; a layout that needs more is unknown.
pub(super) const FIELDS_MAX: usize = 16;
/// First number taken for microseconds.
const MICROS_MIN: i64 = 100_000_000_000_000;
const TIME_RANGE: &str = "10000000000 to 99999999999999 (milliseconds since 1970), or 100000000000000 to \
                          99999999999999999 (microseconds)";

/// Which rule a row breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Nothing between two line ends.
    #[error("is blank; only the end of a file may be")]
    Blank,
    /// No end in sight.
    #[error("is longer than {max} bytes")]
    Long {
        /// Bytes allowed.
        max: usize,
    },
    /// Not text.
    #[error("is not UTF-8 from byte {byte} on")]
    NotUtf8 {
        /// First offending byte, from 1.
        byte: usize,
    },
    /// Fewer or more columns than the file began with.
    #[error("has {found} columns; allowed: {expected}, as on the lines before")]
    Columns {
        /// Of this line.
        found: usize,
        /// Of the first line.
        expected: usize,
    },
    /// A field without content.
    #[error("column {column} is empty; allowed: {allowed}")]
    FieldEmpty {
        /// Name of the column.
        column: &'static str,
        /// What belongs there.
        allowed: &'static str,
    },
    /// A field that is no number of its kind.
    #[error("column {column} = '{value}' is not a number; allowed: {allowed}")]
    NotNumber {
        /// Name of the column.
        column: &'static str,
        /// Its text.
        value: String,
        /// What belongs there.
        allowed: &'static str,
    },
    /// A number outside its range.
    #[error("column {column} = {value} is out of range; allowed: {allowed}")]
    OutOfRange {
        /// Name of the column.
        column: &'static str,
        /// Its text.
        value: String,
        /// What belongs there.
        allowed: &'static str,
    },
    /// Earlier than the line before.
    #[error("column {column} = {value} is unsorted: the line before has {previous}; allowed: {allowed}")]
    Unsorted {
        /// Name of the column.
        column: &'static str,
        /// Its value.
        value: i64,
        /// The value of the line before.
        previous: i64,
        /// Which order the column keeps.
        allowed: &'static str,
    },
    /// The candle of the line before, again.
    #[error("duplicate candle: column open_time = {open_time} as on the line before; allowed: each once")]
    Duplicate {
        /// Milliseconds.
        open_time: i64,
    },
    /// High below low.
    #[error("column high = {high} lies below low = {low}; allowed: low or more")]
    HighBelowLow {
        /// The highest price.
        high: Decimal,
        /// The lowest price.
        low: Decimal,
    },
    /// High below open or close.
    #[error("column high = {high} lies below open or close = {inner}; allowed: {inner} or more")]
    HighInside {
        /// The highest price.
        high: Decimal,
        /// The larger of open and close.
        inner: Decimal,
    },
    /// Low above open or close.
    #[error("column low = {low} lies above open or close = {inner}; allowed: {inner} or less")]
    LowInside {
        /// The lowest price.
        low: Decimal,
        /// The smaller of open and close.
        inner: Decimal,
    },
    /// A candle that closes before it opens.
    #[error(
        "column close_time = {close_time} is not after open_time = {open_time}; allowed: open_time + length - 1 ms"
    )]
    CloseTime {
        /// Milliseconds.
        open_time: i64,
        /// Milliseconds.
        close_time: i64,
    },
    /// A length that no timeframe has.
    #[error("the candle lasts {millis} ms; allowed: whole seconds from 1s to 1w (close_time is the last millisecond)")]
    Length {
        /// Last minus first millisecond, plus one.
        millis: i64,
    },
    /// Longer than the candles before.
    #[error("the candle lasts {found}, the file's candles {interval}; allowed: one interval per file")]
    IntervalChanged {
        /// Of this candle.
        found: Timeframe,
        /// Of the file.
        interval: Timeframe,
    },
    /// Not where a candle of this interval opens.
    #[error(
        "column open_time = {open_time} is not aligned to the file's interval {interval}; allowed: {before} or {after}"
    )]
    Misaligned {
        /// Milliseconds.
        open_time: i64,
        /// Of the file.
        interval: Timeframe,
        /// Last aligned moment before.
        before: i64,
        /// First aligned moment after.
        after: i64,
    },
}

/// The fields of a line, up to [`FIELDS_MAX`].
pub(super) struct Fields<'a> {
    line: &'a [u8],
    /// Where the commas stand.
    ends: [u16; FIELDS_MAX],
    count: usize,
}

impl<'a> Fields<'a> {
    /// Splits at commas; the number of columns must be `expected`.
    pub(super) fn split(line: &'a [u8], expected: usize) -> Result<Self, RowFault> {
        let mut fields = Self { line, ends: [0; FIELDS_MAX], count: 0 };
        let mut words = line.chunks_exact(8);
        for (index, word) in words.by_ref().enumerate() {
            let mut hits = comma_bits(word);
            while hits != 0 {
                fields.push(index * 8 + hits.trailing_zeros() as usize / 8);
                hits &= hits - 1;
            }
        }
        let tail = words.remainder();
        for (index, byte) in tail.iter().enumerate() {
            if *byte == b',' {
                fields.push(line.len() - tail.len() + index);
            }
        }
        fields.push(line.len());
        if fields.count == expected { Ok(fields) } else { Err(RowFault::Columns { found: fields.count, expected }) }
    }

    fn push(&mut self, end: usize) {
        if let Some(slot) = self.ends.get_mut(self.count) {
            *slot = end as u16;
        }
        self.count += 1;
    }

    /// The bytes of a column.
    pub(super) fn get(&self, index: usize) -> &'a [u8] {
        let start =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| usize::from(*end) + 1);
        let end = self.ends.get(index).map_or(0, |end| usize::from(*end));
        self.line.get(start..end).unwrap_or_default()
    }
}

/// The top bit of each byte that is a comma, exactly (the zero-byte test without carries of H. Warren, Hacker's Delight
/// 6-1, on the bytes xor comma).
fn comma_bits(word: &[u8]) -> u64 {
    const LOW_SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let bytes = <[u8; 8]>::try_from(word).unwrap_or_default();
    let differing = u64::from_le_bytes(bytes) ^ 0x2C2C_2C2C_2C2C_2C2C;
    !(((differing & LOW_SEVEN) + LOW_SEVEN) | differing | LOW_SEVEN)
}

/// Number of columns of a line.
pub(super) fn columns(line: &[u8]) -> usize {
    line.iter().filter(|byte| **byte == b',').count() + 1
}

/// What an amount may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// More than nothing.
    Positive,
    /// Nothing or more.
    NotNegative,
    /// Either sign, but not nothing.
    NotZero,
}

impl Amount {
    const fn range(self) -> &'static str {
        match self {
            Self::Positive => "more than 0, at most 1000000000000, at most 12 decimal places",
            Self::NotNegative => "0 to 1000000000000, at most 12 decimal places",
            Self::NotZero => "-1000000000000 to 1000000000000 except 0, at most 12 decimal places",
        }
    }

    fn admits(self, value: Decimal) -> bool {
        match self {
            Self::Positive => value.is_sign_positive() && !value.is_zero(),
            Self::NotNegative => value.is_sign_positive() || value.is_zero(),
            Self::NotZero => !value.is_zero(),
        }
    }
}

/// An exact amount.
pub(super) fn amount(column: &'static str, field: &[u8], kind: Amount) -> Result<Decimal, RowFault> {
    match number::short_decimal(field) {
        Some(value) if kind.admits(value) => Ok(value),
        Some(_) => Err(out_of_range(column, field, kind.range())),
        None => long_amount(column, field, kind),
    }
}

#[cold]
fn long_amount(column: &'static str, field: &[u8], kind: Amount) -> Result<Decimal, RowFault> {
    match number::long_decimal(field) {
        Ok(value) if kind.admits(value) && value.abs() <= DECIMAL_MAX => Ok(value),
        Ok(_) | Err(NotAmount::Places | NotAmount::Large) => Err(out_of_range(column, field, kind.range())),
        Err(NotAmount::Text) => Err(not_number(column, field, kind.range())),
    }
}

/// A moment in milliseconds or, as in Binance's dumps from 2025 on, microseconds.
pub(super) fn moment(column: &'static str, field: &[u8]) -> Result<Timestamp, RowFault> {
    match number::whole(field) {
        None => Err(not_number(column, field, TIME_RANGE)),
        Some(millis @ 10_000_000_000..MICROS_MIN) => Ok(Timestamp::from_millis(millis)),
        Some(micros @ MICROS_MIN..100_000_000_000_000_000) => Ok(Timestamp::from_millis(micros / 1_000)),
        Some(_) => Err(out_of_range(column, field, TIME_RANGE)),
    }
}

/// A trade's number.
pub(super) fn number(column: &'static str, field: &[u8]) -> Result<i64, RowFault> {
    let allowed = "0 to 999999999999999999";
    match number::whole(field) {
        None => Err(not_number(column, field, allowed)),
        Some(value) if value < 0 => Err(out_of_range(column, field, allowed)),
        Some(value) => Ok(value),
    }
}

fn not_number(column: &'static str, field: &[u8], allowed: &'static str) -> RowFault {
    if field.is_empty() {
        return RowFault::FieldEmpty { column, allowed };
    }
    RowFault::NotNumber { column, value: shown(field), allowed }
}

fn out_of_range(column: &'static str, field: &[u8], allowed: &'static str) -> RowFault {
    RowFault::OutOfRange { column, value: shown(field), allowed }
}

/// As much of a field as fits into a message.
fn shown(field: &[u8]) -> String {
    String::from_utf8_lossy(field).chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_are_what_stands_between_commas(
            line in prop::collection::vec(prop_oneof![Just(b','), any::<u8>()], 0..120),
        ) {
            let plain: Vec<&[u8]> = line.split(|byte| *byte == b',').collect();
            prop_assert_eq!(columns(&line), plain.len());
            let Ok(fields) = Fields::split(&line, plain.len()) else { panic!("wrong count") };
            for (index, field) in plain.iter().enumerate().take(FIELDS_MAX) {
                prop_assert_eq!(fields.get(index), *field);
            }
            prop_assert!(fields.get(FIELDS_MAX).is_empty());
            prop_assert!(Fields::split(&line, plain.len() + 1).is_err());
        }
    }
}
