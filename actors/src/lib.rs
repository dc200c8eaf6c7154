//! The shell: the supervisor, the instances and their five actors (actix).
//!
//! Owns mailboxes, pacing, the recorder's handle and the kill latch. Promises: one message of an instance is in flight
//! at a time; an order leaves only when every fact before it is durable. Never: decides about trading.

mod brief;
mod clock;
mod conductor;
pub mod explain;
mod facts;
pub mod feeds;
mod fleet;
mod guard;
mod journal;
mod pace;
mod prepare;
mod rows;
mod settings;
mod stage;
mod supervisor;
pub mod view;

pub use fleet::{By, Fleet, FleetError, FleetSpec, NewInstance, StartOptions};
