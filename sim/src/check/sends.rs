//! M2, M3, M8: what leaves was durable before, leaves once, and no entry leaves while the kill latch is durable.

use supervisor_core::domain::{ClientId, Purpose, Timestamp};
use supervisor_core::orders::Terms;

use super::{Checker, Violation};
use crate::venue::Venue;

/// An order that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Of which bot.
    pub bot: usize,
    /// Its name.
    pub client: ClientId,
    /// What it is.
    pub terms: Terms,
    /// The venue cannot work on it later than this.
    pub until: Timestamp,
}

impl Checker {
    /// A request to take an order leaves; `durable` is the bot's newest durable fact.
    pub fn on_send(&mut self, now: Timestamp, sent: &Sent, durable: u64) {
        self.tally.count("orders sent");
        let (at, order) = (sent.bot, sent.terms.order);
        if self.killed && sent.terms.purpose == Purpose::Entry {
            let text = "the kill latch is durable, so no entry leaves; this one left".to_owned();
            self.fail("M8", now, at, Some(order), text);
        }
        let Some(bot) = self.bots.get_mut(at) else { return };
        let approved = bot.approved.get(&order).map(|(seq, _)| *seq);
        let again = bot.sent.insert(order, *sent);
        bot.flying.insert(sent.client, *sent);
        match approved {
            Some(seq) if seq <= durable => {}
            Some(seq) => {
                let text = format!("its approval is fact {seq}, durable is up to {durable}, and it left");
                self.fail("M2", now, at, Some(order), text);
            }
            None => self.fail("M2", now, at, Some(order), "it left without an approval".to_owned()),
        }
        if let Some(before) = again {
            let text = format!("an approval is sent once; it left as {} and again as {}", before.client, sent.client);
            self.fail("M3", now, at, Some(order), text);
        }
        if let Some(touched) = self.touched.get_mut(at) {
            *touched = true;
        }
    }

    /// The network has lost a request: it cannot be born any more.
    pub fn on_lost(&mut self, client: ClientId) {
        self.bots.iter_mut().for_each(|bot| {
            bot.flying.remove(&client);
        });
    }

    /// A process starts, and finds the kill latch like this.
    pub const fn on_start(&mut self, killed: bool) {
        (self.lives, self.killed) = (self.lives + 1, killed);
    }

    /// The kill latch on the disk is another.
    pub const fn on_latch(&mut self, on: bool) {
        self.killed = on;
    }

    /// New orders at the venue: one per name and per intent, and none of which we have said that it cannot be.
    pub(super) fn follow_births(&mut self, now: Timestamp, venue: &Venue) {
        let first = self.births;
        for (ix, order) in venue.orders().enumerate().skip(first) {
            self.births = ix + 1;
            let Some(client) = order.view.client else {
                self.tally.count("external orders");
                continue;
            };
            let Some(at) = self.bots.iter().position(|bot| bot.id == Some(client.instance)) else { continue };
            self.tally.count("orders born");
            let Some(bot) = self.bots.get_mut(at) else { continue };
            bot.flying.remove(&client);
            bot.live.push(ix);
            let born = bot.born.entry(client.order).or_default();
            born.push(ix);
            let count = born.len();
            let absent = bot.absent.get(&client.order).map(|(_, life)| *life);
            let text = format!("one order is born per intent; the venue has {count} of {client}");
            if count > 1 || venue.placed_count(client) > 1 {
                self.fail("M3", now, at, Some(client.order), text);
            }
            if let Some(life) = absent {
                let text = format!("it was said to be {life}, and now the venue has it");
                self.fail("M6", now, at, Some(client.order), text);
            }
        }
    }

    /// The violation, taken out.
    pub const fn take_violation(&mut self) -> Option<Violation> {
        self.first.take()
    }
}
