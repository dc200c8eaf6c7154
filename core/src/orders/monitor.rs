//! The position monitor: stop, target, trailing stop, break-even and longest holding time of each position.
//!
//! Owns one guard per instrument. Promises: a stop only ever tightens; an exit begins as an intent and passes the gate
//! like every other order; what it asks for is never more than what no other sale may still take. Resting orders are
//! withdrawn before the exit is asked for. Where they may be in doubt, that is waited for no longer than
//! [`crate::spec::ExitRules::LEAVE_MS`]: then what is free is sold, and the rest when it becomes free. What an entry
//! still brings is sold, too. Never: a sale of what may have been sold already.

mod guard;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{CancelReason, CancelRequest, CancelScope, ExitReason, Intent, Origin, Protect};
use crate::domain::{InstrumentIx, OrderKind, Price, Purpose, Qty, Side, Tag, Timestamp};
use crate::instance::{Cx, Event, Outbox};
use guard::{Exit, Phase, Reached};

pub use guard::Guard;

/// The tag of the monitor's own exits.
pub const EXIT_TAG: Tag = Tag(u32::MAX);

/// All guards of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    guards: Vec<Option<Guard>>,
}

/// What the monitor must know about the instrument whose guard it looks at.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Base units held.
    pub position: Qty,
    /// Base units held that no sale, live or in doubt, may still take.
    pub free: Qty,
    /// True while any order of the instrument is live or in doubt.
    pub resting: bool,
    /// True while one of them that is no exit at market has not been asked to go.
    pub staying: bool,
    /// True while one of them sells at market and nobody asked for its end: the position is on its way out.
    pub leaving: bool,
    /// Average price paid, fees included.
    pub entry: Option<Price>,
    /// When the round trip began.
    pub opened: Option<Timestamp>,
    /// True while the venue has executed more of an order that is over than we have seen.
    pub owed: bool,
}

impl Holding {
    /// True while orders may still bring or take base.
    const fn may_change(&self) -> bool {
        self.resting || self.owed
    }
}

impl Monitor {
    /// No guards.
    #[must_use]
    pub fn new(instruments: usize) -> Self {
        Self { guards: vec![None; instruments] }
    }

    /// The guard of one instrument.
    #[must_use]
    pub fn guard(&self, ix: InstrumentIx) -> Option<&Guard> {
        self.guards.get(ix.at()).and_then(Option::as_ref)
    }

    fn guard_mut(&mut self, ix: InstrumentIx) -> Option<&mut Guard> {
        self.guards.get_mut(ix.at()).and_then(Option::as_mut)
    }

    /// True while any position is guarded.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.guards.iter().any(Option::is_some)
    }

    /// Why the position of an instrument is being closed, if the monitor does it.
    #[must_use]
    pub fn closing(&self, ix: InstrumentIx) -> Option<ExitReason> {
        self.guard(ix)?.exit().map(|exit| exit.reached.exit())
    }

    /// An entry filled: arms a guard, or tightens the one that is there. What comes while the position is being closed
    /// goes with it.
    pub fn on_entry(
        &mut self,
        cx: &Cx<'_>,
        ix: InstrumentIx,
        protect: Option<Protect>,
        price: Price,
        holding: Holding,
        out: &mut Outbox,
    ) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let protect = protect.filter(|p| p.stop.is_some() || p.target.is_some() || p.trail.is_some());
        let wanted = protect.is_some() || cx.spec.exits.guards();
        let protect = protect.unwrap_or_default();
        match slot {
            None if wanted => *slot = Some(Guard::new(protect, price, holding.opened.unwrap_or(cx.at))),
            // Dust under an old guard must not leave a new position without one.
            Some(Guard { phase: Phase::Dust, .. }) if wanted => *slot = Some(Guard::new(protect, price, cx.at)),
            Some(guard) => {
                if protect != Protect::default() {
                    guard.tighten(protect, price);
                }
                // Where nothing is in doubt an entry that still fills while an exit waits is over right after.
                if !cx.spec.venue.is_certain {
                    leave(cx, guard, ix, holding, out);
                }
            }
            None => {}
        }
    }

    /// The settings changed. Where they alone say what guards a position, that is in force at once, also when it is
    /// looser or nothing, and also for a position that another strategy took and guarded its own way. Where each entry
    /// says it, a guard that is there stays until the position is gone. An exit that is under way goes on.
    pub fn on_revised(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let (own, exits) = (cx.spec.strategy.protect(), &cx.spec.exits);
        let wanted = exits.guards() || own.is_some_and(|p| p.stop.is_some() || p.target.is_some());
        match (slot.as_mut(), own, cx.quotes.get(ix)) {
            (Some(guard), ..) if guard.phase != Phase::Armed => {}
            (Some(_), Some(_), _) if !wanted => *slot = None,
            (Some(guard), Some(protect), _) => guard.replace(protect, exits),
            (None, _, Some(quote)) if wanted && holding.position.is_positive() => {
                let opened = holding.opened.unwrap_or(cx.at);
                *slot = Some(Guard::new(own.unwrap_or_default(), quote.last, opened));
            }
            (Some(_), None, _) | (None, ..) => {}
        }
    }

    /// The position is flat: nothing to guard, unless it is being closed and an entry may still bring more.
    pub fn on_flat(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let more = holding.may_change() && !cx.spec.venue.is_certain;
        if !more || slot.is_some_and(|guard| guard.exit().is_none()) {
            *slot = None;
        }
    }

    /// The price moved.
    pub fn on_quote(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
        let (Some(slot), Some(quote)) = (self.guards.get_mut(ix.at()), cx.quotes.get(ix)) else { return };
        if slot.is_none() && cx.spec.exits.guards() && holding.position.is_positive() {
            // Base that was there from the start: no entry of ours armed a guard.
            *slot = Some(Guard::new(Protect::default(), quote.last, holding.opened.unwrap_or(cx.at)));
        }
        let Some(guard) = slot else { return };
        match guard.phase {
            Phase::Closing(..) | Phase::Sent(_) if is_over(holding) => *slot = None,
            Phase::Armed if holding.position.is_positive() => {
                if let Some(reached) = guard.reached(quote.last) {
                    trigger(cx, guard, ix, reached, holding, out);
                } else {
                    guard.follow(quote.last);
                    lift(cx, guard, ix, quote.last, holding.entry);
                }
            }
            Phase::Closing(exit, next) if cx.at >= next => again(cx, guard, ix, exit, holding, out),
            Phase::Armed | Phase::Closing(..) | Phase::Asked(_) | Phase::Sent(_) | Phase::Dust => {}
        }
    }

    /// When the monitor must be woken for an instrument: the end of the longest holding time, or the next attempt at an
    /// exit. Where nothing is in doubt the next price is soon enough for that.
    #[must_use]
    pub fn next_wakeup(&self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding) -> Option<Timestamp> {
        let guard = self.guard(ix)?;
        match guard.phase {
            Phase::Armed if holding.position.is_positive() => cx.spec.exits.max_holding_ms.map(|ms| guard.opened + ms),
            // With nothing to withdraw and nothing to sell it waits for news.
            Phase::Closing(_, next) if !cx.spec.venue.is_certain => {
                (holding.staying || saleable(cx, ix, holding).is_positive()).then_some(next)
            }
            Phase::Armed | Phase::Closing(..) | Phase::Asked(_) | Phase::Sent(_) | Phase::Dust => None,
        }
    }

    /// The time has come, or another part of the order stage asked for this moment.
    pub fn on_wakeup(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let Some(guard) = slot else { return };
        match (guard.phase, cx.spec.exits.max_holding_ms) {
            (Phase::Closing(..) | Phase::Sent(_), _) if is_over(holding) => *slot = None,
            (Phase::Armed, Some(ms)) if holding.position.is_positive() && cx.at.since(guard.opened) >= ms => {
                trigger(cx, guard, ix, Reached::Holding(ms), holding, out);
            }
            (Phase::Closing(exit, next), _) if !cx.spec.venue.is_certain && cx.at >= next => {
                again(cx, guard, ix, exit, holding, out);
            }
            (Phase::Armed | Phase::Closing(..) | Phase::Asked(_) | Phase::Sent(_) | Phase::Dust, _) => {}
        }
    }

    /// The operator closes the position, and whatever an entry may still bring.
    pub fn on_flatten(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
        let more = holding.may_change() && !cx.spec.venue.is_certain;
        if self.closing(ix).is_some() || !(holding.position.is_positive() || more) {
            return;
        }
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let guard = slot.get_or_insert_with(|| Guard::new(Protect::default(), Price::ZERO, cx.at));
        trigger(cx, guard, ix, Reached::Operator, holding, out);
    }

    /// An exit was approved and is among the orders of the instrument now.
    pub fn on_submitted(&mut self, cx: &Cx<'_>, ix: InstrumentIx, tag: Tag, holding: Holding, out: &mut Outbox) {
        let Some(guard) = self.guard_mut(ix) else { return };
        if let (Phase::Asked(exit), EXIT_TAG) = (guard.phase, tag) {
            guard.phase = Phase::Sent(exit);
            leave(cx, guard, ix, holding, out);
        }
    }

    /// An order of the instrument ended: the base may be free now, or the exit may have failed.
    pub fn on_ended(&mut self, cx: &Cx<'_>, ix: InstrumentIx, tag: Tag, holding: Holding, out: &mut Outbox) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let Some(guard) = slot else { return };
        match guard.phase {
            Phase::Closing(..) | Phase::Asked(_) | Phase::Sent(_) if is_over(holding) => *slot = None,
            Phase::Sent(exit) if tag == EXIT_TAG && holding.position.is_positive() => {
                guard.phase = Phase::Closing(exit, exit.again(cx));
            }
            Phase::Closing(..) => leave(cx, guard, ix, holding, out),
            Phase::Sent(_) if tag != EXIT_TAG && !cx.spec.venue.is_certain => leave(cx, guard, ix, holding, out),
            Phase::Armed | Phase::Asked(_) | Phase::Sent(_) | Phase::Dust => {}
        }
    }

    /// The gate refused an order. What is too small to sell stays as dust, unless more may come; any other exit is
    /// tried again.
    pub fn on_veto(&mut self, cx: &Cx<'_>, ix: InstrumentIx, tag: Tag, too_small: bool, holding: Holding) {
        let Some(guard) = self.guard_mut(ix) else { return };
        if let (Phase::Asked(exit), EXIT_TAG) = (guard.phase, tag) {
            let is_dust = too_small && !holding.may_change();
            guard.phase = if is_dust { Phase::Dust } else { Phase::Closing(exit, exit.again(cx)) };
        }
    }
}

/// Nothing is held, and nothing may come.
fn is_over(holding: Holding) -> bool {
    !holding.position.is_positive() && !holding.may_change()
}

fn trigger(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, reached: Reached, holding: Holding, out: &mut Outbox) {
    out.push(Event::Guarded(ix, reached.exit()));
    again(cx, guard, ix, Exit { reached, since: cx.at }, holding, out);
}

/// An attempt at an exit: withdraws what rests, sells what may be sold.
fn again(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, exit: Exit, holding: Holding, out: &mut Outbox) {
    guard.phase = Phase::Closing(exit, exit.again(cx));
    if holding.resting && (holding.staying || cx.spec.venue.is_certain) {
        // To withdraw an exit at market and send another one would only sell later.
        let entries = holding.leaving && !exit.is_overdue(cx);
        let scope = if entries { CancelScope::Entries(ix) } else { CancelScope::Instrument(ix) };
        out.push(Event::Cancel(CancelRequest { scope, reason: CancelReason::Close }));
    }
    leave(cx, guard, ix, holding, out);
}

/// Asks for an exit, when nothing is waited for and there is something to sell.
fn leave(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
    let (exit, waits) = match guard.phase {
        Phase::Closing(exit, _) => (exit, holding.resting && !exit.is_overdue(cx)),
        // An earlier exit has left, so nothing was waited for.
        Phase::Sent(exit) => (exit, false),
        Phase::Armed | Phase::Asked(_) | Phase::Dust => return,
    };
    if waits {
        return;
    }
    let qty = saleable(cx, ix, holding);
    if !qty.is_positive() {
        if !holding.may_change() && !in_lots(cx, ix, holding.position).is_positive() {
            guard.phase = Phase::Dust;
        }
        return;
    }
    guard.phase = Phase::Asked(exit);
    out.push(Event::Intent(Box::new(Intent {
        tag: EXIT_TAG,
        instrument: ix,
        side: Side::Sell,
        kind: OrderKind::Market { bound: None },
        qty,
        purpose: Purpose::Exit,
        origin: if exit.reached == Reached::Operator { Origin::Operator } else { Origin::Monitor },
        protect: None,
        reason: exit.reached.reason(),
    })));
}

/// What may be sold now, in lots. A part that the venue would refuse for its value waits for more, if more may come.
fn saleable(cx: &Cx<'_>, ix: InstrumentIx, holding: Holding) -> Qty {
    let Some(instrument) = cx.spec.instruments.get(ix.at()) else { return Qty::ZERO };
    let qty = in_lots(cx, ix, holding.free);
    let too_small = || cx.quotes.get(ix).is_none_or(|quote| quote.last * qty < instrument.notional_min);
    if holding.may_change() && too_small() { Qty::ZERO } else { qty }
}

fn in_lots(cx: &Cx<'_>, ix: InstrumentIx, qty: Qty) -> Qty {
    cx.spec.instruments.get(ix.at()).map_or(Qty::ZERO, |instrument| instrument.round_qty(qty.get()))
}

/// Break-even: the price at which a sale at market brings back, after its fee, what was paid with the fee of buying.
fn lift(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, price: Price, entry: Option<Price>) {
    let (Some(gain), Some(entry)) = (cx.spec.exits.break_even, entry) else { return };
    let kept = Decimal::ONE - cx.spec.venue_model.taker_fee;
    let (Some(instrument), Some(floor)) = (cx.spec.instruments.get(ix.at()), entry.get().checked_div(kept)) else {
        return;
    };
    guard.lift(price, entry + entry * gain, instrument.round_price(Side::Sell, floor));
}
