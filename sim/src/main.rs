//! `supervisor-sim`: sweeps seeds and says what they exercised, or replays one readably.
//!
//! Exit codes: 0 nothing was found, 1 a violation (or a seed that does not hold what each must), 2 wrong flags.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use sha2::{Digest as _, Sha256};
use supervisor_sim::sweep::{Sweep, Swept};
use supervisor_sim::{Outcome, World};

/// Deterministic simulation of the supervisor: finds what breaks it, and replays that.
#[derive(Debug, Parser)]
#[command(name = "supervisor-sim", version)]
struct Cli {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 1)]
    first: u64,
    /// Threads; each runs a world of its own.
    #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
    /// Run this one seed only.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// With --seed: print what happened, the same bytes each time.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Go on after a violation instead of ending with it.
    #[arg(long)]
    all: bool,
    /// Run with a planted bug, and say after how many seeds it was found.
    #[cfg(feature = "canaries")]
    #[arg(long, value_name = "NAME", value_parser = canary_named)]
    canary: Option<supervisor_core::canary::Canary>,
}

#[cfg(feature = "canaries")]
fn canary_named(word: &str) -> Result<supervisor_core::canary::Canary, String> {
    use supervisor_core::canary::Canary;
    let words: Vec<&str> = Canary::ALL.iter().map(|canary| canary.word()).collect();
    let found = Canary::ALL.into_iter().find(|canary| canary.word() == word);
    found.ok_or_else(|| format!("the planted bugs are {}", words.join(", ")))
}

impl Cli {
    /// Switches the planted bug on for the thread at work.
    #[cfg(feature = "canaries")]
    fn plant(&self) {
        supervisor_core::canary::set(self.canary);
    }

    #[cfg(not(feature = "canaries"))]
    const fn plant(&self) {}

    /// The word of the planted bug.
    #[cfg(feature = "canaries")]
    fn bug(&self) -> Option<&'static str> {
        self.canary.map(|canary| canary.word())
    }

    #[cfg(not(feature = "canaries"))]
    const fn bug(&self) -> Option<&'static str> {
        None
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.seed {
        Some(seed) => replay(&cli, seed),
        None => sweep(&cli),
    }
}

/// One seed, readably if asked for.
fn replay(cli: &Cli, seed: u64) -> ExitCode {
    cli.plant();
    let outcome = World::new(seed, cli.trace).run();
    if cli.trace {
        say(&outcome.trace);
        let hash = Sha256::digest(outcome.trace.as_bytes());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        say(&format!("sha-256 of the trace {hex}\n"));
    }
    say(&format!("fingerprint {:016x}\n", outcome.print));
    for (name, count) in outcome.tally.iter() {
        say(&format!("{name:<44} {count:>8}\n"));
    }
    told_broken(cli, &outcome)
}

fn told_broken(cli: &Cli, outcome: &Outcome) -> ExitCode {
    let Some(violation) = &outcome.violation else { return ExitCode::SUCCESS };
    let (features, planted) = match cli.bug() {
        Some(word) => (" --features canaries", format!(" --canary {word}")),
        None => ("", String::new()),
    };
    let command =
        format!("cargo run --release -p supervisor-sim{features} -- --seed {} --trace{planted}", outcome.seed);
    say(&format!("{violation}\nreplay: {command}\n"));
    ExitCode::FAILURE
}

fn sweep(cli: &Cli) -> ExitCode {
    let began = Instant::now();
    let (done, every) = (AtomicU64::new(0), (cli.seeds / 20).max(1));
    let threads = usize::try_from(cli.threads).unwrap_or(1);
    let sweep = Sweep { first: cli.first, count: cli.seeds, threads };
    let told = |outcome: &Outcome| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(every) {
            let seconds = began.elapsed().as_secs_f64();
            eprintln!("{done} of {} seeds, {seconds:.1} s", cli.seeds);
        }
        if outcome.violation.is_some() && !cli.all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let swept = sweep.run(|| cli.plant(), told);
    let seconds = began.elapsed().as_secs_f64();
    say(&swept.histogram.to_string());
    let each = seconds * cli.threads as f64 / swept.histogram.seeds().max(1) as f64;
    say(&format!("{seconds:.1} s on {threads} threads, {each:.4} s a seed and thread\n"));
    verdict(cli, &swept)
}

/// What was found, and the exit code.
fn verdict(cli: &Cli, swept: &Swept) -> ExitCode {
    for (seed, lack) in &swept.poor {
        say(&format!("seed {seed} holds too little: {lack}\n"));
    }
    for outcome in &swept.broken {
        told_broken(cli, outcome);
    }
    let found = swept.broken.first().map(|outcome| outcome.seed.wrapping_sub(cli.first) + 1);
    match found {
        Some(after) if cli.bug().is_some() => say(&format!("the planted bug was found after {after} seeds\n")),
        Some(_) => say(&format!("{} seeds with a violation\n", swept.broken.len())),
        None if cli.bug().is_some() => say("the planted bug was not found\n"),
        None => say("no violation\n"),
    }
    if found.is_some() || !swept.poor.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// To standard output; a reader that leaves early is no error.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
