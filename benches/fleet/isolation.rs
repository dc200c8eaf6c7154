//! Isolation: what the other bots among 200 notice when one of them panics for good, by each of its actors in turn.
//!
//! Each actor has a victim of its own, a grid, since those trade often enough. None of the five is counted. The market
//! is another in each window, and orders with it: how much that makes without any panic stands first.

use std::time::{Duration, Instant};

use supervisor_actors::faults;
use supervisor_actors::view::State;
use supervisor_core::instance::Stage;

use super::crew::{Kind, id, instance};
use super::figures::line;
use super::inside::Inside;

const BOTS: usize = 200;
const VICTIMS: [usize; 5] = [20, 60, 100, 140, 180];
/// A hundred candles a second for each bot.
const SPEED: &str = "6000";
const NOMINAL: f64 = 100.0;
/// Parts of a window: the slowest of them shows a dip that is caught up later.
const SLICES: usize = 14;
const SLICE: Duration = Duration::from_millis(250);

/// What the others have done in a window, per second.
struct Window {
    candles: f64,
    orders: f64,
    slowest: f64,
}

/// Three and a half seconds before and during: once without a panic, then for each actor.
pub fn measure() {
    actix::System::new().block_on(async {
        let inside = Inside::start((0..BOTS).map(|nth| instance(nth, Kind::Mixed, SPEED)).collect()).await;
        // The indicators warm up.
        actix::clock::sleep(Duration::from_secs(3)).await;
        tell("nothing", &window(&inside).await, &window(&inside).await);
        for (victim, stage) in VICTIMS.into_iter().zip(Stage::ALL) {
            let before = window(&inside).await;
            faults::arm(&format!("panic {} {} 1 1000000", id(victim), stage.word())).unwrap();
            let during = window(&inside).await;
            tell(stage.word(), &before, &during);
            until_quarantined(&inside, victim).await;
        }
        inside.stop().await;
    });
}

/// One that trades seldom may not have failed often enough within the window.
async fn until_quarantined(inside: &Inside, victim: usize) {
    loop {
        let found = inside.look().await.swap_remove(victim);
        if found.state == State::Quarantined {
            assert_eq!(found.restarts, 3, "{}", found.note);
            return;
        }
        actix::clock::sleep(SLICE).await;
    }
}

fn tell(who: &str, before: &Window, during: &Window) {
    let share = before.candles / (NOMINAL * (BOTS - VICTIMS.len()) as f64) * 100.0;
    let pace = format!("{:.0} candles/s ({share:.0} % of pace), {:.0} orders/s", before.candles, before.orders);
    line(&format!("before {who} panics"), &pace);
    let ratio = |pick: fn(&Window) -> f64| pick(during) / pick(before);
    let (candles, orders) = (ratio(|window| window.candles), ratio(|window| window.orders));
    let slowest = ratio(|window| window.slowest);
    let figures = format!("candles {candles:.3}, orders {orders:.3}, candles in the slowest 250 ms {slowest:.3}");
    line("  during / before", &figures);
}

async fn window(inside: &Inside) -> Window {
    let (first, since) = (taken(inside).await, Instant::now());
    let (mut last, mut at, mut slowest) = (first, since, f64::INFINITY);
    for _ in 0..SLICES {
        actix::clock::sleep(SLICE).await;
        let (seen, now) = (taken(inside).await, Instant::now());
        slowest = slowest.min((seen.0 - last.0) as f64 / (now - at).as_secs_f64());
        (last, at) = (seen, now);
    }
    let per_s = |more: u64| more as f64 / (at - since).as_secs_f64();
    Window { candles: per_s(last.0 - first.0), orders: per_s(last.1 - first.1), slowest }
}

/// Candles and orders of all but the five.
async fn taken(inside: &Inside) -> (u64, u64) {
    let others = inside.look().await.into_iter().enumerate().filter(|(nth, _)| !VICTIMS.contains(nth));
    others.fold((0, 0), |(candles, orders), (_, bot)| (candles + bot.candles, orders + bot.orders))
}
