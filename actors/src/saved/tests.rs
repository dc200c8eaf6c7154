use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};
use supervisor_config::{Account, Caps, Crossing, instance_from_text};
use supervisor_core::domain::{
    InstrumentIx, Notional, OrderKind, Price, Purpose, Side, Tag, Timeframe, Timestamp, TradeId,
};
use supervisor_core::instance::{Audit, Control};
use supervisor_core::orders::{CancelReason, ExitReason, Life, Origin, Reason, Terms, Trade};
use supervisor_core::risk::{RULES, Veto, VetoCode};
use supervisor_core::sim::{Backtest, Recording, ReplayFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles};
use supervisor_core::spec::{ExitRules, VenueTraits};

use super::*;

const GRID: &str = "kind = \"grid\"\nlevels = 11\nwidth_pct = 6\norder_value = 200";
const TREND: &str = "kind = \"trend_following\"\nfast = 3\nslow = 8\nadx_period = 4\natr_period = 4\nadx_min = 5\n\
    stop_atr = 2\ntrail_atr = 2";
const NOW: Timestamp = Timestamp::from_millis(500_000);

fn spec(strategy: &str) -> InstanceSpec {
    let balances = BTreeMap::from([("USDT".parse().unwrap(), 100_000.into())]);
    let caps = Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
    let account = Account { venue: "paper".to_owned(), balances, caps, crossing: Crossing::Allow };
    let text = format!(
        "id = \"bot\"\nname = \"a\"\nmode = \"paper\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\n\
         quote = 10000\nbase = 0\n[feed]\nkind = \"synthetic\"\nseed = 1\nstart_price = 100\n[strategy]\n{strategy}\n\
         [risk]\nmin_order_value = 10\n[venue_model]\nlatency_ms = 15000\n"
    );
    let accounts = BTreeMap::from([("paper".to_owned(), account)]);
    instance_from_text(&text, Path::new("bot.toml"), &accounts, &[], &BTreeMap::new()).unwrap().spec
}

/// The settings as version 2 had them.
fn spec_of_2(spec: InstanceSpec) -> v2::Spec {
    let InstanceSpec { id, instruments, timeframe, capital, mode, venue_model, strategy, .. } = spec;
    let InstanceSpec { risk, order_timeout_ms, on_stop, .. } = spec;
    v2::Spec { id, instruments, timeframe, capital, mode, venue_model, strategy, risk, order_timeout_ms, on_stop }
}

fn running(spec: &InstanceSpec, seed: u64) -> Backtest {
    let instrument = SyntheticInstrument {
        start_price: Price::new(100.into()),
        tick: Decimal::new(1, 2),
        volatility_day: Decimal::new(25, 2),
    };
    let market = SyntheticSpec {
        seed,
        start: Timestamp::from_millis(0),
        interval: Timeframe::from_millis(60_000),
        instruments: vec![instrument],
        candles: None,
    };
    let candles = Recording::Candles(Arc::new(synthetic_candles(&market, 300).unwrap()));
    Backtest::new(Arc::new(spec.clone()), Box::new(ReplayFeed::new(vec![(InstrumentIx(0), candles)])))
}

fn key(name: &str) -> InstanceKey {
    InstanceKey::new(name).unwrap()
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

/// An amount from its digits.
fn dec(digits: i64, scale: u32) -> Decimal {
    Decimal::new(digits, scale)
}

#[test]
fn every_field_has_the_name_and_the_place_of_the_core() {
    let (mut phases, mut orders) = (BTreeSet::new(), 0);
    for (strategy, seed) in [(GRID, 1), (TREND, 2), (&format!("{GRID}\nstop_loss_price = 98"), 3)] {
        let spec = spec(strategy);
        let mut run = running(&spec, seed);
        while run.advance() {
            let state = run.state();
            let written = state.encode(spec.id).unwrap();
            let read: v3::State = whole(&written).unwrap();
            assert!(bytes(&read) == written, "the same bytes");
            let (names, ours) = (serde_json::to_value(&state).unwrap(), serde_json::to_value(&read).unwrap());
            assert_eq!(names, ours);
            let guard = &names["stages"]["orders"]["monitor"]["guards"][0];
            let phase = guard["phase"].as_object().and_then(|phase| phase.keys().next()).cloned();
            phases.insert(phase.or(guard["phase"].as_str().map(str::to_owned)));
            orders += state.stages.orders.desk().open().len();
        }
    }
    assert!(orders > 100, "{orders}");
    let wanted = [None, Some("armed"), Some("closing"), Some("sent")].map(|phase| phase.map(str::to_owned));
    assert_eq!(phases, wanted.into());
}

fn terms(order: u64, kind: OrderKind) -> Terms {
    let (order, tag, instrument) = (OrderNo(order), Tag(3), InstrumentIx(0));
    let (qty, purpose, origin) = (Qty::new(dec(125, 2)), Purpose::Entry, Origin::Strategy);
    Terms { order, tag, instrument, side: Side::Buy, kind, qty, purpose, origin }
}

fn order(number: u64, life: Life, cancel: Option<CancelReason>) -> v2::Order {
    v2::Order {
        terms: terms(number, OrderKind::Limit(Price::new(dec(9_950, 2)))),
        protect: None,
        life,
        cancel,
        filled: Qty::ZERO,
        value: Notional::ZERO,
        fees: Notional::ZERO,
        sent: Timestamp::from_millis(400_000),
        trades: Vec::new(),
    }
}

/// Filled whole, in one execution of 1.25 at 99.5.
fn filled(number: u64) -> v2::Order {
    let (filled, value, fees) = (Qty::new(dec(125, 2)), Notional::new(dec(124_375, 3)), Notional::new(dec(124_375, 6)));
    v2::Order { filled, value, fees, trades: vec![TradeId(17)], ..order(number, Life::Filled, None) }
}

fn guard(trailing: bool, phase: v2::Phase) -> Option<v2::Guard> {
    let (stop, highest) = (Some(Price::new(dec(97, 0))), Price::new(dec(101, 0)));
    Some(v2::Guard { stop, target: None, trail: stop, highest, trailing, phase })
}

/// A fresh state with these orders and guards.
fn state_of_2(spec: &InstanceSpec, desk: v2::Desk, guards: Vec<Option<v2::Guard>>) -> v2::State {
    let InstanceState { mut mark, scheduler, stages } = running(spec, 1).state();
    mark.clock = NOW;
    let gate = stages.risk.gate();
    let trip = |opened| v2::Trip {
        opened: Timestamp::from_millis(opened),
        qty: Qty::new(dec(125, 2)),
        bought: Notional::new(dec(124_375, 3)),
        sold: Notional::ZERO,
        fees: Notional::ZERO,
    };
    let positions = (0..guards.len() as i64).map(|place| v2::Position {
        qty: Qty::new(dec(125, 2)),
        cost: Notional::new(dec(124_375, 3)),
        realised: Notional::new(dec(-3, 0)),
        fees: Notional::ZERO,
        unpriced: false,
        trip: (place != 4).then(|| trip(100_000 * place)),
    });
    let wake = Some(Timestamp::from_millis(86_800_000));
    v2::State {
        mark,
        scheduler: v2::Scheduler { venue: scheduler.venue, paths: Vec::new(), met: true, wake, cursor: 41 },
        stages: v2::Stages {
            market: stages.market,
            strategy: stages.strategy,
            risk: v2::Risk {
                gate: v2::Gate {
                    next: OrderNo(5),
                    latches: gate.latches(),
                    exposure: gate.exposure().clone(),
                    recent: VecDeque::from([v2::Recent {
                        at: NOW,
                        terms: terms(4, OrderKind::Market { bound: None }),
                    }]),
                    capital: Some(Notional::new(dec(10_000, 0))),
                    approved: 4,
                    vetoed: 2,
                },
            },
            orders: v2::Orders {
                desk,
                positions: positions.collect(),
                monitor: v2::Monitor { guards },
                wake,
                watching: true,
            },
            streak: stages.streak,
        },
    }
}

fn desk(open: Vec<v2::Order>, closed: Vec<v2::Order>) -> v2::Desk {
    let open = open.into_iter().map(|order| (order.terms.order, order)).collect();
    v2::Desk { open, closed: closed.into(), archive: [9; 32], placed: 4, fills: 1 }
}

fn saved_of_2(spec: &InstanceSpec, state: v2::State) -> v2::Saved {
    let digest = state.digest(spec.id).unwrap();
    let (spec, feed) = (spec_of_2(spec.clone()), "some feed".to_owned());
    v2::Saved { version: v2::VERSION, digest, life: 7, spec, feed, state }
}

fn migrated(spec: &InstanceSpec, state: v2::State) -> Result<Saved, String> {
    let written = Migrate.snapshot(2, &key("bot"), &bytes(&saved_of_2(spec, state)))?;
    assert_eq!(Migrate.snapshot(2, &key("bot"), &written), Ok(written.clone()), "what is migrated stays");
    Saved::decode(&written).map_err(|error| error.to_string())
}

#[test]
fn orders_of_version_2_are_the_same_orders() {
    let spec = spec(GRID);
    let open = vec![order(2, Life::Open, None), order(4, Life::InFlight, Some(CancelReason::Close))];
    let closed = vec![filled(1), order(3, Life::Canceled, Some(CancelReason::Replan))];
    let saved = migrated(&spec, state_of_2(&spec, desk(open, closed), vec![None])).unwrap();
    assert_eq!((saved.life, saved.feed.as_str(), &saved.spec), (7, "some feed", &spec));
    let orders = &saved.state.stages.orders;
    let desk = orders.desk();
    let open: Vec<_> = desk.open().values().map(|o| (o.terms.order.0, o.life, o.cancel, o.is_acked)).collect();
    assert_eq!(open, [(2, Life::Open, None, true), (4, Life::InFlight, Some(CancelReason::Close), false)]);
    assert!(desk.open().values().all(|o| o.trades.is_empty() && o.claimed.is_none() && o.cancel_next.is_none()));
    assert!(desk.unsettled().all(|o| o.doubt.is_none() && o.epoch == 0 && o.seq == 0 && o.end.is_none()));
    let [first, second] = [&desk.closed()[0], &desk.closed()[1]];
    let one = Trade {
        id: TradeId(17),
        qty: Qty::new(dec(125, 2)),
        price: Price::new(dec(995, 1)),
        fee: Notional::new(dec(124_375, 6)),
    };
    assert_eq!((first.life, first.trades.as_slice(), first.claimed), (Life::Filled, [one].as_slice(), None));
    assert_eq!((second.life, second.claimed, second.is_acked), (Life::Canceled, Some(Qty::ZERO), true));
    assert_eq!((desk.counts(), desk.closing().len(), desk.epoch()), ((4, 1), 0, 0));
    assert_eq!((desk.in_doubt(), desk.has_dispute()), ((0, None), false));
    assert_eq!((orders.standing(), orders.reconciled()), (Default::default(), None));
    assert_eq!(orders.positions()[0].funding(), Notional::ZERO);
    let gate = saved.state.stages.risk.gate();
    assert_eq!((gate.counts(), gate.recent().len(), gate.standing()), ((4, 2), 1, Default::default()));
    assert_eq!((saved.state.scheduler.cursor, saved.state.scheduler.line.is_none()), (41, true));
}

#[test]
fn a_guard_of_version_2_goes_on_in_its_phase() {
    let spec = spec(TREND);
    let (stop, highest) = (Price::new(dec(97, 0)), Price::new(dec(101, 0)));
    let next = Timestamp::from_millis(501_500);
    let guards = vec![
        guard(false, v2::Phase::Armed),
        guard(true, v2::Phase::Closing(v2::Reached::Trail { stop, highest }, next)),
        guard(false, v2::Phase::Sent(v2::Reached::Stop(stop))),
        None,
        guard(false, v2::Phase::Closing(v2::Reached::Operator, next)),
        guard(false, v2::Phase::Dust),
        guard(false, v2::Phase::Sent(v2::Reached::Target(highest))),
    ];
    let saved = migrated(&spec, state_of_2(&spec, desk(Vec::new(), Vec::new()), guards)).unwrap();
    let monitor = saved.state.stages.orders.monitor();
    let why = |place| monitor.closing(InstrumentIx(place));
    assert_eq!((0..7).map(why).collect::<Vec<_>>(), {
        use ExitReason::{Operator, Stop, Target, Trail};
        [None, Some(Trail), Some(Stop), None, Some(Operator), None, Some(Target)]
    });
    let found = serde_json::to_value(monitor).unwrap()["guards"].clone();
    let trail = json!({"trail": {"stop": "97", "highest": "101"}});
    let wanted = [
        ("entry", json!("armed"), 0),
        ("trail", json!({"closing": [{"reached": trail, "since": 500_000}, 501_500]}), 100_000),
        ("entry", json!({"sent": {"reached": {"stop": "97"}, "since": 500_000}}), 200_000),
        ("", Value::Null, 0),
        ("entry", json!({"closing": [{"reached": "operator", "since": 500_000}, 501_500]}), 500_000),
        ("entry", json!("dust"), 500_000),
        ("entry", json!({"sent": {"reached": {"target": "101"}, "since": 500_000}}), 600_000),
    ];
    for (place, (by, phase, opened)) in wanted.into_iter().enumerate().filter(|(_, guard)| !guard.1.is_null()) {
        let guard = json!({"stop": "97", "target": null, "trail": "97", "highest": "101", "by": by, "phase": phase,
            "opened": opened});
        assert_eq!(found[place], guard, "{place}");
    }
    assert!(found[3].is_null());
}

#[test]
fn what_version_2_cannot_have_written_is_refused() {
    let spec = spec(GRID);
    let with = |order: v2::Order| migrated(&spec, state_of_2(&spec, desk(Vec::new(), vec![order]), vec![None])).err();
    assert_eq!(with(filled(1)), None);
    let told = "order 1 was filled for 1.25 in 2 executions; only of one is it known what it was";
    assert_eq!(with(v2::Order { trades: vec![TradeId(1), TradeId(2)], ..filled(1) }).as_deref(), Some(told));
    assert!(with(v2::Order { trades: Vec::new(), ..filled(1) }).unwrap().contains("in 0 executions"));
    assert!(with(v2::Order { filled: Qty::ZERO, ..filled(1) }).unwrap().contains("filled for 0 in 1"));
    let saved = || saved_of_2(&spec, state_of_2(&spec, desk(Vec::new(), Vec::new()), vec![None]));
    let refused = |written: &[u8]| Migrate.snapshot(2, &key("bot"), written).unwrap_err();
    assert!(refused(&[bytes(&saved()), vec![0, 0]].concat()).contains("2 bytes are left over"));
    let digest = "0".repeat(32);
    assert!(refused(&bytes(&v2::Saved { digest, ..saved() })).contains("stored was 0000"));
    assert!(refused(&bytes(&v2::Saved { version: 9, ..saved() })).contains("its layout is version 9"));
    assert!(refused(&[]).contains("cannot be decoded"));
    assert!(Migrate.snapshot(9, &key("bot"), &bytes(&saved())).unwrap_err().contains("version 9 are not known"));
}

fn record(seq: u64, fact: Fact) -> FactRecord {
    FactRecord { seq, at: NOW, cause: 12, fact }
}

#[test]
fn a_change_of_settings_of_version_2_is_the_same_change() {
    let (old, keys) = (spec(TREND), "risk.max_spread was 0.005, is 0.01");
    let head = v2::Head { seq: 8, at: NOW, cause: 12, kind: v2::REVISED };
    let revision = v2::Revision { spec: spec_of_2(old.clone()), keys: keys.to_owned(), step: 77 };
    let written = bytes(&(head, revision));
    let wanted = Revision { spec: old, keys: keys.to_owned(), step: 77 };
    assert!(wanted.spec.venue == VenueTraits::PAPER && !wanted.spec.faults.any());
    assert_eq!(wanted.spec.exits, ExitRules::default());
    let found = Migrate.fact(2, &key("bot"), &written).unwrap();
    assert_eq!(found, bytes(&record(8, Fact::Revised(Box::new(wanted)))));
    assert_eq!(Migrate.fact(2, &key("bot"), &found), Ok(found), "what is migrated stays");
    assert!(Migrate.fact(2, &key("bot"), &written[..written.len() - 3]).is_err());
    assert!(Migrate.fact(3, &key("bot"), &written).unwrap_err().contains("version 3 are not known"));
}

/// The rules of version 2 in their order: their places were the bits of a veto.
const RULES_OF_2: [VetoCode; 14] = [
    VetoCode::KillSwitch,
    VetoCode::Paused,
    VetoCode::StaleData,
    VetoCode::Quantity,
    VetoCode::LotSize,
    VetoCode::TickSize,
    VetoCode::PriceCollar,
    VetoCode::MaxSpread,
    VetoCode::Duplicate,
    VetoCode::MinOrderValue,
    VetoCode::SymbolCap,
    VetoCode::TotalExposure,
    VetoCode::FreeBalance,
    VetoCode::DryRun,
];

#[test]
fn a_veto_of_version_2_names_the_same_rules() {
    let reason = Reason::GridLine { line: 3 };
    let mut known = 0;
    for failed in [0b1, 0b10_0000_0000_0010, 0b01_0110_1001_0101, 0b11_1111_1111_1111] {
        let Terms { order, tag, instrument, side, kind, qty, purpose, origin } =
            terms(4, OrderKind::Market { bound: None });
        let (code, value, limit) = (VetoCode::DryRun, dec(1, 0), dec(2, 0));
        let veto = Veto { order, tag, instrument, side, kind, qty, purpose, origin, code, value, limit, failed };
        let written = bytes(&record(9, Fact::Vetoed { veto, reason }));
        assert_eq!(Migrate.fact(2, &key("bot"), &written), Ok(written));
        let then: Vec<_> = (0..14).filter(|bit| failed & (1 << bit) != 0).map(|bit| RULES_OF_2[bit]).collect();
        assert_eq!(veto.failed_codes().collect::<Vec<_>>(), then);
        known += then.len();
    }
    assert_eq!(known, 1 + 2 + 7 + 14);
    assert!(RULES.len() > RULES_OF_2.len());
}

#[test]
fn a_command_of_version_1_gets_the_place_that_it_lacks() {
    let audit = Audit::new(Control::Pause, "1000".to_owned(), "a look".to_owned(), "r-1".to_owned());
    let whole = bytes(&record(3, Fact::Control(Box::new(audit))));
    assert_eq!(Migrate.fact(1, &key("bot"), &whole[..whole.len() - 1]), Ok(whole.clone()));
    assert_eq!(Migrate.fact(1, &key("bot"), &whole), Ok(whole.clone()));
    assert!(Migrate.fact(2, &key("bot"), &whole[..whole.len() - 1]).is_err(), "version 2 knew it");
    assert!(Migrate.fact(1, &key("bot"), &whole[..whole.len() - 2]).is_err());
}

#[test]
fn a_snapshot_of_version_2_in_a_store_that_cannot_say_its_version_is_read() {
    let spec = spec(GRID);
    let state = || state_of_2(&spec, desk(vec![order(2, Life::Open, None)], Vec::new()), vec![None]);
    let written = bytes(&saved_of_2(&spec, state()));
    let found = Migrate.snapshot(1, &key("bot"), &written).unwrap();
    assert_eq!(Migrate.snapshot(2, &key("bot"), &written), Ok(found));
}

#[test]
fn alerts_are_left_as_they_are() {
    // No facts, and with them empty snapshots.
    for from in [1, 2] {
        assert_eq!(Migrate.fact(from, &key(ALERTS), b"\x04text"), Ok(b"\x04text".to_vec()));
        assert_eq!(Migrate.snapshot(from, &key(ALERTS), b""), Ok(Vec::new()));
        assert!(Migrate.fact(from, &key("bot"), b"\x04text").is_err());
        assert!(Migrate.snapshot(from, &key("bot"), b"").is_err());
    }
}
