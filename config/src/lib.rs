//! The configuration of `supervisor`: TOML files, the environment and `--set`, read into typed values.
//!
//! Owns the files' keys, their layering (file < environment < flags) and the validation across keys and files; the
//! shipped files lie beside this crate. Promises: every amount keeps its literal digits until it is a `Decimal`; all
//! problems are reported at once, each with file, key, value and what is allowed. Never: a float, a global variable,
//! a look at the process environment (it is a parameter).

mod account;
mod checks;
mod env;
mod errors;
mod exact;
mod feed;
mod instance;
mod market;
mod paths;
mod shipped;
mod supervisor;

use std::collections::BTreeMap;

pub use account::{Account, Caps, Crossing, apply_account, check_balances};
pub use env::{ENV_KEYS, parse_set};
pub use errors::{ConfigErrors, ConfigProblem};
pub use exact::{ExactToml, Layered, Setting, layered};
pub use feed::{FeedConfig, Speed};
pub use instance::{InstanceConfig, instance_from_text, load_instance};
pub use paths::{StateDirError, default_state_dir};
pub use shipped::{SHIPPED_INSTANCES, SHIPPED_SUPERVISOR, load_shipped};
pub use supervisor::{Logs, Risk, Stop, SupervisorConfig, load};

/// Environment variables by name.
pub type Env = BTreeMap<String, String>;
