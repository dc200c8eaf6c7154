//! The vocabulary: money, instruments, ids, time, market data, orders.
//!
//! Promises: plain values, no behaviour that needs a clock or a disk. Never: a float in an amount of money.

mod ids;
mod instrument;
mod market;
mod money;
mod order;
mod time;

pub use ids::{Asset, ClientId, IdError, InstanceId, InstrumentIx, OrderNo, Symbol, Tag, TradeId};
pub use instrument::{Instrument, SymbolError, split_symbol};
pub use market::{Candle, ClosedCandle, PublicTrade, Quote, Quotes, Timeframe};
pub use money::{DECIMAL_MAX, Notional, Price, Qty, fast_f64};
pub use order::{Fill, OrderKind, Purpose, Side};
pub use time::{DAY_MS, Timestamp};
