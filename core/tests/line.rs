//! A paper venue whose messages get lost: no order is lost with them, none is sent twice, and what was cut off in the
//! middle of a doubt comes back in it.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;
#[path = "recovery/live.rs"]
mod live;

use std::collections::{BTreeMap, BTreeSet};

use common::{MINUTE, advance_to, check, command, dec, feed, run, spec, synthetic};
use live::{Left, Live, Plan, Told, brought_back};
use supervisor_core::domain::{Candle, OrderNo, Qty};
use supervisor_core::instance::{Control, Fact, FactRecord};
use supervisor_core::orders::Life;
use supervisor_core::sim::Backtest;
use supervisor_core::spec::{InstanceSpec, OnStop, VenueFaults, VenueTraits};

const GRID: &str = "kind = grid; levels = 21; width_pct = 8; order_value = 200; start = balanced";
const TREND: &str = "kind = trend_following; fast = 3; slow = 8; adx_period = 4; atr_period = 4; adx_min = 5; \
                     max_position = 0.5; stop_atr = 1; trail_atr = 2; risk_per_trade = 0.05";

fn losing(strategy: &str, share: &str, seed: u64) -> InstanceSpec {
    let faults = VenueFaults { lost_requests: dec(share), lost_answers: dec(share), seed };
    let certain = spec(strategy, "latency_ms = 50; queue = touch; spread_pct = 0.02", "max_capital_per_symbol = 0.8");
    InstanceSpec { venue: VenueTraits::OUTSIDE, faults, ..certain }
}

/// What of the orders happened, by the facts.
#[derive(Default)]
struct Seen {
    approved: BTreeSet<OrderNo>,
    ended: BTreeSet<OrderNo>,
    filled: BTreeMap<OrderNo, Qty>,
    trades: BTreeSet<u64>,
    lives: BTreeMap<&'static str, u32>,
    doubts: u32,
}

fn seen(facts: &[FactRecord]) -> Seen {
    let mut seen = Seen::default();
    for record in facts {
        match &record.fact {
            Fact::Approved { terms, .. } => assert!(seen.approved.insert(terms.order), "one number twice"),
            Fact::OrderMoved(_, life) => *seen.lives.entry(life.word()).or_default() += 1,
            Fact::Fill(fill) => {
                assert!(seen.trades.insert(fill.trade.0), "a fill twice: {fill:?}");
                *seen.filled.entry(fill.order).or_default() += fill.qty;
            }
            Fact::Ended(ended) => _ = seen.ended.insert(ended.terms.order),
            Fact::InDoubt(..) => seen.doubts += 1,
            _ => {}
        }
    }
    seen
}

#[test]
fn three_days_with_every_fifth_message_lost_end_with_every_order_ended() {
    let candles = synthetic(3, 1, 3 * 1_440, "0.05").remove(0);
    for seed in 1..=4 {
        let spec = losing(GRID, "0.2", seed);
        let mut backtest = common::backtest(&spec, &candles);
        let mut facts = Vec::new();
        while backtest.list().clock().millis() < 4_200 * MINUTE && backtest.advance() {
            facts.extend(backtest.list_mut().drain_facts());
            check(&spec, backtest.stages(), backtest.scheduler().venue(), "at rest");
        }
        command(&mut backtest, Control::Stop(OnStop::CancelAll));
        backtest.run(|batch| facts.extend(batch));
        let (state, seen) = (backtest.state(), seen(&facts));
        check(&spec, &state.stages, &state.scheduler.venue, "the end");
        assert!(state.stages.orders.desk().open().is_empty(), "{:?}", state.stages.orders.desk().open());
        assert!(state.scheduler.venue.live().is_empty());
        assert_eq!(state.stages.orders.desk().in_doubt().0, 0);
        assert_eq!(seen.approved, seen.ended, "every order ends");
        let times = |life: Life| seen.lives.get(life.word()).copied().unwrap_or(0);
        let (doubts, absent) = (times(Life::Unknown), times(Life::NeverAccepted));
        assert!(doubts > 20 && absent > 5 && absent < doubts, "{:?}", seen.lives);
        assert!(times(Life::Filled) > 50 && seen.doubts > 0 && times(Life::Disputed) == 0, "{:?}", seen.lives);
        let ordered = facts.iter().filter_map(|record| match &record.fact {
            Fact::Approved { terms, .. } => Some((terms.order, terms.qty)),
            _ => None,
        });
        let more = |(order, qty): &(OrderNo, Qty)| seen.filled.get(order).is_some_and(|filled| filled > qty);
        assert_eq!(ordered.filter(more).count(), 0, "more filled than ordered");
    }
}

#[test]
fn a_line_that_loses_nothing_trades_as_if_it_were_not_there() {
    let candles = synthetic(5, 1, 1_440, "0.05").remove(0);
    for strategy in [GRID, TREND] {
        let quiet = losing(strategy, "0.000000001", 1);
        let certain = InstanceSpec { venue: VenueTraits::PAPER, faults: VenueFaults::default(), ..quiet.clone() };
        let fills = |spec: &InstanceSpec| -> Vec<Fact> {
            let (facts, _) = run(spec, &candles);
            facts.into_iter().map(|record| record.fact).filter(|fact| matches!(fact, Fact::Fill(_))).collect()
        };
        let expected = fills(&certain);
        assert!(expected.len() > 10, "{}", expected.len());
        assert_eq!(fills(&quiet), expected);
    }
}

#[test]
fn the_same_seed_loses_the_same_and_another_loses_others() {
    let candles = synthetic(7, 1, 500, "0.05").remove(0);
    let digest = |seed| {
        let spec = losing(GRID, "0.2", seed);
        run(&spec, &candles).1.digest(spec.id).unwrap()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

/// A life with a kill switch, other shares, a pause and a release.
fn plan(spec: &InstanceSpec, inputs: u64) -> Plan {
    let worse = VenueFaults { lost_requests: dec("0.3"), lost_answers: dec("0.1"), seed: spec.faults.seed + 1 };
    let worse = InstanceSpec { faults: worse, ..spec.clone() };
    let told = vec![
        (inputs / 8, Told::Tell(Control::Reconcile(2))),
        (inputs / 4, Told::Revise(Box::new(worse))),
        (inputs / 2, Told::Tell(Control::Pause)),
        (inputs * 5 / 8, Told::Tell(Control::Resume)),
        (inputs * 3 / 4, Told::Tell(Control::ClearKill)),
        (inputs * 3 / 4 + 5, Told::Tell(Control::Resume)),
    ];
    Plan { told, kills: vec![inputs * 2], snapshots: (1..12).map(|nth| nth * inputs / 12).collect() }
}

#[test]
fn a_life_with_losses_cut_anywhere_goes_on_as_if_nothing_had_happened() {
    for (seed, strategy) in [(1, GRID), (2, TREND), (3, GRID)] {
        let spec = losing(strategy, "0.2", seed);
        let tracks: Vec<Vec<Candle>> = synthetic(seed, 1, 400, "0.08");
        let inputs = Live::new(&spec, &tracks, &Plan::default()).finish(false).inputs;
        let plan = plan(&spec, inputs);
        let whole = Live::new(&spec, &tracks, &plan).finish(false);
        let unknown = |record: &&FactRecord| matches!(record.fact, Fact::OrderMoved(_, Life::Unknown));
        assert!(whole.journal.iter().filter(unknown).count() > 3, "there is something to recover in");
        assert!(whole.snapshots.len() > 5);
        for cut in whole.cuts.iter().copied().step_by(7) {
            let newest = whole.snapshots.iter().rev().find(|snapshot| snapshot.facts <= cut);
            for snapshot in [None, newest] {
                let back = brought_back(&spec, &tracks, &whole, snapshot, cut).unwrap();
                let journal = whole.journal[..cut].to_vec();
                let again = Live::with(back.list, back.stages, back.scheduler, &plan, journal).finish(true);
                same(&format!("{seed}, cut at {cut}"), &again, &whole);
            }
        }
    }
}

fn same(about: &str, left: &Left, other: &Left) {
    let differs = left.journal.iter().zip(&other.journal).find(|(one, two)| one != two);
    assert!(differs.is_none(), "{about}: {differs:?}");
    assert_eq!((left.journal.len(), &left.digest), (other.journal.len(), &other.digest), "{about}");
    assert!(left.bytes == other.bytes, "{about}: the snapshots differ");
}

#[test]
fn what_is_in_doubt_when_the_feed_ends_is_found_out() {
    let candles = synthetic(9, 1, 30, "0.05").remove(0);
    for seed in 1..=20 {
        let spec = losing(GRID, "0.3", seed);
        let mut backtest = Backtest::new(std::sync::Arc::new(spec.clone()), feed(vec![candles.clone()]));
        advance_to(&mut backtest, 29 * MINUTE + 30_000);
        command(&mut backtest, Control::Stop(OnStop::CancelAll));
        backtest.run_silent();
        let state = backtest.state();
        check(&spec, &state.stages, &state.scheduler.venue, "the end");
        let open = state.stages.orders.desk().open();
        assert!(open.is_empty() && state.scheduler.venue.live().is_empty(), "seed {seed}: {open:#?}");
    }
}
