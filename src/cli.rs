//! What can be typed: verbs, flags, help.
//!
//! Promises: data goes to standard output and everything else to standard error; each verb's help has an example.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use supervisor_core::spec::OnStop;

use crate::out::{Color, Format};

const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 unexpected failure   2 usage error   3 check failed, or status NAME: not running
  4 no such bot or order   5 supervisor not reachable   6 confirmation needed or refused   7 not allowed
  8 conflict: wrong state, kill switch on, state directory in use   9 timed out   10 partly done   130 interrupted";

/// Runs many trading bots in one process and never loses track of an order.
///
/// Without a verb it runs the shipped configuration: four paper bots on a built-in synthetic market.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version, after_help = EXIT_CODES, propagate_version = false)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do; `run` when missing.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global flags")]
pub struct Globals {
    /// How data is printed.
    #[arg(short, long, global = true, value_enum, default_value = "table", env = "SUPERVISOR_OUTPUT")]
    pub output: Format,
    /// Directory with supervisor.toml and instances/ (default: the shipped configuration).
    #[arg(long, global = true, value_name = "DIR", env = "SUPERVISOR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of store, logs and socket (default: $XDG_STATE_HOME/supervisor or ~/.local/state/supervisor).
    #[arg(long, global = true, value_name = "DIR", env = "SUPERVISOR_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: Color,
    /// Never ask; a needed confirmation ends with exit code 6.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Yes to every question.
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Errors only on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More on standard error.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Longest time to wait for an answer: 500ms, 10s, 2m.
    #[arg(long, global = true, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    pub timeout: Duration,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the bots in the foreground until Ctrl-C.
    #[command(after_help = "Example: supervisor run --config ./config --until-end -o json")]
    Run(RunArgs),
    /// One line per bot; with NAME, one bot (exit 0 running, 3 not running, 4 unknown).
    #[command(visible_alias = "ps", after_help = "Example: supervisor status -o json | jq '.items[].id'")]
    Status(StatusArgs),
    /// The bots this supervisor knows.
    #[command(visible_alias = "ls", after_help = "Example: supervisor list -o name")]
    List,
    /// Everything about one bot: settings, limits, positions, orders, newest events and refusals.
    #[command(after_help = "Example: supervisor describe grid-btc")]
    Describe(NameArg),
    /// Start bots, or add one from a file.
    #[command(visible_alias = "start", after_help = "Example: supervisor start-instance --file bot.toml --wait")]
    StartInstance(StartArgs),
    /// Stop bots; their positions stay unless --positions says otherwise.
    #[command(visible_alias = "stop", after_help = "Example: supervisor stop-instance grid-btc --positions keep")]
    StopInstance(StopArgs),
    /// Entries off; exits go on.
    #[command(after_help = "Example: supervisor pause grid-btc --reason 'news at 14:00'")]
    Pause(ManyArgs),
    /// Entries on again.
    #[command(after_help = "Example: supervisor resume grid-btc")]
    Resume(ManyArgs),
    /// Stop and start again; also out of quarantine.
    #[command(after_help = "Example: supervisor restart grid-btc")]
    Restart(ManyArgs),
    /// Stop a bot if it runs and forget it; its journal stays.
    #[command(after_help = "Example: supervisor remove-instance my-bot")]
    RemoveInstance(ManyArgs),
    /// Open orders.
    #[command(after_help = "Example: supervisor orders grid-btc --history --limit 20")]
    Orders(OrdersArgs),
    /// Positions.
    #[command(after_help = "Example: supervisor positions -o json")]
    Positions(OneArg),
    /// Executions, newest first.
    #[command(after_help = "Example: supervisor trades grid-btc --limit 20")]
    Trades(TradesArgs),
    /// What a bot did, event by event.
    #[command(after_help = "Example: supervisor logs grid-btc -f --grep order.fill")]
    Logs(LogsArgs),
    /// What a person should look at.
    #[command(after_help = "Example: supervisor errors")]
    Errors(LimitArg),
    /// Why: the chain of one order, or the newest decisions of a bot.
    #[command(visible_alias = "why", after_help = "Example: supervisor explain grid-btc")]
    Explain(ExplainArgs),
    /// The rules of the gate for one bot and what is used of them.
    #[command(after_help = "Example: supervisor risk grid-btc")]
    Risk(NameArg),
    /// Kill switch: entries off everywhere, resting orders cancelled, positions kept. Never asks.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Example: supervisor kill --reason 'exchange outage'\n         supervisor kill clear --confirm RESUME"
    )]
    Kill(KillArgs),
    /// The configuration files.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Run one bot over its recorded or synthetic market, as fast as it goes.
    #[command(after_help = "Example: supervisor backtest --file bot.toml -o json")]
    Backtest(BacktestArgs),
    /// The digest of each bot's state.
    #[command(after_help = "Example: supervisor digest --explain")]
    Digest(DigestArgs),
    /// The performance report of the running bots.
    #[command(after_help = "Example: supervisor report -o json")]
    Report,
    /// Take data out.
    #[command(subcommand)]
    Export(ExportVerb),
    /// Version.
    Version,
}

/// `run`.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// End when every replay has ended, and print the report.
    #[arg(long)]
    pub until_end: bool,
    /// Only these bots.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Paper money for all bots (there is nothing else yet).
    #[arg(long)]
    pub paper: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One bot.
    pub name: Option<String>,
    /// Again every second.
    #[arg(short, long)]
    pub watch: bool,
}

/// A verb about one bot.
#[derive(Debug, Args)]
pub struct NameArg {
    /// The bot.
    pub name: String,
}

/// A verb about one bot or all.
#[derive(Debug, Args)]
pub struct OneArg {
    /// One bot; all when missing.
    pub name: Option<String>,
}

/// Which bots.
#[derive(Debug, Args)]
#[group(id = "which")]
pub struct Which {
    /// The bots.
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "file"])]
    pub names: Vec<String>,
    /// Every bot.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Recorded with the change.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Only say what would happen.
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
}
