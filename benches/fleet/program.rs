//! The program in a process of its own, asked over its socket.
//!
//! Promises: it never outlives its handle.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::figures::{line, spread};

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks. One at 1,000 bots takes their threads tens of milliseconds, so more of them would slow down what
/// they look at; figures of such fleets are exact to this.
const PAUSE: Duration = Duration::from_millis(100);
/// The same until the first answer, which costs nobody anything.
const KNOCK: Duration = Duration::from_millis(5);
/// So few bots can be looked at as often.
const FEW: usize = 10;

/// A line of `status`, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen {
    pub state: String,
    pub orders: u64,
    pub candles: u64,
}

/// How long something took, from the start of the process.
pub struct Reached {
    /// Until it first answered.
    pub answer: Duration,
    /// Until it was so.
    pub all: Duration,
    /// Time on processors until then, all threads together: tells a slow program from a busy machine.
    pub cpu: Duration,
}

/// Prints what several runs came to.
pub fn tell(what: &str, runs: &[Reached]) {
    let of = |pick: fn(&Reached) -> Duration| spread(&runs.iter().map(pick).collect::<Vec<_>>());
    line(&format!("{what}, all run"), &of(|run| run.all));
    line(&format!("{what}, first answer"), &of(|run| run.answer));
    line(&format!("{what}, processor time"), &of(|run| run.cpu));
}

/// See the module.
pub struct Program {
    child: Child,
    state: PathBuf,
    said: PathBuf,
    began: Instant,
}

impl Program {
    /// Starts it; `config` `None`: with the shipped configuration.
    pub fn start(config: Option<&Path>, state: &Path) -> Self {
        let said = state.with_extension("err");
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
        for name in ["SUPERVISOR_OUTPUT", "SUPERVISOR_CONFIG", "SUPERVISOR_STATE_DIR", "SUPERVISOR_FAULTS"] {
            command.env_remove(name);
        }
        command.args(["run", "-o", "json", "--state-dir"]).arg(state);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        let began = Instant::now();
        Self { child: command.spawn().unwrap(), state: state.to_path_buf(), said, began }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until this is so.
    pub fn until(&mut self, what: &str, is_it: impl Fn(&[Seen]) -> bool) -> Reached {
        let (mut answered, mut bots) = (None, 0);
        loop {
            if let Ok(seen) = look(&self.state.join("supervisor.sock")) {
                let now = self.began.elapsed();
                bots = seen.len();
                let answer = *answered.get_or_insert(now);
                if is_it(&seen) {
                    return Reached { answer, all: now, cpu: self.cpu() };
                }
            }
            let ended = self.child.try_wait().unwrap();
            let heard = || fs::read_to_string(&self.said).unwrap_or_default();
            assert!(ended.is_none(), "it ended before {what}: {}", heard());
            assert!(self.began.elapsed() < PATIENCE, "it hangs before {what}: {}", heard());
            thread::park_timeout(if answered.is_some_and(|_| bots > FEW) { PAUSE } else { KNOCK });
        }
    }

    /// The same until every one of so many bots runs.
    pub fn until_all_run(&mut self, bots: usize) -> Reached {
        self.until("all run", |seen| seen.len() == bots && seen.iter().all(|bot| bot.state == "running"))
    }

    /// Time on a processor so far. The kernel counts it in hundredths of a second.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every bot. HTTP/1.0, so that the answer comes in one piece.
fn look(socket: &Path) -> io::Result<Vec<Seen>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /api/v1/instances HTTP/1.0\r\nhost: x\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("half an answer"))?;
    let mut answer: Value = serde_json::from_str(body).map_err(io::Error::other)?;
    serde_json::from_value(answer["items"].take()).map_err(io::Error::other)
}
