//! Which columns a file has: from its header, or from the number and content of its columns.

use super::row::{FIELDS_MAX, columns};

/// The layouts, for messages.
pub(super) const ACCEPTED: &str = "candles 'open_time,open,high,low,close,volume,close_time,...' (Binance klines, \
    header optional); trades 'id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch', aggregate trades \
    'aggId,price,qty,firstId,lastId,time,isBuyerMaker,isBestMatch', USD-M trades \
    'id,price,qty,quote_qty,time,is_buyer_maker' (header optional); BitMEX 'timestamp,price,size' (with header)";

/// What the rows mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Klines.
    Candles(CandleColumns),
    /// Prints.
    Trades(TradeColumns),
}

/// Where a candle's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CandleColumns {
    pub(super) open_time: usize,
    pub(super) open: usize,
    pub(super) high: usize,
    pub(super) low: usize,
    pub(super) close: usize,
    pub(super) volume: usize,
    pub(super) close_time: usize,
    /// Columns of each line.
    pub(super) count: usize,
}

/// Where a trade's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TradeColumns {
    pub(super) id: Option<usize>,
    pub(super) price: usize,
    pub(super) size: Size,
    pub(super) time: usize,
    /// Columns of each line.
    pub(super) count: usize,
}

/// How much was traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// In base units.
    Base(usize),
    /// In quote units, negative when the taker sold (BitMEX).
    SignedQuote(usize),
}

impl Layout {
    /// The layout, and whether this first line is a header.
    pub(super) fn of(line: &[u8]) -> Option<(Self, bool)> {
        if line.first()?.is_ascii_alphabetic() {
            Self::of_header(&String::from_utf8_lossy(line).to_ascii_lowercase()).map(|layout| (layout, true))
        } else {
            Self::of_row(line).map(|layout| (layout, false))
        }
    }

    fn of_header(header: &str) -> Option<Self> {
        let names: Vec<&str> = header.split(',').map(str::trim).take(FIELDS_MAX).collect();
        let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(name));
        let count = columns(header.as_bytes());
        let candles = || {
            Some(Self::Candles(CandleColumns {
                open_time: find(&["open_time"])?,
                open: find(&["open"])?,
                high: find(&["high"])?,
                low: find(&["low"])?,
                close: find(&["close"])?,
                volume: find(&["volume"])?,
                close_time: find(&["close_time"])?,
                count,
            }))
        };
        let trades = || {
            Some(Self::Trades(TradeColumns {
                id: Some(find(&["id", "aggid", "agg_trade_id", "trade_id"])?),
                price: find(&["price"])?,
                size: Size::Base(find(&["qty", "quantity"])?),
                time: find(&["time", "time_ms", "transact_time"])?,
                count,
            }))
        };
        let bitmex = || {
            Some(Self::Trades(TradeColumns {
                id: None,
                price: find(&["price"])?,
                size: Size::SignedQuote(find(&["size"])?),
                time: find(&["timestamp"])?,
                count,
            }))
        };
        candles().or_else(trades).or_else(bitmex)
    }

    /// Without a header only the flags at the end (is the buyer the maker?) tell trades from candles.
    fn of_row(line: &[u8]) -> Option<Self> {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b',').take(FIELDS_MAX + 1).collect();
        let flags = fields.iter().rev().take_while(|field| is_flag(field)).count();
        let trades =
            |time| Self::Trades(TradeColumns { id: Some(0), price: 1, size: Size::Base(2), time, count: fields.len() });
        match (fields.len(), flags) {
            (6, 1) | (7, 2) => Some(trades(4)),
            (7, 1) | (8, 2) => Some(trades(5)),
            (count @ 7..=12, 0) => Some(Self::Candles(CandleColumns {
                open_time: 0,
                open: 1,
                high: 2,
                low: 3,
                close: 4,
                volume: 5,
                close_time: 6,
                count,
            })),
            _ => None,
        }
    }
}

fn is_flag(field: &[u8]) -> bool {
    field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trades(id: Option<usize>, size: Size, time: usize, count: usize) -> Layout {
        Layout::Trades(TradeColumns { id, price: 1, size, time, count })
    }

    #[test]
    fn rows_without_header_are_told_apart_by_their_flags() {
        for (line, layout) in [
            ("1,2.0,3.0,6.0,1577977823305,True,True", trades(Some(0), Size::Base(2), 4, 7)),
            ("1,2.0,3.0,5,5,1577977823305,True,True", trades(Some(0), Size::Base(2), 5, 8)),
            ("1,2.0,3.0,5,5,1577977823305,false", trades(Some(0), Size::Base(2), 5, 7)),
            ("1,2.0,3.0,6.0,1577977823305,true", trades(Some(0), Size::Base(2), 4, 6)),
        ] {
            assert_eq!(Layout::of(line.as_bytes()), Some((layout, false)), "{line}");
        }
        for line in ["1735700400000,1,2,1,2,5,1735700459999", "1735700400000,1,2,1,2,5,1735700459999,0,0,0,0,0"] {
            assert!(matches!(Layout::of(line.as_bytes()), Some((Layout::Candles(_), false))), "{line}");
        }
    }

    #[test]
    fn headers_name_their_columns_in_any_order() {
        let bitmex = trades(None, Size::SignedQuote(2), 0, 3);
        assert_eq!(Layout::of(b"timestamp,price,size"), Some((bitmex, true)));
        let futures = trades(Some(0), Size::Base(2), 5, 7);
        let header = b"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker";
        assert_eq!(Layout::of(header), Some((futures, true)));
        let Some((Layout::Candles(columns), true)) = Layout::of(b"close_time,volume,close,low,high,open,Open_Time")
        else {
            panic!("not candles");
        };
        assert_eq!((columns.open_time, columns.open, columns.close_time, columns.count), (6, 5, 0, 7));
    }

    #[test]
    fn other_columns_are_unknown() {
        for line in
            ["", "1,2,3", "date,o,h,l,c", "1735700400000,1,2,1,2,5", "1,2,3,4,5,6,7,8,9,10,11,12,13", "{\"a\":1}"]
        {
            assert_eq!(Layout::of(line.as_bytes()), None, "{line}");
        }
    }
}
