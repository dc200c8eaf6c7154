//! The figures of an instance that `status` shows, collected without copying its state.

use supervisor_core::domain::{Notional, Timestamp};
use supervisor_core::instance::InstanceState;
use supervisor_core::market::Market;
use supervisor_core::orders::Orders;
use supervisor_core::risk::Risk;
use supervisor_core::streak::Streak;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Brief {
    /// Moment of the newest input.
    pub clock: Timestamp,
    /// Inputs taken.
    pub inputs: u64,
    /// Candles or trades seen.
    pub candles: u64,
    /// Events taken from the feed.
    pub feed_position: u64,
    /// Events there are.
    pub feed_len: Option<u64>,
    /// Open orders.
    pub open_orders: u64,
    /// Orders sent.
    pub orders: u64,
    /// Executions.
    pub fills: u64,
    /// Round trips.
    pub round_trips: u64,
    /// Intents refused.
    pub vetoed: u64,
    /// Realised profit of the current day.
    pub day_profit: Notional,
    /// Equity at the last mark.
    pub equity: Notional,
    /// Equity at the first mark.
    pub equity_start: Option<Notional>,
    /// Largest fall from the running peak.
    pub drawdown: Option<rust_decimal::Decimal>,
    /// Messages handled by each stage, in the order of the `Stage` enum.
    pub hops: [u64; 5],
}

impl Brief {
    /// Figures of a state at rest; what only actors count stays at zero.
    #[must_use]
    pub fn of(state: &InstanceState) -> Self {
        let InstanceState { mark, scheduler, stages } = state;
        let (clock, inputs, feed_position) = (mark.clock, mark.inputs, scheduler.cursor);
        let mut brief = Self { clock, inputs, feed_position, ..Self::default() };
        brief.market(&stages.market);
        brief.risk(&stages.risk);
        brief.orders(&stages.orders);
        brief.streak(&stages.streak);
        brief
    }

    /// Figures of the order stage.
    pub fn orders(&mut self, stage: &Orders) {
        self.open_orders = stage.desk().open().len() as u64;
        (self.orders, self.fills) = stage.desk().counts();
    }

    /// Figures of the gate.
    pub fn risk(&mut self, stage: &Risk) {
        self.vetoed = stage.gate().counts().1;
    }

    /// Figures of the streak monitor.
    pub fn streak(&mut self, stage: &Streak) {
        let metrics = stage.metrics();
        self.round_trips = metrics.trips;
        self.equity = metrics.equity;
        self.equity_start = metrics.equity_start;
        self.drawdown = metrics.drawdown_share();
        self.day_profit = stage.run().2;
    }

    /// Figures of the market stage.
    pub fn market(&mut self, stage: &Market) {
        self.candles = stage.counts().2;
    }
}
