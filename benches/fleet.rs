//! Whole fleets, up to 1,000 bots: how long they take to come up, to come back and to the disk, and what they weigh.
//!
//! ```text
//! cargo bench --bench fleet                      everything, some minutes
//! cargo bench --bench fleet -- recovery memory   some of it
//! ```
//!
//! Each part prints a small table: `durable` (order to durable), `start` (cold start), `recovery` (after SIGKILL),
//! `memory` (kB per idle bot), `isolation` (what the others notice of a bot that panics). Promises: `start`,
//! `recovery` and `memory` measure the program itself in a process of its own, asked over its socket. Never: decides
//! whether a figure is good enough.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be taken shall be loud")]

#[path = "fleet/crew.rs"]
mod crew;
#[path = "fleet/durable.rs"]
mod durable;
#[path = "fleet/figures.rs"]
mod figures;
#[path = "fleet/inside.rs"]
mod inside;
#[path = "fleet/isolation.rs"]
mod isolation;
#[path = "fleet/memory.rs"]
mod memory;
#[path = "fleet/program.rs"]
mod program;
#[path = "fleet/recovery.rs"]
mod recovery;
#[path = "fleet/start.rs"]
mod start;

const PARTS: [(&str, fn()); 5] = [
    ("durable", durable::measure),
    ("start", start::measure),
    ("recovery", recovery::measure),
    ("memory", memory::measure),
    ("isolation", isolation::measure),
];

fn main() {
    // The runner adds flags of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(word) = wanted.iter().find(|word| PARTS.iter().all(|(name, _)| name != word)) {
        panic!("'{word}' is none of {:?}", PARTS.map(|(name, _)| name));
    }
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("\n{name}");
            measure();
        }
    }
}
