//! The order stage: desk, positions and the position monitor, one message at a time.

use serde::{Deserialize, Serialize};

use super::desk::{Desk, Moved};
use super::lifecycle::OrderEvent;
use super::monitor::{Holding, Monitor};
use super::{CancelReason, CancelRequest, CancelScope, ExitReason, Origin, Protect, Report};
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
}

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
        Self { desk: Desk::default(), positions, monitor: Monitor::new(count), wake: None, watching }
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
        match message {
            OrdersIn::Submit(order) => self.on_submit(cx, order, out),
            OrdersIn::Cancel(request) => self.on_cancel(request, out),
            OrdersIn::Report(report) => self.on_report(cx, report, out),
            OrdersIn::Quote(ix) => self.on_quote(cx, ix, out),
            OrdersIn::Wakeup => self.on_wakeup(cx, out),
            OrdersIn::Veto(veto) => {
                let small = matches!(veto.code, VetoCode::MinOrderValue | VetoCode::Quantity | VetoCode::LotSize);
                self.monitor.on_veto(cx.at, veto.instrument, small);
            }
            OrdersIn::Protect(ix, protect) => self.on_protect(cx, ix, protect),
            OrdersIn::Control(control) => self.on_control(cx, control, out),
        }
        self.rearm(cx.spec, out);
    }

    fn on_submit(&mut self, cx: &Cx<'_>, order: Box<ApprovedOrder>, out: &mut Outbox) {
        let terms = *order.terms();
        self.desk.submit(cx.at, terms, order.protect());
        // While the monitor closes a position, an order of the strategy that is already approved would add to it or
        // take the base that the exit needs: it does not leave.
        if terms.origin == Origin::Strategy && self.monitor.closing(terms.instrument).is_some() {
            self.news(cx, terms.order, OrderEvent::Withhold, None, out);
        } else {
            out.push(Event::Place(order));
        }
    }

    fn on_cancel(&mut self, request: CancelRequest, out: &mut Outbox) {
        let numbers: Vec<OrderNo> = match request.scope {
            CancelScope::Order(order) => vec![order],
            CancelScope::Tagged(ix, tag) => self.desk.tagged(ix, tag).into_iter().collect(),
            CancelScope::Entries(ix) => self.desk.of(ix, true),
            // A position that is on its way out at market leaves: a new plan is no reason to call it back.
            CancelScope::Instrument(ix) if request.reason == CancelReason::Replan => self.desk.staying(ix),
            CancelScope::Instrument(ix) => self.desk.of(ix, false),
        };
        for order in numbers {
            if self.desk.want_cancel(order, request.reason) {
                out.push(Event::Withdraw(order));
            }
        }
    }

    fn on_report(&mut self, cx: &Cx<'_>, report: Report, out: &mut Outbox) {
        match report {
            Report::Accepted(order) => self.news(cx, order, OrderEvent::Accept, None, out),
            Report::Rejected(order, _) => self.news(cx, order, OrderEvent::Reject, None, out),
            Report::Canceled(order, cum) => self.news(cx, order, OrderEvent::Cancel, Some(cum), out),
            Report::Expired(order, cum) => self.news(cx, order, OrderEvent::Expire, Some(cum), out),
            Report::NeverSent(order) => self.news(cx, order, OrderEvent::Withhold, None, out),
            Report::CancelRejected(order) => self.desk.clear_cancel(order),
            Report::Fill(fill) => self.on_fill(cx, &fill, out),
        }
    }

    fn news(&mut self, cx: &Cx<'_>, order: OrderNo, event: OrderEvent, cum: Option<Qty>, out: &mut Outbox) {
        match self.desk.apply(order, event, cum) {
            Some(moved) => self.moved(cx, order, moved, out),
            None => out.push(Event::OrderRefused(order, event)),
        }
    }

    fn moved(&mut self, cx: &Cx<'_>, order: OrderNo, moved: Moved, out: &mut Outbox) {
        if moved.from != moved.to {
            out.push(Event::OrderMoved(order, moved.to));
        }
        if let Some(ended) = moved.ended {
            out.push(Event::Ended(ended));
            let ix = ended.terms.instrument;
            self.monitor.on_ended(cx, ix, ended.terms.tag, self.holding(ix), out);
        }
    }

    /// A fill moves the position whatever the order table says about it; the same fill twice moves nothing.
    fn on_fill(&mut self, cx: &Cx<'_>, fill: &Fill, out: &mut Outbox) {
        let counted = self.desk.fill(fill);
        if counted == Ok(None) {
            return;
        }
        out.push(Event::Fill(*fill));
        self.move_position(cx, fill, out);
        match counted {
            Ok(Some(moved)) => self.moved(cx, fill.order, moved, out),
            Ok(None) => {}
            Err(event) => out.push(Event::OrderRefused(fill.order, event)),
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
        if position.qty().is_zero() {
            self.monitor.on_flat(ix);
        } else if fill.side == Side::Buy {
            // An order that rested since before a revision brings the guard of then.
            let protect = cx.spec.strategy.protect().or_else(|| self.desk.protect_of(fill.order));
            self.monitor.on_entry(ix, protect, fill.price);
        }
    }

    fn on_quote(&mut self, cx: &Cx<'_>, ix: InstrumentIx, out: &mut Outbox) {
        if let (Some(position), Some(quote)) = (self.positions.get_mut(ix.at()), cx.quotes.get(ix)) {
            position.price_if_unpriced(quote.at, quote.last);
        }
        let holding = self.holding(ix);
        self.monitor.on_quote(cx, ix, holding, out);
    }

    fn on_protect(&mut self, cx: &Cx<'_>, ix: InstrumentIx, protect: Protect) {
        if let Some(quote) = cx.quotes.get(ix).filter(|_| self.holding(ix).position.is_positive()) {
            self.monitor.on_entry(ix, Some(protect), quote.last);
        }
    }

    fn on_wakeup(&mut self, cx: &Cx<'_>, out: &mut Outbox) {
        self.wake = None;
        let limit = cx.spec.order_timeout_ms;
        while let Some(order) =
            self.desk.oldest_resting().filter(|o| cx.at.since(o.sent) >= limit).map(|o| o.terms.order)
        {
            self.desk.want_cancel(order, CancelReason::Expired);
            out.push(Event::Withdraw(order));
        }
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
                | Control::ParkStreak => {}
            }
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
        let position = self.positions.get(ix.at()).map_or(Qty::ZERO, Position::qty);
        Holding { position, resting: self.desk.rests(ix), leaving: self.desk.leaves(ix) }
    }

    /// Tells the shell when to wake this stage and whether it wants prices, when that changed.
    fn rearm(&mut self, spec: &InstanceSpec, out: &mut Outbox) {
        let wake = self.desk.oldest_resting().map(|order| order.sent + spec.order_timeout_ms);
        if wake != self.wake {
            self.wake = wake;
            out.push(Event::Wake(wake));
        }
        let watching = self.monitor.watches() || self.positions.iter().any(Position::is_unpriced);
        if watching != self.watching {
            self.watching = watching;
            out.push(Event::Watch(watching));
        }
    }
}
