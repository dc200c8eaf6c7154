//! What travels: the envelope of every answer and the bodies of every changing request.
//!
//! The command line uses the same types, so the two ends cannot drift apart. Promises: unknown fields of a request are
//! refused; fields of an answer are only ever added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use supervisor_actors::view::Outcome;
use supervisor_core::spec::OnStop;

/// Version of the interface, and the first part of every path.
pub const API_VERSION: &str = "v1";

/// Largest number of rows one request may ask for.
pub const LIMIT_MAX: usize = 10_000;

/// The word that clears the kill switch.
pub const CONFIRM_RESUME: &str = "RESUME";

/// The shape of every answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<T> {
    /// [`API_VERSION`].
    pub api_version: String,
    /// What the items are: `instance`, `order`, ...
    pub kind: String,
    /// The rows; one for a single thing.
    pub items: Vec<T>,
}

impl<T> Document<T> {
    /// Rows of one kind.
    #[must_use]
    pub fn new(kind: &str, items: Vec<T>) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: kind.to_owned(), items }
    }
}

/// Answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the program.
    pub version: String,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Process epoch.
    pub epoch: u32,
    /// Milliseconds since its start.
    pub up_ms: u64,
    /// Bots it knows.
    pub instances: u64,
    /// True while the kill switch is on.
    pub kill: bool,
}

/// `POST /instances/{id}/start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StartBody {
    /// `key`, `value` pairs on top of the instance's file.
    pub set: Vec<(String, String)>,
    /// Forget what is stored of it and start anew.
    pub fresh: bool,
    /// In the asker's words.
    pub reason: String,
}

/// `POST /instances/{id}/stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopBody {
    /// What happens to orders and position; as configured when missing.
    pub on_stop: Option<OnStop>,
    /// In the asker's words.
    pub reason: String,
}

/// Bodies that carry nothing but a reason: pause, resume, restart, remove, kill, a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReasonBody {
    /// In the asker's words.
    pub reason: String,
}

/// `POST /instances`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBody {
    /// Text of the instance file.
    pub toml: String,
    /// Where it lies; relative data paths are looked up beside it.
    pub path: PathBuf,
    /// `key`, `value` pairs on top of it.
    #[serde(default)]
    pub set: Vec<(String, String)>,
    /// In the asker's words.
    #[serde(default)]
    pub reason: String,
}

/// `POST /orders/{id}/resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// What the disputed order is.
    #[serde(rename = "as")]
    pub outcome: Outcome,
    /// In the asker's words; must not be empty.
    pub reason: String,
}

/// `DELETE /kill`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClearBody {
    /// Must be [`CONFIRM_RESUME`].
    pub confirm: String,
    /// In the asker's words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disputed_order_is_one_of_four_things() {
        let resolve = |body: &str| serde_json::from_str::<ResolveBody>(body);
        assert_eq!(resolve(r#"{"as":"expired","reason":"x"}"#).unwrap().outcome, Outcome::Expired);
        assert!(resolve(r#"{"as":"open","reason":"x"}"#).is_err() && resolve(r#"{"as":"filled"}"#).is_err());
    }

    #[test]
    fn a_start_forgets_nothing_unless_it_is_told_to() {
        let start = |body: &str| serde_json::from_str::<StartBody>(body);
        assert!(!start("{}").unwrap().fresh && !start(r#"{"set":[["a","b"]],"reason":"x"}"#).unwrap().fresh);
        assert!(start(r#"{"fresh":true}"#).unwrap().fresh);
        assert!(start(r#"{"fresh":"yes"}"#).is_err() && start(r#"{"Fresh":true}"#).is_err());
    }
}
