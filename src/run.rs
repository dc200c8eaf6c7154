//! `run`: everything from the lock to the last report, in the order that keeps the store safe.
//!
//! Promises: the configuration is whole before anything is touched; the lock is held before the store is opened and
//! until the process is gone; the first signal ends gracefully with the report and exit code 0. The actix system lives
//! here and nowhere else.

use std::future::pending;
use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::time::Duration;

use serde_json::Value;
use supervisor_actors::view::{InstanceStatus, State};
use supervisor_actors::{By, Fleet, FleetError};
use supervisor_api::{Problem, door, serve};
use supervisor_config::{FeedConfig, InstanceConfig, SupervisorConfig};
use supervisor_state::{LockError, StateDir, restore};
use tokio::sync::watch;

use crate::bounded::ends_within;
use crate::cli::{Globals, RunArgs};
use crate::fault::{Exit, Fault};
use crate::ground::Ground;
use crate::logging::Logging;
use crate::out::Out;
use crate::queue::Queue;
use crate::screen::Screen;
use crate::stream::Stream;
use crate::verbs::backtest::unknown;
use crate::verbs::read::document;
use crate::{places, report, signals};

/// How long the last lines may take to be read.
const FLUSH: Duration = Duration::from_secs(2);

/// `run [--until-end] [--only NAME,..]`.
pub fn run(globals: &Globals, out: &Out, args: &RunArgs) -> Result<Exit, Fault> {
    let config = places::config(globals)?;
    check_names(&config, args)?;
    let dir = places::state_dir(globals)?;
    door::check_path(&StateDir::socket_in(&dir))
        .map_err(|error| Fault::new(Exit::Usage, "path_too_long", error.to_string()))?;
    // Never released by us: the store is open until the process is gone.
    let lock = ManuallyDrop::new(StateDir::acquire(&dir).map_err(refused)?);
    let logging = logging(out, &lock, &config)?;
    let stop = signals::listen(logging.pushers()).map_err(|error| Fault::io("signals", &error))?;
    let stop_deadline = Duration::from_secs(config.stop.deadline_s);
    let (ground, recorder) = Ground::open(&lock, config)?;
    ground.told().for_each(|line| out.note(line));
    // Nor is this dropped: it is sealed at the end, and to close it the database would flush once more, which on a
    // failing disk was seen to wait for ever.
    let store = ManuallyDrop::new(ground.store());
    let session = Session { globals, out, args, lock: &lock, logging: &logging, stop_deadline };
    let outcome = actix::System::new().block_on(async {
        let outcome = session.live(ground, stop).await;
        // An actor that never had its turn would begin while it is dropped, and panic for want of a clock.
        tokio::task::yield_now().await;
        outcome
    });
    let recorded = recorder.stop();
    logging.flush(FLUSH);
    let exit = outcome?;
    recorded.map_err(|error| Fault::new(Exit::Failed, "recorder", error.to_string()))?;
    store.seal().map_err(|error| Fault::new(Exit::Failed, "store", error.to_string()))?;
    Ok(exit)
}

/// The named bots exist, and there is an end to wait for.
fn check_names(config: &SupervisorConfig, args: &RunArgs) -> Result<(), Fault> {
    let ids: Vec<String> = config.instances.iter().map(|instance| instance.spec.id.to_string()).collect();
    if let Some(name) = args.only.iter().find(|name| !ids.contains(name)) {
        return Err(unknown(name, &ids));
    }
    let has_end = |instance: &InstanceConfig| match &instance.feed {
        FeedConfig::Replay { .. } => true,
        FeedConfig::Synthetic { spec, .. } => spec.candles.is_some(),
    };
    if args.until_end && !config.instances.iter().any(has_end) {
        let text = "no bot of the configuration has a feed that ends, so --until-end would wait for nothing";
        return Err(Fault::new(Exit::Usage, "endless_feed", text)
            .hint("give a replay with --config DIR, or set feed.candles of a synthetic market"));
    }
    Ok(())
}

fn refused(error: LockError) -> Fault {
    let text = error.to_string();
    match error {
        LockError::Held { .. } => Fault::new(Exit::Conflict, "state_dir_in_use", text),
        LockError::NotADirectory { .. }
        | LockError::Create { .. }
        | LockError::NotWritable { .. }
        | LockError::NoLocks { .. } => {
            Fault::new(Exit::Failed, "state_dir", text).hint("choose another directory with --state-dir")
        }
    }
}

/// A failure of our own fleet: nobody stands between, so the cause is told as it is.
fn failed(error: FleetError) -> Fault {
    match error {
        FleetError::Internal { text } => Fault::new(Exit::Failed, "internal", text),
        FleetError::Failed { text, code } => Fault::new(Exit::Failed, code, text),
        FleetError::UnknownInstance { .. }
        | FleetError::UnknownOrder { .. }
        | FleetError::Conflict { .. }
        | FleetError::Invalid { .. }
        | FleetError::Timeout { .. }
        | FleetError::KillNotStored { .. } => Problem::from(error).into(),
    }
}

/// True when the live table is shown.
fn is_live(out: &Out) -> bool {
    std::io::stdout().is_terminal() && !out.format.is_json()
}

/// The log, with lines for people where they are wanted: standard output belongs to the report when it is JSON.
fn logging(out: &Out, lock: &StateDir, config: &SupervisorConfig) -> Result<Logging, Fault> {
    let people = match (out.format.is_json(), is_live(out)) {
        (true, _) if !out.is_verbose() => None,
        (false, true) => Some(Stream::screen()),
        (json, _) => Some(Stream::new(json)),
    };
    let people = people.map(|stream| Queue::start("lines", stream)).transpose();
    let people = people.map_err(|error| Fault::io("thread", &error))?;
    Logging::start(&lock.logs_dir(), &config.logs, people, !is_live(out))
        .map_err(|error| Fault::io(&lock.logs_dir().display().to_string(), &error))
}

/// Nothing can be recorded any more: better to end, and to be started again on what is on disk.
fn storage_failed(error: Result<String, FleetError>) -> Fault {
    let text = error.unwrap_or_else(|error| error.to_string());
    Fault::new(Exit::Failed, "storage_failed", text)
        .hint("start it again: every bot goes on from what is on disk; then look at: supervisor store verify")
}

/// One run.
struct Session<'a> {
    globals: &'a Globals,
    out: &'a Out,
    args: &'a RunArgs,
    lock: &'a StateDir,
    logging: &'a Logging,
    stop_deadline: Duration,
}

impl Session<'_> {
    async fn live(&self, ground: Ground, mut stop: watch::Receiver<bool>) -> Result<Exit, Fault> {
        let fleet = ground.fleet().map_err(failed)?;
        let server = serve(fleet.clone(), &self.lock.socket())
            .map_err(|error| Fault::new(Exit::Failed, "socket", error.to_string()))?;
        self.greet(&fleet).await?;
        // Once what the opening had to tell is on disk as alerts, it need not be told again.
        fleet.flush().await.map_err(failed)?;
        restore::told(self.lock).map_err(|error| Fault::new(Exit::Failed, "store", error.to_string()))?;
        tracing::info!(event = "supervisor.started", version = env!("CARGO_PKG_VERSION"), "the supervisor runs");
        let outcome = tokio::select! {
            _ = stop.wait_for(|asked| *asked) => Ok(()),
            ended = self.work(&fleet) => ended,
            () = self.show(&fleet) => Ok(()),
            failed = fleet.storage_failed() => Err(storage_failed(failed)),
        };
        ends_within(self.stop_deadline, &[&self.lock.store_dir()]);
        self.note("stopping: no new entries, orders kept or cancelled as configured ...");
        let stopped = fleet.shutdown(By::supervisor("the supervisor stops")).await;
        // Also an end that failed, on a full disk say, tells what the bots have.
        let report = match &stopped {
            Ok(report) => Ok(report.clone()),
            Err(_) => fleet.report().await,
        };
        let verdict = self.verdict(&fleet).await;
        server.stop().await;
        tracing::info!(event = "supervisor.stopped", "the supervisor has stopped");
        outcome?;
        self.last_words(&report.map_err(failed)?)?;
        stopped.map_err(failed)?;
        verdict
    }

    /// Starts the bots; with `--until-end`, ends with the last replay.
    async fn work(&self, fleet: &Fleet) -> Result<(), Fault> {
        fleet.autostart(&self.args.only).await.map_err(failed)?;
        if self.args.until_end {
            fleet.ended().await.map_err(failed)?;
            return Ok(());
        }
        pending().await
    }

    /// What runs, how to look at it, how to stop it.
    async fn greet(&self, fleet: &Fleet) -> Result<(), Fault> {
        let status = fleet.status().await.map_err(failed)?;
        let rows: Vec<InstanceStatus> = status.items.into_iter().filter(|row| self.is_wanted(row)).collect();
        let (program, flag) = (places::program(), places::state_flag(self.globals));
        let one = rows.first().map_or("NAME", |row| row.id.as_str());
        let command = |verb: &str| format!("{program} {verb}{flag}");
        let text = format!(
            "supervisor {} - {}, paper money\n\n{}\nlook:   {}\n        {}\n        {}\nstop:   Ctrl-C here, \
             or one bot: {}\nkill:   {}   (entries off everywhere, resting orders cancelled)\nstate:  {}\n",
            env!("CARGO_PKG_VERSION"),
            crate::table::count(rows.len(), "bot"),
            table(&rows),
            command("status"),
            command(&format!("logs {one} -f")),
            command(&format!("explain {one}")),
            command(&format!("stop-instance {one}")),
            command("kill"),
            self.lock.path().display(),
        );
        if status.kill.on {
            self.note(&format!(
                "KILL SWITCH ON since {}: {}\nclear it with: {}",
                status.kill.since(),
                status.kill.reason,
                command("kill clear --confirm RESUME")
            ));
        }
        if self.out.format.is_json() {
            self.out.note(&text);
        } else if let Some(people) = self.logging.people() {
            people.push(format!("{text}\n").as_bytes());
        }
        Ok(())
    }

    fn is_wanted(&self, row: &InstanceStatus) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&row.id)
    }

    /// On a terminal, the live table; on a pipe the log does it.
    async fn show(&self, fleet: &Fleet) {
        let people = self.logging.people().filter(|_| is_live(self.out));
        let Some(people) = people else { return pending().await };
        let footer = format!("Ctrl-C stops   {} status{}", places::program(), places::state_flag(self.globals));
        let mut screen = Screen::new(people, footer);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = screen.draw(fleet).await {
                tracing::warn!(event = "screen.failed", %error, "the live table could not be drawn");
            }
        }
    }

    fn note(&self, text: &str) {
        self.logging.flush(FLUSH);
        self.out.note(text);
    }

    /// With `--until-end`: every bot that should have come to its end did.
    async fn verdict(&self, fleet: &Fleet) -> Result<Exit, Fault> {
        if !self.args.until_end {
            return Ok(Exit::Done);
        }
        let status = fleet.status().await.map_err(failed)?;
        let wanted: Vec<InstanceStatus> = status.items.into_iter().filter(|row| self.is_wanted(row)).collect();
        let failed = |row: &&InstanceStatus| {
            let broken = matches!(row.state, State::Quarantined | State::Backoff);
            broken || (!row.ended && !row.note.is_empty() && row.state != State::Stopped)
        };
        let failed: Vec<&InstanceStatus> = wanted.iter().filter(failed).collect();
        for row in &failed {
            self.out.note(&format!("{} did not finish: {}", row.id, row.note));
        }
        match failed.len() {
            0 => Ok(Exit::Done),
            all if all == wanted.len() => Ok(Exit::Check),
            _ => Ok(Exit::Partly),
        }
    }

    fn last_words(&self, report: &Value) -> Result<(), Fault> {
        self.logging.flush(FLUSH);
        let mut items = report.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let only = &self.args.only;
        items.retain(|item| only.is_empty() || only.iter().any(|name| item["id"] == name.as_str()));
        report::print(self.out, &document("report", items))
    }
}

/// What will run, before it does.
fn table(rows: &[InstanceStatus]) -> String {
    let heads = ["NAME", "TITLE", "STRATEGY", "MARKET", "MODE"];
    let cell =
        |row: &InstanceStatus| [&row.id, &row.name, &row.strategy, &row.market, &row.mode].map(Clone::clone).into();
    let cells: Vec<Vec<String>> = rows.iter().map(cell).collect();
    crate::table::lines(&heads, &cells).iter().map(|line| format!("  {line}\n")).collect()
}
