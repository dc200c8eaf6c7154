//! What the outside may see of the fleet: plain serialisable rows, money as strings.

mod certainty;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use crate::balances::Difference;
pub use certainty::{Certainty, Outcome};

/// Where an instance stands; one list of words for code, CLI, API and page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being built.
    Starting,
    /// Trading.
    Running,
    /// Entries off by an operator; exits go on.
    Paused,
    /// On its way to a stop.
    Stopping,
    /// Not running.
    Stopped,
    /// Waiting for its next restart.
    Backoff,
    /// Given up after a panic or a fatal error; an operator must look.
    Quarantined,
    /// The kill switch is on.
    Killed,
}

impl State {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Killed => "killed",
        }
    }

    /// True while its actors live.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused | Self::Stopping | Self::Killed)
    }
}

/// One line of `supervisor status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Instance id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// `paper`.
    pub mode: String,
    /// Kind of strategy.
    pub strategy: String,
    /// `BTCUSDT@paper`, comma separated.
    pub market: String,
    /// Account.
    pub account: String,
    /// Reporting (quote) asset of all amounts in this row.
    pub asset: String,
    /// Virtual (replay) or real time of its newest input, ISO 8601; empty before the first.
    pub clock: String,
    /// Candles or trades seen.
    pub candles: u64,
    /// Share of a finite feed that is done, 0 to 1.
    pub progress: Option<f64>,
    /// True when a finite feed has ended.
    pub ended: bool,
    /// Open orders.
    pub open_orders: u64,
    /// Orders sent.
    pub orders: u64,
    /// Executions.
    pub fills: u64,
    /// Round trips.
    pub round_trips: u64,
    /// Intents refused by the gate.
    pub vetoed: u64,
    /// Realised profit of the current UTC day (of its clock).
    pub day_profit: Decimal,
    /// Equity minus equity at the start.
    pub total_profit: Decimal,
    /// Equity at the last mark.
    pub equity: Decimal,
    /// Largest fall from the running peak, share.
    pub max_drawdown: Option<Decimal>,
    /// Restarts after failures, since the process began.
    pub restarts: u32,
    /// The newest panic of one of its actors, with the actor's name and the place.
    pub last_panic: Option<String>,
    /// Milliseconds until its next restart, while it waits for one.
    pub retry_in_ms: Option<u64>,
    /// What the check of its position at the start found odd; never a reason not to run.
    pub warnings: Vec<String>,
    /// Milliseconds since it was started; of wall time.
    pub up_ms: u64,
    /// Why it is not running, when that is known: the panic, the error, the operator's reason.
    pub note: String,
    /// Messages handled by each of its five actors.
    pub hops: BTreeMap<String, u64>,
    /// What is not certain about its orders, and whether all counts are the same.
    #[serde(default)]
    pub certainty: Certainty,
}

/// The whole fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// One row per instance.
    pub items: Vec<InstanceStatus>,
    /// The kill switch.
    pub kill: KillStatus,
    /// Process epoch; grows by one with each start.
    pub epoch: u32,
    /// Milliseconds since the start of the process.
    pub up_ms: u64,
}

/// The kill switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillStatus {
    /// True while it is on.
    pub on: bool,
    /// When it was set, ISO 8601; empty when that is lost.
    pub at: String,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl KillStatus {
    /// When it was set, for people.
    #[must_use]
    pub fn since(&self) -> &str {
        if self.at.is_empty() { "a moment that is lost" } else { &self.at }
    }
}

/// Answer to `kill`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillReport {
    /// The switch.
    pub kill: KillStatus,
    /// Bots that were told.
    pub halted: u64,
    /// Orders that were open when it was set.
    pub open_before: u64,
    /// Orders still open when the answer was written.
    pub open_after: u64,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Client order id: instance, epoch and number.
    pub id: String,
    /// Instance.
    pub instance: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// `limit` or `market`.
    pub kind: String,
    /// Limit price; `None` for market orders.
    pub price: Option<Decimal>,
    /// Base units.
    pub qty: Decimal,
    /// Base units filled.
    pub filled: Decimal,
    /// Stage word: `in-flight`, `open`, `filled`, ...
    pub state: String,
    /// True while a cancel is under way.
    pub cancel_wanted: bool,
    /// `entry` or `exit`.
    pub purpose: String,
    /// `strategy`, `monitor` or `operator`.
    pub origin: String,
    /// When it was sent, ISO 8601.
    pub sent: String,
    /// For how long the venue is asked about it, seconds of the instance's clock.
    #[serde(default)]
    pub doubt_s: Option<u64>,
    /// Why: `silence`, `restart`, `cancel_refused`, `missing`, `refused`, `bust`, `owed`, `excess`.
    #[serde(default)]
    pub doubt: Option<String>,
}

/// One position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRow {
    /// Instance.
    pub instance: String,
    /// Symbol.
    pub symbol: String,
    /// Base units.
    pub qty: Decimal,
    /// Average price paid, fees included.
    pub entry: Option<Decimal>,
    /// Last price.
    pub mark: Option<Decimal>,
    /// Profit at the last price.
    pub unrealised: Decimal,
    /// Profit of what was sold.
    pub realised: Decimal,
    /// Fees.
    pub fees: Decimal,
    /// Stop price.
    pub stop: Option<Decimal>,
    /// Target price.
    pub target: Option<Decimal>,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeRow {
    /// When, ISO 8601.
    pub at: String,
    /// Instance.
    pub instance: String,
    /// Client order id.
    pub order: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Price.
    pub price: Decimal,
    /// Base units.
    pub qty: Decimal,
    /// Fee, quote units.
    pub fee: Decimal,
    /// True when the order was resting.
    pub maker: bool,
    /// Input that caused it.
    pub cause: u64,
}

/// One fact, for `logs`, `explain` and `describe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactRow {
    /// Place in the instance's journal: `<epoch>-<seq>`; pass it as `after` to go on from here.
    pub cursor: String,
    /// When, ISO 8601, by the instance's clock.
    pub at: String,
    /// Instance.
    pub instance: String,
    /// Input that set it off.
    pub cause: u64,
    /// Stable event name.
    pub event: String,
    /// Client order id, when it speaks of one.
    pub order: Option<String>,
    /// In words.
    pub text: String,
}

/// Something a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    /// When, ISO 8601, wall time.
    pub at: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// Instance, or empty.
    pub instance: String,
    /// Stable code.
    pub code: String,
    /// In words.
    pub text: String,
}

/// One rule of the gate for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskRow {
    /// Stable code.
    pub rule: String,
    /// Key in the configuration.
    pub key: String,
    /// `on`, `differs` or `n/a`.
    pub applies: String,
    /// The difference, or the reason for `n/a`.
    pub note: String,
    /// The limit, in words.
    pub limit: String,
    /// What is used of it now, where that can be said.
    pub used: Option<Decimal>,
}

/// Everything about one instance, for `describe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceDetail {
    /// The row of `status`.
    pub status: InstanceStatus,
    /// Description for people.
    pub description: String,
    /// The configuration as it is in force, key by key.
    pub config: BTreeMap<String, String>,
    /// The rules of the gate.
    pub risk: Vec<RiskRow>,
    /// Positions.
    pub positions: Vec<PositionRow>,
    /// Open orders, and ended ones that are in doubt or disputed.
    pub open_orders: Vec<OrderRow>,
    /// Newest facts, oldest first.
    pub facts: Vec<FactRow>,
    /// Newest refusals of the gate, oldest first.
    pub vetoes: Vec<FactRow>,
    /// The performance report (see `supervisor_core::instance::Report`), as JSON.
    pub report: serde_json::Value,
}

/// The answer to a changing command on one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReport {
    /// Instance.
    pub id: String,
    /// Its state now.
    pub state: State,
    /// False when it was already so.
    pub changed: bool,
    /// In words.
    pub text: String,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRow {
    /// File name.
    pub name: String,
    /// When it was written, ISO 8601; empty when that cannot be read.
    pub created: String,
    /// Epoch of the store it was taken from.
    pub epoch: u32,
    /// Bots in it.
    pub instances: u64,
    /// Facts in it.
    pub facts: u64,
    /// Snapshots in it.
    pub snapshots: u64,
    /// Size of the file.
    pub bytes: u64,
    /// What is wrong with it; `None`: nothing was found.
    pub problem: Option<String>,
}

/// What the check of the store found for one bot, or for the store itself (`instance` is empty then).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRow {
    /// Whose.
    pub instance: String,
    /// Facts that are there.
    pub facts: u64,
    /// First of them, `EPOCH-SEQ`; empty without facts.
    pub first: String,
    /// Last of them.
    pub last: String,
    /// Snapshots that are there.
    pub snapshots: u64,
    /// What is wrong; empty: whole.
    pub problems: Vec<String>,
}
