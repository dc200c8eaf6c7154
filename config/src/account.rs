//! Accounts: what money there is and how much of it may be at risk.
//!
//! Owns the split of an account over its instances. Promises: the capitals on one account add up to no more than its
//! balances, asset by asset, and no instance has looser shares than its account; so the account's caps hold for the sum
//! whatever the instances do at the same time.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, DECIMAL_MAX, InstanceId};
use supervisor_core::params::{Problem, Reader, Table, Value};

use crate::errors::ConfigProblem;
use crate::instance::InstanceConfig;

/// Largest shares of an account, as fractions of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Largest gross exposure (default 0.8).
    pub max_total_exposure: Decimal,
    /// Largest exposure in one symbol (default 1: the cap on the total is the only one).
    pub max_capital_per_symbol: Decimal,
}

/// What becomes of an entry that would trade with a resting order of the same account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crossing {
    /// It leaves: each paper bot has a market of its own, so the two never meet.
    #[default]
    Allow,
    /// It does not leave.
    Deny,
}

/// What instances trade on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its venue; `paper` for now.
    pub venue: String,
    /// What it holds, units of each asset.
    pub balances: BTreeMap<Asset, Decimal>,
    /// Its caps, split over its instances as fixed shares.
    pub caps: Caps,
    /// Whether its instances may trade with each other (default: they may, on paper).
    pub crossing: Crossing,
}

/// Reads `[accounts.NAME]`, all of them.
pub(crate) fn read_accounts(reader: &mut Reader<'_>) -> (BTreeMap<String, Account>, Vec<Problem>) {
    let mut problems = Vec::new();
    reader.missing("accounts", "at least one, such as [accounts.paper]");
    let accounts = match reader.raw("accounts") {
        Some(Value::Table(accounts)) => {
            accounts.iter().map(|(name, value)| (name.clone(), read_named(name, value, &mut problems)))
        }
        Some(_) => {
            reader.problem("accounts", "write each account as [accounts.NAME]");
            return (BTreeMap::new(), problems);
        }
        None => return (BTreeMap::new(), problems),
    };
    (accounts.collect(), problems)
}

/// Reads one account; keys of its problems get their full path.
fn read_named(name: &str, value: &Value, problems: &mut Vec<Problem>) -> Account {
    let mut own = Vec::new();
    let empty = Table::new();
    let table = match value {
        Value::Table(table) => table,
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            own.push(Problem {
                key: String::new(),
                value: value.to_string(),
                expected: "write it as a table".to_owned(),
            });
            &empty
        }
    };
    if let Err(error) = name.parse::<InstanceId>() {
        own.push(Problem { key: String::new(), value: String::new(), expected: format!("account name {error}") });
    }
    let account = read_account(table, &mut own);
    let full = |key: &str| format!("accounts.{name}.{key}").trim_end_matches('.').to_owned();
    problems.extend(own.into_iter().map(|problem| Problem { key: full(&problem.key), ..problem }));
    account
}

fn read_account(table: &Table, problems: &mut Vec<Problem>) -> Account {
    let mut reader = Reader::new(table, problems);
    let venue = reader.choice("venue", &[("paper", "paper")]).unwrap_or("paper").to_owned();
    let words = [("allow", Crossing::Allow), ("deny", Crossing::Deny)];
    let crossing = reader.choice("crossing", &words).unwrap_or_default();
    let (balances, wrong) = read_balances(&mut reader);
    let mut caps = reader.table("caps");
    let share = Decimal::new(1, 4)..=Decimal::ONE;
    let total = caps.decimal("max_total_exposure", share.clone(), "share of the account").unwrap_or(Decimal::new(8, 1));
    let symbol = caps.decimal("max_capital_per_symbol", share, "share of the account").unwrap_or(Decimal::ONE);
    caps.finish();
    reader.finish();
    problems.extend(wrong);
    let caps = Caps { max_total_exposure: total, max_capital_per_symbol: symbol };
    Account { venue, balances, caps, crossing }
}

fn read_balances(reader: &mut Reader<'_>) -> (BTreeMap<Asset, Decimal>, Vec<Problem>) {
    reader.missing("balances", "a table such as { USDT = 100000 }");
    let (mut balances, mut wrong) = (BTreeMap::new(), Vec::new());
    let table = match reader.raw("balances") {
        Some(Value::Table(table)) => table,
        Some(_) => {
            reader.problem("balances", "write it as a table such as { USDT = 100000 }");
            return (balances, wrong);
        }
        None => return (balances, wrong),
    };
    for (name, value) in table {
        let expected = match (name.parse::<Asset>(), amount(value)) {
            (Ok(asset), Some(amount)) => {
                balances.insert(asset, amount);
                continue;
            }
            (Ok(_), None) => format!("allowed: 0 to {DECIMAL_MAX} (units of {name})"),
            (Err(error), _) => error.to_string(),
        };
        wrong.push(Problem { key: format!("balances.{name}"), value: value.to_string(), expected });
    }
    (balances, wrong)
}

fn amount(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(digits) | Value::Text(digits) => {
            digits.parse().ok().filter(|amount| (Decimal::ZERO..=DECIMAL_MAX).contains(amount))
        }
        Value::Bool(_) | Value::List(_) | Value::Table(_) => None,
    }
}

/// Narrows an instance's shares to its account's caps. Every way to start an instance goes through this one, so that a
/// backtest and a run of the same file agree.
pub fn apply_account(instance: &mut InstanceConfig, account: &Account) {
    let risk = &mut instance.spec.risk;
    risk.max_total_exposure = risk.max_total_exposure.min(account.caps.max_total_exposure);
    risk.max_capital_per_symbol = risk.max_capital_per_symbol.min(account.caps.max_capital_per_symbol);
}

/// Checks that the capitals of the instances on each account add up to no more than its balances. `file` is where the
/// accounts stand.
#[must_use]
pub fn check_balances<'i>(
    file: &str,
    accounts: &BTreeMap<String, Account>,
    instances: impl IntoIterator<Item = &'i InstanceConfig>,
) -> Vec<ConfigProblem> {
    let mut needs: BTreeMap<(&str, Asset), Vec<(InstanceId, Decimal)>> = BTreeMap::new();
    for instance in instances {
        for (asset, amount) in capital_of(instance) {
            needs.entry((&instance.account, asset)).or_default().push((instance.spec.id, amount));
        }
    }
    let short = |((name, asset), parts): ((&str, Asset), Vec<(InstanceId, Decimal)>)| {
        let balance = accounts.get(name)?.balances.get(&asset).copied().unwrap_or_default();
        let sum: Decimal = parts.iter().map(|(_, amount)| *amount).sum();
        let list: Vec<String> = parts.iter().map(|(id, amount)| format!("{id} {}", amount.normalize())).collect();
        let expected = format!(
            "account '{name}' holds less {asset} than its instances use: {} ({})",
            sum.normalize(),
            list.join(", ")
        );
        let key = format!("accounts.{name}.balances.{asset}");
        (sum > balance).then(|| ConfigProblem::of_key(file, &key, balance.normalize().to_string(), expected))
    };
    needs.into_iter().filter_map(short).collect()
}

fn capital_of(instance: &InstanceConfig) -> Vec<(Asset, Decimal)> {
    let capital = &instance.spec.capital;
    let Some(first) = instance.spec.instruments.first() else { return Vec::new() };
    let both = [(first.quote, capital.quote.get()), (first.base, capital.base.get())];
    both.into_iter().filter(|(_, amount)| !amount.is_zero()).collect()
}
