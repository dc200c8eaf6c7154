//! `status`, `list`, `describe`: how the bots are.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;
use supervisor_actors::view::{InstanceDetail, InstanceStatus, KillStatus, State};

use crate::cli::{Globals, NameArg, StatusArgs};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, items, rows};
use crate::rows::{done, line};
use crate::table;

/// `status [NAME] [-w]`.
pub fn status(globals: &Globals, out: &Out, args: &StatusArgs) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    talk(async {
        loop {
            let exit = once(&client, out, args).await?;
            if !args.watch {
                return Ok(exit);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

async fn once(client: &Client, out: &Out, args: &StatusArgs) -> Result<Exit, Fault> {
    let document = match &args.name {
        None => client.get(&["instances"], &[]).await?,
        Some(name) => of_one(client.get(&["instances", name], &[]).await?),
    };
    if args.watch && !out.format.is_json() && std::io::stdout().is_terminal() {
        out.data("\x1b[H\x1b[2J")?;
    }
    out.document::<InstanceStatus>(&document)?;
    let found: Vec<InstanceStatus> = rows(&document)?;
    if !out.format.is_json() && out.format != Format::Name {
        summary(out, &document, &found);
    }
    match (&args.name, found.first()) {
        (Some(_), Some(one)) if one.state != State::Running => Ok(Exit::Check),
        _ => Ok(Exit::Done),
    }
}

/// The row of `status` out of the answer to `describe`.
fn of_one(detail: Value) -> Value {
    let status: Vec<Value> = items(&detail).iter().filter_map(|item| item.get("status").cloned()).collect();
    serde_json::json!({ "api_version": detail["api_version"], "kind": "instance", "items": status })
}

/// The line under the table: how many of what, and what wants a look.
fn summary(out: &Out, document: &Value, found: &[InstanceStatus]) {
    let kill = document.get("kill").and_then(|kill| serde_json::from_value::<KillStatus>(kill.clone()).ok());
    if let Some(KillStatus { on: true, at, reason, .. }) = kill {
        out.note(&format!("KILL SWITCH ON since {at}: {reason}"));
    }
    let paper = found.iter().filter(|row| row.mode == "paper").count();
    let mut text = format!("{} live, {paper} paper", found.len() - paper);
    let failed: Vec<&str> =
        found.iter().filter(|row| row.state == State::Quarantined).map(|row| row.id.as_str()).collect();
    if let Some(first) = failed.first() {
        text += &format!(" - {} quarantined: supervisor describe {first}", failed.len());
    }
    out.note(&text);
}

/// What `list` shows of a bot.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Listed(InstanceStatus);

impl Row for Listed {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["NAME", "TITLE", "STATE", "STRATEGY", "MARKET", "ACCOUNT", "MODE"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        let InstanceStatus { id, name, state, strategy, market, account, mode, .. } = self.0.clone();
        vec![id, name, state.word().to_owned(), strategy, market, account, mode]
    }

    fn name(&self) -> String {
        self.0.id.clone()
    }
}

/// `list`.
pub fn list(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    let document = talk(client.get(&["instances"], &[]))?;
    out.document::<Listed>(&document)?;
    Ok(Exit::Done)
}

/// `describe NAME`.
pub fn describe(globals: &Globals, out: &Out, args: &NameArg) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    let document = talk(client.get(&["instances", &args.name], &[]))?;
    match out.format {
        Format::Json | Format::Ndjson => out.document::<InstanceStatus>(&document)?,
        Format::Name => out.data(&args.name)?,
        Format::Table | Format::Wide => {
            for detail in rows::<InstanceDetail>(&document)? {
                out.data(&described(&detail, out.format == Format::Wide))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn described(detail: &InstanceDetail, wide: bool) -> String {
    let status = &detail.status;
    let mut text = format!("{} - {}\n", status.id, status.name);
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            text += &format!("  {key:<12} {value}\n");
        }
    };
    put("about", &detail.description);
    put("state", status.state.word());
    put("note", &status.note);
    put("strategy", &status.strategy);
    put("market", &status.market);
    put("account", &format!("{} ({})", status.account, status.mode));
    put("clock", &format!("{} ({} candles, {})", status.clock, status.candles, done(status)));
    put("equity", &format!("{} {}", table::money(status.equity, &status.asset), status.asset));
    put("total", &table::signed(status.total_profit, &status.asset));
    put("today", &table::signed(status.day_profit, &status.asset));
    put("drawdown", &table::percent(status.max_drawdown));
    let hops: Vec<String> = status.hops.iter().map(|(actor, count)| format!("{actor} {count}")).collect();
    put("messages", &hops.join(", "));
    let settings = detail.config.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let facts = |facts: &[_]| facts.iter().map(line).collect();
    text += &section("settings", settings);
    text += &grid("risk", &detail.risk, wide);
    text += &grid("positions", &detail.positions, wide);
    text += &grid("open orders", &detail.open_orders, wide);
    text += &section("newest events", facts(&detail.facts));
    text += &section("newest refusals", facts(&detail.vetoes));
    text
}

fn section(title: &str, lines: Vec<String>) -> String {
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{}", if body.is_empty() { "  none\n".to_owned() } else { body })
}

fn grid<R: Row>(title: &str, rows: &[R], wide: bool) -> String {
    if rows.is_empty() {
        return section(title, Vec::new());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells(wide)).collect();
    section(title, table::render(&R::heads(wide), &cells).lines().map(str::to_owned).collect())
}
