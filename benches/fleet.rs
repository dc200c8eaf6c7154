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
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this, too, without the flag that `cargo bench` gives.
    if !words.iter().any(|word| word == "--bench") {
        println!("nothing is measured without --bench");
        return;
    }
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            // Figures of a busy machine are none.
            let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
            println!("\n{name} (load {})", load.split(' ').next().unwrap_or_default());
            measure();
        }
    }
}
