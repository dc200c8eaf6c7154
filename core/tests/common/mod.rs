//! What the tests of the core share: amounts from text, specs, candles, a run of a backtest, readable outboxes.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

pub mod revising;

use std::sync::Arc;

use rust_decimal::Decimal;
use supervisor_core::domain::{
    Candle, Instrument, InstrumentIx, Notional, OrderKind, Price, Purpose, Qty, Quote, Quotes, Side, Tag, Timeframe,
    Timestamp, split_symbol,
};
use supervisor_core::instance::{Audit, Control, Event, Fact, FactRecord, InstanceState, Stages};
use supervisor_core::orders::{CancelScope, Intent, Origin, Reason};
use supervisor_core::params::{Reader, Table, Value};
use supervisor_core::sim::{
    Backtest, PaperVenue, Recording, ReplayFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles,
};
use supervisor_core::spec::{
    Capital, ExitRules, InstanceSpec, Mode, OnStop, RiskLimits, VenueFaults, VenueModel, VenueTraits,
};
use supervisor_core::strategy::{Note, StrategyParams};

pub const MINUTE: i64 = 60_000;
pub const BTC: InstrumentIx = InstrumentIx(0);

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

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// `"levels = 5; start = cash"` as a table: what begins like a number is one, all else is text.
pub fn table(text: &str) -> Table {
    let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            let value = value.trim();
            let value = match value {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ if value.parse::<Decimal>().is_ok() => Value::Number(value.to_owned()),
                _ => Value::Text(value.to_owned()),
            };
            (key.trim().to_owned(), value)
        })
        .collect()
}

fn read<T>(text: &str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
    let table = table(text);
    let mut problems = Vec::new();
    let mut reader = Reader::new(&table, &mut problems);
    let value = read(&mut reader);
    reader.finish();
    assert!(problems.is_empty(), "{problems:?}");
    value
}

pub fn instrument(symbol: &str) -> Instrument {
    let symbol = symbol.parse().unwrap();
    let (base, quote) = split_symbol(symbol).unwrap();
    Instrument { symbol, base, quote, tick: dec("0.01"), lot: dec("0.001"), notional_min: money("5") }
}

/// A bot with 10 000 USDT on BTCUSDT (tick 0.01, lot 0.001, minimum 5). No latency, no spread, fees of 0.1 %, generous
/// limits, unless `venue` and `risk` say otherwise.
pub fn spec(strategy: &str, venue: &str, risk: &str) -> InstanceSpec {
    let or = |text: &str, keys: &[(&str, &str)]| {
        let missing = keys.iter().filter(|(key, _)| !table(text).contains_key(*key));
        missing.fold(text.to_owned(), |text, (key, value)| format!("{text}; {key} = {value}"))
    };
    let venue = or(venue, &[("latency_ms", "0"), ("spread_pct", "0")]);
    let risk = or(
        risk,
        &[
            ("max_total_exposure", "1"),
            ("max_capital_per_symbol", "1"),
            ("min_order_value", "5"),
            ("price_collar_pct", "50"),
        ],
    );
    InstanceSpec {
        id: "bot".parse().unwrap(),
        instruments: vec![instrument("BTCUSDT")],
        timeframe: Timeframe::from_millis(MINUTE),
        capital: Capital { quote: money("10000"), base: Qty::ZERO },
        mode: Mode::Paper,
        venue_model: read(&venue, VenueModel::read),
        strategy: read(strategy, StrategyParams::read).unwrap(),
        risk: read(&risk, |reader| RiskLimits::read(reader, 90_000)),
        order_timeout_ms: 86_400_000,
        on_stop: OnStop::CancelEntries,
        venue: VenueTraits::PAPER,
        exits: ExitRules::default(),
        faults: VenueFaults::default(),
    }
}

/// Candle number `minute` from four prices.
pub fn candle(minute: i64, prices: [&str; 4]) -> Candle {
    let [open, high, low, close] = prices.map(price);
    let open_time = at(minute * MINUTE);
    Candle { open_time, close_time: open_time + (MINUTE - 1), open, high, low, close, volume: qty("1") }
}

/// Candles whose prices follow a list of closes: each opens where the last closed.
pub fn walk(closes: &[&str]) -> Vec<Candle> {
    let mut before = closes[0];
    let mut candles = Vec::new();
    for (minute, close) in closes.iter().enumerate() {
        let (high, low) = if dec(close) > dec(before) { (*close, before) } else { (before, *close) };
        candles.push(candle(minute as i64, [before, high, low, close]));
        before = close;
    }
    candles
}

pub fn feed(tracks: Vec<Vec<Candle>>) -> Box<ReplayFeed> {
    let track = |(ix, candles)| (InstrumentIx(ix as u16), Recording::Candles(Arc::new(candles)));
    Box::new(ReplayFeed::new(tracks.into_iter().enumerate().map(track).collect()))
}

/// Seeded candles around 100.
pub fn synthetic(seed: u64, instruments: usize, candles: usize, volatility_day: &str) -> Vec<Vec<Candle>> {
    let one = |ix: usize| {
        let start_price = price("100");
        let volatility_day = dec(volatility_day);
        let spec = SyntheticSpec {
            seed: seed * 7 + ix as u64,
            start: at(0),
            interval: Timeframe::from_millis(MINUTE),
            instruments: vec![SyntheticInstrument { start_price, tick: dec("0.01"), volatility_day }],
            candles: None,
        };
        synthetic_candles(&spec, candles).unwrap()
    };
    (0..instruments).map(one).collect()
}

pub fn backtest(spec: &InstanceSpec, candles: &[Candle]) -> Backtest {
    Backtest::new(Arc::new(spec.clone()), feed(vec![candles.to_vec()]))
}

pub fn finish(backtest: &mut Backtest) -> Vec<FactRecord> {
    let mut facts = Vec::new();
    backtest.run(|batch| facts.extend(batch));
    facts
}

pub fn run(spec: &InstanceSpec, candles: &[Candle]) -> (Vec<FactRecord>, InstanceState) {
    let mut backtest = backtest(spec, candles);
    let facts = finish(&mut backtest);
    (facts, backtest.state())
}

pub fn command(backtest: &mut Backtest, control: Control) {
    let (by, reason, request) = ("test".to_owned(), "a test".to_owned(), "1".to_owned());
    let now = backtest.list().clock();
    backtest.list_mut().command(now, Audit::new(control, by, reason, request));
    backtest.settle();
}

/// Advances until the clock has reached `ms` or the feed has ended.
pub fn advance_to(backtest: &mut Backtest, ms: i64) {
    while backtest.list().clock() < at(ms) && backtest.advance() {}
}

pub fn intent(side: Side, kind: OrderKind, amount: &str, purpose: Purpose, tag: u32) -> Intent {
    Intent {
        tag: Tag(tag),
        instrument: BTC,
        side,
        kind,
        qty: qty(amount),
        purpose,
        origin: Origin::Strategy,
        protect: None,
        reason: Reason::GridLine { line: 0 },
    }
}

pub fn limit(text: &str) -> OrderKind {
    OrderKind::Limit(price(text))
}

pub fn market(bound: Option<&str>) -> OrderKind {
    OrderKind::Market { bound: bound.map(price) }
}

pub fn quoted(ms: i64, last: &str) -> Quotes {
    let mut quotes = Quotes::new(1);
    quotes.set(BTC, Quote { at: at(ms), last: price(last) });
    quotes
}

fn kind_text(kind: OrderKind) -> String {
    match kind {
        OrderKind::Limit(price) => format!("limit {price}"),
        OrderKind::Market { bound: None } => "market".to_owned(),
        OrderKind::Market { bound: Some(bound) } => format!("market to {bound}"),
    }
}

/// One line per event, for exact comparison.
pub fn event_line(event: &Event) -> String {
    match event {
        Event::Place(order) => format!("place {}", order.terms().order.0),
        Event::Withdraw(order) => format!("withdraw {}", order.0),
        Event::OrderMoved(order, life) => format!("{} is {life}", order.0),
        Event::OrderRefused(order, news) => format!("{} refuses {news:?}", order.0),
        Event::Fill(fill) => format!("fill {} {} {} at {}", fill.order.0, fill.side, fill.qty, fill.price),
        Event::Ended(ended) => format!("ended {} {} with {}", ended.terms.order.0, ended.life, ended.filled),
        Event::RoundTrip(trip) => format!("trip {} {:?}", trip.profit(), trip.exit),
        Event::Guarded(_, why) => format!("guarded {why:?}"),
        Event::Watch(on) => format!("watch {on}"),
        Event::Late(order, life) => format!("{} had ended as {life}", order.0),
        Event::Wake(None) => "wake never".to_owned(),
        Event::Wake(Some(at)) => format!("wake {}", at.millis()),
        Event::Intent(i) => format!("intent {} {} {} {:?} {}", i.side, i.qty, kind_text(i.kind), i.purpose, i.reason),
        Event::Cancel(request) => match request.scope {
            CancelScope::Order(order) => format!("cancel {} {:?}", order.0, request.reason),
            CancelScope::Tagged(_, tag) => format!("cancel tag {} {:?}", tag.0, request.reason),
            CancelScope::Entries(_) => format!("cancel entries {:?}", request.reason),
            CancelScope::Instrument(_) => format!("cancel all {:?}", request.reason),
        },
        other => format!("{other:?}"),
    }
}

/// One line per fact, without its moment.
pub fn fact_line(fact: &Fact) -> String {
    match fact {
        Fact::Approved { terms, .. } => {
            format!("order {} {} {} {}", terms.order.0, terms.side, terms.qty, kind_text(terms.kind))
        }
        Fact::Fill(fill) => {
            format!("fill {} {} {} at {} fee {}", fill.order.0, fill.side, fill.qty, fill.price, fill.fee)
        }
        Fact::OrderMoved(order, life) => format!("{} is {life}", order.0),
        Fact::Ended(ended) => format!("ended {} {}", ended.terms.order.0, ended.life),
        Fact::RoundTrip(trip) => format!("trip {} {:?}", trip.profit(), trip.exit),
        Fact::Vetoed { veto, .. } => format!("veto {} {}", veto.order.0, veto.code),
        Fact::WouldSubmit { veto, .. } => {
            format!("would {} {} {}", veto.side, veto.qty, kind_text(veto.kind))
        }
        Fact::Guarded(_, why) => format!("guarded {why:?}"),
        Fact::CancelWanted(request) => event_line(&Event::Cancel(*request)),
        other => format!("{other:?}"),
    }
}

/// The lines of all facts that `wanted` picks by their word.
pub fn lines(facts: &[FactRecord], wanted: &[&str]) -> Vec<String> {
    facts.iter().filter(|r| wanted.contains(&r.fact.word())).map(|r| fact_line(&r.fact)).collect()
}

pub const ORDERS: [&str; 1] = ["order.approved"];

pub fn notes(facts: &[FactRecord]) -> Vec<Note> {
    facts.iter().filter_map(|r| if let Fact::Note(_, note) = r.fact { Some(note) } else { None }).collect()
}

/// A run that has taken so many candles.
pub fn running(spec: &InstanceSpec, candles: &[Candle], minutes: i64) -> Backtest {
    let mut backtest = backtest(spec, candles);
    advance_to(&mut backtest, minutes * MINUTE - 1);
    backtest
}

/// What must hold whenever the worklist is empty: no balance is overdrawn, and gate, desk and venue count the same.
pub fn check_state(spec: &InstanceSpec, state: &InstanceState, about: &str) {
    check(spec, &state.stages, &state.scheduler.venue, about);
}

/// The same, for a look into a run.
pub fn check(spec: &InstanceSpec, stages: &Stages, venue: &PaperVenue, about: &str) {
    let exposure = stages.risk.gate().exposure();
    assert!(!exposure.free_quote().is_negative(), "{about}: free quote {}", exposure.free_quote());
    assert!(!venue.cash().is_negative(), "{about}: venue cash {}", venue.cash());
    assert_eq!(exposure.cash(), venue.cash(), "{about}: cash of gate and venue");
    assert_eq!(exposure.cash(), stages.streak.cash(), "{about}: cash of gate and streak");
    for (ix, position) in stages.orders.positions().iter().enumerate() {
        let ix = InstrumentIx(ix as u16);
        let line = exposure.line(ix);
        assert!(!exposure.free_base(ix).is_negative(), "{about}: sells held {} of {}", line.sell_held, line.position);
        assert!(!line.buy_held.is_negative() && !line.sell_held.is_negative(), "{about}: {line:?}");
        assert_eq!(line.position, position.qty(), "{about}: position of gate and desk");
        assert_eq!(line.position, venue.base(ix), "{about}: position of gate and venue");
    }
    let desk = stages.orders.desk();
    assert!(desk.open().values().all(|order| order.filled < order.terms.qty), "{about}: an open order that is full");
    let open: Vec<_> = desk.open().keys().copied().collect();
    let held: Vec<_> = exposure.holds().keys().copied().collect();
    assert_eq!(open, held, "{about}: open orders and holds");
    // Where messages get lost, the desk finds out only later.
    if venue.next_arrival().is_none() && !spec.faults.any() {
        let mut live = venue.live();
        live.sort();
        assert_eq!(open, live, "{about}: open orders of desk and venue");
    }
    let capital = stages.risk.gate().capital().unwrap_or(spec.capital.quote);
    assert!(capital.is_positive() || spec.capital.base.is_positive(), "{about}: shares of {capital}");
}
