//! What the venue says, applied to the desk, the position and the monitor.

use super::Orders;
use crate::domain::{Fill, OrderNo, Qty, Side};
use crate::instance::{Cx, Event, Outbox};
use crate::orders::desk::Moved;
use crate::orders::doubt::Why;
use crate::orders::lifecycle::OrderEvent;
use crate::orders::{CancelRefusal, OrderView, Report, Request, Traded};

impl Orders {
    pub(super) fn on_report(&mut self, cx: &Cx<'_>, report: Report, out: &mut Outbox) {
        match report {
            Report::Accepted(order) => self.news(cx, order, OrderEvent::Accept, None, out),
            Report::Rejected(order, _) => self.news(cx, order, OrderEvent::Reject, None, out),
            Report::Canceled(order, cum) => self.news(cx, order, OrderEvent::Cancel, Some(cum), out),
            Report::Expired(order, cum) => self.news(cx, order, OrderEvent::Expire, Some(cum), out),
            Report::NeverSent(order) => self.news(cx, order, OrderEvent::Withhold, None, out),
            Report::CancelRejected(order, _) if cx.spec.venue.is_certain => self.desk.clear_cancel(order),
            Report::CancelRejected(order, CancelRefusal::TooLate) => {
                self.news(cx, order, OrderEvent::CancelLate, None, out);
            }
            Report::CancelRejected(order, CancelRefusal::Unknown) => {
                self.news(cx, order, OrderEvent::CancelUnknown, None, out);
            }
            Report::Fill(fill) => self.on_fill(cx, &fill, out),
            Report::Bust(fill) => self.on_bust(cx, &fill, out),
            Report::State(view) => self.on_view(cx, &view, out),
            Report::NoAnswer(order, request) => self.on_no_answer(cx, order, request, out),
            Report::NotFound(order, venue_now) => {
                if self.desk.not_found(cx.at, order, venue_now, &cx.spec.venue) {
                    self.news(cx, order, OrderEvent::Absent, Some(Qty::ZERO), out);
                }
            }
            Report::Missing(order) => self.news(cx, order, OrderEvent::Missing, None, out),
            Report::Traded(traded) => self.on_traded(cx, &traded, out),
        }
    }

    pub(super) fn news(&mut self, cx: &Cx<'_>, order: OrderNo, event: OrderEvent, cum: Option<Qty>, out: &mut Outbox) {
        let moved = self.desk.apply(cx.at, order, event, cum, &cx.spec.venue);
        self.applied(cx, order, moved.ok_or(event), out);
    }

    fn applied(&mut self, cx: &Cx<'_>, order: OrderNo, moved: Result<Moved, OrderEvent>, out: &mut Outbox) {
        match moved {
            Ok(moved) => self.moved(cx, order, moved, out),
            Err(event) => out.push(Event::OrderRefused(order, event)),
        }
    }

    pub(super) fn moved(&mut self, cx: &Cx<'_>, order: OrderNo, moved: Moved, out: &mut Outbox) {
        if moved.from != moved.to {
            out.push(Event::OrderMoved(order, moved.to));
        }
        if let Some((terms, rest)) = moved.reopened {
            out.push(Event::Reopened(order));
            out.push(Event::Hold(terms, rest));
        }
        if moved.may_cancel {
            out.push(Event::Withdraw(order));
        }
        if let Some(ended) = moved.ended {
            out.push(if moved.was_told { Event::Released(ended) } else { Event::Ended(ended) });
            let ix = ended.terms.instrument;
            self.monitor.on_ended(cx, ix, ended.terms.tag, self.holding(ix), out);
        }
    }

    /// Silence about a place is doubt. A cancel stays under way, since it can be sent again; a question comes again by
    /// itself.
    fn on_no_answer(&mut self, cx: &Cx<'_>, order: OrderNo, request: Request, out: &mut Outbox) {
        match request {
            Request::Place => self.news(cx, order, OrderEvent::Silence, None, out),
            // Of an order that is over there is nothing left to withdraw.
            Request::Cancel if self.desk.open().contains_key(&order) => {
                self.desk.ask(cx.at, order, Why::Silence, &cx.spec.venue);
            }
            Request::Cancel => {}
            Request::Query => {}
        }
    }

    fn on_view(&mut self, cx: &Cx<'_>, view: &OrderView, out: &mut Outbox) {
        let seen = self.desk.see(cx.at, view, &cx.spec.venue);
        if let Some(moved) = seen.moved {
            self.applied(cx, view.order, moved, out);
        }
        if let Some((terms, rest)) = seen.hold {
            out.push(Event::Hold(terms, rest));
        }
    }

    fn on_traded(&mut self, cx: &Cx<'_>, traded: &Traded, out: &mut Outbox) {
        for order in self.desk.traded(traded, &cx.spec.venue) {
            self.news(cx, order, OrderEvent::Absent, Some(Qty::ZERO), out);
        }
        if let Some(reconcile) = &mut self.reconcile {
            reconcile.read(traded);
        }
    }

    /// A fill moves the position whatever the order table says about it; the same fill twice moves nothing.
    fn on_fill(&mut self, cx: &Cx<'_>, fill: &Fill, out: &mut Outbox) {
        #[cfg(feature = "canaries")]
        if crate::canary::is(crate::canary::Canary::DropLateFill) && self.desk.is_over(fill.order) {
            return;
        }
        let Some(counted) = self.desk.fill(cx.at, fill, &cx.spec.venue) else { return };
        if let Some(reconcile) = &mut self.reconcile {
            reconcile.fills += 1;
        }
        out.push(Event::Fill(*fill));
        self.move_position(cx, fill, out);
        if let Some(life) = counted.late {
            out.push(Event::Late(fill.order, life));
        }
        self.applied(cx, fill.order, counted.moved, out);
    }

    /// What was counted is taken back.
    fn on_bust(&mut self, cx: &Cx<'_>, fill: &Fill, out: &mut Outbox) {
        let Some(counted) = self.desk.bust(cx.at, fill, &cx.spec.venue) else { return };
        out.push(Event::Bust(*fill));
        let ix = fill.instrument;
        if let Some(position) = self.positions.get_mut(ix.at()) {
            position.on_bust(fill);
        }
        let holding = self.holding(ix);
        if holding.position.is_zero() {
            self.monitor.on_flat(cx, ix, holding);
        } else if fill.side == Side::Sell {
            // It is held again, perhaps after the guard was dropped.
            self.monitor.on_entry(cx, ix, cx.spec.strategy.protect(), fill.price, holding, out);
        }
        self.applied(cx, fill.order, counted.moved, out);
        let live = self.desk.open().get(&fill.order).map(|order| (order.terms, order.rest()));
        if let Some((terms, rest)) = live {
            out.push(Event::Hold(terms, rest));
        }
    }
}
