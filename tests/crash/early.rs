//! Killed in its first moments, while forty bots begin their lives: none is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

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

fn program(dir: &Path, state: &str) -> Command {
    let mut command = clean(Path::new(env!("CARGO_BIN_EXE_supervisor")));
    let (config, state) = (dir.join("config"), dir.join(state));
    command.args(["run", "--until-end", "-o", "json"]).arg("--config").arg(config).arg("--state-dir").arg(state);
    command
}

/// Runs to the end; answers the digests.
fn to_the_end(dir: &Path, state: &str) -> BTreeMap<String, String> {
    let ended = program(dir, state).output().unwrap();
    assert!(ended.status.success(), "{state}: {}", String::from_utf8_lossy(&ended.stderr));
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["items"].as_array().unwrap().iter().map(|bot| (text(&bot["id"]), text(&bot["digest"]))).collect()
}

#[test]
fn no_bot_is_lost_however_early_the_end_comes() {
    let root = tempfile::tempdir().unwrap();
    configure(root.path());
    let reference = to_the_end(root.path(), "never");
    assert_eq!(reference.len(), BOTS);
    for nth in 1..=10_u64 {
        let state = format!("killed-{nth}");
        let mut first = program(root.path(), &state).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::park_timeout(Duration::from_millis(nth * 25));
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(to_the_end(root.path(), &state), reference, "killed after {} ms", nth * 25);
    }
}
