//! The order stage: desk, positions and the position monitor, one message at a time.

mod news;

use serde::{Deserialize, Serialize};

use super::desk::{Desk, Due};
use super::lifecycle::OrderEvent;
use super::monitor::{Holding, Monitor};
use super::reconcile::Reconcile;
use super::{CancelReason, CancelRequest, CancelScope, ExitReason, Origin, Protect, Reconciled, Standing};
use crate::domain::{Fill, InstrumentIx, OrderNo, Qty, Side, Timestamp};
use crate::instance::{Control, Cx, Event, OrdersIn, Outbox, Shift};
use crate::position::Position;
use crate::risk::{ApprovedOrder, VetoCode};
use crate::spec::{InstanceSpec, OnStop};
use crate::strategy::TripKind;

/// Owner of the instance's orders and positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    desk: Desk,
    positions: Vec<Position>,
    monitor: Monitor,
    wake: Option<Timestamp>,
    watching: bool,
    standing: Standing,
    reconcile: Option<Reconcile>,
    reconciled: Option<(Timestamp, Reconciled)>,
}

/// So many orders may be in doubt before entries are refused (C61).
const DOUBTS_MAX: u32 = 3;

impl Orders {
    /// A fresh stage.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let count = spec.instruments.len();
        let mut positions = vec![Position::default(); count];
        if let Some(first) = positions.first_mut() {
            *first = Position::unpriced(spec.capital.base);
        }
        let watching = spec.capital.base.is_positive();
        Self {
            desk: Desk::default(),
            positions,
            monitor: Monitor::new(count),
            wake: None,
            watching,
            standing: Standing::default(),
            reconcile: None,
            reconciled: None,
        }
    }

    /// The orders.
    #[must_use]
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The positions, one per instrument.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The guards.
    #[must_use]
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// One message.
    pub fn on(&mut self, cx: &Cx<'_>, message: OrdersIn, out: &mut Outbox) {
        let (is_quote, before) = (matches!(message, OrdersIn::Quote(_)), out.len());
        match message {
            OrdersIn::Submit(order) => self.on_submit(cx, order, out),
            OrdersIn::Cancel(request) => self.on_cancel(cx, request, out),
            OrdersIn::Report(report) => self.on_report(cx, report, out),
            OrdersIn::Quote(ix) => self.on_quote(cx, ix, out),
            OrdersIn::Wakeup => self.on_wakeup(cx, out),
            OrdersIn::Veto(veto) => {
                let small = matches!(veto.code, VetoCode::MinOrderValue | VetoCode::Quantity | VetoCode::LotSize);
                let (ix, holding) = (veto.instrument, self.holding(veto.instrument));
                self.monitor.on_veto(cx, ix, veto.tag, small, holding);
            }
            OrdersIn::Protect(ix, protect) => self.on_protect(cx, ix, protect, out),
            OrdersIn::Control(control) => self.on_control(cx, control, out),
        }
        // A price that set nothing off changes nothing of the orders; they need not be gone through.
        if !is_quote || out.len() > before {
            self.look_back(cx, out);
            self.rearm(cx, out);
        }
        self.watch(out);
    }

    /// Is the start at the venue complete, and may entries pass?
    fn look_back(&mut self, cx: &Cx<'_>, out: &mut Outbox) {
        if cx.spec.venue.is_certain {
            return;
        }
        let done = |reconcile: &Reconcile| reconcile.has_read_all() && self.desk.is_reconciled();
        if let Some(reconcile) = self.reconcile.take_if(|reconcile| done(reconcile)) {
            let told = reconcile.complete(cx.at);
            self.reconciled = Some((cx.at, told));
            out.push(Event::Reconciled(told));
        }
        let (unknown, _) = self.desk.in_doubt();
        let standing = Standing {
            unreconciled: self.reconcile.is_some(),
            doubtful: unknown > DOUBTS_MAX || self.desk.has_old_doubt(),
            disputed: self.desk.has_dispute(),
        };
        if standing != self.standing {
            self.standing = standing;
            out.push(Event::Standing(standing));
        }
    }

    /// What keeps entries from passing.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The newest start at the venue that is complete, and when it was.
    #[must_use]
    pub const fn reconciled(&self) -> Option<(Timestamp, Reconciled)> {
        self.reconciled
    }

    fn on_submit(&mut self, cx: &Cx<'_>, order: Box<ApprovedOrder>, out: &mut Outbox) {
        let terms = *order.terms();
        self.desk.submit(cx.at, terms, order.protect(), &cx.spec.venue);
        // While the monitor closes a position, an order of the strategy that is already approved would add to it or
        // take the base that the exit needs: it does not leave.
        if terms.origin == Origin::Strategy && self.monitor.closing(terms.instrument).is_some() {
            self.news(cx, terms.order, OrderEvent::Withhold, None, out);
        } else {
            out.push(Event::Place(order));
        }
        self.monitor.on_submitted(cx, terms.instrument, terms.tag, self.holding(terms.instrument), out);
    }

    fn on_cancel(&mut self, cx: &Cx<'_>, request: CancelRequest, out: &mut Outbox) {
        let numbers: Vec<OrderNo> = match request.scope {
            CancelScope::Order(order) => vec![order],
            CancelScope::Tagged(ix, tag) => self.desk.tagged(ix, tag).into_iter().collect(),
            CancelScope::Entries(ix) => self.desk.of(ix, true),
            // A position that is on its way out at market leaves: a new plan is no reason to call it back.
            CancelScope::Instrument(ix) if request.reason == CancelReason::Replan => self.desk.staying(ix),
            CancelScope::Instrument(ix) => self.desk.of(ix, false),
        };
        for order in numbers {
            if self.desk.want_cancel(cx.at, order, request.reason, &cx.spec.venue) {
                out.push(Event::Withdraw(order));
            }
        }
    }

    fn move_position(&mut self, cx: &Cx<'_>, fill: &Fill, out: &mut Outbox) {
        let ix = fill.instrument;
        let exit = self.monitor.closing(ix).unwrap_or(ExitReason::Signal);
        let Some(position) = self.positions.get_mut(ix.at()) else { return };
        let trip = position.on_fill(fill, exit);
        if let Some(mut trip) = trip.filter(|_| cx.spec.strategy.trips() == TripKind::FlatToFlat) {
            trip.instrument = ix;
            out.push(Event::RoundTrip(trip));
        }
        let holding = self.holding(ix);
        if holding.position.is_zero() {
            self.monitor.on_flat(cx, ix, holding);
        } else if fill.side == Side::Buy {
            // An order that rested since before a revision brings the guard of then.
            let protect = cx.spec.strategy.protect().or_else(|| self.desk.protect_of(fill.order));
            self.monitor.on_entry(cx, ix, protect, fill.price, holding, out);
        }
    }

    fn on_quote(&mut self, cx: &Cx<'_>, ix: InstrumentIx, out: &mut Outbox) {
        if let (Some(position), Some(quote)) = (self.positions.get_mut(ix.at()), cx.quotes.get(ix)) {
            position.price_if_unpriced(quote.at, quote.last);
        }
        let holding = self.holding(ix);
        self.monitor.on_quote(cx, ix, holding, out);
    }

    fn on_protect(&mut self, cx: &Cx<'_>, ix: InstrumentIx, protect: Protect, out: &mut Outbox) {
        let holding = self.holding(ix);
        if let Some(quote) = cx.quotes.get(ix).filter(|_| holding.position.is_positive()) {
            self.monitor.on_entry(cx, ix, Some(protect), quote.last, holding, out);
        }
    }

    fn on_wakeup(&mut self, cx: &Cx<'_>, out: &mut Outbox) {
        self.wake = None;
        for due in self.desk.due(cx.at, cx.spec) {
            match due {
                Due::Silence(order) => self.news(cx, order, OrderEvent::Silence, None, out),
                Due::Ask(ask) => out.push(Event::Ask(ask)),
                Due::Tell(order, age) => out.push(Event::Doubt(order, age)),
                Due::CancelAgain(order) => out.push(Event::Withdraw(order)),
                Due::Cancel(order, reason) => {
                    if self.desk.want_cancel(cx.at, order, reason, &cx.spec.venue) {
                        out.push(Event::Withdraw(order));
                    }
                }
                Due::Settle(order) => self.settle(cx, order),
            }
        }
        for ix in (0..).map(InstrumentIx).take(self.positions.len()) {
            self.monitor.on_wakeup(cx, ix, self.holding(ix), out);
        }
        if let Some(reconcile) = &mut self.reconcile {
            reconcile.ask(cx, out);
        }
    }

    /// No fact: it follows from those before and from the clock.
    fn settle(&mut self, cx: &Cx<'_>, order: OrderNo) {
        if self.reconcile.is_some() {
            // Not everything that happened has been heard of.
            self.desk.wait_on(cx.at, order);
            return;
        }
        self.desk.apply(cx.at, order, OrderEvent::Settle, None, &cx.spec.venue);
        self.desk.forget_now_and_then(cx.at, &cx.spec.venue);
    }

    /// News may have been lost: nothing that is live here is taken for granted until the venue was asked about it, and
    /// its executions were read.
    fn begin_reconcile(&mut self, cx: &Cx<'_>, epoch: u32, out: &mut Outbox) {
        if cx.spec.venue.is_certain {
            return;
        }
        self.desk.begin_epoch(epoch);
        let (lost, asked) = self.desk.begin_reconcile(cx.at, cx.spec);
        for order in lost {
            self.news(cx, order, OrderEvent::Silence, None, out);
        }
        self.reconcile = Some(Reconcile::new(cx, epoch, asked));
    }

    fn on_control(&mut self, cx: &Cx<'_>, control: Control, out: &mut Outbox) {
        for at in 0..self.positions.len() {
            let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
            let holding = self.holding(ix);
            match control {
                Control::Stop(OnStop::Flatten) => self.monitor.on_flatten(cx, ix, holding, out),
                Control::Revise(shift) => {
                    self.monitor.on_revised(cx, ix, holding);
                    self.recount(cx.spec, ix, shift);
                }
                Control::Stop(OnStop::Keep | OnStop::CancelEntries | OnStop::CancelAll)
                | Control::Pause
                | Control::Resume
                | Control::Kill
                | Control::ClearKill
                | Control::Start
                | Control::Quarantine
                | Control::Release
                | Control::ParkStreak
                | Control::Reconcile(_)
                | Control::Resolve(..) => {}
            }
        }
        match control {
            Control::Reconcile(epoch) => self.begin_reconcile(cx, epoch, out),
            Control::Resolve(order, to) => {
                if let Some(moved) = self.desk.resolve(cx.at, order, to, &cx.spec.venue) {
                    self.moved(cx, order, moved, out);
                }
            }
            Control::Stop(_)
            | Control::Revise(_)
            | Control::Pause
            | Control::Resume
            | Control::Kill
            | Control::ClearKill
            | Control::Start
            | Control::Quarantine
            | Control::Release
            | Control::ParkStreak => {}
        }
    }

    /// Pairs that a ladder completed are told: a way from flat to flat that is counted from here on begins with what
    /// is held, or their profit would be told again at its end.
    fn recount(&mut self, spec: &InstanceSpec, ix: InstrumentIx, shift: Shift) {
        let counts = shift.recount && spec.strategy.trips() == TripKind::FlatToFlat;
        if let Some(position) = self.positions.get_mut(ix.at()).filter(|_| counts) {
            position.begin_trip_anew();
        }
    }

    fn holding(&self, ix: InstrumentIx) -> Holding {
        let held = self.positions.get(ix.at());
        let position = held.map_or(Qty::ZERO, Position::qty);
        Holding {
            position,
            free: position - self.desk.leaving_qty(ix),
            resting: self.desk.rests(ix),
            staying: self.desk.stays(ix),
            leaving: self.desk.leaves(ix),
            entry: held.and_then(Position::entry),
            opened: held.and_then(Position::opened),
            owed: self.desk.owes(ix),
        }
    }

    /// Tells the shell when to wake this stage, when that changed.
    fn rearm(&mut self, cx: &Cx<'_>, out: &mut Outbox) {
        let reconcile = self.reconcile.as_ref().and_then(Reconcile::wake);
        let guards = (0..).map(InstrumentIx).take(self.positions.len());
        let guards = guards.filter_map(|ix| {
            self.monitor.guard(ix)?;
            self.monitor.next_wakeup(cx, ix, self.holding(ix))
        });
        let guarded = guards.min();
        let wake = [self.desk.wake(cx.spec), reconcile, guarded].into_iter().flatten().min();
        if wake != self.wake {
            self.wake = wake;
            out.push(Event::Wake(wake));
        }
    }

    /// Tells the shell whether this stage wants prices, when that changed.
    fn watch(&mut self, out: &mut Outbox) {
        let watching = self.monitor.watches() || self.positions.iter().any(Position::is_unpriced);
        if watching != self.watching {
            self.watching = watching;
            out.push(Event::Watch(watching));
        }
    }
}
