//! The disk room: everything that outlives the process goes through here, as opaque bytes.
//!
//! It owns the state directory and its lock, the store of facts, snapshots and latches, and the one thread that
//! makes facts durable. It promises that what it reported as durable survives a kill and a power cut, that a damaged
//! record is an error with a name and never a panic, and that each instance's sequence has no holes. It never knows
//! what the bytes mean, never decides anything about trading, and never blocks the caller of an append.
//!
//! Reading order: [`lock`] (who may touch the directory), [`key`] (how records are named), [`record`] and [`chunks`]
//! (how bytes are sealed), [`journal`] (the contract), [`mark`] (the epoch apart from the store), `disk` (the one file
//! that knows the database), [`store`],
//! [`recorder`], and [`memory`] for tests that need a store that fails on demand.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chunks;
mod disk;
pub mod journal;
pub mod key;
pub mod lock;
pub mod mark;
pub mod memory;
pub mod meter;
pub mod record;
pub mod recorder;
pub mod store;

pub use disk::DiskError;
pub use journal::{NewFact, StateStore, StoreError, StoredFact};
pub use key::{FactId, InstanceKey, KeyError};
pub use lock::{LockError, StateDir};
pub use mark::MarkError;
pub use memory::MemoryStore;
pub use recorder::{Batch, Done, RecordError, Recorder, RecorderHandle, RecorderStats};
pub use store::{FactsRev, Snapshot, Store};
