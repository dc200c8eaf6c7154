//! The shipped configuration, inside the binary, so that it runs without a checkout.

use std::path::{Path, PathBuf};

use crate::Env;
use crate::errors::ConfigErrors;
use crate::supervisor::{SupervisorConfig, assemble};

/// Text of the shipped `supervisor.toml`.
pub const SHIPPED_SUPERVISOR: &str = include_str!("../supervisor.toml");

/// Name and text of each shipped instance file, in the order of their names.
pub const SHIPPED_INSTANCES: [(&str, &str); 4] = [
    ("grid-btc.toml", include_str!("../instances/grid-btc.toml")),
    ("grid-eth.toml", include_str!("../instances/grid-eth.toml")),
    ("trend-link.toml", include_str!("../instances/trend-link.toml")),
    ("trend-sol.toml", include_str!("../instances/trend-sol.toml")),
];

/// Reads the shipped files with the environment over them. Their names begin with `shipped/`.
///
/// # Errors
/// What is wrong with the environment.
pub fn load_shipped(env: &Env) -> Result<SupervisorConfig, ConfigErrors> {
    let named = |name: &str| PathBuf::from("shipped").join(name);
    let instances: Vec<(PathBuf, &str)> =
        SHIPPED_INSTANCES.iter().map(|(name, text)| (named("instances").join(name), *text)).collect();
    let files: Vec<(&Path, &str)> = instances.iter().map(|(path, text)| (path.as_path(), *text)).collect();
    assemble(&named("supervisor.toml"), Ok(SHIPPED_SUPERVISOR), &files, env)
}
