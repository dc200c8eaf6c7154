//! Where market data comes from and orders go: recordings now, real venues when their issue comes.
//!
//! Promises: what leaves this crate has been checked. Never: a decision about trading.

pub mod replay;
