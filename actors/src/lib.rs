//! The shell: the supervisor, the instances and their five actors (actix).
//!
//! Owns mailboxes, pacing, the recorder's handle and the kill latch. Promises: one message of an instance is in flight
//! at a time; an order leaves only when every fact before it is durable. Never: decides about trading.

mod alarms;
mod balances;
mod beat;
mod brief;
mod clock;
mod conductor;
pub mod explain;
mod facts;
#[cfg(feature = "faults")]
pub mod faults;
pub mod feeds;
mod fleet;
mod guard;
mod journal;
pub mod offline;
mod pace;
mod prepare;
mod restart;
mod revision;
mod rows;
mod saved;
mod seat;
mod settings;
mod stage;
mod supervisor;
pub mod view;

pub use fleet::{By, Fleet, FleetError, FleetSpec, NewInstance, StartOptions};
pub use restart::Policy;
pub use saved::Migrate;
pub use settings::{Backups, Snapshots};
