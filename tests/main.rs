//! One integration binary: everything that needs more than one crate.

mod common;
mod lifecycle;
mod parity;
mod tidy;
