//! The crash tests at length, on the real program.
//!
//! ```text
//! cargo run --release --example kills -- 500           so many kills over complete months
//! cargo run --release --example kills -- --early 100   so many kills in the first moments of forty bots
//! cargo run --release --example kills -- --term 200    so many stops, and a quarter as many in the first moments
//! cargo run --release --example kills -- --faults      every storage fault at every call of a day
//! cargo run --release --example kills -- --corrupt 200 so many damaged stores
//! ```
//!
//! Further: `--seed S` (default 1), `--each N` (with `--faults`: N calls of each fault), `--program PATH` (default: the
//! `supervisor` beside this program's directory; build it first). The first difference ends it with a panic that names
//! seed and place.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "shared with the integration tests, which need more of it")]
mod common;
#[path = "../tests/crash/mod.rs"]
mod crash;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crash::{corruption, early, faults, kill, term};

enum Task {
    Kills(usize),
    Early(usize),
    Stops(usize),
    Faults,
    Damages(usize),
}

struct Wish {
    task: Task,
    seed: u64,
    each: u64,
    program: Option<PathBuf>,
}

fn read(mut words: impl Iterator<Item = String>) -> Option<Wish> {
    let mut wish = Wish { task: Task::Kills(500), seed: 1, each: u64::MAX, program: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--early" => wish.task = Task::Early(words.next()?.parse().ok()?),
            "--term" => wish.task = Task::Stops(words.next()?.parse().ok()?),
            "--corrupt" => wish.task = Task::Damages(words.next()?.parse().ok()?),
            "--faults" => wish.task = Task::Faults,
            "--seed" => wish.seed = words.next()?.parse().ok()?,
            "--each" => wish.each = words.next()?.parse().ok()?,
            "--program" => wish.program = Some(words.next()?.into()),
            number => wish.task = Task::Kills(number.parse().ok()?),
        }
    }
    Some(wish)
}

/// The program that was built beside this one.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.parent()?.parent()?.join("supervisor")).filter(|path| path.is_file())
}

fn work(program: &Path, Wish { task, seed, each, .. }: &Wish) {
    match task {
        Task::Kills(kills) => kill::many(program, *kills, *seed),
        Task::Early(kills) => early::many(program, *kills, *seed),
        Task::Stops(stops) => term::many(program, *stops, *seed),
        Task::Faults => faults::many(program, *each, *seed),
        Task::Damages(rounds) => println!("{:?}", corruption::many(program, *rounds, *seed)),
    }
}

fn main() -> ExitCode {
    let Some(wish) = read(std::env::args().skip(1)) else {
        eprintln!(
            "usage: kills [N | --early N | --term N | --faults [--each N] | --corrupt N] [--seed S] [--program PATH]"
        );
        return ExitCode::from(2);
    };
    let Some(program) = wish.program.clone().or_else(beside) else {
        eprintln!("no supervisor beside this program; build it (cargo build --release) or give --program PATH");
        return ExitCode::from(2);
    };
    work(&program, &wish);
    ExitCode::SUCCESS
}
