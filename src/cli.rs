//! What can be typed: verbs, flags, help.
//!
//! Promises: data goes to standard output and everything else to standard error; each verb's help has an example.

mod args;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use args::*;

use crate::out::{Color, Format};

const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 unexpected failure   2 usage error   3 check failed, or status NAME: not running
  4 no such bot, order or backup   5 supervisor not reachable   6 confirmation needed or refused
  7 not allowed   8 conflict: wrong state, kill switch on, state directory in use   9 timed out
  10 partly done   130 interrupted";

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
    /// Say what a disputed order is; it is recorded with its reason. Look at it before: supervisor explain ORDER-ID.
    #[command(after_help = "Example: supervisor resolve-order grid-btc-1-42 --as canceled --reason 'venue ticket 7'")]
    ResolveOrder(ResolveArgs),
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
        after_help = "Example: supervisor kill --reason 'outage'\n         supervisor kill clear --confirm RESUME"
    )]
    Kill(KillArgs),
    /// What works without a running supervisor, too.
    #[command(flatten)]
    Config(OfflineVerb),
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

/// Verbs about files: the configuration and what is stored.
#[derive(Debug, Subcommand)]
pub enum OfflineVerb {
    /// The configuration files.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Copies of the store.
    #[command(subcommand)]
    Backup(BackupVerb),
    /// The store: facts, snapshots, latches.
    #[command(subcommand)]
    Store(StoreVerb),
    /// What a bot has in its head.
    #[command(subcommand)]
    State(StateVerb),
}

/// True when a command line that does not parse wants its failure in JSON all the same.
pub fn wants_json(args: impl Iterator<Item = String>, env: Option<String>) -> bool {
    let mut wanted = env;
    let mut args = args.skip(1);
    while let Some(arg) = args.next() {
        if arg == "-o" || arg == "--output" {
            wanted = args.next();
        } else if let Some(format) = arg.strip_prefix("--output=").or_else(|| arg.strip_prefix("-o")) {
            wanted = Some(format.trim_start_matches('=').to_owned());
        }
    }
    matches!(wanted.as_deref(), Some("json" | "ndjson"))
}

/// `500ms`, `10s`, `2m`, or a number of seconds.
fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}': write a time such as 500ms, 10s or 2m, at most 24h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let time = match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        "h" => Duration::from_secs(number.saturating_mul(3600)),
        _ => return Err(wrong()),
    };
    if time.is_zero() || time > Duration::from_secs(24 * 3600) { Err(wrong()) } else { Ok(time) }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    let max = supervisor_api::wire::LIMIT_MAX;
    text.parse().ok().filter(|limit| (1..=max).contains(limit)).ok_or_else(|| format!("allowed: 1 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_holds_together_and_every_leaf_verb_has_an_example() {
        Cli::command().debug_assert();
        let without = ["list", "report", "version", "show", "status", "clear", "help"];
        let command = Cli::command();
        let leaves = command.get_subcommands().flat_map(|verb| match verb.has_subcommands() {
            true => verb.get_subcommands().collect(),
            false => vec![verb],
        });
        for verb in leaves.filter(|verb| !without.contains(&verb.get_name())) {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example: supervisor "), "{}", verb.get_name());
        }
    }

    #[test]
    fn verbs_and_aliases_parse() {
        for line in [
            "supervisor",
            "supervisor run --until-end -o json --only a,b --paper",
            "supervisor ps x -w",
            "supervisor start --file bot.toml --set strategy.levels=3 --wait --timeout 5s",
            "supervisor stop --all --positions flatten -y",
            "supervisor kill --reason x",
            "supervisor kill clear --confirm RESUME",
            "supervisor orders --history --limit 5",
            "supervisor resolve-order a-1-7 --as filled --reason x",
            "supervisor backtest --instance a --set a=b",
            "supervisor start a --fresh --yes",
            "supervisor backup create",
            "supervisor backup verify",
            "supervisor backup restore 20260101T000000Z-3.backup -y",
            "supervisor store verify -o json",
            "supervisor state dump a -o json",
            "supervisor config validate",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "supervisor statsu",
            "supervisor start",
            "supervisor start a --all",
            "supervisor stop",
            "supervisor backtest",
            "supervisor backtest --instance a --file b",
            "supervisor status --timeout 0s",
            "supervisor orders --limit 0",
            "supervisor resolve-order a-1-7 --as filled",
            "supervisor resolve-order a-1-7 --as open --reason x",
            "supervisor -o yaml status",
            "supervisor start a --set levels",
            "supervisor start --file a.toml --fresh",
            "supervisor backup",
            "supervisor backup restore",
            "supervisor store",
            "supervisor state dump",
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} parses"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_usage_error_is_told_in_the_wanted_form() {
        let wants = |line: &str, env: Option<&str>| {
            wants_json(line.split_whitespace().map(str::to_owned), env.map(str::to_owned))
        };
        for line in ["s statsu -o json", "s -ojson x", "s --output json", "s --output=ndjson", "s -o=json"] {
            assert!(wants(line, None), "{line}");
        }
        assert!(wants("s x", Some("json")) && !wants("s x -o table", Some("json")) && !wants("s x -o", None));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!((parse_time("10"), parse_time("2m")), (Ok(Duration::from_secs(10)), Ok(Duration::from_secs(120))));
        assert!(parse_time("ten").is_err() && parse_time("-1s").is_err() && parse_time("2 m").is_err());
    }
}
