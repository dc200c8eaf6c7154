//! The streak stage: performance figures, daily profit and the run of positive days.
//!
//! Owns metrics and streak. Promises: money only from own fills and round trips; a figure that is not defined is
//! `None`.

use serde::{Deserialize, Serialize};

use crate::domain::{Fill, InstrumentIx, Notional, Price, Qty, Quote, Side, Timestamp};
use crate::instance::{Cx, Event, Outbox, StreakIn};
use crate::orders::{ExitReason, RoundTrip};
use crate::spec::InstanceSpec;

/// Decimal places of a peak that a transfer has moved.
const PEAK_PLACES: u32 = 12;

/// One complete UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayResult {
    /// Day number, 0 = 1970-01-01.
    pub day: i64,
    /// Profit of the round trips closed that day, net of fees.
    pub realised: Notional,
    /// Round trips closed that day.
    pub trips: u64,
    /// Positive days in a row, this one included.
    pub run: u32,
}

/// Figures of an instance since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Own fills.
    pub fills: u64,
    /// Fees, quote units.
    pub fees: Notional,
    /// Quote units bought and sold.
    pub turnover: Notional,
    /// Round trips.
    pub trips: u64,
    /// Round trips with a profit after fees.
    pub wins: u64,
    /// Profit of all round trips.
    pub trip_profit: Notional,
    /// Profit of completed grid cells.
    pub pair_profit: Notional,
    /// Equity at the first mark, with what came in and went out since.
    pub equity_start: Option<Notional>,
    /// Equity at the last mark.
    pub equity: Notional,
    /// Highest equity at any mark, in proportion to the account as transfers have made it.
    pub peak: Notional,
    /// Largest fall from the running peak: the peak and the trough of it.
    pub drawdown: Option<(Notional, Notional)>,
}

impl Metrics {
    /// Largest fall from the running peak, as a share of that peak, over the closes of the instance's timeframe.
    #[must_use]
    pub fn drawdown_share(&self) -> Option<rust_decimal::Decimal> {
        let (peak, trough) = self.drawdown?;
        peak.is_positive().then(|| ((peak - trough).get() / peak.get()).round_dp(8))
    }

    /// Share of round trips with a profit.
    #[must_use]
    pub fn win_rate(&self) -> Option<rust_decimal::Decimal> {
        use rust_decimal::Decimal;
        (self.trips > 0).then(|| (Decimal::from(self.wins) / Decimal::from(self.trips)).round_dp(6))
    }

    /// Quote units came in (negative: went out) while all was worth `worth`: no profit and no loss.
    ///
    /// The rule: first and last equity move by the amount, so that profit, which is their difference, stays what it is.
    /// A fall is a share of its peak, so the peak keeps its distance in proportion: an account that was 10 % under its
    /// peak still is when half of it is taken out. The largest fall so far has happened as it did: its peak and trough
    /// stay.
    fn transfer(&mut self, worth: Notional, amount: Notional) {
        let Some(start) = &mut self.equity_start else { return };
        *start += amount;
        self.equity += amount;
        let after = worth + amount;
        let fall = (self.peak - worth).get();
        let part = after.get().checked_div(worth.get()).and_then(|share| share.checked_mul(fall));
        self.peak = after + Notional::new(part.unwrap_or_default().round_dp(PEAK_PLACES));
    }

    fn mark(&mut self, equity: Notional) {
        self.equity = equity;
        if self.equity_start.is_none() {
            self.equity_start = Some(equity);
            self.peak = equity;
        }
        if equity >= self.peak {
            self.peak = equity;
            return;
        }
        // Compared crosswise, without dividing: (peak - equity) / peak > (p - t) / p.
        let deeper = self.drawdown.is_none_or(|(p, t)| {
            (self.peak - equity).get().checked_mul(p.get()) > (p - t).get().checked_mul(self.peak.get())
        });
        if deeper {
            self.drawdown = Some((self.peak, equity));
        }
    }
}

/// Owner of metrics and streak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    metrics: Metrics,
    cash: Notional,
    held: Vec<(Qty, Price)>,
    moved: bool,
    today: Option<i64>,
    realised_today: Notional,
    trips_today: u64,
    run: u32,
    days: u64,
}

impl Streak {
    /// A fresh stage.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let mut held = vec![(Qty::ZERO, Price::ZERO); spec.instruments.len()];
        if let Some(first) = held.first_mut() {
            first.0 = spec.capital.base;
        }
        Self {
            metrics: Metrics::default(),
            cash: spec.capital.quote,
            held,
            moved: true,
            today: None,
            realised_today: Notional::ZERO,
            trips_today: 0,
            run: 0,
            days: 0,
        }
    }

    /// The figures.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Positive days in a row, complete days so far, and today's realised profit.
    #[must_use]
    pub const fn run(&self) -> (u32, u64, Notional) {
        (self.run, self.days, self.realised_today)
    }

    /// Quote units by this stage's own count.
    #[must_use]
    pub const fn cash(&self) -> Notional {
        self.cash
    }

    /// One message.
    pub fn on(&mut self, cx: &Cx<'_>, message: StreakIn, out: &mut Outbox) {
        match message {
            StreakIn::Fill(fill) => self.on_fill(&fill),
            StreakIn::RoundTrip(trip) => self.on_trip(cx.at, &trip, out),
            StreakIn::Mark(ix, quote) => self.on_mark(ix, quote, out),
            StreakIn::Transfer(amount) => self.on_transfer(cx, amount),
            StreakIn::Bust(fill) => self.on_bust(&fill),
        }
    }

    /// A fill is void: it counts no more. A round trip that it closed stays told.
    fn on_bust(&mut self, fill: &Fill) {
        let notional = fill.notional();
        self.metrics.fills = self.metrics.fills.saturating_sub(1);
        self.metrics.fees -= fill.fee;
        self.metrics.turnover -= notional;
        self.cash += fill.fee;
        self.moved = true;
        let Some((held, _)) = self.held.get_mut(fill.instrument.at()) else { return };
        match fill.side {
            Side::Buy => {
                *held -= fill.qty;
                self.cash += notional;
            }
            Side::Sell => {
                *held += fill.qty;
                self.cash -= notional;
            }
        }
    }

    fn on_fill(&mut self, fill: &Fill) {
        let notional = fill.notional();
        self.metrics.fills += 1;
        self.metrics.fees += fill.fee;
        self.metrics.turnover += notional;
        self.cash -= fill.fee;
        self.moved = true;
        let Some((held, _)) = self.held.get_mut(fill.instrument.at()) else { return };
        match fill.side {
            Side::Buy => {
                *held += fill.qty;
                self.cash -= notional;
            }
            Side::Sell => {
                *held -= fill.qty;
                self.cash += notional;
            }
        }
    }

    fn on_trip(&mut self, at: Timestamp, trip: &RoundTrip, out: &mut Outbox) {
        self.roll(at.day(), out);
        let profit = trip.profit();
        self.metrics.trips += 1;
        self.metrics.wins += u64::from(profit.is_positive());
        self.metrics.trip_profit += profit;
        if trip.exit == ExitReason::Pair {
            self.metrics.pair_profit += profit;
        }
        self.realised_today += profit;
        self.trips_today += 1;
    }

    fn on_mark(&mut self, ix: InstrumentIx, quote: Quote, out: &mut Outbox) {
        self.roll(quote.at.day(), out);
        let Some(slot) = self.held.get_mut(ix.at()) else { return };
        slot.1 = quote.last;
        if slot.0.is_zero() && !self.moved {
            return;
        }
        self.moved = false;
        self.metrics.mark(self.worth(|_, marked| marked));
    }

    /// What all is worth at the newest prices tells how much larger or smaller the account becomes.
    fn on_transfer(&mut self, cx: &Cx<'_>, amount: Notional) {
        let now = self.worth(|ix, marked| cx.quotes.get(ix).map_or(marked, |quote| quote.last));
        self.cash += amount;
        self.metrics.transfer(now, amount);
    }

    /// Cash and what is held, at the prices that `price` makes of those of the last marks.
    fn worth(&self, price: impl Fn(InstrumentIx, Price) -> Price) -> Notional {
        let held = (0..).map(InstrumentIx).zip(&self.held).filter(|(_, (qty, _))| !qty.is_zero());
        held.fold(self.cash, |worth, (ix, (qty, marked))| worth + price(ix, *marked) * *qty)
    }

    fn roll(&mut self, day: i64, out: &mut Outbox) {
        let Some(today) = self.today else {
            self.today = Some(day);
            return;
        };
        if day <= today {
            return;
        }
        // A day without a closed trade is not positive, nor are the days that the feed skipped.
        self.run = if self.realised_today.is_positive() { self.run + 1 } else { 0 };
        self.days += 1;
        let (realised, trips, run) = (self.realised_today, self.trips_today, self.run);
        out.push(Event::DayClosed(DayResult { day: today, realised, trips, run }));
        if day > today + 1 {
            self.run = 0;
        }
        self.today = Some(day);
        self.realised_today = Notional::ZERO;
        self.trips_today = 0;
    }
}
