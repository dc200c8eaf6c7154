//! Flags of the single verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use supervisor_actors::view::Outcome;
use supervisor_core::spec::OnStop;

use super::parse_limit;

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

/// A verb that changes bots.
#[derive(Debug, Args)]
pub struct ManyArgs {
    /// The bots.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// What all changing verbs share.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// Flags of every verb that changes bots.
#[derive(Debug, Args)]
pub struct ChangeFlags {
    /// Every bot.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Recorded with the change.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Only say what would happen.
    #[arg(long)]
    pub dry_run: bool,
    /// Return when the state is reached (at most --timeout).
    #[arg(long)]
    pub wait: bool,
}

/// `start-instance`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The bots.
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "file"])]
    pub names: Vec<String>,
    /// Add the bot of this file, which no config directory holds.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "all"])]
    pub file: Option<PathBuf>,
    /// A setting on top of the file, such as strategy.levels=30.
    #[arg(long, value_name = "KEY=VALUE", value_parser = supervisor_config::parse_set)]
    pub set: Vec<(String, String)>,
    /// Forget their stored state - position, orders, statistics - and start anew; the journal stays.
    #[arg(long, conflicts_with = "file")]
    pub fresh: bool,
    /// What all changing verbs share.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// What happens to orders and position at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Positions {
    /// Orders and position stay.
    Keep,
    /// Entries are cancelled, exits and position stay.
    CancelEntries,
    /// Every order is cancelled, the position stays.
    #[value(alias = "cancel-all")]
    Cancel,
    /// Every order is cancelled and the position is sold at market.
    #[value(alias = "flatten")]
    CloseMarket,
}

impl From<Positions> for OnStop {
    fn from(positions: Positions) -> Self {
        match positions {
            Positions::Keep => Self::Keep,
            Positions::CancelEntries => Self::CancelEntries,
            Positions::Cancel => Self::CancelAll,
            Positions::CloseMarket => Self::Flatten,
        }
    }
}

/// `stop-instance`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The bots.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// What happens to orders and position (default: as the bot's file says).
    #[arg(long, value_enum)]
    pub positions: Option<Positions>,
    /// What all changing verbs share.
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// How many rows.
#[derive(Debug, Args)]
pub struct LimitArg {
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = parse_limit)]
    pub limit: usize,
}

/// `orders`.
#[derive(Debug, Args)]
pub struct OrdersArgs {
    /// One bot; all when missing.
    pub name: Option<String>,
    /// Ended orders too.
    #[arg(long)]
    pub history: bool,
    /// How many.
    #[command(flatten)]
    pub limit: LimitArg,
}

/// What a disputed order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResolvedAs {
    /// Executed whole.
    Filled,
    /// Withdrawn.
    Canceled,
    /// Over by its own terms.
    Expired,
    /// Refused by the venue.
    Rejected,
}

impl From<ResolvedAs> for Outcome {
    fn from(resolved: ResolvedAs) -> Self {
        match resolved {
            ResolvedAs::Filled => Self::Filled,
            ResolvedAs::Canceled => Self::Canceled,
            ResolvedAs::Expired => Self::Expired,
            ResolvedAs::Rejected => Self::Rejected,
        }
    }
}

/// `resolve-order`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// Its client order id, as in `orders`.
    #[arg(value_name = "ORDER-ID")]
    pub id: String,
    /// What it is; the fills that were counted stay.
    #[arg(long = "as", value_enum, value_name = "OUTCOME")]
    pub outcome: ResolvedAs,
    /// Recorded with the order.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `trades`.
#[derive(Debug, Args)]
pub struct TradesArgs {
    /// One bot; all when missing.
    pub name: Option<String>,
    /// How many.
    #[command(flatten)]
    pub limit: LimitArg,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A client order id, or a bot.
    #[arg(value_name = "ORDER-ID|NAME")]
    pub id: String,
    /// How many.
    #[command(flatten)]
    pub limit: LimitArg,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The bot.
    pub name: String,
    /// Go on with what happens; survives a restart of the supervisor.
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the newest events first.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 100, value_parser = parse_limit)]
    pub lines: usize,
    /// Only lines that contain this text.
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Look at it or clear it.
    #[command(subcommand)]
    pub verb: Option<KillVerb>,
    /// Recorded with the change.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// `kill ...`.
#[derive(Debug, Subcommand)]
pub enum KillVerb {
    /// Is it on, since when, by whom, why.
    Status,
    /// Clear it; bots stay paused until they are resumed.
    Clear {
        /// The word RESUME.
        #[arg(long, value_name = "RESUME")]
        confirm: Option<String>,
        /// Recorded with the change.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
}

/// `config ...`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Check the files and print every problem at once; works without a running supervisor.
    #[command(after_help = "Example: supervisor config validate --file bot.toml")]
    Validate {
        /// One instance file instead of the whole directory.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// What is in force after files and environment.
    Show,
}

/// `backup ...`.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Write one now and verify it.
    #[command(after_help = "Example: supervisor backup create -o name")]
    Create,
    /// Those that are there, newest first; a cheap look that does not read them whole.
    #[command(after_help = "Example: supervisor backup list")]
    List,
    /// Read one whole and check it (exit 3 when it is damaged); the newest when no name is given.
    #[command(after_help = "Example: supervisor backup verify")]
    Verify {
        /// A name of `backup list`.
        name: Option<String>,
    },
    /// Put one in the place of the store, which is moved aside; needs a yes and no running supervisor.
    #[command(after_help = "Example: supervisor backup restore 20261120T120000.000Z-000007.backup --yes")]
    Restore {
        /// A name of `backup list`.
        name: String,
    },
}

/// `store ...`.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Check every record (exit 3 when one is damaged or missing); changes none.
    #[command(after_help = "Example: supervisor store verify")]
    Verify,
}

/// `state ...`.
#[derive(Debug, Subcommand)]
pub enum StateVerb {
    /// The whole state of a bot: strategy, orders, position, risk, paper venue.
    #[command(after_help = "Example: supervisor state dump grid-btc -o json")]
    Dump(NameArg),
}

/// `backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A bot of the configuration.
    #[arg(long, value_name = "NAME", required_unless_present = "file", conflicts_with = "file")]
    pub instance: Option<String>,
    /// A bot's file.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A setting on top of the file, such as strategy.levels=30.
    #[arg(long, value_name = "KEY=VALUE", value_parser = supervisor_config::parse_set)]
    pub set: Vec<(String, String)>,
}

/// `digest`.
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// One bot; all when missing.
    pub name: Option<String>,
    /// What a digest covers; works without a running supervisor.
    #[arg(long)]
    pub explain: bool,
}

/// `export ...`.
#[derive(Debug, Subcommand)]
pub enum ExportVerb {
    /// The log files in one, oldest first; works without a running supervisor.
    #[command(after_help = "Example: supervisor export logs --out - | grep order.fill")]
    Logs {
        /// A file, or - for standard output.
        #[arg(long, value_name = "FILE", default_value = "-")]
        out: PathBuf,
    },
}
