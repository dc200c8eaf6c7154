//! Combinations of settings that cannot work, each key being fine by itself.

use rust_decimal::Decimal;
use supervisor_core::params::{Problem, Table, Value};
use supervisor_core::spec::{InstanceSpec, RiskLimits};
use supervisor_core::strategy::StrategyKind;

/// One symbol cannot take more than the total. A default gives way to the total that the file sets; a written value
/// that is larger is a mistake.
pub(crate) fn own_shares(risk: &mut RiskLimits, table: &Table, problems: &mut Vec<Problem>) {
    if risk.max_capital_per_symbol <= risk.max_total_exposure {
        return;
    }
    let written = matches!(table.get("risk"), Some(Value::Table(risk)) if risk.contains_key("max_capital_per_symbol"));
    if written {
        let expected = format!("at most max_total_exposure = {}", risk.max_total_exposure.normalize());
        problems.push(problem("risk.max_capital_per_symbol", risk.max_capital_per_symbol, expected));
    }
    risk.max_capital_per_symbol = risk.max_total_exposure;
}

/// What only the whole instance shows, with the account's caps applied.
pub(crate) fn cross_checks(spec: &InstanceSpec, problems: &mut Vec<Problem>) {
    problems.extend(no_order_can_pass(spec));
    problems.extend(spread_too_wide(spec));
    problems.extend(ladder_without_rest(spec));
    if spec.instruments.is_empty() {
        return;
    }
    let of_strategy = spec.strategy.check(spec).into_iter();
    problems.extend(of_strategy.map(|problem| Problem { key: format!("strategy.{}", problem.key), ..problem }));
}

/// A line of a grid is there to rest: withdrawn for that, it would be placed again at once, for ever.
fn ladder_without_rest(spec: &InstanceSpec) -> Option<Problem> {
    let limit = spec.exits.maker_timeout_ms.filter(|_| spec.strategy.kind() == StrategyKind::Grid)?;
    let expected = "not with a grid, whose orders are there to rest; leave it out".to_owned();
    Some(problem("exits.maker_timeout_s", Decimal::from(limit / 1_000), expected))
}

/// Base has no price yet, so that only capital in quote alone can be judged. No capital at all is said elsewhere.
fn no_order_can_pass(spec: &InstanceSpec) -> Option<Problem> {
    let capital = spec.capital.quote.get();
    if !spec.capital.base.is_zero() || capital.is_zero() {
        return None;
    }
    let share = spec.risk.max_total_exposure.min(spec.risk.max_capital_per_symbol);
    let venue = spec.instruments.first().map(|instrument| instrument.notional_min).unwrap_or_default();
    let least = spec.risk.min_order_value.max(venue);
    (least.get() > capital * share).then(|| {
        let (room, share) = ((capital * share).normalize(), share.normalize());
        let expected = format!("no order can pass: the limits leave {room} (capital {capital} x share {share})");
        problem("risk.min_order_value", least.get(), expected)
    })
}

fn spread_too_wide(spec: &InstanceSpec) -> Option<Problem> {
    (spec.venue_model.spread > spec.risk.max_spread).then(|| {
        let percent = |fraction: Decimal| (fraction * Decimal::ONE_HUNDRED).normalize();
        let expected = format!("no order can pass: risk.max_spread_pct is {}", percent(spec.risk.max_spread));
        problem("venue_model.spread_pct", percent(spec.venue_model.spread), expected)
    })
}

fn problem(key: &str, value: Decimal, expected: String) -> Problem {
    Problem { key: key.to_owned(), value: value.normalize().to_string(), expected }
}
