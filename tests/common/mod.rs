//! What the integration tests share: data, instances, a fleet on a temporary state directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supervisor_actors::{Backups, Fleet, FleetSpec, Policy, Snapshots};
use supervisor_config::{Account, Caps, Crossing, InstanceConfig, instance_from_text};
use supervisor_core::domain::{Candle, Price, Timeframe, Timestamp};
use supervisor_core::sim::{SyntheticInstrument, SyntheticSpec, synthetic_candles};
use supervisor_state::{Recorder, StateDir, Store};

/// A file of the shared data, where it is present.
pub fn shared(name: &str) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = std::env::var_os("SUPERVISOR_DATA").map_or(default, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        Some(path)
    } else {
        println!("{name} is not here; this test uses data that it makes itself");
        None
    }
}

/// Seeded one-minute candles around a price.
pub fn candles(seed: u64, start_price: i64, count: usize) -> Vec<Candle> {
    let instrument = SyntheticInstrument::new(Price::new(start_price.into()), "0.01".parse().unwrap());
    let spec = SyntheticSpec {
        seed,
        start: Timestamp::from_millis(1_735_689_600_000),
        interval: Timeframe::from_millis(60_000),
        instruments: vec![instrument],
        candles: None,
    };
    synthetic_candles(&spec, count).unwrap()
}

/// Candles as a file in the venue's format.
pub fn write_csv(path: &Path, candles: &[Candle]) {
    let mut text = String::from(
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n",
    );
    for c in candles {
        let (open, close) = (c.open_time.millis(), c.close_time.millis());
        writeln!(text, "{open},{},{},{},{},{},{close},0,0,0,0,0", c.open, c.high, c.low, c.close, c.volume).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// A recording of the shared data, or a made one of the same kind, beside which `{symbol}` files can lie.
pub fn recording(dir: &Path, shared_name: &str, seed: u64, price: i64, count: usize) -> PathBuf {
    shared(shared_name).unwrap_or_else(|| {
        let path = dir.join(format!("made-{seed}.csv"));
        write_csv(&path, &candles(seed, price, count));
        path
    })
}

/// One paper account with enough of everything.
pub fn accounts() -> BTreeMap<String, Account> {
    let balances =
        BTreeMap::from([("USDT".parse().unwrap(), 10_000_000.into()), ("BTC".parse().unwrap(), 1_000.into())]);
    let caps = Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
    let account = Account { venue: "paper".to_owned(), balances, caps, crossing: Crossing::Allow };
    BTreeMap::from([("paper".to_owned(), account)])
}

/// An instance from a file's text.
pub fn instance(text: &str) -> InstanceConfig {
    instance_from_text(text, Path::new("test.toml"), &accounts(), &[], &BTreeMap::new())
        .unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The text of a grid that replays a file.
pub fn grid(id: &str, symbol: &str, path: &Path, lower: &str, upper: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"{id}\"\nmode = \"paper\"\ninstruments = [\"{symbol}\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\nbase = 0\n\
         [feed]\nkind = \"replay\"\npath = \"{}\"\nspeed = \"max\"\n[strategy]\nkind = \"grid\"\nspacing = \"geometric\"\nlevels = 20\n\
         lower = {lower}\nupper = {upper}\norder_value = 200\n[risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n",
        path.display()
    )
}

/// The text of a trend follower that replays a file.
pub fn trend(id: &str, symbol: &str, path: &Path, extra: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"{id}\"\nmode = \"paper\"\ninstruments = [\"{symbol}\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\nbase = 0\n\
         [feed]\nkind = \"replay\"\npath = \"{}\"\nspeed = \"max\"\n[strategy]\nkind = \"trend_following\"\n{extra}\n[risk]\nmin_order_value = 10\n",
        path.display()
    )
}

/// A fleet on its own state directory. Drop order: fleet, recorder, store, directory.
pub struct Running {
    pub fleet: Fleet,
    pub store: Arc<Store>,
    _recorder: Recorder,
    _lock: StateDir,
    _dir: Option<tempfile::TempDir>,
}

/// Starts a fleet; call it inside an actix system.
pub fn fleet(instances: Vec<InstanceConfig>) -> Running {
    fleet_with(instances, Policy::default())
}

/// The same with other rules for restarts.
pub fn fleet_with(instances: Vec<InstanceConfig>, restarts: Policy) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let running = fleet_in(dir.path(), instances, restarts);
    Running { _dir: Some(dir), ..running }
}

/// The same in a directory that may have been used before.
pub fn fleet_in(dir: &Path, instances: Vec<InstanceConfig>, restarts: Policy) -> Running {
    let lock = StateDir::acquire(&dir.join("state")).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start(store.clone()).unwrap();
    let spec = FleetSpec {
        accounts: accounts(),
        instances,
        trading_enabled: true,
        env: BTreeMap::new(),
        store: store.clone(),
        recorder: recorder.handle(),
        arbiters: 2,
        stop_deadline: std::time::Duration::from_secs(60),
        restarts,
        snapshots: Snapshots::default(),
        backups: Backups { dir: dir.join("backups"), every: None, keep: 3 },
        told: Vec::new(),
        verify: false,
    };
    let fleet = Fleet::launch(spec).unwrap();
    Running { fleet, store, _recorder: recorder, _lock: lock, _dir: None }
}
