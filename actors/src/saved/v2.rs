//! What schema version 2 wrote: snapshots and facts, field by field in the order of their bytes.
//!
//! Promises: nothing here ever changes, whatever becomes of the core's types. Where a type of the core has had the same
//! bytes since then, it stands here itself; when it changes, its layout of then takes its place.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use supervisor_core::domain::{
    Candle, InstanceId, Instrument, InstrumentIx, Notional, OrderNo, Price, Qty, Timeframe, Timestamp, TradeId,
};
use supervisor_core::instance::{Digest, Mark, StateError};
use supervisor_core::market::Market;
use supervisor_core::orders::{CancelReason, Life, Protect, Terms};
use supervisor_core::risk::{Exposure, Latches};
use supervisor_core::sim::PaperVenue;
use supervisor_core::spec::{
    Capital, ExitRules, InstanceSpec, Mode, OnStop, RiskLimits, VenueFaults, VenueModel, VenueTraits,
};
use supervisor_core::strategy::{StrategyParams, StrategyStage};
use supervisor_core::streak::Streak;

use super::SavedError;

/// Number of the layout of [`Saved`].
pub const VERSION: u16 = 2;

/// A snapshot.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    pub version: u16,
    pub digest: String,
    pub life: u32,
    pub spec: Spec,
    pub feed: String,
    pub state: State,
}

/// Settings.
#[derive(Clone, Serialize, Deserialize)]
pub struct Spec {
    pub id: InstanceId,
    pub instruments: Vec<Instrument>,
    pub timeframe: Timeframe,
    pub capital: Capital,
    pub mode: Mode,
    pub venue_model: VenueModel,
    pub strategy: StrategyParams,
    pub risk: RiskLimits,
    pub order_timeout_ms: i64,
    pub on_stop: OnStop,
}

/// Whether a fact is a change of settings, and its place: what stands before it in the bytes of a record.
#[derive(Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub at: Timestamp,
    pub cause: u64,
    /// Number of the kind of fact.
    pub kind: u32,
}

/// The kind of [`Revision`].
pub const REVISED: u32 = 15;

/// A change of settings.
#[derive(Serialize, Deserialize)]
pub struct Revision {
    pub spec: Spec,
    pub keys: String,
    pub step: u64,
}

/// The state of an instance.
#[derive(Serialize, Deserialize)]
pub struct State {
    pub mark: Mark,
    pub scheduler: Scheduler,
    pub stages: Stages,
}

/// The scheduler and what lies behind it.
#[derive(Serialize, Deserialize)]
pub struct Scheduler {
    pub venue: PaperVenue,
    pub paths: Vec<Path>,
    pub met: bool,
    pub wake: Option<Timestamp>,
    pub cursor: u64,
}

/// A candle on its way along its four points.
#[derive(Serialize, Deserialize)]
pub struct Path {
    pub instrument: InstrumentIx,
    pub candle: Candle,
    pub points: [Price; 4],
    pub next: u8,
}

/// The five stages.
#[derive(Serialize, Deserialize)]
pub struct Stages {
    pub market: Market,
    pub strategy: StrategyStage,
    pub risk: Risk,
    pub orders: Orders,
    pub streak: Streak,
}

/// The risk stage.
#[derive(Serialize, Deserialize)]
pub struct Risk {
    pub gate: Gate,
}

/// The gate.
#[derive(Serialize, Deserialize)]
pub struct Gate {
    pub next: OrderNo,
    pub latches: Latches,
    pub exposure: Exposure,
    pub recent: VecDeque<Recent>,
    pub capital: Option<Notional>,
    pub approved: u64,
    pub vetoed: u64,
}

/// An order that was approved a moment before.
#[derive(Serialize, Deserialize)]
pub struct Recent {
    pub at: Timestamp,
    pub terms: Terms,
}

/// The order stage.
#[derive(Serialize, Deserialize)]
pub struct Orders {
    pub desk: Desk,
    pub positions: Vec<Position>,
    pub monitor: Monitor,
    pub wake: Option<Timestamp>,
    pub watching: bool,
}

/// All orders of an instance.
#[derive(Serialize, Deserialize)]
pub struct Desk {
    pub open: BTreeMap<OrderNo, Order>,
    pub closed: VecDeque<Order>,
    pub archive: [u8; 32],
    pub placed: u64,
    pub fills: u64,
}

/// One order.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    pub terms: Terms,
    pub protect: Option<Protect>,
    pub life: Life,
    pub cancel: Option<CancelReason>,
    pub filled: Qty,
    pub value: Notional,
    pub fees: Notional,
    pub sent: Timestamp,
    pub trades: Vec<TradeId>,
}

/// What is held of one instrument.
#[derive(Serialize, Deserialize)]
pub struct Position {
    pub qty: Qty,
    pub cost: Notional,
    pub realised: Notional,
    pub fees: Notional,
    pub unpriced: bool,
    pub trip: Option<Trip>,
}

/// A round trip under way.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Trip {
    pub opened: Timestamp,
    pub qty: Qty,
    pub bought: Notional,
    pub sold: Notional,
    pub fees: Notional,
}

/// The guards, one place for each instrument.
#[derive(Serialize, Deserialize)]
pub struct Monitor {
    pub guards: Vec<Option<Guard>>,
}

/// Guard of one position.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Guard {
    pub stop: Option<Price>,
    pub target: Option<Price>,
    pub trail: Option<Price>,
    pub highest: Price,
    /// True once the trailing distance sets the stop.
    pub trailing: bool,
    pub phase: Phase,
}

/// What a guard is doing.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Armed,
    /// Waits for resting orders to go, or for the next attempt, at this moment.
    Closing(Reached, Timestamp),
    Sent(Reached),
    Dust,
}

/// What set a guard off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    Stop(Price),
    Trail { stop: Price, highest: Price },
    Target(Price),
    Operator,
}

impl Saved {
    /// From its bytes, digest compared.
    pub fn decode(bytes: &[u8]) -> Result<Self, SavedError> {
        let (found, _) = postcard::take_from_bytes::<u16>(bytes)?;
        if found != VERSION {
            return Err(SavedError::Version { found });
        }
        let saved: Self = super::whole(bytes)?;
        let found = saved.state.digest(saved.spec.id)?;
        if found != saved.digest {
            return Err(SavedError::Digest { found, stored: saved.digest });
        }
        Ok(saved)
    }
}

impl State {
    /// The digest as version 2 made it.
    pub fn digest(&self, instance: InstanceId) -> Result<String, StateError> {
        let covered = (instance, self.mark.covered(), &self.scheduler, &self.stages);
        Ok(Digest::of(instance, &covered)?.to_string())
    }
}

/// There was the paper venue only, and nothing got lost: what the program reads from a file that says nothing of it, so
/// that no bot finds its settings changed.
impl From<Spec> for InstanceSpec {
    fn from(spec: Spec) -> Self {
        let Spec { id, instruments, timeframe, capital, mode, venue_model, .. } = spec;
        let Spec { strategy, risk, order_timeout_ms, on_stop, .. } = spec;
        let (venue, exits) = (VenueTraits::PAPER, ExitRules::default());
        let faults = VenueFaults { seed: 1, ..VenueFaults::default() };
        Self {
            id,
            instruments,
            timeframe,
            capital,
            mode,
            venue_model,
            strategy,
            risk,
            order_timeout_ms,
            on_stop,
            venue,
            exits,
            faults,
        }
    }
}
