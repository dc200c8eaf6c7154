//! How a simulated venue is and how it misbehaves: every figure that a plan can draw.
//!
//! Promises: all fault rates are fields, all are zero in [`VenueRates::QUIET`]. Never: a fault that has no field.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use supervisor_core::domain::{Asset, Instrument, Price, Timestamp};
use supervisor_core::spec::IdClass;

/// What a venue is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueConfig {
    /// What can be traded.
    pub symbols: Vec<Instrument>,
    /// First price of each symbol, in the same order.
    pub start_prices: Vec<Price>,
    /// Accounts: their names and what they hold at the start.
    pub accounts: Vec<(String, BTreeMap<Asset, Decimal>)>,
    /// How client order ids are kept apart. `None` is not simulated: it is treated as `Open`.
    pub ids: IdClass,
    /// First moment of the venue.
    pub start: Timestamp,
    /// Fee of a resting execution, fraction of the notional.
    pub maker_fee: Decimal,
    /// Fee of a taking execution, fraction of the notional.
    pub taker_fee: Decimal,
    /// A request is refused when it is older than this, ms.
    pub window_ms: i64,
    /// A request is refused when it was signed further ahead of the venue's clock than this, ms.
    pub ahead_ms: i64,
    /// A valid request waits at most this long inside the venue before it is worked on, ms.
    pub engine_ms: i64,
    /// By-id lookups, lists of open orders, of trades and of balances may be this old, ms.
    pub lookup_lag_ms: i64,
    /// Time between two price steps, ms.
    pub step_ms: i64,
    /// Standard deviation of a price step, millionths of the price.
    pub volatility_ppm: u32,
    /// Share of the distance to the first price that a step goes back, millionths.
    pub pull_ppm: u32,
    /// Half of the spread between bid and ask, ticks (at least 1).
    pub half_spread_ticks: u32,
    /// Requests an account may send in a burst; 0: without limit.
    pub burst: u32,
    /// Requests an account may send per second in the long run; 0: without limit.
    pub per_second: u32,
    /// How it misbehaves.
    pub rates: VenueRates,
}

/// How often a venue does what no one asked for. Per mille, unless a field says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueRates {
    /// Price steps that jump by 5 to 25 standard deviations.
    pub jump: u32,
    /// Executions that are only a part of what is wanted.
    pub partial: u32,
    /// Touches of a resting limit that trade (a price beyond the limit always trades).
    pub touch: u32,
    /// Market and IOC orders that find too little to trade with: the rest expires.
    pub thin: u32,
    /// Orders taken as pending first and activated later.
    pub pending: u32,
    /// Pending orders that are called armed instead.
    pub armed: u32,
    /// A pending order is activated within this, ms.
    pub pending_ms: i64,
    /// Post-only orders that would take and are acknowledged before they are refused.
    pub late_reject: u32,
    /// Orders that wait in the engine before they are born; the caller is told that the venue is busy.
    pub held: u32,
    /// Lookups answered from a source that lags.
    pub lagging: u32,
    /// Withdrawals of an order that is over answered with unknown instead of too late.
    pub forgetful: u32,
    /// Orders that the venue withdraws on its own within `own_ms`, if they still rest.
    pub own_cancel: u32,
    /// Orders that expire on their own within `own_ms`, if they still rest.
    pub own_expiry: u32,
    /// See `own_cancel` and `own_expiry`.
    pub own_ms: i64,
    /// Executions declared void within `bust_ms`, if the account can still give back what it got.
    pub bust: u32,
    /// See `bust`.
    pub bust_ms: i64,
    /// Executions that complete an order and go beyond its quantity.
    pub overfill: u32,
    /// A person trades on each account about this often, ms; 0: never.
    pub human_ms: i64,
}

impl VenueRates {
    /// A venue that works as it should: limits trade on half of their touches, nothing else is left to chance.
    pub const QUIET: Self = Self {
        jump: 0,
        partial: 0,
        touch: 500,
        thin: 0,
        pending: 0,
        armed: 0,
        pending_ms: 0,
        late_reject: 0,
        held: 0,
        lagging: 0,
        forgetful: 0,
        own_cancel: 0,
        own_expiry: 0,
        own_ms: 0,
        bust: 0,
        bust_ms: 0,
        overfill: 0,
        human_ms: 0,
    };
}
