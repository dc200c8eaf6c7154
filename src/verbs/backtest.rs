//! `backtest`: one bot over its feed, without actors; the same report and the same digest as `run`.

use std::sync::Arc;
use std::time::Instant;

use supervisor_actors::feeds;
use supervisor_config::{FeedConfig, InstanceConfig, load_instance};
use supervisor_core::params::nearest;
use supervisor_core::sim::Backtest;

use super::read::document;
use crate::cli::{BacktestArgs, Globals};
use crate::fault::{Exit, Fault};
use crate::out::Out;
use crate::places;
use crate::report;

/// `backtest --instance NAME | --file F [--set KEY=VALUE]`.
pub fn backtest(globals: &Globals, out: &Out, args: &BacktestArgs) -> Result<Exit, Fault> {
    let config = configured(globals, args)?;
    if matches!(&config.feed, FeedConfig::Synthetic { spec, .. } if spec.candles.is_none()) {
        let text = format!("the synthetic market of '{}' has no end", config.spec.id);
        return Err(Fault::new(Exit::Check, "endless_feed", text).hint("give it one: --set feed.candles=100000"));
    }
    let start = Instant::now();
    let feed = feeds::build(&config).map_err(|error| Fault::new(Exit::Check, "bad_data", error.to_string()))?;
    out.note(&format!("backtest {}: data loaded in {:.2?}", config.spec.id, start.elapsed()));
    let start = Instant::now();
    let spec = Arc::new(config.spec);
    let mut backtest = Backtest::new(Arc::clone(&spec), feed);
    backtest.run_silent();
    let time = start.elapsed();
    let report = backtest.state().report(&spec);
    let report = report.map_err(|error| Fault::new(Exit::Failed, "report", error.to_string()))?;
    out.note(&format!("backtest {}: {} candles in {time:.2?}", spec.id, report.candles));
    let item = serde_json::to_value(&report).map_err(|error| Fault::new(Exit::Failed, "report", error.to_string()))?;
    report::print(out, &document("report", vec![item]))?;
    Ok(Exit::Done)
}

fn configured(globals: &Globals, args: &BacktestArgs) -> Result<InstanceConfig, Fault> {
    let config = places::config(globals)?;
    if let Some(file) = &args.file {
        return Ok(load_instance(file, &config.accounts, &args.set, &places::env())?);
    }
    let name = args.instance.as_deref().unwrap_or_default();
    let ids: Vec<String> = config.instances.iter().map(|instance| instance.spec.id.to_string()).collect();
    let found = config.instances.into_iter().find(|instance| instance.spec.id.as_str() == name);
    let Some(found) = found else { return Err(unknown(name, &ids)) };
    if args.set.is_empty() {
        return Ok(found);
    }
    Ok(places::instance_with(&found, &config.accounts, &args.set)?)
}

/// No bot of the configuration has that name.
pub fn unknown(name: &str, known: &[String]) -> Fault {
    let near = nearest(name, &known.iter().map(String::as_str).collect::<Vec<_>>());
    let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    let text = format!("no bot named '{name}' in the configuration{near}");
    Fault::new(Exit::Unknown, "unknown_instance", text).hint(format!("it has: {}", known.join(", ")))
}
