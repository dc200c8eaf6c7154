//! The live table of `run` on a terminal: how the bots are, what they did last, whether the kill switch is on.
//!
//! Promises: redrawn in place, never wider or higher than the terminal; a terminal that does not read (Ctrl-S) holds
//! nobody up.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use supervisor_actors::view::{AlertRow, FactRow, FleetStatus, InstanceStatus};
use supervisor_actors::{Fleet, FleetError};
use terminal_size::{Height, Width, terminal_size};

use crate::out::Row;
use crate::queue::Pusher;
use crate::table;

const EVENTS: usize = 10;
const EVENTS_PER_BOT: usize = 50;
/// Bots whose journals are looked at for the newest events; a larger fleet has `logs` and `errors`.
const EVENT_BOTS: usize = 32;

/// What is on the terminal now.
pub struct Screen {
    to: Pusher,
    footer: String,
    drawn: usize,
    events: VecDeque<String>,
    seen: BTreeMap<String, String>,
    alerts: usize,
}

impl Screen {
    /// An empty one; `footer` is its last line.
    pub const fn new(to: Pusher, footer: String) -> Self {
        Self { to, footer, drawn: 0, events: VecDeque::new(), seen: BTreeMap::new(), alerts: 0 }
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
        let (width, height) = terminal_size().map_or((120, 40), |(Width(w), Height(h))| (w as usize, h as usize));
        let picture = picture(&status, self.events.make_contiguous(), &self.footer, width, height.saturating_sub(1));
        self.put(&picture);
        Ok(())
    }

    /// The facts that were not there at the last look.
    fn take(&mut self, id: &str, facts: &[FactRow]) {
        let seen = self.seen.get(id);
        let known = facts.iter().position(|fact| Some(&fact.cursor) == seen).map_or(0, |at| at + 1);
        let told = facts[known..].iter().filter(|fact| fact.event != "order.moved");
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

    fn put(&mut self, lines: &[String]) {
        let mut frame = if self.drawn > 0 { format!("\x1b[{}A\r", self.drawn) } else { String::new() };
        for line in lines {
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        frame += "\x1b[J";
        self.drawn = lines.len();
        self.to.push_if_idle(frame.as_bytes());
    }
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
        let text = cut(&format!("KILL SWITCH ON since {} by {}: {}", kill.at, kill.by, kill.reason), width);
        lines.push(format!("\x1b[1;37;41m{text}\x1b[0m"));
    }
    let cells: Vec<Vec<String>> = status.items.iter().map(|row| row.cells(false)).collect();
    let rows = table::lines(&InstanceStatus::heads(false), &cells);
    lines.extend(rows.iter().enumerate().map(|(at, row)| {
        let row = cut(row, width);
        if at == 0 { row } else { table::painted(&row) }
    }));
    lines.truncate(height.saturating_sub(1));
    let room = height.saturating_sub(lines.len() + 2).min(events.len());
    if room > 0 {
        lines.push(String::new());
        lines.extend(events[events.len() - room..].iter().map(|event| cut(event, width)));
    }
    lines.push(cut(footer, width));
    lines
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
}
