//! The disk room: everything that outlives the process goes through here, as opaque bytes.
//!
//! It owns the state directory and its lock, the store of facts, snapshots and latches, and the one thread that
//! makes facts durable. It promises that what it reported as durable survives a kill and a power cut, that a damaged
//! record is an error with a name and never a panic, and that each instance's sequence has no holes. It never knows
//! what the bytes mean, never decides anything about trading, and never blocks the caller of an append.
//!
//! Reading order: [`lock`] (who may touch the directory), [`key`] (how records are named), [`record`] and [`chunks`]
//! (how bytes are sealed), [`journal`] (the contract), [`mark`] and [`marks`] (the epoch and the high-water marks,
//! apart from the store), `disk` (the one file that knows the database), [`store`], [`recorder`], [`reserve`] (room on
//! a full disk), [`verify`] (what is wrong with a store), [`backup`], [`migrate`], [`restore`] (how the program opens a
//! store, whatever happened to it), and [`memory`] for tests that need a store that fails on demand.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod backup;
pub mod chunks;
mod disk;
pub mod journal;
pub mod key;
pub mod lock;
pub mod mark;
pub mod marks;
pub mod memory;
pub mod meter;
pub mod migrate;
pub mod record;
pub mod recorder;
pub mod reserve;
pub mod restore;
pub mod stamp;
pub mod store;
pub mod verify;

pub use backup::{BackupEntry, BackupError, BackupInfo};
pub use disk::DiskError;
pub use journal::{NewFact, Pruned, StateStore, StoreError, StoredFact};
pub use key::{FactId, InstanceKey, KeyError};
pub use lock::{LockError, StateDir};
pub use mark::MarkError;
pub use marks::MarksError;
pub use memory::MemoryStore;
pub use migrate::Migration;
pub use recorder::{
    Batch, Done, RecordError, Recorder, RecorderHandle, RecorderStats, Settings, SnapshotBatch, StorageState,
};
pub use reserve::{RESERVE_BYTES, ReserveError, free_bytes};
pub use restore::{OpenOptions, Opened, RestoreReport, RestoredInstance};
pub use store::{FactsRev, SCHEMA_VERSION, Snapshot, Store};
pub use verify::{InstanceReport, Scope, VerifyReport};
