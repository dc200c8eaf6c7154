//! What the rows of the fleet look like on a terminal.

use supervisor_actors::view::{
    AlertRow, BackupRow, ChangeReport, FactRow, InstanceStatus, KillReport, KillStatus, OrderRow, PositionRow, RiskRow,
    StoreRow, TradeRow,
};

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
            ">CANDLES",
            ">DONE",
            "CLOCK",
            "ACCOUNT",
            ">RETRY IN",
            "NOTE",
            "LAST PANIC",
            "WARNINGS",
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
            self.candles.to_string(),
            done(self),
            self.clock.clone(),
            self.account.clone(),
            self.retry_in_ms.map_or_else(|| "-".to_owned(), wait),
            self.note.clone(),
            self.last_panic.clone().unwrap_or_default(),
            self.warnings.join("; "),
        ];
        cells(narrow, more, wide)
    }

    fn name(&self) -> String {
        self.id.clone()
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
        heads(&narrow, &["PURPOSE", "ORIGIN", "SENT"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let state = if self.cancel_wanted { format!("{} (cancel)", self.state) } else { self.state.clone() };
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
        cells(narrow, [self.purpose.clone(), self.origin.clone(), self.sent.clone()], wide)
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

/// A size for people: `512 B`, `1.4 kB`, `12.3 MB`; decimal units.
pub fn size(bytes: u64) -> String {
    let in_units = |unit: u64, word: &str| format!("{}.{} {word}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => in_units(1_000, "kB"),
        1_000_000..1_000_000_000 => in_units(1_000_000, "MB"),
        _ => in_units(1_000_000_000, "GB"),
    }
}

fn verdict(is_whole: bool) -> String {
    if is_whole { "ok" } else { "damaged" }.to_owned()
}

impl Row for BackupRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let narrow = ["NAME", "CREATED", ">EPOCH", ">BOTS", ">FACTS", ">SIZE", "STATE"];
        heads(&narrow, &[">SNAPSHOTS", "PROBLEM"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let narrow = [
            self.name.clone(),
            if self.created.is_empty() { "-".to_owned() } else { self.created.clone() },
            self.epoch.to_string(),
            self.instances.to_string(),
            self.facts.to_string(),
            size(self.bytes),
            verdict(self.problem.is_none()),
        ];
        cells(narrow, [self.snapshots.to_string(), self.problem.clone().unwrap_or_default()], wide)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Row for StoreRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        heads(&["NAME", ">FACTS", "FIRST", "LAST", ">SNAPSHOTS", "STATE"], &["PROBLEMS"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let narrow = [
            self.name(),
            self.facts.to_string(),
            or_none(&self.first),
            or_none(&self.last),
            self.snapshots.to_string(),
            verdict(self.problems.is_empty()),
        ];
        cells(narrow, [self.problems.join("; ")], wide)
    }

    /// What belongs to no bot is the store's own.
    fn name(&self) -> String {
        if self.instance.is_empty() { "(store)".to_owned() } else { self.instance.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_waits_use_their_largest_unit() {
        assert_eq!([0, 999, 1_000, 1_450].map(size), ["0 B", "999 B", "1.0 kB", "1.4 kB"]);
        assert_eq!([12_345_678, 3_000_000_000].map(size), ["12.3 MB", "3.0 GB"]);
        assert_eq!([250, 999, 1_000, 90_000].map(wait), ["250ms", "999ms", "1s", "1m"]);
    }

    #[test]
    fn a_damaged_backup_or_store_says_so_in_its_row() {
        let row = BackupRow {
            name: "b".into(),
            created: String::new(),
            epoch: 3,
            instances: 2,
            facts: 70,
            snapshots: 4,
            bytes: 1_500,
            problem: Some("record 7: checksum".into()),
        };
        assert_eq!(row.cells(false), ["b", "-", "3", "2", "70", "1.5 kB", "damaged"]);
        assert_eq!(row.cells(true)[7..], ["4", "record 7: checksum"]);
        assert_eq!(BackupRow::heads(true).len(), row.cells(true).len());
        let whole = StoreRow {
            instance: String::new(),
            facts: 0,
            first: String::new(),
            last: String::new(),
            snapshots: 0,
            problems: Vec::new(),
        };
        assert_eq!(whole.cells(false), ["(store)", "0", "-", "-", "0", "ok"]);
    }
}
