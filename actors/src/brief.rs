//! The figures of an instance that `status` shows, collected without copying its state.

use supervisor_core::domain::{InstrumentIx, Notional, Timestamp};
use supervisor_core::instance::InstanceState;
use supervisor_core::market::Market;
use supervisor_core::orders::{Life, Orders};
use supervisor_core::risk::Risk;
use supervisor_core::spec::InstanceSpec;
use supervisor_core::streak::Streak;

use crate::balances::{Comparison, Counted, Difference, differences};

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
    /// What is not certain about its orders.
    pub doubts: Doubts,
    /// Quote units of everything that is held for orders.
    pub held: Notional,
    /// What gate and desk count.
    pub counted: Counted,
    /// When venue, gate and desk were last found to count the same.
    pub agreed: Option<Timestamp>,
    /// Where they do not.
    pub differences: Vec<Difference>,
}

/// What is not certain about the orders of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Orders of which nobody can say whether they are at the venue.
    pub in_doubt: u64,
    /// Orders that the venue is asked about for any reason, those in doubt included.
    pub under_query: u64,
    /// Since when the oldest of them is asked about.
    pub since: Option<Timestamp>,
    /// Orders whose facts contradict each other.
    pub disputed: u64,
    /// The newest start at the venue that is complete.
    pub reconciled: Option<Timestamp>,
}

impl Brief {
    /// Figures of a state at rest; what only actors count stays at zero.
    #[must_use]
    pub fn of(state: &InstanceState, spec: &InstanceSpec) -> Self {
        let InstanceState { mark, scheduler, stages } = state;
        let (clock, inputs, feed_position) = (mark.clock, mark.inputs, scheduler.cursor);
        let mut brief = Self { clock, inputs, feed_position, ..Self::default() };
        brief.market(&stages.market);
        brief.orders(&stages.orders);
        brief.risk(&stages.risk);
        brief.streak(&stages.streak);
        let mut comparison = Comparison::default();
        let found = differences(spec, &brief.counted, &scheduler.venue);
        // Nobody is to be told of a look.
        drop(comparison.take(std::time::Instant::now(), inputs, clock, found));
        brief.compared(&comparison);
        brief
    }

    /// What a comparison of the counts has found.
    pub fn compared(&mut self, comparison: &Comparison) {
        self.agreed = comparison.agreed;
        self.differences.clone_from(&comparison.found);
    }

    /// Figures of the order stage.
    pub fn orders(&mut self, stage: &Orders) {
        self.open_orders = stage.desk().open().len() as u64;
        (self.orders, self.fills) = stage.desk().counts();
        let (in_doubt, since) = stage.desk().in_doubt();
        let asked = stage.desk().unsettled().filter(|order| order.doubt.is_some()).count();
        let disputed = stage.desk().closing().values().filter(|order| order.life == Life::Disputed).count();
        self.doubts = Doubts {
            in_doubt: in_doubt.into(),
            under_query: asked as u64,
            since,
            disputed: disputed as u64,
            reconciled: stage.reconciled().map(|(at, _)| at),
        };
        self.counted.desk = stage.positions().iter().map(supervisor_core::position::Position::qty).collect();
    }

    /// Figures of the gate.
    pub fn risk(&mut self, stage: &Risk) {
        self.vetoed = stage.gate().counts().1;
        let exposure = stage.gate().exposure();
        self.held = exposure.holds().values().map(|hold| hold.price * hold.qty).sum();
        self.counted.cash = exposure.cash();
        // The order stage is asked first, and tells how many instruments there are.
        let instruments = (0..).map(InstrumentIx).take(self.counted.desk.len());
        self.counted.gate = instruments.map(|ix| exposure.line(ix).position).collect();
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
