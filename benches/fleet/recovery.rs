//! Recovery: 1,000 bots that trade, SIGKILL, and the time until all of them run again.

use std::fs::{self, File};
use std::path::Path;

use super::crew::configure;
use super::figures::{line, percentile};
use super::program::{Program, Seen, tell};

const BOTS: usize = 1_000;
const RUNS: usize = 5;
/// Ten candles a second for each bot.
const SPEED: &str = "600";
/// Candles of each bot before the kill: half a minute, of which nothing but the first snapshot saves anything.
const CANDLES: u64 = 300;

/// Five recoveries of the same state.
pub fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let config = configure(dir.path(), BOTS, SPEED);
    let killed = dir.path().join("killed");
    let mut program = Program::start(Some(&config), &killed);
    let traded = |bot: &Seen| bot.orders > 0 && bot.candles >= CANDLES;
    program.until("all have traded", |seen| seen.len() == BOTS && seen.iter().all(traded));
    program.kill();
    let mut runs = Vec::new();
    let mut facts = Vec::new();
    for run in 0..RUNS {
        let state = dir.path().join(format!("copy-{run}"));
        copy(&killed, &state);
        let mut program = Program::start(Some(&config), &state);
        runs.push(program.until_all_run(BOTS));
        program.kill();
        facts.push(compared(&state));
        fs::remove_dir_all(&state).unwrap();
    }
    tell(&format!("{BOTS} bots"), &runs);
    let (bots, facts) = percentile(&facts, 50);
    line("bots brought back, facts run again", &format!("{bots}, {facts}"));
}

/// A copy that is on the disk, without logs and socket.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() && entry.file_name() != "logs" {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).unwrap();
            File::open(&target).unwrap().sync_all().unwrap();
        }
    }
}

/// Bots that were brought back, and the facts that were run again for it, as the log tells.
fn compared(state: &Path) -> (usize, u64) {
    let texts = fs::read_dir(state.join("logs")).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let texts: Vec<String> = texts.collect();
    let recovered = |line: &&str| line.contains("state.recovered");
    let number = |line: &str| {
        let (_, rest) = line.split_once("\"compared\":").unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    let found: Vec<u64> = texts.iter().flat_map(|text| text.lines().filter(recovered).map(number)).collect();
    (found.len(), found.iter().sum())
}
