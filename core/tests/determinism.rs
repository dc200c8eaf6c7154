//! The same inputs give the same facts and the same digest: twice, across a snapshot, and for no other state. And with
//! a shuffled worklist, where the facts differ, the invariants of gate, position and balances hold.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{backtest, check, check_state, dec, feed, finish, instrument, money, qty, run, spec, synthetic};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use supervisor_core::domain::{Candle, InstrumentIx, Notional, Price, Side};
use supervisor_core::instance::{Digest, Fact, FactRecord, InstanceState};
use supervisor_core::sim::{Backtest, SeededRng};
use supervisor_core::spec::InstanceSpec;

/// A busy grid on one instrument: brakes on, base at the start, a range stop, orders that time out, slow requests.
fn busy_grid() -> InstanceSpec {
    let strategy = "kind = grid; levels = 21; lower = 94; upper = 106; order_value = 400; start = balanced; \
                    trend_filter = on; breaker_timeframe = 5m; stop_loss_price = 90";
    let mut spec =
        spec(strategy, "latency_ms = 12000; queue = touch; spread_pct = 0.02", "max_capital_per_symbol = 0.7");
    spec.capital.base = qty("3.5");
    spec.order_timeout_ms = 3_600_000;
    spec
}

/// A trend follower on two instruments with little room.
fn busy_trend() -> InstanceSpec {
    let strategy = "kind = trend_following; fast = 4; slow = 9; adx_period = 5; atr_period = 5; adx_min = 5; \
                    max_position = 0.5; stop_atr = 1.5; trail_atr = 2; risk_per_trade = 0.05";
    let model = "latency_ms = 300; spread_pct = 0.05; intrabar = pessimistic";
    let mut spec =
        spec(strategy, model, "max_capital_per_symbol = 0.4; max_total_exposure = 0.6; price_collar_pct = 2");
    spec.instruments.push(instrument("ETHUSDT"));
    spec
}

/// Both, each with its market.
fn busy(seed: u64, candles: usize) -> Vec<(InstanceSpec, Vec<Vec<Candle>>)> {
    vec![(busy_grid(), synthetic(seed, 1, candles, "0.08")), (busy_trend(), synthetic(seed + 100, 2, candles, "0.08"))]
}

fn start(spec: &InstanceSpec, tracks: &[Vec<Candle>]) -> Backtest {
    Backtest::new(Arc::new(spec.clone()), feed(tracks.to_vec()))
}

fn digest(state: &InstanceState) -> Digest {
    state.digest("bot".parse().unwrap()).unwrap()
}

#[test]
fn two_runs_give_the_same_facts_and_the_same_digest() {
    let mut digests = BTreeSet::new();
    for (spec, tracks) in busy(1, 2_000) {
        let [(first, one), (second, two)] = [0, 1].map(|_| {
            let mut run = start(&spec, &tracks);
            (finish(&mut run), run.state())
        });
        assert_eq!(first, second);
        assert_eq!(one, two);
        assert_eq!(digest(&one), digest(&two));
        assert_eq!(
            one.report(&spec).unwrap().fills,
            first.iter().filter(|r| matches!(r.fact, Fact::Fill(_))).count() as u64
        );
        assert!(first.len() > 200, "only {} facts", first.len());
        let sequence: Vec<u64> = first.iter().map(|record| record.seq).collect();
        assert_eq!(sequence, (1..=first.len() as u64).collect::<Vec<_>>(), "dense from 1");
        assert!(first.windows(2).all(|pair| pair[0].at <= pair[1].at), "time ran backwards");
        digests.insert(digest(&one));
    }
    for (spec, tracks) in busy(2, 500) {
        digests.insert(digest(&run_all(&spec, &tracks).1));
    }
    assert_eq!(digests.len(), 4, "other inputs, other digests");
}

fn run_all(spec: &InstanceSpec, tracks: &[Vec<Candle>]) -> (Vec<FactRecord>, InstanceState) {
    let mut run = start(spec, tracks);
    (finish(&mut run), run.state())
}

#[test]
fn a_snapshot_anywhere_continues_as_if_nothing_had_happened() {
    let id = "bot".parse().unwrap();
    let mut rng = SeededRng::new(11);
    for (spec, tracks) in busy(3, 700) {
        let (whole, end) = run_all(&spec, &tracks);
        let mut steps = 0_u64;
        let mut count = start(&spec, &tracks);
        while count.advance() {
            steps += 1;
        }
        for _ in 0..25 {
            let mut first = start(&spec, &tracks);
            for _ in 0..rng.below(steps) {
                first.advance();
            }
            let mut facts = first.list_mut().drain_facts();
            let bytes = first.state().encode(id).unwrap();
            let state = InstanceState::decode(id, &bytes).unwrap();
            assert_eq!(state, first.state(), "read back as it was");
            assert_eq!(digest(&state), digest(&first.state()));
            let mut second = Backtest::resume(Arc::new(spec.clone()), feed(tracks.clone()), state);
            facts.extend(finish(&mut second));
            assert_eq!(facts, whole);
            assert_eq!(digest(&second.state()), digest(&end));
            assert_eq!(second.state(), end);
        }
    }
}

#[test]
fn bytes_that_are_no_state_are_an_error() {
    let id = "bot".parse().unwrap();
    let (_, state) = run_all(&busy_grid(), &synthetic(1, 1, 50, "0.05"));
    let bytes = state.encode(id).unwrap();
    assert!(InstanceState::decode(id, &bytes[..bytes.len() / 2]).is_err());
    assert!(InstanceState::decode(id, &[]).is_err());
}

/// Where every number, truth value and text of a tree stands.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(path),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| leaves(item, format!("{path}/{at}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, item)| leaves(item, format!("{path}/{key}"), found));
        }
    }
}

/// Other values for a leaf, best first; none for a word that is no amount.
fn others(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Bool(on) => vec![Value::Bool(!on)],
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), ..) => vec![(n + 1).into(), (n - 1).into()],
            (None, Some(n), _) => vec![(n - 1).into()],
            (None, None, Some(x)) => vec![Value::from(f64::from_bits(x.to_bits() + 1))],
            (None, None, None) => vec![],
        },
        Value::String(text) => {
            text.parse::<Decimal>().map_or(vec![], |x| vec![(x + dec("0.00000001")).to_string().into()])
        }
        Value::Null | Value::Array(_) | Value::Object(_) => vec![],
    }
}

/// Changes every leaf in turn. Answers how many could be changed, how many could not, and what changed unnoticed.
fn plant(state: &InstanceState, seen: &mut BTreeSet<String>) -> (usize, usize, Vec<String>) {
    let right = digest(state);
    let mut tree = serde_json::to_value(state).unwrap();
    assert_eq!(digest(&InstanceState::deserialize(&tree).unwrap()), right, "the tree is the state");
    let mut paths = Vec::new();
    leaves(&tree, String::new(), &mut paths);
    let (mut changed, mut refused, mut unnoticed) = (0, 0, Vec::new());
    for path in paths {
        let leaf = tree.pointer(&path).unwrap().clone();
        let others = others(&leaf);
        if others.is_empty() {
            continue;
        }
        let readable = others.into_iter().find_map(|other| {
            *tree.pointer_mut(&path).unwrap() = other;
            InstanceState::deserialize(&tree).ok()
        });
        *tree.pointer_mut(&path).unwrap() = leaf;
        match readable {
            None => refused += 1,
            Some(other) => {
                changed += 1;
                if digest(&other) == right {
                    unnoticed.push(path.clone());
                }
            }
        }
        seen.insert(path.split('/').filter(|part| part.parse::<u64>().is_err()).collect::<Vec<_>>().join("/"));
    }
    (changed, refused, unnoticed)
}

#[test]
fn a_change_of_any_one_field_changes_the_digest() {
    let mut seen = BTreeSet::new();
    let (mut changed, mut refused) = (0, 0);
    for (spec, tracks) in busy(5, 400) {
        let mut run = start(&spec, &tracks);
        let (mut snapshots, mut step) = (Vec::new(), 0);
        while run.advance() {
            step += 1;
            // Moments with something under way are the richer ones.
            if step > 97 * (snapshots.len() + 1) && snapshots.len() < 2 && run.scheduler().venue().is_busy() {
                snapshots.push(run.state());
            }
        }
        snapshots.push(run.state());
        assert_eq!(snapshots.len(), 3);
        for state in snapshots {
            let (yes, no, unnoticed) = plant(&state, &mut seen);
            assert_eq!(unnoticed, ["/mark/inputs", "/mark/steps"], "the only numbers that the digest leaves out");
            (changed, refused) = (changed + yes, refused + no);
        }
    }
    assert!(changed > 2_000 && refused * 20 <= changed, "{changed} changed, {refused} could not be read");
    for part in [
        "/scheduler/paths/candle/high",
        "/scheduler/wake",
        "/scheduler/cursor",
        "/scheduler/venue/cash",
        "/scheduler/venue/inbound/arrives",
        "/scheduler/venue/books/buys/terms/qty",
        "/stages/market/books/forming/high",
        "/stages/strategy/strategy/grid/lines/ladder/cells/held",
        "/stages/strategy/strategy/grid/lines/filter/agreed",
        "/stages/risk/gate/exposure/holds/price",
        "/stages/risk/gate/latches/killed",
        "/stages/risk/gate/recent/at",
        "/stages/orders/desk/open/filled",
        "/stages/orders/desk/closed/trades/id",
        "/stages/orders/desk/archive",
        "/stages/orders/positions/cost",
        "/stages/orders/monitor/guards/stop",
        "/stages/streak/metrics/peak",
    ] {
        assert!(seen.contains(part), "{part} was not among {seen:#?}");
    }
}

/// Worst-case exposure against the caps after a purchase, at the lower of two marks: a rising price is no order of
/// ours.
fn check_caps(spec: &InstanceSpec, run: &Backtest, bought: &[InstrumentIx], marks: &[Price], about: &str) {
    let gate = run.stages().risk.gate();
    let Some(capital) = gate.capital() else { return };
    let mut total = Notional::ZERO;
    for (ix, mark) in marks.iter().enumerate() {
        let symbol = gate.exposure().symbol(InstrumentIx(ix as u16), *mark);
        let cap = capital * spec.risk.max_capital_per_symbol;
        let judged = bought.contains(&InstrumentIx(ix as u16));
        assert!(!judged || symbol <= cap, "{about}: {symbol} in symbol {ix}, cap {cap}");
        total += symbol;
    }
    let cap = capital * spec.risk.max_total_exposure;
    assert!(total <= cap, "{about}: {total} in total, cap {cap}");
}

fn marks(run: &Backtest) -> Vec<Price> {
    let quotes = run.list().quotes();
    (0..run.list().spec().instruments.len())
        .map(|ix| quotes.get(InstrumentIx(ix as u16)).map_or(Price::ZERO, |quote| quote.last))
        .collect()
}

/// Answers orders and fills of a shuffled run whose invariants held all the way.
fn shuffled(seed: u64, spec: &InstanceSpec, tracks: &[Vec<Candle>]) -> (u64, u64) {
    let about = format!("seed {seed}");
    let mut run = start(spec, tracks).shuffled(SeededRng::new(seed));
    let mut before = marks(&run);
    while run.advance() {
        let facts = run.list_mut().drain_facts();
        let now = marks(&run);
        if facts.is_empty() {
            before = now;
            continue;
        }
        check(spec, run.stages(), run.scheduler().venue(), &about);
        let bought = |record: &FactRecord| match &record.fact {
            Fact::Approved { terms, .. } if terms.side == Side::Buy => Some(terms.instrument),
            _ => None,
        };
        let bought: Vec<InstrumentIx> = facts.iter().filter_map(bought).collect();
        if !bought.is_empty() {
            let lower: Vec<Price> = before.iter().zip(&now).map(|(a, b)| *a.min(b)).collect();
            check_caps(spec, &run, &bought, &lower, &about);
        }
        before = now;
    }
    let desk = run.stages().orders.desk();
    if run.scheduler().live().is_empty() {
        assert!(desk.open().is_empty(), "{about}: orders that no venue knows");
    }
    desk.counts()
}

#[test]
fn a_thousand_shuffled_runs_keep_the_invariants() {
    let markets: Vec<_> = (0..10).map(|market| busy(20 + market, 250)).collect();
    let (mut orders, mut fills) = (0, 0);
    for seed in 0..1_000_u64 {
        let (spec, tracks) = &markets[seed as usize / 2 % 10][seed as usize % 2];
        let (placed, filled) = shuffled(seed, spec, tracks);
        (orders, fills) = (orders + placed, fills + filled);
    }
    assert!(orders > 10_000 && fills > 5_000, "{orders} orders, {fills} fills");
}

#[test]
fn a_shuffle_is_a_shuffle_and_has_its_own_seed() {
    let (spec, tracks) = (busy_grid(), synthetic(20, 1, 250, "0.08"));
    let shuffled = |seed| {
        let mut run = start(&spec, &tracks).shuffled(SeededRng::new(seed));
        (finish(&mut run), digest(&run.state()))
    };
    assert_eq!(shuffled(1), shuffled(1));
    assert_ne!(shuffled(1).0, shuffled(2).0);
    assert_ne!(shuffled(1).0, run_all(&spec, &tracks).0);
}

#[test]
fn a_run_without_orders_keeps_its_capital() {
    let spec = spec("kind = trend_following; fast = 999; slow = 1000", "", "");
    let (facts, state) = run(&spec, &synthetic(9, 1, 300, "0.05")[0]);
    assert!(facts.iter().all(|record| matches!(record.fact, Fact::Gap(_))), "{facts:?}");
    assert_eq!(state.scheduler.venue.cash(), money("10000"));
    check_state(&spec, &state, "idle");
    assert!(backtest(&spec, &[]).state().digest(spec.id).is_ok());
}
