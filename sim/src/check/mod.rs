//! What must be true, compared with the venue's own truth.
//!
//! Owns what has been seen of every bot: approvals, sends, fills, ends, digests. Promises: each invariant of the fault
//! catalogue is looked at after each step, as far as the step could break it, and all of them at each restart and at
//! the end; the first violation names the invariant, the bot, the order and what was expected. Never: tells the
//! process anything.
//!
//! - M1: `rest`: what the ledger expects is what the venue holds
//! - M2, M3, M8: `sends`: durable before sent, once, and not while the kill latch is durable
//! - M4, M5, M6: `orders`: fills once and true, sums within the order, ends with evidence
//! - M7: `exposure`: what may fill at the venue is covered by position and holds of the gate
//! - M9: not here: paper and live are kept apart by types, and there is no live transport in this crate
//! - M10: `recovery`: what comes back is what was durable
//! - M11: `rest`: without faults everything comes to agree
//! - M12: `bounds`: no queue grows without end

mod bounds;
mod exposure;
mod orders;
mod recovery;
mod rest;
mod sends;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use supervisor_core::domain::{ClientId, Fill, InstanceId, OrderNo, Qty, Symbol, Timestamp, TradeId};
use supervisor_core::instance::{Fact, FactRecord, Input};
use supervisor_core::orders::{Life, Report, Terms};

use crate::plan::Plan;
use crate::process::Process;
use crate::venue::{AccountIx, Tally, Venue};

pub use sends::Sent;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// Of which seed.
    pub seed: u64,
    /// When.
    pub at: Timestamp,
    /// Whose, if it is about a bot.
    pub bot: Option<InstanceId>,
    /// Which order, if it is about one.
    pub order: Option<OrderNo>,
    /// What was expected and what was found.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} violated, seed {}, {}", self.invariant, self.seed, self.at)?;
        if let Some(bot) = self.bot {
            write!(f, ", bot {bot}")?;
        }
        if let Some(order) = self.order {
            write!(f, ", order {}", order.0)?;
        }
        write!(f, ": {}", self.text)
    }
}

/// An execution at the venue: of which symbol, and its number.
type TradeKey = (Symbol, TradeId);

/// What has been seen of one bot. Facts that were lost in a crash are taken back.
#[derive(Debug, Default)]
struct Watched {
    id: Option<InstanceId>,
    account: usize,
    symbols: Vec<Symbol>,
    /// Base of the first instrument at the start.
    base: Qty,
    /// Approvals, with the number of their fact.
    approved: BTreeMap<OrderNo, (u64, Terms)>,
    /// Orders that left, over all lives.
    sent: BTreeMap<OrderNo, Sent>,
    /// Requests that may still give birth to an order.
    flying: BTreeMap<ClientId, Sent>,
    /// Orders born at the venue, as positions in its list; those that may change stand in `live`.
    born: BTreeMap<OrderNo, Vec<usize>>,
    live: Vec<usize>,
    /// What orders that are over have moved, per instrument.
    over: Vec<Qty>,
    /// Executions counted, with the number of their fact.
    counted: BTreeMap<TradeKey, (u64, Fill)>,
    /// Executions declared void, with the number of their fact.
    voided: BTreeMap<TradeKey, u64>,
    /// Orders said never to have been accepted or sent, or refused, with the number of the fact: none is born later.
    absent: BTreeMap<OrderNo, (u64, Life)>,
    /// Orders that were told to be in dispute, with the number of the fact.
    disputed: BTreeMap<OrderNo, u64>,
    /// Orders in doubt, to count how that ends.
    doubted: BTreeSet<OrderNo>,
    /// Orders that were seen to be settled, which is no fact.
    settled: BTreeSet<OrderNo>,
    /// True when it has worked since they were looked for.
    worked: bool,
    /// Hashes of the state by the number of the last fact.
    digests: VecDeque<(u64, u64)>,
    batches: u64,
}

/// A fact to be compared with the truth of this moment.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Moved(OrderNo, Life),
    Filled(Fill),
    Approved(Terms),
}

/// See the module.
#[derive(Debug)]
pub struct Checker {
    seed: u64,
    bots: Vec<Watched>,
    first: Option<Violation>,
    /// The kill latch as it is on the disk.
    killed: bool,
    /// Starts so far.
    lives: u64,
    /// Orders of the venue that were looked at.
    births: usize,
    /// Executions of the venue that were looked at, per account, and where each is.
    trades: Vec<(usize, BTreeMap<TradeKey, usize>)>,
    seen: Vec<(usize, Seen)>,
    /// Executions declared void.
    busts: Vec<(AccountIx, supervisor_core::ledger::VenueTrade)>,
    /// Bots whose gate may have changed.
    touched: Vec<bool>,
    tally: Tally,
}

impl Checker {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let watched = |bot: &crate::plan::BotPlan| Watched {
            id: Some(bot.spec.id),
            account: bot.account,
            symbols: bot.spec.instruments.iter().map(|instrument| instrument.symbol).collect(),
            base: bot.spec.capital.base,
            over: vec![Qty::ZERO; bot.spec.instruments.len()],
            ..Watched::default()
        };
        Self {
            seed: plan.seed,
            bots: plan.bots.iter().map(watched).collect(),
            first: None,
            killed: false,
            lives: 0,
            births: 0,
            trades: vec![(0, BTreeMap::new()); plan.venue.accounts.len()],
            seen: Vec::new(),
            busts: Vec::new(),
            touched: vec![false; plan.bots.len()],
            tally: Tally::default(),
        }
    }

    /// The first violation.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.first.as_ref()
    }

    /// What was seen, by name.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    fn fail(&mut self, invariant: &'static str, at: Timestamp, bot: usize, order: Option<OrderNo>, text: String) {
        if self.first.is_none() {
            let (seed, bot) = (self.seed, self.bots.get(bot).and_then(|bot| bot.id));
            self.first = Some(Violation { invariant, seed, at, bot, order, text });
        }
    }

    /// Facts of a bot, about to be written.
    pub fn on_facts(&mut self, now: Timestamp, bot: usize, records: &[FactRecord]) {
        for record in records {
            self.on_fact(now, bot, record);
        }
        if let Some(bot) = self.bots.get_mut(bot) {
            bot.worked = true;
        }
        if records.iter().any(|record| !matches!(record.fact, Fact::Input { .. }))
            && let Some(touched) = self.touched.get_mut(bot)
        {
            *touched = true;
        }
    }

    fn on_fact(&mut self, now: Timestamp, at: usize, record: &FactRecord) {
        self.count(&record.fact);
        let Some(bot) = self.bots.get_mut(at) else { return };
        match &record.fact {
            Fact::Approved { terms, .. } => {
                bot.approved.insert(terms.order, (record.seq, *terms));
                self.seen.push((at, Seen::Approved(*terms)));
            }
            Fact::OrderMoved(order, life) => self.on_moved(at, record.seq, *order, *life),
            Fact::Fill(fill) => {
                let Some(symbol) = bot.symbols.get(fill.instrument.at()).copied() else { return };
                if bot.counted.insert((symbol, fill.trade), (record.seq, *fill)).is_some() {
                    let text = format!("execution {} of {symbol} is counted once; it was counted again", fill.trade.0);
                    self.fail("M4", now, at, Some(fill.order), text);
                }
                self.seen.push((at, Seen::Filled(*fill)));
            }
            Fact::Input { input, .. } => {
                if let Input::Report(Report::Fill(fill)) = **input
                    && let Some(symbol) = bot.symbols.get(fill.instrument.at())
                    && bot.counted.contains_key(&(*symbol, fill.trade))
                {
                    self.tally.count("duplicate fills dropped");
                }
            }
            Fact::Bust(fill) => {
                if let Some(symbol) = bot.symbols.get(fill.instrument.at()) {
                    bot.voided.insert((*symbol, fill.trade), record.seq);
                }
            }
            Fact::Gap(_)
            | Fact::GridPlanned(_)
            | Fact::Note(..)
            | Fact::Vetoed { .. }
            | Fact::WouldSubmit { .. }
            | Fact::CancelWanted(_)
            | Fact::OrderRefused(..)
            | Fact::Ended(_)
            | Fact::Guarded(..)
            | Fact::RoundTrip(_)
            | Fact::DayClosed(_)
            | Fact::Control(_)
            | Fact::Revised(_)
            | Fact::Withheld { .. }
            | Fact::Crossed { .. }
            | Fact::LateFill(..)
            | Fact::Reopened(_)
            | Fact::InDoubt(..)
            | Fact::Standing(_)
            | Fact::Reconciled(_) => {}
        }
    }

    fn on_moved(&mut self, at: usize, seq: u64, order: OrderNo, life: Life) {
        let Some(bot) = self.bots.get_mut(at) else { return };
        if matches!(life, Life::NeverAccepted | Life::NeverSent | Life::Rejected) {
            bot.absent.insert(order, (seq, life));
        }
        if life == Life::Disputed {
            bot.disputed.insert(order, seq);
        }
        bot.settled.remove(&order);
        let was_doubted = bot.doubted.remove(&order);
        if life == Life::Unknown {
            bot.doubted.insert(order);
        } else if was_doubted && life != Life::NeverAccepted {
            self.tally.count("doubts resolved: found");
        }
        self.seen.push((at, Seen::Moved(order, life)));
    }

    fn count(&mut self, fact: &Fact) {
        let name = match fact {
            Fact::Approved { .. } => "orders approved",
            Fact::Vetoed { .. } => "vetoes",
            Fact::Fill(_) => "fills",
            Fact::LateFill(..) => "late fills",
            Fact::Bust(_) => "busts heard",
            Fact::Reopened(_) => "resurrected",
            Fact::OrderRefused(..) => "news that no row allows",
            Fact::InDoubt(..) => "long doubts told",
            Fact::Reconciled(_) => "reconciled starts",
            Fact::Guarded(..) => "positions closed by guards",
            Fact::RoundTrip(_) => "round trips",
            Fact::OrderMoved(_, Life::Unknown) => "doubts",
            Fact::OrderMoved(_, Life::NeverAccepted) => "doubts resolved: never accepted",
            Fact::OrderMoved(_, Life::Disputed) => "disputes",
            Fact::OrderMoved(_, Life::NeverSent) => "orders never sent",
            Fact::OrderMoved(_, Life::Rejected) => "orders rejected",
            Fact::OrderMoved(_, Life::Expired) => "orders expired",
            Fact::OrderMoved(_, Life::Canceled) => "orders canceled",
            Fact::OrderMoved(_, Life::Filled) => "orders filled",
            Fact::Gap(_)
            | Fact::GridPlanned(_)
            | Fact::Note(..)
            | Fact::WouldSubmit { .. }
            | Fact::CancelWanted(_)
            | Fact::OrderMoved(..)
            | Fact::Ended(_)
            | Fact::DayClosed(_)
            | Fact::Control(_)
            | Fact::Revised(_)
            | Fact::Withheld { .. }
            | Fact::Input { .. }
            | Fact::Crossed { .. }
            | Fact::Standing(_) => return,
        };
        self.tally.count(name);
    }

    /// After a step: whatever it could have broken. `process` is `None` while it is down.
    pub fn after_step(&mut self, now: Timestamp, venue: &Venue, process: Option<&Process>) {
        self.follow_births(now, venue);
        self.follow_trades(venue);
        if let Some(process) = process {
            self.follow_settled(process);
        }
        for (bot, seen) in std::mem::take(&mut self.seen) {
            match seen {
                Seen::Moved(order, life) => self.check_evidence(now, bot, order, life, venue),
                Seen::Filled(fill) => self.check_fill(now, bot, &fill, venue),
                Seen::Approved(terms) => {
                    if let Some(process) = process {
                        self.check_caps(now, bot, &terms, process);
                    }
                }
            }
        }
        let Some(process) = process else { return };
        for at in 0..self.touched.len() {
            if self.touched.get_mut(at).is_some_and(std::mem::take) {
                self.check_sums(now, at, process);
                self.check_exposure(now, at, venue, process);
            }
        }
    }

    /// Everything, whatever the last step was.
    pub fn full(&mut self, now: Timestamp, venue: &Venue, process: &Process) {
        self.touched.fill(true);
        self.after_step(now, venue, Some(process));
    }
}

/// The account of a bot at the venue.
const fn account_of(bot: &Watched) -> AccountIx {
    AccountIx(bot.account)
}
