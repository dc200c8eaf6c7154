//! What stages are told, what they answer, and what they may look at.
//!
//! Each stage has its own input type, so a message cannot reach the wrong one. A stage answers with events; only
//! `route` knows who reads them.
//!
//! `repr(u64)`: with the tag as wide as a word, moving a message is a copy of words. With a tag of one byte the
//! compiler moves the rest in odd pieces, and reading those back at once stalls: a third of the whole cost of a candle.

use serde::{Deserialize, Serialize};

use super::fact::{Audit, MarketGap, Revision};
use crate::domain::{
    Candle, ClientId, ClosedCandle, Fill, InstrumentIx, Notional, OrderNo, Price, PublicTrade, Qty, Quote, Quotes,
    Timestamp,
};
use crate::orders::{
    Ask, CancelRequest, ExitReason, Intent, Life, OrderEnded, OrderEvent, Protect, Reason, Reconciled, Report,
    RoundTrip, Standing, Terms,
};
use crate::risk::{ApprovedOrder, Funds, Latches, Veto};
use crate::spec::{InstanceSpec, OnStop};
use crate::strategy::Note;

/// The stages of an instance; each has an actor of its own when it runs live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Market data.
    Market,
    /// Strategy.
    Strategy,
    /// Risk.
    Risk,
    /// Order lifecycle.
    Orders,
    /// Streak monitor.
    Streak,
}

impl Stage {
    /// All of them, in the order in which they start; they stop in reverse.
    pub const ALL: [Self; 5] = [Self::Orders, Self::Risk, Self::Streak, Self::Strategy, Self::Market];

    /// The name for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Market => "market-data",
            Self::Strategy => "strategy",
            Self::Risk => "risk",
            Self::Orders => "order-lifecycle",
            Self::Streak => "streak-monitor",
        }
    }
}

/// What a stage may look at while it handles one message.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// The moment, as data.
    pub at: Timestamp,
    /// Last quote of each instrument.
    pub quotes: &'a Quotes,
    /// What the instance is.
    pub spec: &'a InstanceSpec,
}

/// What an operator, or the supervisor for one, tells an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Entries off; exits go on.
    Pause,
    /// Entries on again.
    Resume,
    /// The kill switch: entries off, every resting order cancelled, latched.
    Kill,
    /// Clears the kill latch; the instance stays paused until it is resumed.
    ClearKill,
    /// The instance is about to stop.
    Stop(OnStop),
    /// The instance runs again after a stop.
    Start,
    /// The settings changed; they are in force with this message.
    Revise(Shift),
    /// Its actors failed too often: strategy and market data are off, entries are cancelled, stops go on working.
    Quarantine,
    /// Out of quarantine: the strategy begins anew with the position that is there, the streak monitor hears of what it
    /// has missed.
    Release,
    /// In quarantine the streak monitor has failed, too: what it would be told waits for the release.
    ParkStreak,
    /// At a venue beyond a network: news may have been lost, so everything is asked about before entries pass again.
    /// The number is the epoch that begins, for the ids of orders to come.
    Reconcile(u32),
    /// A disputed order is settled by a person, who says what it is.
    Resolve(OrderNo, Life),
}

/// What comes from a venue beyond a network, or from whoever acts there for the instance. Nothing brings it again, so
/// it is recorded before it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Prices.
    Market(MarketIn),
    /// News of an order.
    Report(Report),
    /// The moment that the order stage asked for has come.
    Wakeup,
    /// An order that somebody outside the strategy wants; the gate judges it like any other.
    Intent(Box<Intent>),
    /// Orders that somebody outside the strategy wants withdrawn.
    Cancel(CancelRequest),
}

/// What a change of settings asks of the stages, besides that they read the new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// True when the strategy cannot go on: it is another one, or its candles have another length.
    pub anew: bool,
    /// True when round trips are counted another way from here on.
    pub recount: bool,
    /// Quote units that come in from outside; negative: that go out.
    pub transfer: Notional,
}

impl Shift {
    /// What lies between two settings of one instance.
    #[must_use]
    pub fn between(old: &InstanceSpec, new: &InstanceSpec) -> Self {
        Self {
            anew: new.timeframe != old.timeframe || new.strategy.word() != old.strategy.word(),
            recount: new.strategy.trips() != old.strategy.trips(),
            transfer: new.capital.quote - old.capital.quote,
        }
    }
}

/// To the market stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[repr(u64)]
pub enum MarketIn {
    /// A candle of the feed is complete.
    Candle(InstrumentIx, Candle),
    /// One point of a candle's path.
    Point(InstrumentIx, Price),
    /// A public trade.
    Trade(InstrumentIx, PublicTrade),
    /// The settings may want other timeframes.
    Revise,
    /// Prices have passed it by: what was forming is not whole any more.
    Release,
}

/// To the strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u64)]
pub enum StrategyIn {
    /// A closed candle of a timeframe it asked for.
    Candle(ClosedCandle),
    /// An own fill.
    Fill(Fill),
    /// An own order is over.
    Ended(OrderEnded),
    /// An own intent was refused, or recorded only (`dry_run`).
    Veto(Veto),
    /// The room that is left.
    Funds(InstrumentIx, Funds),
    /// The monitor closes the position of an instrument.
    Guarded(InstrumentIx, ExitReason),
    /// From the operator.
    Control(Control),
    /// What the gate's latches are, after the strategy has missed some commands or has begun anew.
    Latches(Latches),
}

/// To the risk gate.
#[derive(Clone, Debug, PartialEq)]
#[repr(u64)]
pub enum RiskIn {
    /// An intent to be judged.
    Review(Box<Intent>),
    /// Held room becomes position.
    Fill(Fill),
    /// Held room is released.
    Ended(OrderEnded),
    /// So many base units of an order may still fill, whatever was held for it before.
    Hold(Terms, Qty),
    /// A fill is void.
    Bust(Fill),
    /// What of the order stage keeps entries from passing.
    Standing(Standing),
    /// From the operator.
    Control(Control),
}

/// To the order stage.
#[derive(Debug)]
#[repr(u64)]
pub enum OrdersIn {
    /// An approval to be sent.
    Submit(Box<ApprovedOrder>),
    /// Orders to be withdrawn.
    Cancel(CancelRequest),
    /// From the venue.
    Report(Report),
    /// The price moved; for the position monitor.
    Quote(InstrumentIx),
    /// A time that the stage asked for has come.
    Wakeup,
    /// An exit of the monitor was refused.
    Veto(Veto),
    /// Base that no entry of ours bought is guarded from now on.
    Protect(InstrumentIx, Protect),
    /// From the operator.
    Control(Control),
}

/// To the streak monitor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[repr(u64)]
pub enum StreakIn {
    /// An own fill.
    Fill(Fill),
    /// A round trip is complete.
    RoundTrip(RoundTrip),
    /// A candle of the instance's timeframe closed: mark to market.
    Mark(InstrumentIx, Quote),
    /// Quote units came in from outside; negative: went out.
    Transfer(Notional),
    /// A fill is void.
    Bust(Fill),
}

/// A message on its way to one stage.
#[derive(Debug)]
pub enum Message {
    /// To the market stage.
    Market(MarketIn),
    /// To the strategy.
    Strategy(StrategyIn),
    /// To the risk gate.
    Risk(RiskIn),
    /// To the order stage.
    Orders(OrdersIn),
    /// To the streak monitor.
    Streak(StreakIn),
}

impl Message {
    /// Its reader.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Market(_) => Stage::Market,
            Self::Strategy(_) => Stage::Strategy,
            Self::Risk(_) => Stage::Risk,
            Self::Orders(_) => Stage::Orders,
            Self::Streak(_) => Stage::Streak,
        }
    }
}

/// What a stage answers. `route` turns it into messages, facts and effects.
#[derive(Debug)]
#[repr(u64)]
pub enum Event {
    /// A new last price.
    Quote(InstrumentIx, Quote),
    /// A candle of a wanted timeframe is complete.
    Closed(ClosedCandle),
    /// Candles are missing.
    Gap(MarketGap),
    /// An order is wanted.
    Intent(Box<Intent>),
    /// Something the strategy decided that is no order: a signal withheld, a breaker tripped.
    Note(InstrumentIx, Note),
    /// Base that is there from the start is to be guarded.
    Protect(InstrumentIx, Protect),
    /// The ladder was laid out anew.
    GridPlanned(Box<crate::strategy::GridPlan>),
    /// Orders are to be withdrawn.
    Cancel(CancelRequest),
    /// The gate approved.
    Approved {
        /// The proof.
        order: Box<ApprovedOrder>,
        /// Why it was wanted.
        reason: Reason,
    },
    /// The gate refused.
    Vetoed {
        /// Which rule.
        veto: Veto,
        /// Why it was wanted.
        reason: Reason,
    },
    /// Dry run: it would have been sent.
    WouldSubmit {
        /// What.
        veto: Veto,
        /// Why it was wanted.
        reason: Reason,
    },
    /// The room that is left changed.
    Funds(InstrumentIx, Funds),
    /// The strategy is back, or new, and must know the latches.
    Latches(Latches),
    /// The venue shall get an order.
    Place(Box<ApprovedOrder>),
    /// The venue shall withdraw an order.
    Withdraw(OrderNo),
    /// An order moved to another state.
    OrderMoved(OrderNo, Life),
    /// News about an order that no row of the table allows.
    OrderRefused(OrderNo, OrderEvent),
    /// An own fill, counted once.
    Fill(Fill),
    /// An order is over.
    Ended(OrderEnded),
    /// An order is over once more: whoever wanted it has been told before, only its room is free again.
    Released(OrderEnded),
    /// A round trip is complete.
    RoundTrip(RoundTrip),
    /// The monitor closes a position.
    Guarded(InstrumentIx, ExitReason),
    /// The order stage wants every price, or no longer.
    Watch(bool),
    /// The order stage wants to be woken, or no longer.
    Wake(Option<Timestamp>),
    /// An operator's command was taken.
    Audited(Box<Audit>),
    /// The settings changed.
    Revised {
        /// What they are now.
        revision: Box<Revision>,
        /// What that asks of the stages.
        shift: Shift,
    },
    /// An order was kept from leaving.
    Withheld {
        /// Which.
        order: OrderNo,
        /// Messages handled before it.
        step: u64,
    },
    /// A UTC day is complete.
    DayClosed(crate::streak::DayResult),
    /// The venue shall answer a question.
    Ask(Ask),
    /// An order that was over is live at the venue.
    Reopened(OrderNo),
    /// So many base units of an order may still fill, whatever was thought before.
    Hold(Terms, Qty),
    /// A fill came after its order had ended in this state.
    Late(OrderNo, Life),
    /// A fill is void.
    Bust(Fill),
    /// An order has been in doubt for so long, ms.
    Doubt(OrderNo, i64),
    /// What keeps entries from passing has changed.
    Standing(Standing),
    /// The start at the venue is complete.
    Reconciled(Reconciled),
    /// Something came from beyond the network.
    Put {
        /// What.
        input: Box<Input>,
        /// Messages handled before it.
        step: u64,
    },
    /// An approved order was kept from leaving, since it would trade with another order of the account.
    Crossed {
        /// Which.
        order: OrderNo,
        /// The one in its way.
        with: ClientId,
        /// Messages handled before it.
        step: u64,
    },
}

/// Where stages put their answers; emptied by `route` after each message.
pub type Outbox = Vec<Event>;
