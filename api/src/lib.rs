//! The door of the running supervisor: HTTP under `/api/v1`, today over a Unix socket.
//!
//! Owns the socket file, who may come in, the routes, the one error body and the memory of answered requests.
//! Promises: whatever changes something carries an `Idempotency-Key` and happens once; every answer is JSON of one
//! shape ([`wire::Document`]) or a [`problem::Problem`]; no path and no stack of ours leaves in an error. Never:
//! decides about trading, keeps state of the fleet, or knows in its routes by which transport a request came.
//!
//! Reading order: [`wire`] (bodies), [`problem`], [`caller`] (who asks), [`guard`] (around every request), [`once`]
//! (idempotency), [`routes`], [`door`] (the Unix socket).

// A refusal is an answer: built once per request, never in a loop.
#![allow(clippy::result_large_err)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod body;
pub mod caller;
pub mod door;
pub mod guard;
pub mod once;
pub mod problem;
pub mod routes;
pub mod wire;

pub use door::{ApiError, ServerHandle, serve};
pub use problem::Problem;
