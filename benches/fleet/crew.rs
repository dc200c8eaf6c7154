//! Bots by the thousand: every second one a grid, the others trend followers, each on a made-up market of its own.
//!
//! Promises: the same number gives the same bot in every part of the measurement.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use supervisor_config::{Account, Caps, Crossing, InstanceConfig, instance_from_text};

/// Enough for 10,000 bots.
const BALANCE: u64 = 100_000_000;

const GRID: &str = "kind = \"grid\"\nlevels = 20\nwidth_pct = 6\norder_value = 200\n";
/// Fast averages, so that it trades within minutes of its market.
const TREND: &str = "kind = \"trend_following\"\nfast = 5\nslow = 15\nadx_period = 5\natr_period = 5\nadx_min = 5\n";

/// Which strategies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grids only.
    Grids,
    /// Grids and trend followers in turn.
    Mixed,
}

/// The id of a bot.
pub fn id(nth: usize) -> String {
    format!("bot-{nth:04}")
}

/// The text of a bot's file. `speed` as in the file: a number, or `"max"` with its quotes.
pub fn text(nth: usize, kind: Kind, speed: &str) -> String {
    let strategy = if kind == Kind::Grids || nth.is_multiple_of(2) { GRID } else { TREND };
    let (id, seed) = (id(nth), nth + 1);
    format!(
        "id = \"{id}\"\nname = \"{id}\"\nmode = \"paper\"\naccount = \"paper\"\ninstruments = [\"BTCUSDT\"]\n\
         timeframe = \"1m\"\n[capital]\nquote = 10000\n\
         [feed]\nkind = \"synthetic\"\nseed = {seed}\nstart_price = 95000\nspeed = {speed}\n[strategy]\n{strategy}\
         [risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
    )
}

/// A configuration directory with so many bots.
pub fn configure(dir: &Path, bots: usize, speed: &str) -> PathBuf {
    let config = dir.join(format!("config-{bots}"));
    fs::create_dir_all(config.join("instances")).unwrap();
    let settings =
        format!("[accounts.paper]\nvenue = \"paper\"\nbalances = {{ USDT = {BALANCE} }}\n[backup]\ninterval_min = 0\n");
    fs::write(config.join("supervisor.toml"), settings).unwrap();
    for nth in 0..bots {
        fs::write(config.join(format!("instances/{}.toml", id(nth))), text(nth, Kind::Mixed, speed)).unwrap();
    }
    config
}

/// The account of all bots.
pub fn accounts() -> BTreeMap<String, Account> {
    let balances = BTreeMap::from([("USDT".parse().unwrap(), BALANCE.into())]);
    let caps = Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
    let account = Account { venue: "paper".to_owned(), balances, caps, crossing: Crossing::Allow };
    BTreeMap::from([("paper".to_owned(), account)])
}

/// A bot as the fleet takes it.
pub fn instance(nth: usize, kind: Kind, speed: &str) -> InstanceConfig {
    let (text, none) = (text(nth, kind, speed), BTreeMap::new());
    instance_from_text(&text, Path::new("bench.toml"), &accounts(), &[], &none)
        .unwrap_or_else(|e| panic!("{e}\n{text}"))
}
