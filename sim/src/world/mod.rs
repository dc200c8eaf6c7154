//! The world: one clock, what is to come, and who it comes to.
//!
//! Promises: the same seed brings the same events in the same order. Faults go on until a seed has held its least; then
//! they stop, and within two minutes of the world everything must agree. Never: anything by the clock of the machine.

mod chaos;
mod feed;
mod wire;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, Timestamp};

use crate::bots::{Feed, Wild};
use crate::check::{Checker, Violation};
use crate::clock::Clock;
use crate::fuse::{Died, Fuse};
use crate::ground::{Event, Ground};
use crate::heap::Heap;
use crate::network::{Network, Stream as Wire};
use crate::plan::{BEGIN, Dice, Mind, Plan, Stream};
use crate::process::Process;
use crate::store::Store;
use crate::trace::Trace;
use crate::venue::{Tally, Venue};
use wire::Flight;

/// The least that a seed holds.
pub const ORDERS_MIN: u64 = 200;
/// The least that a seed holds.
pub const FAULTS_MIN: u64 = 20;
/// The least that a seed holds.
pub const CRASHES_MIN: u64 = 2;
/// Faults go on for no longer than this, ms.
const ACTIVE_MAX_MS: i64 = 7_200_000;
/// Without faults everything agrees after this at the latest, ms.
const CALM_MS: i64 = 120_000;
/// How often it is looked whether everything agrees, ms.
const LOOK_MS: i64 = 500;
/// Events between two looks at the lengths of all queues.
const BOUNDS_EVERY: u64 = 256;

/// See the module.
pub struct World {
    plan: Plan,
    ground: Ground,
    venue: Venue,
    network: Network,
    process: Option<Process>,
    life: u64,
    wild: BTreeMap<usize, Wild>,
    feed: Feed,
    flights: BTreeMap<u64, Flight>,
    crash_dice: Dice,
    operator_dice: Dice,
    is_calm: bool,
    calm_since: Timestamp,
    /// When the venue wakes next by an event that is on the heap.
    venue_armed: Option<Timestamp>,
    crashes: u64,
    events: u64,
    /// How far venue and ledger are apart; for the trace.
    apart: BTreeMap<(usize, Asset), Decimal>,
}

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which seed.
    pub seed: u64,
    /// What must not be, if it was.
    pub violation: Option<Violation>,
    /// How often what happened.
    pub tally: Tally,
    /// Fingerprint of all that happened.
    pub print: u64,
    /// Length of the world, ms.
    pub length_ms: i64,
    /// The readable trace, if it was asked for.
    pub trace: String,
}

impl World {
    /// The world of a seed; `wants_trace`: lines are kept.
    #[must_use]
    pub fn new(seed: u64, wants_trace: bool) -> Self {
        let plan = Plan::draw(seed);
        let (bots, accounts) = (plan.bots.len(), plan.venue.accounts.len());
        let seed_of = |stream: Stream| stream.of(seed).next_u64();
        let wild_dice = |at: usize| Dice(supervisor_core::sim::SeededRng::stream(seed_of(Stream::Bots), at as u64));
        let is_wild = |(at, bot): (usize, &crate::plan::BotPlan)| {
            matches!(bot.mind, Mind::Wild(_)).then(|| (at, Wild::new(wild_dice(at))))
        };
        let mut world = Self {
            ground: Ground {
                now: BEGIN,
                heap: Heap::default(),
                clock: Clock::new(plan.clock, Stream::Clock.of(seed)),
                store: Store::new(plan.disk, Stream::Disk.of(seed), bots, accounts),
                fuse: Fuse::default(),
                trace: Trace::new(wants_trace, BEGIN),
                tally: Tally::default(),
                check: Checker::new(&plan),
                outgoing: Vec::new(),
                requests: 0,
            },
            venue: Venue::new(plan.venue.clone(), seed_of(Stream::Venue)),
            network: Network::new(plan.network, seed_of(Stream::Network), BEGIN),
            process: None,
            life: 0,
            wild: plan.bots.iter().enumerate().filter_map(is_wild).collect(),
            feed: Feed::new(plan.candle_ms),
            flights: BTreeMap::new(),
            crash_dice: Dice(Stream::Crash.of(seed)),
            operator_dice: Dice(Stream::Operator.of(seed)),
            is_calm: false,
            calm_since: BEGIN,
            venue_armed: None,
            crashes: 0,
            events: 0,
            apart: BTreeMap::new(),
            plan,
        };
        world.first_events();
        world
    }

    fn first_events(&mut self) {
        let ground = &mut self.ground;
        ground.after(0, Event::Start);
        ground.after(self.plan.point_ms, Event::Feed);
        ground.after(self.operator_dice.wait(self.plan.operator_ms), Event::Operate);
        ground.after(self.crash_dice.wait(self.plan.crash.every_ms), Event::Light);
        for (at, wild) in &mut self.wild {
            if let Some(Mind::Wild(mean_ms)) = self.plan.bots.get(*at).map(|bot| bot.mind) {
                ground.after(wild.wait(mean_ms), Event::Act(*at));
            }
        }
        if self.plan.disk.full_every_ms > 0 {
            ground.after(self.crash_dice.wait(self.plan.disk.full_every_ms), Event::Full);
        }
        if self.plan.venue_restart_ms > 0 {
            ground.after(self.crash_dice.wait(self.plan.venue_restart_ms), Event::Restart);
        }
        self.arm_stream();
        self.arm_venue();
    }

    /// Runs the seed to its end, or to its first violation.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        let active = BEGIN + self.plan.active_ms;
        let most = BEGIN + ACTIVE_MAX_MS;
        while self.ground.check.violation().is_none() {
            let now = self.ground.now;
            if now >= most || (now >= active && self.holds_its_least()) {
                break;
            }
            self.step();
        }
        if self.ground.check.violation().is_none() {
            self.calm_down();
            self.come_to_agree();
        }
        self.end()
    }

    fn holds_its_least(&self) -> bool {
        let orders = self.ground.check.tally().get("orders sent");
        orders >= ORDERS_MIN && self.faults() >= FAULTS_MIN && self.crashes >= CRASHES_MIN
    }

    /// Faults so far: everything that network, venue, disk and operators did wrong.
    fn faults(&self) -> u64 {
        let own = self.ground.tally.iter().filter(|(name, _)| name.starts_with("fault:")).map(|(_, count)| count);
        own.chain(self.network.tally().iter().map(|(_, count)| count)).sum::<u64>() + self.crashes
    }

    /// The next event, and what follows from it.
    fn step(&mut self) {
        let Some((at, event)) = self.ground.heap.pop() else { return };
        self.ground.now = self.ground.now.max(at);
        self.events += 1;
        let died = self.happen(event);
        if let Err(died) = died {
            self.bury(died);
        }
        self.carry();
        self.ground.check.after_step(self.ground.now, &self.venue, self.process.as_ref());
        if self.ground.trace.is_wanted() {
            self.remark_books();
        }
        if self.events.is_multiple_of(BOUNDS_EVERY) {
            let (events, backlog) = (self.ground.heap.len(), self.ground.store.backlog());
            self.ground.check.check_bounds(self.ground.now, events, backlog, self.process.as_ref());
        }
    }

    /// For the reader of a trace: how far venue and ledger are apart, whenever that changes.
    fn remark_books(&mut self) {
        let Some(process) = &self.process else { return };
        for (account, books) in process.books.iter().enumerate() {
            for (asset, held) in self.venue.balances(crate::venue::AccountIx(account)) {
                let apart = (*held - books.expected(*asset)).normalize();
                let before = self.apart.insert((account, *asset), apart);
                if before.is_some_and(|before| before != apart) {
                    let line = format!("account {account}: the venue has {apart} {asset} more than the ledger expects");
                    self.ground.trace.remark(self.ground.now, "apart", &line);
                }
            }
        }
    }

    /// No faults from here on; a process that is down starts.
    fn calm_down(&mut self) {
        let now = self.ground.now;
        self.is_calm = true;
        self.calm_since = now;
        self.network.quiet(now);
        self.venue.quiet();
        self.ground.store.quiet();
        self.ground.clock.quiet();
        self.ground.fuse.put_out();
        self.ground.note("calm", &[], || "no faults from here on".to_owned());
        if self.process.is_none() {
            self.ground.after(0, Event::Start);
        }
        self.on_private();
    }

    /// Two minutes, and then everything agrees.
    fn come_to_agree(&mut self) {
        let until = self.ground.now + CALM_MS;
        let mut look = self.ground.now + LOOK_MS;
        let mut last = String::new();
        while self.ground.check.violation().is_none() {
            self.step();
            if self.ground.now < look {
                continue;
            }
            look = self.ground.now + LOOK_MS;
            let (now, venue) = (self.ground.now, &self.venue);
            let Some(unrest) = self.ground.check.unrest(now, venue, self.process.as_ref()) else { return };
            if unrest.1 != last {
                last.clone_from(&unrest.1);
                self.ground.note("unrest", &[], || last.clone());
            }
            if now >= until {
                self.ground.check.fail_unrest(now, unrest);
            }
        }
    }

    fn end(mut self) -> Outcome {
        if let Some(process) = &self.process {
            self.ground.check.full(self.ground.now, &self.venue, process);
        }
        let violation = self.ground.check.take_violation();
        if let Some(violation) = &violation {
            self.ground.note("violation", &[], || violation.to_string());
        }
        let mut tally = self.ground.tally.clone();
        for other in [self.ground.check.tally(), self.network.tally(), self.venue.tally()] {
            tally.add(other);
        }
        tally.add_up("bots", self.plan.bots.len() as u64);
        tally.add_up("events", self.events);
        tally.add_up("crashes", self.crashes);
        tally.add_up("faults", self.faults());
        Outcome {
            seed: self.plan.seed,
            violation,
            tally,
            print: self.ground.trace.print(),
            length_ms: self.ground.now.since(BEGIN),
            trace: self.ground.trace.take(),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Died> {
        match event {
            Event::Venue => self.on_venue(),
            Event::Arrive(id) => self.on_arrival(id),
            Event::News(life, account, news) => return self.on_news(life, account, &news),
            Event::Start => return self.on_start(),
            Event::Light => self.on_light(),
            Event::Crash(life) => self.on_crash(life),
            Event::Private => self.on_private(),
            Event::Full => self.on_full(),
            Event::Restart => self.on_restart(),
            Event::Operate => return self.on_operate(),
            Event::Act(bot) => return self.on_act(bot),
            Event::Feed => return self.on_feed(),
            Event::Synced(life) => return self.on_synced(life),
            Event::Answer(id, answer) => {
                return self.with(|process, ground| process.on_answer(ground, id, answer));
            }
            Event::TimeOut(id) => return self.with(|process, ground| process.on_time_out(ground, id)),
            Event::Again(id) => return self.with(|process, ground| process.on_again(ground, id)),
            Event::Wake(life, bot) if life == self.life => {
                return self.with(|process, ground| process.wake(ground, bot));
            }
            Event::Polls(life) if life == self.life => {
                return self.with(|process, ground| {
                    process.on_polls(ground);
                    Ok(())
                });
            }
            Event::Wake(..) | Event::Polls(_) => {}
        }
        Ok(())
    }

    /// The process does something, if it is there.
    fn with(&mut self, act: impl FnOnce(&mut Process, &mut Ground) -> Result<(), Died>) -> Result<(), Died> {
        match &mut self.process {
            Some(process) => act(process, &mut self.ground),
            None => Ok(()),
        }
    }

    fn is_private_up(&mut self) -> bool {
        self.network.is_connected(self.ground.now, Wire::Private)
    }
}
