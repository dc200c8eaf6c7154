//! Grid: a ladder of resting buys under the price; each filled buy places its sell one line higher, and back again.
//!
//! The lines lie between two fixed prices or around the price at the start, in equal steps or equal ratios. Two brakes:
//! a trend filter (no new buys while the market falls) and an ATR circuit breaker (entries off after a volatility
//! jump). A stop-loss or take-profit price ends the grid.
//!
//! Scenario, run by a test: a market that swings between two lines buys low and sells high once per swing.

mod filter;
mod ladder;
mod params;
mod plan;

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{GridPlan, Note, Regime, Strategy, View};
use crate::domain::{ClosedCandle, Fill, Instrument, InstrumentIx, Notional, OrderKind, Price, Purpose, Qty, Side};
use crate::indicators::Atr;
use crate::instance::{Control, Event, OrderEnded, Outbox};
use crate::orders::{CancelReason, CancelRequest, CancelScope, ExitReason, Intent, Life, Origin, Protect, Reason};
use crate::risk::{Latches, Veto};
use crate::spec::InstanceSpec;

use filter::{Breaker, TrendFilter, Tripped};
use ladder::{Ladder, Permit, START_TAG};
pub use params::GridParams;
use params::{LineSize, Range};

/// Switches that keep the ladder still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Halts {
    paused: bool,
    killed: bool,
    stopping: bool,
}

/// One instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    ladder: Option<Ladder>,
    filter: Option<TrendFilter>,
    breaker: Option<Breaker>,
    atr: Atr,
    /// Price at the first candle, for the direction of the start trigger.
    first: Option<Price>,
    over: bool,
    /// Why the monitor closes the position, while it does.
    closing: Option<ExitReason>,
}

/// State.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    params: GridParams,
    lines: Vec<Line>,
    halts: Halts,
}

impl Grid {
    /// Nothing laid out yet.
    #[must_use]
    pub fn new(params: &GridParams, spec: &InstanceSpec) -> Self {
        let line = Line {
            ladder: None,
            filter: params.confirm.map(TrendFilter::new),
            breaker: params.breaker.map(|breaker| Breaker::new(breaker.limit, breaker.resume)),
            atr: Atr::new(14),
            first: None,
            over: false,
            closing: None,
        };
        Self { params: *params, lines: vec![line; spec.instruments.len()], halts: Halts::default() }
    }

    /// Takes other settings. True: the ladder stays; false: it is laid out anew around the position that is there.
    pub fn revise(&mut self, params: &GridParams, spec: &InstanceSpec, anew: bool) -> bool {
        let old = std::mem::replace(&mut self.params, *params);
        let kept = !anew && params.lays_out_as(&old);
        for (line, fresh) in self.lines.iter_mut().zip(Self::new(params, spec).lines) {
            if anew || params.confirm != old.confirm {
                line.filter = fresh.filter;
            }
            if anew || params.breaker != old.breaker {
                line.breaker = fresh.breaker;
            }
            line.start_again(params, &old, kept);
        }
        kept
    }

    /// The ladder's lines of one instrument, once laid out.
    #[must_use]
    pub fn lines_of(&self, ix: InstrumentIx) -> &[Price] {
        self.lines.get(ix.at()).and_then(|line| line.ladder.as_ref()).map_or(&[], Ladder::lines)
    }

    /// Cells of one instrument that hold base.
    #[must_use]
    pub fn holding_of(&self, ix: InstrumentIx) -> usize {
        self.lines.get(ix.at()).and_then(|line| line.ladder.as_ref()).map_or(0, Ladder::holding)
    }
}

impl Line {
    fn permit(&self, halts: Halts) -> Permit {
        let regime = self.filter.as_ref().map_or(Regime::Flat, TrendFilter::regime);
        let tripped = self.breaker.as_ref().is_some_and(Breaker::is_tripped);
        let still = self.over || halts.stopping || halts.killed;
        Permit {
            buys: !still && !halts.paused && !tripped && regime != Regime::Down,
            sells: !still,
            higher: regime == Regime::Up,
        }
    }

    /// Lays the lines out when everything needed is known.
    fn plan(&mut self, params: &GridParams, view: &View<'_>, ix: InstrumentIx, close: Price, out: &mut Outbox) {
        let Some(instrument) = view.instrument(ix) else { return };
        if !self.started(params, ix, close, out) {
            return;
        }
        let Some((lower, upper)) = self.bounds(params, close) else { return };
        let fee = view.cx.spec.venue_model.maker_fee;
        let lines = plan::lines(params.spacing, params.levels, lower, upper, instrument);
        let net = lines.as_deref().and_then(|lines| plan::cell_net(lines, fee));
        let (Some(lines), Some(cell_net)) = (lines, net.filter(|net| *net > Decimal::ZERO)) else {
            self.over = true;
            out.push(Event::Note(ix, Note::Unplannable { cell_net: net }));
            return;
        };
        let capital = view.funds(ix).capital;
        let quantities = lines.iter().map(|price| quantity(params, *price, capital, instrument)).collect();
        let plan = GridPlan { instrument: ix, price: close, lines: lines.clone(), cell_net };
        out.push(Event::GridPlanned(Box::new(plan)));
        let mut ladder = Ladder::new(ix, lines, close, quantities, params.guard());
        let base = instrument.round_qty(view.funds(ix).position.get());
        let rest = ladder.stock(view.cx.at, close, Notional::ZERO, base);
        // Base that it was given and has no cell for is left alone; what an earlier ladder bought must be sold again.
        let given = view.cx.spec.capital.base;
        ladder.keep_rest(view.cx.at, close, rest.min(instrument.round_qty((base - given).get())));
        if let Some(protect) = params.guard().filter(|_| base.is_positive()) {
            out.push(Event::Protect(ix, protect));
        }
        if params.balanced {
            out.extend(inventory(&ladder, view, ix, close, base, params.guard()));
        }
        self.ladder = Some(ladder);
    }

    /// A flat grid beyond its stop or target is over, too; while it holds base, the monitor ends it.
    fn end_flat(&mut self, params: &GridParams, view: &View<'_>, ix: InstrumentIx, close: Price, out: &mut Outbox) {
        let waits = self.ladder.is_none() && params.start_price.is_some();
        let Some(why) = params.beyond(close).filter(|_| !self.over && !waits) else { return };
        if view.funds(ix).position.is_positive() {
            return;
        }
        self.over = true;
        out.push(Event::Note(ix, Note::GridOver { why }));
        let (scope, reason) = (CancelScope::Instrument(ix), CancelReason::Close);
        out.push(Event::Cancel(CancelRequest { scope, reason }));
    }

    /// Under other settings. Unless the ladder is kept it is laid out anew; a start trigger that was reached stays so,
    /// and a grid that its own stop or target ended stays over until its lines or those ends change.
    fn start_again(&mut self, params: &GridParams, old: &GridParams, kept: bool) {
        let started = self.ladder.is_some();
        if !started && params.start_price != old.start_price {
            self.first = None;
        }
        if kept {
            if let Some(ladder) = &mut self.ladder {
                ladder.set_protect(params.guard());
            }
            return;
        }
        if started {
            self.first = params.start_price;
        }
        self.over &= params.lays_out_as(old) && params.ends_as(old);
        (self.ladder, self.closing, self.atr) = (None, None, Atr::new(14));
    }

    fn started(&mut self, params: &GridParams, ix: InstrumentIx, close: Price, out: &mut Outbox) -> bool {
        let Some(trigger) = params.start_price else { return true };
        let Some(first) = self.first else {
            self.first = Some(close);
            if close != trigger {
                out.push(Event::Note(ix, Note::WaitsForStart { trigger }));
            }
            return close == trigger;
        };
        match first.cmp(&trigger) {
            Ordering::Greater => close <= trigger,
            Ordering::Less => close >= trigger,
            Ordering::Equal => true,
        }
    }

    fn bounds(&self, params: &GridParams, close: Price) -> Option<(Decimal, Decimal)> {
        use rust_decimal::prelude::FromPrimitive;
        match params.range? {
            Range::Fixed(lower, upper) => Some((lower.get(), upper.get())),
            Range::WidthPct(width) => {
                let half = close.get() * width / Decimal::from(200);
                Some((close.get() - half, close.get() + half))
            }
            Range::WidthAtr(width) => {
                let half = Decimal::from_f64(self.atr.value()?)? * width / Decimal::TWO;
                Some((close.get() - half, close.get() + half))
            }
        }
    }

    fn watch_trend(&mut self, own: bool, closed: &ClosedCandle, out: &mut Outbox) -> bool {
        let mut changed = false;
        if own {
            let candle = &closed.candle;
            if self.ladder.is_none() {
                self.atr.update(candle.high.to_f64(), candle.low.to_f64(), candle.close.to_f64());
            }
            if let Some(regime) = self.filter.as_mut().and_then(|filter| filter.update(candle)) {
                out.push(Event::Note(closed.instrument, Note::Regime { regime }));
                changed = regime != Regime::Down;
            }
        }
        changed
    }

    fn watch_breaker(&mut self, closed: &ClosedCandle, out: &mut Outbox) -> bool {
        let ix = closed.instrument;
        match self.breaker.as_mut().and_then(|breaker| breaker.update(&closed.candle)) {
            Some(Tripped::On(atr, before)) => {
                out.push(Event::Note(ix, Note::BreakerTripped { atr, before }));
                let scope = CancelScope::Entries(ix);
                out.push(Event::Cancel(CancelRequest { scope, reason: CancelReason::EntriesOff }));
                false
            }
            Some(Tripped::Off(atr)) => {
                out.push(Event::Note(ix, Note::BreakerCleared { atr }));
                true
            }
            None => false,
        }
    }
}

fn quantity(params: &GridParams, price: Price, capital: Notional, instrument: &Instrument) -> Qty {
    match params.size {
        Some(LineSize::OrderValue(value)) => instrument.round_qty(value.get() / price.get()),
        Some(LineSize::Quantity(qty)) => instrument.round_qty(qty.get()),
        Some(LineSize::CapitalShare(share)) => {
            let each = capital.get() * share / Decimal::from(params.levels.saturating_sub(1).max(1));
            instrument.round_qty(each / price.get())
        }
        None => Qty::ZERO,
    }
}

/// The purchase of a balanced start: base for the cells above the price that hold none.
fn inventory(
    ladder: &Ladder,
    view: &View<'_>,
    ix: InstrumentIx,
    close: Price,
    base: Qty,
    protect: Option<Protect>,
) -> Option<Event> {
    let cells: Vec<Qty> = ladder.above(close).map(|(_, qty)| qty).collect();
    let qty = cells.iter().copied().sum::<Qty>() - base;
    let (_, worst) = view.ask_and_worst(ix)?;
    let reason = Reason::GridStart { cells: u32::try_from(cells.len()).unwrap_or(u32::MAX) };
    qty.is_positive().then(|| {
        Event::Intent(Box::new(Intent {
            tag: START_TAG,
            instrument: ix,
            side: Side::Buy,
            kind: OrderKind::Market { bound: Some(worst) },
            qty,
            purpose: Purpose::Entry,
            origin: Origin::Strategy,
            protect,
            reason,
        }))
    })
}

impl Strategy for Grid {
    fn on_candle(&mut self, view: &View<'_>, closed: &ClosedCandle, out: &mut Outbox) {
        let (ix, halts) = (closed.instrument, self.halts);
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        let own = closed.timeframe == view.cx.spec.timeframe;
        let breaker = self.params.breaker.is_some_and(|breaker| breaker.timeframe == closed.timeframe);
        let eased = line.watch_trend(own, closed, out) | (breaker && line.watch_breaker(closed, out));
        let close = closed.candle.close;
        if own {
            line.end_flat(&self.params, view, ix, close, out);
        }
        let still = line.over || halts.stopping || halts.paused || halts.killed;
        // While an order of an earlier ladder may fill, its news would be taken for the new one's.
        let fresh = own && line.ladder.is_none() && !still && view.is_clear(ix);
        if fresh {
            line.plan(&self.params, view, ix, close, out);
        }
        let permit = line.permit(halts);
        let (Some(ladder), Some(instrument)) = (line.ladder.as_mut(), view.instrument(ix)) else { return };
        if fresh || eased {
            ladder.arrange(close, instrument, permit, out);
        } else if own {
            ladder.on_candle(close, instrument, permit, out);
        }
    }

    fn on_fill(&mut self, view: &View<'_>, fill: &Fill, out: &mut Outbox) {
        let Some(line) = self.lines.get_mut(fill.instrument.at()) else { return };
        let permit = line.permit(self.halts);
        let (Some(ladder), Some(instrument)) = (line.ladder.as_mut(), view.instrument(fill.instrument)) else { return };
        if fill.tag == START_TAG {
            let rest = ladder.stock(fill.at, fill.price, fill.fee, fill.qty);
            ladder.keep_rest(fill.at, fill.price, rest);
            ladder.arrange(fill.price, instrument, permit, out);
        } else if fill.tag == crate::orders::EXIT_TAG {
            let exit = line.closing.unwrap_or(ExitReason::Operator);
            out.extend(ladder.sold_outside(fill, exit).into_iter().map(Event::RoundTrip));
        } else {
            ladder.on_fill(fill, instrument, permit, out);
        }
    }

    fn on_ended(&mut self, view: &View<'_>, ended: &OrderEnded, out: &mut Outbox) {
        let ix = ended.terms.instrument;
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        let permit = line.permit(self.halts);
        let (Some(ladder), Some(instrument), Some(quote)) = (line.ladder.as_mut(), view.instrument(ix), view.quote(ix))
        else {
            return;
        };
        if ended.terms.origin == Origin::Strategy && ended.terms.tag != START_TAG {
            let again = !matches!(ended.life, Life::Rejected | Life::NeverSent);
            ladder.on_ended(ended.terms.tag, quote.last, again, instrument, permit, out);
        }
    }

    fn on_veto(&mut self, _view: &View<'_>, veto: &Veto, _out: &mut Outbox) {
        let Some(line) = self.lines.get_mut(veto.instrument.at()) else { return };
        if let Some(ladder) = line.ladder.as_mut().filter(|_| veto.tag != START_TAG) {
            ladder.on_veto(veto.tag, veto.code);
        }
    }

    fn on_guarded(&mut self, _view: &View<'_>, ix: InstrumentIx, why: ExitReason, out: &mut Outbox) {
        if let Some(line) = self.lines.get_mut(ix.at()) {
            line.closing = Some(why);
            // An operator's close-out at a stop leaves the grid able to start again; its own range stop ends it.
            if why != ExitReason::Operator {
                line.over = true;
                out.push(Event::Note(ix, Note::GridOver { why }));
            }
        }
    }

    fn on_control(&mut self, view: &View<'_>, control: Control, out: &mut Outbox) {
        match control {
            Control::Pause => self.halts.paused = true,
            Control::Resume => self.halts.paused = false,
            Control::Kill => self.halts.killed = true,
            Control::ClearKill => (self.halts.killed, self.halts.paused) = (false, true),
            Control::Stop(_) => self.halts.stopping = true,
            Control::Start => self.halts.stopping = false,
            Control::Revise { .. }
            | Control::Quarantine
            | Control::Release
            | Control::ParkStreak
            | Control::Reconcile(_)
            | Control::Resolve(..) => {}
        }
        // Other limits may admit what was refused before.
        if !matches!(control, Control::Resume | Control::Start | Control::ClearKill | Control::Revise { .. }) {
            return;
        }
        for (at, line) in self.lines.iter_mut().enumerate() {
            let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
            let permit = line.permit(self.halts);
            if let (Some(ladder), Some(instrument), Some(quote)) =
                (line.ladder.as_mut(), view.instrument(ix), view.quote(ix))
            {
                ladder.forgive();
                ladder.arrange(quote.last, instrument, permit, out);
            }
        }
    }

    fn on_latches(&mut self, latches: Latches) {
        let Latches { killed, paused, stopping } = latches;
        self.halts = Halts { paused, killed, stopping };
    }
}
