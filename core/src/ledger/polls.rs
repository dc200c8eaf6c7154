//! When the account is asked what: open orders, executions, balances.
//!
//! Owns the schedule of `orders-and-risk` 2.5. Promises: a question without an answer is asked again, with a back-off
//! that ends at half a minute, and for ever; what an instance wants to know is asked at once. Never: a list of orders
//! or balances in the middle of a command of the account, as long as it can wait.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, InstrumentIx, Symbol, Timestamp};
use crate::spec::VenueTraits;

/// Open orders, while the private stream is doubtful and while it is healthy, ms.
const ORDERS_MS: (i64, i64) = (5_000, 15_000);
/// Executions and balances, ms.
const OTHERS_MS: i64 = 15_000;
/// A place or a cancel younger than this puts orders and balances off, ms.
pub(super) const GUARD_MS: i64 = 2_000;
/// So long at most, ms: an account that never rests is asked, too.
const PATIENCE_MS: i64 = 10_000;
/// A question without an answer is asked again after this, and after this at the longest, ms.
const AGAIN_MS: (i64, i64) = (5_000, 30_000);

/// One question to the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poll {
    /// All open orders of the account.
    Orders,
    /// The executions of a symbol from this moment of the venue on.
    Trades(Symbol, Timestamp),
    /// What the account holds of every asset.
    Balances,
}

/// One kind of question: when it is due, and how often it was asked since the last answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    due: Timestamp,
    tries: u32,
}

/// The executions of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    turn: Turn,
    /// Everything up to here was read, by the venue's clock.
    read: Option<Timestamp>,
    /// After a start: from here on, whatever was read before.
    deep: Option<Timestamp>,
    /// Who wants to know, from when on.
    asked: BTreeMap<InstanceId, (InstrumentIx, Timestamp)>,
}

/// An instance that gets its answer.
pub(super) type Asker = (InstanceId, InstrumentIx);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polls {
    orders: Turn,
    balances: Turn,
    trades: BTreeMap<Symbol, Reading>,
    doubtful: bool,
    acted: Option<Timestamp>,
    /// The newest list of open orders: when it was asked for, and as of which moment of the venue it is.
    listed: Option<(Timestamp, Timestamp)>,
    look_back_ms: i64,
    settle_ms: i64,
}

impl Turn {
    fn ask(&mut self, at: Timestamp) {
        let (first, longest) = AGAIN_MS;
        self.due = at + (first << self.tries.min(5)).min(longest);
        self.tries = self.tries.saturating_add(1);
    }

    fn hurry(&mut self, at: Timestamp) {
        self.due = self.due.min(at);
    }
}

impl Polls {
    /// Everything is due; the private stream is doubtful until somebody says otherwise.
    pub(super) const fn new(venue: &VenueTraits) -> Self {
        let never = Turn { due: Timestamp::from_millis(0), tries: 0 };
        Self {
            orders: never,
            balances: never,
            trades: BTreeMap::new(),
            doubtful: true,
            acted: None,
            listed: None,
            look_back_ms: venue.look_back_ms,
            settle_ms: venue.settle_ms,
        }
    }

    /// Executions of this symbol are read from now on, and from the look-back on at first.
    pub(super) fn add(&mut self, at: Timestamp, symbol: Symbol) {
        let deep = Some(at - self.look_back_ms);
        self.trades.entry(symbol).or_insert_with(|| Reading {
            turn: Turn { due: at, tries: 0 },
            deep,
            ..Reading::default()
        });
    }

    /// The process begins, or news may have been lost: everything is asked at once, executions from the look-back on.
    pub(super) fn restart(&mut self, at: Timestamp) {
        (self.doubtful, self.acted, self.listed) = (true, None, None);
        self.orders = Turn { due: at, tries: 0 };
        self.balances = self.orders;
        self.read_back(at);
    }

    /// Executions are read from the look-back on, now: a void one is told once, and nobody may have listened.
    fn read_back(&mut self, at: Timestamp) {
        for reading in self.trades.values_mut() {
            let back = at - self.look_back_ms;
            reading.turn = Turn { due: at, tries: 0 };
            reading.deep = Some(reading.read.map_or(back, |read| back.min(read - self.settle_ms)));
        }
    }

    /// The private stream is silent or gone.
    pub(super) fn stream_lost(&mut self, at: Timestamp) {
        self.doubtful = true;
        self.orders.hurry(at);
    }

    /// It is back; what it would have said meanwhile is asked for.
    pub(super) fn stream_back(&mut self, at: Timestamp) {
        self.doubtful = false;
        self.orders.hurry(at);
        self.balances.hurry(at);
        self.read_back(at);
    }

    /// A place or a cancel of the account leaves.
    pub(super) fn acted(&mut self, at: Timestamp) {
        self.acted = self.acted.max(Some(at));
    }

    /// An instance wants the executions of a symbol from then on.
    pub(super) fn want(&mut self, at: Timestamp, symbol: Symbol, asker: Asker, from: Timestamp) {
        self.add(at, symbol);
        let Some(reading) = self.trades.get_mut(&symbol) else { return };
        let wanted = reading.asked.entry(asker.0).or_insert((asker.1, from));
        wanted.1 = wanted.1.min(from);
        reading.turn.hurry(at);
    }

    /// The executions of a symbol are to be read once more, from then on; not before a pause.
    pub(super) fn look_again(&mut self, at: Timestamp, symbol: Symbol, from: Timestamp, pause_ms: i64) {
        let Some(reading) = self.trades.get_mut(&symbol) else { return };
        reading.deep = Some(reading.deep.map_or(from, |deep| deep.min(from)));
        reading.turn.hurry(at + pause_ms);
    }

    /// An instance is gone.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.trades.values_mut().for_each(|reading| {
            reading.asked.remove(&instance);
        });
    }

    /// What is to be asked now. Each counts as asked.
    pub(super) fn due(&mut self, at: Timestamp) -> Vec<Poll> {
        let mut polls = Vec::new();
        if self.patient(self.orders) <= at {
            self.orders.ask(at);
            polls.push(Poll::Orders);
        }
        if self.patient(self.balances) <= at {
            self.balances.ask(at);
            polls.push(Poll::Balances);
        }
        for (symbol, reading) in self.trades.iter_mut().filter(|(_, reading)| reading.turn.due <= at) {
            reading.turn.ask(at);
            let from = reading.from(at, self.settle_ms, self.look_back_ms);
            polls.push(Poll::Trades(*symbol, from));
        }
        polls
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        let readings = self.trades.values().map(|reading| reading.turn.due);
        readings.fold(self.patient(self.orders).min(self.patient(self.balances)), Timestamp::min)
    }

    /// True while nobody vouches for the private stream.
    #[must_use]
    pub const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Executions of a symbol are known up to here, by the venue's clock.
    #[must_use]
    pub fn read_until(&self, symbol: Symbol) -> Option<Timestamp> {
        self.trades.get(&symbol).and_then(|reading| reading.read)
    }

    /// When a turn is due, with respect for commands under way.
    fn patient(&self, turn: Turn) -> Timestamp {
        let calm = self.acted.map_or(turn.due, |acted| (acted + GUARD_MS).min(turn.due + PATIENCE_MS));
        turn.due.max(calm)
    }

    /// Newest list of open orders, by the venue's clock.
    #[must_use]
    pub fn listed_as_of(&self) -> Option<Timestamp> {
        self.listed.map(|(_, as_of)| as_of)
    }

    /// Open orders were listed. False: a later question has its answer already.
    pub(super) fn listed(&mut self, at: Timestamp, as_of: Timestamp, asked_at: Timestamp) -> bool {
        if self.listed.is_some_and(|(newest, _)| newest > asked_at) {
            return false;
        }
        self.listed = Some((asked_at, as_of));
        let pause = if self.doubtful { ORDERS_MS.0 } else { ORDERS_MS.1 };
        self.orders = Turn { due: at + pause, tries: 0 };
        true
    }

    /// Balances were stated.
    pub(super) fn stated(&mut self, at: Timestamp) {
        self.balances = Turn { due: at + OTHERS_MS, tries: 0 };
    }

    /// Executions were read. Answers the instances that wanted no more than that.
    pub(super) fn traded(&mut self, at: Timestamp, symbol: Symbol, from: Timestamp, until: Timestamp) -> Vec<Asker> {
        let Some(reading) = self.trades.get_mut(&symbol) else { return Vec::new() };
        reading.turn = Turn { due: at + OTHERS_MS, tries: 0 };
        let answered = reading.asked.iter().filter(|(_, ask)| ask.1 >= from);
        let answered: Vec<Asker> = answered.map(|(instance, ask)| (*instance, ask.0)).collect();
        reading.asked.retain(|_, ask| ask.1 < from);
        if !reading.asked.is_empty() {
            reading.turn.hurry(at);
        }
        reading.cover(from, until);
        answered
    }
}

impl Reading {
    /// Executions become visible late: each reading overlaps the last one by the time that an order takes to settle.
    fn from(&self, at: Timestamp, settle_ms: i64, look_back_ms: i64) -> Timestamp {
        let on = self.read.map_or(at - look_back_ms, |read| read - settle_ms);
        let on = self.deep.map_or(on, |deep| deep.min(on));
        self.asked.values().map(|(_, from)| *from).fold(on, Timestamp::min)
    }

    /// Notes what has been read whole; a hole stays to be read.
    fn cover(&mut self, from: Timestamp, until: Timestamp) {
        if self.deep.or(self.read).is_none_or(|to_read| from <= to_read) {
            self.deep = None;
            self.read = self.read.max(Some(until));
        }
    }
}
