//! What the rows of the fleet look like on a terminal.

use supervisor_actors::view::{
    AlertRow, ChangeReport, FactRow, InstanceStatus, KillReport, KillStatus, OrderRow, PositionRow, RiskRow, TradeRow,
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
            "STRATEGY", ">EQUITY", "ASSET", ">SENT", ">TRIPS", ">VETOED", ">CANDLES", ">DONE", "CLOCK", "ACCOUNT",
            "NOTE",
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
            self.note.clone(),
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
