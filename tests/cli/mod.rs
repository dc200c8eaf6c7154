//! The program as people and scripts use it: the built binary, its streams and its exit codes.

mod again;
mod doubt;
mod http;
mod offline;
mod running;
mod store;

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

use crate::common::{candles, grid, write_csv};

/// The program without what the environment of a test run may hold.
fn supervisor(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
    for name in ["SUPERVISOR_OUTPUT", "SUPERVISOR_CONFIG", "SUPERVISOR_STATE_DIR", "CLICOLOR_FORCE", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// What it said and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The `error` object that `-o json` puts on standard error.
    fn error(&self) -> Value {
        let line = self.err.lines().last().unwrap_or_default();
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {}", self.err))["error"].take()
    }
}

fn said(args: &[&str]) -> Said {
    Said::of(supervisor(args).output().unwrap())
}

/// A configuration directory with one grid that replays made candles, and a place for the state.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        std::fs::create_dir_all(config.join("instances")).unwrap();
        let accounts = "[accounts.paper]\nvenue = \"paper\"\nbalances = { USDT = 1000000 }\n";
        std::fs::write(config.join("supervisor.toml"), accounts).unwrap();
        write_csv(&dir.path().join("made.csv"), &candles(11, 100_000, 3_000));
        let place = Self { dir };
        place.put("grid.toml", &grid("grid", "BTCUSDT", &place.path("made.csv"), "90000", "110000"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path("config/instances").join(name), text).unwrap();
    }

    fn args<'a>(&'a self, verb: &[&'a str]) -> Vec<String> {
        let own = ["--config", text(&self.path("config")), "--state-dir", text(&self.path("state"))].map(str::to_owned);
        verb.iter().map(|word| (*word).to_owned()).chain(own).collect()
    }

    fn command(&self, verb: &[&str]) -> Command {
        let args = self.args(verb);
        supervisor(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn said(&self, verb: &[&str]) -> Said {
        Said::of(self.command(verb).output().unwrap())
    }
}

fn text(path: &Path) -> &str {
    Box::leak(path.to_str().unwrap().to_owned().into_boxed_str())
}

/// A supervisor in a process of its own; killed when the test ends before it does.
struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Run {
    /// Returns when it can be talked to.
    fn start(place: &Place, more: &[&str]) -> Self {
        let verb: Vec<&str> = ["run"].iter().chain(more).copied().collect();
        let mut child = place.command(&verb).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("supervisor.started")), "it ended before it ran");
        Self { child, lines }
    }

    /// Asks it to end and reads the rest of what it says.
    fn end(self) -> (i32, String) {
        self.end_by("kill -TERM $0")
    }

    /// The same by a line of shell in which `$0` is its process id.
    fn end_by(mut self, line: &str) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", line, &pid]).status().unwrap().success());
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), rest.join("\n"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
