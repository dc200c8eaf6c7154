//! Actors that panic for good: each of the five, what is stopped, what goes on working, and what is said of it.

use std::path::Path;
use std::time::Duration;

use supervisor_actors::view::{AlertRow, InstanceStatus, OrderRow, State};
use supervisor_actors::{Policy, faults};
use supervisor_core::domain::{Candle, Price, Qty, Timestamp};

use super::{by, endless, until};
use crate::common::{Running, fleet_in, fleet_with, instance, trend, write_csv};

const AGAIN: &str = "instance.restarting";

/// A market that rises, so that the trend follower buys, and then falls through its stop.
fn rise_and_fall() -> Vec<Candle> {
    let minute = |nth: i64, price: i64| {
        let at = |ms: i64| Timestamp::from_millis(1_735_689_600_000 + nth * 60_000 + ms);
        let price = Price::new(price.into());
        let (open_time, close_time, volume) = (at(0), at(59_999), Qty::new(1.into()));
        Candle {
            open_time,
            close_time,
            open: price,
            high: price + Price::new(1.into()),
            low: price,
            close: price,
            volume,
        }
    };
    let path = |nth: i64| match nth {
        0..60 => 10_000 - nth,
        60..120 => 9_940 + (nth - 60) * 10,
        120..180 => 10_530 - (nth - 120) * 20,
        _ => 9_330,
    };
    (0..240).map(|nth| minute(nth, path(nth))).collect()
}

/// A trend follower in that market.
fn follower(id: &str, dir: &Path) -> supervisor_config::InstanceConfig {
    let csv = dir.join("up-and-down.csv");
    write_csv(&csv, &rise_and_fall());
    instance(&trend(id, "BTCUSDT", &csv, "fast = 5\nslow = 15\nadx_period = 5\natr_period = 5\nadx_min = 5"))
}

async fn row(running: &Running, id: &str) -> InstanceStatus {
    running.fleet.status().await.unwrap().items.into_iter().find(|row| row.id == id).unwrap()
}

/// The alerts of one bot.
async fn alerts(running: &Running, id: &str) -> Vec<AlertRow> {
    let mut alerts = running.fleet.errors(100).await.unwrap();
    alerts.retain(|alert| alert.instance == id);
    alerts
}

fn codes(alerts: &[AlertRow]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.code.as_str()).collect()
}

/// Waits, by asking, until a bot has this alert.
async fn until_told(running: &Running, id: &str, code: &str) -> AlertRow {
    loop {
        if let Some(found) = alerts(running, id).await.into_iter().find(|alert| alert.code == code) {
            return found;
        }
        actix::clock::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits, by asking, until the custodian of a bot has seen all of its recording.
async fn until_over(running: &Running, id: &str) -> InstanceStatus {
    loop {
        let found = row(running, id).await;
        if found.state == State::Quarantined && found.ended {
            return found;
        }
        actix::clock::sleep(Duration::from_millis(5)).await;
    }
}

/// At the top of the rise, with a position, `stage` fails for good, at its message number `after`. Answers the alerts
/// after the three of its restarts and the one of the quarantine.
fn stop_works_without(stage: &str, after: u32) -> (InstanceStatus, Vec<String>) {
    let (dir, id) = (tempfile::tempdir().unwrap(), format!("q-{}", &stage[..6]));
    faults::arm(&format!("panic {id} {stage} {after} 1000000")).unwrap();
    actix::System::new().block_on(async {
        let bots = vec![follower(&id, dir.path()), follower("never", dir.path())];
        let running = fleet_with(bots, Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        running.fleet.ended().await.unwrap();
        // Its custodian is brought up, and hears of the fall.
        let hit = until_over(&running, &id).await;
        assert_eq!((hit.state, hit.restarts, hit.open_orders), (State::Quarantined, 3, 0), "{hit:?}");
        let panic = format!("{stage} actor panicked: planted fault");
        assert!(hit.last_panic.as_ref().is_some_and(|text| text.starts_with(&panic)), "{hit:?}");
        let story = running.fleet.facts(&id, None, 1_000).await.unwrap();
        assert!(story.iter().any(|fact| fact.text.contains("quarantined, entries cancelled, stops stay")), "{story:?}");
        let at = |event: &str| story.iter().position(|fact| fact.event == event).unwrap();
        assert!(at("operator.command") < at("position.guarded"), "its stop closed the position: {story:?}");
        let told: Vec<String> = codes(&alerts(&running, &id).await).into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(told[..4], [AGAIN, AGAIN, AGAIN, "instance.quarantined"]);
        assert!(running.fleet.positions(Some(&id)).await.unwrap().iter().all(|row| row.qty.is_zero()));
        let other = row(&running, "never").await;
        assert_eq!((other.state, other.restarts, other.ended), (State::Stopped, 0, true), "{other:?}");
        (hit, told[4..].to_vec())
    })
}

#[test]
fn a_bot_whose_strategy_always_panics_ends_in_quarantine_with_its_entries_cancelled_and_its_stop_working() {
    let (hit, more) = stop_works_without("strategy", 104);
    assert!(hit.note.contains("failed more than 3 times in 60 s") && more.is_empty(), "{} {more:?}", hit.note);
    assert_eq!((hit.fills, hit.round_trips), (2, 1));
}

#[test]
fn a_bot_whose_market_data_always_panics_ends_in_quarantine_with_its_entries_cancelled_and_its_stop_working() {
    let (hit, more) = stop_works_without("market-data", 200);
    assert!(hit.note.contains("failed more than 3 times in 60 s") && more.is_empty(), "{} {more:?}", hit.note);
    assert_eq!((hit.fills, hit.round_trips), (2, 1));
}

#[test]
fn a_bot_whose_streak_monitor_always_panics_ends_in_quarantine_without_it_and_its_stop_works() {
    let (hit, more) = stop_works_without("streak-monitor", 103);
    assert!(hit.note.contains("figures stand still") && hit.note.contains("its stops stay in force"), "{}", hit.note);
    assert_eq!(more, ["streak.parked"]);
    assert_eq!((hit.fills, hit.round_trips), (2, 0), "the exit is not counted");
}

#[test]
fn what_a_parked_streak_monitor_has_missed_is_made_up_for_also_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let bots = || vec![follower("parked", dir.path())];
    // As often as it is tried: four times when it trades, once when it is in quarantine.
    faults::arm("panic parked streak-monitor 103 5").unwrap();
    let before = actix::System::new().block_on(async {
        let running = fleet_in(dir.path(), bots(), Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        running.fleet.ended().await.unwrap();
        let found = until_over(&running, "parked").await;
        running.fleet.shutdown(by()).await.unwrap();
        found
    });
    assert_eq!((before.fills, before.round_trips), (2, 0), "{before:?}");
    actix::System::new().block_on(async {
        let running = fleet_in(dir.path(), bots(), Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        let found = row(&running, "parked").await;
        assert_eq!((found.state, found.round_trips), (State::Quarantined, 0));
        assert!(found.note.contains("earlier run") && found.note.contains("figures stand still"), "{}", found.note);
        running.fleet.restart("parked", by()).await.unwrap();
        until(&running, "parked", State::Stopped).await;
        let found = row(&running, "parked").await;
        assert_eq!((found.restarts, found.fills, found.round_trips), (0, 2, 1), "{found:?}");
    });
}

#[test]
fn a_grid_in_quarantine_has_no_entries_also_in_the_next_run_until_an_operator_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let trades = |order: &OrderRow| order.purpose == "entry";
    faults::arm("panic grid-q strategy 200 4").unwrap();
    let before = actix::System::new().block_on(async {
        let running = fleet_in(dir.path(), vec![endless("grid-q")], Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        until(&running, "grid-q", State::Quarantined).await;
        loop {
            let orders = running.fleet.orders(Some("grid-q"), false, 100).await.unwrap();
            if !orders.is_empty() && !orders.iter().any(trades) {
                break;
            }
            actix::clock::sleep(Duration::from_millis(5)).await;
        }
        running.fleet.shutdown(by()).await.unwrap();
        running.fleet.detail("grid-q").await.unwrap()
    });
    assert!(!before.positions.is_empty() && before.status.fills > 0);
    actix::System::new().block_on(async {
        let running = fleet_in(dir.path(), vec![endless("grid-q")], Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        let row = running.fleet.status().await.unwrap().items.remove(0);
        assert!(row.state == State::Quarantined && row.note.starts_with("quarantined in an earlier run"), "{row:?}");
        assert!(row.fills >= before.status.fills, "nothing was forgotten");
        assert!(!running.fleet.orders(Some("grid-q"), false, 100).await.unwrap().iter().any(trades));
        let codes: Vec<String> = running.fleet.errors(100).await.unwrap().into_iter().map(|alert| alert.code).collect();
        let again = "instance.restarting";
        assert_eq!(codes, [again, again, again, "instance.quarantined", "instance.quarantined"], "of both runs");
        let back = running.fleet.restart("grid-q", by()).await.unwrap();
        assert_eq!((back.state, back.changed), (State::Running, true));
        while !running.fleet.orders(Some("grid-q"), false, 100).await.unwrap().iter().any(trades) {
            actix::clock::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Without this actor no stop can work: after the stated restarts, and the custodian, nothing of the bot runs any more.
fn last_resort_without(stage: &str, after: u32) {
    let id = format!("l-{}", &stage[..4]);
    faults::arm(&format!("panic {id} {stage} {after} 1000000")).unwrap();
    actix::System::new().block_on(async {
        let running = fleet_with(vec![endless(&id), endless("other")], Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        let last = until_told(&running, &id, "instance.abandoned").await;
        assert!(last.severity == "critical" && last.text.contains("were cancelled by their ids"), "{}", last.text);
        let told = alerts(&running, &id).await;
        assert_eq!(codes(&told)[..3], [AGAIN, AGAIN, AGAIN]);
        assert_eq!(codes(&told)[3..], ["instance.quarantined", "custodian.failed", "instance.abandoned"]);
        let hit = row(&running, &id).await;
        assert_eq!((hit.state, hit.restarts), (State::Quarantined, 3), "{hit:?}");
        let panic = format!("{stage} actor panicked: planted fault");
        assert!(hit.note.starts_with(&panic) && hit.note.contains("is unguarded"), "{}", hit.note);
        let held = running.fleet.positions(Some(&id)).await.unwrap().remove(0).qty;
        assert!(last.text.contains(&format!("its position ({held} BTCUSDT) is unguarded")), "{held}: {}", last.text);
        let other = row(&running, "other").await;
        assert_eq!((other.state, other.restarts), (State::Running, 0));
    });
}

#[test]
fn a_bot_whose_risk_always_panics_ends_with_its_entries_cancelled_by_their_ids_and_is_told_unguarded() {
    last_resort_without("risk", 100);
}

#[test]
fn a_bot_whose_order_lifecycle_always_panics_ends_with_its_entries_cancelled_by_their_ids_and_is_told_unguarded() {
    last_resort_without("order-lifecycle", 206);
}

#[test]
fn what_the_last_resort_leaves_is_brought_back() {
    // The first is at rest; of the second, messages and orders are under way.
    for (stage, after) in [("risk", 100), ("order-lifecycle", 227)] {
        let (dir, id) = (tempfile::tempdir().unwrap(), format!("back-{after}"));
        faults::arm(&format!("panic {id} {stage} {after} 5")).unwrap();
        let trades = |order: &OrderRow| order.purpose == "entry";
        actix::System::new().block_on(async {
            let running = fleet_in(dir.path(), vec![endless(&id)], Policy::default());
            running.fleet.autostart(&[]).await.unwrap();
            let last = until_told(&running, &id, "instance.abandoned").await;
            assert!(last.text.contains("were cancelled by their ids"), "{stage}: {}", last.text);
            running.fleet.shutdown(by()).await.unwrap();
        });
        actix::System::new().block_on(async {
            let running = fleet_in(dir.path(), vec![endless(&id)], Policy::default());
            running.fleet.autostart(&[]).await.unwrap();
            let found = row(&running, &id).await;
            assert!(found.state == State::Quarantined && found.note.starts_with("quarantined in an earlier run"));
            while running.fleet.orders(Some(&id), false, 100).await.unwrap().iter().any(trades) {
                actix::clock::sleep(Duration::from_millis(5)).await;
            }
            let back = running.fleet.restart(&id, by()).await.unwrap();
            assert_eq!(back.state, State::Running);
            while !running.fleet.orders(Some(&id), false, 100).await.unwrap().iter().any(trades) {
                actix::clock::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(row(&running, &id).await.restarts, 0, "{stage}");
        });
    }
}
