//! Killed in its first moments, while forty bots begin their lives: none is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::durable::Durable;
use super::run::clean;

const BOTS: usize = 40;

fn configure(dir: &Path) {
    let bots = dir.join("config/instances");
    std::fs::create_dir_all(&bots).unwrap();
    let main = "[accounts.paper]\nvenue = \"paper\"\nbalances = { USDT = 1000000 }\n\
                caps = { max_total_exposure = 1.0, max_capital_per_symbol = 1.0 }\n[backup]\ninterval_min = 0\n";
    std::fs::write(dir.join("config/supervisor.toml"), main).unwrap();
    for nth in 0..BOTS {
        let text = format!(
            "id = \"g-{nth}\"\nname = \"g\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\n\
             [feed]\nkind = \"synthetic\"\nseed = {nth}\nstart_price = 95000\nspeed = \"max\"\ncandles = 300\n\
             [strategy]\nkind = \"grid\"\nlevels = 20\nwidth_pct = 6\norder_value = 200\n\
             [risk]\nmax_total_exposure = 0.8\nmax_capital_per_symbol = 0.8\nmin_order_value = 10\n"
        );
        std::fs::write(bots.join(format!("g-{nth}.toml")), text).unwrap();
    }
}

/// A place with forty bots.
struct Nursery<'a> {
    program: &'a Path,
    dir: tempfile::TempDir,
}

impl<'a> Nursery<'a> {
    fn new(program: &'a Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        configure(dir.path());
        Self { program, dir }
    }

    fn start(&self, state: &str) -> Command {
        let mut command = clean(self.program);
        let [config, state] = ["config", state].map(|name| self.dir.path().join(name));
        command.args(["run", "--until-end", "-o", "json"]).arg("--config").arg(config).arg("--state-dir").arg(state);
        command
    }

    /// Runs to the end; answers the digests.
    fn to_the_end(&self, state: &str) -> BTreeMap<String, String> {
        let ended = self.start(state).output().unwrap();
        assert!(ended.status.success(), "{state}: {}", String::from_utf8_lossy(&ended.stderr));
        let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        report["items"].as_array().unwrap().iter().map(|bot| (text(&bot["id"]), text(&bot["digest"]))).collect()
    }

    /// Kills it after that long, and lets the next start go on to the end, which keeps what was there.
    fn one_kill(&self, delay: Duration, reference: &BTreeMap<String, String>) {
        let (name, what) = (format!("killed-{}", delay.as_micros()), format!("killed after {delay:?}"));
        let mut first = self.start(&name).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::park_timeout(delay);
        first.kill().unwrap();
        first.wait().unwrap();
        let state = self.dir.path().join(&name);
        let mut durable = Durable::found_early(&state);
        assert_eq!(self.to_the_end(&name), *reference, "{what}");
        durable.follow(Durable::found(&state).unwrap(), 1, &what);
    }
}

/// One kill after each of these times.
pub fn kills(program: &Path, delays: impl Iterator<Item = Duration>) {
    let nursery = Nursery::new(program);
    let reference = nursery.to_the_end("never");
    assert_eq!(reference.len(), BOTS);
    delays.for_each(|delay| nursery.one_kill(delay, &reference));
}

/// The long variant: so many kills, at random times.
#[cfg(not(test))]
pub fn many(program: &Path, count: usize, seed: u64) {
    let mut chance = super::chance::Chance::new(seed);
    kills(program, (0..count).map(|_| Duration::from_micros(chance.below(300_000))));
    println!("{count} early kills: every end was the end of the run that was never killed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bot_is_lost_however_early_the_end_comes() {
        kills(Path::new(env!("CARGO_BIN_EXE_supervisor")), (1..=10).map(|nth| Duration::from_millis(nth * 25)));
    }
}
