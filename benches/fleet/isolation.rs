//! Isolation: what 199 bots notice when the one among them panics until it is quarantined.

use std::time::{Duration, Instant};

use supervisor_actors::faults;
use supervisor_actors::view::State;

use super::crew::{Kind, id, instance};
use super::figures::line;
use super::inside::Inside;

const BOTS: usize = 200;
const VICTIM: usize = 100;
/// A hundred candles a second for each bot.
const SPEED: &str = "6000";
const NOMINAL: f64 = 100.0;
/// Parts of a window: the slowest of them shows a dip that is caught up later.
const SLICES: usize = 20;
const SLICE: Duration = Duration::from_millis(250);

/// What the others have done in a window, per second.
struct Window {
    candles: f64,
    orders: f64,
    slowest: f64,
}

/// Five seconds before, during and after.
pub fn measure() {
    actix::System::new().block_on(async {
        let inside = Inside::start((0..BOTS).map(|nth| instance(nth, Kind::Mixed, SPEED)).collect()).await;
        // The indicators warm up.
        actix::clock::sleep(Duration::from_secs(3)).await;
        let before = window(&inside).await;
        faults::arm(&format!("panic {} strategy 1 1000000", id(VICTIM))).unwrap();
        let during = window(&inside).await;
        let after = window(&inside).await;
        let victim = inside.look().await.swap_remove(VICTIM);
        assert_eq!((victim.state, victim.restarts), (State::Quarantined, 3), "{}", victim.note);
        for (what, window) in [("before", &before), ("during (4 panics, quarantine)", &during), ("after", &after)] {
            tell(what, window);
        }
        let ratio = |pick: fn(&Window) -> f64| format!("{:.3}", pick(&during) / pick(&before));
        line("during / before: candles", &ratio(|window| window.candles));
        line("during / before: orders", &ratio(|window| window.orders));
        line("during / before: candles, slowest 250 ms", &ratio(|window| window.slowest));
        inside.stop().await;
    });
}

fn tell(what: &str, Window { candles, orders, slowest }: &Window) {
    let share = candles / (NOMINAL * (BOTS - 1) as f64) * 100.0;
    let figures = format!("{candles:.0} candles/s ({share:.0} % of pace), {orders:.0} orders/s, slowest {slowest:.0}");
    line(what, &figures);
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

/// Candles and orders of all but the one.
async fn taken(inside: &Inside) -> (u64, u64) {
    let others = inside.look().await.into_iter().enumerate().filter(|(nth, _)| *nth != VICTIM);
    others.fold((0, 0), |(candles, orders), (_, bot)| (candles + bot.candles, orders + bot.orders))
}
