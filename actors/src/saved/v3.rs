//! What schema version 3 writes, for states that come from version 2: the bytes of the core's types, whose fields are
//! their own affair.
//!
//! Promises: each field has the name and the place that it has in the core; a test compares them. What version 2 did
//! not know is said here, once.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use supervisor_core::domain::{InstrumentIx, Notional, OrderNo, Price, Qty, Timestamp, TradeId};
use supervisor_core::instance::Mark;
use supervisor_core::market::Market;
use supervisor_core::orders::{Life, Order, Standing, Trade};
use supervisor_core::risk::{Exposure, Latches};
use supervisor_core::sim::PaperVenue;
use supervisor_core::strategy::StrategyStage;
use supervisor_core::streak::Streak;

use super::{SavedError, v2};

#[derive(Serialize, Deserialize)]
pub struct State {
    mark: Mark,
    scheduler: Scheduler,
    stages: Stages,
}

#[derive(Serialize, Deserialize)]
struct Scheduler {
    venue: PaperVenue,
    paths: Vec<v2::Path>,
    met: bool,
    wake: Option<Timestamp>,
    cursor: u64,
    /// Nothing got lost between instance and venue in version 2.
    line: Option<()>,
}

#[derive(Serialize, Deserialize)]
struct Stages {
    market: Market,
    strategy: StrategyStage,
    risk: Risk,
    orders: Orders,
    streak: Streak,
}

#[derive(Serialize, Deserialize)]
struct Risk {
    gate: Gate,
}

#[derive(Serialize, Deserialize)]
struct Gate {
    next: OrderNo,
    latches: Latches,
    exposure: Exposure,
    recent: VecDeque<v2::Recent>,
    capital: Option<Notional>,
    approved: u64,
    vetoed: u64,
    standing: Standing,
}

#[derive(Serialize, Deserialize)]
struct Orders {
    desk: Desk,
    positions: Vec<Position>,
    monitor: Monitor,
    wake: Option<Timestamp>,
    watching: bool,
    standing: Standing,
    /// Never one under way, and never one done, at the paper venue of version 2.
    reconcile: Option<()>,
    reconciled: Option<()>,
}

#[derive(Serialize, Deserialize)]
struct Desk {
    open: BTreeMap<OrderNo, Order>,
    closing: BTreeMap<OrderNo, Order>,
    closed: VecDeque<Order>,
    archive: [u8; 32],
    counted: BTreeMap<(InstrumentIx, TradeId), Timestamp>,
    voided: BTreeMap<(InstrumentIx, TradeId), Timestamp>,
    placed: u64,
    fills: u64,
    epoch: u32,
}

#[derive(Serialize, Deserialize)]
struct Position {
    qty: Qty,
    cost: Notional,
    realised: Notional,
    fees: Notional,
    unpriced: bool,
    trip: Option<v2::Trip>,
    funding: Notional,
}

#[derive(Serialize, Deserialize)]
struct Monitor {
    guards: Vec<Option<Guard>>,
}

#[derive(Serialize, Deserialize)]
struct Guard {
    stop: Option<Price>,
    target: Option<Price>,
    trail: Option<Price>,
    highest: Price,
    by: StopBy,
    phase: Phase,
    opened: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StopBy {
    Entry,
    Trail,
    BreakEven,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Armed,
    Closing(Exit, Timestamp),
    Asked(Exit),
    Sent(Exit),
    Dust,
}

#[derive(Serialize, Deserialize)]
struct Exit {
    reached: v2::Reached,
    since: Timestamp,
}

impl TryFrom<v2::State> for State {
    type Error = SavedError;

    fn try_from(old: v2::State) -> Result<Self, SavedError> {
        let v2::State { mark, scheduler, stages } = old;
        let v2::Scheduler { venue, paths, met, wake, cursor } = scheduler;
        let v2::Stages { market, strategy, risk, orders, streak } = stages;
        let risk = Risk { gate: risk.gate.into() };
        let orders = Orders::lifted(orders, mark.clock)?;
        let scheduler = Scheduler { venue, paths, met, wake, cursor, line: None };
        Ok(Self { mark, scheduler, stages: Stages { market, strategy, risk, orders, streak } })
    }
}

impl From<v2::Gate> for Gate {
    fn from(old: v2::Gate) -> Self {
        let v2::Gate { next, latches, exposure, recent, capital, approved, vetoed } = old;
        Self { next, latches, exposure, recent, capital, approved, vetoed, standing: Standing::default() }
    }
}

impl Orders {
    /// `at`: when the snapshot was taken.
    fn lifted(old: v2::Orders, at: Timestamp) -> Result<Self, SavedError> {
        let v2::Orders { desk, positions, monitor, wake, watching } = old;
        let opened = |place: usize| positions.get(place).and_then(|position| position.trip).map(|trip| trip.opened);
        let guards = monitor.guards.into_iter().enumerate();
        let guards = guards.map(|(place, guard)| guard.map(|guard| Guard::lifted(guard, opened(place), at))).collect();
        Ok(Self {
            desk: Desk::lifted(desk, at)?,
            monitor: Monitor { guards },
            positions: positions.into_iter().map(Position::from).collect(),
            wake,
            watching,
            standing: Standing::default(),
            reconcile: None,
            reconciled: None,
        })
    }
}

impl Desk {
    fn lifted(old: v2::Desk, at: Timestamp) -> Result<Self, SavedError> {
        let v2::Desk { open, closed, archive, placed, fills } = old;
        let open =
            open.into_iter().map(|(number, old)| Ok((number, order(old, at)?))).collect::<Result<_, SavedError>>();
        let closed = closed.into_iter().map(|old| order(old, at)).collect::<Result<_, SavedError>>();
        Ok(Self {
            open: open?,
            // At a venue that is certain an order is settled when it ends.
            closing: BTreeMap::new(),
            closed: closed?,
            archive,
            counted: BTreeMap::new(),
            voided: BTreeMap::new(),
            placed,
            fills,
            epoch: 0,
        })
    }
}

fn order(old: v2::Order, at: Timestamp) -> Result<Order, SavedError> {
    let trades = executions(&old)?;
    let v2::Order { terms, protect, life, cancel, filled, value, fees, sent, trades: _ } = old;
    Ok(Order {
        terms,
        protect,
        life,
        cancel,
        cancel_next: None,
        // No later than this.
        cancel_since: cancel.map(|_| at),
        filled,
        value,
        fees,
        sent,
        epoch: 0,
        trades,
        voided: Vec::new(),
        // These are what a venue says how much was executed with.
        claimed: matches!(life, Life::Canceled | Life::Expired).then_some(filled),
        seq: 0,
        is_acked: !matches!(life, Life::InFlight | Life::Unknown | Life::NeverSent),
        doubt: None,
        // No later than this.
        news: at,
        end: None,
        is_told: life.is_over(),
    })
}

/// The paper venue of version 2 filled an order whole or not at all, so the sums are those of the one execution.
fn executions(old: &v2::Order) -> Result<Vec<Trade>, SavedError> {
    let unclear = SavedError::Executions { order: old.terms.order, count: old.trades.len(), filled: old.filled };
    match old.trades.as_slice() {
        [] if old.filled.is_zero() => Ok(Vec::new()),
        [id] => {
            let price = old.value.get().checked_div(old.filled.get()).map(Price::new).ok_or(unclear)?;
            Ok(vec![Trade { id: *id, qty: old.filled, price, fee: old.fees }])
        }
        _ => Err(unclear),
    }
}

impl From<v2::Position> for Position {
    fn from(old: v2::Position) -> Self {
        let v2::Position { qty, cost, realised, fees, unpriced, trip } = old;
        Self { qty, cost, realised, fees, unpriced, trip, funding: Notional::ZERO }
    }
}

impl Guard {
    /// `opened`: since when there is something to guard; `at`: when the snapshot was taken.
    fn lifted(old: v2::Guard, opened: Option<Timestamp>, at: Timestamp) -> Self {
        let v2::Guard { stop, target, trail, highest, trailing, phase } = old;
        let by = if trailing { StopBy::Trail } else { StopBy::Entry };
        // Nobody noted when an exit began: resting orders have all of their time to go from here on.
        let exit = |reached| Exit { reached, since: at };
        let phase = match phase {
            v2::Phase::Armed => Phase::Armed,
            v2::Phase::Closing(reached, next) => Phase::Closing(exit(reached), next),
            // The gate has answered before a snapshot is taken.
            v2::Phase::Sent(reached) => Phase::Sent(exit(reached)),
            v2::Phase::Dust => Phase::Dust,
        };
        Self { stop, target, trail, highest, by, phase, opened: opened.unwrap_or(at) }
    }
}
