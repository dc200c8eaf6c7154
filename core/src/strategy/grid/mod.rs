//! Grid: a ladder of resting buys under the price; each filled buy places its sell one line higher, and back again.
//!
//! The lines lie between two fixed prices or around the price at the start, in equal steps or equal ratios. Two brakes:
//! a trend filter (no new buys while the market falls) and an ATR circuit breaker (entries off after a volatility jump).
//! A stop-loss or take-profit price ends the grid.
//!
//! Scenario, run by a test: a market that swings between two lines buys low and sells high once per swing.

mod filter;
mod ladder;
mod plan;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{GridPlan, Note, Params, Regime, Strategy, StrategyKind, TripKind, View};
use crate::domain::{
    ClosedCandle, Fill, Instrument, InstrumentIx, Notional, OrderKind, Price, Purpose, Qty, Side, Timeframe, fast_f64,
};
use crate::indicators::Atr;
use crate::instance::{Control, Event, OrderEnded, Outbox};
use crate::orders::{CancelReason, CancelRequest, CancelScope, ExitReason, Intent, Life, Origin, Protect, Reason};
use crate::params::{Problem, Reader};
use crate::risk::Veto;
use crate::spec::{InstanceSpec, OnStop};

use filter::{Breaker, TrendFilter, Tripped};
use ladder::{Ladder, Permit, START_TAG};
pub use plan::Spacing;

/// Where the lines lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Between two prices.
    Fixed(Price, Price),
    /// This wide around the price at the start, percent of it.
    WidthPct(Decimal),
    /// This wide around the price at the start, in ATR(14).
    WidthAtr(Decimal),
}

/// Size of each order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineSize {
    /// Quote units.
    OrderValue(Notional),
    /// Base units.
    Quantity(Qty),
    /// Share of capital, divided evenly over the cells.
    CapitalShare(Decimal),
}

/// The ATR circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakerParams {
    /// Candles it looks at.
    pub timeframe: Timeframe,
    /// Growth of ATR in one candle that trips it, fraction.
    pub limit: f64,
    /// Calm candles that clear it.
    pub resume: u32,
}

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridParams {
    /// Equal steps or equal ratios.
    pub spacing: Spacing,
    /// Number of price lines.
    pub levels: u32,
    /// Where they lie; `None` when the configuration is wrong.
    pub range: Option<Range>,
    /// Size of each order; `None` when the configuration is wrong.
    pub size: Option<LineSize>,
    /// Buys base for the cells above the price at the start.
    pub balanced: bool,
    /// Candles that confirm a change of regime; `None`: no trend filter.
    pub confirm: Option<u32>,
    /// The circuit breaker, if on.
    pub breaker: Option<BreakerParams>,
    /// Ends the grid at or under this price.
    pub stop_loss: Option<Price>,
    /// Ends the grid at or over this price.
    pub take_profit: Option<Price>,
    /// The grid starts when the price reaches this.
    pub start_price: Option<Price>,
    /// What a stop does; `None`: as the instance's `[orders] on_stop` says.
    pub close_out: Option<OnStop>,
}

impl Params for GridParams {
    fn read(reader: &mut Reader<'_>) -> Self {
        let price = Decimal::new(1, 8)..=crate::domain::DECIMAL_MAX;
        let words = [("arithmetic", Spacing::Arithmetic), ("geometric", Spacing::Geometric)];
        reader.missing("levels", "2 to 1000 (price lines, whole)");
        let at = |reader: &mut Reader<'_>, key| reader.decimal(key, price.clone(), "price").map(Price::new);
        Self {
            spacing: reader.choice("spacing", &words).unwrap_or(Spacing::Arithmetic),
            levels: reader.whole("levels", 2..=1000, "price lines").map_or(2, |n| u32::try_from(n).unwrap_or(2)),
            stop_loss: at(reader, "stop_loss_price"),
            take_profit: at(reader, "take_profit_price"),
            start_price: at(reader, "start_price"),
            close_out: reader.choice(
                "close_out",
                &[("keep", OnStop::Keep), ("cancel", OnStop::CancelAll), ("sell", OnStop::Flatten)],
            ),
            range: read_range(reader),
            size: read_size(reader),
            balanced: reader.choice("start", &[("cash", false), ("balanced", true)]).unwrap_or(false),
            confirm: read_filter(reader),
            breaker: read_breaker(reader),
        }
    }

    fn check(&self, spec: &InstanceSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let (Some(Range::Fixed(..)), true) = (self.range, spec.instruments.len() > 1) {
            problems.push(problem("lower", "", "a fixed range fits one instrument; use width_pct for several"));
        }
        if let Some(Range::Fixed(lower, upper)) = self.range {
            if lower >= upper {
                problems.push(problem("lower", &lower.to_string(), &format!("must be less than upper = {upper}")));
            } else {
                problems
                    .extend(spec.instruments.first().and_then(|i| self.check_cells(lower.get(), upper.get(), i, spec)));
            }
        }
        if let Some(Range::WidthPct(width)) = self.range {
            // The ratio of the cells does not depend on the price: take a large one, so that ticks do not matter.
            let half = width / Decimal::from(200);
            let price = Decimal::from(1_000_000);
            let (lower, upper) = (price * (Decimal::ONE - half), price * (Decimal::ONE + half));
            problems.extend(spec.instruments.first().and_then(|i| self.check_cells(lower, upper, i, spec)));
        }
        if let Some(LineSize::OrderValue(value)) = self.size {
            let least = spec.risk.min_order_value;
            if value < least {
                problems.push(problem(
                    "order_value",
                    &value.to_string(),
                    &format!("at least risk.min_order_value = {least}"),
                ));
            }
        }
        problems
    }

    fn kind(&self) -> StrategyKind {
        StrategyKind::Grid
    }

    fn trips(&self) -> TripKind {
        TripKind::Pairs
    }

    fn timeframes(&self, own: Timeframe) -> Vec<Timeframe> {
        let breaker = self.breaker.map(|breaker| breaker.timeframe).filter(|timeframe| *timeframe != own);
        std::iter::once(own).chain(breaker).collect()
    }

    fn close_out(&self) -> Option<OnStop> {
        self.close_out
    }
}

fn problem(key: &str, value: &str, expected: &str) -> Problem {
    Problem { key: key.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
}

fn read_range(reader: &mut Reader<'_>) -> Option<Range> {
    let price = Decimal::new(1, 8)..=crate::domain::DECIMAL_MAX;
    let lower = reader.decimal("lower", price.clone(), "price");
    let upper = reader.decimal("upper", price, "price");
    let pct = reader.decimal("width_pct", Decimal::new(1, 1)..=Decimal::from(190), "percent of the price at start");
    let atr = reader.decimal("width_atr", Decimal::ONE..=Decimal::from(1000), "ATR(14)");
    let fixed = reader.has("lower") || reader.has("upper");
    let ways = usize::from(fixed) + usize::from(reader.has("width_pct")) + usize::from(reader.has("width_atr"));
    if ways != 1 {
        reader.problem("lower", "give exactly one range: lower and upper, or width_pct, or width_atr");
        return None;
    }
    if fixed {
        reader.missing("lower", "a price less than upper");
        reader.missing("upper", "a price greater than lower");
        return Some(Range::Fixed(Price::new(lower?), Price::new(upper?)));
    }
    pct.map(Range::WidthPct).or(atr.map(Range::WidthAtr))
}

fn read_size(reader: &mut Reader<'_>) -> Option<LineSize> {
    let amount = Decimal::new(1, 8)..=crate::domain::DECIMAL_MAX;
    let value = reader.decimal("order_value", amount.clone(), "quote units");
    let quantity = reader.decimal("quantity", amount, "base units");
    let share = reader.decimal("capital_share", Decimal::new(1, 3)..=Decimal::ONE, "share of capital");
    let keys = ["order_value", "quantity", "capital_share"];
    if keys.iter().filter(|key| reader.has(key)).count() != 1 {
        reader.problem("order_value", "give exactly one size: order_value, quantity or capital_share");
        return None;
    }
    let value = value.map(|v| LineSize::OrderValue(Notional::new(v)));
    value.or(quantity.map(|q| LineSize::Quantity(Qty::new(q)))).or(share.map(LineSize::CapitalShare))
}

const SWITCH: [(&str, bool); 2] = [("on", true), ("off", false)];

fn read_filter(reader: &mut Reader<'_>) -> Option<u32> {
    let on = reader.choice("trend_filter", &SWITCH).unwrap_or(false);
    let confirm = reader.whole("confirm_candles", 1..=1000, "candles").map_or(3, |n| u32::try_from(n).unwrap_or(3));
    on.then_some(confirm)
}

fn read_breaker(reader: &mut Reader<'_>) -> Option<BreakerParams> {
    let on = reader.choice("breaker", &SWITCH).unwrap_or(true);
    let timeframe = reader.timeframe("breaker_timeframe").unwrap_or(Timeframe::from_millis(3_600_000));
    let limit = reader.decimal("atr_spike_circuit_breaker", Decimal::new(1, 2)..=Decimal::TEN, "fraction");
    let resume = reader.whole("resume_candles", 1..=1000, "candles").map_or(3, |n| u32::try_from(n).unwrap_or(3));
    on.then_some(BreakerParams { timeframe, limit: limit.map_or(0.30, fast_f64), resume })
}

impl GridParams {
    fn check_cells(
        &self,
        lower: Decimal,
        upper: Decimal,
        instrument: &Instrument,
        spec: &InstanceSpec,
    ) -> Option<Problem> {
        let levels = self.levels.to_string();
        let Some(lines) = plan::lines(self.spacing, self.levels, lower, upper, instrument) else {
            return Some(problem("levels", &levels, "two lines fall on one tick; use fewer levels or a wider range"));
        };
        let net = plan::cell_net(&lines, spec.venue_model.maker_fee)?;
        (net <= Decimal::ZERO).then(|| {
            let percent = (net * Decimal::ONE_HUNDRED).normalize();
            let text = format!("the smallest cell loses: {percent} % after fees; use fewer levels or a wider range");
            problem("levels", &levels, &text)
        })
    }

    /// Which of the two ends a price has reached.
    fn beyond(&self, price: Price) -> Option<ExitReason> {
        let stopped = self.stop_loss.filter(|stop| price <= *stop).map(|_| ExitReason::Stop);
        stopped.or(self.take_profit.filter(|target| price >= *target).map(|_| ExitReason::Target))
    }

    fn protect(&self) -> Option<Protect> {
        let Self { stop_loss: stop, take_profit: target, .. } = *self;
        (stop.is_some() || target.is_some()).then_some(Protect { stop, target, trail: None })
    }
}

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
        };
        Self { params: *params, lines: vec![line; spec.instruments.len()], halts: Halts::default() }
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
        let mut ladder = Ladder::new(ix, lines, close, quantities, params.protect());
        let base = instrument.round_qty(view.funds(ix).position.get());
        ladder.stock(view.cx.at, close, Notional::ZERO, base);
        if let Some(protect) = params.protect().filter(|_| base.is_positive()) {
            out.push(Event::Protect(ix, protect));
        }
        if params.balanced {
            out.extend(inventory(&ladder, view, ix, close, base, params.protect()));
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

    fn started(&mut self, params: &GridParams, ix: InstrumentIx, close: Price, out: &mut Outbox) -> bool {
        let Some(trigger) = params.start_price else { return true };
        let Some(first) = self.first else {
            self.first = Some(close);
            if close != trigger {
                out.push(Event::Note(ix, Note::WaitsForStart { trigger }));
            }
            return close == trigger;
        };
        if first > trigger { close <= trigger } else { close >= trigger }
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
    let instrument = view.instrument(ix)?;
    let cells: Vec<Qty> = ladder.above(close).map(|(_, qty)| qty).collect();
    let qty = cells.iter().copied().sum::<Qty>() - base;
    let (_, ask) = view.quote(ix)?.sides(view.cx.spec.venue_model.spread);
    let worst = instrument.round_price(Side::Buy, ask + ask * view.cx.spec.risk.price_collar / Decimal::TWO);
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
        let fresh = own && line.ladder.is_none() && !line.over && !halts.stopping && !halts.paused && !halts.killed;
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
            ladder.stock(fill.at, fill.price, fill.fee, fill.qty);
            ladder.arrange(fill.price, instrument, permit, out);
        } else if fill.tag == crate::orders::EXIT_TAG {
            ladder.emptied();
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
            Control::Stop(OnStop::Keep | OnStop::CancelEntries | OnStop::CancelAll | OnStop::Flatten) => {
                self.halts.stopping = true;
            }
            Control::Start => self.halts.stopping = false,
        }
        if !matches!(control, Control::Resume | Control::Start | Control::ClearKill) {
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
}
