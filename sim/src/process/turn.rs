//! One turn of a bot: work off, record, carry out, take the next thing in.

use supervisor_core::domain::{Purpose, Timestamp};
use supervisor_core::instance::Input;
use supervisor_core::instance::{Control, Effect};
use supervisor_core::orders::{Report, Request};

use super::{Process, Told};
use crate::fuse::{Died, Point};
use crate::ground::Ground;
use crate::store::Write;

impl Process {
    /// Goes on until the bot is at rest or waits for the disk.
    pub(super) fn turn(&mut self, ground: &mut Ground, at: usize) -> Result<(), Died> {
        loop {
            let Some(bot) = self.bots.get_mut(at) else { return Ok(()) };
            if bot.waiting.is_some() {
                return Ok(());
            }
            bot.it.work();
            self.record(ground, at)?;
            let Some(bot) = self.bots.get_mut(at) else { return Ok(()) };
            if bot.waiting.is_some() {
                return Ok(());
            }
            let effects = bot.it.drain_effects();
            if !effects.is_empty() {
                self.carry_out(ground, at, effects)?;
                continue;
            }
            let Some(told) = bot.inbox.pop_front() else { break };
            let now = ground.reads();
            self.take_in(at, told, now);
        }
        self.snap(ground, at)?;
        self.arm(ground, at);
        Ok(())
    }

    fn take_in(&mut self, at: usize, told: Told, now: Timestamp) {
        let Some(bot) = self.bots.get_mut(at) else { return };
        match told {
            Told::Input(came, input) => bot.it.put(came, input),
            Told::Command(audit) if audit.control == Control::Kill => {
                if !bot.it.list.is_kill_told() {
                    bot.it.list.command_first(now, audit);
                }
            }
            Told::Command(audit) => {
                bot.it.list.command(now, audit);
            }
        }
    }

    /// Writes new facts; waits for the disk when an order is about to leave.
    fn record(&mut self, ground: &mut Ground, at: usize) -> Result<(), Died> {
        let Some(bot) = self.bots.get_mut(at) else { return Ok(()) };
        let wait = bot.it.list.has_order();
        if bot.it.list.has_facts() {
            let records = bot.it.list.drain_facts();
            ground.check.on_facts(ground.now, at, &records);
            ground.note_facts(bot.spec.id, &records);
            let followed = self.books.get_mut(bot.account).map(|books| books.follow(bot.spec.id, &records));
            if let Some(Err(error)) = followed {
                ground.check.fail_ledger(ground.now, at, &error.to_string());
            }
            ground.check.on_digest(at, &bot.it, ground.fuse.is_lit());
            ground.pass(Point::Worked)?;
            let whole = records.len();
            bot.unsnapped += whole as u64;
            bot.newest = ground.write(self.life, Write::Facts { bot: at, records, whole })?;
            ground.pass(Point::Written)?;
        }
        if wait && bot.newest > self.durable {
            bot.waiting = Some(bot.newest);
        }
        Ok(())
    }

    /// Everything before it is durable when an order is among it: what is to leave, leaves.
    fn carry_out(&mut self, ground: &mut Ground, at: usize, effects: Vec<Effect>) -> Result<(), Died> {
        let mut left = 0;
        for effect in effects {
            if left > 0 {
                ground.pass(Point::Sent)?;
            }
            match effect {
                Effect::Place(order) => self.place(ground, at, &order),
                Effect::Withdraw(order) => self.ask_about(ground, at, order, Request::Cancel),
                Effect::Ask(supervisor_core::orders::Ask::Order(order)) => {
                    self.ask_about(ground, at, order, Request::Query);
                }
                Effect::Ask(supervisor_core::orders::Ask::Trades(ix, from)) => self.ask_trades(ground, at, ix, from),
                // The instance keeps its own timer.
                Effect::Wake(_) => continue,
            }
            left += 1;
        }
        Ok(())
    }

    /// An approved order is about to leave: the kill latch, our own orders in its way, and its age are looked at.
    fn place(&mut self, ground: &mut Ground, at: usize, order: &supervisor_core::risk::ApprovedOrder) {
        let Some(bot) = self.bots.get_mut(at) else { return };
        let terms = *order.terms();
        if self.killed && terms.purpose == Purpose::Entry {
            ground.tally.count("withheld by the kill switch");
            bot.it.list.withhold(terms.order);
            return;
        }
        let Some(client) = super::send::client_of(bot, terms.order) else { return };
        let now = ground.reads();
        let crossed = self.books.get_mut(bot.account).and_then(|books| books.try_place(now, client, &terms));
        if let Some(with) = crossed {
            ground.tally.count("crossings refused");
            bot.it.list.cross(terms.order, with);
            return;
        }
        if !self.send_order(ground, at, client, &terms) {
            // Too old to be sure of the time in which it could be worked on: it has not left, but only the venue's
            // word ends it.
            let silent = Input::Report(Report::NoAnswer(terms.order, Request::Place));
            if let Some(bot) = self.bots.get_mut(at) {
                bot.inbox.push_back(Told::Input(now, silent));
            }
        }
    }

    /// A snapshot, when it is time for one and nothing is under way.
    fn snap(&mut self, ground: &mut Ground, at: usize) -> Result<(), Died> {
        let (life, every) = (self.life, self.snapshot_facts);
        let Some(bot) = self.bots.get_mut(at) else { return Ok(()) };
        if bot.unsnapped < every || bot.it.list.has_effects() {
            return Ok(());
        }
        bot.unsnapped = 0;
        let seq = bot.it.list.facts_written();
        let Ok(bytes) = postcard::to_allocvec(&bot.it.state()) else {
            ground.check.fail_encoding(at);
            return Ok(());
        };
        ground.tally.count("snapshots");
        ground.write(life, Write::Snapshot { bot: at, seq, bytes })?;
        let account = bot.account;
        self.keep_books(ground, account)
    }
}
