//! One integration binary: everything that needs more than one crate.

// Helpers outside test functions may unwrap, too: a test is where a broken promise shall be loud.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
mod common;
mod crash;
mod golden;
mod lifecycle;
mod parity;
mod recovery;
mod supervision;
mod tidy;
