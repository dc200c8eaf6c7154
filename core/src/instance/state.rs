//! The state of an instance as one value: snapshot, digest, report.
//!
//! Promises: the digest covers every stage and the venue behind them; two instances that were told the same end with
//! the same digest, in a backtest and live.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::stages::Stages;
use super::worklist::Mark;
use crate::domain::{Asset, InstanceId, InstrumentIx, Notional, Price};
use crate::sim::SchedulerState;
use crate::spec::InstanceSpec;

/// Everything an instance needs to go on: taken only while its worklist is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Quotes, clock and counters.
    pub mark: Mark,
    /// The paper venue, the path of the candle at hand, the timer, the feed's cursor.
    pub scheduler: SchedulerState,
    /// The five stages.
    pub stages: Stages,
}

/// A state cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Encoding failed.
    #[error("state of '{instance}' cannot be encoded: {source}")]
    Encode {
        /// Whose.
        instance: InstanceId,
        /// Why.
        source: postcard::Error,
    },
    /// Decoding failed.
    #[error("state of '{instance}' cannot be decoded: {source}")]
    Decode {
        /// Whose.
        instance: InstanceId,
        /// Why.
        source: postcard::Error,
    },
}

/// Hash of a state: 128 bits of SHA-256 over its canonical encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of what is covered, also in the layout of an earlier version.
    ///
    /// # Errors
    /// [`StateError::Encode`] when the encoding fails.
    pub fn of(instance: InstanceId, covered: &impl Serialize) -> Result<Self, StateError> {
        let bytes = postcard::to_allocvec(covered).map_err(|source| StateError::Encode { instance, source })?;
        let hash = Sha256::digest(&bytes);
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        Ok(Self(short))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What the digest covers, for `digest --explain`.
pub const DIGEST_COVERS: &[(&str, &str)] = &[
    ("instance", "the id"),
    ("mark", "last quotes, virtual clock, whether prices are watched, kill and custody, the number of facts"),
    ("market", "forming candles of every timeframe, last candle, gaps"),
    ("strategy", "indicators, ladders with their cells and pairings, regime, breaker, phases, room last told"),
    ("risk", "latches, cash, positions, holds, approvals inside the duplicate window, counters"),
    ("orders", "open orders, ended orders (the last 256 whole, older ones as a hash chain), fills, positions, guards"),
    ("streak", "figures, equity, drawdown, daily profit, run of positive days"),
    ("venue", "balances, resting orders, requests under way, trade numbers"),
    ("scheduler", "the candle path at hand, the timer, the feed's cursor"),
    ("not covered", "epoch, client order ids, causes, restart counts, wall time, hop counters, configuration"),
];

impl InstanceState {
    /// The digest; see [`DIGEST_COVERS`].
    ///
    /// # Errors
    /// [`StateError::Encode`] when the encoding fails.
    pub fn digest(&self, instance: InstanceId) -> Result<Digest, StateError> {
        let covered = (instance, self.mark.covered(), &self.scheduler, &self.stages);
        Digest::of(instance, &covered)
    }

    /// The snapshot's bytes.
    ///
    /// # Errors
    /// [`StateError::Encode`] when the encoding fails.
    pub fn encode(&self, instance: InstanceId) -> Result<Vec<u8>, StateError> {
        postcard::to_allocvec(self).map_err(|source| StateError::Encode { instance, source })
    }

    /// A snapshot from its bytes.
    ///
    /// # Errors
    /// [`StateError::Decode`] when the bytes are no state.
    pub fn decode(instance: InstanceId, bytes: &[u8]) -> Result<Self, StateError> {
        postcard::from_bytes(bytes).map_err(|source| StateError::Decode { instance, source })
    }

    /// The performance report.
    ///
    /// # Errors
    /// [`StateError::Encode`] when the digest cannot be computed.
    pub fn report(&self, spec: &InstanceSpec) -> Result<Report, StateError> {
        let metrics = self.stages.streak.metrics();
        let positions = self.stages.orders.positions();
        let price = |at: usize| self.mark.quotes.get(ix(at)).map_or(Price::ZERO, |quote| quote.last);
        let realised: Notional = positions.iter().map(crate::position::Position::realised).sum();
        let unrealised: Notional = positions.iter().enumerate().map(|(at, p)| p.unrealised(price(at))).sum();
        let (gaps, missing, candles) = self.stages.market.counts();
        let (orders, fills) = self.stages.orders.desk().counts();
        let (approved, vetoed) = self.stages.risk.gate().counts();
        Ok(Report {
            id: spec.id,
            digest: self.digest(spec.id)?,
            strategy: spec.strategy.word(),
            instruments: spec.instruments.iter().map(|i| i.symbol.to_string()).collect(),
            until: self.mark.clock.to_string(),
            candles,
            gaps,
            missing_candles: missing,
            approved,
            vetoed,
            orders,
            open_orders: self.stages.orders.desk().open().len() as u64,
            fills,
            round_trips: metrics.trips,
            wins: metrics.wins,
            win_rate: metrics.win_rate().map(|rate| rate.normalize()),
            fees: metrics.fees.normalized(),
            turnover: metrics.turnover.normalized(),
            realised: realised.normalized(),
            unrealised: unrealised.normalized(),
            grid_profit: (spec.strategy.trips() == crate::strategy::TripKind::Pairs)
                .then(|| metrics.pair_profit.normalized()),
            equity: self.equity(spec).normalized(),
            max_drawdown: metrics.drawdown_share().map(|share| share.normalize()),
            balances: self.balances(spec),
        })
    }

    /// Cash plus holdings at the last prices.
    fn equity(&self, spec: &InstanceSpec) -> Notional {
        let venue = &self.scheduler.venue;
        let worth = |at: usize| {
            let mark = self.mark.quotes.get(ix(at)).map_or(Price::ZERO, |quote| quote.last);
            mark * venue.base(ix(at))
        };
        (0..spec.instruments.len()).map(worth).sum::<Notional>() + venue.cash()
    }

    fn balances(&self, spec: &InstanceSpec) -> BTreeMap<Asset, Decimal> {
        let mut balances = BTreeMap::new();
        for (at, instrument) in spec.instruments.iter().enumerate() {
            balances.insert(instrument.quote, self.scheduler.venue.cash().normalized());
            balances.insert(instrument.base, self.scheduler.venue.base(ix(at)).normalized());
        }
        balances
    }
}

fn ix(at: usize) -> InstrumentIx {
    InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX))
}

/// Performance of one instance. Money in quote units, as exact decimals (strings in JSON).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whose.
    pub id: InstanceId,
    /// Hash of the state.
    pub digest: Digest,
    /// Kind of strategy.
    pub strategy: &'static str,
    /// Symbols.
    pub instruments: Vec<String>,
    /// Moment of the last input, ISO 8601.
    pub until: String,
    /// Candles (or trades) of the feed seen.
    pub candles: u64,
    /// Gaps in the feed.
    pub gaps: u64,
    /// Candles missing in those gaps.
    pub missing_candles: u64,
    /// Intents the gate approved.
    pub approved: u64,
    /// Intents the gate refused.
    pub vetoed: u64,
    /// Orders sent.
    pub orders: u64,
    /// Orders open at the end.
    pub open_orders: u64,
    /// Executions.
    pub fills: u64,
    /// Round trips: flat to flat, or completed grid cells.
    pub round_trips: u64,
    /// Round trips with a profit after fees.
    pub wins: u64,
    /// Their share; `None` without round trips.
    pub win_rate: Option<Decimal>,
    /// Fees paid.
    pub fees: Decimal,
    /// Notional bought and sold.
    pub turnover: Decimal,
    /// Profit of what was sold, average cost, net of fees.
    pub realised: Decimal,
    /// Profit of what is held at the last price, buying fees included.
    pub unrealised: Decimal,
    /// Profit of completed cells; `None` for other strategies.
    pub grid_profit: Option<Decimal>,
    /// Cash plus holdings at the last prices.
    pub equity: Decimal,
    /// Largest fall of equity from its running peak, as a share of the peak, over candle closes.
    pub max_drawdown: Option<Decimal>,
    /// Closing balances at the venue by asset.
    pub balances: BTreeMap<Asset, Decimal>,
}
