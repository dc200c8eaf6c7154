//! A thousand worlds: nothing that must be true breaks, and each of them holds what it must.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

use std::ops::ControlFlow;

use supervisor_sim::sweep::{Sweep, lack_of};
use supervisor_sim::{Outcome, World};

const SEEDS: u64 = 1_000;

fn violations(broken: &[Outcome]) -> Vec<String> {
    broken.iter().filter_map(|outcome| outcome.violation.as_ref()).map(ToString::to_string).collect()
}

#[test]
fn a_thousand_seeds_hold_every_invariant() {
    let sweep = Sweep { first: 1, count: SEEDS, threads: 2 };
    let swept = sweep.run(|| (), |_| ControlFlow::Continue(()));
    assert_eq!(violations(&swept.broken), Vec::<String>::new());
    assert_eq!(swept.poor, Vec::new(), "every seed holds its bots, orders, faults and crashes");
    assert_eq!(swept.histogram.seeds(), SEEDS);
    // What the generator must reach for a sweep to mean anything.
    for what in [
        "doubts",
        "doubts resolved: never accepted",
        "late fills",
        "crossings refused",
        "external orders",
        "kills",
        "withheld by the kill switch",
        "torn batches",
        "busts heard",
        "disputes",
        "orders settled",
        "resurrected",
        "crash: at an input",
        "crash: before the append",
        "crash: before the sync",
        "crash: before the send",
        "crash: between two sends",
        "crash: while recovering",
        "crash: before the epoch is durable",
        "crash: while reconciling",
        "crash: kill durable, untold",
        "fault: full disk",
        "fault: failed sync",
        "fault: venue restart",
        "recovered states compared",
    ] {
        assert!(swept.histogram.get(what) > 0, "{what} never happened in {SEEDS} seeds");
    }
}

#[test]
fn a_seed_gives_the_same_bytes_each_time() {
    for seed in [1, 2, 77] {
        let [first, second] = [(); 2].map(|()| World::new(seed, true).run());
        assert!(first.trace == second.trace, "seed {seed}: two traces of one seed differ");
        assert_eq!((first.print, first.length_ms, &first.tally), (second.print, second.length_ms, &second.tally));
        let bare = World::new(seed, false).run();
        assert_eq!((bare.print, bare.trace.as_str()), (first.print, ""), "a trace changes nothing");
    }
}

#[test]
fn seeds_differ() {
    let prints: std::collections::BTreeSet<u64> = (1..=8).map(|seed| World::new(seed, false).run().print).collect();
    assert_eq!(prints.len(), 8);
}

#[test]
fn every_seed_holds_what_it_must() {
    for seed in 1..=20 {
        let outcome = World::new(seed, false).run();
        assert_eq!(lack_of(&outcome), None, "seed {seed}");
        assert!(outcome.tally.get("bots") >= 5 && outcome.tally.get("crashes") >= 2, "seed {seed}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let swept = |threads| Sweep { first: 5, count: 12, threads }.run(|| (), |_| ControlFlow::Continue(()));
    assert_eq!(swept(1).histogram, swept(3).histogram);
}
