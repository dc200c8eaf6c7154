//! From states and facts to the rows of `view`.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{Fill, InstrumentIx, OrderKind, OrderNo, Purpose, Timestamp};
use supervisor_core::instance::{Fact, FactRecord, InstanceState};
use supervisor_core::orders::{Life, Order, Origin, Terms, Why};
use supervisor_core::risk::{Applies, VetoCode, rule_table};
use supervisor_core::spec::InstanceSpec;

use crate::explain::order_id;
use crate::view::{OrderRow, PositionRow, RiskRow, TradeRow};

fn symbol(spec: &InstanceSpec, ix: InstrumentIx) -> String {
    spec.instruments.get(ix.at()).map(|instrument| instrument.symbol.to_string()).unwrap_or_default()
}

/// Open orders, and those that are over and leave a question.
#[must_use]
pub fn open_orders(spec: &InstanceSpec, life: u32, state: &InstanceState) -> Vec<OrderRow> {
    let desk = state.stages.orders.desk();
    let asks = |known: &&Order| !known.life.is_over() || known.life == Life::Disputed || known.doubt.is_some();
    desk.unsettled().filter(asks).map(|known| order(spec, life, state.mark.clock, known)).collect()
}

/// An order as the desk holds it at `now`.
fn order(spec: &InstanceSpec, life: u32, now: Timestamp, order: &Order) -> OrderRow {
    OrderRow {
        filled: order.filled.normalized(),
        state: order.life.word().to_owned(),
        cancel_wanted: order.cancel.is_some() && !order.life.is_over(),
        doubt_s: order.doubt.map(|doubt| seconds(doubt.since, now)),
        doubt: order.doubt.map(|doubt| why(doubt.why)),
        ..blank(spec, life, &order.terms, order.sent)
    }
}

/// Whole seconds between two moments of one clock.
#[must_use]
pub fn seconds(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.since(since) / 1_000).unwrap_or(0)
}

/// The word that is stored.
fn why(why: Why) -> String {
    serde_json::to_value(why).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn blank(spec: &InstanceSpec, life: u32, terms: &Terms, sent: Timestamp) -> OrderRow {
    let (kind, price) = match terms.kind {
        OrderKind::Limit(price) => ("limit", Some(price.normalized())),
        OrderKind::Market { .. } => ("market", None),
    };
    OrderRow {
        id: order_id(spec.id, life, terms.order),
        instance: spec.id.to_string(),
        symbol: symbol(spec, terms.instrument),
        side: terms.side.to_string(),
        kind: kind.to_owned(),
        price,
        qty: terms.qty.normalized(),
        filled: Decimal::ZERO,
        state: "in-flight".to_owned(),
        cancel_wanted: false,
        purpose: match terms.purpose {
            Purpose::Entry => "entry",
            Purpose::Exit => "exit",
        }
        .to_owned(),
        origin: match terms.origin {
            Origin::Strategy => "strategy",
            Origin::Monitor => "monitor",
            Origin::Operator => "operator",
        }
        .to_owned(),
        sent: sent.to_string(),
        doubt_s: None,
        doubt: None,
    }
}

/// All orders that a journal tells of, oldest first.
#[must_use]
pub fn orders_of(spec: &InstanceSpec, life: u32, facts: &[FactRecord]) -> Vec<OrderRow> {
    let mut orders: BTreeMap<OrderNo, OrderRow> = BTreeMap::new();
    for FactRecord { at, fact, .. } in facts {
        match fact {
            Fact::Approved { terms, .. } => {
                orders.insert(terms.order, blank(spec, life, terms, *at));
            }
            Fact::OrderMoved(number, state) => {
                if let Some(row) = orders.get_mut(number) {
                    row.state = state.word().to_owned();
                }
            }
            Fact::Fill(fill) => {
                if let Some(row) = orders.get_mut(&fill.order) {
                    row.filled += fill.qty.normalized();
                }
            }
            Fact::Bust(fill) => {
                if let Some(row) = orders.get_mut(&fill.order) {
                    row.filled -= fill.qty.normalized();
                }
            }
            Fact::Gap(_)
            | Fact::GridPlanned(_)
            | Fact::Note(..)
            | Fact::Vetoed { .. }
            | Fact::WouldSubmit { .. }
            | Fact::CancelWanted(_)
            | Fact::OrderRefused(..)
            | Fact::Ended(_)
            | Fact::Guarded(..)
            | Fact::RoundTrip(_)
            | Fact::DayClosed(_)
            | Fact::Control(_)
            | Fact::Revised(_)
            | Fact::Withheld { .. }
            | Fact::Input { .. }
            | Fact::Crossed { .. }
            | Fact::LateFill(..)
            | Fact::Reopened(_)
            | Fact::InDoubt(..)
            | Fact::Standing(_)
            | Fact::Reconciled(_) => {}
        }
    }
    orders.into_values().collect()
}

/// An execution.
#[must_use]
pub fn trade(spec: &InstanceSpec, life: u32, cause: u64, fill: &Fill) -> TradeRow {
    TradeRow {
        at: fill.at.to_string(),
        instance: spec.id.to_string(),
        order: order_id(spec.id, life, fill.order),
        symbol: symbol(spec, fill.instrument),
        side: fill.side.to_string(),
        price: fill.price.normalized(),
        qty: fill.qty.normalized(),
        fee: fill.fee.normalized(),
        maker: fill.maker,
        cause,
    }
}

/// Positions that are not flat, or that have earned something.
#[must_use]
pub fn positions(spec: &InstanceSpec, state: &InstanceState) -> Vec<PositionRow> {
    let orders = &state.stages.orders;
    let mut rows = Vec::new();
    for (at, position) in orders.positions().iter().enumerate() {
        let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
        let mark = state.mark.quotes.get(ix).map(|quote| quote.last);
        let guard = orders.monitor().guard(ix);
        if position.qty().is_zero() && position.fees().is_zero() {
            continue;
        }
        rows.push(PositionRow {
            instance: spec.id.to_string(),
            symbol: symbol(spec, ix),
            qty: position.qty().normalized(),
            entry: position.entry().map(|price| price.normalized()),
            mark: mark.map(|price| price.normalized()),
            unrealised: mark.map_or(Decimal::ZERO, |price| position.unrealised(price).normalized()),
            realised: position.realised().normalized(),
            fees: position.fees().normalized(),
            stop: guard.and_then(|guard| guard.stop()).map(|price| price.normalized()),
            target: guard.and_then(|guard| guard.target()).map(|price| price.normalized()),
        });
    }
    rows
}

/// The rules of the gate with what is used of them.
#[must_use]
pub fn risk(spec: &InstanceSpec, state: Option<&InstanceState>) -> Vec<RiskRow> {
    rule_table(spec)
        .into_iter()
        .map(|rule| {
            let (applies, note) = match rule.applies {
                Applies::On => ("on", ""),
                Applies::Differs(how) => ("differs", how),
                Applies::No(why) => ("n/a", why),
            };
            RiskRow {
                rule: rule.code.word().to_owned(),
                key: rule.key.to_owned(),
                applies: applies.to_owned(),
                note: note.to_owned(),
                limit: rule.limit,
                used: state.and_then(|state| used(rule.code, spec, state)),
            }
        })
        .collect()
}

/// Shares for the two caps (the fullest symbol for the first), free quote units for the balance.
fn used(code: VetoCode, spec: &InstanceSpec, state: &InstanceState) -> Option<Decimal> {
    let gate = state.stages.risk.gate();
    let capital = gate.capital().filter(|capital| capital.is_positive())?.get();
    let quotes = &state.mark.quotes;
    let share = |notional: Decimal| (notional / capital).round_dp(4).normalize();
    let symbol = |at: usize| {
        let ix = InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX));
        quotes.get(ix).map(|quote| gate.exposure().symbol(ix, quote.last).get())
    };
    match code {
        VetoCode::SymbolCap => (0..spec.instruments.len()).filter_map(symbol).max().map(share),
        VetoCode::TotalExposure => Some(share(gate.exposure().total(quotes).get())),
        VetoCode::FreeBalance => Some(gate.exposure().free_quote().normalized()),
        VetoCode::KillSwitch
        | VetoCode::Paused
        | VetoCode::Unreconciled
        | VetoCode::InDoubt
        | VetoCode::Disputed
        | VetoCode::StaleData
        | VetoCode::Quantity
        | VetoCode::LotSize
        | VetoCode::TickSize
        | VetoCode::PriceCollar
        | VetoCode::MaxSpread
        | VetoCode::Duplicate
        | VetoCode::MinOrderValue
        | VetoCode::DryRun => None,
    }
}
