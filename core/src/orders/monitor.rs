//! The position monitor: stop, target and trailing stop of each instrument's position.
//!
//! Owns one guard per instrument. Promises: a stop only ever tightens; an exit begins as an intent and passes the gate
//! like every other order; resting orders are withdrawn before the exit is asked for, so that the base is free; a sale
//! at market that is under way already is waited for. Never: two exits at once.

use serde::{Deserialize, Serialize};

use super::{CancelReason, CancelRequest, CancelScope, ExitReason, Intent, Origin, Protect, Reason};
use crate::domain::{InstrumentIx, OrderKind, Price, Purpose, Qty, Side, Tag, Timestamp};
use crate::instance::{Cx, Event, Outbox};

/// The tag of the monitor's own exits.
pub const EXIT_TAG: Tag = Tag(u32::MAX);

/// Pause between two attempts at a refused exit, ms.
const RETRY_MS: i64 = 2_000;

/// What a guard is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Armed,
    /// Triggered; waits for resting orders to go, or for the next attempt.
    Closing(Reached, Timestamp),
    /// The exit is on its way.
    Sent(Reached),
    /// The rest is too small to be sold.
    Dust,
}

/// What set a guard off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reached {
    Stop(Price),
    Trail { stop: Price, highest: Price },
    Target(Price),
    Operator,
}

/// Guard of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    stop: Option<Price>,
    target: Option<Price>,
    trail: Option<Price>,
    highest: Price,
    /// True once the trailing distance, not the first stop, sets the stop.
    trailing: bool,
    phase: Phase,
}

impl Guard {
    /// Current stop price.
    #[must_use]
    pub const fn stop(&self) -> Option<Price> {
        self.stop
    }

    /// Target price.
    #[must_use]
    pub const fn target(&self) -> Option<Price> {
        self.target
    }

    fn new(protect: Protect, price: Price) -> Self {
        let Protect { stop, target, trail } = protect;
        Self { stop, target, trail, highest: price, trailing: false, phase: Phase::Armed }
    }

    fn follow(&mut self, price: Price) {
        self.highest = self.highest.max(price);
        let Some(trail) = self.trail else { return };
        let candidate = self.highest - trail;
        if candidate.is_positive() && self.stop.is_none_or(|stop| candidate > stop) {
            self.stop = Some(candidate);
            self.trailing = true;
        }
    }

    fn reached(&self, price: Price) -> Option<Reached> {
        if let Some(stop) = self.stop.filter(|stop| price <= *stop) {
            let highest = self.highest;
            return Some(if self.trailing { Reached::Trail { stop, highest } } else { Reached::Stop(stop) });
        }
        self.target.filter(|target| price >= *target).map(Reached::Target)
    }
}

impl Reached {
    const fn exit(self) -> ExitReason {
        match self {
            Self::Stop(_) => ExitReason::Stop,
            Self::Trail { .. } => ExitReason::Trail,
            Self::Target(_) => ExitReason::Target,
            Self::Operator => ExitReason::Operator,
        }
    }

    const fn reason(self) -> Reason {
        match self {
            Self::Stop(stop) => Reason::Stop { stop },
            Self::Trail { stop, highest } => Reason::Trail { stop, highest },
            Self::Target(target) => Reason::Target { target },
            Self::Operator => Reason::Flatten,
        }
    }
}

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
    /// True while any order of the instrument is open.
    pub resting: bool,
    /// True while one of them sells at market: the position is on its way out.
    pub leaving: bool,
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

    /// True while any position is guarded.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.guards.iter().any(Option::is_some)
    }

    /// Why the position of an instrument is being closed, if the monitor does it.
    #[must_use]
    pub fn closing(&self, ix: InstrumentIx) -> Option<ExitReason> {
        match self.guard(ix)?.phase {
            Phase::Closing(reached, _) | Phase::Sent(reached) => Some(reached.exit()),
            Phase::Armed | Phase::Dust => None,
        }
    }

    /// An entry filled: arms a guard, or tightens the one that is there.
    pub fn on_entry(&mut self, ix: InstrumentIx, protect: Option<Protect>, price: Price) {
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let Some(protect) = protect.filter(|p| p.stop.is_some() || p.target.is_some() || p.trail.is_some()) else {
            return;
        };
        match slot {
            // Dust under an old guard must not leave a new position without one.
            None | Some(Guard { phase: Phase::Dust, .. }) => *slot = Some(Guard::new(protect, price)),
            Some(guard) => {
                guard.stop = guard.stop.max(protect.stop);
                guard.target = protect.target.or(guard.target);
                guard.trail = protect.trail.or(guard.trail);
                guard.highest = guard.highest.max(price);
            }
        }
    }

    /// The settings changed. Where they alone say what guards a position, that is in force at once, also when it is
    /// looser or nothing, and also for a position that another strategy took and guarded its own way. Where each entry
    /// says it, a guard that is there stays until the position is gone. An exit that is under way goes on.
    pub fn on_revised(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding) {
        let (Some(slot), Some(protect)) = (self.guards.get_mut(ix.at()), cx.spec.strategy.protect()) else { return };
        let wanted = protect.stop.is_some() || protect.target.is_some();
        match (slot.as_mut(), cx.quotes.get(ix)) {
            (Some(Guard { phase: Phase::Closing(..) | Phase::Sent(_) | Phase::Dust, .. }), _) => {}
            (Some(_), _) if !wanted => *slot = None,
            (Some(guard), _) => {
                let Protect { stop, target, trail } = protect;
                (guard.stop, guard.target, guard.trail, guard.trailing) = (stop, target, trail, false);
            }
            (None, Some(quote)) if wanted && holding.position.is_positive() => {
                *slot = Some(Guard::new(protect, quote.last));
            }
            (None, _) => {}
        }
    }

    /// The position is flat: nothing to guard.
    pub fn on_flat(&mut self, ix: InstrumentIx) {
        if let Some(slot) = self.guards.get_mut(ix.at()) {
            *slot = None;
        }
    }

    /// The price moved.
    pub fn on_quote(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
        let Some(quote) = cx.quotes.get(ix) else { return };
        let Some(guard) = self.guards.get_mut(ix.at()).and_then(Option::as_mut) else { return };
        match guard.phase {
            Phase::Armed if holding.position.is_positive() => {
                if let Some(reached) = guard.reached(quote.last) {
                    Self::trigger(cx, guard, ix, reached, holding, out);
                } else {
                    guard.follow(quote.last);
                }
            }
            Phase::Closing(reached, retry) if cx.at >= retry => {
                guard.phase = Phase::Closing(reached, cx.at + RETRY_MS);
                Self::withdraw_or_leave(cx, guard, ix, reached, holding, out);
            }
            Phase::Armed | Phase::Closing(..) | Phase::Sent(_) | Phase::Dust => {}
        }
    }

    /// The operator closes the position.
    pub fn on_flatten(&mut self, cx: &Cx<'_>, ix: InstrumentIx, holding: Holding, out: &mut Outbox) {
        if !holding.position.is_positive() || self.closing(ix).is_some() {
            return;
        }
        let Some(slot) = self.guards.get_mut(ix.at()) else { return };
        let guard = slot.get_or_insert_with(|| Guard::new(Protect::default(), Price::ZERO));
        Self::trigger(cx, guard, ix, Reached::Operator, holding, out);
    }

    /// An order of the instrument ended: the base may be free now, or the exit may have failed.
    pub fn on_ended(&mut self, cx: &Cx<'_>, ix: InstrumentIx, tag: Tag, holding: Holding, out: &mut Outbox) {
        let Some(guard) = self.guards.get_mut(ix.at()).and_then(Option::as_mut) else { return };
        match guard.phase {
            Phase::Closing(reached, _) => Self::leave(cx, guard, ix, reached, holding, out),
            Phase::Sent(reached) if tag == EXIT_TAG && holding.position.is_positive() => {
                guard.phase = Phase::Closing(reached, cx.at + RETRY_MS);
            }
            Phase::Armed | Phase::Sent(_) | Phase::Dust => {}
        }
    }

    /// The gate refused the exit. What is too small to sell stays as dust; anything else is tried again.
    pub fn on_veto(&mut self, at: Timestamp, ix: InstrumentIx, too_small: bool) {
        let Some(guard) = self.guards.get_mut(ix.at()).and_then(Option::as_mut) else { return };
        if let Phase::Sent(reached) = guard.phase {
            guard.phase = if too_small { Phase::Dust } else { Phase::Closing(reached, at + RETRY_MS) };
        }
    }

    fn trigger(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, reached: Reached, holding: Holding, out: &mut Outbox) {
        guard.phase = Phase::Closing(reached, cx.at + RETRY_MS);
        out.push(Event::Guarded(ix, reached.exit()));
        Self::withdraw_or_leave(cx, guard, ix, reached, holding, out);
    }

    fn withdraw_or_leave(
        cx: &Cx<'_>,
        guard: &mut Guard,
        ix: InstrumentIx,
        reached: Reached,
        holding: Holding,
        out: &mut Outbox,
    ) {
        if holding.resting {
            // To withdraw an exit at market and send another one would only sell later.
            let scope = if holding.leaving { CancelScope::Entries(ix) } else { CancelScope::Instrument(ix) };
            out.push(Event::Cancel(CancelRequest { scope, reason: CancelReason::Close }));
        } else {
            Self::leave(cx, guard, ix, reached, holding, out);
        }
    }

    fn leave(cx: &Cx<'_>, guard: &mut Guard, ix: InstrumentIx, reached: Reached, holding: Holding, out: &mut Outbox) {
        let Some(instrument) = cx.spec.instruments.get(ix.at()) else { return };
        if holding.resting {
            return;
        }
        let qty = instrument.round_qty(holding.position.get());
        if !qty.is_positive() {
            guard.phase = Phase::Dust;
            return;
        }
        guard.phase = Phase::Sent(reached);
        out.push(Event::Intent(Box::new(Intent {
            tag: EXIT_TAG,
            instrument: ix,
            side: Side::Sell,
            kind: OrderKind::Market { bound: None },
            qty,
            purpose: Purpose::Exit,
            origin: if reached == Reached::Operator { Origin::Operator } else { Origin::Monitor },
            protect: None,
            reason: reached.reason(),
        })));
    }
}
