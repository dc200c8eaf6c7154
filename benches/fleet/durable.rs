//! Order to durable: from the moment the facts of an approved order are handed to the recorder until they are on the
//! device, so that the order may leave.
//!
//! The facts are those of a grid, one batch for each input that led to an order. Bots write at a pace of 20 orders a
//! second each, or without pause, each its next batch as soon as the one before is durable: nothing could ask for more.
//! Beside it, on the same disk: appends of as many bytes to a bare file, each with its fdatasync, at the pace of all
//! bots together; and the commits of a live fleet as its recorder counts them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use supervisor_actors::feeds;
use supervisor_core::instance::Fact;
use supervisor_core::sim::Backtest;
use supervisor_state::{Batch, InstanceKey, Recorder, StateDir, Store};

use super::crew::{Kind, id, instance};
use super::figures::{line, micros, percentile};
use super::inside::Inside;

const BOTS: [usize; 2] = [1, 100];
/// Orders of one measurement.
const ORDERS: usize = 10_000;
/// Between two orders of a bot, and for how long.
const PACE: Duration = Duration::from_millis(50);
const PACED: Duration = Duration::from_secs(10);
const APPENDS: u32 = 2_000;
const APPENDS_PACED: u32 = 200;
const LIVE: Duration = Duration::from_secs(8);

/// One bot and a hundred, direct and live.
pub fn measure() {
    let batches = batches(ORDERS);
    let bytes = batches.iter().flatten().map(Vec::len).sum::<usize>() / batches.len();
    let facts = batches.iter().map(Vec::len).sum::<usize>() as f64 / batches.len() as f64;
    line("facts of an order", &format!("{facts:.1} in {bytes} bytes"));
    let dir = tempfile::tempdir().unwrap();
    let settings = [("paced", PACE), ("without pause", Duration::ZERO)];
    for ((what, pace), bots) in settings.into_iter().flat_map(|one| BOTS.map(|bots| (one, bots))) {
        let pause = pace / u32::try_from(bots).unwrap();
        let what = format!("{bots} bots, {what}");
        let bare = tell(&format!("bare append, pace of {what}"), &bare(dir.path(), bytes, pause), None);
        let orders = if pause.is_zero() { ORDERS } else { (PACED.as_micros() / pause.as_micros()) as usize };
        let state = dir.path().join(format!("state-{bots}-{}", pause.as_micros()));
        let (took, per_s) = direct(&state, bots, pause, &batches[..orders.min(ORDERS)]);
        tell(&format!("order to durable, {what}"), &took, Some((bare, per_s)));
    }
    for bots in BOTS {
        live(bots);
    }
}

fn tell(what: &str, took: &[Duration], more: Option<([Duration; 2], f64)>) -> [Duration; 2] {
    let found = [50, 99].map(|percent| percentile(took, percent));
    let [p50, p99] = found;
    let more = more.map_or_else(String::new, |(bare, per_s)| {
        let times = |at: usize| found[at].as_secs_f64() / bare[at].as_secs_f64();
        format!(" ({:.1} and {:.1} times the bare one), {per_s:.0} orders/s", times(0), times(1))
    });
    line(what, &format!("p50 {}, p99 {}{more}", micros(p50), micros(p99)));
    found
}

/// The facts of so many inputs that led to an order.
fn batches(count: usize) -> Vec<Vec<Vec<u8>>> {
    let config = instance(0, Kind::Grids, "\"max\"");
    let mut run = Backtest::new(Arc::new(config.spec.clone()), feeds::build(&config).unwrap());
    let mut found = Vec::with_capacity(count);
    while found.len() < count && run.advance() {
        let facts = run.list_mut().drain_facts();
        if facts.iter().any(|record| matches!(record.fact, Fact::Approved { .. })) {
            found.push(facts.iter().map(|record| postcard::to_allocvec(record).unwrap()).collect());
        }
    }
    found
}

/// Appends with fdatasync, one after the other, none before its time.
fn bare(dir: &Path, bytes: usize, pause: Duration) -> Vec<Duration> {
    let (mut file, block, began) = (File::create(dir.join("bare")).unwrap(), vec![7; bytes], Instant::now());
    let mut append = |nth| {
        thread::sleep((began + pause * nth).saturating_duration_since(Instant::now()));
        let since = Instant::now();
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        since.elapsed()
    };
    (0..if pause == PACE { APPENDS_PACED } else { APPENDS }).map(&mut append).collect()
}

/// How long each batch took, and orders per second. `pause`: between two orders of all bots; zero: without any.
fn direct(state: &Path, bots: usize, pause: Duration, batches: &[Vec<Vec<u8>>]) -> (Vec<Duration>, f64) {
    let lock = StateDir::acquire(state).unwrap();
    let recorder = Recorder::start(Arc::new(Store::open(&lock).unwrap())).unwrap();
    let (handle, (told, news)) = (recorder.handle(), mpsc::channel::<(usize, Duration)>());
    let mut next = vec![1; bots];
    let mut write = |bot: usize, records: Vec<Vec<u8>>| {
        let first_seq = next[bot];
        next[bot] += records.len() as u64;
        let (told, since) = (told.clone(), Instant::now());
        let done = Box::new(move |answer: Result<u64, _>| {
            let took = since.elapsed();
            answer.unwrap();
            told.send((bot, took)).unwrap();
        });
        let instance = InstanceKey::new(&id(bot)).unwrap();
        handle.append(Batch { instance, generation: 0, first_seq, records, done: Some(done) });
    };
    let (since, mut took) = (Instant::now(), Vec::with_capacity(batches.len()));
    for (nth, records) in batches.iter().enumerate() {
        // At its pace, a bot's order before has long been durable; without pause, whoever is done is next.
        let due = since + pause * u32::try_from(nth).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let bot = if pause.is_zero() && nth >= bots { next_done(&news, &mut took) } else { nth % bots };
        write(bot, records.clone());
    }
    while took.len() < batches.len() {
        next_done(&news, &mut took);
    }
    let per_s = took.len() as f64 / since.elapsed().as_secs_f64();
    recorder.stop().unwrap();
    (took, per_s)
}

fn next_done(news: &mpsc::Receiver<(usize, Duration)>, took: &mut Vec<Duration>) -> usize {
    let (bot, one) = news.recv().unwrap();
    took.push(one);
    bot
}

/// Grids as fast as they can, snapshots and all.
fn live(bots: usize) {
    actix::System::new().block_on(async {
        let inside = Inside::start((0..bots).map(|nth| instance(nth, Kind::Grids, "\"max\"")).collect()).await;
        actix::clock::sleep(LIVE / 2).await;
        let orders = async || inside.look().await.iter().map(|bot| bot.orders).sum::<u64>();
        let (before, since) = (orders().await, Instant::now());
        actix::clock::sleep(LIVE / 2).await;
        let stats = inside.recorder.handle().stats();
        let per_s = (orders().await - before) as f64 / since.elapsed().as_secs_f64();
        let [p50, p99] = [stats.commit_p50_ns, stats.commit_p99_ns].map(Duration::from_nanos);
        let figures = format!("p50 {}, p99 {}, {per_s:.0} orders/s", micros(p50), micros(p99));
        line(&format!("commit in a live fleet, {bots} grids"), &figures);
        inside.stop().await;
    });
}
