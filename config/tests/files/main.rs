//! Configuration directories as people write them: what is accepted, and what each mistake is answered with.
#![allow(clippy::unwrap_used, reason = "tests")]

mod accepted;
mod refused;
mod shipped;

use std::fs;
use std::path::Path;

use supervisor_config::{
    ConfigErrors, Env, InstanceConfig, SupervisorConfig, load, load_instance, load_shipped, parse_set,
};
use tempfile::TempDir;

pub(crate) const MAIN: &str =
    "reporting = \"USDT\"\n[accounts.paper]\nvenue = \"paper\"\nbalances = { USDT = 100000, BTC = 1 }\n";

pub(crate) const GRID: &str = r#"
id = "grid-btc"
mode = "paper"
instruments = ["BTCUSDT"]
timeframe = "1m"
[capital]
quote = 10000
[feed]
kind = "synthetic"
start_price = 100000
[venue_model]
tick_size = 0.01
[strategy]
kind = "grid"
levels = 20
lower = 90000
upper = 110000
order_value = 200
[risk]
min_order_value = 10
"#;

/// A configuration directory with these instance files.
pub(crate) fn dir(main: &str, instances: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("supervisor.toml"), main).unwrap();
    fs::create_dir(dir.path().join("instances")).unwrap();
    for (name, text) in instances {
        fs::write(dir.path().join("instances").join(name), text).unwrap();
    }
    dir
}

pub(crate) fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The problems as lines, without the name of the temporary directory.
pub(crate) fn lines(dir: &TempDir, errors: &ConfigErrors) -> Vec<String> {
    let prefix = format!("{}/", dir.path().display());
    errors.to_string().replace(&prefix, "").lines().map(str::to_owned).collect()
}

pub(crate) fn refused(main: &str, instances: &[(&str, &str)]) -> Vec<String> {
    let dir = dir(main, instances);
    lines(&dir, &load(dir.path(), &Env::new()).unwrap_err())
}

pub(crate) fn accepted(main: &str, instance: &str, env: &Env) -> SupervisorConfig {
    let dir = dir(main, &[("a.toml", instance)]);
    load(dir.path(), env).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn grid(change: impl Fn(&str) -> String) -> Vec<String> {
    refused(MAIN, &[("grid.toml", &change(GRID))])
}

/// The one problem of the grid with `from` replaced.
pub(crate) fn grid_with(from: &str, to: &str) -> String {
    assert!(GRID.contains(from), "{from}");
    let problems = grid(|text| text.replacen(from, to, 1));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

pub(crate) fn with_key(section: &str, line: &str) -> impl Fn(&str) -> String {
    let (header, line) = (format!("[{section}]\n"), line.to_owned());
    move |text| match text.contains(&header) {
        true => text.replacen(&header, &format!("{header}{line}\n"), 1),
        false => format!("{text}{header}{line}\n"),
    }
}

/// The one problem of the grid with one more line in a section.
pub(crate) fn grid_and(section: &str, line: &str) -> String {
    let problems = grid(with_key(section, line));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

pub(crate) fn sets(texts: &[&str]) -> Vec<(String, String)> {
    texts.iter().map(|text| parse_set(text).unwrap()).collect()
}

pub(crate) fn load_with(path: &Path, texts: &[&str]) -> Result<InstanceConfig, ConfigErrors> {
    let accounts = load_shipped(&Env::new()).unwrap().accounts;
    load_instance(path, &accounts, &sets(texts), &Env::new())
}
