//! `supervisor`: one process that runs many trading bots, and the commands that talk to it.
//!
//! Owns flags, words on the terminal and exit codes. Promises: data on standard output, everything else on standard
//! error; a reader that leaves early is no error. Never: decides about trading.

mod bounded;
mod cli;
mod client;
mod fault;
mod ground;
mod logging;
mod out;
mod places;
mod queue;
mod report;
mod rows;
mod run;
mod screen;
mod signals;
mod stream;
mod table;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, ExportVerb, Globals, RunArgs, Verb};
use fault::{Exit, Fault};
use out::Out;
use verbs::{backtest, change, kill, logs, offline, read, status};

fn main() -> ExitCode {
    let Cli { globals, verb } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let out = Out::new(&globals);
    let exit = obey(&globals, &out, verb.unwrap_or_else(|| Verb::Run(RunArgs::default()))).unwrap_or_else(|fault| {
        out.fault(&fault);
        fault.exit
    });
    ExitCode::from(exit as u8)
}

/// A usage error in the form that was asked for; help and version are none.
fn misused(error: &clap::Error) -> ExitCode {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    if !error.use_stderr() || !cli::wants_json(args, std::env::var("SUPERVISOR_OUTPUT").ok()) {
        error.exit();
    }
    let text = error.render().to_string();
    out::say(&Fault::new(Exit::Usage, "usage", text.trim_start_matches("error: ").trim_end()).json());
    ExitCode::from(Exit::Usage as u8)
}

fn obey(globals: &Globals, out: &Out, verb: Verb) -> Result<Exit, Fault> {
    match verb {
        Verb::Run(args) => run::run(globals, out, &args),
        Verb::Status(args) => status::status(globals, out, &args),
        Verb::List => status::list(globals, out),
        Verb::Describe(args) => status::describe(globals, out, &args),
        Verb::StartInstance(args) => change::start(globals, out, &args),
        Verb::StopInstance(args) => change::stop(globals, out, &args),
        Verb::Pause(args) => change::pause(globals, out, &args),
        Verb::Resume(args) => change::resume(globals, out, &args),
        Verb::Restart(args) => change::restart(globals, out, &args),
        Verb::RemoveInstance(args) => change::remove(globals, out, &args),
        Verb::Orders(args) => read::orders(globals, out, &args),
        Verb::ResolveOrder(args) => change::resolve(globals, out, &args),
        Verb::Positions(args) => read::positions(globals, out, &args),
        Verb::Trades(args) => read::trades(globals, out, &args),
        Verb::Logs(args) => logs::logs(globals, out, &args),
        Verb::Errors(args) => read::errors(globals, out, &args),
        Verb::Explain(args) => read::explain(globals, out, &args),
        Verb::Risk(args) => read::risk(globals, out, &args),
        Verb::Kill(args) => kill::kill(globals, out, args),
        Verb::Config(verb) => offline::config(globals, out, &verb),
        Verb::Backtest(args) => backtest::backtest(globals, out, &args),
        Verb::Digest(args) => read::digest(globals, out, &args),
        Verb::Report => read::report(globals, out),
        Verb::Export(ExportVerb::Logs { out: target }) => logs::export(globals, out, &target),
        Verb::Version => offline::version(out),
    }
}
