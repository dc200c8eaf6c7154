//! What of the orders is due when: questions, cancels, time-outs, settlement.

use super::{Desk, Order};
use crate::domain::{InstrumentIx, OrderKind, OrderNo, Purpose, Timestamp};
use crate::orders::doubt::{AGAIN_MS, Doubt, Why};
use crate::orders::lifecycle::Life;
use crate::orders::{Ask, CancelReason};
use crate::spec::InstanceSpec;

/// Something that is to be done about an order now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its answer has not come in time.
    Silence(OrderNo),
    /// A question shall leave.
    Ask(Ask),
    /// People shall know that it has been in doubt for so long, ms.
    Tell(OrderNo, i64),
    /// The cancel shall be sent again.
    CancelAgain(OrderNo),
    /// It has rested for too long.
    Cancel(OrderNo, CancelReason),
    /// It is settled.
    Settle(OrderNo),
}

/// An order that is not over so long after its cancel is asked about, ms.
const CANCELED_MS: i64 = 10_000;
/// At a start so many orders are asked about per second.
const ASKED_PER_S: usize = 10;

impl Desk {
    /// When something of the orders is due next.
    #[must_use]
    pub fn wake(&self, spec: &InstanceSpec) -> Option<Timestamp> {
        if spec.venue.is_certain {
            let resting = self.oldest_resting().map(|order| order.sent + spec.order_timeout_ms);
            let limit = spec.exits.maker_timeout_ms;
            let unfilled = limit.and_then(|limit| self.oldest_unfilled().map(|order| order.sent + limit));
            return [resting, unfilled].into_iter().flatten().min();
        }
        self.unsettled().filter_map(|order| order.wake(spec)).min()
    }

    /// All that is due now, by order.
    pub fn due(&mut self, at: Timestamp, spec: &InstanceSpec) -> Vec<Due> {
        let mut due = Vec::new();
        if spec.venue.is_certain {
            self.open.values().for_each(|order| due.extend(order.timed_out(at, spec)));
            return due;
        }
        let mut trades: Vec<(InstrumentIx, Timestamp)> = Vec::new();
        for order in self.open.values_mut().chain(self.closing.values_mut()) {
            order.due(at, spec, &mut due, &mut trades);
        }
        due.extend(trades.into_iter().map(|(ix, from)| Due::Ask(Ask::Trades(ix, from))));
        due
    }

    /// Everything that is not over is asked about, a few each second; cancels that were under way leave again. Answers
    /// the orders whose answers are lost, and how many are asked about.
    pub fn begin_reconcile(&mut self, at: Timestamp, spec: &InstanceSpec) -> (Vec<OrderNo>, u32) {
        let mut lost = Vec::new();
        for (nth, order) in self.open.values_mut().enumerate() {
            let wait = i64::try_from(nth / ASKED_PER_S).unwrap_or(i64::MAX).saturating_mul(1_000);
            let asked = Doubt::new(Why::Restart, at, at + wait);
            order.doubt = Some(order.doubt.map_or(asked, |before| before.anew(Why::Restart, at + wait)));
            order.cancel_next = order.cancel_next.map(|_| at);
            if order.life == Life::InFlight {
                lost.push(order.terms.order);
            }
        }
        for order in self.closing.values_mut() {
            // While nobody listened it was not quiet.
            order.news = at;
            order.doubt = order.doubt.map(|doubt| doubt.anew(doubt.why, at));
        }
        self.forget(at - super::archive::KEPT_LOOKS * spec.venue.look_back_ms);
        (lost, u32::try_from(self.open.len()).unwrap_or(u32::MAX))
    }

    /// It is not settled after all: its time begins anew.
    pub fn wait_on(&mut self, at: Timestamp, order: OrderNo) {
        if let Some(entry) = self.closing.get_mut(&order) {
            entry.news = at;
        }
    }

    /// True when no order is asked about any more because of a start.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.unsettled().all(|order| order.doubt.is_none_or(|doubt| doubt.why != Why::Restart))
    }

    /// Orders of which nobody can say whether they are at the venue, and since when the oldest doubt of any kind lasts.
    #[must_use]
    pub fn in_doubt(&self) -> (u32, Option<Timestamp>) {
        let unknown = self.open.values().filter(|order| order.is_in_doubt()).count();
        let since = self.unsettled().filter_map(|order| order.doubt).map(|doubt| doubt.since).min();
        (u32::try_from(unknown).unwrap_or(u32::MAX), since)
    }

    /// True when a doubt has lasted for as long as people are told of.
    #[must_use]
    pub fn has_old_doubt(&self) -> bool {
        self.unsettled().any(|order| order.doubt.is_some_and(|doubt| doubt.is_old()))
    }

    /// True while the facts about an order contradict each other.
    #[must_use]
    pub fn has_dispute(&self) -> bool {
        self.closing.values().any(|order| order.life == Life::Disputed)
    }
}

impl Order {
    fn due(
        &mut self,
        at: Timestamp,
        spec: &InstanceSpec,
        due: &mut Vec<Due>,
        trades: &mut Vec<(InstrumentIx, Timestamp)>,
    ) {
        let order = self.terms.order;
        if self.life == Life::InFlight && at >= self.answer_by(spec) {
            due.push(Due::Silence(order));
        }
        if self.overdue_at().is_some_and(|overdue| at >= overdue) {
            self.doubt = Some(Doubt::new(Why::Overdue, at, at));
        }
        if let Some(doubt) = &mut self.doubt {
            while let Some(age) = doubt.tell(at) {
                due.push(Due::Tell(order, age));
            }
            if at >= doubt.next {
                let (wants_state, wants_trades) = (doubt.wants_state(), doubt.wants_trades());
                doubt.asked(at, self.sent, &spec.venue);
                if wants_state {
                    due.push(Due::Ask(Ask::Order(order)));
                }
                if wants_trades {
                    // What is known of archived orders reaches back further than that.
                    since(trades, self.terms.instrument, self.sent.max(at - 2 * spec.venue.look_back_ms));
                }
            }
        }
        if self.cancel_again_at().is_some_and(|next| at >= next) {
            self.cancel_next = Some(at + spec.venue.cancel_ms);
            due.push(Due::CancelAgain(order));
        }
        due.extend(self.timed_out(at, spec));
        if self.settles_at(spec).is_some_and(|settles| at >= settles) {
            due.push(Due::Settle(order));
        }
    }

    fn wake(&self, spec: &InstanceSpec) -> Option<Timestamp> {
        let answer = (self.life == Life::InFlight).then(|| self.answer_by(spec));
        let cancel = self.cancel_again_at();
        let doubt = self.doubt.map(|doubt| doubt.wake());
        let (times_out, settles) = (self.times_out_at(spec), self.settles_at(spec));
        [answer, doubt, cancel, times_out, settles, self.overdue_at()].into_iter().flatten().min()
    }

    /// A cancel that was refused since the venue does not know the order waits until it does. A disputed order that the
    /// venue shows live is withdrawn like any other.
    fn cancel_again_at(&self) -> Option<Timestamp> {
        let refused = self.doubt.is_some_and(|doubt| doubt.why == Why::CancelRefused);
        let waits = self.life == Life::Unknown && refused;
        self.cancel_next.filter(|_| !waits && (!self.life.is_over() || self.life == Life::Disputed))
    }

    /// An exit at market is to be over at once, and an order soon after its cancel: it is asked about for as long as it
    /// is not.
    fn overdue_at(&self) -> Option<Timestamp> {
        if !self.life.is_at_venue() || self.doubt.is_some() {
            return None;
        }
        let exit = self.is_exit_at_market().then(|| self.news + AGAIN_MS);
        let cancel = self.cancel_since.map(|since| (since + CANCELED_MS).max(self.news + AGAIN_MS));
        exit.into_iter().chain(cancel).min()
    }

    fn answer_by(&self, spec: &InstanceSpec) -> Timestamp {
        self.sent + spec.venue.send_ms + spec.venue.answer_ms
    }

    /// The order time-out holds for all that rests, the maker time-out for entries that nothing was filled of.
    fn times_out_at(&self, spec: &InstanceSpec) -> Option<Timestamp> {
        let rests = matches!(self.terms.kind, OrderKind::Limit(_)) && self.cancel.is_none() && !self.life.is_over();
        rests.then(|| {
            let unfilled = self.filled.is_zero() && self.terms.purpose == Purpose::Entry;
            let maker = spec.exits.maker_timeout_ms.filter(|_| unfilled);
            self.sent + maker.map_or(spec.order_timeout_ms, |limit| limit.min(spec.order_timeout_ms))
        })
    }

    fn timed_out(&self, at: Timestamp, spec: &InstanceSpec) -> Option<Due> {
        self.times_out_at(spec).filter(|limit| at >= *limit)?;
        let is_old = at.since(self.sent) >= spec.order_timeout_ms;
        let reason = if is_old { CancelReason::Expired } else { CancelReason::Unfilled };
        Some(Due::Cancel(self.terms.order, reason))
    }

    fn is_agreed(&self) -> bool {
        self.claimed.is_none_or(|claimed| claimed == self.filled)
    }

    /// Over, every execution known, nothing asked: settled once it has been quiet for long enough.
    fn settles_at(&self, spec: &InstanceSpec) -> Option<Timestamp> {
        let done = self.life.is_over() && !matches!(self.life, Life::Settled | Life::Disputed);
        (done && self.doubt.is_none() && self.is_agreed()).then(|| self.news + spec.venue.settle_ms)
    }
}

/// Notes the earliest moment from which an instrument's executions are wanted.
fn since(trades: &mut Vec<(InstrumentIx, Timestamp)>, ix: InstrumentIx, from: Timestamp) {
    match trades.iter_mut().find(|(other, _)| *other == ix) {
        Some((_, earliest)) => *earliest = from.min(*earliest),
        None => trades.push((ix, from)),
    }
}
