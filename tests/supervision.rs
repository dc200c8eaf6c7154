//! Actors that panic and hang, among two hundred bots: the others notice nothing, and the one loses nothing.

mod quarantine;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervisor_actors::view::{InstanceStatus, State};
use supervisor_actors::{By, Policy, StartOptions, faults, feeds};
use supervisor_config::InstanceConfig;
use supervisor_core::instance::Stage;
use supervisor_core::sim::Backtest;

use crate::common::{Running, fleet_with, instance};

const CANDLES: u32 = 400;

fn grid(id: &str, seed: usize, candles: u32) -> InstanceConfig {
    instance(&format!(
        "id = \"{id}\"\nname = \"{id}\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\n\
         [feed]\nkind = \"synthetic\"\nseed = {seed}\nstart_price = 95000\nspeed = \"max\"\ncandles = {candles}\n\
         [strategy]\nkind = \"grid\"\nlevels = 20\nwidth_pct = 6\norder_value = 200\n\
         [risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
    ))
}

fn digest_of(config: &InstanceConfig) -> String {
    let mut run = Backtest::new(Arc::new(config.spec.clone()), feeds::build(config).unwrap());
    run.run_silent();
    run.state().digest(config.spec.id).unwrap().to_string()
}

async fn digests(running: &Running) -> BTreeMap<String, String> {
    let report = running.fleet.report().await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    report["items"].as_array().unwrap().iter().map(|item| (text(&item["id"]), text(&item["digest"]))).collect()
}

fn by() -> By {
    By { by: "uid:1000".to_owned(), reason: "test".to_owned(), request: "r".to_owned() }
}

/// Waits, by asking, until a bot's state is this.
async fn until(running: &Running, id: &str, state: State) {
    loop {
        let status = running.fleet.status().await.unwrap();
        if status.items.iter().any(|row| row.id == id && row.state == state) {
            return;
        }
        actix::clock::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs 200 bots to their end; answers their digests and what the statuses of those with restarts say.
fn two_hundred() -> (BTreeMap<String, String>, Vec<InstanceStatus>, Vec<String>) {
    let configs = (0..200).map(|nth| grid(&format!("q-{nth}"), nth + 1, CANDLES)).collect();
    actix::System::new().block_on(async {
        let running = fleet_with(configs, Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        running.fleet.ended().await.unwrap();
        let mut items = running.fleet.status().await.unwrap().items;
        items.retain(|row| row.restarts > 0 || row.last_panic.is_some());
        let alerts = running.fleet.errors(1_000).await.unwrap().into_iter().map(|alert| alert.code).collect();
        (digests(&running).await, items, alerts)
    })
}

#[test]
fn each_actor_of_one_bot_among_two_hundred_panics_once_and_all_digests_are_as_without() {
    let (expected, hit, alerts) = two_hundred();
    assert_eq!((expected.len(), hit, alerts), (200, vec![], vec![]));
    assert_eq!(expected["q-7"], digest_of(&grid("q-7", 8, CANDLES)), "and as in a backtest");
    for stage in Stage::ALL {
        faults::arm(&format!("panic q-100 {} 15 1", stage.word())).unwrap();
        let (found, hit, alerts) = two_hundred();
        assert_eq!((hit.len(), hit[0].id.as_str(), hit[0].restarts), (1, "q-100", 1), "{hit:?}");
        let panic = hit[0].last_panic.clone().unwrap();
        assert!(panic.starts_with(&format!("{} actor panicked: planted fault", stage.word())), "{panic}");
        assert_eq!(alerts, ["instance.restarting"]);
        assert_eq!(found, expected, "{}", stage.word());
    }
}

#[test]
fn a_bot_that_hangs_is_recovered_on_another_thread_and_so_are_those_beside_it() {
    let configs = || (0..6).map(|nth| grid(&format!("h-{nth}"), nth + 1, 4_000)).collect::<Vec<_>>();
    let expected: Vec<String> = configs().iter().map(digest_of).collect();
    faults::arm("hang h-2 order-lifecycle 60 1").unwrap();
    actix::System::new().block_on(async {
        let policy = Policy { hang: Duration::from_secs(2), ..Policy::default() };
        let running = fleet_with(configs(), policy);
        running.fleet.autostart(&[]).await.unwrap();
        running.fleet.ended().await.unwrap();
        let found = digests(&running).await;
        assert_eq!(found.values().cloned().collect::<Vec<_>>(), expected);
        let status = running.fleet.status().await.unwrap();
        assert_eq!(status.items[2].restarts, 1);
        let alerts = running.fleet.errors(100).await.unwrap();
        let told = |id: &str, text: &str| alerts.iter().any(|alert| alert.instance == id && alert.text.contains(text));
        assert!(told("h-2", "an actor hangs"), "{alerts:?}");
    });
}

#[test]
fn a_bot_that_waits_for_its_restart_can_be_stopped_and_started() {
    faults::arm("panic grid-w market-data 50 1").unwrap();
    let policy = Policy { base: Duration::from_secs(3_000), cap: Duration::from_secs(3_600), ..Policy::default() };
    actix::System::new().block_on(async {
        let running = fleet_with(vec![endless("grid-w")], policy);
        running.fleet.autostart(&[]).await.unwrap();
        until(&running, "grid-w", State::Backoff).await;
        let row = running.fleet.status().await.unwrap().items.remove(0);
        assert!(row.retry_in_ms.is_some_and(|ms| ms > 1_000_000), "{row:?}");
        assert!(!running.fleet.stop("grid-w", None, by()).await.unwrap().changed);
        until(&running, "grid-w", State::Stopped).await;
        let started = running.fleet.start("grid-w", StartOptions::default(), by()).await.unwrap();
        assert_eq!(started.state, State::Running);
    });
}

fn endless(id: &str) -> InstanceConfig {
    instance(&format!(
        "id = \"{id}\"\nname = \"{id}\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\n\
         [feed]\nkind = \"synthetic\"\nseed = 7\nstart_price = 95000\nspeed = 60000\n[strategy]\nkind = \"grid\"\n\
         levels = 20\nwidth_pct = 6\norder_value = 200\n\
         [risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
    ))
}
