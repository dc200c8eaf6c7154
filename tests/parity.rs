//! Backtest and run are the same: same facts, same digest, for several bots at once.

use std::sync::Arc;

use supervisor_actors::feeds;
use supervisor_config::InstanceConfig;
use supervisor_core::instance::{FactRecord, InstanceState};
use supervisor_core::sim::Backtest;
use supervisor_state::{InstanceKey, Store};

use crate::common::{fleet, grid, instance, recording, trend};

fn backtest(config: &InstanceConfig) -> (Vec<FactRecord>, InstanceState) {
    let mut run = Backtest::new(Arc::new(config.spec.clone()), feeds::build(config).unwrap());
    let mut facts = Vec::new();
    run.run(|mut new| facts.append(&mut new));
    (facts, run.state())
}

fn journal(store: &Store, id: &str) -> Vec<FactRecord> {
    let key = InstanceKey::new(id).unwrap();
    let stored = store.facts(&key, None, usize::MAX).unwrap();
    stored.iter().map(|fact| postcard::from_bytes(&fact.payload).unwrap()).collect()
}

#[test]
fn the_same_recording_gives_the_same_facts_and_digests_in_a_backtest_and_under_the_actors() {
    let dir = tempfile::tempdir().unwrap();
    let btc = recording(dir.path(), "klines/binance_spot_ohlcv/BTCUSDT-5m-20250101-20250204.csv.gz", 1, 95_000, 10_000);
    let eth = recording(dir.path(), "klines/binance_spot_ohlcv/ETHUSDT-5m-20250101-20250204.csv.gz", 2, 3_300, 10_000);
    let five = |text: String| instance(&text.replace("timeframe = \"1m\"", "timeframe = \"5m\""));
    let configs = vec![
        five(grid("grid-btc", "BTCUSDT", &btc, "85000", "110000")),
        five(grid("grid-eth", "ETHUSDT", &eth, "2500", "3800")),
        five(trend("trend-btc", "BTCUSDT", &btc, "fast = 10\nslow = 25\nadx_min = 10")),
        five(trend("trend-eth", "ETHUSDT", &eth, "fast = 8\nslow = 21\nadx_min = 10")),
    ];
    let expected: Vec<_> = configs.iter().map(backtest).collect();
    for (config, (facts, state)) in configs.iter().zip(&expected) {
        let report = state.report(&config.spec).unwrap();
        println!(
            "{}: {} facts, {} orders, {} fills, {}",
            config.spec.id,
            facts.len(),
            report.orders,
            report.fills,
            report.digest
        );
        assert!(report.orders > 20 && report.fills > 10, "{report:?}");
    }
    actix::System::new().block_on(async {
        let running = fleet(configs.clone());
        assert_eq!(running.fleet.autostart(&[]).await.unwrap(), configs.len());
        running.fleet.ended().await.unwrap();
        let report = running.fleet.report().await.unwrap();
        let status = running.fleet.status().await.unwrap();
        for (at, (config, (facts, state))) in configs.iter().zip(&expected).enumerate() {
            let id = config.spec.id.to_string();
            let item = report["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap();
            assert_eq!(*item, serde_json::to_value(state.report(&config.spec).unwrap()).unwrap(), "{id}");
            assert_eq!(journal(&running.store, &id), *facts, "{id}");
            assert!(status.items[at].hops.values().all(|hops| *hops > 0), "{:?}", status.items[at].hops);
            assert!(status.items[at].ended);
        }
    });
}
