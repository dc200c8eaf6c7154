//! The program in a process of its own: what it says over its socket, and how it ends.
//!
//! Promises: it never outlives its test; no request from here changes anything.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::lab::{Lab, Pace};

/// Nothing takes so long unless it hangs; a safety net of the harness, not a measurement.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks, so that looking does not take the processor from what is looked at.
const PAUSE: Duration = Duration::from_micros(500);

/// A library that makes storage fail, and what it shall do; see `shim.c`.
pub struct Shim {
    /// The built library.
    pub preload: PathBuf,
    /// Its orders.
    pub orders: Vec<(&'static str, String)>,
}

/// One line of `status`, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen {
    /// Bot.
    pub id: String,
    /// State word.
    pub state: String,
    /// Share of the recording that is done.
    pub progress: Option<f64>,
    /// True after its last candle.
    pub ended: bool,
    /// Why it does not run.
    #[serde(default)]
    pub note: String,
}

impl Seen {
    /// True when it has come to its end, or says why it will not.
    pub fn is_settled(&self) -> bool {
        self.ended || (matches!(self.state.as_str(), "stopped" | "quarantined") && !self.note.is_empty())
    }
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// True when it fell over: an unwound panic, an abort or a signal.
    pub fn is_crash(&self) -> bool {
        self.status.signal().is_some() || matches!(self.status.code(), Some(101 | 134))
    }

    /// The report that it printed last.
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// See the module.
pub struct Run {
    child: Child,
    state: PathBuf,
    said: [PathBuf; 2],
}

impl Run {
    pub(super) fn start(lab: &Lab, name: &str, pace: Pace, more: &[&str], shim: Option<&Shim>) -> Self {
        let state = lab.state(name);
        let said = ["out", "err"].map(|kind| state.with_extension(kind));
        let [out, err] = [&said[0], &said[1]].map(|path| File::create(path).unwrap());
        let mut command = clean(lab.program());
        command.args(["run", "-o", "json"]).args(more);
        command.arg("--config").arg(lab.config(pace)).arg("--state-dir").arg(&state);
        if let Some(shim) = shim {
            command.env("LD_PRELOAD", &shim.preload).envs(shim.orders.iter().map(|(key, value)| (*key, value)));
        }
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        Self { child, state, said }
    }

    /// The answer to a reading request; `None` when nobody answers, or not to the end.
    pub fn ask(&self, path: &str) -> Option<Value> {
        ask(&self.state.join("supervisor.sock"), path).ok()
    }

    /// Every bot, once it can be asked.
    pub fn look(&self) -> Option<Vec<Seen>> {
        let items = self.ask("/api/v1/instances")?["items"].take();
        serde_json::from_value(items).ok()
    }

    /// True when an order of any bot is on its way, or a cancel is.
    pub fn has_order_in_flight(&self) -> bool {
        let Some(answer) = self.ask("/api/v1/orders?limit=1000") else { return false };
        let in_flight = |row: &Value| row["state"] == "in-flight";
        answer["items"].as_array().is_some_and(|rows| rows.iter().any(in_flight))
    }

    /// Looks again and again until `is_it` says yes; fails when the program ends or hangs before.
    pub fn until<T>(&mut self, what: &str, mut is_it: impl FnMut(&Self) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = is_it(self) {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended ({status}) before {what}: {}", self.heard());
            }
            assert!(since.elapsed() < PATIENCE, "it hangs before {what}: {:?}; {}", self.look(), self.heard());
            thread::park_timeout(PAUSE);
        }
    }

    /// Waits for this share of all recordings; what was seen then.
    pub fn until_progress(&mut self, share: f64) -> f64 {
        let reached = |run: &Self| run.look().map(|bots| progress(&bots)).filter(|seen| *seen >= share);
        self.until(&format!("{:.2} %", share * 100.0), reached)
    }

    /// Waits until no bot starts or runs any more, or until the program has ended by itself.
    pub fn until_settled(&mut self, bots: usize) -> Result<Vec<Seen>, Ended> {
        let since = Instant::now();
        loop {
            if let Some(seen) = self.look().filter(|seen| seen.len() == bots && seen.iter().all(Seen::is_settled)) {
                return Ok(seen);
            }
            if let Some(ended) = self.wait_for(PAUSE) {
                return Err(ended);
            }
            assert!(since.elapsed() < PATIENCE, "it hangs: {:?}; {}", self.look(), self.heard());
        }
    }

    /// What it has said so far.
    pub fn heard(&self) -> String {
        fs::read_to_string(&self.said[1]).unwrap_or_default()
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Ended {
        let _ = self.child.kill();
        self.wait()
    }

    /// SIGTERM, and the end that follows.
    pub fn terminate(mut self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        // It may have ended by itself meanwhile.
        let _ = Command::new("kill").args([&format!("-{name}"), &pid]).stderr(Stdio::null()).status();
    }

    /// Waits for the end; a second SIGTERM never comes, so a hang is a failure.
    pub fn wait(&mut self) -> Ended {
        self.wait_for(PATIENCE).unwrap_or_else(|| panic!("it does not end: {}", self.heard()))
    }

    /// The end, if it comes by then.
    pub fn wait_for(&mut self, patience: Duration) -> Option<Ended> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let [out, err] = [0, 1].map(|at| fs::read_to_string(&self.said[at]).unwrap_or_default());
                return Some(Ended { status, out, err });
            }
            if since.elapsed() > patience {
                return None;
            }
            thread::park_timeout(PAUSE);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program without what the environment of a test run may hold.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["SUPERVISOR_OUTPUT", "SUPERVISOR_CONFIG", "SUPERVISOR_STATE_DIR", "CLICOLOR_FORCE", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Mean share of the recordings that is done.
pub fn progress(bots: &[Seen]) -> f64 {
    let done: f64 = bots.iter().map(|bot| if bot.ended { 1.0 } else { bot.progress.unwrap_or(0.0) }).sum();
    if bots.is_empty() { 0.0 } else { done / bots.len() as f64 }
}

fn ask(socket: &Path, path: &str) -> io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("half an answer"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(head.to_owned()));
    }
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() };
    serde_json::from_str(&body).map_err(io::Error::other)
}

/// The chunks of a chunked body put together.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
