//! Bodies and queries into types.
//!
//! Promises: nothing longer than its limit is kept in memory; unknown fields are refused by name.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Query};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, Wrong};

/// Longest body, bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// Longest body of `POST /instances`, which carries a whole file, bytes.
pub const FILE_BODY_MAX: usize = 1024 * 1024;
/// Longest time a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The whole body.
pub(crate) async fn read_body(payload: &mut Payload, max: usize) -> Result<Bytes, Problem> {
    let slow = Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not arrive within 10 s");
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| Problem::bad_request("bad_body", format!("broken body: {error}")))?;
            if body.len() + chunk.len() > max {
                let text = format!("the body is longer than {max} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_PATIENCE, read).await.unwrap_or(Err(slow))
}

/// A JSON body; no body at all means all defaults.
pub(crate) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return parsed(b"{}");
    }
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if media.split(';').next().map(str::trim) != Some("application/json") {
        let text = format!("content-type '{media}' is not accepted");
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text);
        return Err(problem.hint("send application/json"));
    }
    parsed(body)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') {
        // A list would be taken for the fields in their order.
        return Err(Problem::bad_request("bad_json", "the body is not what this route takes: a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        let pointer = field(&message).map(|name| format!("/{name}")).unwrap_or_default();
        let mut problem = Problem::bad_request("bad_json", format!("the body is not what this route takes: {message}"));
        problem.errors.push(Wrong { pointer, message });
        problem
    })
}

/// The field that serde names in its message.
fn field(message: &str) -> Option<&str> {
    let named = ["unknown field `", "missing field `", "duplicate field `"];
    let rest = named.iter().find_map(|prefix| message.strip_prefix(prefix))?;
    rest.split('`').next()
}

/// A query string.
pub(crate) fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    Query::<T>::from_query(text)
        .map(Query::into_inner)
        .map_err(|error| Problem::bad_request("bad_query", format!("the query is not what this route takes: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AddBody, StartBody, StopBody};
    use actix_web::http::header::HeaderValue;
    use supervisor_core::spec::OnStop;

    fn decode<T: DeserializeOwned>(media: &'static str, body: &str) -> Result<T, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        json(&headers, body.as_bytes())
    }

    #[test]
    fn bodies_are_typed_and_unknown_fields_refused() {
        assert_eq!(decode::<StartBody>("", "").unwrap(), StartBody::default());
        let stop: StopBody = decode("application/json; charset=utf-8", r#"{"on_stop":"flatten"}"#).unwrap();
        assert_eq!(stop.on_stop, Some(OnStop::Flatten));
        let unknown = decode::<StopBody>("application/json", r#"{"onstop":"keep"}"#).unwrap_err();
        assert_eq!((unknown.status, unknown.errors[0].pointer.as_str()), (400, "/onstop"));
        let missing = decode::<AddBody>("application/json", r#"{"toml":""}"#).unwrap_err();
        assert_eq!(missing.errors[0].pointer, "/path");
        assert_eq!(decode::<StopBody>("text/plain", "{}").unwrap_err().status, 415);
        for body in ["{", "[]", " [\"keep\"]", "null", "7"] {
            assert_eq!(decode::<StopBody>("application/json", body).unwrap_err().code, "bad_json", "{body}");
        }
    }
}
