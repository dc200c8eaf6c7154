//! Orders of the account by name: whose they are, where they stand, and which of them another one would trade with.
//!
//! Owns what the facts of the instances say about their orders, as far as ownership and crossing need it. Promises: an
//! order that may rest at the venue stands in the way of entries of the other side, and finding that out costs the
//! logarithm of the orders of its symbol; an ended order is known for the look-back window, so that a late execution
//! finds its owner. Never: moves an order to a state that no fact of its instance says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{VenueOrder, VenueTrade};
use crate::domain::{ClientId, Fill, InstanceId, OrderKind, OrderNo, Price, Qty, Side, Symbol, Timestamp, TradeId};
use crate::orders::{Life, OrderView, Terms, VenueState};

/// A number is used once in the life of an instance.
pub type Key = (InstanceId, OrderNo);

/// One order of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name at the venue.
    pub id: ClientId,
    /// The venue's word for its instrument.
    pub symbol: Symbol,
    /// What it is.
    pub terms: Terms,
    /// Where its desk says it stands.
    pub life: Life,
    /// Base units executed, as its desk counts them.
    pub filled: Qty,
    /// The newest of the venue's numbers that its instance has heard of.
    pub seq: Option<u64>,
    /// When it was approved or sent.
    pub sent: Timestamp,
    /// When it is known to be over.
    pub ended: Option<Timestamp>,
    /// Executions that its desk has counted, void ones included.
    pub trades: BTreeSet<TradeId>,
    /// Those of them that are not void.
    pub(super) standing: BTreeMap<TradeId, Execution>,
    /// True once it has passed the port: from then on it may be at the venue.
    pub(super) placed: bool,
    /// Newest thing that happened to it, by our clock.
    pub(super) touched: Timestamp,
}

/// An execution that its desk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Execution {
    pub fill: Fill,
    /// It happened at one of these moments of the venue's clock. They differ where the instance came back with it and
    /// no reading has said more yet.
    pub first: Timestamp,
    pub last: Timestamp,
    /// True when it came back after the opening, and was not known before: the opening may have had it as nobody's.
    pub is_new: bool,
}

/// Executions of an instance that count.
pub(super) type Standing = BTreeMap<(OrderNo, TradeId), Execution>;

/// How far an order goes: the worst price at which it trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Reach {
    Lowest,
    At(Price),
    Highest,
}

/// Orders of one symbol that may trade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sides {
    buys: BTreeSet<(Reach, Key)>,
    sells: BTreeSet<(Reach, Key)>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    live: BTreeMap<Key, Known>,
    ended: BTreeMap<Key, Known>,
    /// The ended ones by their end, oldest first.
    ends: BTreeSet<(Timestamp, Key)>,
    sides: BTreeMap<Symbol, Sides>,
}

impl Known {
    /// An order whose approval is all that is known.
    pub(super) fn new(at: Timestamp, id: ClientId, symbol: Symbol, terms: Terms) -> Self {
        Self {
            id,
            symbol,
            terms,
            life: Life::InFlight,
            filled: Qty::ZERO,
            seq: None,
            sent: at,
            ended: None,
            trades: BTreeSet::new(),
            standing: BTreeMap::new(),
            placed: false,
            touched: at,
        }
    }

    pub(super) const fn key(&self) -> Key {
        (self.id.instance, self.id.order)
    }

    /// True while it can meet another order at the venue.
    pub(super) const fn may_trade(&self) -> bool {
        self.placed && may_rest(self.life)
    }

    /// True when the venue has said that it has it.
    pub(super) const fn is_acknowledged(&self) -> bool {
        matches!(self.life, Life::Pending | Life::Armed | Life::Open)
    }

    /// What a list of open orders tells its desk, unless the desk knows. What happened to it after the question was
    /// asked is newer than the answer: the next list decides.
    pub(super) fn news(&self, listed: &VenueOrder, asked_at: Timestamp) -> Option<OrderView> {
        let newer = self.seq.is_some_and(|seq| listed.seq > seq);
        let differs = newer || listed.filled != self.filled || !agrees(self.life, listed.state);
        (differs && self.touched < asked_at).then(|| self.view(listed))
    }

    /// One of its executions, as the venue would list it.
    pub(super) const fn trade_of(&self, fill: &Fill) -> VenueTrade {
        let Fill { side, price, qty, fee, maker, trade, at, .. } = *fill;
        VenueTrade { client: Some(self.id), trade, symbol: self.symbol, side, price, qty, fee, maker, at }
    }

    pub(super) const fn view(&self, listed: &VenueOrder) -> OrderView {
        OrderView { order: self.id.order, state: listed.state, filled: listed.filled, seq: listed.seq }
    }
}

/// True while an order in this state may be at the venue. A disputed one may: nobody knows.
const fn may_rest(life: Life) -> bool {
    match life {
        Life::Intent | Life::InFlight | Life::Unknown | Life::Pending | Life::Armed | Life::Open | Life::Disputed => {
            true
        }
        Life::Filled
        | Life::Canceled
        | Life::Expired
        | Life::Rejected
        | Life::NeverSent
        | Life::NeverAccepted
        | Life::Replaced
        | Life::Settled => false,
    }
}

/// True when the venue's state is what a desk already knows. A disputed order waits for a person, not for news.
const fn agrees(life: Life, state: VenueState) -> bool {
    match state {
        VenueState::Pending => matches!(life, Life::Pending | Life::Disputed),
        VenueState::Armed => matches!(life, Life::Armed | Life::Disputed),
        VenueState::Open => matches!(life, Life::Open | Life::Disputed),
        VenueState::Filled => matches!(life, Life::Filled | Life::Disputed),
        VenueState::Canceled => matches!(life, Life::Canceled | Life::Disputed),
        VenueState::Expired => matches!(life, Life::Expired | Life::Disputed),
        VenueState::Rejected => matches!(life, Life::Rejected | Life::Disputed),
    }
}

impl Reach {
    const fn of(terms: &Terms) -> Self {
        match (terms.kind, terms.side) {
            (OrderKind::Limit(price) | OrderKind::Market { bound: Some(price) }, _) => Self::At(price),
            (OrderKind::Market { bound: None }, Side::Buy) => Self::Highest,
            (OrderKind::Market { bound: None }, Side::Sell) => Self::Lowest,
        }
    }
}

impl Sides {
    const fn of(&mut self, side: Side) -> &mut BTreeSet<(Reach, Key)> {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

impl Book {
    /// The order of ours that an order with these terms would meet, the nearest one; itself apart.
    pub fn in_the_way(&self, symbol: Symbol, terms: &Terms, own: Key) -> Option<ClientId> {
        let sides = self.sides.get(&symbol)?;
        let reach = Reach::of(terms);
        let not_own = |entry: &&(Reach, Key)| entry.1 != own;
        let found = match terms.side {
            Side::Buy => sides.sells.iter().find(not_own).filter(|(sell, _)| *sell <= reach),
            Side::Sell => sides.buys.iter().rev().find(not_own).filter(|(buy, _)| *buy >= reach),
        };
        found.and_then(|(_, key)| self.live.get(key)).map(|known| known.id)
    }

    /// The order with this name, working or ended.
    pub fn find(&self, id: ClientId) -> Option<&Known> {
        self.get((id.instance, id.order)).filter(|known| known.id == id)
    }

    /// The order with this number.
    pub fn get(&self, key: Key) -> Option<&Known> {
        self.live.get(&key).or_else(|| self.ended.get(&key))
    }

    /// Orders that are not over, by instance and number.
    pub fn live(&self) -> impl Iterator<Item = &Known> {
        self.live.values()
    }

    /// Takes an order in that is not known yet; one that is known stays as it is.
    pub fn know(&mut self, known: Known) {
        if self.get(known.key()).is_none() {
            self.put(known);
        }
    }

    /// An order passes the port: from now on it is in the way of others.
    pub fn place(&mut self, at: Timestamp, id: ClientId, symbol: Symbol, terms: Terms) {
        let key = (id.instance, id.order);
        let mut known = self.take(key).unwrap_or_else(|| Known::new(at, id, symbol, terms));
        (known.id, known.placed, known.sent) = (id, true, at);
        known.touched = known.touched.max(at);
        self.put(known);
    }

    /// Every order that is not over is in the way of others.
    pub fn place_all(&mut self) {
        let keys: Vec<Key> = self.live.values().filter(|known| !known.placed).map(Known::key).collect();
        for key in keys {
            if let Some(known) = self.take(key) {
                self.put(Known { placed: true, ..known });
            }
        }
    }

    /// Its desk says that it stands here now. News from the venue means that it left.
    pub fn moved(&mut self, at: Timestamp, key: Key, life: Life) {
        self.change(at, key, |known| {
            known.life = life;
            known.placed |= !matches!(life, Life::Intent | Life::InFlight);
        });
    }

    /// It was over and is not.
    pub fn reopened(&mut self, at: Timestamp, key: Key) {
        self.change(at, key, |known| {
            if !may_rest(known.life) {
                known.life = Life::Open;
            }
        });
    }

    /// Its desk counted an execution.
    pub fn filled(&mut self, at: Timestamp, instance: InstanceId, fill: &Fill) {
        self.change(at, (instance, fill.order), |known| {
            known.filled += fill.qty;
            known.placed = true;
            known.trades.insert(fill.trade);
            let execution = Execution { fill: *fill, first: fill.at, last: fill.at, is_new: false };
            known.standing.insert(fill.trade, execution);
        });
    }

    /// Its desk took an execution back, which stays known.
    pub fn voided(&mut self, at: Timestamp, instance: InstanceId, fill: &Fill) {
        self.change(at, (instance, fill.order), |known| {
            known.filled -= fill.qty;
            known.trades.insert(fill.trade);
            known.standing.remove(&fill.trade);
        });
    }

    /// The moment of an execution is known. True when it was not and the opening may have had it.
    pub fn dated(&mut self, id: ClientId, trade: &VenueTrade) -> bool {
        let key = (id.instance, id.order);
        let known = self.live.get_mut(&key).or_else(|| self.ended.get_mut(&key)).filter(|known| known.id == id);
        let known = known.filter(|known| known.symbol == trade.symbol);
        let Some(execution) = known.and_then(|known| known.standing.get_mut(&trade.trade)) else { return false };
        let was_new = std::mem::take(&mut execution.is_new);
        if execution.first < execution.last {
            (execution.fill.at, execution.fill.maker) = (trade.at, trade.maker);
            (execution.first, execution.last) = (trade.at, trade.at);
        }
        was_new
    }

    /// Executions of an instance that count.
    pub fn standing(&self, instance: InstanceId) -> Standing {
        let own = self.live.values().chain(self.ended.values()).filter(|known| known.id.instance == instance);
        own.flat_map(|known| known.standing.iter().map(|(id, one)| ((known.id.order, *id), *one))).collect()
    }

    /// Orders of a symbol, working and ended.
    pub fn of(&self, symbol: Symbol) -> impl Iterator<Item = &Known> {
        self.live.values().chain(self.ended.values()).filter(move |known| known.symbol == symbol)
    }

    /// Its instance heard of it.
    pub fn heard(&mut self, at: Timestamp, key: Key, seq: Option<u64>) {
        self.change(at, key, |known| known.seq = known.seq.max(seq));
    }

    fn change(&mut self, at: Timestamp, key: Key, change: impl FnOnce(&mut Known)) {
        let Some(mut known) = self.take(key) else { return };
        change(&mut known);
        known.touched = known.touched.max(at);
        self.put(known);
    }

    /// Forgets all orders of an instance that `keep` does not name.
    pub fn forget(&mut self, instance: InstanceId, keep: impl Fn(&Known) -> bool) {
        let all = self.live.values().chain(self.ended.values());
        let gone: Vec<Key> = all.filter(|k| k.id.instance == instance && !keep(k)).map(Known::key).collect();
        for key in gone {
            self.take(key);
        }
    }

    /// Forgets what ended before this moment.
    pub fn prune(&mut self, before: Timestamp) {
        while let Some((_, key)) = self.ends.first().copied().filter(|(end, _)| *end < before) {
            self.ends.pop_first();
            self.take(key);
        }
    }

    /// Takes an order out, with every trace of it.
    fn take(&mut self, key: Key) -> Option<Known> {
        let known = self.live.remove(&key).or_else(|| self.ended.remove(&key))?;
        if let Some(end) = known.ended {
            self.ends.remove(&(end, key));
        }
        if let Some(sides) = self.sides.get_mut(&known.symbol) {
            sides.of(known.terms.side).remove(&(Reach::of(&known.terms), key));
        }
        Some(known)
    }

    /// Puts an order where its state belongs.
    pub fn put(&mut self, mut known: Known) {
        let key = known.key();
        if may_rest(known.life) {
            known.ended = None;
            if known.may_trade() {
                let entry = (Reach::of(&known.terms), key);
                self.sides.entry(known.symbol).or_default().of(known.terms.side).insert(entry);
            }
            self.live.insert(key, known);
        } else {
            let end = *known.ended.get_or_insert(known.touched);
            self.ends.insert((end, key));
            self.ended.insert(key, known);
        }
    }
}
