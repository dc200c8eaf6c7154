//! Around every request: its id, whether the caller may come in, how long it may take, and the shape of refusals.
//!
//! Promises: every answer carries the request id and the headers of [`sealed`]; every refusal is a [`Problem`], also
//! those of other layers. Never: looks into a body.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};

use crate::caller::{RequestId, caller};
use crate::problem::Problem;

/// Longest time for a whole request. A change that takes longer goes on; only its caller stops waiting.
const PATIENCE: Duration = Duration::from_secs(120);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware.
///
/// # Errors
/// None: refusals come out as answers.
pub async fn guard(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = RequestId::next();
    req.extensions_mut().insert(id.clone());
    if let Err(problem) = caller(req.request()) {
        tracing::warn!(event = "api.refused", request = %id.0, reason = %problem, "a caller was turned away");
        return Ok(req.into_response(refusal(problem, &id)));
    }
    let late = || Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "no answer within 120 s");
    match tokio::time::timeout(PATIENCE, next.call(req)).await {
        Ok(Ok(response)) => Ok(shaped(response, &id)),
        // Without the request there is no response to build; the error carries everything itself.
        Ok(Err(error)) => Err(Shaped(problem_of(&error), id).into()),
        Err(_) => Err(Shaped(late(), id).into()),
    }
}

/// A refusal that knows its request.
#[derive(Debug)]
struct Shaped(Problem, RequestId);

impl std::fmt::Display for Shaped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Shaped {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        refusal(self.0.clone(), &self.1)
    }
}

/// The refusal behind an error of any layer.
fn problem_of(error: &Error) -> Problem {
    error.as_error::<Problem>().cloned().unwrap_or_else(|| Problem::of_status(error.error_response().status()))
}

/// An answer as it leaves: a refusal of another layer gets our shape, everything gets our headers.
pub(crate) fn shaped(
    response: ServiceResponse<impl MessageBody + 'static>,
    id: &RequestId,
) -> ServiceResponse<BoxBody> {
    let (req, response) = response.into_parts();
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    let ours = response.headers().get(REQUEST_ID).is_some();
    let response = if refused && !ours {
        refusal(response.error().map_or_else(|| Problem::of_status(status), problem_of), id)
    } else {
        sealed(response.map_into_boxed_body(), id)
    };
    ServiceResponse::new(req, response)
}

fn refusal(problem: Problem, id: &RequestId) -> HttpResponse<BoxBody> {
    sealed(Problem { request_id: id.0.clone(), ..problem }.error_response(), id)
}

/// With the headers that every answer carries. A stored answer keeps the id of the request that caused it.
fn sealed(mut response: HttpResponse<BoxBody>, id: &RequestId) -> HttpResponse<BoxBody> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(REQUEST_ID) {
        headers.insert(REQUEST_ID, HeaderValue::from_str(&id.0).unwrap_or(HeaderValue::from_static("unknown")));
    }
    response
}
