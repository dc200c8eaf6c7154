//! The live table of `run` on a terminal: how the bots are, what they did last, whether the kill switch is on.
//!
//! Promises: redrawn in place, never wider or higher than the terminal, afresh after its size has changed; what does
//! not fit is left out by whole columns and counted rows; a terminal that does not read (Ctrl-S) holds nobody up.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use supervisor_actors::view::{AlertRow, FactRow, FleetStatus, InstanceStatus};
use supervisor_actors::{Fleet, FleetError};
use terminal_size::{Height, Width, terminal_size};

use crate::out::Row;
use crate::queue::Pusher;
use crate::rows::telling;
use crate::table;

const EVENTS: usize = 10;
const EVENTS_PER_BOT: usize = 50;
/// Bots whose journals are looked at for the newest events; a larger fleet has `logs` and `errors`.
const EVENT_BOTS: usize = 32;

/// What is on the terminal now.
pub struct Screen {
    to: Pusher,
    footer: String,
    /// No colours; the cursor moves all the same.
    plain: bool,
    drawn: usize,
    size: (usize, usize),
    events: VecDeque<String>,
    seen: BTreeMap<String, String>,
    alerts: usize,
}

impl Screen {
    /// An empty one; `footer` is its last line.
    pub fn new(to: Pusher, footer: String) -> Self {
        let plain = anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never;
        Self { to, footer, plain, drawn: 0, size: (0, 0), events: VecDeque::new(), seen: BTreeMap::new(), alerts: 0 }
    }

    /// Looks at the fleet and draws.
    ///
    /// # Errors
    /// When the fleet does not answer.
    pub async fn draw(&mut self, fleet: &Fleet) -> Result<(), FleetError> {
        let status = fleet.status().await?;
        for row in status.items.iter().take(EVENT_BOTS) {
            // A bot that is just being rebuilt has nothing to tell.
            if let Ok(facts) = fleet.facts(&row.id, None, EVENTS_PER_BOT).await {
                self.take(&row.id, &facts);
            }
        }
        let alerts = fleet.errors(EVENTS).await?;
        self.alert(&alerts);
        let size = terminal_size().map_or((120, 40), |(Width(w), Height(h))| (w as usize, h as usize));
        let picture = picture(&status, self.events.make_contiguous(), &self.footer, size.0, size.1.saturating_sub(1));
        self.put(&picture, size);
        Ok(())
    }

    /// The facts that were not there at the last look.
    fn take(&mut self, id: &str, facts: &[FactRow]) {
        let seen = self.seen.get(id);
        let known = facts.iter().position(|fact| Some(&fact.cursor) == seen).map_or(0, |at| at + 1);
        let told = facts[known..].iter().filter(|fact| !is_echo(fact));
        let told: Vec<String> = told.map(brief).collect();
        told.into_iter().for_each(|text| self.push(text));
        if let Some(last) = facts.last() {
            self.seen.insert(id.to_owned(), last.cursor.clone());
        }
    }

    fn alert(&mut self, alerts: &[AlertRow]) {
        let new = alerts.len().saturating_sub(self.alerts.min(alerts.len()));
        for alert in &alerts[alerts.len() - new..] {
            let AlertRow { severity, instance, text, .. } = alert;
            self.push(format!("{}  {}  {text}", severity.to_uppercase(), or(instance, "supervisor")));
        }
        self.alerts = self.alerts.max(alerts.len());
    }

    fn push(&mut self, text: String) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(text.replace('\n', "; "));
    }

    fn put(&mut self, lines: &[String], size: (usize, usize)) {
        if self.to.push_if_idle(self.frame(lines, size).as_bytes()) {
            (self.drawn, self.size) = (lines.len(), size);
        }
    }

    /// The lines over those that are there.
    fn frame(&self, lines: &[String], size: (usize, usize)) -> String {
        let mut frame = match self.drawn {
            0 => String::new(),
            // Where the old lines are after a change of size is known to the terminal only.
            _ if size != self.size => "\x1b[H\x1b[J".to_owned(),
            drawn => format!("\x1b[{drawn}A\r"),
        };
        for line in lines {
            let line = if self.plain { uncoloured(line) } else { line.clone() };
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        frame + "\x1b[J"
    }
}

/// A line without its colours: `ESC [ ... m`.
fn uncoloured(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// True for what another line says already.
fn is_echo(fact: &FactRow) -> bool {
    fact.event == "order.moved" || (fact.event == "order.ended" && fact.text.starts_with("order over: filled"))
}

/// A fact for a narrow line: day and second, bot, words.
fn brief(fact: &FactRow) -> String {
    let at = fact.at.get(5..19).unwrap_or(&fact.at).replace('T', " ");
    format!("{at}  {}  {}", fact.instance, fact.text)
}

/// The lines of the screen: table first, events as far as there is room.
fn picture(status: &FleetStatus, events: &[String], footer: &str, width: usize, height: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if status.kill.on {
        let kill = &status.kill;
        let text = cut(&format!("KILL SWITCH ON since {} by {}: {}", kill.since(), kill.by, kill.reason), width);
        lines.push(format!("\x1b[1;37;41m{text}\x1b[0m"));
    }
    let rows = bots(&status.items, width);
    let room = height.saturating_sub(lines.len() + 1).max(1);
    let shown = if rows.len() > room { room.saturating_sub(1).max(1) } else { rows.len() };
    lines.extend(rows[..shown].iter().enumerate().map(|(at, row)| {
        let row = cut(row, width);
        if at == 0 { row } else { table::painted(&row) }
    }));
    if shown < rows.len() {
        lines.push(cut(&format!("... {} more", rows.len() - shown), width));
    }
    lines.truncate(height.saturating_sub(1));
    let room = height.saturating_sub(lines.len() + 2).min(events.len());
    if room > 0 {
        lines.push(String::new());
        lines.extend(events[events.len() - room..].iter().map(|event| cut(event, width)));
    }
    lines.push(cut(footer, width));
    lines
}

/// The table of the bots with as many columns as fit; the first ones are the most telling.
fn bots(items: &[InstanceStatus], width: usize) -> Vec<String> {
    let (all, shown) = (InstanceStatus::heads(false), telling(items));
    let heads: Vec<&str> = shown.iter().map(|at| all[*at]).collect();
    let of = |row: &InstanceStatus| {
        let cells = row.cells(false);
        shown.iter().filter_map(|at| cells.get(*at).cloned()).collect()
    };
    let cells: Vec<Vec<String>> = items.iter().map(of).collect();
    let with = |columns: usize| {
        let cells: Vec<Vec<String>> = cells.iter().map(|row| row[..columns].to_vec()).collect();
        table::lines(&heads[..columns], &cells)
    };
    let fits = |lines: &Vec<String>| lines.iter().all(|line| line.chars().count() <= width);
    (2..=heads.len()).rev().map(with).find(fits).unwrap_or_else(|| with(2))
}

fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}

fn cut(line: &str, width: usize) -> String {
    line.chars().filter(|c| !c.is_control()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use supervisor_actors::view::KillStatus;

    #[test]
    fn a_line_loses_its_colours_only() {
        assert_eq!(uncoloured("\x1b[1;37;41mKILL\x1b[0m on 10 m"), "KILL on 10 m");
        assert_eq!(uncoloured("plain"), "plain");
    }

    #[test]
    fn the_picture_keeps_within_the_terminal() {
        let on = KillStatus { on: true, at: "now".into(), by: "uid:1".into(), reason: "x".repeat(100) };
        let status = FleetStatus { items: Vec::new(), kill: on, epoch: 1, up_ms: 0 };
        let events: Vec<String> = (0..10).map(|n| format!("event {n} {}", "y".repeat(100))).collect();
        let lines = picture(&status, &events, "footer", 40, 7);
        assert_eq!(lines.len(), 7);
        assert!(lines[0].contains("KILL SWITCH ON") && lines[1].starts_with("NAME") && lines[6] == "footer");
        assert!(lines[3].starts_with("event 7") && lines[3].len() == 40);
        assert_eq!(picture(&status, &events, "footer", 40, 2).len(), 2);
    }

    fn bot(id: &str) -> InstanceStatus {
        let text = r#"{"name":"n","strategy":"grid","market":"BTCUSDT@paper","account":"paper","mode":"paper","asset":"USDT",
            "state":"running","clock":"","candles":1,"progress":null,"ended":false,"equity":"1","day_profit":"1",
            "total_profit":"1","max_drawdown":null,"open_orders":0,"orders":0,"fills":0,"round_trips":0,"vetoed":0,
            "restarts":0,"last_panic":null,"retry_in_ms":null,"warnings":[],"up_ms":0,"note":"","hops":{}}"#;
        let mut row: serde_json::Value = serde_json::from_str(text).unwrap();
        row["id"] = id.into();
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_left_out_by_whole_columns_and_counted_rows() {
        let items: Vec<InstanceStatus> = (0..30).map(|n| bot(&format!("bot-{n}"))).collect();
        let lines = bots(&items, 60);
        assert!(lines[0].starts_with("NAME") && lines[0].ends_with("TOTAL") && lines[0].len() <= 60, "{}", lines[0]);
        assert!(bots(&items, 5)[0].ends_with("STATE"), "never less than two");
        assert!(bots(&items, 200)[0].ends_with("AGE"));
        let status = FleetStatus { items, kill: KillStatus::default(), epoch: 1, up_ms: 0 };
        let lines = picture(&status, &["event".to_owned()], "footer", 60, 10);
        assert_eq!((lines.len(), lines[8].as_str(), lines[9].as_str()), (10, "... 23 more", "footer"));
    }

    #[test]
    fn a_changed_size_is_drawn_afresh() {
        struct Nowhere;
        impl crate::queue::Sink for Nowhere {
            fn write(&mut self, _: &[u8], _: u64) {}
        }
        let queue = crate::queue::Queue::start("t", Nowhere).unwrap();
        let mut screen = Screen::new(queue.pusher(), String::new());
        let lines = vec!["x".to_owned(); 3];
        assert!(screen.frame(&lines, (80, 24)).starts_with('x'));
        screen.put(&lines, (80, 24));
        assert!(screen.frame(&lines, (80, 24)).starts_with("\x1b[3A\r"));
        assert!(screen.frame(&lines, (60, 24)).starts_with("\x1b[H\x1b[J"));
    }
}
