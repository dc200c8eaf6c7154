//! What goes wrong and who makes it go wrong: crashes, full disks, cuts, restarts of the venue, operators.

use supervisor_core::domain::OrderNo;
use supervisor_core::instance::Control;
use supervisor_core::orders::Life;
use supervisor_core::spec::OnStop;

use super::World;
use crate::fuse::Died;
use crate::ground::Event;
use crate::network::Stream;
use crate::process::{Order, Process};
use crate::store::StoreError;
use crate::venue::TrueOrder;
use supervisor_core::orders::VenueState;

/// A lit fuse burns for this long; then the process dies wherever it is, ms.
const FUSE_MS: i64 = 8_000;

impl World {
    /// The process starts from what is on the disk.
    pub(super) fn on_start(&mut self) -> Result<(), Died> {
        if self.process.is_some() {
            return Ok(());
        }
        self.life += 1;
        if !self.is_calm && self.life > 1 && self.crash_dice.is(self.plan.crash.again) {
            self.light();
        }
        self.ground.check.on_start(self.ground.store.disk().killed);
        let is_connected = self.is_private_up();
        let process = Process::start(&self.plan, self.life, is_connected, &mut self.ground)?;
        self.process = Some(process);
        Ok(())
    }

    /// A crash is due: the fuse is lit, and burns for a while.
    pub(super) fn on_light(&mut self) {
        if self.is_calm {
            return;
        }
        self.light();
        let wait = self.crash_dice.wait(self.plan.crash.every_ms);
        self.ground.after(wait, Event::Light);
    }

    fn light(&mut self) {
        self.ground.fuse.light(&mut self.crash_dice);
        let life = self.life;
        self.ground.after(FUSE_MS, Event::Crash(life));
        if let Some(process) = &self.process {
            for (at, bot) in process.bots.iter().enumerate() {
                if !bot.it.list.has_facts() {
                    self.ground.check.on_digest(at, &bot.it, true);
                }
            }
        }
    }

    /// The fuse has burnt without reaching its point.
    pub(super) fn on_crash(&mut self, life: u64) {
        if life == self.life && self.ground.fuse.is_lit() && self.process.is_some() {
            self.ground.fuse.put_out();
            self.ground.tally.count("crash: between two inputs");
            self.fall("killed between two inputs", 0);
        }
    }

    /// The process has died at work.
    pub(super) fn bury(&mut self, died: Died) {
        if let Died::At(point) = died {
            self.ground.tally.count(point.word());
        }
        let is_full = died == Died::Disk(StoreError::Full);
        // Whoever starts it again waits longer when it ended for want of room.
        self.fall(&died.to_string(), if is_full { 5_000 } else { 0 });
    }

    fn fall(&mut self, why: &str, wait_ms: i64) {
        self.process = None;
        self.crashes += 1;
        self.ground.fuse.put_out();
        let wreck = self.ground.store.crash();
        if wreck.torn {
            self.ground.tally.count("torn batches");
        }
        self.ground.tally.add_up("lost facts", wreck.lost_facts);
        self.ground.note("crash", &[wreck.lost_facts, wreck.kept], || format!("{why}; {wreck:?}"));
        let down_ms = if self.is_calm { 0 } else { wait_ms + self.crash_dice.span(100, self.plan.crash.down_ms) };
        self.ground.after(down_ms, Event::Start);
    }

    /// The sync under way ends.
    pub(super) fn on_synced(&mut self, life: u64) -> Result<(), Died> {
        if life != self.life || self.process.is_none() {
            return Ok(());
        }
        let upto = match self.ground.store.end_sync() {
            Ok(upto) => upto,
            Err(error) => return Err(self.ground.failed(error)),
        };
        self.with(|process, ground| process.synced(ground, upto))
    }

    /// The disk is full for a while.
    pub(super) fn on_full(&mut self) {
        if self.is_calm {
            return;
        }
        let for_ms = self.crash_dice.span(100, self.plan.disk.full_ms);
        self.ground.store.fill(self.ground.now + for_ms);
        self.ground.tally.count("full disks");
        self.ground.note("full", &[for_ms.unsigned_abs()], || format!("the disk is full for {for_ms} ms"));
        let wait = for_ms + self.crash_dice.wait(self.plan.disk.full_every_ms);
        self.ground.after(wait, Event::Full);
    }

    /// The venue restarts, with its book or without.
    pub(super) fn on_restart(&mut self) {
        if self.is_calm {
            return;
        }
        let (down_ms, wipe) = (self.crash_dice.span(200, 20_000), self.crash_dice.is(400));
        let now = self.ground.now;
        self.venue.restart(now, down_ms, wipe);
        self.network.cut(now, down_ms);
        self.ground.tally.count("fault: venue restart");
        self.ground.note("restart", &[down_ms.unsigned_abs(), u64::from(wipe)], || {
            format!("the venue is down for {down_ms} ms, book wiped: {wipe}")
        });
        self.on_private();
        let wait = down_ms + self.crash_dice.wait(self.plan.venue_restart_ms);
        self.ground.after(wait, Event::Restart);
    }

    /// The private stream is cut or back.
    pub(super) fn on_private(&mut self) {
        let is_up = self.is_private_up();
        if !is_up {
            self.ground.tally.count("disconnects of the private stream");
        }
        let told = self.with(|process, ground| process.on_stream(ground, is_up));
        if let Err(died) = told {
            self.bury(died);
        }
        self.arm_stream();
    }

    pub(super) fn arm_stream(&mut self) {
        if let Some(at) = self.network.next_change(self.ground.now, Stream::Private) {
            self.ground.heap.put(at, Event::Private);
        }
    }

    /// An operator does something, or settles a dispute.
    pub(super) fn on_operate(&mut self) -> Result<(), Died> {
        let wait = if self.is_calm { 5_000 } else { self.operator_dice.wait(self.plan.operator_ms) };
        self.ground.after(wait, Event::Operate);
        if let Some((bot, order, life)) = self.dispute() {
            self.ground.tally.count("disputes resolved by a person");
            return self.obey(Order::Tell(bot, Control::Resolve(order, life)));
        }
        if self.is_calm {
            return Ok(());
        }
        let order = self.drawn_order();
        self.obey(order)
    }

    fn obey(&mut self, order: Order) -> Result<(), Died> {
        self.ground.note("operator", &[], || format!("{order:?}"));
        self.with(|process, ground| process.obey(ground, order))
    }

    fn drawn_order(&mut self) -> Order {
        let dice = &mut self.operator_dice;
        let many = self.plan.bots.len() as i64;
        let bot = usize::try_from(dice.span(0, many - 1)).unwrap_or(0);
        let is_killed = self.process.as_ref().is_some_and(Process::is_killed);
        if is_killed && dice.is(500) {
            self.ground.tally.count("kill switch cleared");
            return Order::ClearKill;
        }
        match dice.span(0, 99) {
            0..=14 => Order::Tell(bot, Control::Pause),
            15..=69 => Order::Tell(bot, Control::Resume),
            70..=77 => {
                let how = dice.pick(&[OnStop::Keep, OnStop::CancelEntries, OnStop::CancelAll, OnStop::Flatten]);
                Order::Tell(bot, Control::Stop(how))
            }
            78..=91 => Order::Tell(bot, Control::Start),
            _ => {
                self.ground.tally.count("kills");
                Order::Kill
            }
        }
    }

    /// A disputed order whose truth is over, and what a person would find out about it.
    fn dispute(&self) -> Option<(usize, OrderNo, Life)> {
        let process = self.process.as_ref().filter(|process| process.is_up())?;
        process.bots.iter().enumerate().find_map(|(at, bot)| {
            let mut unsettled = bot.it.stages.orders.desk().unsettled();
            unsettled.find(|order| order.life == Life::Disputed).and_then(|order| {
                let client = supervisor_core::domain::ClientId {
                    instance: bot.spec.id,
                    epoch: order.epoch,
                    order: order.terms.order,
                };
                let account = crate::venue::AccountIx(bot.account);
                let truth = self.venue.born(account, client).next()?;
                over(truth).map(|life| (at, order.terms.order, life))
            })
        })
    }
}

/// How an order ended; `None` while it lives.
fn over(truth: &TrueOrder) -> Option<Life> {
    match truth.view.state {
        VenueState::Pending | VenueState::Armed | VenueState::Open => None,
        VenueState::Filled => Some(Life::Filled),
        VenueState::Canceled => Some(Life::Canceled),
        VenueState::Expired => Some(Life::Expired),
        VenueState::Rejected => Some(Life::Rejected),
    }
}
