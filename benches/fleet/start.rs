//! Cold start: from the start of the process until every bot runs, on an empty state directory.

use super::crew::configure;
use super::program::{Program, Reached, tell};

const RUNS: usize = 5;
const SHIPPED: usize = 4;

/// With the shipped configuration, and with 1,000 bots.
pub fn measure() {
    let dir = tempfile::tempdir().unwrap();
    for bots in [SHIPPED, 1_000] {
        let config = (bots != SHIPPED).then(|| configure(dir.path(), bots, "1"));
        let runs: Vec<Reached> = (0..RUNS)
            .map(|run| {
                let mut program = Program::start(config.as_deref(), &dir.path().join(format!("state-{bots}-{run}")));
                program.until_all_run(bots)
            })
            .collect();
        tell(&format!("{bots} bots"), &runs);
    }
}
