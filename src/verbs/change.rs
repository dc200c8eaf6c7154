//! `start-instance`, `stop-instance`, `pause`, `resume`, `restart`, `remove-instance`: one or many bots; and
//! `resolve-order`.
//!
//! Promises: every bot is tried, also after one has failed; some done and some not is exit code 10; `--dry-run` changes
//! nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use supervisor_actors::view::{ChangeReport, InstanceStatus, State};
use supervisor_api::wire::{AddBody, ReasonBody, ResolveBody, StartBody, StopBody};

use super::read::document;
use crate::cli::{ChangeFlags, Globals, ManyArgs, Positions, ResolveArgs, StartArgs, StopArgs};
use crate::client::{Client, absolute, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, confirm, items, rows};

const POLL: Duration = Duration::from_millis(100);

/// What is done to each bot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Start,
    Stop,
    Pause,
    Resume,
    Restart,
    Remove,
}

impl Act {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Remove => "remove",
        }
    }

    /// The states in which it is done.
    const fn is_reached(self, state: State) -> bool {
        match self {
            Self::Start | Self::Restart => matches!(state, State::Running | State::Paused),
            Self::Stop | Self::Remove => matches!(state, State::Stopped),
            Self::Pause => matches!(state, State::Paused),
            Self::Resume => matches!(state, State::Running),
        }
    }
}

/// `start-instance NAME..`, `start-instance --file F`.
pub fn start(globals: &Globals, out: &Out, args: &StartArgs) -> Result<Exit, Fault> {
    if let Some(file) = &args.file {
        return add(globals, out, args, file);
    }
    if args.fresh {
        forget(globals, out, args)?;
    }
    let body = StartBody { set: args.set.clone(), fresh: args.fresh, reason: args.change.reason.clone() };
    each(globals, out, Act::Start, &args.names, &args.change, &body)
}

/// Asks before what is stored is forgotten; says so where nothing will be done.
fn forget(globals: &Globals, out: &Out, args: &StartArgs) -> Result<(), Fault> {
    let which = which(&args.names, &args.change);
    if args.change.dry_run {
        out.note(&format!("--fresh: position, orders and statistics {which} would be forgotten"));
        return Ok(());
    }
    confirm(globals, &format!("forgetting position, orders and statistics {which}"))
}

fn which(names: &[String], flags: &ChangeFlags) -> String {
    if flags.all { "of all bots".to_owned() } else { format!("of {}", names.join(", ")) }
}

/// `stop-instance NAME..`.
pub fn stop(globals: &Globals, out: &Out, args: &StopArgs) -> Result<Exit, Fault> {
    if args.positions == Some(Positions::CloseMarket) && !args.change.dry_run {
        let which = which(&args.names, &args.change);
        confirm(globals, &format!("selling the positions {which} at market"))?;
    }
    let body = StopBody { on_stop: args.positions.map(Into::into), reason: args.change.reason.clone() };
    each(globals, out, Act::Stop, &args.names, &args.change, &body)
}

/// `pause NAME..`.
pub fn pause(globals: &Globals, out: &Out, args: &ManyArgs) -> Result<Exit, Fault> {
    plain(globals, out, Act::Pause, args)
}

/// `resume NAME..`.
pub fn resume(globals: &Globals, out: &Out, args: &ManyArgs) -> Result<Exit, Fault> {
    plain(globals, out, Act::Resume, args)
}

/// `restart NAME..`.
pub fn restart(globals: &Globals, out: &Out, args: &ManyArgs) -> Result<Exit, Fault> {
    plain(globals, out, Act::Restart, args)
}

/// `remove-instance NAME..`.
pub fn remove(globals: &Globals, out: &Out, args: &ManyArgs) -> Result<Exit, Fault> {
    plain(globals, out, Act::Remove, args)
}

/// `resolve-order ORDER-ID`.
pub fn resolve(globals: &Globals, out: &Out, args: &ResolveArgs) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    let body = ResolveBody { outcome: args.outcome.into(), reason: args.reason.clone() };
    print(out, &talk(client.change(Method::POST, &["orders", &args.id, "resolve"], &body))?)?;
    Ok(Exit::Done)
}

fn plain(globals: &Globals, out: &Out, act: Act, args: &ManyArgs) -> Result<Exit, Fault> {
    let body = ReasonBody { reason: args.change.reason.clone() };
    each(globals, out, act, &args.names, &args.change, &body)
}

fn add(globals: &Globals, out: &Out, args: &StartArgs, file: &Path) -> Result<Exit, Fault> {
    let path = absolute(file)?;
    let toml = std::fs::read_to_string(&path)
        .map_err(|error| Fault::new(Exit::Check, "unreadable_file", format!("{}: {error}", path.display())))?;
    if args.change.dry_run {
        return super::offline::validate(globals, out, Some(&path), &args.set);
    }
    let client = Client::new(globals)?;
    let body = AddBody { toml, path, set: args.set.clone(), reason: args.change.reason.clone() };
    talk(async {
        let answer = client.change(Method::POST, &["instances"], &body).await?;
        print(out, &answer)?;
        if args.change.wait {
            for report in rows::<ChangeReport>(&answer)? {
                wait(&client, globals, Act::Start, &report.id).await?;
            }
        }
        Ok(Exit::Done)
    })
}

fn each(
    globals: &Globals,
    out: &Out,
    act: Act,
    names: &[String],
    flags: &ChangeFlags,
    body: &impl Serialize,
) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    talk(async {
        let known = known(&client, flags).await?;
        let mut names: Vec<String> =
            if flags.all { known.iter().map(|row| row.id.clone()).collect() } else { names.to_vec() };
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let (mut done, mut faults) = (Vec::new(), Vec::new());
        for name in &names {
            let outcome = if flags.dry_run {
                would(&client, act, name).await
            } else {
                one(&client, globals, act, name, flags, body).await
            };
            match outcome {
                Ok(answer) => {
                    if !out.format.is_json() {
                        print(out, &answer)?;
                    }
                    done.extend(items(&answer).to_vec());
                }
                Err(fault) => faults.push(fault),
            }
        }
        if out.format.is_json() && !done.is_empty() {
            print(out, &document("change", done.clone()))?;
        }
        verdict(out, done.len(), faults)
    })
}

/// All bots, where `--all` needs them.
async fn known(client: &Client, flags: &ChangeFlags) -> Result<Vec<InstanceStatus>, Fault> {
    if flags.all { rows(&client.get(&["instances"], &[]).await?) } else { Ok(Vec::new()) }
}

async fn one(
    client: &Client,
    globals: &Globals,
    act: Act,
    name: &str,
    flags: &ChangeFlags,
    body: &impl Serialize,
) -> Result<Value, Fault> {
    let answer = match act {
        Act::Remove => client.change(Method::DELETE, &["instances", name], body).await?,
        Act::Start | Act::Stop | Act::Pause | Act::Resume | Act::Restart => {
            client.change(Method::POST, &["instances", name, act.word()], body).await?
        }
    };
    if flags.wait && act != Act::Remove {
        wait(client, globals, act, name).await?;
    }
    Ok(answer)
}

async fn would(client: &Client, act: Act, name: &str) -> Result<Value, Fault> {
    let detail = client.get(&["instances", name], &[]).await?;
    let state = items(&detail).first().and_then(|item| item["status"]["state"].as_str()).unwrap_or("?").to_owned();
    let text = format!("'{name}' is {state}; would {} it", act.word());
    let row = serde_json::json!({ "id": name, "state": state, "changed": false, "text": text });
    Ok(document("change", vec![row]))
}

/// Waits until the state is reached; quarantine ends the wait at once.
async fn wait(client: &Client, globals: &Globals, act: Act, name: &str) -> Result<(), Fault> {
    let until = Instant::now() + globals.timeout;
    loop {
        let detail = client.get(&["instances", name], &[]).await?;
        let status = items(&detail).first().and_then(|item| item.get("status")).cloned().unwrap_or_default();
        let status: InstanceStatus = serde_json::from_value(status)
            .map_err(|error| Fault::new(Exit::Failed, "foreign_answer", error.to_string()))?;
        if act.is_reached(status.state) || (act == Act::Start && status.ended) {
            return Ok(());
        }
        if status.state == State::Quarantined {
            let text = format!("{name} is quarantined: {}", status.note);
            return Err(Fault::new(Exit::Failed, "quarantined", text).hint(format!("supervisor describe {name}")));
        }
        if Instant::now() >= until {
            let text = format!("{name} is still {} after {:?}", status.state.word(), globals.timeout);
            return Err(Fault::new(Exit::Timeout, "timeout", text).hint("wait longer with --timeout"));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn print(out: &Out, answer: &Value) -> Result<(), Fault> {
    if out.format != Format::Table {
        return out.document::<ChangeReport>(answer);
    }
    let reports: Vec<ChangeReport> = rows(answer)?;
    out.lines(reports.into_iter().map(|report| report.text))
}

/// All failures are told; the exit code is theirs when they agree and nothing was done.
fn verdict(out: &Out, done: usize, mut faults: Vec<Fault>) -> Result<Exit, Fault> {
    let Some(last) = faults.pop() else { return Ok(Exit::Done) };
    for fault in &faults {
        out.fault(fault);
    }
    let agree = faults.iter().all(|fault| fault.exit == last.exit);
    let exit = if done > 0 {
        Exit::Partly
    } else if agree {
        last.exit
    } else {
        Exit::Failed
    };
    Err(Fault { exit, ..last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn failures_of_several_bots_become_one_exit_code() {
        let out = Out::new(&Cli::parse_from(["supervisor", "-q"]).globals);
        let fault = |exit| Fault::new(exit, "closed_pipe", "");
        let code = |done, faults| verdict(&out, done, faults).unwrap_or_else(|fault| fault.exit);
        assert_eq!(code(2, vec![]), Exit::Done);
        assert_eq!(code(1, vec![fault(Exit::Unknown)]), Exit::Partly);
        assert_eq!(code(0, vec![fault(Exit::Unknown), fault(Exit::Unknown)]), Exit::Unknown);
        assert_eq!(code(0, vec![fault(Exit::Unknown), fault(Exit::Conflict)]), Exit::Failed);
    }
}
