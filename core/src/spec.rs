//! What an instance is, in typed values: the part of its configuration that the core needs.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, Instrument, Notional, Qty, Timeframe, Timestamp};
use crate::params::Reader;
use crate::strategy::StrategyParams;

/// Where the orders of an instance go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Simulated fills on the paper venue.
    Paper,
}

/// What happens to resting orders when an instance stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStop {
    /// All orders stay at the venue.
    Keep,
    /// Entries are cancelled, exits stay.
    CancelEntries,
    /// Every order is cancelled.
    CancelAll,
    /// Every order is cancelled and the position is sold at market.
    Flatten,
}

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capital {
    /// Quote units at the start.
    pub quote: Notional,
    /// Base units at the start (single-instrument instances only).
    pub base: Qty,
}

/// Order of the two extremes inside a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intrabar {
    /// Open, high, low, close.
    Ohlc,
    /// Open, low, high, close.
    Olhc,
    /// The stop side of the position first: low first while long, high first while flat.
    Pessimistic,
}

/// When a resting limit fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueModel {
    /// When the price trades through it by a tick.
    Through,
    /// When the price touches it.
    Touch,
}

/// How the paper venue behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueModel {
    /// Fee of a resting fill, fraction of the notional.
    pub maker_fee: Decimal,
    /// Fee of a taking fill, fraction of the notional.
    pub taker_fee: Decimal,
    /// Time from sending to arrival, ms.
    pub latency_ms: i64,
    /// Full width of bid and ask around each point, fraction of the price (the key `spread_pct` is in percent).
    pub spread: Decimal,
    /// Order of the extremes.
    pub intrabar: Intrabar,
    /// When a resting limit fills.
    pub queue: QueueModel,
}

/// How a venue keeps client order ids apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdClass {
    /// U: an id is unique for ever.
    Unique,
    /// O: an id is unique among open orders.
    Open,
    /// N: the venue knows no client order ids.
    None,
}

/// What a venue promises, as far as doubt depends on it. Times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueTraits {
    /// True when every request is answered and every report comes once and in order: the paper venue without faults.
    /// Nothing is ever in doubt there, and an order is settled when it ends.
    pub is_certain: bool,
    /// How it keeps ids apart.
    pub ids: IdClass,
    /// It finds an order by its client order id.
    pub finds_by_client_id: bool,
    /// It finds an order for so long after it was sent, also when it ended at once.
    pub finds_ended_ms: i64,
    /// An order can be withdrawn by its client order id before the venue has acknowledged it.
    pub cancel_by_client_id: bool,
    /// An answer takes no longer, or it is lost.
    pub answer_ms: i64,
    /// An approved order that has not left after so long does not leave any more.
    pub send_ms: i64,
    /// A request is valid for so long after it was signed.
    pub window_ms: i64,
    /// A valid request is worked on for no longer than this.
    pub engine_ms: i64,
    /// Added to the two before absence is believed; and the least time between the two looks that prove it.
    pub margin_ms: i64,
    /// A cancel without an end is sent again after this.
    pub cancel_ms: i64,
    /// An ended order is settled after so long without news.
    pub settle_ms: i64,
    /// How far back executions are read at a start, at least.
    pub look_back_ms: i64,
}

impl VenueTraits {
    /// The paper venue: certain.
    pub const PAPER: Self = Self { is_certain: true, settle_ms: 0, look_back_ms: 0, ..Self::OUTSIDE };

    /// A venue beyond a network, with the general figures of `orders-and-risk` 2.4 and 2.5.
    pub const OUTSIDE: Self = Self {
        is_certain: false,
        ids: IdClass::Unique,
        finds_by_client_id: true,
        finds_ended_ms: 259_200_000,
        cancel_by_client_id: true,
        answer_ms: 2_000,
        send_ms: 1_000,
        window_ms: 2_000,
        engine_ms: 10_000,
        margin_ms: 5_000,
        cancel_ms: 2_000,
        settle_ms: 600_000,
        look_back_ms: 86_400_000,
    };

    /// The last moment, by the venue's clock, at which an order of `sent` may still be born there.
    #[must_use]
    pub fn born_by(&self, sent: Timestamp) -> Timestamp {
        sent + self.send_ms + self.window_ms + self.engine_ms
    }
}

/// When a position or an order has had its time, besides what each entry says. Nothing is set by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRules {
    /// A position is closed after so long, ms.
    pub max_holding_ms: Option<i64>,
    /// Once the price has gained this fraction over the entry, the stop is not under break-even, fees included.
    pub break_even: Option<Decimal>,
    /// An entry that rests unfilled for so long is withdrawn, ms (the maker time-out).
    pub maker_timeout_ms: Option<i64>,
}

/// How often the paper venue fails to answer; all zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueFaults {
    /// Share of requests that get lost on their way, fraction.
    pub lost_requests: Decimal,
    /// Share of answers that get lost on their way back, fraction.
    pub lost_answers: Decimal,
    /// Seed of the two.
    pub seed: u64,
}

impl VenueFaults {
    /// True when anything can get lost.
    #[must_use]
    pub fn any(&self) -> bool {
        self.lost_requests > Decimal::ZERO || self.lost_answers > Decimal::ZERO
    }
}

/// Limits of one instance. Shares are fractions of its capital.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskLimits {
    /// Largest gross exposure, share of capital (C22).
    pub max_total_exposure: Decimal,
    /// Largest exposure in one symbol, share of capital (C21).
    pub max_capital_per_symbol: Decimal,
    /// Least notional of an entry, quote units (C13).
    pub min_order_value: Notional,
    /// Largest quantity of an order, base units (C12).
    pub max_order_qty: Option<Qty>,
    /// Distance of a limit price from the last price, fraction (C10; key `price_collar_pct` in percent).
    pub price_collar: Decimal,
    /// Widest spread at which an order may leave, fraction (C15; key `max_spread_pct` in percent).
    pub max_spread: Decimal,
    /// Same order again within this time is a duplicate, ms (C18).
    pub duplicate_window_ms: i64,
    /// Oldest quote an order may be decided on, ms (C19).
    pub max_quote_age_ms: i64,
    /// Approved orders are recorded, not sent (C03).
    pub dry_run: bool,
}

/// An instance, ready to be built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Its name.
    pub id: InstanceId,
    /// What it trades; all with the same quote asset.
    pub instruments: Vec<Instrument>,
    /// Candles its strategy sees.
    pub timeframe: Timeframe,
    /// What it may use.
    pub capital: Capital,
    /// Where its orders go.
    pub mode: Mode,
    /// How the paper venue behaves.
    pub venue_model: VenueModel,
    /// What it does.
    pub strategy: StrategyParams,
    /// What it may not do.
    pub risk: RiskLimits,
    /// Age at which a resting order is cancelled, ms (C55).
    pub order_timeout_ms: i64,
    /// What happens to resting orders at a stop.
    pub on_stop: OnStop,
    /// What its venue promises.
    pub venue: VenueTraits,
    /// When positions and orders have had their time.
    pub exits: ExitRules,
    /// How the paper venue fails.
    pub faults: VenueFaults,
}

impl InstanceSpec {
    /// What a stop does with orders and position: as the strategy says, else as the instance says.
    #[must_use]
    pub fn at_stop(&self) -> OnStop {
        self.strategy.close_out().unwrap_or(self.on_stop)
    }
}

fn dec(mantissa: i64, scale: u32) -> Decimal {
    Decimal::new(mantissa, scale)
}

const PERCENT: Decimal = Decimal::ONE_HUNDRED;

impl VenueModel {
    /// Reads `[venue_model]`, without tick, lot and minimum, which belong to the instrument.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let fee = Decimal::ZERO..=dec(1, 1);
        Self {
            maker_fee: reader.decimal("maker_fee", fee.clone(), "fraction; 0.001 = 0.1 %").unwrap_or(dec(1, 3)),
            taker_fee: reader.decimal("taker_fee", fee, "fraction; 0.001 = 0.1 %").unwrap_or(dec(1, 3)),
            latency_ms: reader.whole("latency_ms", 0..=60_000, "ms").unwrap_or(50).cast_signed(),
            spread: reader.decimal("spread_pct", Decimal::ZERO..=Decimal::TEN, "percent").unwrap_or(dec(2, 2))
                / PERCENT,
            intrabar: reader
                .choice(
                    "intrabar",
                    &[("ohlc", Intrabar::Ohlc), ("olhc", Intrabar::Olhc), ("pessimistic", Intrabar::Pessimistic)],
                )
                .unwrap_or(Intrabar::Ohlc),
            queue: reader
                .choice("queue", &[("through", QueueModel::Through), ("touch", QueueModel::Touch)])
                .unwrap_or(QueueModel::Through),
        }
    }
}

impl ExitRules {
    /// Once an exit is set off, resting orders have so long to go before it is sold without them, ms (C31).
    pub const LEAVE_MS: i64 = 5_000;

    /// True when a position has rules besides what its entries say.
    #[must_use]
    pub const fn guards(&self) -> bool {
        self.max_holding_ms.is_some() || self.break_even.is_some()
    }

    /// Reads `[exits]`; minutes, percent and seconds become ms and a fraction.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let millis = |count: u64, unit: i64| count.cast_signed() * unit;
        Self {
            max_holding_ms: reader.whole("max_holding_min", 1..=525_600, "minutes").map(|n| millis(n, 60_000)),
            break_even: reader
                .decimal("break_even_pct", dec(1, 2)..=PERCENT, "percent over the entry")
                .map(|gain| gain / PERCENT),
            maker_timeout_ms: reader.whole("maker_timeout_s", 1..=604_800, "seconds").map(|n| millis(n, 1_000)),
        }
    }
}

impl RiskLimits {
    /// Reads `[risk]` of an instance. `quote_age_ms` is the default age limit for the feed at hand.
    pub fn read(reader: &mut Reader<'_>, quote_age_ms: i64) -> Self {
        let share = dec(1, 4)..=Decimal::ONE;
        let amount = Decimal::ZERO..=crate::domain::DECIMAL_MAX;
        Self {
            max_total_exposure: reader
                .decimal("max_total_exposure", share.clone(), "share of capital")
                .unwrap_or(dec(80, 2)),
            max_capital_per_symbol: reader
                .decimal("max_capital_per_symbol", share, "share of capital")
                .unwrap_or(dec(20, 2)),
            min_order_value: Notional::new(
                reader.decimal("min_order_value", amount.clone(), "quote units").unwrap_or(PERCENT),
            ),
            max_order_qty: reader.decimal("max_order_qty", amount, "base units").map(Qty::new),
            price_collar: reader.decimal("price_collar_pct", dec(1, 2)..=dec(50, 0), "percent").unwrap_or(dec(5, 0))
                / PERCENT,
            max_spread: reader.decimal("max_spread_pct", dec(1, 3)..=dec(50, 0), "percent").unwrap_or(dec(50, 2))
                / PERCENT,
            duplicate_window_ms: reader
                .whole("duplicate_window_ms", 0..=3_600_000, "ms")
                .map_or(2_000, u64::cast_signed),
            max_quote_age_ms: reader
                .whole("max_quote_age_ms", 1..=2_592_000_000, "ms")
                .map_or(quote_age_ms, u64::cast_signed),
            dry_run: reader.flag("dry_run").unwrap_or(false),
        }
    }
}
