//! How the ledger learns from its instances: fact by fact, or all at once after a recovery.

use std::collections::BTreeSet;

use super::account::Flow;
use super::book::{Execution, Known, Standing};
use super::{CLOCKS_MS, Ledger, LedgerError};
use crate::domain::{ClientId, Fill, InstanceId, Notional, OrderNo, Qty, Symbol, Timestamp, TradeId};
use crate::instance::{Control, Fact, FactRecord, Input, Stages};
use crate::orders::{Life, Order, OrderEnded, Report, Terms, Trade};
use crate::position::Position;
use crate::spec::InstanceSpec;

/// What an instance has after its recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The epoch of its orders to come.
    pub epoch: u32,
    /// Number of its newest fact.
    pub facts: u64,
    /// Newest order number that it gave, vetoed ones included.
    pub last: OrderNo,
    /// Its quote units, holds included.
    pub cash: Notional,
    /// Its base units, one for each instrument.
    pub positions: Vec<Qty>,
    /// Its orders that are not settled.
    pub orders: Vec<RecoveredOrder>,
}

/// One order of an instance after its recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredOrder {
    /// What it is.
    pub terms: Terms,
    /// The epoch of its name.
    pub epoch: u32,
    /// Where it stands.
    pub life: Life,
    /// Base units executed.
    pub filled: Qty,
    /// When it was sent.
    pub sent: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Newest number of the venue's that is known.
    pub seq: Option<u64>,
    /// Executions counted.
    pub trades: Vec<Trade>,
    /// Executions that are void.
    pub voided: Vec<TradeId>,
}

impl Recovered {
    /// What these stages have, `facts` facts in; `last` is the newest order number that their gate gave. Settled orders
    /// that are still at hand come with the others: a late execution is theirs, too.
    #[must_use]
    pub fn of(stages: &Stages, facts: u64, last: OrderNo) -> Self {
        let desk = stages.orders.desk();
        Self {
            epoch: desk.epoch(),
            facts,
            last,
            cash: stages.risk.gate().exposure().cash(),
            positions: stages.orders.positions().iter().map(Position::qty).collect(),
            orders: desk.unsettled().chain(desk.closed()).map(RecoveredOrder::from).collect(),
        }
    }

    /// Newest number that may have been given before its epoch, as far as its orders tell.
    fn floor(&self) -> OrderNo {
        let own = self.orders.iter().filter(|order| order.epoch == self.epoch);
        own.map(|order| OrderNo(order.terms.order.0.saturating_sub(1))).min().unwrap_or(self.last)
    }
}

impl RecoveredOrder {
    /// One of its executions, as far as a desk remembers it.
    const fn fill(&self, trade: &Trade) -> Fill {
        let Terms { order, tag, instrument, side, .. } = self.terms;
        let Trade { id, qty, price, fee } = *trade;
        Fill { order, tag, instrument, side, price, qty, fee, maker: false, trade: id, at: self.sent }
    }
}

impl From<&Order> for RecoveredOrder {
    fn from(order: &Order) -> Self {
        Self {
            terms: order.terms,
            epoch: order.epoch,
            life: order.life,
            filled: order.filled,
            sent: order.sent,
            ended: order.life.is_over().then_some(order.news),
            seq: (order.seq > 0).then_some(order.seq),
            trades: order.trades.clone(),
            voided: order.voided.clone(),
        }
    }
}

impl Ledger {
    /// Takes a fact that an instance recorded. Those that have counted before change nothing.
    ///
    /// # Errors
    /// [`LedgerError::Stranger`]; [`LedgerError::Gap`] when facts before it are missing: then [`Ledger::rebuild`].
    pub fn follow(&mut self, instance: InstanceId, record: &FactRecord) -> Result<(), LedgerError> {
        let member = self.members.get_mut(&instance).ok_or(LedgerError::Stranger { instance })?;
        match member.advance(record.seq) {
            None => Ok(()),
            Some(true) => {
                self.learn(instance, record);
                Ok(())
            }
            Some(false) => Err(LedgerError::Gap { instance, expected: member.followed() + 1, found: record.seq }),
        }
    }

    fn learn(&mut self, instance: InstanceId, record: &FactRecord) {
        let (at, key) = (record.at, |order: OrderNo| (instance, order));
        match &record.fact {
            Fact::Approved { terms, .. } => self.approved(at, instance, terms),
            Fact::Vetoed { veto, .. } | Fact::WouldSubmit { veto, .. } => self.gave(instance, veto.order),
            Fact::OrderMoved(order, life) => self.book.moved(at, key(*order), *life),
            Fact::OrderRefused(order, _) | Fact::LateFill(order, _) | Fact::InDoubt(order, _) => {
                self.book.heard(at, key(*order), None);
            }
            Fact::Fill(fill) => self.count(at, instance, fill),
            Fact::Bust(fill) => self.uncount(at, instance, fill),
            Fact::Ended(ended) => self.ended(at, instance, ended),
            Fact::Reopened(order) => self.book.reopened(at, key(*order)),
            Fact::Withheld { order, .. } | Fact::Crossed { order, .. } => {
                self.book.moved(at, key(*order), Life::NeverSent);
            }
            Fact::Revised(revision) => self.revise(&revision.spec),
            Fact::Control(audit) => {
                if let (Control::Reconcile(epoch), Some(member)) = (audit.control, self.members.get_mut(&instance)) {
                    member.begin(epoch);
                }
            }
            Fact::Input { input, .. } => {
                if let Input::Report(Report::State(view)) = **input {
                    self.book.heard(at, key(view.order), Some(view.seq));
                }
            }
            Fact::Gap(_)
            | Fact::GridPlanned(_)
            | Fact::Note(..)
            | Fact::CancelWanted(_)
            | Fact::Guarded(..)
            | Fact::RoundTrip(_)
            | Fact::DayClosed(_)
            | Fact::Standing(_)
            | Fact::Reconciled(_) => {}
        }
    }

    fn gave(&mut self, instance: InstanceId, order: OrderNo) {
        if let Some(member) = self.members.get_mut(&instance) {
            member.gave(order);
        }
    }

    /// It is known from here on, so that its news finds it; in the way of others it is once it has passed the port.
    fn approved(&mut self, at: Timestamp, instance: InstanceId, terms: &Terms) {
        self.gave(instance, terms.order);
        let Ok(symbol) = self.symbol(instance, terms.instrument) else { return };
        let epoch = self.members.get(&instance).map_or(0, super::Member::epoch);
        self.book.know(Known::new(at, ClientId { instance, epoch, order: terms.order }, symbol, *terms));
    }

    fn ended(&mut self, at: Timestamp, instance: InstanceId, ended: &OrderEnded) {
        self.approved(at, instance, &ended.terms);
        self.book.moved(at, (instance, ended.terms.order), ended.life);
        self.book.prune(at - self.venue.look_back_ms);
    }

    /// An execution moves what its instance holds. One that counted as somebody else's does so no more, and what the
    /// opening statement had in it was nobody's until now.
    fn count(&mut self, at: Timestamp, instance: InstanceId, fill: &Fill) {
        let flow = Flow::from(fill);
        let Some(symbol) = self.shift_member(at, instance, fill, flow) else { return };
        if let Some(pair) = self.pair(symbol).filter(|_| self.comparison.is_in_opening(fill.at)) {
            self.outside.hand_over(pair, flow);
        }
        self.book.filled(at, instance, fill);
    }

    /// A void execution moves back what it had moved.
    fn uncount(&mut self, at: Timestamp, instance: InstanceId, fill: &Fill) {
        if self.shift_member(at, instance, fill, Flow::from(fill).back()).is_some() {
            self.book.voided(at, instance, fill);
        }
    }

    fn shift_member(&mut self, at: Timestamp, instance: InstanceId, fill: &Fill, flow: Flow) -> Option<Symbol> {
        let symbol = self.symbol(instance, fill.instrument).ok()?;
        self.members.get_mut(&instance)?.take(fill.instrument, flow);
        self.outside.owned(symbol, fill.trade);
        self.comparison.counted(fill.at.min(at + CLOCKS_MS));
        Some(symbol)
    }

    /// Takes what an instance has after its recovery in the place of all that was followed: for an instance whose facts
    /// are not all there. Orders that it does not know, it lost: the venue's next list shows them as orphans.
    pub fn rebuild(&mut self, at: Timestamp, spec: &InstanceSpec, recovered: &Recovered) {
        self.register(at, spec, 0);
        let instance = spec.id;
        let before = self.book.standing(instance);
        // What it had followed is part of what is there now: an order that was over then still is.
        let is_older = self.members.get(&instance).is_some_and(|member| member.followed() <= recovered.facts);
        if let Some(member) = self.members.get_mut(&instance) {
            member.replace(recovered.facts, recovered.last, recovered.cash, &recovered.positions);
            member.begin_after(recovered.epoch, recovered.floor());
        }
        let come: BTreeSet<OrderNo> = recovered.orders.iter().map(|order| order.terms.order).collect();
        self.book.forget(instance, |known| is_older && known.ended.is_some() && !come.contains(&known.id.order));
        for order in &recovered.orders {
            self.recover(at, instance, order, &before);
        }
    }

    fn recover(&mut self, at: Timestamp, instance: InstanceId, order: &RecoveredOrder, before: &Standing) {
        let Ok(symbol) = self.symbol(instance, order.terms.instrument) else { return };
        let counted = order.trades.iter().map(|trade| trade.id).chain(order.voided.iter().copied());
        let trades: BTreeSet<TradeId> = counted.collect();
        trades.iter().for_each(|trade| self.outside.owned(symbol, *trade));
        // Nobody noted when it happened: after the order left, and before now.
        let (first, last) = (order.sent - CLOCKS_MS, at + CLOCKS_MS);
        let is_new = self.comparison.opening().is_some();
        let fresh = |trade: &Trade| Execution { fill: order.fill(trade), first, last, is_new };
        let known = |trade: &Trade| before.get(&(order.terms.order, trade.id)).copied();
        let standing = order.trades.iter().map(|trade| (trade.id, known(trade).unwrap_or_else(|| fresh(trade))));
        let id = ClientId { instance, epoch: order.epoch, order: order.terms.order };
        self.book.put(Known {
            life: order.life,
            filled: order.filled,
            seq: order.seq,
            ended: order.ended,
            standing: standing.collect(),
            trades,
            placed: true,
            touched: at,
            ..Known::new(order.sent, id, symbol, order.terms)
        });
    }
}
