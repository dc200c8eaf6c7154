//! Trend following: EMA cross confirmed by ADX, ATR stop, trailing stop, exit on the opposite cross. Long only.
//!
//! Enters at market when EMA(fast) crosses over EMA(slow) with ADX > `adx_min`; the stop lies `stop_atr` ATR under the
//! close and trails `trail_atr` ATR under the highest price; leaves when the fast average crosses back under.
//!
//! Scenario, run by a test: flat prices, then a steady climb: one entry. Then a fall: one exit, flat again.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Note, Params, Strategy, StrategyKind, TripKind, View};
use crate::cycle::{Stake, size};
use crate::domain::{ClosedCandle, Fill, InstrumentIx, OrderKind, Price, Purpose, Qty, Side, Tag, Timeframe};
use crate::indicators::{Adx, Atr, Ema};
use crate::instance::{Control, Event, OrderEnded, Outbox};
use crate::orders::{ExitReason, Intent, Origin, Protect, Reason, SizeTerm};
use crate::params::{Problem, Reader};
use crate::risk::Veto;
use crate::spec::InstanceSpec;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendParams {
    /// Fast EMA, candles.
    pub fast: usize,
    /// Slow EMA, candles.
    pub slow: usize,
    /// ADX, candles.
    pub adx_period: usize,
    /// Weakest trend that is traded.
    pub adx_min: f64,
    /// ATR, candles.
    pub atr_period: usize,
    /// First stop, ATRs under the close.
    pub stop_atr: f64,
    /// Trailing stop, ATRs under the highest price.
    pub trail_atr: f64,
    /// Share of capital lost when the stop is hit.
    pub risk_per_trade: Decimal,
    /// Largest position, share of capital.
    pub max_position: Decimal,
}

impl Params for TrendParams {
    fn read(reader: &mut Reader<'_>) -> Self {
        let candles = |reader: &mut Reader<'_>, key, default| {
            reader.whole(key, 2..=1000, "candles").map_or(default, |n| usize::try_from(n).unwrap_or(default))
        };
        let factor = |reader: &mut Reader<'_>, key, default: f64| {
            reader
                .decimal(key, Decimal::new(1, 1)..=Decimal::from(100), "a factor")
                .map_or(default, crate::domain::fast_f64)
        };
        let share = Decimal::new(1, 4)..=Decimal::ONE;
        Self {
            fast: candles(reader, "fast", 20),
            slow: candles(reader, "slow", 50),
            adx_period: candles(reader, "adx_period", 14),
            adx_min: reader
                .decimal("adx_min", Decimal::ZERO..=Decimal::ONE_HUNDRED, "ADX points")
                .map_or(25.0, crate::domain::fast_f64),
            atr_period: candles(reader, "atr_period", 14),
            stop_atr: factor(reader, "stop_atr", 2.0),
            trail_atr: factor(reader, "trail_atr", 3.0),
            risk_per_trade: reader
                .decimal("risk_per_trade", Decimal::new(1, 4)..=Decimal::new(2, 1), "share of capital")
                .unwrap_or(Decimal::new(1, 2)),
            max_position: reader.decimal("max_position", share, "share of capital").unwrap_or(Decimal::new(5, 2)),
        }
    }

    fn check(&self, _spec: &InstanceSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.fast >= self.slow {
            problems.push(Problem {
                key: "fast".to_owned(),
                value: self.fast.to_string(),
                expected: format!("must be less than slow = {}", self.slow),
            });
        }
        problems
    }

    fn kind(&self) -> StrategyKind {
        StrategyKind::Signal
    }

    fn trips(&self) -> TripKind {
        TripKind::FlatToFlat
    }

    fn timeframes(&self, own: Timeframe) -> Vec<Timeframe> {
        vec![own]
    }
}

const ENTRY: Tag = Tag(0);
const EXIT: Tag = Tag(1);

/// Where one instrument stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    #[default]
    Idle,
    Entering,
    Leaving,
}

/// One instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    fast: Ema,
    slow: Ema,
    adx: Adx,
    atr: Atr,
    above: Option<bool>,
    /// The averages have crossed down: hold nothing until they cross up.
    unwanted: bool,
    phase: Phase,
}

/// State.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendFollowing {
    params: TrendParams,
    lines: Vec<Line>,
}

/// Indicator values at a cross.
#[derive(Clone, Copy)]
struct Figures {
    fast: f64,
    slow: f64,
    adx: f64,
    atr: f64,
}

impl TrendFollowing {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(params: &TrendParams, spec: &InstanceSpec) -> Self {
        let line = Line {
            fast: Ema::new(params.fast),
            slow: Ema::new(params.slow),
            adx: Adx::new(params.adx_period),
            atr: Atr::new(params.atr_period),
            above: None,
            unwanted: false,
            phase: Phase::Idle,
        };
        Self { params: *params, lines: vec![line; spec.instruments.len()] }
    }

    /// Takes other settings. True: the indicators stay; false: they warm up again.
    pub fn revise(&mut self, params: &TrendParams, spec: &InstanceSpec, anew: bool) -> bool {
        let periods = |params: &TrendParams| (params.fast, params.slow, params.adx_period, params.atr_period);
        let kept = !anew && periods(params) == periods(&self.params);
        if kept {
            self.params = *params;
        } else {
            *self = Self::new(params, spec);
        }
        kept
    }

    fn enter(&mut self, view: &View<'_>, ix: InstrumentIx, close: Price, figures: Figures, out: &mut Outbox) {
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        let funds = view.funds(ix);
        // What is less than a lot cannot be sold: it is no position.
        let held = view.instrument(ix).map_or(Qty::ZERO, |instrument| instrument.round_qty(funds.position.get()));
        if line.phase != Phase::Idle || held.is_positive() {
            out.push(Event::Note(ix, Note::Occupied));
            return;
        }
        if figures.adx <= self.params.adx_min {
            let (adx, adx_min) = (figures.adx, self.params.adx_min);
            out.push(Event::Note(ix, Note::WeakTrend { adx, adx_min }));
            return;
        }
        let Some((intent, notional)) = entry(&self.params, view, ix, close, figures) else { return };
        if intent.qty.is_positive() {
            line.phase = Phase::Entering;
            out.push(Event::Intent(Box::new(intent)));
        } else {
            out.push(Event::Note(ix, Note::TooSmall { notional }));
        }
    }

    fn leave(&mut self, view: &View<'_>, ix: InstrumentIx, figures: Figures, out: &mut Outbox) {
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        let Some(instrument) = view.instrument(ix) else { return };
        let qty = instrument.round_qty(view.funds(ix).free_base.get());
        if line.phase == Phase::Leaving || !qty.is_positive() {
            return;
        }
        line.phase = Phase::Leaving;
        let Figures { fast, slow, .. } = figures;
        out.push(Event::Intent(Box::new(Intent {
            tag: EXIT,
            instrument: ix,
            side: Side::Sell,
            kind: OrderKind::Market { bound: None },
            qty,
            purpose: Purpose::Exit,
            origin: Origin::Strategy,
            protect: None,
            reason: Reason::CrossDown { fast, slow },
        })));
    }

    fn settle(&mut self, ix: InstrumentIx) {
        if let Some(line) = self.lines.get_mut(ix.at()) {
            line.phase = Phase::Idle;
        }
    }
}

/// The entry order at this close, and the notional its size came from.
fn entry(
    params: &TrendParams,
    view: &View<'_>,
    ix: InstrumentIx,
    close: Price,
    figures: Figures,
) -> Option<(Intent, crate::domain::Notional)> {
    let instrument = view.instrument(ix)?;
    let model = &view.cx.spec.venue_model;
    let (ask, worst) = view.ask_and_worst(ix)?;
    let stop_distance = instrument.indicator_price(figures.atr * params.stop_atr)?;
    let trail = instrument.indicator_price(figures.atr * params.trail_atr)?;
    let stop = close - stop_distance;
    let stake = Stake { risk_per_trade: params.risk_per_trade, max_position: params.max_position };
    let prices = (instrument.round_taken(Side::Buy, ask), worst);
    let (qty, term, notional): (Qty, SizeTerm, _) =
        size(stake, &view.funds(ix), instrument, prices, stop, model.taker_fee);
    let Figures { fast, slow, adx, atr } = figures;
    let intent = Intent {
        tag: ENTRY,
        instrument: ix,
        side: Side::Buy,
        kind: OrderKind::Market { bound: Some(worst) },
        qty,
        purpose: Purpose::Entry,
        origin: Origin::Strategy,
        protect: Some(Protect { stop: stop.is_positive().then_some(stop), target: None, trail: Some(trail) }),
        reason: Reason::CrossUp { fast, slow, adx, atr, size: term },
    };
    Some((intent, notional))
}

impl Strategy for TrendFollowing {
    fn on_candle(&mut self, view: &View<'_>, closed: &ClosedCandle, out: &mut Outbox) {
        let ix = closed.instrument;
        let Some(line) = self.lines.get_mut(ix.at()) else { return };
        let candle = &closed.candle;
        let (high, low, close) = (candle.high.to_f64(), candle.low.to_f64(), candle.close.to_f64());
        let (fast, slow) = (line.fast.update(close), line.slow.update(close));
        let (adx, atr) = (line.adx.update(high, low, close), line.atr.update(high, low, close));
        let (Some(fast), Some(slow), Some(adx), Some(atr)) = (fast, slow, adx, atr) else { return };
        let above = fast > slow;
        let crossed = line.above.is_some_and(|before| before != above);
        line.above = Some(above);
        let figures = Figures { fast, slow, adx: adx.adx, atr };
        // From the cross down until the next cross up the position is unwanted: an exit that was refused is asked for
        // again, and an entry that fills only now is sold.
        line.unwanted = !above && (crossed || line.unwanted);
        if line.unwanted {
            self.leave(view, ix, figures, out);
        } else if crossed {
            self.enter(view, ix, candle.close, figures, out);
        }
    }

    fn on_fill(&mut self, _view: &View<'_>, _fill: &Fill, _out: &mut Outbox) {}

    fn on_ended(&mut self, _view: &View<'_>, ended: &OrderEnded, _out: &mut Outbox) {
        if ended.terms.origin == Origin::Strategy {
            self.settle(ended.terms.instrument);
        }
    }

    fn on_veto(&mut self, _view: &View<'_>, veto: &Veto, _out: &mut Outbox) {
        self.settle(veto.instrument);
    }

    fn on_guarded(&mut self, _view: &View<'_>, _ix: InstrumentIx, _why: ExitReason, _out: &mut Outbox) {}

    fn on_control(&mut self, _view: &View<'_>, _control: Control, _out: &mut Outbox) {}
}
