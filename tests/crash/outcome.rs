//! What a run came to, bot by bot, and how two of them differ.
//!
//! Promises: everything that the program reports is compared, unless a test names what it leaves out and why.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lab::{Lab, Pace};
use super::run::{Ended, Run, clean};

/// Most rows that one answer holds.
const ROWS_MAX: usize = 10_000;

/// What a stop and a start leave in a digest and nowhere else: they are facts themselves, and the inputs after them
/// have other numbers.
pub const STOPS: [&str; 2] = ["digest", "cause"];

/// One bot at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct BotEnd {
    /// Its report: digest, balances, equity, counts.
    pub report: Value,
    /// Every execution, newest first.
    pub trades: Vec<Value>,
}

/// All bots at their end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// By id.
    pub bots: BTreeMap<String, BotEnd>,
    /// What the program thought a person should look at, `code: text`.
    pub alerts: Vec<String>,
}

impl Outcome {
    /// Lets a run go on to the end of all recordings, ends it and takes down what it came to.
    pub fn of(lab: &Lab, mut run: Run) -> Self {
        run.until("all bots have come to their end", |run| {
            run.look().filter(|bots| bots.len() == lab.ids().len() && bots.iter().all(|bot| bot.ended))
        });
        Self::now(lab, run)
    }

    /// Takes down what a run has come to and ends it.
    pub fn now(lab: &Lab, run: Run) -> Self {
        let trades = trades(lab, &run);
        let alerts = alerts(&run);
        let ended = run.terminate();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        Self::from_parts(&ended, trades, alerts)
    }

    /// The outcome of a run that nothing disturbs.
    pub fn undisturbed(lab: &Lab, pace: Pace) -> Self {
        let outcome = Self::of(lab, lab.start("undisturbed", pace));
        lab.discard("undisturbed");
        assert!(outcome.bots.values().all(|bot| !bot.trades.is_empty()), "a bot did not trade: {outcome:?}");
        assert_eq!(outcome.alerts, Vec::<String>::new());
        outcome
    }

    fn from_parts(ended: &Ended, mut trades: BTreeMap<String, Vec<Value>>, alerts: Vec<String>) -> Self {
        let mut report = ended.report();
        let rows: Vec<Value> = serde_json::from_value(report["items"].take()).unwrap();
        let bot = |report: Value| {
            let id = report["id"].as_str().unwrap().to_owned();
            let trades = trades.remove(&id).unwrap_or_default();
            (id, BotEnd { report, trades })
        };
        Self { bots: rows.into_iter().map(bot).collect(), alerts }
    }

    /// Every key of every bot that differs, except those in `but`; a few of each.
    pub fn differences(&self, other: &Self, but: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for id in self.bots.keys().chain(other.bots.keys().filter(|id| !self.bots.contains_key(*id))) {
            let (Some(ours), Some(theirs)) = (self.bots.get(id), other.bots.get(id)) else {
                found.push(format!("{id} is missing in one of them"));
                continue;
            };
            found.extend(rows_differ(&format!("{id}: report"), &ours.report, &theirs.report, but));
            if ours.trades.len() != theirs.trades.len() {
                found.push(format!("{id}: {} trades, {} trades", ours.trades.len(), theirs.trades.len()));
            }
            // Newest first, so the first that went wrong is the last of the list.
            let pairs = ours.trades.iter().rev().zip(theirs.trades.iter().rev()).enumerate();
            let wrong = pairs.flat_map(|(at, (a, b))| rows_differ(&format!("{id}: trade {at}"), a, b, but));
            found.extend(wrong.take(4));
        }
        found
    }

    /// The program's own word that a backtest comes to the same.
    pub fn agrees_with_backtest(&self, lab: &Lab) {
        for (id, bot) in &self.bots {
            let mut command = clean(lab.program());
            command.args(["backtest", "--instance", id, "-o", "json", "--config"]).arg(lab.config(Pace::Max));
            let said = command.output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let report: Value = serde_json::from_slice(&said.stdout).unwrap();
            assert_eq!(report["items"][0], bot.report, "{id}");
        }
    }
}

/// Alerts that tell of a state that was not gone on with. A bot that starts afresh on a recording comes to the same
/// digest, so they have to be looked for.
pub fn losses(alerts: &[String]) -> Vec<String> {
    let is_loss = |line: &&String| LOSSES.iter().any(|code| line.starts_with(code));
    alerts.iter().filter(is_loss).cloned().collect()
}

const LOSSES: [&str; 4] = ["state.diverged", "state.lost", "state.unfit", "store.restored"];

fn rows_differ(what: &str, ours: &Value, theirs: &Value, but: &[&str]) -> Vec<String> {
    let (Some(a), Some(b)) = (ours.as_object(), theirs.as_object()) else {
        return vec![format!("{what}: {ours} is no row, or {theirs} is none")];
    };
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).filter(|key| !but.contains(&key.as_str())).collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &&&String| a.get(**key) != b.get(**key);
    keys.iter().filter(differs).map(|key| format!("{what}: {key}: {:?}, {:?}", a.get(*key), b.get(*key))).collect()
}

fn trades(lab: &Lab, run: &Run) -> BTreeMap<String, Vec<Value>> {
    let of = |id: &&str| {
        let mut answer = run.ask(&format!("/api/v1/trades?instance={id}&limit={ROWS_MAX}")).unwrap();
        let rows: Vec<Value> = serde_json::from_value(answer["items"].take()).unwrap();
        assert!(rows.len() < ROWS_MAX, "{id} has more trades than one answer holds");
        ((*id).to_owned(), rows)
    };
    lab.ids().iter().map(of).collect()
}

/// The newest alerts, `code: text`.
pub fn alerts(run: &Run) -> Vec<String> {
    let answer = run.ask("/api/v1/errors?limit=1000").unwrap_or_default();
    let line = |row: &Value| {
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", word("code"), word("instance"), word("text"))
    };
    answer["items"].as_array().map(|rows| rows.iter().map(line).collect()).unwrap_or_default()
}
