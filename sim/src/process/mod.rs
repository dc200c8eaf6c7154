//! One supervisor: its bots, the ledgers of its accounts, its port. Production code decides; this only carries
//! messages.
//!
//! Work goes by the moment and then by the bot's place in the list. Promises: facts are written before anything
//! leaves, and an order leaves only once they are durable, by the rule that the live conductor goes by. Never: keeps
//! anything over its death but what is on the disk.

mod hear;
mod send;
mod start;
mod turn;

pub use send::{IMMEDIATE, POST_ONLY};

use std::collections::VecDeque;
use std::sync::Arc;

use supervisor_core::domain::{InstanceId, Timestamp};
use supervisor_core::instance::{Audit, Control, Input, Outside};
use supervisor_core::spec::InstanceSpec;

use crate::books::Books;
use crate::fuse::{Died, Point};
use crate::ground::{Event, Ground};
use crate::plan::Plan;
use crate::port::Port;
use crate::store::Write;

/// What waits for a bot.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something from beyond the network, with the moment at which it came.
    Input(Timestamp, Input),
    /// A command.
    Command(Audit),
}

/// One bot.
pub struct Bot {
    /// What it is.
    pub spec: Arc<InstanceSpec>,
    /// Position of its account.
    pub account: usize,
    /// Production code: worklist and stages.
    pub it: Outside,
    /// What waits until it is at rest.
    inbox: VecDeque<Told>,
    /// It goes on when this write is durable.
    waiting: Option<u64>,
    /// Its newest write.
    newest: u64,
    /// When the heap wakes it.
    armed: Option<Timestamp>,
    /// Facts since the newest snapshot.
    unsnapped: u64,
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its epoch becomes durable with this write.
    Starting(u64),
    /// It works.
    Up,
}

/// What people tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One bot gets a command.
    Tell(usize, Control),
    /// The kill switch.
    Kill,
    /// It is cleared.
    ClearKill,
}

/// See the module.
pub struct Process {
    /// Which life of the process this is; what belongs to another one does not reach it.
    pub life: u64,
    /// The epoch of this life.
    pub epoch: u32,
    /// Bots, by their place in the plan.
    pub bots: Vec<Bot>,
    /// Ledgers, by account.
    pub books: Vec<Books>,
    port: Port,
    phase: Phase,
    killed: bool,
    /// Writes of the kill latch that are not durable yet, and what they say.
    latches: VecDeque<(u64, bool)>,
    /// Newest durable write.
    durable: u64,
    snapshot_facts: u64,
    /// When the heap looks at the ledgers.
    polls_armed: Option<Timestamp>,
    /// True while the private stream is up.
    is_connected: bool,
}

impl Process {
    /// True once it has a durable epoch.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// True while its port keeps entries back.
    #[must_use]
    pub const fn is_killed(&self) -> bool {
        self.killed
    }

    /// The bot with this name.
    #[must_use]
    pub fn bot_named(&self, id: InstanceId) -> Option<usize> {
        self.bots.iter().position(|bot| bot.spec.id == id)
    }

    /// Something comes for a bot from beyond the network.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn put(&mut self, ground: &mut Ground, bot: usize, input: Input) -> Result<(), Died> {
        if !self.is_up() {
            return Ok(());
        }
        ground.pass(Point::Input)?;
        let at = ground.reads();
        self.tell(ground, bot, Told::Input(at, input))
    }

    fn tell(&mut self, ground: &mut Ground, bot: usize, told: Told) -> Result<(), Died> {
        let Some(entry) = self.bots.get_mut(bot) else { return Ok(()) };
        if entry.it.list.clock() != Timestamp::default() && entry.is_unreconciled() {
            ground.pass(Point::Reconciling)?;
        }
        entry.inbox.push_back(told);
        self.turn(ground, bot)
    }

    /// People say something.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn obey(&mut self, ground: &mut Ground, order: Order) -> Result<(), Died> {
        if !self.is_up() {
            return Ok(());
        }
        match order {
            Order::Tell(bot, control) => {
                let audit = Audit::new(control, "operator".to_owned(), "a test".to_owned(), "1".to_owned());
                self.tell(ground, bot, Told::Command(audit))
            }
            Order::Kill => {
                // Every gate is shut at once; the latch is durable before anybody is told.
                self.killed = true;
                let number = ground.write(self.life, Write::Kill(true))?;
                self.latches.push_back((number, true));
                Ok(())
            }
            Order::ClearKill => {
                let number = ground.write(self.life, Write::Kill(false))?;
                self.latches.push_back((number, false));
                Ok(())
            }
        }
    }

    /// The sync under way has ended; `upto` is the newest durable write.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn synced(&mut self, ground: &mut Ground, upto: u64) -> Result<(), Died> {
        self.durable = upto;
        while let Some((_, on)) = self.latches.pop_front_if(|(number, _)| *number <= upto) {
            ground.check.on_latch(on);
            if on {
                ground.pass(Point::Killed)?;
            } else {
                self.killed = self.latches.iter().any(|(_, on)| *on);
            }
            self.tell_latch(ground, on)?;
        }
        if let Phase::Starting(number) = self.phase
            && number <= upto
        {
            self.phase = Phase::Up;
            self.begin(ground)?;
        }
        for at in 0..self.bots.len() {
            let Some(bot) = self.bots.get_mut(at) else { continue };
            if bot.waiting.is_some_and(|number| number <= upto) {
                bot.waiting = None;
                ground.pass(Point::Synced)?;
                self.turn(ground, at)?;
            }
        }
        ground.sync(self.life);
        Ok(())
    }

    /// The latch enters each bot as a recorded command.
    fn tell_latch(&mut self, ground: &mut Ground, on: bool) -> Result<(), Died> {
        if !self.is_up() {
            return Ok(());
        }
        let (control, why) =
            if on { (Control::Kill, "kill switch is on") } else { (Control::ClearKill, "kill switch is off") };
        (0..self.bots.len())
            .try_for_each(|bot| self.tell(ground, bot, Told::Command(Audit::by_supervisor(control, why))))
    }

    /// A bot's timer may be due.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn wake(&mut self, ground: &mut Ground, at: usize) -> Result<(), Died> {
        let Some(bot) = self.bots.get_mut(at) else { return Ok(()) };
        bot.armed = None;
        let is_due = bot.it.wake().is_some_and(|wake| wake <= ground.reads());
        if is_due {
            return self.put(ground, at, Input::Wakeup);
        }
        self.arm(ground, at);
        Ok(())
    }

    /// The heap wakes the bot when its order stage wants it.
    fn arm(&mut self, ground: &mut Ground, at: usize) {
        let (life, reads) = (self.life, ground.reads());
        let Some(bot) = self.bots.get_mut(at) else { return };
        let Some(wake) = bot.it.wake() else { return };
        if bot.armed.is_none_or(|armed| wake < armed) {
            bot.armed = Some(wake);
            ground.after(wake.since(reads).max(1), Event::Wake(life, at));
        }
    }

    /// What the world looks at: queues that must not grow without end.
    #[must_use]
    pub fn queues(&self) -> (usize, usize) {
        (self.port.len(), self.bots.iter().map(|bot| bot.inbox.len()).max().unwrap_or(0))
    }
}

impl Bot {
    /// True while it asks its venue about everything since a start.
    #[must_use]
    pub fn is_unreconciled(&self) -> bool {
        self.it.stages.orders.standing().unreconciled
    }

    /// True when nothing waits in it or for it.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.inbox.is_empty() && self.waiting.is_none() && self.it.list.is_empty()
    }
}

/// The bots of a plan, as a process begins with them.
#[must_use]
pub fn specs(plan: &Plan) -> Vec<(Arc<InstanceSpec>, usize)> {
    plan.bots.iter().map(|bot| (Arc::new(bot.spec.clone()), bot.account)).collect()
}
