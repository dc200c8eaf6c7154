//! The table of rules: where each applies, and its limit in words.

use rust_decimal::Decimal;

use super::limits::{RULES, VetoCode};
use crate::domain::Instrument;
use crate::spec::InstanceSpec;
use crate::strategy::StrategyKind;

/// Where a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// As it stands.
    On,
    /// With a difference, which is named.
    Differs(&'static str),
    /// Not here, and why.
    No(&'static str),
}

/// The table of `orders-and-risk` 3.2b for the rules that exist.
#[must_use]
pub const fn applies(code: VetoCode, kind: StrategyKind) -> Applies {
    match (code, kind) {
        (VetoCode::PriceCollar, StrategyKind::Grid) => Applies::Differs("in the aggressive direction only"),
        (VetoCode::Duplicate, StrategyKind::Grid) => Applies::Differs("same line and side only"),
        (
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
            | VetoCode::SymbolCap
            | VetoCode::TotalExposure
            | VetoCode::FreeBalance
            | VetoCode::DryRun,
            StrategyKind::Signal | StrategyKind::Grid,
        ) => Applies::On,
    }
}

/// One line of `supervisor risk NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Stable code.
    pub code: VetoCode,
    /// Key in the configuration.
    pub key: &'static str,
    /// Where it applies.
    pub applies: Applies,
    /// The configured limit, in words.
    pub limit: String,
}

/// The rules of one instance with their limits.
#[must_use]
pub fn rule_table(spec: &InstanceSpec) -> Vec<RuleRow> {
    let kind = spec.strategy.kind();
    RULES
        .iter()
        .map(|rule| RuleRow {
            code: rule.code,
            key: rule.key,
            applies: applies(rule.code, kind),
            limit: limit_text(rule.code, spec),
        })
        .collect()
}

fn limit_text(code: VetoCode, spec: &InstanceSpec) -> String {
    let risk = &spec.risk;
    let percent = |share: Decimal| format!("{} %", (share * Decimal::ONE_HUNDRED).normalize());
    let grid = |step: fn(&Instrument) -> Decimal| {
        spec.instruments.iter().map(|i| format!("{} {}", i.symbol, step(i).normalize())).collect::<Vec<_>>().join(", ")
    };
    match code {
        VetoCode::KillSwitch | VetoCode::Paused | VetoCode::Unreconciled | VetoCode::InDoubt | VetoCode::Disputed => {
            "exits only while set".to_owned()
        }
        VetoCode::StaleData => format!("{} ms", risk.max_quote_age_ms),
        VetoCode::Quantity => {
            risk.max_order_qty.map_or_else(|| "greater than 0".to_owned(), |qty| format!("{qty} base units"))
        }
        VetoCode::LotSize => grid(|i| i.lot),
        VetoCode::TickSize => grid(|i| i.tick),
        VetoCode::PriceCollar => percent(risk.price_collar),
        VetoCode::MaxSpread => percent(risk.max_spread),
        VetoCode::Duplicate => format!("{} ms", risk.duplicate_window_ms),
        VetoCode::MinOrderValue => format!("{} quote units (exits: the venue's own)", risk.min_order_value),
        VetoCode::SymbolCap => percent(risk.max_capital_per_symbol),
        VetoCode::TotalExposure => percent(risk.max_total_exposure),
        VetoCode::FreeBalance => "free after holds and fees".to_owned(),
        VetoCode::DryRun => if risk.dry_run { "on: nothing is sent" } else { "off" }.to_owned(),
    }
}
