//! Rows of a kline file as candles.

use supervisor_core::domain::{Candle, Price, Qty, Timeframe, Timestamp};
use supervisor_core::sim::{Recording, interval_of};

use super::LoadError;
use super::layout::CandleColumns;
use super::lines::Lines;
use super::row::{Amount, Fields, RowFault, amount, moment};

/// Bytes of a usual row.
const ROW_BYTES: u64 = 90;

/// All candles of the file, checked row by row and then as a series.
pub(super) fn read(lines: &mut Lines, columns: &CandleColumns) -> Result<Recording, LoadError> {
    let mut candles: Vec<Candle> = Vec::with_capacity(lines.rows_about(ROW_BYTES));
    let mut first_line = 0;
    while let Some(line) = lines.next()? {
        let read = candle(line, columns).and_then(|candle| after(candles.last(), candle));
        candles.push(read.map_err(|fault| lines.here(fault))?);
        if candles.len() == 1 {
            first_line = lines.number();
        }
    }
    check_interval(&candles).map_err(|(row, fault)| lines.at(first_line + row as u64, fault))?;
    candles.shrink_to_fit();
    Ok(Recording::Candles(candles.into()))
}

fn candle(line: &[u8], columns: &CandleColumns) -> Result<Candle, RowFault> {
    let fields = Fields::split(line, columns.count)?;
    let price = |name, index| amount(name, fields.get(index), Amount::Positive).map(Price::new);
    let candle = Candle {
        open_time: moment("open_time", fields.get(columns.open_time))?,
        open: price("open", columns.open)?,
        high: price("high", columns.high)?,
        low: price("low", columns.low)?,
        close: price("close", columns.close)?,
        volume: Qty::new(amount("volume", fields.get(columns.volume), Amount::NotNegative)?),
        close_time: moment("close_time", fields.get(columns.close_time))?,
    };
    check_shape(&candle)?;
    Ok(candle)
}

fn check_shape(candle: &Candle) -> Result<(), RowFault> {
    let (open_time, close_time) = (candle.open_time.millis(), candle.close_time.millis());
    if close_time <= open_time {
        return Err(RowFault::CloseTime { open_time, close_time });
    }
    let [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(in_trillionths);
    if high >= open.max(close) && low <= open.min(close) { Ok(()) } else { Err(wrong_shape(candle)) }
}

/// An admitted price has at most 12 places and is at most 10^12, so that this is exact. Comparing `Decimal`s of
/// different scales costs ten times as much.
fn in_trillionths(price: Price) -> i128 {
    const SCALE: u32 = 12;
    price.get().mantissa() * 10_i128.pow(SCALE.saturating_sub(price.get().scale()))
}

#[cold]
fn wrong_shape(candle: &Candle) -> RowFault {
    let (high, low) = (candle.high.get(), candle.low.get());
    let (top, bottom) = (candle.open.max(candle.close).get(), candle.open.min(candle.close).get());
    if high < low {
        RowFault::HighBelowLow { high, low }
    } else if high < top {
        RowFault::HighInside { high, inner: top }
    } else {
        RowFault::LowInside { low, inner: bottom }
    }
}

fn after(previous: Option<&Candle>, candle: Candle) -> Result<Candle, RowFault> {
    let Some(previous) = previous else { return Ok(candle) };
    let (value, previous) = (candle.open_time.millis(), previous.open_time.millis());
    if value == previous {
        return Err(RowFault::Duplicate { open_time: value });
    }
    if value < previous {
        return Err(RowFault::Unsorted { column: "open_time", value, previous, allowed: "strictly increasing" });
    }
    Ok(candle)
}

/// One interval, every candle where one of this interval opens. A candle may end early: venues publish that after an
/// outage. The row is counted from 0.
fn check_interval(candles: &[Candle]) -> Result<(), (usize, RowFault)> {
    let Some(interval) = interval_of(candles) else { return Ok(()) };
    if interval.millis() % 1_000 != 0 || interval.millis() > 604_800_000 {
        return Err((0, RowFault::Length { millis: interval.millis() }));
    }
    let mut expected = Timestamp::from_millis(i64::MIN);
    for (row, candle) in candles.iter().enumerate() {
        let length = candle.close_time.since(candle.open_time) + 1;
        if length > interval.millis() {
            return Err((row, RowFault::IntervalChanged { found: Timeframe::from_millis(length), interval }));
        }
        // The division is needed for the first candle and after a gap only.
        if candle.open_time != expected {
            check_aligned(candle.open_time, interval).map_err(|fault| (row, fault))?;
        }
        expected = candle.open_time + interval.millis();
    }
    Ok(())
}

fn check_aligned(at: Timestamp, interval: Timeframe) -> Result<(), RowFault> {
    let before = interval.open_of(at);
    if before == at {
        return Ok(());
    }
    let after = (before + interval.millis()).millis();
    Err(RowFault::Misaligned { open_time: at.millis(), interval, before: before.millis(), after })
}
