//! M12: no queue grows without end.

use supervisor_core::domain::Timestamp;

use super::Checker;
use crate::process::Process;

/// What may wait in each queue.
const EVENTS_MAX: usize = 20_000;
const BACKLOG_MAX: usize = 10_000;
const REQUESTS_MAX: usize = 1_000;
const INBOX_MAX: usize = 5_000;
const ORDERS_MAX: usize = 2_000;

impl Checker {
    /// The lengths of all queues: events of the world, writes not synced, requests, what waits for a bot, its orders.
    pub fn check_bounds(&mut self, now: Timestamp, events: usize, backlog: usize, process: Option<&Process>) {
        let (requests, inbox) = process.map_or((0, 0), Process::queues);
        let orders = process.map_or(0, |process| {
            process.bots.iter().map(|bot| bot.it.stages.orders.desk().unsettled().count()).max().unwrap_or(0)
        });
        let lengths = [
            ("events to come", events, EVENTS_MAX),
            ("writes that are not durable", backlog, BACKLOG_MAX),
            ("requests under way", requests, REQUESTS_MAX),
            ("inputs of one bot", inbox, INBOX_MAX),
            ("unsettled orders of one bot", orders, ORDERS_MAX),
        ];
        for (what, length, most) in lengths {
            if length > most {
                self.fail("M12", now, usize::MAX, None, format!("{length} {what}; {most} at most"));
            }
        }
    }
}
