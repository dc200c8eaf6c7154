//! Messages per second through the live actors: whole fleets on a finite made-up market, journal and all.
//!
//! `cargo bench --bench live`. The made-up candles are produced on the way (about 0.25 us each).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/common/mod.rs"]
#[allow(dead_code)]
mod common;

use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

const CANDLES: u64 = 200_000;

fn bot(at: usize, strategy: &str) -> supervisor_config::InstanceConfig {
    common::instance(&format!(
        "id = \"bot-{at}\"\nname = \"bot\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n\
         [capital]\nquote = 10000\n[feed]\n\
         kind = \"synthetic\"\nseed = {at}\nstart_price = 95000\ncandles = {CANDLES}\n\
         speed = \"max\"\n[strategy]\n{strategy}\n[risk]\n\
         max_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
    ))
}

/// Runs so many bots to their end; answers the messages that their stages handled.
fn run(bots: usize, strategy: &str) -> u64 {
    let configs = (0..bots).map(|at| bot(at, strategy)).collect();
    actix::System::new().block_on(async {
        let running = common::fleet(configs);
        running.fleet.autostart(&[]).await.unwrap();
        running.fleet.ended().await.unwrap();
        let status = running.fleet.status().await.unwrap();
        status.items.iter().flat_map(|row| row.hops.values()).sum()
    })
}

/// A trend follower that never finds its trend strong enough: messages only, no orders, no disk.
const QUIET: &str = "kind = \"trend_following\"\nadx_min = 100";
/// A grid around the start price: orders wait for the disk.
const GRID: &str = "kind = \"grid\"\nlevels = 20\nwidth_pct = 10\norder_value = 200";

#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 2, 8])]
fn hops_without_orders(bencher: Bencher, bots: usize) {
    let hops = run(bots, QUIET);
    bencher.counter(ItemsCount::new(hops)).bench_local(|| run(bots, QUIET));
}

#[divan::bench(sample_count = 3, sample_size = 1, args = [1, 8])]
fn hops_with_a_grid(bencher: Bencher, bots: usize) {
    let hops = run(bots, GRID);
    bencher.counter(ItemsCount::new(hops)).bench_local(|| run(bots, GRID));
}
