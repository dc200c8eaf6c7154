//! Recovery: whatever part of its journal an instance has left, and whichever snapshot, it ends as if nothing had
//! happened. And a journal, a snapshot or a feed that does not fit is named.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;
#[path = "recovery/live.rs"]
mod live;

use common::{dec, instrument, money, qty, spec, synthetic, table};
use live::{Left, Live, Plan, Told, again, brought_back};
use supervisor_core::domain::{Candle, Timeframe};
use supervisor_core::instance::{Audit, Control, Fact, FactRecord, InstanceState, check_position};
use supervisor_core::params::Reader;
use supervisor_core::sim::{Diverged, Recovered, SeededRng};
use supervisor_core::spec::{InstanceSpec, OnStop, VenueModel};
use supervisor_core::strategy::StrategyParams;

const CANDLES: usize = 160;

fn strategy(text: &str) -> StrategyParams {
    let (table, mut problems) = (table(text), Vec::new());
    let mut reader = Reader::new(&table, &mut problems);
    let params = StrategyParams::read(&mut reader).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    params
}

fn pick<T: Clone>(rng: &mut SeededRng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize].clone()
}

fn grid_text(rng: &mut SeededRng, many: bool) -> String {
    let range = if many { "width_pct = 8" } else { pick(rng, &["lower = 95; upper = 105", "width_pct = 6"]) };
    let value = pick(rng, &["200", "350"]);
    let start = pick(rng, &["cash", "balanced"]);
    let filter = pick(rng, &["off", "on"]);
    let ends = pick(rng, &["", "; stop_loss_price = 95.5", "; stop_loss_price = 93; take_profit_price = 104.5"]);
    let breaker = pick(rng, &["1m", "5m"]);
    format!(
        "kind = grid; levels = 13; {range}; order_value = {value}; start = {start}; trend_filter = {filter}; \
         breaker_timeframe = {breaker}; atr_spike_circuit_breaker = 0.2{ends}"
    )
}

fn trend_text(rng: &mut SeededRng) -> String {
    let (fast, stop) = (pick(rng, &["3", "4"]), pick(rng, &["1", "2"]));
    format!(
        "kind = trend_following; fast = {fast}; slow = 8; adx_period = 4; atr_period = 4; adx_min = 5; \
         max_position = 0.5; stop_atr = {stop}; trail_atr = 2; risk_per_trade = 0.05"
    )
}

fn text(rng: &mut SeededRng, is_grid: bool, many: bool) -> String {
    if is_grid { grid_text(rng, many) } else { trend_text(rng) }
}

/// Every key but those that belong to the instrument. Fees do not rise over those that orders are held with.
fn venue_model(rng: &mut SeededRng) -> VenueModel {
    let latency = pick(rng, &["0", "50", "12000", "45000", "60000"]);
    let (fee, spread) = (pick(rng, &["0", "0.0004", "0.001"]), pick(rng, &["0", "0.02", "0.1"]));
    let (queue, path) = (pick(rng, &["touch", "through"]), pick(rng, &["ohlc", "olhc", "pessimistic"]));
    let text =
        format!("latency_ms = {latency}; maker_fee = {fee}; spread_pct = {spread}; queue = {queue}; intrabar = {path}");
    let (table, mut problems) = (table(&text), Vec::new());
    VenueModel::read(&mut Reader::new(&table, &mut problems))
}

/// Kind and number of instruments by the seed; the rest by chance.
fn some_spec(seed: u64, rng: &mut SeededRng) -> InstanceSpec {
    let (is_grid, many) = (seed.is_multiple_of(2), seed / 2 % 2 == 1);
    let latency = pick(rng, &["0", "50", "12000", "45000", "60000"]);
    let venue = format!("latency_ms = {latency}; queue = touch; spread_pct = 0.02");
    let mut spec = spec(&text(rng, is_grid, many), &venue, "max_capital_per_symbol = 0.6");
    if many {
        spec.instruments.push(instrument("ETHUSDT"));
    } else if is_grid && rng.below(2) == 0 {
        spec.capital.base = qty("7.25");
    }
    spec.order_timeout_ms = pick(rng, &[1_200_000, 86_400_000]);
    spec
}

/// The same bot with other settings.
fn revised(rng: &mut SeededRng, spec: &InstanceSpec) -> InstanceSpec {
    let mut other = spec.clone();
    let (is_grid, many) = (spec.strategy.word() == "grid", spec.instruments.len() > 1);
    match rng.below(8) {
        0 => other.risk.max_total_exposure = pick(rng, &[dec("0.2"), dec("0.9")]),
        1 => other.timeframe = pick(rng, &[Timeframe::from_millis(60_000), Timeframe::from_millis(180_000)]),
        2 => other.strategy = strategy(&text(rng, !is_grid, many)),
        3 => other.capital.quote = money(pick(rng, &["100", "6000", "10000", "25000.5"])),
        4 | 5 => other.venue_model = venue_model(rng),
        _ => other.strategy = strategy(&text(rng, is_grid, many)),
    }
    other
}

fn control(rng: &mut SeededRng) -> Control {
    match rng.below(12) {
        0 => Control::Pause,
        1..4 => Control::Resume,
        4 => Control::ClearKill,
        5 => Control::Stop(pick(rng, &[OnStop::Keep, OnStop::CancelEntries, OnStop::CancelAll, OnStop::Flatten])),
        6..9 => Control::Start,
        9 => Control::Quarantine,
        _ => Control::Release,
    }
}

/// Commands, revisions, kills and snapshots at moments that the undisturbed run has.
fn some_plan(rng: &mut SeededRng, spec: &InstanceSpec, quiet: &Left) -> Plan {
    let mut at: Vec<u64> = (0..rng.below(9)).map(|_| rng.below(quiet.inputs)).collect();
    at.sort_unstable();
    let mut spec = spec.clone();
    let mut told = Vec::new();
    for inputs in at {
        if rng.below(3) == 0 {
            spec = revised(rng, &spec);
            told.push((inputs, Told::Revise(Box::new(spec.clone()))));
        } else {
            told.push((inputs, Told::Tell(control(rng))));
        }
    }
    let kills = match rng.below(3) {
        0 => vec![rng.below(quiet.steps)],
        1 if !quiet.reviews.is_empty() => vec![pick(rng, &quiet.reviews) + rng.below(3)],
        _ => Vec::new(),
    };
    let snapshots = (0..6).map(|part| quiet.inputs * part / 6 + rng.below(quiet.inputs / 6 + 1)).collect();
    Plan { told, kills, snapshots }
}

fn tracks(seed: u64, spec: &InstanceSpec) -> Vec<Vec<Candle>> {
    synthetic(1_000 + seed, spec.instruments.len(), CANDLES, "0.12")
}

fn same(about: &str, left: &Left, other: &Left) {
    if let Some(at) = left.journal.iter().zip(&other.journal).position(|(a, b)| a != b) {
        panic!("{about}: fact {:?} is {:?} now", left.journal[at], other.journal[at]);
    }
    assert_eq!(left.journal.len(), other.journal.len(), "{about}");
    assert_eq!(left.digest, other.digest, "{about}");
    assert!(left.bytes == other.bytes, "{about}: another state");
}

/// What the runs met, so that the test tests something.
#[derive(Default)]
struct Met {
    cuts: u64,
    withheld: u64,
    kills: u64,
    revised: u64,
    custody: u64,
    fills: u64,
    under_way: u64,
}

impl Met {
    fn count(&mut self, facts: &[FactRecord]) {
        let of = |wanted: fn(&Fact) -> bool| facts.iter().filter(|record| wanted(&record.fact)).count() as u64;
        self.withheld += of(|fact| matches!(fact, Fact::Withheld { .. }));
        self.kills += of(|fact| matches!(fact, Fact::Control(audit) if audit.control == Control::Kill));
        self.custody += of(|fact| matches!(fact, Fact::Control(audit) if audit.control == Control::Quarantine));
        self.revised += of(|fact| matches!(fact, Fact::Revised(_)));
        self.fills += of(|fact| matches!(fact, Fact::Fill(_)));
    }
}

#[test]
fn a_life_cut_anywhere_goes_on_as_if_nothing_had_happened() {
    let (mut met, mut waiting) = (Met::default(), 0);
    for seed in 0..200 {
        let mut rng = SeededRng::new(seed);
        let spec = some_spec(seed, &mut rng);
        let tracks = tracks(seed, &spec);
        let quiet = Live::new(&spec, &tracks, &Plan::default()).finish(true);
        let plan = some_plan(&mut rng, &spec, &quiet);
        let left = Live::new(&spec, &tracks, &plan).finish(true);
        met.count(&left.journal);
        for _ in 0..6.min(left.cuts.len()) {
            let cut = pick(&mut rng, &left.cuts);
            let earlier: Vec<_> = left.snapshots.iter().filter(|snapshot| snapshot.facts <= cut).collect();
            let snapshot = if rng.below(5) == 0 { None } else { earlier.get(rng.below(6) as usize).copied() };
            // A start looks at the kill switch at once: then it may come sooner than it did.
            let home = plan.kills.is_empty() && rng.below(2) == 0;
            let recovered = brought_back(&spec, &tracks, &left, snapshot, cut).unwrap();
            waiting += u64::from(!recovered.is_at_rest());
            met.under_way += u64::from(recovered.scheduler.venue().is_busy());
            met.cuts += 1;
            let found = check_position(&recovered.at_rest(), &spec, &[]);
            assert!(found.is_empty(), "seed {seed}, cut at {cut}: {found:?}");
            let other = again(&spec, &tracks, &plan, &left, (snapshot, cut, home));
            same(&format!("seed {seed}, cut at {cut} of {}", left.journal.len()), &left, &other);
        }
    }
    let Met { cuts, withheld, kills, revised, custody, fills, under_way } = met;
    println!("{cuts} cuts, {under_way} with orders under way, {fills} fills, {withheld} orders withheld");
    println!("{kills} kills, {revised} revisions, {custody} quarantines");
    assert!(waiting > 100, "{waiting} with messages waiting");
    assert!(cuts > 1_000 && under_way > 300 && fills > 2_000, "{cuts} cuts, {under_way} under way, {fills} fills");
    assert!(withheld > 20 && kills > 60 && revised > 120 && custody > 20, "{withheld} {kills} {revised} {custody}");
}

#[test]
fn every_cut_of_one_life_after_every_snapshot() {
    for (seed, kill) in [(0, 2), (1, 0), (3, 1)] {
        let mut rng = SeededRng::new(seed);
        let spec = some_spec(seed, &mut rng);
        let tracks: Vec<_> = tracks(seed, &spec).into_iter().map(|track| track[..45].to_vec()).collect();
        let quiet = Live::new(&spec, &tracks, &Plan::default()).finish(true);
        let told = [(20, Told::Tell(Control::Pause)), (30, Told::Tell(Control::Resume))];
        let kills = quiet.reviews.get(kill).map(|steps| steps + 1).into_iter().collect();
        let plan = Plan { told: told.to_vec(), kills, snapshots: vec![0, 15, 40] };
        let left = Live::new(&spec, &tracks, &plan).finish(true);
        for cut in &left.cuts {
            for snapshot in left.snapshots.iter().filter(|s| s.facts <= *cut).map(Some).chain([None]) {
                let other = again(&spec, &tracks, &plan, &left, (snapshot, *cut, false));
                same(&format!("seed {seed}, cut at {cut}"), &left, &other);
            }
        }
    }
}

/// A run that has left something worth a recovery.
fn one_life(seed: u64) -> (InstanceSpec, Vec<Vec<Candle>>, Left) {
    let mut rng = SeededRng::new(seed);
    let spec = some_spec(seed, &mut rng);
    let tracks = tracks(seed, &spec);
    let plan = Plan {
        told: vec![(60, Told::Tell(Control::Pause)), (90, Told::Tell(Control::Resume))],
        snapshots: vec![0, 40, 100],
        ..Plan::default()
    };
    let left = Live::new(&spec, &tracks, &plan).finish(true);
    assert!(left.journal.len() > 60 && left.snapshots.len() == 3, "{}", left.journal.len());
    (spec, tracks, left)
}

#[test]
fn a_fact_that_is_changed_is_named() {
    let (spec, tracks, left) = one_life(0);
    let end = left.journal.len();
    for at in (0..end).step_by(7) {
        let mut changed = Left { journal: left.journal.clone(), ..Left::default() };
        changed.journal[at].at = changed.journal[at].at + 1;
        let diverged = brought_back(&spec, &tracks, &changed, None, end).err();
        // A command that claims another moment takes place at that one: what follows it differs.
        let Some(Diverged::Fact { seq, .. }) = diverged else {
            assert!(left.journal[at].fact.is_input(), "fact {}: {diverged:?}", at + 1);
            continue;
        };
        assert!(seq > at as u64, "fact {} is blamed for {}", seq, at + 1);
        assert!(seq == at as u64 + 1 || left.journal[at].fact.is_input());
    }
}

#[test]
fn a_fact_that_is_missing_is_named() {
    let (spec, tracks, left) = one_life(0);
    let snapshot = &left.snapshots[1];
    for at in (snapshot.facts..left.journal.len() - 1).step_by(5) {
        let mut journal = left.journal.clone();
        journal.remove(at);
        let gone = Left { journal, ..Left::default() };
        let diverged = brought_back(&spec, &tracks, &gone, Some(snapshot), gone.journal.len()).err();
        match diverged {
            Some(Diverged::Gap { last, first }) => {
                assert_eq!((at, last, first), (snapshot.facts, at as u64, at as u64 + 2));
            }
            Some(Diverged::Fact { seq, .. } | Diverged::Missing { seq, .. }) => assert_eq!(seq, at as u64 + 2),
            None => panic!("fact {} is missing, and nobody noticed", at + 1),
        }
    }
}

#[test]
fn a_command_out_of_its_place_is_named() {
    let (spec, tracks, left) = one_life(0);
    let at = left.journal.iter().position(|record| record.fact.is_input()).unwrap();
    for shift in [1, 1_000_000] {
        let mut journal = left.journal.clone();
        let Fact::Control(audit) = &mut journal[at].fact else { panic!() };
        audit.step += shift;
        let moved = Left { journal, ..Left::default() };
        let diverged = brought_back(&spec, &tracks, &moved, None, moved.journal.len()).err().unwrap();
        let Diverged::Missing { seq, .. } = diverged else { panic!("{diverged}") };
        assert_eq!(seq, at as u64 + 1, "found at once, not at the end of the feed");
    }
}

#[test]
fn another_feed_is_named() {
    let (spec, tracks, left) = one_life(0);
    let end = left.journal.len();
    let other = synthetic(77, 1, CANDLES, "0.12");
    for (feed, snapshot) in [(&other, None), (&other, Some(&left.snapshots[1]))] {
        let diverged = brought_back(&spec, feed, &left, snapshot, end).err().unwrap();
        assert!(matches!(diverged, Diverged::Fact { .. } | Diverged::Missing { .. }), "{diverged}");
    }
    let short = vec![tracks[0][..50].to_vec()];
    let diverged = brought_back(&spec, &short, &left, None, end).err().unwrap();
    let Diverged::Missing { seq, .. } = diverged else { panic!("{diverged}") };
    assert!(seq > 1 && diverged.to_string().contains("another feed"), "{diverged}");
}

#[test]
fn a_snapshot_that_does_not_fit_is_named() {
    let (spec, tracks, left) = one_life(0);
    let end = left.journal.len();
    let [_, second, third] = &left.snapshots[..] else { panic!() };
    // One of another length of the journal.
    let stray = live::Snapshot { facts: second.facts, spec: third.spec.clone(), bytes: third.bytes.clone() };
    let diverged = brought_back(&spec, &tracks, &left, Some(&stray), end).err().unwrap();
    assert_eq!(diverged, Diverged::Gap { last: third.facts as u64, first: second.facts as u64 + 1 });
    // One that claims the right place and is the state of another moment.
    let mut state = InstanceState::decode(spec.id, &third.bytes).unwrap();
    state.mark.facts = second.facts as u64;
    let bytes = state.encode(spec.id).unwrap();
    let forged = live::Snapshot { facts: second.facts, spec: third.spec.clone(), bytes };
    let diverged = brought_back(&spec, &tracks, &left, Some(&forged), end).err().unwrap();
    assert!(matches!(diverged, Diverged::Fact { .. } | Diverged::Missing { .. }), "{diverged}");
}

#[test]
fn nothing_stored_is_a_beginning_and_a_snapshot_alone_is_that_moment() {
    let (spec, tracks, left) = one_life(2);
    let fresh = brought_back(&spec, &tracks, &left, None, 0).unwrap();
    assert_eq!((fresh.compared, fresh.list.inputs(), fresh.list.facts_written()), (0, 0, 0));
    let snapshot = &left.snapshots[2];
    let Recovered { list, stages, scheduler, compared } =
        brought_back(&spec, &tracks, &left, Some(snapshot), snapshot.facts).unwrap();
    let state = InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages };
    assert_eq!((compared, state.encode(spec.id).unwrap()), (0, snapshot.bytes.clone()));
}

/// A message that no stage can bear: the instance dies with messages waiting, is brought back and put into custody
/// ahead of them. That life, too, is recovered wherever it is cut.
#[test]
fn a_quarantine_comes_ahead_of_what_waits_and_is_recovered_there() {
    let mut ahead = 0;
    for seed in 0..24 {
        let mut rng = SeededRng::new(500 + seed);
        let spec = some_spec(seed, &mut rng);
        let tracks = tracks(seed, &spec);
        let quiet = Live::new(&spec, &tracks, &Plan::default()).finish(true);
        let cut = pick(&mut rng, &quiet.cuts[..quiet.cuts.len() - 1]);
        let Recovered { mut list, stages, scheduler, .. } = brought_back(&spec, &tracks, &quiet, None, cut).unwrap();
        ahead += u64::from(!list.is_empty());
        let told =
            [(list.inputs() + 60, Told::Tell(Control::Release)), (list.inputs() + 60, Told::Tell(Control::Resume))];
        let plan = Plan { told: told.to_vec(), snapshots: vec![0, list.inputs() + 30], ..Plan::default() };
        let journal = quiet.journal[..cut].to_vec();
        // At home, before anything that waits.
        let news = list.drain_facts();
        let mut live = Live::with(list, stages, scheduler, &plan, journal);
        live.left.journal.extend(news);
        for effect in live.list.drain_effects() {
            live.scheduler.apply(&mut live.list, effect, false);
        }
        let now = live.list.clock();
        live.list.command_first(now, Audit::by_supervisor(Control::Quarantine, "failed too often"));
        let left = live.finish(false);
        let custody =
            left.journal.iter().position(|r| matches!(&r.fact, Fact::Control(a) if a.control == Control::Quarantine));
        let custody = custody.unwrap();
        for _ in 0..8 {
            let cut = pick(&mut rng, &left.cuts);
            assert!(cut > custody);
            let snapshot = left.snapshots.iter().rfind(|s| s.facts <= cut).filter(|_| rng.below(2) == 0);
            let other = again(&spec, &tracks, &plan, &left, (snapshot, cut, rng.below(2) == 0));
            same(&format!("seed {seed}, cut at {cut}"), &left, &other);
        }
    }
    assert!(ahead > 6, "{ahead} with messages waiting");
}
