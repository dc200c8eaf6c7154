//! Tests of the ledger: bots that record facts, and a venue that says things.

mod balances;
mod bounds;
mod crossing;
mod edges;
mod following;
mod listing;
mod polling;
mod random;
mod trading;
mod void;

use rust_decimal::Decimal;

use super::*;
use crate::domain::{Fill, Instrument, OrderNo, Tag, Timeframe};
use crate::instance::{Audit, Control, Fact, FactRecord, Input};
use crate::orders::{Life, OrderEnded, OrderView, Origin, Reason, Report};
use crate::params::{Reader, Table, Value};
use crate::spec::{Capital, ExitRules, Mode, OnStop, RiskLimits, VenueFaults, VenueModel};
use crate::strategy::StrategyParams;

pub const BTC: &str = "BTCUSDT";
pub const ETH: &str = "ETHUSDT";

pub fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn price(text: &str) -> Price {
    Price::new(dec(text))
}

pub fn qty(text: &str) -> Qty {
    Qty::new(dec(text))
}

pub fn money(text: &str) -> Notional {
    Notional::new(dec(text))
}

/// Some day, so many milliseconds in.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

pub fn id(name: &str) -> InstanceId {
    name.parse().unwrap()
}

pub fn asset(name: &str) -> Asset {
    name.parse().unwrap()
}

pub fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

pub fn spec(name: &str, capital: (&str, &str), symbols: &[&str]) -> InstanceSpec {
    let instrument = |name: &&str| {
        let (base, quote) = split_symbol(symbol(name)).unwrap();
        let (tick, lot) = (dec("0.01"), dec("0.001"));
        Instrument { symbol: symbol(name), base, quote, tick, lot, notional_min: money("5") }
    };
    let keys: Table = [("kind", "trend_following")].map(|(k, v)| (k.to_owned(), Value::Text(v.to_owned()))).into();
    let (empty, mut problems) = (Table::new(), Vec::new());
    InstanceSpec {
        id: id(name),
        instruments: symbols.iter().map(instrument).collect(),
        timeframe: Timeframe::from_millis(60_000),
        capital: Capital { quote: money(capital.0), base: qty(capital.1) },
        mode: Mode::Paper,
        venue_model: VenueModel::read(&mut Reader::new(&empty, &mut problems)),
        strategy: StrategyParams::read(&mut Reader::new(&keys, &mut problems)).unwrap(),
        risk: RiskLimits::read(&mut Reader::new(&empty, &mut problems), 90_000),
        order_timeout_ms: 86_400_000,
        on_stop: OnStop::CancelEntries,
        venue: VenueTraits::OUTSIDE,
        exits: ExitRules::default(),
        faults: VenueFaults::default(),
    }
}

/// A limit order of the first instrument.
pub fn limit(order: u64, side: Side, at: &str, size: &str) -> Terms {
    Terms {
        order: OrderNo(order),
        tag: Tag(7),
        instrument: InstrumentIx(0),
        side,
        kind: OrderKind::Limit(price(at)),
        qty: qty(size),
        purpose: Purpose::Entry,
        origin: Origin::Strategy,
    }
}

pub fn market(order: u64, side: Side, bound: Option<&str>) -> Terms {
    Terms { kind: OrderKind::Market { bound: bound.map(price) }, ..limit(order, side, "1", "1") }
}

pub fn exit(terms: Terms) -> Terms {
    Terms { purpose: Purpose::Exit, ..terms }
}

pub fn client(name: &str, epoch: u32, order: u64) -> ClientId {
    ClientId { instance: id(name), epoch, order: OrderNo(order) }
}

/// A ledger and the numbers of its instances' facts.
pub struct Account {
    pub ledger: Ledger,
    seqs: BTreeMap<InstanceId, u64>,
    /// Every fact of every instance.
    pub journal: Vec<(InstanceId, FactRecord)>,
}

impl Account {
    /// Bots `a` and `b` with 1000 USDT each; both trade BTC first and ETH second.
    pub fn new() -> Self {
        let mut account = Self::empty();
        account.ledger.register(at(0), &spec("a", ("1000", "0"), &[BTC, ETH]), 1);
        account.ledger.register(at(0), &spec("b", ("1000", "0"), &[BTC, ETH]), 1);
        account
    }

    pub fn empty() -> Self {
        Self { ledger: Ledger::new(VenueTraits::OUTSIDE), seqs: BTreeMap::new(), journal: Vec::new() }
    }

    /// The same after an opening statement of 5000 USDT.
    pub fn opened() -> Self {
        let mut account = Self::new();
        let news = account.state(1, &[("USDT", "5000")]);
        assert_eq!(news, vec![BalanceNews::Opened(at(1))]);
        account
    }

    pub fn fact(&mut self, ms: i64, name: &str, fact: Fact) {
        let seq = self.seqs.entry(id(name)).or_insert(0);
        *seq += 1;
        let record = FactRecord { seq: *seq, at: at(ms), cause: 0, fact };
        self.ledger.follow(id(name), &record).unwrap();
        self.journal.push((id(name), record));
    }

    pub fn approve(&mut self, ms: i64, name: &str, terms: Terms) {
        self.fact(ms, name, Fact::Approved { terms, reason: Reason::Flatten });
    }

    /// Approved, through the port, and acknowledged.
    pub fn rest(&mut self, ms: i64, name: &str, terms: Terms) {
        self.approve(ms, name, terms);
        self.ledger.place(at(ms), id(name), 1, &terms).unwrap();
        self.fact(ms, name, Fact::OrderMoved(terms.order, Life::Open));
    }

    pub fn end(&mut self, ms: i64, name: &str, terms: Terms, life: Life) {
        self.fact(ms, name, Fact::OrderMoved(terms.order, life));
        self.fact(ms, name, Fact::Ended(OrderEnded { terms, life, filled: Qty::ZERO, reason: None }));
    }

    pub fn state(&mut self, ms: i64, balances: &[(&str, &str)]) -> Vec<BalanceNews> {
        let balance = |(name, total): &(&str, &str)| Balance { asset: asset(name), total: dec(total) };
        let stated: Vec<Balance> = balances.iter().map(balance).collect();
        self.ledger.on_balances(at(ms), at(ms), &stated)
    }

    pub fn list(&mut self, ms: i64, orders: &[VenueOrder]) -> Vec<(InstanceId, Report)> {
        self.ledger.on_orders(at(ms), at(ms), at(ms), orders)
    }
}

pub fn listed(client: Option<ClientId>, number: u64, terms: &Terms, filled: &str, seq: u64) -> VenueOrder {
    VenueOrder {
        client,
        id: number,
        symbol: symbol(BTC),
        side: terms.side,
        kind: terms.kind,
        qty: terms.qty,
        filled: qty(filled),
        state: VenueState::Open,
        seq,
    }
}

/// An execution of BTC at 100, fee 0.1 a unit.
pub fn executed(client: Option<ClientId>, trade: u64, side: Side, size: &str, ms: i64) -> VenueTrade {
    VenueTrade {
        client,
        trade: TradeId(trade),
        symbol: symbol(BTC),
        side,
        price: price("100"),
        qty: qty(size),
        fee: money("0.1") * dec(size),
        maker: true,
        at: at(ms),
    }
}

/// The fill in a report.
pub fn fill_of(report: &Report) -> Fill {
    match report {
        Report::Fill(fill) => *fill,
        other => panic!("no fill: {other:?}"),
    }
}

pub fn state_of(report: &Report) -> OrderView {
    match report {
        Report::State(view) => *view,
        other => panic!("no state: {other:?}"),
    }
}

pub fn reconcile(epoch: u32) -> Fact {
    Fact::Control(Box::new(Audit::by_supervisor(Control::Reconcile(epoch), "start")))
}

pub fn told(report: Report) -> Fact {
    Fact::Input { input: Box::new(Input::Report(report)), step: 0 }
}
