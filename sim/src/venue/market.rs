//! One symbol: its price, and our orders that rest at it.
//!
//! Owns a random walk on the tick grid with jumps and a pull back to the first price, and the list of resting orders.
//! Promises: the price stays between half and twice the first one and never under a tick; additions and products only,
//! so that a seed means the same path on every machine. Never: touches an account.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use supervisor_core::domain::{Instrument, Price, Qty, Side};

use super::chance::Chance;

const PPM: f64 = 1e6;

/// How the price of a symbol moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    /// Standard deviation of a step, millionths.
    pub(super) volatility_ppm: u32,
    /// Share of the way back to the first price, millionths.
    pub(super) pull_ppm: u32,
    /// Steps that jump, per mille.
    pub(super) jump: u32,
}

/// A resting order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    /// Its position in the venue's list.
    pub(super) order: usize,
    /// Position of its account.
    pub(super) account: usize,
    /// Which way.
    pub(super) side: Side,
    /// Its limit, ticks.
    pub(super) ticks: i64,
}

/// One symbol.
#[derive(Clone, Debug)]
pub(super) struct Market {
    /// What is traded.
    pub(super) instrument: Instrument,
    chance: Chance,
    start: f64,
    exact: f64,
    ticks: i64,
    half_spread: i64,
    /// Our resting orders, oldest first.
    resting: Vec<Resting>,
    trades: u64,
}

impl Market {
    /// At its first price.
    pub(super) fn new(instrument: Instrument, start: Price, half_spread: u32, chance: Chance) -> Self {
        let mut market = Self {
            instrument,
            chance,
            start: 0.0,
            exact: 0.0,
            ticks: 0,
            half_spread: i64::from(half_spread.max(1)),
            resting: Vec::new(),
            trades: 0,
        };
        market.ticks = market.ticks_of(start).max(market.half_spread + 1);
        market.start = market.ticks as f64;
        market.exact = market.start;
        market
    }

    /// One step of the price; true when it moved.
    pub(super) fn step(&mut self, motion: Motion) -> bool {
        let sigma = f64::from(motion.volatility_ppm) / PPM;
        let mut change = sigma * self.chance.normal();
        if self.chance.hits(motion.jump) {
            let size = (5.0 + 20.0 * self.chance.unit()) * sigma;
            change += if self.chance.hits(500) { size } else { -size };
        }
        let pulled = (self.start - self.exact) * f64::from(motion.pull_ppm) / PPM;
        let moved = self.exact * (1.0 + change) + pulled;
        self.exact = moved.clamp(self.start * 0.5, self.start * 2.0);
        let before = self.ticks;
        self.ticks = (self.exact.round() as i64).max(self.half_spread + 1);
        self.ticks != before
    }

    /// The last price.
    pub(super) fn price(&self) -> Price {
        self.price_at(self.ticks)
    }

    /// What a taker pays or gets, ticks: the ask for a buy, the bid for a sell.
    pub(super) fn taken_at(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.ticks + self.half_spread,
            Side::Sell => self.ticks - self.half_spread,
        }
    }

    /// So many ticks as a price.
    pub(super) fn price_at(&self, ticks: i64) -> Price {
        Price::new(self.instrument.tick * Decimal::from(ticks))
    }

    /// A price in whole ticks.
    pub(super) fn ticks_of(&self, price: Price) -> i64 {
        (price.get() / self.instrument.tick).round().to_i64().unwrap_or(i64::MAX)
    }

    /// So many lots as a quantity.
    pub(super) fn lots(&self, lots: i64) -> Qty {
        Qty::new(self.instrument.lot * Decimal::from(lots))
    }

    /// A quantity in whole lots.
    pub(super) fn lots_of(&self, qty: Qty) -> i64 {
        (qty.get() / self.instrument.lot).to_i64().unwrap_or(i64::MAX)
    }

    /// The number of the next execution.
    pub(super) fn next_trade(&mut self) -> u64 {
        self.trades += 1;
        self.trades
    }

    /// An order rests from now on.
    pub(super) fn rest(&mut self, resting: Resting) {
        self.resting.push(resting);
    }

    /// An order does not rest any more.
    pub(super) fn remove(&mut self, order: usize) {
        self.resting.retain(|resting| resting.order != order);
    }

    /// Resting orders that the price has reached, oldest first; true with those that it is beyond.
    pub(super) fn reached(&self) -> Vec<(usize, bool)> {
        let beyond = |resting: &Resting| match resting.side {
            Side::Buy => resting.ticks - self.ticks,
            Side::Sell => self.ticks - resting.ticks,
        };
        let reached = self.resting.iter().map(|resting| (resting.order, beyond(resting)));
        reached.filter(|(_, beyond)| *beyond >= 0).map(|(order, beyond)| (order, beyond > 0)).collect()
    }

    /// Resting orders of the same account that an order on this side would meet before the rest of the market, or
    /// within its own limit.
    pub(super) fn met_by(&self, account: usize, side: Side, limit: Option<i64>) -> Vec<usize> {
        let best = self.taken_at(side);
        let is_met = |resting: &Resting| match side {
            Side::Buy => resting.ticks <= limit.unwrap_or(best).min(best),
            Side::Sell => resting.ticks >= limit.unwrap_or(best).max(best),
        };
        let opposite = |resting: &&Resting| resting.account == account && resting.side == side.opposite();
        self.resting.iter().filter(opposite).filter(|resting| is_met(resting)).map(|resting| resting.order).collect()
    }

    /// True when a taker with this limit finds a price.
    pub(super) fn is_marketable(&self, side: Side, limit: Option<i64>) -> bool {
        let best = self.taken_at(side);
        match side {
            Side::Buy => limit.is_none_or(|limit| limit >= best),
            Side::Sell => limit.is_none_or(|limit| limit <= best),
        }
    }
}
