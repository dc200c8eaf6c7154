//! What a command ends with: an exit code, and when it failed, what, why and what to try.
//!
//! Promises: each meaning has one code (`supervisor help` lists them); a reader that closed its pipe is no failure.

use std::io;

use serde::Serialize;
use supervisor_api::Problem;
use supervisor_config::ConfigErrors;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; healthy.
    Done = 0,
    /// Unexpected failure.
    Failed = 1,
    /// Usage error.
    Usage = 2,
    /// A check failed; `status NAME`: not running.
    Check = 3,
    /// No such bot or order.
    Unknown = 4,
    /// Supervisor not reachable.
    Unreachable = 5,
    /// Confirmation needed or refused.
    Confirm = 6,
    /// Not allowed.
    NotAllowed = 7,
    /// Wrong state, kill switch on, state directory in use.
    Conflict = 8,
    /// Timed out while waiting.
    Timeout = 9,
    /// Some done, some not.
    Partly = 10,
    /// Interrupted before it was clean.
    Interrupted = 130,
}

/// A failure to be told.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Exit code.
    pub exit: Exit,
    /// Stable code.
    pub code: String,
    /// What and why.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
    /// Request id, when the supervisor answered.
    pub request_id: String,
}

/// Code of a closed pipe, which is told to nobody.
const CLOSED_PIPE: &str = "closed_pipe";

impl Fault {
    /// A failure.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), hint: None, request_id: String::new() }
    }

    /// With advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file or stream that failed.
    pub fn io(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, CLOSED_PIPE, "");
        }
        Self::new(Exit::Failed, "io", format!("{what}: {error}"))
    }

    /// True when nobody reads any more, as after `| head`.
    pub fn is_closed_pipe(&self) -> bool {
        self.code == CLOSED_PIPE
    }

    /// For people.
    pub fn text(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\n  {}", hint.replace('\n', "\n  "))).unwrap_or_default();
        let request = if self.exit == Exit::Failed && !self.request_id.is_empty() {
            format!("\n  request {}", self.request_id)
        } else {
            String::new()
        };
        format!("error: {}{hint}{request}", self.message)
    }

    /// For programs.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            code: &'a str,
            message: &'a str,
            hint: Option<&'a str>,
            request_id: &'a str,
        }
        let Self { code, message, hint, request_id, .. } = self;
        let told = Told { code, message, hint: hint.as_deref(), request_id };
        serde_json::json!({ "error": told }).to_string()
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let exit = match (problem.status, problem.code.as_str()) {
            (404, "unknown_instance" | "unknown_order") => Exit::Unknown,
            (400, "confirmation_needed") => Exit::Confirm,
            (401 | 403, _) => Exit::NotAllowed,
            (409, _) => Exit::Conflict,
            (422, "invalid") => Exit::Check,
            (408 | 504, _) => Exit::Timeout,
            _ => Exit::Failed,
        };
        let Problem { code, detail, hint, request_id, .. } = problem;
        Self { exit, code, message: detail, hint, request_id }
    }
}

impl From<ConfigErrors> for Fault {
    fn from(errors: ConfigErrors) -> Self {
        let count = errors.problems.len();
        let head = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
        let lines: Vec<String> = errors.problems.iter().map(|problem| format!("\n  {problem}")).collect();
        Self::new(Exit::Check, "invalid_config", format!("the configuration has {head}:{}", lines.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_their_exit_codes() {
        let problem = |status: u16, code: &str| Problem {
            kind: String::new(),
            title: String::new(),
            status,
            detail: "d".into(),
            code: code.into(),
            hint: None,
            request_id: "r".into(),
            errors: Vec::new(),
            allow: None,
        };
        let rows = [
            (404, "unknown_instance", Exit::Unknown),
            (404, "no_such_route", Exit::Failed),
            (403, "not_allowed", Exit::NotAllowed),
            (409, "kill_switch", Exit::Conflict),
            (422, "invalid", Exit::Check),
            (422, "key_reused", Exit::Failed),
            (504, "timeout", Exit::Timeout),
            (500, "internal", Exit::Failed),
        ];
        for (status, code, exit) in rows {
            assert_eq!(Fault::from(problem(status, code)).exit, exit, "{status} {code}");
        }
        assert_eq!(Fault::from(problem(500, "internal")).text(), "error: d\n  request r");
    }

    #[test]
    fn a_failure_is_told_to_programs_as_one_object() {
        let fault = Fault::new(Exit::Unknown, "unknown_instance", "no bot 'x'").hint("list them");
        let json: serde_json::Value = serde_json::from_str(&fault.json()).unwrap();
        assert_eq!((&json["error"]["code"], &json["error"]["hint"]), (&"unknown_instance".into(), &"list them".into()));
    }
}
