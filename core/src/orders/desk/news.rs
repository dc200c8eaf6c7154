//! News of an order: states, fills, voided fills, looks that did not find it.

use super::{Desk, Order, Trade};
use crate::domain::{Fill, OrderNo, Qty, Timestamp};
use crate::orders::doubt::{Doubt, Why};
use crate::orders::lifecycle::{Life, OrderEvent, next, resolve};
use crate::orders::{CancelReason, OrderEnded, OrderView, Terms, Traded, VenueState};
use crate::spec::VenueTraits;

/// What became of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The state before.
    pub from: Life,
    /// The state now.
    pub to: Life,
    /// Set when the order is over by this very news.
    pub ended: Option<OrderEnded>,
    /// True when whoever wanted it was told of an end before: only its room is to be released.
    pub was_told: bool,
    /// Set when it was over and is live again: what may still fill of it.
    pub reopened: Option<(Terms, Qty)>,
    /// True when a cancel that waited may leave now.
    pub may_cancel: bool,
}

/// What became of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How the order moved; `Err`: no row of the table allows the event, or the order is not known.
    pub moved: Result<Moved, OrderEvent>,
    /// The state in which the order had ended before, if it had.
    pub late: Option<Life>,
}

/// What became of a view of the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How the order moved; `None`: the view is older than what is known, or says the same; `Err` as of [`Counted`].
    pub moved: Option<Result<Moved, OrderEvent>>,
    /// Set when what the venue executed beyond what we have seen of an ended order is another amount now.
    pub hold: Option<(Terms, Qty)>,
}

impl Desk {
    /// Applies news that is no fill. `claimed` is what the venue says it filled. `None`: no row of the table allows it,
    /// and the order is under query.
    pub fn apply(
        &mut self,
        at: Timestamp,
        order: OrderNo,
        event: OrderEvent,
        claimed: Option<Qty>,
        venue: &VenueTraits,
    ) -> Option<Moved> {
        let entry = self.find_mut(order)?;
        let from = entry.life;
        let Some(to) = next(from, event) else {
            entry.ask(Why::Refused, at, venue);
            return None;
        };
        entry.news = at;
        entry.life = to;
        entry.claimed = claimed.or(entry.claimed);
        let reopened = (from.is_over() && !to.is_over()).then(|| (entry.terms, entry.rest()));
        if reopened.is_some() {
            // Whoever wanted it believes it over and may have put another one in its place.
            entry.cancel.get_or_insert(CancelReason::Replan);
            entry.cancel_next = None;
        }
        entry.is_acked |= is_ack(event);
        entry.follow(at, event, venue);
        let settled = to == Life::Settled;
        entry.end = if settled { Some(from) } else { None };
        // What was settled or kept back, and is live at the venue, is nobody's any more: a person must look, but first
        // it shall go.
        let stray = to == Life::Disputed && from != to && is_live(event);
        if stray {
            (entry.cancel, entry.cancel_next) = (Some(CancelReason::Replan), Some(at + venue.cancel_ms));
        }
        let reopened = if stray { Some((entry.terms, entry.rest())) } else { reopened };
        let may_cancel = stray || entry.may_cancel(at, venue);
        let was_told = entry.is_told;
        entry.is_told |= to.is_over();
        let ended = (to.is_over() && !from.is_over()).then(|| entry.ended());
        if to.is_over() != from.is_over() || settled || from == Life::Settled {
            self.settle_place(order, venue);
        }
        Some(Moved { from, to, ended, was_told, reopened, may_cancel })
    }

    /// Takes a view of the venue's, which may be older than what is known.
    pub fn see(&mut self, at: Timestamp, view: &OrderView, venue: &VenueTraits) -> Seen {
        let Some(entry) = self.find_mut(view.order) else {
            return Seen { moved: Some(Err(OrderEvent::Live)), hold: None };
        };
        let owed = entry.owed();
        let is_old = view.seq < entry.seq;
        let event = if is_old { None } else { entry.event_of(view) };
        entry.seq = entry.seq.max(view.seq);
        // Of an older view only more than we know of counts.
        entry.claimed = Some(
            entry.claimed.map_or(view.filled, |claimed| if is_old { claimed.max(view.filled) } else { view.filled }),
        );
        entry.is_acked = true;
        if !is_old {
            entry.answered(at);
        } else if let Some(doubt) = &mut entry.doubt {
            doubt.answered(at);
        }
        entry.news = at;
        let (order, was_over) = (entry.terms.order, entry.life.is_over());
        let moved = event.map(|event| self.apply(at, order, event, None, venue).ok_or(event));
        let entry = self.find_mut(order);
        let hold = entry.and_then(|entry| {
            entry.owe(at);
            if entry.life == Life::Disputed && !is_old && view.is_over() {
                entry.cancel_next = None;
                return Some((entry.terms, Qty::ZERO));
            }
            let changed = was_over && entry.life.is_over() && entry.owed() != owed;
            changed.then(|| (entry.terms, entry.owed()))
        });
        Seen { moved, hold }
    }

    /// Counts a fill. `None`: counted before, or void.
    pub fn fill(&mut self, at: Timestamp, fill: &Fill, venue: &VenueTraits) -> Option<Counted> {
        if self.knows(fill) {
            return None;
        }
        self.fills += 1;
        let Some(entry) = self.find_mut(fill.order) else {
            self.counted.insert((fill.instrument, fill.trade), at);
            return Some(Counted { moved: Err(OrderEvent::PartFill), late: Some(Life::Settled) });
        };
        entry.trades.push(Trade { id: fill.trade, qty: fill.qty, price: fill.price, fee: fill.fee });
        entry.recount();
        // An execution is the venue's word as well; but of an order that is over it has said what it executed.
        if !entry.life.is_over() {
            entry.claimed = entry.claimed.map(|claimed| claimed.max(entry.filled));
        }
        let event = match entry.filled.cmp(&entry.terms.qty) {
            std::cmp::Ordering::Less => OrderEvent::PartFill,
            std::cmp::Ordering::Equal => OrderEvent::FullFill,
            std::cmp::Ordering::Greater => OrderEvent::Overfill,
        };
        let late = entry.life.is_over().then_some(entry.shown());
        let moved = self.apply(at, fill.order, event, None, venue).ok_or(event);
        Some(Counted { moved, late })
    }

    /// An execution is void. `Some` when it had been counted.
    pub fn bust(&mut self, at: Timestamp, fill: &Fill, venue: &VenueTraits) -> Option<Counted> {
        let Some(entry) = self.find_mut(fill.order) else {
            let key = (fill.instrument, fill.trade);
            let known = self.voided.insert(key, at).is_none() && self.counted.contains_key(&key);
            return known.then_some(Counted { moved: Err(OrderEvent::Bust), late: None });
        };
        if entry.voided.contains(&fill.trade) {
            return None;
        }
        entry.voided.push(fill.trade);
        let before = entry.trades.len();
        entry.trades.retain(|trade| trade.id != fill.trade);
        let known = entry.trades.len() < before;
        if !known {
            return None;
        }
        entry.recount();
        entry.claimed = entry.claimed.map(|claimed| (claimed - fill.qty).max(entry.filled));
        let late = entry.life.is_over().then_some(entry.shown());
        let moved = self.apply(at, fill.order, OrderEvent::Bust, None, venue).ok_or(OrderEvent::Bust);
        Some(Counted { moved, late })
    }

    /// A look did not find the order. True when it is proven that it was never there.
    pub fn not_found(&mut self, at: Timestamp, order: OrderNo, venue_now: Timestamp, venue: &VenueTraits) -> bool {
        let Some(entry) = self.find_mut(order) else { return false };
        if entry.life.is_over() {
            entry.learn_nothing();
            return false;
        }
        entry.ask_later(Why::Missing, at);
        let sent = entry.sent;
        if let Some(doubt) = &mut entry.doubt {
            doubt.on_not_found(at, venue_now, sent, venue);
        }
        entry.is_absent()
    }

    /// The executions of an instrument were read; answers the orders that are thereby proven absent.
    pub fn traded(&mut self, traded: &Traded, venue: &VenueTraits) -> Vec<OrderNo> {
        let of_it = |entry: &&mut Order| entry.terms.instrument == traded.instrument;
        let mut absent = Vec::new();
        for entry in self.open.values_mut().filter(of_it) {
            let sent = entry.sent;
            if let Some(doubt) = &mut entry.doubt {
                doubt.on_traded(traded, sent, venue);
            }
            if entry.is_absent() {
                absent.push(entry.terms.order);
            }
        }
        absent
    }

    /// A person says how an order ended that is disputed, or in doubt; what was counted is what it was.
    pub fn resolve(&mut self, at: Timestamp, order: OrderNo, to: Life, venue: &VenueTraits) -> Option<Moved> {
        let entry = self.find_mut(order)?;
        let from = entry.life;
        entry.life = resolve(from, to)?;
        entry.claimed = Some(entry.filled);
        (entry.news, entry.doubt, entry.cancel_next) = (at, None, None);
        let was_told = std::mem::replace(&mut entry.is_told, true);
        // A disputed order ended long ago; what was held for it since is released as well.
        let ended = Some(entry.ended());
        self.settle_place(order, venue);
        Some(Moved { from, to, ended, was_told, reopened: None, may_cancel: false })
    }

    /// Puts an order under query that is not settled.
    pub fn ask(&mut self, at: Timestamp, order: OrderNo, why: Why, venue: &VenueTraits) {
        if let Some(entry) = self.find_mut(order) {
            entry.ask(why, at, venue);
        }
    }
}

/// True for news of an order that is live at the venue.
const fn is_live(event: OrderEvent) -> bool {
    matches!(event, OrderEvent::Live | OrderEvent::Accept | OrderEvent::Pend | OrderEvent::Arm)
}

/// True for news that only an order which is, or was, at the venue can have.
const fn is_ack(event: OrderEvent) -> bool {
    use OrderEvent::{
        Absent, Accept, Arm, Bust, Cancel, CancelLate, CancelUnknown, Expire, FullFill, Live, Missing, Overfill,
        PartFill, Pend, Reject, Replace, Send, Settle, Silence, Withhold,
    };
    match event {
        Accept | Arm | Bust | Cancel | CancelLate | Expire | FullFill | Live | Overfill | PartFill | Pend | Reject
        | Replace => true,
        Absent | CancelUnknown | Missing | Send | Settle | Silence | Withhold => false,
    }
}

impl Order {
    /// The sums over the executions.
    fn recount(&mut self) {
        self.filled = self.trades.iter().map(|trade| trade.qty).sum();
        self.value = self.trades.iter().map(|trade| trade.price * trade.qty).sum();
        self.fees = self.trades.iter().map(|trade| trade.fee).sum();
    }

    /// What a view that is not older than what is known says.
    fn event_of(&self, view: &OrderView) -> Option<OrderEvent> {
        let (over, newer) = (self.life.is_over(), view.seq > self.seq);
        // Of an order that was proven absent, any word is newer than none.
        let newer = newer || self.life == Life::NeverAccepted;
        match view.state {
            // The acknowledgement of an order that its executions have completed: it was said before them.
            VenueState::Open if self.life == Life::Filled && view.filled < self.filled => Some(OrderEvent::Accept),
            VenueState::Open if over => newer.then_some(OrderEvent::Live),
            VenueState::Open => Some(OrderEvent::Accept),
            VenueState::Pending if !over || newer => Some(OrderEvent::Pend),
            VenueState::Armed if !over || newer => Some(OrderEvent::Arm),
            // Filled, and yet not whole: what is void does not fill again.
            VenueState::Filled if !over && view.filled < self.terms.qty => Some(OrderEvent::Cancel),
            // They have: one too many was void.
            VenueState::Filled if !over && self.filled == self.terms.qty => Some(OrderEvent::FullFill),
            // Executions complete an order, not the claim that there were any.
            VenueState::Filled if !over => Some(OrderEvent::Accept),
            VenueState::Canceled if !over || newer => Some(OrderEvent::Cancel),
            VenueState::Expired if !over || newer => Some(OrderEvent::Expire),
            VenueState::Rejected if !over || newer => Some(OrderEvent::Reject),
            VenueState::Pending
            | VenueState::Armed
            | VenueState::Filled
            | VenueState::Canceled
            | VenueState::Expired
            | VenueState::Rejected => None,
        }
    }

    /// What an event means for the questions about the order.
    fn follow(&mut self, at: Timestamp, event: OrderEvent, venue: &VenueTraits) {
        use OrderEvent::{
            Absent, Accept, Arm, Bust, Cancel, CancelLate, CancelUnknown, Expire, FullFill, Live, Missing, Overfill,
            PartFill, Pend, Reject, Replace, Send, Settle, Silence, Withhold,
        };
        if venue.is_certain {
            return;
        }
        match event {
            Accept | Pend | Arm | Cancel | Expire | Reject | Replace | Live | Absent | Withhold | Settle => {
                self.answered(at);
            }
            // A fill says that the order was there, not that it still is.
            FullFill | PartFill => {
                let silent = self.doubt.is_some_and(|doubt| doubt.why == Why::Silence);
                if silent || self.life == Life::Filled {
                    self.answered(at);
                }
            }
            Silence if self.life == Life::Unknown => self.ask(Why::Silence, at, venue),
            CancelLate | CancelUnknown if !self.life.is_over() => {
                // If it is live after all, the cancel leaves again, but not at once.
                self.cancel_next = self.cancel_next.map(|_| at + venue.cancel_ms);
                self.ask(Why::CancelRefused, at, venue);
            }
            Missing if !self.life.is_over() => self.ask(Why::Missing, at, venue),
            Bust => self.ask(Why::Bust, at, venue),
            // Only a person can answer what is disputed.
            Overfill => self.doubt = None,
            Send | Silence | CancelLate | CancelUnknown | Missing => {}
        }
        self.owe(at);
    }

    /// The venue has said where it stands: no question is open but that of the counts, and why it is not over.
    fn answered(&mut self, at: Timestamp) {
        let overdue = self.life.is_at_venue();
        self.doubt = self.doubt.filter(|doubt| doubt.why.is_of_counts() || (doubt.why == Why::Overdue && overdue));
        if let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.why == Why::Overdue) {
            doubt.answered(at);
        }
    }

    /// The venue says that it executed more than we have seen: its executions are asked for until they are here. Less,
    /// of an order that is over: it is asked again. However often it says so, the pauses between questions grow.
    fn owe(&mut self, at: Timestamp) {
        if matches!(self.life, Life::Settled | Life::Disputed) {
            return;
        }
        let excess = || self.life.is_over() && self.claimed.is_some_and(|claimed| claimed < self.filled);
        let why = if self.owed().is_positive() { Some(Why::Owed) } else { excess().then_some(Why::Excess) };
        match (self.doubt, why) {
            (None, Some(why)) => self.doubt = Some(Doubt::new(why, at, at)),
            (Some(doubt), why) if doubt.why.is_of_counts() && Some(doubt.why) != why => {
                self.doubt = why.map(|why| Doubt::new(why, at, at));
            }
            (Some(_), _) | (None, None) => {}
        }
    }

    /// Puts it under query, from now on.
    fn ask(&mut self, why: Why, at: Timestamp, venue: &VenueTraits) {
        if venue.is_certain || matches!(self.life, Life::Settled | Life::Disputed | Life::NeverSent) {
            return;
        }
        match &mut self.doubt {
            Some(doubt) => doubt.again(why, at),
            None => self.doubt = Some(Doubt::new(why, at, at)),
        }
    }

    /// Puts it under query, if it is not; what is due stays due when it is.
    fn ask_later(&mut self, why: Why, at: Timestamp) {
        self.doubt.get_or_insert_with(|| Doubt::new(why, at, at));
    }

    /// The venue does not know an order that is over. Of one that it never had, that is all there is to know.
    fn learn_nothing(&mut self) {
        let never_there = !self.is_acked || self.life == Life::Rejected;
        if never_there && self.owed().is_zero() {
            self.doubt = None;
        }
    }

    /// The venue never took it: proven, and nothing was ever heard of it.
    fn is_absent(&self) -> bool {
        let silent = !self.is_acked && self.trades.is_empty() && self.life == Life::Unknown;
        silent && self.doubt.is_some_and(|doubt| doubt.is_absent())
    }

    /// True when a cancel that waited for word of the order may leave now; it counts as sent.
    fn may_cancel(&mut self, at: Timestamp, venue: &VenueTraits) -> bool {
        let waits = !venue.is_certain && self.cancel.is_some() && self.cancel_next.is_none();
        let may = waits && self.life.is_at_venue() && self.doubt.is_none();
        if may {
            self.cancel_next = Some(at + venue.cancel_ms);
        }
        may
    }
}
