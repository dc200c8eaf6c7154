//! The rules of the gate, one small function each, and the table of where each applies.
//!
//! Promises: a rule reads and answers; it changes nothing. A missing input is a breach, never a pass. Exits are exempt
//! from size and exposure rules, never from price, duplicate and data rules.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::gate::RiskGate;
use crate::domain::{
    Instrument, InstrumentIx, OrderKind, OrderNo, Price, Purpose, Qty, Quote, Quotes, Side, Tag, Timestamp,
};
use crate::orders::{Intent, Origin};
use crate::spec::{IdClass, InstanceSpec};
use crate::strategy::StrategyKind;

/// Stable code of a veto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VetoCode {
    /// C01: the kill switch is on.
    KillSwitch,
    /// The instance is paused or stopping.
    Paused,
    /// C19: the quote is missing or too old.
    StaleData,
    /// C12: zero, negative or too large.
    Quantity,
    /// C12: off the lot grid.
    LotSize,
    /// C10: zero, negative or off the tick grid.
    TickSize,
    /// C10: too far from the last price.
    PriceCollar,
    /// C15: the spread is too wide.
    MaxSpread,
    /// C18: the same order a moment ago.
    Duplicate,
    /// C13: the notional is too small.
    MinOrderValue,
    /// C21: the symbol's share of capital.
    SymbolCap,
    /// C22: the total share of capital.
    TotalExposure,
    /// C27: not enough of the asset is free.
    FreeBalance,
    /// C03: everything passed; the order is recorded and not sent.
    DryRun,
    /// C06: the venue has not been asked about everything since the start.
    Unreconciled,
    /// C61: an order has been in doubt for too long, or too many are.
    InDoubt,
    /// The facts about an order contradict each other.
    Disputed,
}

impl VetoCode {
    /// The code as logs, API and tables write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill_switch",
            Self::Paused => "paused",
            Self::StaleData => "stale_data",
            Self::Quantity => "quantity",
            Self::LotSize => "lot_size",
            Self::TickSize => "tick_size",
            Self::PriceCollar => "price_collar",
            Self::MaxSpread => "max_spread",
            Self::Duplicate => "duplicate",
            Self::MinOrderValue => "min_order_value",
            Self::SymbolCap => "max_capital_per_symbol",
            Self::TotalExposure => "max_total_exposure",
            Self::FreeBalance => "free_balance",
            Self::DryRun => "dry_run",
            Self::Unreconciled => "unreconciled",
            Self::InDoubt => "in_doubt",
            Self::Disputed => "disputed",
        }
    }

    /// Its bit among those that refused; the same for ever, since it is stored.
    #[must_use]
    pub const fn bit(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for VetoCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// An intent was refused: an answer, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veto {
    /// The number the order would have had.
    pub order: OrderNo,
    /// The author's name for it.
    pub tag: Tag,
    /// What.
    pub instrument: InstrumentIx,
    /// Which way.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// How much, base units.
    pub qty: Qty,
    /// Entry or exit.
    pub purpose: Purpose,
    /// Who asked.
    pub origin: Origin,
    /// The first rule that refused.
    pub code: VetoCode,
    /// The figure that the rule saw.
    pub value: Decimal,
    /// The figure that it allows.
    pub limit: Decimal,
    /// Every rule that refused, as bits; see [`VetoCode::bit`].
    pub failed: u32,
}

impl Veto {
    pub(super) const fn new(order: OrderNo, intent: &Intent, code: VetoCode, breach: Breach) -> Self {
        let Intent { tag, instrument, side, kind, qty, purpose, origin, .. } = *intent;
        let Breach { value, limit } = breach;
        Self { order, tag, instrument, side, kind, qty, purpose, origin, code, value, limit, failed: 0 }
    }

    /// The codes of every rule that refused.
    pub fn failed_codes(&self) -> impl Iterator<Item = VetoCode> + '_ {
        RULES.iter().map(|rule| rule.code).filter(|code| self.failed & (1 << code.bit()) != 0)
    }
}

/// What a rule saw and what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Seen.
    pub value: Decimal,
    /// Allowed.
    pub limit: Decimal,
}

/// Everything a rule may look at.
pub struct Review<'a> {
    pub(super) at: Timestamp,
    pub(super) quotes: &'a Quotes,
    pub(super) spec: &'a InstanceSpec,
    pub(super) intent: &'a Intent,
    pub(super) gate: &'a RiskGate,
}

impl Review<'_> {
    fn instrument(&self) -> Option<&Instrument> {
        self.spec.instruments.get(self.intent.instrument.at())
    }

    fn quote(&self) -> Option<Quote> {
        self.quotes.get(self.intent.instrument)
    }

    fn is_entry(&self) -> bool {
        self.intent.purpose == Purpose::Entry || self.intent.side == Side::Buy
    }
}

/// One rule.
pub struct Rule {
    /// Its stable code.
    pub code: VetoCode,
    /// Its key in the configuration, or a name.
    pub key: &'static str,
    /// `Some` when it refuses.
    pub check: fn(&Review<'_>) -> Option<Breach>,
}

/// All rules, in the order in which they are asked. `dry_run` is last: it only speaks when nothing else refused.
pub const RULES: [Rule; 17] = [
    Rule { code: VetoCode::KillSwitch, key: "kill switch", check: kill },
    Rule { code: VetoCode::Paused, key: "paused", check: paused },
    Rule { code: VetoCode::Unreconciled, key: "reconciled", check: unreconciled },
    Rule { code: VetoCode::InDoubt, key: "orders in doubt", check: in_doubt },
    Rule { code: VetoCode::Disputed, key: "disputed orders", check: disputed },
    Rule { code: VetoCode::StaleData, key: "max_quote_age_ms", check: stale },
    Rule { code: VetoCode::Quantity, key: "max_order_qty", check: quantity },
    Rule { code: VetoCode::LotSize, key: "lot_size", check: lot },
    Rule { code: VetoCode::TickSize, key: "tick_size", check: tick },
    Rule { code: VetoCode::PriceCollar, key: "price_collar_pct", check: collar },
    Rule { code: VetoCode::MaxSpread, key: "max_spread_pct", check: spread },
    Rule { code: VetoCode::Duplicate, key: "duplicate_window_ms", check: duplicate },
    Rule { code: VetoCode::MinOrderValue, key: "min_order_value", check: minimum },
    Rule { code: VetoCode::SymbolCap, key: "max_capital_per_symbol", check: symbol_cap },
    Rule { code: VetoCode::TotalExposure, key: "max_total_exposure", check: total_cap },
    Rule { code: VetoCode::FreeBalance, key: "free balance", check: free_balance },
    Rule { code: VetoCode::DryRun, key: "dry_run", check: dry_run },
];

const NOTHING: Breach = Breach { value: Decimal::ZERO, limit: Decimal::ZERO };

fn over(value: Decimal, limit: Decimal) -> Option<Breach> {
    (value > limit).then_some(Breach { value, limit })
}

fn under(value: Decimal, limit: Decimal) -> Option<Breach> {
    (value < limit).then_some(Breach { value, limit })
}

/// While killed, exits pass: a position must be closable.
fn kill(review: &Review<'_>) -> Option<Breach> {
    (review.gate.latches().killed && review.is_entry()).then_some(NOTHING)
}

fn paused(review: &Review<'_>) -> Option<Breach> {
    let latches = review.gate.latches();
    ((latches.paused || latches.stopping) && review.is_entry()).then_some(NOTHING)
}

fn unreconciled(review: &Review<'_>) -> Option<Breach> {
    (review.gate.standing().unreconciled && review.is_entry()).then_some(NOTHING)
}

fn in_doubt(review: &Review<'_>) -> Option<Breach> {
    (review.gate.standing().doubtful && review.is_entry()).then_some(NOTHING)
}

fn disputed(review: &Review<'_>) -> Option<Breach> {
    (review.gate.standing().disputed && review.is_entry()).then_some(NOTHING)
}

fn stale(review: &Review<'_>) -> Option<Breach> {
    let limit = Decimal::from(review.spec.risk.max_quote_age_ms);
    match review.quote() {
        None => Some(Breach { value: Decimal::NEGATIVE_ONE, limit }),
        Some(quote) => over(Decimal::from(review.at.since(quote.at)), limit),
    }
}

fn quantity(review: &Review<'_>) -> Option<Breach> {
    let qty = review.intent.qty.get();
    // An exit may be as large as the position: a cap on it would keep a stop from working.
    let own = review.spec.risk.max_order_qty.filter(|_| review.is_entry());
    let max = own.map_or(crate::domain::DECIMAL_MAX, Qty::get);
    if review.intent.qty.is_positive() { over(qty, max) } else { Some(Breach { value: qty, limit: Decimal::ZERO }) }
}

fn lot(review: &Review<'_>) -> Option<Breach> {
    let Some(instrument) = review.instrument() else { return Some(NOTHING) };
    (!instrument.on_lot(review.intent.qty)).then(|| Breach { value: review.intent.qty.get(), limit: instrument.lot })
}

fn tick(review: &Review<'_>) -> Option<Breach> {
    let Some(instrument) = review.instrument() else { return Some(NOTHING) };
    let price = match review.intent.kind {
        OrderKind::Limit(price) => price,
        OrderKind::Market { bound } => bound?,
    };
    (!price.is_positive() || !instrument.on_tick(price)).then(|| Breach { value: price.get(), limit: instrument.tick })
}

/// A grid's resting orders may lie far away on their own side; only the aggressive direction is bounded for it. An
/// entry without a worst price is refused: nothing would bound what it costs.
fn collar(review: &Review<'_>) -> Option<Breach> {
    let price = match review.intent.kind {
        OrderKind::Limit(price) | OrderKind::Market { bound: Some(price) } => price,
        OrderKind::Market { bound: None } => return review.is_entry().then_some(NOTHING),
    };
    let last = review.quote()?.last;
    let (low, high) = (last - last * review.spec.risk.price_collar, last + last * review.spec.risk.price_collar);
    let both = review.spec.strategy.kind() == StrategyKind::Signal;
    let too_high = (both || review.intent.side == Side::Buy) && price > high;
    let too_low = (both || review.intent.side == Side::Sell) && price < low;
    if too_high {
        Some(Breach { value: price.get(), limit: high.get() })
    } else if too_low {
        Some(Breach { value: price.get(), limit: low.get() })
    } else {
        None
    }
}

fn spread(review: &Review<'_>) -> Option<Breach> {
    over(review.spec.venue_model.spread, review.spec.risk.max_spread)
}

/// Same instrument, side, quantity, price and author within the window; for a grid the same line, too.
fn duplicate(review: &Review<'_>) -> Option<Breach> {
    let intent = review.intent;
    let by_line = review.spec.strategy.kind() == StrategyKind::Grid;
    let twin = review.gate.recent().iter().find(|recent| {
        let terms = &recent.terms;
        terms.instrument == intent.instrument
            && terms.side == intent.side
            && terms.qty == intent.qty
            && terms.kind == intent.kind
            && (!by_line || terms.tag == intent.tag)
    });
    let limit = Decimal::from(review.spec.risk.duplicate_window_ms);
    let Some(twin) = twin else {
        let confused = review.spec.venue.ids == IdClass::None && outstanding(review);
        return confused.then_some(Breach { value: Decimal::ZERO, limit });
    };
    Some(Breach { value: Decimal::from(review.at.since(twin.at)), limit })
}

/// At a venue without client order ids two orders alike could not be told apart: the second one waits for the end of
/// the first, however long that takes.
fn outstanding(review: &Review<'_>) -> bool {
    let intent = review.intent;
    let price = review.gate.price_of(intent, review.quotes);
    review.gate.exposure().holds().values().any(|hold| {
        hold.instrument == intent.instrument
            && hold.side == intent.side
            && hold.qty + hold.seen == intent.qty
            && hold.price == price
    })
}

/// Entries need the configured minimum and the venue's; exits the venue's only.
fn minimum(review: &Review<'_>) -> Option<Breach> {
    let Some(instrument) = review.instrument() else { return Some(NOTHING) };
    let venue = instrument.notional_min;
    let least = if review.is_entry() { venue.max(review.spec.risk.min_order_value) } else { venue };
    let market = review.quote().map_or(Price::ZERO, |quote| quote.last);
    let price = match review.intent.kind {
        OrderKind::Limit(price) => price,
        OrderKind::Market { .. } => market,
    };
    under((price * review.intent.qty).get(), least.get())
}

fn symbol_cap(review: &Review<'_>) -> Option<Breach> {
    if !review.is_entry() {
        return None;
    }
    let (Some(capital), Some(quote)) = (review.gate.capital(), review.quote()) else { return Some(NOTHING) };
    let mark = quote.last;
    let after =
        review.gate.exposure().symbol(review.intent.instrument, mark) + review.gate.adds(review.intent, review.quotes);
    over(after.get(), (capital * review.spec.risk.max_capital_per_symbol).get())
}

fn total_cap(review: &Review<'_>) -> Option<Breach> {
    if !review.is_entry() {
        return None;
    }
    let Some(capital) = review.gate.capital() else { return Some(NOTHING) };
    let after = review.gate.exposure().total(review.quotes) + review.gate.adds(review.intent, review.quotes);
    over(after.get(), (capital * review.spec.risk.max_total_exposure).get())
}

/// Never more than is free, fees included; on a spot venue a sale needs the base.
fn free_balance(review: &Review<'_>) -> Option<Breach> {
    let exposure = review.gate.exposure();
    match review.intent.side {
        Side::Buy => {
            let need = exposure.with_fee(review.gate.adds(review.intent, review.quotes));
            over(need.get(), exposure.free_quote().get())
        }
        Side::Sell => over(review.intent.qty.get(), exposure.free_base(review.intent.instrument).get()),
    }
}

fn dry_run(review: &Review<'_>) -> Option<Breach> {
    review.spec.risk.dry_run.then_some(NOTHING)
}
