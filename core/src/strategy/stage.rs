//! The strategy stage: one strategy and the room that the gate last reported for it.

use serde::{Deserialize, Serialize};

use super::{AnyStrategy, View};
use crate::domain::InstrumentIx;
use crate::instance::{Control, Cx, Event, Outbox, Shift, StrategyIn};
use crate::orders::{CancelReason, CancelRequest, CancelScope};
use crate::risk::{Funds, RiskGate};
use crate::spec::InstanceSpec;

/// Owner of the strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyStage {
    strategy: AnyStrategy,
    funds: Vec<Funds>,
}

impl StrategyStage {
    /// A fresh stage.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let gate = RiskGate::new(spec);
        let quotes = crate::domain::Quotes::new(spec.instruments.len());
        let room =
            |at: usize| gate.funds(&quotes, spec, crate::domain::InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX)));
        Self { strategy: spec.strategy.build(spec), funds: (0..spec.instruments.len()).map(room).collect() }
    }

    /// The strategy's state.
    #[must_use]
    pub const fn strategy(&self) -> &AnyStrategy {
        &self.strategy
    }

    /// The settings changed, or the strategy was off for a while. One that begins anew, or is another one, has no
    /// orders: those that rest are withdrawn, and what they bought it finds as the position that is there.
    fn revise(&mut self, cx: &Cx<'_>, control: Control, out: &mut Outbox) {
        let goes_on = matches!(control, Control::Revise(Shift { anew: false, .. }));
        if self.strategy.revise(cx.spec, !goes_on) {
            let view = View::new(cx, &self.funds);
            self.strategy.get().on_control(&view, control, out);
            return;
        }
        for at in 0..cx.spec.instruments.len() {
            let scope = CancelScope::Instrument(InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX)));
            out.push(Event::Cancel(CancelRequest { scope, reason: CancelReason::Replan }));
        }
    }

    /// One message.
    pub fn on(&mut self, cx: &Cx<'_>, message: StrategyIn, out: &mut Outbox) {
        if let StrategyIn::Funds(ix, funds) = message {
            if let Some(slot) = self.funds.get_mut(ix.at()) {
                *slot = funds;
            }
            return;
        }
        if let StrategyIn::Control(control @ (Control::Revise(_) | Control::Release)) = message {
            self.revise(cx, control, out);
            return;
        }
        let view = View::new(cx, &self.funds);
        let strategy = self.strategy.get();
        match message {
            StrategyIn::Candle(closed) => strategy.on_candle(&view, &closed, out),
            StrategyIn::Fill(fill) => strategy.on_fill(&view, &fill, out),
            StrategyIn::Ended(ended) => strategy.on_ended(&view, &ended, out),
            StrategyIn::Veto(veto) => strategy.on_veto(&view, &veto, out),
            StrategyIn::Guarded(ix, why) => strategy.on_guarded(&view, ix, why, out),
            StrategyIn::Control(control) => strategy.on_control(&view, control, out),
            StrategyIn::Latches(latches) => strategy.on_latches(latches),
            StrategyIn::Funds(..) => {}
        }
    }
}
