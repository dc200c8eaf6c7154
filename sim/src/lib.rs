//! Deterministic simulation: the supervisor's own decisions in a world that fails, checked against that world's truth.
//!
//! One seed is one world: a venue with a book of its own, a network that loses and repeats, a disk that forgets what
//! was not synced, a process that dies at any point, people who pause and kill. Everything of the process that decides
//! is production code. Promises: the same seed gives the same bytes. Never: the clock of the machine, hash order,
//! randomness without a seed.

pub mod books;
pub mod bots;
pub mod check;
pub mod clock;
pub mod fuse;
pub mod ground;
pub mod heap;
pub mod histogram;
pub mod network;
pub mod plan;
mod planted;
pub mod port;
pub mod process;
pub mod store;
pub mod sweep;
pub mod trace;
pub mod venue;
pub mod world;

pub use check::Violation;
pub use world::{Outcome, World};
