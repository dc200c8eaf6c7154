//! The one error body: `application/problem+json` of RFC 9457.
//!
//! Owns the translation of every refusal into status, stable code and words. Promises: what failed inside is logged
//! under the request id and not told to the caller, unless it is the answer to what he asked for.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use supervisor_actors::FleetError;

/// Media type of the body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One thing that is wrong in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// JSON pointer (RFC 6901) into the body; empty for the body as a whole.
    pub pointer: String,
    /// In words.
    pub message: String,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:supervisor:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong, for people.
    pub detail: String,
    /// Stable code, for programs.
    pub code: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Request id; the log has more under it.
    #[serde(default)]
    pub request_id: String,
    /// Each thing that is wrong, when there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Wrong>,
    /// Methods of the route, for 405.
    #[serde(skip)]
    pub allow: Option<&'static str>,
}

impl Problem {
    /// A refusal with its status, code and words.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:supervisor:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            hint: None,
            request_id: String::new(),
            errors: Vec::new(),
            allow: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A body or query that means nothing here: 400.
    #[must_use]
    pub fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Something failed inside: 500, without its cause.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed inside the supervisor")
            .hint("the log has the cause under this request id: supervisor export logs --out -")
    }

    /// The refusal of a request that another layer answered, known by its status only.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        if status.is_server_error() {
            return Self::internal();
        }
        let title = status.canonical_reason().unwrap_or("Error");
        Self::new(status, &title.to_lowercase().replace(' ', "_"), title)
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<FleetError> for Problem {
    fn from(error: FleetError) -> Self {
        let text = error.to_string();
        match error {
            FleetError::UnknownInstance { .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_instance", text).hint("list them: supervisor status -o name")
            }
            FleetError::UnknownOrder { .. } => Self::new(StatusCode::NOT_FOUND, "unknown_order", text)
                .hint("list them: supervisor orders --history -o name"),
            FleetError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, text),
            FleetError::Invalid { problems } => {
                let errors = problems.into_iter().map(|message| Wrong { pointer: String::new(), message }).collect();
                Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text) }
            }
            FleetError::Timeout { .. } => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", text)
                .hint("it may still happen: look with supervisor status"),
            FleetError::KillNotStored { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "kill_not_stored", text)
                .hint(
                    "mend the disk, and start again with SUPERVISOR__RISK__TRADING_ENABLED=false: that latches it, too",
                ),
            FleetError::Failed { code, .. } => {
                tracing::error!(event = "api.failed", code, %text, "a request was tried and did not work");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, text)
            }
            FleetError::Internal { .. } => {
                tracing::error!(event = "api.internal", %text, "a request failed inside");
                Self::internal()
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let media = PROBLEM_JSON.parse().map_or_else(|_| ContentType::json(), ContentType);
        let mut response = HttpResponse::build(self.status());
        response.insert_header(media);
        if let Some(methods) = self.allow {
            response.insert_header((header::ALLOW, methods));
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fleet_error_has_its_status_and_code() {
        let id = "gird".to_owned();
        let rows: [(FleetError, u16, &str); 8] = [
            (FleetError::Failed { text: "needs 7 bytes".into(), code: "not_backed_up" }, 500, "not_backed_up"),
            (FleetError::KillNotStored { open_after: 0 }, 500, "kill_not_stored"),
            (FleetError::UnknownInstance { id: id.clone(), suggestion: Some("grid".into()) }, 404, "unknown_instance"),
            (FleetError::UnknownOrder { id }, 404, "unknown_order"),
            (FleetError::Conflict { text: "kill is on".into(), code: "kill_switch" }, 409, "kill_switch"),
            (FleetError::Invalid { problems: vec!["a".into(), "b".into()] }, 422, "invalid"),
            (FleetError::Timeout { ms: 5 }, 504, "timeout"),
            (FleetError::Internal { text: "/secret/path".into() }, 500, "internal"),
        ];
        for (error, status, code) in rows {
            let problem = Problem::from(error);
            assert_eq!((problem.status, problem.code.as_str()), (status, code));
            assert!(!serde_json::to_string(&problem).unwrap().contains("/secret/path"));
        }
        let failed = Problem::from(FleetError::Failed { text: "needs 7 bytes".into(), code: "not_backed_up" });
        assert_eq!(failed.detail, "needs 7 bytes");
        let invalid = Problem::from(FleetError::Invalid { problems: vec!["a".into(), "b".into()] });
        assert_eq!(invalid.errors.iter().map(|wrong| wrong.message.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn it_travels_and_comes_back() {
        let problem = Problem::bad_request("bad_json", "line 1").hint("look");
        let text = serde_json::to_string(&problem).unwrap();
        assert!(text.contains(r#""type":"urn:supervisor:problem:bad_json""#) && !text.contains("errors"), "{text}");
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}
