//! Memory per idle bot: what 996 more bots add to the process, once it has settled.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::crew::configure;
use super::figures::line;
use super::program::Program;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row must agree to half a per cent.
const STEADY: usize = 6;
const PATIENCE: Duration = Duration::from_secs(30);

/// With 4, 500 and 1,000 bots: idle (a candle a minute), and after a while of trading.
pub fn measure() {
    let dir = tempfile::tempdir().unwrap();
    for (what, speed) in [("idle", "1"), ("trading, 5 candles a second", "300")] {
        let [four, half, thousand] = [4, 500, 1_000].map(|bots| settled(dir.path(), what, speed, bots));
        let share = |more: u64, bots: u64| format!("{:.1} kB", more.saturating_sub(four) as f64 / (bots - 4) as f64);
        line(&format!("per bot, {what}"), &format!("{} (of 500: {})", share(thousand, 1_000), share(half, 500)));
    }
}

/// Resident memory in kB once it is steady.
fn settled(dir: &Path, what: &str, speed: &str, bots: usize) -> u64 {
    let state = dir.join(format!("state-{speed}-{bots}"));
    let mut program = Program::start(Some(&configure(dir, bots, speed)), &state);
    program.until_all_run(bots);
    let (since, mut seen) = (Instant::now(), Vec::new());
    while since.elapsed() < PATIENCE && !is_steady(&seen) {
        thread::sleep(LOOK_EVERY);
        seen.push(resident(program.pid(), "VmRSS:"));
    }
    let rss = seen.last().copied().unwrap_or(0);
    let note = if is_steady(&seen) { "" } else { ", not steady yet" };
    line(&format!("{bots} bots, {what}"), &format!("{rss} kB after {} s{note}", seen.len()));
    rss
}

fn is_steady(seen: &[u64]) -> bool {
    let Some(last) = seen.last_chunk::<STEADY>() else { return false };
    let (min, max) = (last.iter().min().copied().unwrap_or(0), last.iter().max().copied().unwrap_or(0));
    (max - min) * 200 <= max
}

fn resident(pid: u32, row: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(row)).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}
