//! Rows of a trade file as public trades.

use supervisor_core::domain::{Price, PublicTrade, Qty};
use supervisor_core::sim::Recording;

use super::LoadError;
use super::layout::{Size, TradeColumns};
use super::lines::Lines;
use super::row::{Amount, Fields, RowFault, amount, moment, number};

/// Bytes of a usual row.
const ROW_BYTES: u64 = 60;
/// Decimal places of a base quantity computed from a quote size.
const QTY_PLACES: u32 = 8;

/// All trades of the file.
pub(super) fn read(lines: &mut Lines, columns: &TradeColumns) -> Result<Recording, LoadError> {
    let mut trades: Vec<PublicTrade> = Vec::with_capacity(lines.rows_about(ROW_BYTES));
    let mut order = Order { id: None, time: i64::MIN };
    while let Some(line) = lines.next()? {
        let read = order.trade(line, columns);
        trades.push(read.map_err(|fault| lines.here(fault))?);
    }
    trades.shrink_to_fit();
    Ok(Recording::Trades(trades.into()))
}

/// What the next trade must come after.
struct Order {
    id: Option<i64>,
    time: i64,
}

impl Order {
    fn trade(&mut self, line: &[u8], columns: &TradeColumns) -> Result<PublicTrade, RowFault> {
        let fields = Fields::split(line, columns.count)?;
        if let Some(index) = columns.id {
            self.check_id(number("id", fields.get(index))?)?;
        }
        let at = moment("time", fields.get(columns.time))?;
        self.check_time(at.millis())?;
        let price = Price::new(amount("price", fields.get(columns.price), Amount::Positive)?);
        let qty = match columns.size {
            Size::Base(index) => amount("qty", fields.get(index), Amount::Positive).map(Qty::new)?,
            Size::SignedQuote(index) => base_of(fields.get(index), price)?,
        };
        Ok(PublicTrade { at, price, qty })
    }

    fn check_id(&mut self, value: i64) -> Result<(), RowFault> {
        match self.id.replace(value) {
            Some(previous) if value <= previous => {
                Err(RowFault::Unsorted { column: "id", value, previous, allowed: "strictly increasing" })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_time(&mut self, value: i64) -> Result<(), RowFault> {
        let previous = std::mem::replace(&mut self.time, value);
        if value < previous {
            return Err(RowFault::Unsorted { column: "time", value, previous, allowed: "the same or later" });
        }
        Ok(())
    }
}

/// Base units of a signed size in quote units, to eight places.
fn base_of(field: &[u8], price: Price) -> Result<Qty, RowFault> {
    let size = amount("size", field, Amount::NotZero)?;
    let base = size.abs().checked_div(price.get()).map(|base| base.round_dp(QTY_PLACES).normalize());
    let too_small = || RowFault::OutOfRange {
        column: "size",
        value: size.to_string(),
        allowed: "a size that at this price is 0.00000001 to 1000000000000 base units",
    };
    match base {
        Some(base) if !base.is_zero() && base <= supervisor_core::domain::DECIMAL_MAX => Ok(Qty::new(base)),
        Some(_) | None => Err(too_small()),
    }
}
