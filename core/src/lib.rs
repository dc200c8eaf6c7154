//! The decisions of `supervisor`: pure, deterministic, without IO, clock or unseeded randomness.
//!
//! Every stage method takes the moment as data and answers with a list of things to do. The same code runs under the
//! backtest scheduler and inside the live actors.

#[cfg(feature = "canaries")]
pub mod canary;
pub mod cycle;
pub mod domain;
pub mod indicators;
pub mod instance;
pub mod ledger;
pub mod market;
pub mod orders;
pub mod params;
pub mod position;
pub mod risk;
pub mod sim;
pub mod spec;
pub mod strategy;
pub mod streak;

#[cfg(test)]
mod tests;
