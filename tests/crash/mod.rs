//! The real program, ended in every way a machine can end it.
//!
//! Owns the harness: a place with recordings and bots ([`lab`]), the program in a process of its own ([`run`]), what a
//! run came to ([`outcome`]) and what lies on disk after a death ([`autopsy`], [`journal`], [`durable`]).
//! Promises: every choice comes out of a printed seed; nothing here sends a command that changes a bot. Never: takes
//! the program's word for what was in flight, where its journal can be read instead.
//!
//! The same modules make up `examples/kills.rs`, which does the same at length.

pub mod autopsy;
pub mod chance;
pub mod corruption;
pub mod damage;
pub mod durable;
pub mod early;
pub mod fate;
pub mod faults;
pub mod journal;
pub mod kill;
pub mod lab;
pub mod outcome;
pub mod run;
pub mod term;
