//! What a start finds after an end that nobody prepared: commands, settings, prices and facts that do not fit.

use std::path::Path;
use std::time::Duration;

use supervisor_actors::view::{InstanceStatus, State};
use supervisor_actors::{By, FleetError, Policy, StartOptions};
use supervisor_config::InstanceConfig;
use supervisor_core::domain::{Candle, Price};

use crate::common::{Running, candles, fleet_in, grid, instance, write_csv};

const START: i64 = 95_000;

fn by() -> By {
    By { by: "uid:1000".to_owned(), reason: "test".to_owned(), request: "r".to_owned() }
}

/// A grid that replays the file beside the state directory at 100 candles a second.
fn bot(dir: &Path, id: &str) -> InstanceConfig {
    instance(&text(dir, id))
}

fn text(dir: &Path, id: &str) -> String {
    let text = grid(id, "BTCUSDT", &dir.join("made.csv"), "90000", "100000");
    text.replace("speed = \"max\"", "speed = 6000")
}

/// Runs bots in a directory until `test` is through, and leaves them without a word, as a crash does.
fn run<T>(dir: &Path, bots: Vec<InstanceConfig>, test: impl AsyncFnOnce(&Running) -> T) -> T {
    actix::System::new().block_on(async {
        let running = fleet_in(dir, bots, Policy::default());
        running.fleet.autostart(&[]).await.unwrap();
        test(&running).await
    })
}

async fn row(running: &Running, id: &str) -> InstanceStatus {
    running.fleet.status().await.unwrap().items.into_iter().find(|row| row.id == id).unwrap()
}

async fn until_trading(running: &Running, id: &str) {
    while row(running, id).await.fills < 3 {
        actix::clock::sleep(Duration::from_millis(5)).await;
    }
}

/// What the journal says of the newest change of settings.
async fn until_revised(running: &Running, id: &str) -> String {
    loop {
        let story = running.fleet.facts(id, None, 1_000).await.unwrap();
        if let Some(revised) = story.into_iter().rfind(|fact| fact.event == "config.revised") {
            return revised.text;
        }
        actix::clock::sleep(Duration::from_millis(5)).await;
    }
}

/// The bot with parts of its file replaced.
fn other(dir: &Path, id: &str, changes: &[(&str, &str)]) -> InstanceConfig {
    let changed = |text: String, (from, to): &(&str, &str)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    instance(&changes.iter().fold(text(dir, id), changed))
}

async fn codes(running: &Running) -> Vec<String> {
    running.fleet.errors(100).await.unwrap().into_iter().map(|alert| alert.code).collect()
}

fn market(dir: &Path, change: impl Fn(usize, Candle) -> Candle) {
    let made = candles(3, START, 30_000);
    let changed: Vec<Candle> = made.into_iter().enumerate().map(|(nth, candle)| change(nth, candle)).collect();
    write_csv(&dir.join("made.csv"), &changed);
}

fn times(candle: Candle, factor: i64) -> Candle {
    let times = |price: Price| Price::new(price.get() * rust_decimal::Decimal::from(factor));
    let Candle { open, high, low, close, .. } = candle;
    Candle { open: times(open), high: times(high), low: times(low), close: times(close), ..candle }
}

#[test]
fn what_an_operator_paused_or_stopped_stays_so_over_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    market(dir, |_, candle| candle);
    let bots = || vec![bot(dir, "on"), bot(dir, "paused"), bot(dir, "stopped")];
    run(dir, bots(), async |running| {
        for id in ["on", "paused", "stopped"] {
            until_trading(running, id).await;
        }
        running.fleet.pause("paused", by()).await.unwrap();
        running.fleet.stop("stopped", None, by()).await.unwrap();
    });
    run(dir, bots(), async |running| {
        let states = [row(running, "on").await, row(running, "paused").await, row(running, "stopped").await];
        assert_eq!(states.each_ref().map(|row| row.state), [State::Running, State::Paused, State::Stopped]);
        assert!(states.iter().all(|row| row.fills >= 3), "{states:?}");
        let started = running.fleet.start("stopped", StartOptions::default(), by()).await.unwrap();
        assert_eq!(started.state, State::Running);
        assert_eq!(codes(running).await, [""; 0]);
    });
}

#[test]
fn other_settings_are_an_input_and_what_they_do_not_fit_does_not_start() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    market(dir, |_, candle| candle);
    let fills = run(dir, vec![bot(dir, "a"), bot(dir, "b")], async |running| {
        until_trading(running, "a").await;
        until_trading(running, "b").await;
        row(running, "a").await.fills
    });
    let other = |id: &str, from: &str, to: &str| other(dir, id, &[(from, to)]);
    let bots = vec![other("a", "order_value = 200", "order_value = 150"), other("b", "base = 0", "base = 0.5")];
    run(dir, bots, async |running| {
        assert_eq!(row(running, "a").await.state, State::Running);
        let revised = until_revised(running, "a").await;
        assert!(revised.contains("strategy.size") && revised.contains("150"), "{revised}");
        assert!(row(running, "a").await.fills >= fills, "its past is kept");
        let unfit = row(running, "b").await;
        assert_eq!((unfit.state, codes(running).await), (State::Quarantined, vec!["state.unfit".to_owned()]));
        assert!(unfit.note.contains("capital.base was 0, is 0.5"), "{}", unfit.note);
        let FleetError::Invalid { problems } = running.fleet.restart("b", by()).await.unwrap_err() else { panic!() };
        assert!(problems[0].contains("--fresh"), "{problems:?}");
        let fresh = StartOptions { fresh: true, ..StartOptions::default() };
        assert_eq!(running.fleet.start("b", fresh, by()).await.unwrap().state, State::Running);
    });
    // The revision itself is run again.
    let again = other("a", "order_value = 200", "order_value = 150");
    run(dir, vec![again], async |running| {
        assert_eq!(row(running, "a").await.state, State::Running);
        assert_eq!(codes(running).await, ["state.unfit"; 2], "of the run before: the start and the try again");
    });
}

#[test]
fn capital_comes_in_and_goes_out_as_far_as_it_is_free_and_the_state_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    market(dir, |_, candle| candle);
    let cash = async |running: &Running, id: &str| {
        let state = running.fleet.dump(id).await.unwrap();
        let state = serde_json::to_value(&state).unwrap().to_string();
        // Gate, venue and streak each have their own count.
        let counts: Vec<String> =
            state.split("\"cash\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
        let amounts: Vec<rust_decimal::Decimal> = counts.iter().map(|count| count.parse().unwrap()).collect();
        assert!(amounts.len() == 3 && amounts.iter().all(|amount| *amount == amounts[0]), "{amounts:?}");
        amounts[0]
    };
    // Its orders rest on: what they hold is not free.
    let keep = ("min_order_value = 10\n", "min_order_value = 10\n[orders]\non_stop = \"keep\"\n");
    let before = run(dir, vec![bot(dir, "more"), other(dir, "less", &[keep]), bot(dir, "kind")], async |running| {
        for id in ["more", "less", "kind"] {
            until_trading(running, id).await;
        }
        running.fleet.shutdown(by()).await.unwrap();
        (cash(running, "more").await, row(running, "more").await)
    });
    let trend = "[strategy]\nkind = \"trend_following\"\n[risk]";
    let file = text(dir, "kind");
    let strategy = &file[file.find("[strategy]").unwrap()..file.find("[risk]").unwrap() + "[risk]".len()];
    let more = || other(dir, "more", &[("quote = 10000", "quote = 12500"), ("speed = 6000", "speed = 0.001")]);
    let less = |quote: &str| other(dir, "less", &[keep, ("quote = 10000", &format!("quote = {quote}"))]);
    let kind = || {
        other(
            dir,
            "kind",
            &[
                (strategy, trend),
                ("min_order_value = 10\n", "min_order_value = 10\n[venue_model]\nmaker_fee = 0.0005\n"),
            ],
        )
    };
    let refused = run(dir, vec![more(), less("100"), kind()], async |running| {
        assert_eq!(until_revised(running, "more").await, "settings changed: capital.quote was 10000, is 12500");
        let now = row(running, "more").await;
        assert_eq!((now.state, now.fills, now.total_profit), (State::Running, before.1.fills, before.1.total_profit));
        assert_eq!(cash(running, "more").await, before.0 + rust_decimal::Decimal::from(2_500));
        let told = until_revised(running, "kind").await;
        assert!(told.contains("venue_model.maker_fee was 0.001, is 0.0005"), "{told}");
        assert!(told.contains("strategy.kind was grid, is trend_following"), "{told}");
        assert_eq!(row(running, "kind").await.state, State::Running);
        let unfit = row(running, "less").await;
        assert_eq!((unfit.state, codes(running).await), (State::Quarantined, vec!["state.unfit".to_owned()]));
        assert!(unfit.note.contains("capital.quote was 10000, is 100: that takes 9900 out, and "), "{}", unfit.note);
        unfit.note
    });
    // As far as it is free it goes; what was refused has changed nothing.
    let least = refused.split("allowed: at least ").nth(1).unwrap().split(')').next().unwrap();
    run(dir, vec![more(), less(least), kind()], async |running| {
        let told = until_revised(running, "less").await;
        assert_eq!(told, format!("settings changed: capital.quote was 10000, is {least}"));
        assert_eq!(row(running, "less").await.state, State::Running);
        assert!(row(running, "less").await.fills >= 3, "its past is kept");
        assert_eq!(codes(running).await, ["state.unfit"], "of the run before");
    });
}

#[test]
fn a_journal_that_its_inputs_do_not_give_again_is_fatal_for_its_bot_alone_and_loud() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    market(dir, |_, candle| candle);
    std::fs::copy(dir.join("made.csv"), dir.join("true.csv")).unwrap();
    let sound = || instance(&text(dir, "sound").replace("made.csv", "true.csv"));
    run(dir, vec![bot(dir, "bent"), sound()], async |running| {
        until_trading(running, "bent").await;
        until_trading(running, "sound").await;
    });
    // The recording now tells another story of the same minutes.
    market(dir, |nth, candle| if nth % 2 == 0 { candle } else { times(candle, 2) });
    run(dir, vec![bot(dir, "bent"), sound()], async |running| {
        let bent = row(running, "bent").await;
        assert_eq!((bent.state, codes(running).await), (State::Quarantined, vec!["state.diverged".to_owned()]));
        assert!(bent.note.contains("running its inputs again"), "{}", bent.note);
        assert_eq!(row(running, "sound").await.state, State::Running);
        assert!(matches!(running.fleet.dump("bent").await, Err(FleetError::Conflict { code: "no_state", .. })));
    });
}

#[test]
fn a_price_that_moved_by_more_than_half_is_warned_of_and_shown_and_not_fatal() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    market(dir, |_, candle| candle);
    let taken = run(dir, vec![bot(dir, "a")], async |running| {
        until_trading(running, "a").await;
        running.fleet.shutdown(by()).await.unwrap();
        usize::try_from(row(running, "a").await.candles).unwrap()
    });
    market(dir, |nth, candle| if nth < taken { candle } else { times(candle, 2) });
    run(dir, vec![bot(dir, "a")], async |running| {
        let mut now = row(running, "a").await;
        while now.warnings.is_empty() {
            actix::clock::sleep(Duration::from_millis(5)).await;
            now = row(running, "a").await;
        }
        assert_eq!((now.state, codes(running).await), (State::Running, vec!["position.odd".to_owned()]));
        assert!(now.warnings[0].contains("BTCUSDT") && now.warnings[0].contains('%'), "{:?}", now.warnings);
    });
}
