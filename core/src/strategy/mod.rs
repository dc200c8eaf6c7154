//! The trait of a strategy, what it may see, and the registry: one file and one line each.

mod grid;
mod stage;
mod trend_following;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{ClosedCandle, Fill, Instrument, InstrumentIx, Notional, Price, Quote, Side, Timeframe};
use crate::instance::{Control, Cx, OrderEnded, Outbox};
use crate::orders::{ExitReason, Protect};
use crate::params::{Problem, Reader};
use crate::risk::{Funds, Latches, Veto};
use crate::spec::{InstanceSpec, OnStop};

pub use grid::{Grid, GridParams};
pub use stage::StrategyStage;
pub use trend_following::{TrendFollowing, TrendParams};

/// Which column of the rule table an instance belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrategyKind {
    /// Signals with stops.
    Signal,
    /// A ladder of resting orders.
    Grid,
}

/// What counts as a round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripKind {
    /// From flat to flat; the position tells.
    FlatToFlat,
    /// One completed cell; the strategy tells.
    Pairs,
}

/// What a strategy may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The moment, the quotes and the spec.
    pub cx: &'a Cx<'a>,
    funds: &'a [Funds],
}

impl<'a> View<'a> {
    /// A view with the room the gate last reported.
    #[must_use]
    pub const fn new(cx: &'a Cx<'a>, funds: &'a [Funds]) -> Self {
        Self { cx, funds }
    }

    /// Room and position of one instrument: as the gate last reported it, at the prices of this moment.
    #[must_use]
    pub fn funds(&self, ix: InstrumentIx) -> Funds {
        let mut funds = self.funds.get(ix.at()).copied().unwrap_or_default();
        let risk = &self.cx.spec.risk;
        for (other, told) in (0..).map(InstrumentIx).zip(self.funds) {
            let Some(quote) = self.quote(other).filter(|quote| quote.last != told.mark) else { continue };
            let growth = (quote.last - told.mark) * told.position;
            funds.total_left -= growth;
            if other == ix {
                funds.symbol_left -= growth;
            }
            if told.mark.is_zero() {
                // Base from the start had no price yet: it is part of the capital.
                funds.capital += growth;
                funds.total_left += growth * risk.max_total_exposure;
                funds.symbol_left += growth * risk.max_capital_per_symbol;
            }
        }
        funds
    }

    /// True when no order holds room of this instrument: nothing may fill any more, the position is what it is.
    #[must_use]
    pub fn is_clear(&self, ix: InstrumentIx) -> bool {
        let (Some(told), Some(instrument)) = (self.funds.get(ix.at()), self.instrument(ix)) else { return true };
        let cap = told.capital * self.cx.spec.risk.max_capital_per_symbol;
        let buys = cap - told.mark * told.position - told.symbol_left;
        // No purchase is smaller than one lot at one tick; what is left under it are the last digits of the amounts.
        told.free_base == told.position && buys.get() < instrument.tick * instrument.lot
    }

    /// The pair.
    #[must_use]
    pub fn instrument(&self, ix: InstrumentIx) -> Option<&'a Instrument> {
        self.cx.spec.instruments.get(ix.at())
    }

    /// The ask, and the worst price of a purchase at market: half a collar over it, on the tick grid.
    #[must_use]
    pub fn ask_and_worst(&self, ix: InstrumentIx) -> Option<(Decimal, Price)> {
        let spec = self.cx.spec;
        let (_, ask) = self.quote(ix)?.sides(spec.venue_model.spread);
        let worst = self.instrument(ix)?.round_price(Side::Buy, ask + ask * spec.risk.price_collar / Decimal::TWO);
        Some((ask, worst))
    }

    /// Last quote.
    #[must_use]
    pub fn quote(&self, ix: InstrumentIx) -> Option<Quote> {
        self.cx.quotes.get(ix)
    }
}

/// A trading strategy: reacts to closed candles and to its own orders by pushing intents, cancels and notes.
///
/// It never sees a forming candle, never talks to a venue and never keeps money in floats.
pub trait Strategy {
    /// A closed candle of one of its timeframes.
    fn on_candle(&mut self, view: &View<'_>, closed: &ClosedCandle, out: &mut Outbox);
    /// An own fill.
    fn on_fill(&mut self, view: &View<'_>, fill: &Fill, out: &mut Outbox);
    /// An own order is over.
    fn on_ended(&mut self, view: &View<'_>, ended: &OrderEnded, out: &mut Outbox);
    /// The gate refused an own intent.
    fn on_veto(&mut self, view: &View<'_>, veto: &Veto, out: &mut Outbox);
    /// The position monitor closes the position of an instrument.
    fn on_guarded(&mut self, view: &View<'_>, ix: InstrumentIx, why: ExitReason, out: &mut Outbox);
    /// From the operator; of [`Control::Revise`] only when it goes on with the new settings.
    fn on_control(&mut self, view: &View<'_>, control: Control, out: &mut Outbox);
    /// It is new, or was off for a while, and has missed commands: what the gate's latches are now.
    fn on_latches(&mut self, _latches: Latches) {}
}

/// The settings of a strategy.
pub trait Params: Sized {
    /// Reads `[strategy]`.
    fn read(reader: &mut Reader<'_>) -> Self;
    /// Checks what needs the rest of the spec; keys without the `strategy.` prefix.
    fn check(&self, spec: &InstanceSpec) -> Vec<Problem>;
    /// The column of the rule table.
    fn kind(&self) -> StrategyKind;
    /// What counts as a round trip.
    fn trips(&self) -> TripKind;
    /// Candle lengths it wants, the instance's own first.
    fn timeframes(&self, own: Timeframe) -> Vec<Timeframe>;
    /// What a stop does with orders and position, when the strategy's settings say so.
    fn close_out(&self) -> Option<OnStop> {
        None
    }
    /// What guards any position, an empty one for nothing; `None`: not the settings but each entry says what.
    fn protect(&self) -> Option<Protect> {
        None
    }
}

/// What a strategy decided that is no order. Floats are indicator values, never money.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A cross that was not traded: the trend is too weak.
    WeakTrend {
        /// ADX at the cross.
        adx: f64,
        /// What it takes.
        adx_min: f64,
    },
    /// A cross that was not traded: the size came out under one lot.
    TooSmall {
        /// Notional that the size formula gave.
        notional: Notional,
    },
    /// A cross that was not traded: an order or position is already there.
    Occupied,
    /// The grid waits for its start price.
    WaitsForStart {
        /// The trigger.
        trigger: Price,
    },
    /// The grid cannot be laid out here, so nothing is traded.
    Unplannable {
        /// Net return of the smallest cell, as a fraction; `None` when two lines share a tick.
        cell_net: Option<Decimal>,
    },
    /// The ATR breaker tripped: entries off.
    BreakerTripped {
        /// ATR now.
        atr: f64,
        /// ATR one candle before.
        before: f64,
    },
    /// The ATR breaker cleared: entries on.
    BreakerCleared {
        /// ATR now.
        atr: f64,
    },
    /// The trend filter changed.
    Regime {
        /// The new one.
        regime: Regime,
    },
    /// The range stop was reached: the grid is over.
    GridOver {
        /// Why.
        why: ExitReason,
    },
}

/// What the trend filter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// New sells go one line higher.
    Up,
    /// Both ways.
    #[default]
    Flat,
    /// No new buys.
    Down,
}

/// The lines of a grid as laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridPlan {
    /// Of which instrument.
    pub instrument: InstrumentIx,
    /// Price when it was laid out.
    pub price: Price,
    /// The lines, from the bottom.
    pub lines: Vec<Price>,
    /// Net return of the smallest cell, fraction.
    pub cell_net: Decimal,
}

macro_rules! registry {
    ($($word:literal => $variant:ident($params:ty)),+ $(,)?) => {
        /// Settings of any registered strategy.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum StrategyParams {
            $(#[doc = concat!("Settings of `", $word, "`.")] $variant($params),)+
        }

        /// State of any registered strategy.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AnyStrategy {
            $(#[doc = concat!("State of `", $word, "`.")] $variant($variant),)+
        }

        /// The words of `strategy.kind`.
        pub const STRATEGIES: &[&str] = &[$($word),+];

        impl StrategyParams {
            /// Reads `[strategy]` by its `kind`. `None` when the kind is missing or unknown; the problem is noted.
            pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
                let words: Vec<(&str, &str)> = STRATEGIES.iter().map(|word| (*word, *word)).collect();
                reader.missing("kind", &STRATEGIES.join(" or "));
                match reader.choice("kind", &words)? {
                    $($word => Some(Self::$variant(<$params as Params>::read(reader))),)+
                    _ => None,
                }
            }

            /// The word of `strategy.kind`.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$variant(_) => $word,)+ }
            }

            /// A strategy with nothing done yet.
            #[must_use]
            pub fn build(&self, spec: &InstanceSpec) -> AnyStrategy {
                match self { $(Self::$variant(params) => AnyStrategy::$variant($variant::new(params, spec)),)+ }
            }

            /// What needs the rest of the spec to be checked; keys relative to `strategy.`.
            #[must_use]
            pub fn check(&self, spec: &InstanceSpec) -> Vec<Problem> {
                match self { $(Self::$variant(params) => params.check(spec),)+ }
            }

            /// The column of the rule table.
            #[must_use]
            pub fn kind(&self) -> StrategyKind {
                match self { $(Self::$variant(params) => params.kind(),)+ }
            }

            /// What counts as a round trip.
            #[must_use]
            pub fn trips(&self) -> TripKind {
                match self { $(Self::$variant(params) => params.trips(),)+ }
            }

            /// What a stop does, when the strategy's settings say so.
            #[must_use]
            pub fn close_out(&self) -> Option<OnStop> {
                match self { $(Self::$variant(params) => params.close_out(),)+ }
            }

            /// What guards any position, when the settings alone say so; see [`Params::protect`].
            #[must_use]
            pub fn protect(&self) -> Option<Protect> {
                match self { $(Self::$variant(params) => Params::protect(params),)+ }
            }

            /// Candle lengths the strategy wants.
            #[must_use]
            pub fn timeframes(&self, own: Timeframe) -> Vec<Timeframe> {
                match self { $(Self::$variant(params) => params.timeframes(own),)+ }
            }
        }

        impl AnyStrategy {
            /// Takes other settings. True: it goes on with them; false: it begins anew, so its orders must go.
            pub fn revise(&mut self, spec: &InstanceSpec, anew: bool) -> bool {
                match (&mut *self, &spec.strategy) {
                    $((Self::$variant(state), StrategyParams::$variant(params)) => state.revise(params, spec, anew),)+
                    #[allow(unreachable_patterns)]
                    (_, other) => {
                        let built = other.build(spec);
                        *self = built;
                        false
                    }
                }
            }

            /// The strategy behind its trait.
            pub fn get(&mut self) -> &mut dyn Strategy {
                match self { $(Self::$variant(state) => state,)+ }
            }
        }
    };
}

registry! {
    "grid" => Grid(GridParams),
    "trend_following" => TrendFollowing(TrendParams),
}
