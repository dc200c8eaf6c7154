//! The way to the running supervisor.
//!
//! Promises: every change carries a fresh `Idempotency-Key`; nobody there is exit code 5 with the command that starts
//! one, and no answer in time is 9.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder, Url};
use serde::Serialize;
use serde_json::Value;
use supervisor_api::{Problem, door};
use supervisor_state::StateDir;

use crate::cli::Globals;
use crate::fault::{Exit, Fault};
use crate::places;

/// Talks to the supervisor of one state directory.
pub struct Client {
    http: reqwest::Client,
    state_dir: PathBuf,
    is_default: bool,
}

impl Client {
    /// For the state directory of the flags.
    pub fn new(globals: &Globals) -> Result<Self, Fault> {
        let state_dir = places::state_dir(globals)?;
        let socket = StateDir::socket_in(&state_dir);
        door::check_path(&socket).map_err(|error| Fault::new(Exit::Usage, "path_too_long", error.to_string()))?;
        let http = reqwest::Client::builder().unix_socket(socket.as_path()).timeout(globals.timeout).build();
        let http = http.map_err(|error| Fault::new(Exit::Failed, "client", error.to_string()))?;
        Ok(Self { http, state_dir, is_default: globals.state_dir.is_none() })
    }

    /// A document.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Fault> {
        let mut url = url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    /// A change, and the document that answers it.
    pub async fn change(&self, method: Method, path: &[&str], body: &impl Serialize) -> Result<Value, Fault> {
        let request = self.http.request(method, url(path)?).header("idempotency-key", fresh_key());
        self.send(request.json(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Fault> {
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unanswered(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| foreign(&error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(foreign(&format!("status {status}"))),
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            let text = "the supervisor did not answer in time";
            return Fault::new(Exit::Timeout, "timeout", text)
                .hint("it may still do it: look with supervisor status, or wait longer with --timeout");
        }
        if error.is_connect() {
            return self.unreachable(error);
        }
        let text = format!("the connection to the supervisor broke: {}", root(error));
        Fault::new(Exit::Unreachable, "unreachable", text).hint("was it stopped just now? look with supervisor status")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        let dir = self.state_dir.display();
        let allowed = std::fs::metadata(&self.state_dir)
            .map_or_else(|error| error.kind() != std::io::ErrorKind::PermissionDenied, |_| true);
        if !allowed || root(error).contains("ermission denied") {
            let text = format!("this user may not talk to the supervisor of {dir}");
            return Fault::new(Exit::NotAllowed, "not_allowed", text).hint("use the account that runs it, or root");
        }
        let text = format!("no supervisor is running on {dir}");
        let flag = if self.is_default { String::new() } else { format!(" --state-dir {dir}") };
        let other = if self.is_default { "\nis it running elsewhere? name it with --state-dir" } else { "" };
        Fault::new(Exit::Unreachable, "unreachable", text).hint(format!("start one: supervisor run{flag}{other}"))
    }
}

fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn foreign(what: &str) -> Fault {
    Fault::new(Exit::Failed, "foreign_answer", format!("something that is no supervisor answered: {what}"))
}

fn url(path: &[&str]) -> Result<Url, Fault> {
    let broken = || Fault::new(Exit::Failed, "client", "the address cannot be built");
    let mut url = Url::parse("http://supervisor/api/v1").map_err(|_| broken())?;
    // An empty segment or a dot would name another route.
    if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
        return Err(Fault::new(Exit::Unknown, "unknown_instance", "that is no name of a bot or order"));
    }
    url.path_segments_mut().map_err(|()| broken())?.extend(path);
    Ok(url)
}

/// A key that no other request has: two independently seeded hashes of the process id.
fn fresh_key() -> String {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(), half())
}

/// Runs a conversation with the supervisor.
pub fn talk<T>(conversation: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::io("runtime", &error))?;
    runtime.block_on(conversation)
}

/// The path as it stands, made absolute.
pub fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::io(&path.display().to_string(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_reach_other_routes() {
        assert_eq!(url(&["instances", "a/../b"]).unwrap().path(), "/api/v1/instances/a%2F..%2Fb");
        assert_eq!(url(&["instances", ".."]).unwrap_err().exit, Exit::Unknown);
    }

    #[test]
    fn keys_differ() {
        assert_ne!(fresh_key(), fresh_key());
        assert_eq!(fresh_key().len(), 32);
    }
}
