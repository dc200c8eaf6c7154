//! Planted bugs: each is found by the default generator, soon.

#![cfg(feature = "canaries")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

use std::ops::ControlFlow;

use supervisor_core::canary::{Canary, set};
use supervisor_sim::Outcome;
use supervisor_sim::sweep::Sweep;

/// Seeds within which a bug must be found.
const SEEDS: u64 = 2_000;

fn found(canary: Canary) -> Option<Outcome> {
    let ends = |outcome: &Outcome| match outcome.violation {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    };
    let sweep = Sweep { first: 1, count: SEEDS, threads: 1 };
    let swept = sweep.run(|| set(Some(canary)), ends);
    set(None);
    swept.broken.into_iter().next()
}

fn is_found(canary: Canary, invariants: &[&str]) {
    let outcome = found(canary).unwrap_or_else(|| panic!("{} is not found in {SEEDS} seeds", canary.word()));
    let violation = outcome.violation.expect("it ended the sweep");
    assert!(invariants.contains(&violation.invariant), "{}: {violation}", canary.word());
}

#[test]
fn a_place_that_is_sent_again_is_found() {
    is_found(Canary::ResendOnTimeout, &["M3", "M6", "M7"]);
}

#[test]
fn a_late_fill_that_is_dropped_is_found() {
    is_found(Canary::DropLateFill, &["M1", "M4", "M6", "M7", "M11"]);
}

#[test]
fn a_fill_that_counts_twice_is_found() {
    is_found(Canary::CountFillTwice, &["M1", "M4", "M5", "M6", "M7"]);
}

#[test]
fn an_order_that_leaves_before_its_facts_are_durable_is_found() {
    is_found(Canary::SendBeforeDurable, &["M2"]);
}

#[test]
fn a_kill_switch_that_is_forgotten_is_found() {
    is_found(Canary::ForgetKill, &["M8"]);
}
