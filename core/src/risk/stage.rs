//! The risk stage: reviews intents, keeps holds in step with fills and ends, obeys operators.

use serde::{Deserialize, Serialize};

use super::gate::{Decision, RiskGate};
use super::limits::VetoCode;
use crate::domain::InstrumentIx;
use crate::instance::{Control, Cx, Event, Outbox, RiskIn};
use crate::orders::{CancelReason, CancelRequest, CancelScope, Intent, Standing};
use crate::spec::{InstanceSpec, OnStop};

/// Owner of the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    gate: RiskGate,
}

impl Risk {
    /// A fresh stage.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        Self { gate: RiskGate::new(spec) }
    }

    /// The gate, to be looked at.
    #[must_use]
    pub const fn gate(&self) -> &RiskGate {
        &self.gate
    }

    /// One message.
    pub fn on(&mut self, cx: &Cx<'_>, message: RiskIn, out: &mut Outbox) {
        match message {
            RiskIn::Review(intent) => self.on_review(cx, &intent, out),
            RiskIn::Fill(fill) => {
                self.gate.exposure_mut().on_fill(&fill);
                self.tell_funds(cx, out);
            }
            RiskIn::Ended(ended) => {
                self.gate.exposure_mut().on_ended(&ended);
                self.tell_funds(cx, out);
            }
            RiskIn::Hold(terms, rest) => {
                self.gate.hold_again(cx.quotes, &terms, rest);
                self.tell_funds(cx, out);
            }
            RiskIn::Bust(fill) => {
                self.gate.exposure_mut().on_bust(&fill);
                // The strategy begins anew.
                out.push(Event::Latches(self.gate.latches()));
                self.tell_funds(cx, out);
            }
            RiskIn::Standing(standing) => self.gate.stand(standing),
            RiskIn::Control(control) => self.on_control(cx, control, out),
        }
    }

    fn on_review(&mut self, cx: &Cx<'_>, intent: &Intent, out: &mut Outbox) {
        match self.gate.review(cx.at, cx.quotes, cx.spec, intent) {
            Decision::Approved(order) => {
                out.push(Event::Approved { order: Box::new(order), reason: intent.reason });
                self.tell_funds(cx, out);
            }
            Decision::Vetoed(veto) if veto.code == VetoCode::DryRun => {
                out.push(Event::WouldSubmit { veto, reason: intent.reason });
            }
            Decision::Vetoed(veto) => out.push(Event::Vetoed { veto, reason: intent.reason }),
        }
    }

    fn on_control(&mut self, cx: &Cx<'_>, control: Control, out: &mut Outbox) {
        self.gate.latches_mut().obey(control);
        let cancel = match control {
            Control::Kill => Some((true, CancelReason::Kill)),
            Control::Pause | Control::Quarantine | Control::Stop(OnStop::CancelEntries) => {
                Some((false, CancelReason::EntriesOff))
            }
            Control::Stop(OnStop::CancelAll | OnStop::Flatten) => Some((true, CancelReason::Close)),
            // Limits may have changed: the strategy must know its room, and one that is new the latches as well.
            Control::Revise(shift) => {
                self.gate.revise(cx.spec, shift.transfer);
                if shift.anew {
                    out.push(Event::Latches(self.gate.latches()));
                }
                self.tell_funds(cx, out);
                None
            }
            Control::Release => {
                out.push(Event::Latches(self.gate.latches()));
                self.tell_funds(cx, out);
                None
            }
            // Not an entry passes before the order stage says that it has looked at everything.
            Control::Reconcile(_) if !cx.spec.venue.is_certain => {
                self.gate.stand(Standing { unreconciled: true, ..self.gate.standing() });
                None
            }
            Control::Stop(OnStop::Keep)
            | Control::Reconcile(_)
            | Control::Resolve(..)
            | Control::Resume
            | Control::ClearKill
            | Control::Start
            | Control::ParkStreak => None,
        };
        let Some((all, reason)) = cancel else { return };
        for at in 0..cx.spec.instruments.len() {
            let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
            let scope = if all { CancelScope::Instrument(ix) } else { CancelScope::Entries(ix) };
            out.push(Event::Cancel(CancelRequest { scope, reason }));
        }
    }

    /// Cash and the total cap are shared, so every instrument's room changes with any order.
    fn tell_funds(&self, cx: &Cx<'_>, out: &mut Outbox) {
        for at in 0..cx.spec.instruments.len() {
            let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
            out.push(Event::Funds(ix, self.gate.funds(cx.quotes, cx.spec, ix)));
        }
    }
}
