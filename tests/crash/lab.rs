//! A place for crash tests: recordings cut to length, one configuration per pace, and as many state directories as
//! wanted.
//!
//! Promises: all paces have the same bots on the same prices, so their outcomes can be compared.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::run::{Run, Shim};
use crate::common::recording;

/// How fast a replay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the bots can take it.
    Max,
    /// As fast as a configuration can say in a number: a month takes about three seconds.
    Fast,
    /// A candle takes ten milliseconds, so that an order is under way for long enough to be seen.
    Slow,
}

impl Pace {
    const ALL: [Self; 3] = [Self::Max, Self::Fast, Self::Slow];

    const fn word(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Fast => "fast",
            Self::Slow => "slow",
        }
    }

    const fn speed(self) -> &'static str {
        match self {
            Self::Max => "\"max\"",
            Self::Fast => "1000000",
            Self::Slow => "6000",
        }
    }
}

/// The bots of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crew {
    /// A grid in cash, a trend follower on two instruments, a grid that brings base along.
    Three,
    /// A grid and a trend follower on one recording.
    Two,
}

impl Crew {
    /// Their ids.
    pub const fn ids(self) -> &'static [&'static str] {
        match self {
            Self::Three => &["grid", "stock", "trend"],
            Self::Two => &["grid", "trend"],
        }
    }
}

/// Settings that make snapshots and the reserve small enough for a test to see many of them.
const SETTINGS: &str = "[accounts.paper]\nvenue = \"paper\"\nbalances = { USDT = 1000000, BTC = 10, ETH = 100 }\n\
     [state]\nsnapshot_facts = 500\nsnapshot_events = 5000\nreserve_mb = 1\n[backup]\ninterval_min = 0\n";

const GRID: &str = "kind = \"grid\"\nspacing = \"geometric\"\nlevels = 20\nwidth_pct = 20\norder_value = 200\n";
const STOCK: &str = "kind = \"grid\"\nspacing = \"arithmetic\"\nlevels = 25\nwidth_pct = 40\norder_value = 200\n";
const TREND: &str = "kind = \"trend_following\"\nfast = 9\nslow = 21\nadx_min = 15\n";

const MONTH: &str = "klines/binance_spot_ohlcv/{symbol}-1m-20250101-20250204.csv.gz";

/// See the module.
pub struct Lab {
    program: PathBuf,
    dir: tempfile::TempDir,
    crew: Crew,
}

impl Lab {
    /// A place whose recordings hold this many one-minute candles, 50,000 at most.
    pub fn new(program: &Path, crew: Crew, candles: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = Self { program: program.to_path_buf(), dir, crew };
        for (symbol, seed, price) in [("BTCUSDT", 11, 95_000), ("ETHUSDT", 22, 3_400)] {
            let whole = recording(lab.dir.path(), &MONTH.replace("{symbol}", symbol), seed, price, candles);
            fs::write(lab.dir.path().join(format!("{symbol}.csv")), head(&whole, candles + 1)).unwrap();
        }
        Pace::ALL.into_iter().for_each(|pace| lab.configure(pace));
        lab
    }

    fn configure(&self, pace: Pace) {
        let config = self.config(pace);
        fs::create_dir_all(config.join("instances")).unwrap();
        fs::write(config.join("supervisor.toml"), SETTINGS).unwrap();
        for id in self.crew.ids() {
            fs::write(config.join(format!("instances/{id}.toml")), self.bot(id, pace)).unwrap();
        }
    }

    fn bot(&self, id: &str, pace: Pace) -> String {
        let (instruments, base, strategy) = match (id, self.crew) {
            ("grid", _) => ("\"BTCUSDT\"", "0", GRID),
            ("stock", _) => ("\"ETHUSDT\"", "1.5", STOCK),
            (_, Crew::Three) => ("\"BTCUSDT\", \"ETHUSDT\"", "0", TREND),
            (_, Crew::Two) => ("\"BTCUSDT\"", "0", TREND),
        };
        let (path, speed) = (self.dir.path().join("{symbol}.csv"), pace.speed());
        format!(
            "id = \"{id}\"\nmode = \"paper\"\ninstruments = [{instruments}]\ntimeframe = \"1m\"\n\
             [capital]\nquote = 10000\nbase = {base}\n\
             [feed]\nkind = \"replay\"\npath = \"{}\"\nspeed = {speed}\n\
             [venue_model]\nlatency_ms = 30000\n[strategy]\n{strategy}\
             [risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n\
             [orders]\non_stop = \"keep\"\n",
            path.display()
        )
    }

    /// The bots' ids.
    pub const fn ids(&self) -> &'static [&'static str] {
        self.crew.ids()
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The configuration directory of a pace.
    pub fn config(&self, pace: Pace) -> PathBuf {
        self.dir.path().join(format!("config-{}", pace.word()))
    }

    /// A state directory by name; it exists once something ran there.
    pub fn state(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the program there; it goes on until it is ended from outside.
    pub fn start(&self, state: &str, pace: Pace) -> Run {
        Run::start(self, state, pace, &[], None)
    }

    /// The same until the last replay has ended, with faulty storage.
    pub fn start_until_end(&self, state: &str, pace: Pace, shim: Option<&Shim>) -> Run {
        Run::start(self, state, pace, &["--until-end"], shim)
    }

    /// Removes a state directory and what was said about it.
    pub fn discard(&self, state: &str) {
        let _ = fs::remove_dir_all(self.state(state));
        for kind in ["out", "err"] {
            let _ = fs::remove_file(self.dir.path().join(format!("{state}.{kind}")));
        }
    }

    /// A copy of a state directory under another name.
    pub fn copy(&self, from: &str, to: &str) {
        copy_dir(&self.state(from), &self.state(to));
    }
}

impl Drop for Lab {
    /// What a failed test left behind is kept for whoever looks into it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            println!("kept: {}", self.dir.path().display());
        }
    }
}

/// Copies a state directory; sockets stay behind.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_dir(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The first lines of a file, unpacked.
fn head(path: &Path, lines: usize) -> String {
    let file = File::open(path).unwrap();
    let packed = path.extension().is_some_and(|kind| kind == "gz");
    let reader: Box<dyn Read> = if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(reader).lines().take(lines).map(|line| line.unwrap() + "\n").collect()
}
