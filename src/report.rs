//! The performance report: one rendering for `run`, `backtest` and `report`.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::fault::Fault;
use crate::out::{Format, Out, Row, rows};
use crate::table::{money, percent, plain, signed};

/// What people see of a report; programs get all of it.
#[derive(Deserialize)]
struct ReportRow {
    id: String,
    digest: String,
    strategy: String,
    instruments: Vec<String>,
    candles: u64,
    #[serde(default)]
    missing_candles: u64,
    vetoed: u64,
    orders: u64,
    open_orders: u64,
    fills: u64,
    round_trips: u64,
    win_rate: Option<Decimal>,
    fees: Decimal,
    turnover: Decimal,
    realised: Decimal,
    unrealised: Decimal,
    grid_profit: Option<Decimal>,
    equity: Decimal,
    max_drawdown: Option<Decimal>,
    balances: BTreeMap<String, Decimal>,
}

impl ReportRow {
    /// The asset that is no base of any symbol.
    fn quote(&self) -> &str {
        let quote = self.balances.keys().find(|asset| self.instruments.iter().any(|s| s.ends_with(asset.as_str())));
        quote.map_or("", String::as_str)
    }

    fn balances(&self) -> String {
        let balances: Vec<String> =
            self.balances.iter().map(|(asset, amount)| format!("{} {asset}", plain(*amount))).collect();
        balances.join(", ")
    }
}

impl Row for ReportRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let mut heads = vec![
            "NAME",
            ">ORDERS",
            ">FILLS",
            ">TRIPS",
            ">WIN RATE",
            ">FEES",
            ">REALISED",
            ">UNREALISED",
            ">GRID PROFIT",
            ">DRAWDOWN",
            ">EQUITY",
            "DIGEST",
        ];
        if wide {
            heads.extend(["STRATEGY", "MARKET", ">CANDLES", ">MISSING", ">VETOED", ">OPEN", ">TURNOVER", "BALANCES"]);
        }
        heads
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let quote = self.quote();
        let mut cells = vec![
            self.id.clone(),
            self.orders.to_string(),
            self.fills.to_string(),
            self.round_trips.to_string(),
            percent(self.win_rate),
            money(self.fees, quote),
            signed(self.realised, quote),
            signed(self.unrealised, quote),
            self.grid_profit.map_or_else(|| "-".to_owned(), |profit| signed(profit, quote)),
            percent(self.max_drawdown),
            money(self.equity, quote),
            self.digest.clone(),
        ];
        if wide {
            cells.extend([self.strategy.clone(), self.instruments.join(",")]);
            cells.extend([self.candles, self.missing_candles, self.vetoed, self.open_orders].map(|n| n.to_string()));
            cells.extend([money(self.turnover, quote), self.balances()]);
        }
        cells
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

/// Prints a report document.
pub fn print(out: &Out, document: &Value) -> Result<(), Fault> {
    out.document::<ReportRow>(document)?;
    if out.format == Format::Table {
        let rows: Vec<ReportRow> = rows(document)?;
        out.data("\nclosing balances")?;
        out.lines(rows.iter().map(|row| format!("  {}  {}", row.id, row.balances())))?;
    }
    Ok(())
}
