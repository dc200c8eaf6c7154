//! A parked streak monitor: in custody it hears of nothing, stops work without it, and at the release it hears of all
//! that it has missed; also when the instance is brought back meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use std::sync::Arc;

use common::{backtest, candle, check, command, feed, lines, spec};
use supervisor_core::domain::Candle;
use supervisor_core::instance::{Audit, Control, Fact, FactRecord, InstanceState, Message};
use supervisor_core::sim::{Backtest, Recovered, recover};
use supervisor_core::spec::InstanceSpec;

const DAY: i64 = 1_440;

fn grid() -> InstanceSpec {
    let text = "kind = grid; levels = 5; lower = 80; upper = 120; quantity = 1; breaker = off; stop_loss_price = 70";
    spec(text, "maker_fee = 0.001; taker_fee = 0.001", "price_collar_pct = 1")
}

/// Buys at 90 in minute 1 and at 80 in minute 9; on the next day one is sold at 90, the other by the stop.
fn market() -> Vec<Candle> {
    let moves = |minute: i64| match minute {
        0 => ["104"; 4],
        1 => ["104", "104", "89", "96"],
        9 => ["96", "96", "79", "85"],
        10..30 => ["85"; 4],
        30 => ["85", "91", "85", "86"],
        31..60 => ["86"; 4],
        60 => ["86", "86", "69", "70"],
        61.. => ["70"; 4],
        _ => ["96"; 4],
    };
    // The last twenty minutes of a day, so that the exits fall on the next.
    (0..90).map(|minute| candle(DAY - 20 + minute, moves(minute))).collect()
}

fn go(run: &mut Backtest, candles: u64) -> Vec<FactRecord> {
    let (until, mut facts) = (run.scheduler().progress().0 + candles, run.list_mut().drain_facts());
    while run.scheduler().progress().0 < until && run.advance() {
        facts.extend(run.list_mut().drain_facts());
    }
    facts
}

/// The facts of a run in custody from minute 15 to minute 80. `parked`: without its streak monitor, too.
fn told(run: &mut Backtest, parked: bool) -> Vec<FactRecord> {
    let mut facts = go(run, 15);
    command(run, Control::Quarantine);
    if parked {
        command(run, Control::ParkStreak);
    }
    facts.extend(go(run, 65));
    command(run, Control::Release);
    facts.extend(go(run, 10));
    facts
}

#[test]
fn stops_work_without_the_streak_monitor_and_at_the_release_it_hears_of_all() {
    let spec = grid();
    let (mut run, mut other) = (backtest(&spec, &market()), backtest(&spec, &market()));
    let mut facts = go(&mut run, 15);
    command(&mut run, Control::Quarantine);
    command(&mut run, Control::ParkStreak);
    assert!(run.list().is_custody() && run.list().is_streak_parked());
    let before = run.stages().streak.clone();
    facts.extend(go(&mut run, 65));
    assert_eq!(lines(&facts, &["position.guarded"]), ["guarded Stop"]);
    assert!(run.stages().orders.positions()[0].qty().is_zero() && run.stages().orders.desk().open().is_empty());
    assert_eq!(run.stages().streak, before, "it was told nothing");
    assert_ne!(before.cash(), run.scheduler().venue().cash());
    command(&mut run, Control::Release);
    assert!(!run.list().is_custody());
    facts.extend(go(&mut run, 10));
    let expected = told(&mut other, false);
    check(&spec, run.stages(), run.scheduler().venue(), "after the release");
    assert_eq!(run.stages().streak, other.stages().streak, "as if it had never been parked");
    let days = |facts: &[FactRecord]| lines(facts, &["streak.day_closed"]);
    assert!(days(&facts) == days(&expected) && days(&facts).len() == 1, "{:?}", days(&facts));
}

#[test]
fn what_waits_for_the_streak_monitor_is_kept_when_it_is_parked_first() {
    let (spec, mut run) = (grid(), backtest(&grid(), &market()));
    let waits = |message: &Message| matches!(message, Message::Streak(_));
    go(&mut run, 1);
    let state = run.state();
    let Recovered { mut list, mut stages, mut scheduler, .. } =
        recover(Arc::new(spec.clone()), feed(vec![market()]), Some(state), Vec::new()).unwrap();
    while !list.waiting().any(waits) {
        if let Some(envelope) = list.pop() {
            list.step(envelope, |cx, message, out| stages.on(cx, message, out));
        } else {
            list.drain_effects().into_iter().for_each(|effect| scheduler.apply(&mut list, effect, false));
            assert!(!list.is_empty() || scheduler.release(&mut list));
        }
    }
    for control in [Control::Quarantine, Control::ParkStreak] {
        list.command_first(list.clock(), Audit::by_supervisor(control, "failed too often"));
    }
    assert!(list.is_streak_parked() && !list.waiting().any(waits));
}

/// To the end of the feed.
fn on(recovered: Recovered) -> InstanceState {
    let Recovered { mut list, mut stages, mut scheduler, .. } = recovered;
    loop {
        if let Some(envelope) = list.pop() {
            list.step(envelope, |cx, message, out| stages.on(cx, message, out));
        } else if list.has_effects() {
            list.drain_effects().into_iter().for_each(|effect| scheduler.apply(&mut list, effect, false));
        } else if !scheduler.release(&mut list) {
            return InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages };
        }
    }
}

#[test]
fn a_life_in_which_it_was_parked_is_recovered_wherever_it_is_cut() {
    let (spec, mut run) = (grid(), backtest(&grid(), &market()));
    let facts = told(&mut run, true);
    let at = |control| {
        let is = |r: &FactRecord| matches!(&r.fact, Fact::Control(audit) if audit.control == control);
        facts.iter().position(is).unwrap()
    };
    let (parked, released) = (at(Control::ParkStreak), at(Control::Release));
    // A snapshot of while it is parked and has missed something.
    let mut other = backtest(&spec, &market());
    go(&mut other, 15);
    command(&mut other, Control::Quarantine);
    command(&mut other, Control::ParkStreak);
    go(&mut other, 40);
    let bytes = other.state().encode(spec.id).unwrap();
    let seen = other.list().facts_written() as usize;
    assert!(parked < seen && seen < released, "{parked} {seen} {released}");
    let end = run.state();
    for cut in parked + 1..=facts.len() {
        let snapshots = [None, (cut >= seen).then(|| InstanceState::decode(spec.id, &bytes).unwrap())];
        for state in snapshots {
            let from = state.as_ref().map_or(0, |_| seen);
            let (feed, rest) = (feed(vec![market()]), facts[from..cut].to_vec());
            let recovered = recover(Arc::new(spec.clone()), feed, state, rest).unwrap();
            assert_eq!(recovered.list.is_streak_parked(), cut <= released, "{cut}");
            if cut > released {
                assert!(on(recovered) == end, "cut at {cut}");
            }
        }
    }
}
