//! `status`, `list`, `describe`: how the bots are.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;
use supervisor_actors::view::{Certainty, InstanceDetail, InstanceStatus, KillStatus, State};

use crate::cli::{Globals, NameArg, StatusArgs};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, items, rows};
use crate::rows::{done, line, telling, wait};
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
    let found: Vec<InstanceStatus> = rows(&document)?;
    match out.format {
        Format::Table => out.data(&narrow(&found))?,
        Format::Wide | Format::Json | Format::Ndjson | Format::Name => out.document::<InstanceStatus>(&document)?,
    }
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

/// The table without the columns that say nothing.
fn narrow(found: &[InstanceStatus]) -> String {
    let (all, shown) = (InstanceStatus::heads(false), telling(found));
    let heads: Vec<&str> = shown.iter().map(|at| all[*at]).collect();
    let cells: Vec<Vec<String>> = found
        .iter()
        .map(|row| {
            let cells = row.cells(false);
            shown.iter().filter_map(|at| cells.get(*at).cloned()).collect()
        })
        .collect();
    table::render(&heads, &cells)
}

/// What a person should know of a bot that failed, and what its check at the start found odd.
fn troubles(row: &InstanceStatus) -> Vec<String> {
    let mut troubles = Vec::new();
    let panic = row.last_panic.as_ref().map(|panic| format!("; last panic: {panic}")).unwrap_or_default();
    let (id, state, restarts) = (&row.id, row.state.word(), table::count(row.restarts as usize, "restart"));
    if row.state == State::Quarantined {
        troubles.push(format!("{id}: {state}: {}", row.note));
    } else if let Some(ms) = row.retry_in_ms {
        troubles.push(format!("{id}: {state}, next try in {}, {restarts} so far{panic}", wait(ms)));
    } else if row.restarts > 0 || row.last_panic.is_some() {
        troubles.push(format!("{id}: {state} after {restarts}{panic}"));
    }
    troubles.extend(uncertain(row));
    troubles.extend(row.warnings.iter().map(|warning| format!("WARN {}: {warning}", row.id)));
    troubles
}

/// What is not certain about its orders and balances.
fn uncertain(row: &InstanceStatus) -> Vec<String> {
    let Certainty { in_doubt, oldest_doubt_s, disputed, differences, .. } = &row.certainty;
    let mut lines: Vec<String> = differences.iter().map(|one| format!("DIFFERS {}: {one}", row.id)).collect();
    if *disputed > 0 {
        let what = table::count(*disputed as usize, "order");
        lines.push(format!("DISPUTED {}: {what}, see: supervisor orders {}", row.id, row.id));
    }
    if *in_doubt > 0 {
        let oldest = oldest_doubt_s.map(|s| format!(", the oldest for {}", table::age(s.saturating_mul(1_000))));
        let what = table::count(*in_doubt as usize, "order");
        lines.push(format!("{}: {what} in doubt{}", row.id, oldest.unwrap_or_default()));
    }
    lines
}

/// The kill switch, when it is on.
fn killed(kill: &KillStatus) -> Option<String> {
    kill.on.then(|| format!("KILL SWITCH ON since {}: {}", kill.since(), kill.reason))
}

/// The lines under the table: what wants a look, and how many of what.
fn summary(out: &Out, document: &Value, found: &[InstanceStatus]) {
    let kill = document.get("kill").and_then(|kill| serde_json::from_value::<KillStatus>(kill.clone()).ok());
    if let Some(line) = kill.as_ref().and_then(killed) {
        out.note(&line);
    }
    for line in found.iter().flat_map(troubles) {
        out.note(&line);
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
    put("restarts", &if status.restarts > 0 { status.restarts.to_string() } else { String::new() });
    put("next try", &status.retry_in_ms.map(|ms| format!("in {}", wait(ms))).unwrap_or_default());
    put("last panic", status.last_panic.as_deref().unwrap_or_default());
    for warning in &status.warnings {
        put("WARN", warning);
    }
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
    text += &section("reconciliation", reconciliation(status));
    text += &grid("risk", &detail.risk, wide);
    text += &grid("positions", &detail.positions, wide);
    text += &grid("open orders", &detail.open_orders, wide);
    text += &section("newest events", facts(&detail.facts));
    text += &section("newest refusals", facts(&detail.vetoes));
    text
}

/// How sure it is of its orders and balances.
fn reconciliation(status: &InstanceStatus) -> Vec<String> {
    let Certainty { in_doubt, under_query, oldest_doubt_s, disputed, reconciled, differences, held } =
        &status.certainty;
    let oldest = oldest_doubt_s.map_or("-".to_owned(), |s| table::age(s.saturating_mul(1_000)));
    let last = if reconciled.is_empty() { "not yet" } else { reconciled };
    let mut lines = vec![
        format!("in doubt      {in_doubt} (asked about: {under_query}, the oldest for {oldest})"),
        format!("disputed      {disputed}"),
        format!("reconciled    {last}"),
        format!("held          {} {}", table::money(*held, &status.asset), status.asset),
    ];
    let differs = if differences.is_empty() { "none".to_owned() } else { differences.len().to_string() };
    lines.push(format!("differences   {differs}"));
    lines.extend(differences.iter().map(|difference| format!("  {difference}")));
    lines
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

#[cfg(test)]
mod tests {
    use super::*;
    use supervisor_actors::view::Difference;

    fn bot(restarts: u32) -> InstanceStatus {
        let row = serde_json::json!({
            "id": "grid", "name": "Grid", "state": "backoff", "mode": "paper", "strategy": "grid",
            "market": "BTCUSDT@paper", "account": "paper", "asset": "USDT", "clock": "", "candles": 0,
            "progress": null, "ended": false, "open_orders": 0, "orders": 0, "fills": 0, "round_trips": 0,
            "vetoed": 0, "day_profit": "0", "total_profit": "0", "equity": "0", "max_drawdown": null,
            "restarts": restarts, "last_panic": null, "retry_in_ms": null, "warnings": [], "up_ms": 0, "note": "",
            "hops": {},
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn restarts_are_a_column_once_there_was_one() {
        assert!(!narrow(&[bot(0), bot(0)]).contains("RESTARTS"));
        let shown = narrow(&[bot(0), bot(2)]);
        assert!(shown.lines().next().unwrap().ends_with("RESTARTS  AGE"), "{shown}");
        let last: Vec<&str> = shown.lines().last().unwrap().split_whitespace().rev().take(2).collect();
        assert_eq!(last, ["0s", "2"]);
    }

    #[test]
    fn doubt_is_a_column_and_a_line_while_there_is_some() {
        let with = |certainty| InstanceStatus { certainty, ..bot(0) };
        let waiting = with(Certainty { in_doubt: 2, oldest_doubt_s: Some(41), ..Certainty::default() });
        let shown = narrow(&[bot(0), waiting.clone()]);
        assert!(shown.lines().next().unwrap().ends_with("DOUBT  AGE"), "{shown}");
        assert!(shown.lines().next_back().unwrap().contains("2 (41s)"), "{shown}");
        assert!(shown.lines().all(|line| line.len() <= 100), "{shown}");
        assert_eq!(troubles(&waiting), ["grid: 2 orders in doubt, the oldest for 41s"]);
        let (asset, since) = ("USDT".to_owned(), "then".to_owned());
        let difference = Difference { asset, expected: 7.into(), stated: 5.into(), since };
        let worse = with(Certainty { disputed: 1, differences: vec![difference], ..Certainty::default() });
        assert!(narrow(std::slice::from_ref(&worse)).contains("differs"));
        let lines = [
            "DIFFERS grid: USDT: the venue holds 5, by our own count it is 7, since then",
            "DISPUTED grid: 1 order, see: supervisor orders grid",
        ];
        assert_eq!(troubles(&worse), lines);
        assert!(reconciliation(&worse).contains(&"differences   1".to_owned()));
        assert!(!narrow(&[bot(0)]).contains("DOUBT"));
    }

    #[test]
    fn a_kill_switch_whose_moment_is_lost_says_so() {
        let on = |at: &str| {
            let (at, by, reason) = (at.to_owned(), "uid:0".to_owned(), "outage".to_owned());
            KillStatus { on: true, at, by, reason }
        };
        let at = "2026-11-20T12:00:00.000Z";
        assert_eq!(killed(&on(at)).unwrap(), format!("KILL SWITCH ON since {at}: outage"));
        assert_eq!(killed(&on("")).unwrap(), "KILL SWITCH ON since a moment that is lost: outage");
        assert_eq!(killed(&KillStatus::default()), None);
    }

    #[test]
    fn troubles_name_the_panic_the_next_try_and_each_warning() {
        assert!(troubles(&bot(0)).is_empty());
        let panic = Some("risk: index out of bounds".to_owned());
        let waiting = InstanceStatus { retry_in_ms: Some(3_000), last_panic: panic.clone(), ..bot(2) };
        let expected = "grid: backoff, next try in 3s, 2 restarts so far; last panic: risk: index out of bounds";
        assert_eq!(troubles(&waiting), [expected]);
        let back = InstanceStatus { state: State::Running, last_panic: panic, ..bot(1) };
        assert_eq!(troubles(&back), ["grid: running after 1 restart; last panic: risk: index out of bounds"]);
        let given_up = InstanceStatus { state: State::Quarantined, note: "it diverged".to_owned(), ..bot(0) };
        assert_eq!(troubles(&given_up), ["grid: quarantined: it diverged"]);
        let odd = InstanceStatus { warnings: vec!["no entry price".into(), "price moved 60 %".into()], ..bot(0) };
        assert_eq!(troubles(&odd), ["WARN grid: no entry price", "WARN grid: price moved 60 %"]);
    }
}
