//! Cold start: from the start of the process until every bot runs, on an empty state directory.

use std::time::Duration;

use super::crew::configure;
use super::figures::{line, spread};
use super::program::Program;

const RUNS: usize = 5;
const SHIPPED: usize = 4;

/// With the shipped configuration, and with 1,000 bots.
pub fn measure() {
    let dir = tempfile::tempdir().unwrap();
    for bots in [SHIPPED, 1_000] {
        let config = (bots != SHIPPED).then(|| configure(dir.path(), bots, "1"));
        let runs: Vec<(Duration, Duration)> = (0..RUNS)
            .map(|run| {
                let mut program = Program::start(config.as_deref(), &dir.path().join(format!("state-{bots}-{run}")));
                program.until_all_run(bots)
            })
            .collect();
        let of = |pick: fn(&(Duration, Duration)) -> Duration| spread(&runs.iter().map(pick).collect::<Vec<_>>());
        line(&format!("{bots} bots, all run"), &of(|run| run.1));
        line(&format!("{bots} bots, first answer"), &of(|run| run.0));
    }
}
