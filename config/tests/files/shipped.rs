//! The shipped files: they are read, all of them are in the binary, and every bot has something to show.

use std::path::Path;
use std::sync::Arc;

use rust_decimal::Decimal;
use supervisor_config::{
    Env, FeedConfig, InstanceConfig, SHIPPED_INSTANCES, SHIPPED_SUPERVISOR, Speed, SupervisorConfig, load, load_shipped,
};
use supervisor_core::sim::{Backtest, SyntheticFeed, SyntheticSpec};

use crate::env;

/// Orders, fills and round trips in the candles that a minute at the shipped speed brings.
fn first_minute(instance: &InstanceConfig) -> (usize, usize, usize) {
    let FeedConfig::Synthetic { spec, speed: Speed::Times(speed) } = &instance.feed else {
        panic!("{}", instance.spec.id)
    };
    let candles = *speed * Decimal::from(60_000) / Decimal::from(spec.interval.millis());
    let spec = SyntheticSpec { candles: candles.try_into().ok(), ..spec.clone() };
    let feed = SyntheticFeed::new(spec).unwrap();
    let (mut orders, mut fills, mut trips) = (0, 0, 0);
    Backtest::new(Arc::new(instance.spec.clone()), Box::new(feed)).run(|facts| {
        let count = |word: &str| facts.iter().filter(|record| record.fact.word() == word).count();
        orders += count("order.approved");
        fills += count("order.fill");
        trips += count("position.round_trip");
    });
    (orders, fills, trips)
}

#[test]
fn every_shipped_bot_trades_within_a_minute() {
    for instance in load_shipped(&Env::new()).unwrap().instances {
        let (orders, fills, trips) = first_minute(&instance);
        let is_grid = instance.spec.strategy.word() == "grid";
        let enough = if is_grid { orders > 20 && fills > 5 && trips > 2 } else { orders > 2 && fills > 2 && trips > 1 };
        assert!(enough, "{}: {orders} orders, {fills} fills, {trips} round trips", instance.spec.id);
    }
}

#[test]
fn the_shipped_files_are_read_and_all_of_them_are_embedded() {
    let config = load_shipped(&Env::new()).unwrap_or_else(|errors| panic!("{errors}"));
    let ids: Vec<&str> = config.instances.iter().map(|instance| instance.spec.id.as_str()).collect();
    assert_eq!(ids, ["grid-btc", "grid-eth", "trend-link", "trend-sol"]);
    assert!(config.instances.iter().all(|instance| instance.autostart && instance.description.is_some()));
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let from_dir = load(dir, &Env::new()).unwrap();
    let specs = |config: &SupervisorConfig| config.instances.iter().map(|i| i.spec.clone()).collect::<Vec<_>>();
    assert_eq!(specs(&from_dir), specs(&config));
    assert_eq!(from_dir.instances.len(), SHIPPED_INSTANCES.len());
    assert!(SHIPPED_SUPERVISOR.starts_with('#'));
    assert!(!load_shipped(&env(&[("SUPERVISOR__RISK__TRADING_ENABLED", "false")])).unwrap().risk.trading_enabled);
}

#[test]
fn what_is_commented_out_is_the_default() {
    let written: Vec<&str> = SHIPPED_SUPERVISOR.lines().map(|line| key_line(line).unwrap_or(line)).collect();
    assert!(written.contains(&"hang_s = 10") && written.contains(&"dir = \"\""), "{written:?}");
    let dir = crate::dir(&written.join("\n"), &[]);
    let (written, plain) = (load(dir.path(), &Env::new()).unwrap(), load_shipped(&Env::new()).unwrap());
    assert_eq!((written.restart, &written.backup, written.state), (plain.restart, &plain.backup, plain.state));
    assert_eq!((written.risk, written.stop, written.logs), (plain.risk, plain.stop, plain.logs));
}

/// `key = value` behind a `#`.
fn key_line(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ")?;
    let (key, _) = line.split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(line)
}
