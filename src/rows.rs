//! What the rows of the fleet look like on a terminal.

mod stored;

use supervisor_actors::view::{
    AlertRow, ChangeReport, FactRow, InstanceStatus, KillReport, KillStatus, OrderRow, PositionRow, RiskRow, TradeRow,
};

pub use stored::size;

use crate::out::Row;
use crate::table::{age, maybe, money, percent, plain, signed};

fn heads(narrow: &[&'static str], more: &[&'static str], wide: bool) -> Vec<&'static str> {
    narrow.iter().chain(more.iter().filter(|_| wide)).copied().collect()
}

fn cells<const N: usize, const M: usize>(narrow: [String; N], more: [String; M], wide: bool) -> Vec<String> {
    narrow.into_iter().chain(more.into_iter().filter(|_| wide)).collect()
}

impl Row for InstanceStatus {
    fn heads(wide: bool) -> Vec<&'static str> {
        let narrow = [
            "NAME",
            "STATE",
            "MODE",
            "MARKET",
            ">DAY P&L",
            ">TOTAL",
            ">DRAWDOWN",
            ">ORDERS",
            ">FILLS",
            ">DOUBT",
            ">RESTARTS",
            ">AGE",
        ];
        let more = [
            "STRATEGY",
            ">EQUITY",
            "ASSET",
            ">SENT",
            ">TRIPS",
            ">VETOED",
            ">HELD",
            "RECONCILED",
            ">CANDLES",
            ">DONE",
            "CLOCK",
            "ACCOUNT",
            ">RETRY IN",
            "NOTE",
            "LAST PANIC",
            "WARNINGS",
            "DIFFERENCES",
        ];
        heads(&narrow, &more, wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let narrow = [
            self.id.clone(),
            self.state.word().to_owned(),
            mode(&self.mode),
            self.market.clone(),
            signed(self.day_profit, &self.asset),
            signed(self.total_profit, &self.asset),
            percent(self.max_drawdown),
            self.open_orders.to_string(),
            self.fills.to_string(),
            doubt(self),
            self.restarts.to_string(),
            age(self.up_ms),
        ];
        let more = [
            self.strategy.clone(),
            money(self.equity, &self.asset),
            self.asset.clone(),
            self.orders.to_string(),
            self.round_trips.to_string(),
            self.vetoed.to_string(),
            money(self.certainty.held, &self.asset),
            self.certainty.reconciled.clone(),
            self.candles.to_string(),
            done(self),
            self.clock.clone(),
            self.account.clone(),
            self.retry_in_ms.map_or_else(|| "-".to_owned(), wait),
            self.note.clone(),
            self.last_panic.clone().unwrap_or_default(),
            self.warnings.join("; "),
            self.certainty.differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        ];
        cells(narrow, more, wide)
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

/// Columns of the table that say something: restarts once there was one, doubt while there is some.
pub fn telling(found: &[InstanceStatus]) -> Vec<usize> {
    let is_idle = |head: &str| match head {
        ">RESTARTS" => found.iter().all(|row| row.restarts == 0),
        ">DOUBT" => found.iter().all(|row| row.certainty.is_calm()),
        _ => false,
    };
    let heads = InstanceStatus::heads(false);
    (0..heads.len()).filter(|at| !is_idle(heads[*at])).collect()
}

/// The worst of what is not certain: `differs`, `disputed`, or how many are in doubt and for how long.
fn doubt(status: &InstanceStatus) -> String {
    let certainty = &status.certainty;
    if !certainty.differences.is_empty() {
        "differs".to_owned()
    } else if certainty.disputed > 0 {
        format!("{} disputed", certainty.disputed)
    } else if certainty.in_doubt > 0 {
        let oldest = certainty.oldest_doubt_s.map(|s| format!(" ({})", age(s.saturating_mul(1_000))));
        format!("{}{}", certainty.in_doubt, oldest.unwrap_or_default())
    } else {
        "-".to_owned()
    }
}

/// Money that is real stands out.
fn mode(mode: &str) -> String {
    if mode == "live" { mode.to_uppercase() } else { mode.to_owned() }
}

/// A time to wait for: `250ms`, `3s`, `2m`.
pub fn wait(ms: u64) -> String {
    if ms < 1_000 { format!("{ms}ms") } else { age(ms) }
}

/// How much of a finite feed is done.
pub fn done(status: &InstanceStatus) -> String {
    match status.progress {
        Some(_) if status.ended => "ended".to_owned(),
        Some(share) => format!("{:.0}%", share * 100.0),
        None => "-".to_owned(),
    }
}

impl Row for OrderRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let narrow = ["ORDER", "BOT", "SYMBOL", "SIDE", "KIND", ">PRICE", ">QTY", ">FILLED", "STATE"];
        heads(&narrow, &["PURPOSE", "ORIGIN", "SENT", "ASKED"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let cancel = if self.cancel_wanted { " (cancel)" } else { "" };
        let asked = self.doubt_s.map(|s| format!(" {}", age(s.saturating_mul(1_000)))).unwrap_or_default();
        let state = format!("{}{asked}{cancel}", self.state);
        let narrow = [
            self.id.clone(),
            self.instance.clone(),
            self.symbol.clone(),
            self.side.clone(),
            self.kind.clone(),
            maybe(self.price),
            plain(self.qty),
            plain(self.filled),
            state,
        ];
        let why = self.doubt.clone().unwrap_or_default();
        cells(narrow, [self.purpose.clone(), self.origin.clone(), self.sent.clone(), why], wide)
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

impl Row for PositionRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let narrow = ["BOT", "SYMBOL", ">QTY", ">ENTRY", ">MARK", ">UNREALISED", ">REALISED"];
        heads(&narrow, &[">FEES", ">STOP", ">TARGET"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let narrow = [
            self.instance.clone(),
            self.symbol.clone(),
            plain(self.qty),
            maybe(self.entry),
            maybe(self.mark),
            signed(self.unrealised, quote(&self.symbol)),
            signed(self.realised, quote(&self.symbol)),
        ];
        cells(narrow, [money(self.fees, quote(&self.symbol)), maybe(self.stop), maybe(self.target)], wide)
    }

    fn name(&self) -> String {
        format!("{}/{}", self.instance, self.symbol)
    }
}

/// The quote asset as far as rounding needs it: dollars and their like, or something else.
fn quote(symbol: &str) -> &str {
    ["USDT", "USDC", "USD", "EUR"].into_iter().find(|asset| symbol.ends_with(asset)).unwrap_or_default()
}

impl Row for TradeRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        heads(&["AT", "BOT", "SYMBOL", "SIDE", ">PRICE", ">QTY", ">FEE", "ORDER"], &["MAKER", ">CAUSE"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let narrow = [
            self.at.clone(),
            self.instance.clone(),
            self.symbol.clone(),
            self.side.clone(),
            plain(self.price),
            plain(self.qty),
            plain(self.fee),
            self.order.clone(),
        ];
        cells(narrow, [if self.maker { "maker" } else { "taker" }.to_owned(), self.cause.to_string()], wide)
    }

    fn name(&self) -> String {
        self.order.clone()
    }
}

/// A fact as a line for people.
pub fn line(fact: &FactRow) -> String {
    let FactRow { at, instance, event, text, cause, .. } = fact;
    format!("{at}  {instance}  {event}  {text}  (cause {cause})")
}

impl Row for FactRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        heads(&["AT", "EVENT", "TEXT"], &["ORDER", ">CAUSE", "CURSOR"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let order = self.order.clone().unwrap_or_default();
        let narrow = [self.at.clone(), self.event.clone(), self.text.clone()];
        cells(narrow, [order, self.cause.to_string(), self.cursor.clone()], wide)
    }

    fn name(&self) -> String {
        self.cursor.clone()
    }
}

impl Row for AlertRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["AT", "SEVERITY", "BOT", "CODE", "TEXT"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        let Self { at, severity, instance, code, text } = self.clone();
        vec![at, severity, instance, code, text]
    }

    fn name(&self) -> String {
        self.code.clone()
    }
}

impl Row for RiskRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["RULE", "KEY", "APPLIES", "LIMIT", ">USED", "NOTE"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        let Self { rule, key, applies, note, limit, used } = self.clone();
        vec![rule, key, applies, limit, maybe(used), note]
    }

    fn name(&self) -> String {
        self.rule.clone()
    }
}

impl Row for ChangeReport {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["NAME", "STATE", "TEXT"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.id.clone(), self.state.word().to_owned(), self.text.clone()]
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

impl Row for KillStatus {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["KILL SWITCH", "SINCE", "BY", "REASON"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        vec![self.name(), or_none(&self.at), or_none(&self.by), or_none(&self.reason)]
    }

    fn name(&self) -> String {
        if self.on { "ON" } else { "off" }.to_owned()
    }
}

impl Row for KillReport {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["KILL SWITCH", "SINCE", ">HALTED", ">OPEN BEFORE", ">OPEN AFTER"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        let counts = [self.halted, self.open_before, self.open_after].map(|count| count.to_string());
        [self.kill.name(), self.kill.at.clone()].into_iter().chain(counts).collect()
    }

    fn name(&self) -> String {
        self.kill.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_use_their_largest_unit() {
        assert_eq!([250, 999, 1_000, 90_000].map(wait), ["250ms", "999ms", "1s", "1m"]);
    }
}
