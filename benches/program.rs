//! The whole program, from the command line, on a year of one-minute candles in a file.
//!
//! `cargo bench --bench program`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/common/mod.rs"]
#[allow(dead_code)]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

const YEAR: usize = 525_600;

fn files(dir: &Path, text: impl Fn(&Path) -> String) -> PathBuf {
    let csv = dir.join("year.csv");
    common::write_csv(&csv, &common::candles(42, 95_000, YEAR));
    let file = dir.join("bot.toml");
    std::fs::write(&file, text(&csv)).unwrap();
    file
}

fn backtest(bencher: Bencher, text: impl Fn(&Path) -> String) {
    let dir = tempfile::tempdir().unwrap();
    let file = files(dir.path(), text);
    bencher.counter(ItemsCount::new(YEAR)).bench_local(|| {
        let done = Command::new(env!("CARGO_BIN_EXE_supervisor"))
            .args(["backtest", "-o", "json", "--file"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn year_of_trend_following(bencher: Bencher) {
    backtest(bencher, |csv| common::trend("trend", "BTCUSDT", csv, ""));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn year_of_a_20_level_grid(bencher: Bencher) {
    backtest(bencher, |csv| common::grid("grid", "BTCUSDT", csv, "60000", "140000"));
}
