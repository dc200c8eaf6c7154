//! Settings of a grid and what is wrong with them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::plan::{self, Spacing};
use crate::domain::{Instrument, Notional, Price, Qty, Timeframe, fast_f64};
use crate::orders::{ExitReason, Protect};
use crate::params::{Problem, Reader};
use crate::spec::{InstanceSpec, OnStop};
use crate::strategy::{Params, StrategyKind, TripKind};

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
            let smallest = self.smallest_order(value, spec);
            let text = if value < least {
                format!("at least risk.min_order_value = {least}")
            } else {
                format!("rounded down to lots it is worth {smallest}; at least risk.min_order_value = {least}")
            };
            if smallest < least {
                problems.push(problem("order_value", &value.to_string(), &text));
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

    fn protect(&self) -> Option<Protect> {
        Some(Protect { stop: self.stop_loss, target: self.take_profit, trail: None })
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

    /// What the smallest purchase is worth once its quantity is rounded to lots; known for fixed lines only.
    fn smallest_order(&self, value: Notional, spec: &InstanceSpec) -> Notional {
        let (Some(Range::Fixed(lower, upper)), Some(instrument)) = (self.range, spec.instruments.first()) else {
            return value;
        };
        let lines = plan::lines(self.spacing, self.levels, lower.get(), upper.get(), instrument).unwrap_or_default();
        let buys = lines.split_last().map_or(&[][..], |(_, buys)| buys);
        let worth = |price: &Price| *price * instrument.round_qty(value.get() / price.get());
        buys.iter().map(worth).min().unwrap_or(value)
    }

    /// Which of the two ends a price has reached.
    pub(super) fn beyond(&self, price: Price) -> Option<ExitReason> {
        let stopped = self.stop_loss.filter(|stop| price <= *stop).map(|_| ExitReason::Stop);
        stopped.or(self.take_profit.filter(|target| price >= *target).map(|_| ExitReason::Target))
    }

    /// What guards the ladder's purchases, if anything.
    pub(super) fn guard(&self) -> Option<Protect> {
        self.protect().filter(|protect| protect.stop.is_some() || protect.target.is_some())
    }

    /// True when a ladder laid out by the other settings is the one that these would lay out.
    pub(super) fn lays_out_as(&self, other: &Self) -> bool {
        let layout = |params: &Self| (params.spacing, params.levels, params.range, params.size, params.balanced);
        layout(self) == layout(other)
    }

    /// True when both end the grid at the same prices.
    pub(super) fn ends_as(&self, other: &Self) -> bool {
        (self.stop_loss, self.take_profit) == (other.stop_loss, other.take_profit)
    }
}
