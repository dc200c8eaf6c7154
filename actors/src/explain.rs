//! Facts in words, and as rows for the outside.

use supervisor_core::domain::{Fill, InstanceId, InstrumentIx, OrderKind, OrderNo};
use supervisor_core::instance::{Control, Fact, FactRecord, Input};
use supervisor_core::orders::{CancelReason, CancelScope, ExitReason, RoundTrip, Standing, Terms};
use supervisor_core::risk::{Veto, VetoCode};
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_core::strategy::{GridPlan, Note, Regime};

use crate::view::FactRow;

/// Order id for people and venues: instance, life (the epoch in which its numbers began) and number.
#[must_use]
pub fn order_id(instance: InstanceId, life: u32, order: OrderNo) -> String {
    format!("{instance}-{life}-{}", order.0)
}

/// The parts of an order id; `None` when it is none.
#[must_use]
pub fn parse_order_id(text: &str) -> Option<(InstanceId, u32, OrderNo)> {
    let (rest, number) = text.rsplit_once('-')?;
    let (instance, life) = rest.rsplit_once('-')?;
    Some((instance.parse().ok()?, life.parse().ok()?, OrderNo(number.parse().ok()?)))
}

/// A fact as a row.
#[must_use]
pub fn row(epoch: u32, seq: u64, life: u32, record: &FactRecord, spec: &InstanceSpec) -> FactRow {
    FactRow {
        cursor: format!("{epoch}-{seq}"),
        at: record.at.to_string(),
        instance: spec.id.to_string(),
        cause: record.cause,
        event: record.fact.word().to_owned(),
        order: record.fact.order().map(|order| order_id(spec.id, life, order)),
        text: sentence(&record.fact, spec),
    }
}

/// A fact in words.
#[must_use]
pub fn sentence(fact: &Fact, spec: &InstanceSpec) -> String {
    match fact {
        Fact::Gap(gap) => {
            format!(
                "{} gap: {} candles missing from {} to {}",
                symbol(spec, gap.instrument),
                gap.missing,
                gap.from,
                gap.to
            )
        }
        Fact::GridPlanned(plan) => plan_text(spec, plan),
        Fact::Note(ix, note) => format!("{} {}", symbol(spec, *ix), note_text(note)),
        Fact::Approved { terms, reason } => format!("approved: {}; why: {reason}", terms_text(spec, terms)),
        Fact::Vetoed { veto, reason } => {
            format!("REFUSED {}; wanted: {}; why: {reason}", veto_text(veto), intent_text(spec, veto))
        }
        Fact::WouldSubmit { veto, reason } => format!("dry run, not sent: {}; why: {reason}", intent_text(spec, veto)),
        Fact::CancelWanted(request) => {
            format!("cancel {}: {}", scope_text(spec, request.scope), cancel_text(request.reason))
        }
        Fact::OrderMoved(_, life) => format!("order is {life}"),
        Fact::OrderRefused(_, news) => {
            format!("venue reported {news:?}, which does not fit this order; nothing changed")
        }
        Fact::Fill(fill) => fill_text(spec, fill),
        Fact::Ended(ended) => format!("order over: {}, {} of {} filled", ended.life, ended.filled, ended.terms.qty),
        Fact::Guarded(ix, why) => format!("{} position is being closed: {}", symbol(spec, *ix), exit_text(*why)),
        Fact::RoundTrip(trip) => trip_text(spec, trip),
        Fact::DayClosed(day) => {
            format!(
                "day closed: realised {} in {} round trips; {} positive days in a row",
                day.realised, day.trips, day.run
            )
        }
        Fact::Control(audit) => {
            let why = if audit.reason.is_empty() { String::new() } else { format!(": {}", audit.reason) };
            format!("{} by {}{why}", control_text(audit.control), audit.by)
        }
        Fact::Revised(revision) => format!("settings changed: {}", revision.keys),
        Fact::Withheld { .. } => "not sent: the kill switch is on".to_owned(),
        Fact::Crossed { with, .. } => format!("not sent: it would trade with our own order {with}"),
        Fact::LateFill(_, life) => format!("LATE FILL: its order was {life} already; it counts"),
        Fact::Bust(fill) => format!("VOID: {}", fill_text(spec, fill)),
        Fact::Reopened(_) => "the order was over and is live at the venue; it is withdrawn".to_owned(),
        Fact::InDoubt(_, age) => {
            format!("IN DOUBT for {} s: the venue has not said where this order stands; it is asked on", age / 1000)
        }
        Fact::Standing(standing) => standing_text(*standing).to_owned(),
        Fact::Reconciled(done) => format!(
            "reconciled with the venue in {} ms: {} orders asked about, {} new fills",
            done.took_ms, done.orders, done.fills
        ),
        Fact::Input { input, .. } => format!("input: {}", input_text(input)),
    }
}

const fn standing_text(standing: Standing) -> &'static str {
    match standing {
        Standing { unreconciled: true, .. } => "entries wait until the venue has been asked about everything",
        Standing { disputed: true, .. } => "entries are off: the facts about an order contradict each other",
        Standing { doubtful: true, .. } => "entries are off: too much is in doubt",
        Standing { unreconciled: false, doubtful: false, disputed: false } => "nothing in doubt keeps entries off",
    }
}

fn input_text(input: &Input) -> String {
    match input {
        Input::Market(_) => "a price".to_owned(),
        Input::Report(report) => format!("{report:?}"),
        Input::Wakeup => "the time that was asked for has come".to_owned(),
        Input::Intent(_) => "an order is wanted".to_owned(),
        Input::Cancel(_) => "orders are to be withdrawn".to_owned(),
    }
}

fn fill_text(spec: &InstanceSpec, fill: &Fill) -> String {
    format!(
        "filled: {} {} {} at {} as {}, fee {}",
        fill.side,
        fill.qty,
        symbol(spec, fill.instrument),
        fill.price,
        if fill.maker { "maker" } else { "taker" },
        fill.fee
    )
}

fn trip_text(spec: &InstanceSpec, trip: &RoundTrip) -> String {
    format!(
        "{} round trip closed by {}: {} bought for {}, sold for {}, fees {}, profit {}",
        symbol(spec, trip.instrument),
        exit_text(trip.exit),
        trip.qty,
        trip.bought,
        trip.sold,
        trip.fees,
        trip.profit()
    )
}

fn plan_text(spec: &InstanceSpec, plan: &GridPlan) -> String {
    format!(
        "{} grid of {} lines from {} to {} laid out at {}; smallest cell nets {} %",
        symbol(spec, plan.instrument),
        plan.lines.len(),
        plan.lines.first().map(ToString::to_string).unwrap_or_default(),
        plan.lines.last().map(ToString::to_string).unwrap_or_default(),
        plan.price,
        percent(plan.cell_net)
    )
}

fn symbol(spec: &InstanceSpec, ix: InstrumentIx) -> String {
    spec.instruments
        .get(ix.at())
        .map_or_else(|| format!("instrument {}", ix.0), |instrument| instrument.symbol.to_string())
}

fn percent(share: rust_decimal::Decimal) -> String {
    (share * rust_decimal::Decimal::ONE_HUNDRED).normalize().to_string()
}

fn kind_text(kind: OrderKind) -> String {
    match kind {
        OrderKind::Limit(price) => format!("limit {price}"),
        OrderKind::Market { bound: Some(bound) } => format!("market, no worse than {bound}"),
        OrderKind::Market { bound: None } => "market".to_owned(),
    }
}

fn terms_text(spec: &InstanceSpec, terms: &Terms) -> String {
    format!("{} {} {}, {}", terms.side, terms.qty, symbol(spec, terms.instrument), kind_text(terms.kind))
}

fn intent_text(spec: &InstanceSpec, veto: &Veto) -> String {
    format!("{} {} {}, {}", veto.side, veto.qty, symbol(spec, veto.instrument), kind_text(veto.kind))
}

/// The rule, its figures, and the other rules that refused too.
fn veto_text(veto: &Veto) -> String {
    let (value, limit) = (veto.value.normalize(), veto.limit.normalize());
    let first = match veto.code {
        VetoCode::KillSwitch => "by kill_switch: the kill switch is on".to_owned(),
        VetoCode::Paused => "by paused: entries are off".to_owned(),
        VetoCode::Unreconciled => "by unreconciled: the venue is still being asked about everything".to_owned(),
        VetoCode::InDoubt => "by in_doubt: too many orders are in doubt, or one for too long".to_owned(),
        VetoCode::Disputed => "by disputed: the facts about an order contradict each other".to_owned(),
        VetoCode::StaleData if value.is_sign_negative() => "by stale_data: there is no quote".to_owned(),
        VetoCode::StaleData => format!("by stale_data: quote is {value} ms old > {limit} ms"),
        VetoCode::Quantity => format!("by quantity: {value} is not within 0 and {limit}"),
        VetoCode::LotSize => format!("by lot_size: {value} is no multiple of {limit}"),
        VetoCode::TickSize => format!("by tick_size: {value} is no multiple of {limit}"),
        VetoCode::PriceCollar => format!("by price_collar: {value} lies beyond {limit}"),
        VetoCode::MaxSpread => format!("by max_spread: {} % > {} %", percent(value), percent(limit)),
        VetoCode::Duplicate => format!("by duplicate: the same order {value} ms ago < {limit} ms"),
        VetoCode::MinOrderValue => format!("by min_order_value: {value} < {limit}"),
        VetoCode::SymbolCap => format!("by max_capital_per_symbol: {value} > {limit}"),
        VetoCode::TotalExposure => format!("by max_total_exposure: {value} > {limit}"),
        VetoCode::FreeBalance => format!("by free_balance: needs {value} > {limit} free"),
        VetoCode::DryRun => "by dry_run".to_owned(),
    };
    let others: Vec<&str> = veto.failed_codes().filter(|code| *code != veto.code).map(VetoCode::word).collect();
    if others.is_empty() { first } else { format!("{first} (and by {})", others.join(", ")) }
}

fn scope_text(spec: &InstanceSpec, scope: CancelScope) -> String {
    match scope {
        CancelScope::Order(order) => format!("order {}", order.0),
        CancelScope::Tagged(ix, tag) => format!("{} order of line {}", symbol(spec, ix), tag.0 / 2),
        CancelScope::Entries(ix) => format!("all {} entries", symbol(spec, ix)),
        CancelScope::Instrument(ix) => format!("all {} orders", symbol(spec, ix)),
    }
}

const fn cancel_text(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Replan => "the strategy plans anew",
        CancelReason::Expired => "older than the order time-out",
        CancelReason::EntriesOff => "entries are off",
        CancelReason::Kill => "kill switch",
        CancelReason::Close => "the position is being closed",
        CancelReason::Unfilled => "unfilled for longer than the maker time-out",
    }
}

const fn exit_text(exit: ExitReason) -> &'static str {
    match exit {
        ExitReason::Pair => "its grid pair",
        ExitReason::Signal => "the strategy's exit",
        ExitReason::Stop => "stop",
        ExitReason::Trail => "trailing stop",
        ExitReason::Target => "target",
        ExitReason::Operator => "the operator",
        ExitReason::Holding => "its longest holding time",
    }
}

const fn control_text(control: Control) -> &'static str {
    match control {
        Control::Pause => "paused",
        Control::Resume => "resumed",
        Control::Kill => "kill switch on",
        Control::ClearKill => "kill switch cleared; paused until resumed",
        Control::Stop(OnStop::Keep) => "stopped, orders kept",
        Control::Stop(OnStop::CancelEntries) => "stopped, entries cancelled",
        Control::Stop(OnStop::CancelAll) => "stopped, all orders cancelled",
        Control::Stop(OnStop::Flatten) => "stopped, position closed at market",
        Control::Start => "started again",
        Control::Revise { .. } => "settings changed",
        Control::Quarantine => "quarantined, entries cancelled, stops stay",
        Control::Release => "released from quarantine; the strategy begins anew",
        Control::Reconcile(_) => "reconciling with the venue",
        Control::Resolve(..) => "disputed order resolved",
        Control::ParkStreak => "streak monitor parked; its figures wait for the release",
    }
}

fn note_text(note: &Note) -> String {
    match note {
        Note::WeakTrend { adx, adx_min } => format!("signal not traded: cross up, but ADX {adx:.1} <= {adx_min:.1}"),
        Note::TooSmall { notional } => format!("signal not traded: the size of {notional} is less than one lot"),
        Note::Occupied => "signal not traded: an order or position is already there".to_owned(),
        Note::WaitsForStart { trigger } => format!("grid waits for its start price {trigger}"),
        Note::Unplannable { cell_net: Some(net) } => {
            format!("grid not laid out: its smallest cell would net {} % after fees", percent(*net))
        }
        Note::Unplannable { cell_net: None } => "grid not laid out: two lines fall on one tick".to_owned(),
        Note::BreakerTripped { atr, before } => {
            format!("ATR breaker tripped: {before:.6} -> {atr:.6}; entries off, exits stay")
        }
        Note::BreakerCleared { atr } => format!("ATR breaker cleared at {atr:.6}; entries on"),
        Note::Regime { regime: Regime::Up } => "trend filter: up; new sells go one line higher".to_owned(),
        Note::Regime { regime: Regime::Flat } => "trend filter: flat".to_owned(),
        Note::Regime { regime: Regime::Down } => "trend filter: down; no new buys".to_owned(),
        Note::GridOver { why } => format!("grid is over: {}", exit_text(*why)),
    }
}
