//! One instance: its messages, its worklist, the wiring between its stages, its facts and its state as one value.

mod check;
mod fact;
mod message;
mod outside;
mod route;
mod stages;
mod state;
mod worklist;

pub use crate::risk::{Funds, Veto};
pub use check::{PositionOddity, PositionWarning, check_position};
pub use fact::{Audit, Fact, FactRecord, MarketGap, Revision};
pub use message::{
    Control, Cx, Event, Input, MarketIn, Message, OrdersIn, Outbox, RiskIn, Shift, Stage, StrategyIn, StreakIn,
};
pub use outside::{Outside, OutsideState};
pub use route::route;
pub use stages::Stages;
pub use state::{DIGEST_COVERS, Digest, InstanceState, Report, StateError};
pub use worklist::{Custody, Effect, Envelope, Mark, Router, Worklist};

pub use crate::orders::OrderEnded;
