//! Bots come, pause, stop, start again, die and go, while others run on.

use supervisor_actors::view::State;
use supervisor_actors::{By, FleetError, NewInstance, StartOptions};
use supervisor_config::InstanceConfig;
use supervisor_core::spec::OnStop;

use crate::common::{Running, fleet, instance};

fn by(reason: &str) -> By {
    By { by: "uid:1000".to_owned(), reason: reason.to_owned(), request: "r1".to_owned() }
}

fn text(id: &str, speed: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"{id}\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\n\
         [feed]\nkind = \"synthetic\"\nseed = 7\nstart_price = 95000\nspeed = {speed}\n[strategy]\nkind = \"grid\"\nlevels = 20\n\
         width_pct = 6\norder_value = 200\n[risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
    )
}

fn bot(id: &str) -> InstanceConfig {
    instance(&text(id, "60000"))
}

/// Waits, by asking, until a bot has sent orders and seen fills.
async fn until_trading(running: &Running, id: &str) {
    loop {
        let status = running.fleet.status().await.unwrap();
        let row = status.items.iter().find(|row| row.id == id).unwrap();
        if row.fills > 0 && row.open_orders > 0 {
            return;
        }
    }
}

fn run(test: impl AsyncFnOnce(Running)) {
    let bots = vec![bot("a"), bot("b")];
    actix::System::new().block_on(async move {
        let running = fleet(bots);
        running.fleet.autostart(&[]).await.unwrap();
        test(running).await;
    });
}

#[test]
fn a_paused_bot_has_no_entries_and_a_resumed_one_has_them_again() {
    run(async |running| {
        until_trading(&running, "a").await;
        let paused = running.fleet.pause("a", by("lunch")).await.unwrap();
        assert_eq!((paused.state, paused.changed), (State::Paused, true));
        assert!(!running.fleet.pause("a", by("again")).await.unwrap().changed);
        while running.fleet.orders(Some("a"), false, 100).await.unwrap().iter().any(|order| order.purpose == "entry") {}
        assert_eq!(running.fleet.status().await.unwrap().items[1].state, State::Running);
        let resumed = running.fleet.resume("a", by("back")).await.unwrap();
        assert_eq!(resumed.state, State::Running);
        while !running.fleet.orders(Some("a"), false, 100).await.unwrap().iter().any(|order| order.purpose == "entry") {
        }
        let told = running.fleet.explain("a", 200).await.unwrap();
        assert!(told.iter().any(|fact| fact.text == "paused by uid:1000: lunch"), "{told:?}");
    });
}

#[test]
fn a_stopped_bot_goes_on_where_it_stopped() {
    run(async |running| {
        until_trading(&running, "a").await;
        let stopped = running.fleet.stop("a", Some(OnStop::Keep), by("")).await.unwrap();
        assert_eq!(stopped.state, State::Stopped);
        let before = running.fleet.detail("a").await.unwrap();
        assert!(before.status.fills > 0);
        let again = running.fleet.stop("a", None, by("")).await.unwrap();
        assert!(!again.changed);
        let started = running.fleet.start("a", StartOptions::default(), by("")).await.unwrap();
        assert_eq!((started.state, started.changed), (State::Running, true));
        assert!(!running.fleet.start("a", StartOptions::default(), by("")).await.unwrap().changed);
        let after = running.fleet.detail("a").await.unwrap();
        assert!(after.status.fills >= before.status.fills && after.status.candles >= before.status.candles);
        let trades = running.fleet.trades(Some("a"), 100_000).await.unwrap();
        assert!(trades.len() as u64 >= before.status.fills);
        running.fleet.restart("a", by("")).await.unwrap();
    });
}

#[test]
fn stopping_as_configured_leaves_no_entries_and_flatten_leaves_no_position() {
    run(async |running| {
        until_trading(&running, "a").await;
        until_trading(&running, "b").await;
        running.fleet.stop("a", None, by("")).await.unwrap();
        let orders = running.fleet.orders(Some("a"), false, 100).await.unwrap();
        assert!(orders.iter().all(|order| order.purpose == "exit"), "{orders:?}");
        running.fleet.stop("b", Some(OnStop::Flatten), by("")).await.unwrap();
        assert_eq!(running.fleet.orders(Some("b"), false, 100).await.unwrap(), []);
        for position in running.fleet.positions(Some("b")).await.unwrap() {
            assert!(position.qty < "0.00001".parse().unwrap(), "{position:?}");
        }
    });
}

#[test]
fn the_kill_switch_cancels_everything_and_holds_until_it_is_cleared_and_each_bot_resumed() {
    run(async |running| {
        until_trading(&running, "a").await;
        until_trading(&running, "b").await;
        let report = running.fleet.kill(by("exchange outage")).await.unwrap();
        assert!(report.kill.on && report.halted == 2 && report.open_before > 0 && report.open_after == 0, "{report:?}");
        assert_eq!(running.fleet.orders(None, false, 100).await.unwrap(), []);
        assert!(running.fleet.status().await.unwrap().items.iter().all(|row| row.state == State::Killed));
        assert!(matches!(
            running.fleet.resume("a", by("")).await,
            Err(FleetError::Conflict { code: "kill_switch", .. })
        ));
        assert!(running.store.get_latch("kill").unwrap().is_some());
        running.fleet.kill_clear(by("over")).await.unwrap();
        assert!(running.store.get_latch("kill").unwrap().is_none());
        assert!(running.fleet.status().await.unwrap().items.iter().all(|row| row.state == State::Paused));
        running.fleet.resume("b", by("")).await.unwrap();
        until_trading(&running, "b").await;
        assert_eq!(running.fleet.status().await.unwrap().items[0].state, State::Paused);
        let orders = running.fleet.orders(Some("a"), false, 100).await.unwrap();
        assert!(orders.iter().all(|order| order.purpose == "exit"), "{orders:?}");
    });
}

#[test]
fn a_bot_is_added_by_file_and_removed() {
    run(async |running| {
        let new = |id: &str| NewInstance { toml: text(id, "60000"), path: "elsewhere/bot.toml".into(), set: vec![] };
        let added = running.fleet.add(new("c"), by("")).await.unwrap();
        assert_eq!(added.state, State::Running);
        assert!(matches!(
            running.fleet.add(new("c"), by("")).await,
            Err(FleetError::Conflict { code: "id_taken", .. })
        ));
        until_trading(&running, "c").await;
        running.fleet.remove("c", by("")).await.unwrap();
        let gone = running.fleet.detail("c").await.unwrap_err();
        assert!(matches!(gone, FleetError::UnknownInstance { .. }), "{gone}");
        let mut bad = new("d");
        bad.toml = bad.toml.replace("levels = 20", "levels = 1\ncolour = \"red\"");
        let FleetError::Invalid { problems } = running.fleet.add(bad, by("")).await.unwrap_err() else { panic!() };
        assert!(problems.len() == 2 && problems[0].contains("strategy.levels = 1"), "{problems:?}");
        let near = running.fleet.detail("aa").await.unwrap_err();
        assert_eq!(near.to_string(), "no bot named 'aa'; did you mean 'a'?");
    });
}

#[test]
fn explain_tells_the_whole_life_of_an_order() {
    run(async |running| {
        until_trading(&running, "a").await;
        let trade = running.fleet.trades(Some("a"), 1).await.unwrap().remove(0);
        let story = running.fleet.explain(&trade.order, 100).await.unwrap();
        let events: Vec<&str> = story.iter().map(|fact| fact.event.as_str()).collect();
        assert_eq!(events[0], "order.approved");
        assert!(events.contains(&"order.moved") && events.contains(&"order.fill"), "{events:?}");
        assert!(story[0].text.contains("why: grid line"), "{}", story[0].text);
        let unknown = running.fleet.explain("a-1-999999", 10).await.unwrap_err();
        assert!(matches!(unknown, FleetError::UnknownOrder { .. }), "{unknown}");
    });
}
