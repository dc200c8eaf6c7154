//! One effect per `Idempotency-Key`.
//!
//! Owns the memory of answered changes: bounded in number and age. Promises: the same key with the same request gets
//! the same answer and causes nothing again, also while the first is still under way and also when its caller has left;
//! the same key with another request is refused. Never: forgets a change that is still under way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody, to_bytes_limited};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage, HttpResponse};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::body::{BODY_MAX, FILE_BODY_MAX, read_body};
use crate::caller::{RequestId, caller};
use crate::guard::shaped;
use crate::problem::Problem;

/// Most answers kept.
pub const ANSWERS_MAX: usize = 10_000;
/// Longest time an answer is kept.
pub const ANSWER_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

const KEY: &str = "idempotency-key";
const KEY_LEN_MAX: usize = 200;
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer as it left.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    media: Option<HeaderValue>,
    request: Option<HeaderValue>,
    body: Bytes,
}

type Slot = watch::Receiver<Option<Arc<Answer>>>;
type Print = [u8; 32];

struct Entry {
    print: Print,
    at: Instant,
    slot: Slot,
}

impl Entry {
    /// Answered, or its task has died; in both cases nothing is under way.
    fn is_over(&self) -> bool {
        self.slot.borrow().is_some() || self.slot.has_changed().is_err()
    }
}

/// What to do with a request.
enum Turn {
    /// It is the first with its key: do it, and send the answer here.
    First(watch::Sender<Option<Arc<Answer>>>),
    /// Wait for the first one's answer.
    Again(Slot),
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    /// Keys from the oldest to the newest.
    order: VecDeque<String>,
}

/// The answered changes; shared by all workers of a door.
#[derive(Default)]
pub struct Answers {
    entries: Mutex<Entries>,
}

impl Answers {
    fn turn(&self, key: String, print: Print, now: Instant) -> Result<Turn, Problem> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.forget(now);
        if let Some(entry) = entries.by_key.get(&key) {
            if entry.print != print {
                let text = "this Idempotency-Key was used for a different request";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", text)
                    .hint("take a new key for a new request"));
            }
            return Ok(Turn::Again(entry.slot.clone()));
        }
        if entries.by_key.len() >= ANSWERS_MAX {
            let text = "too many changes are under way";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text).hint("try again in a moment"));
        }
        let (sender, slot) = watch::channel(None);
        entries.order.push_back(key.clone());
        entries.by_key.insert(key, Entry { print, at: now, slot });
        Ok(Turn::First(sender))
    }
}

impl Entries {
    /// Drops what is too old, and the oldest when there is no room for one more; what is under way stays.
    fn forget(&mut self, now: Instant) {
        let mut kept = VecDeque::new();
        while let Some(key) = self.order.pop_front() {
            let Some(entry) = self.by_key.get(&key) else { continue };
            let old = now.saturating_duration_since(entry.at) >= ANSWER_AGE_MAX;
            if !old && self.by_key.len() < ANSWERS_MAX {
                self.order.push_front(key);
                break;
            }
            if entry.is_over() {
                self.by_key.remove(&key);
            } else {
                kept.push_back(key);
            }
        }
        while let Some(key) = kept.pop_back() {
            self.order.push_front(key);
        }
    }
}

/// The middleware; needs `Data<Answers>`. Requests that change nothing pass.
///
/// # Errors
/// A [`Problem`] when the key is missing, malformed or used for another request, or the body cannot be read.
pub async fn once(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(next.call(req).await?.map_into_boxed_body());
    }
    let key = format!("{}\n{}", caller(req.request())?, key_of(&req)?);
    let Some(answers) = req.app_data::<Data<Answers>>().cloned() else { return Err(Problem::internal().into()) };
    let (http, mut payload) = req.into_parts();
    let max = if http.path().ends_with("/instances") { FILE_BODY_MAX } else { BODY_MAX };
    let body = read_body(&mut payload, max).await?;
    let print = fingerprint(http.method(), &http.uri().to_string(), &body);
    match answers.turn(key, print, Instant::now())? {
        Turn::First(sender) => {
            let id = http.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::next);
            let req = ServiceRequest::from_parts(http, Payload::from(body));
            // A task of its own: the change goes on, and is remembered, when its caller leaves.
            let task = actix_web::rt::spawn(async move { answer(next.call(req).await, &id, &sender).await });
            task.await.unwrap_or_else(|_| Err(Problem::internal().into()))
        }
        Turn::Again(mut slot) => match slot.wait_for(Option::is_some).await.ok().and_then(|found| found.clone()) {
            Some(answer) => Ok(ServiceResponse::new(http, answer.response(true))),
            None => Err(Problem::internal().into()),
        },
    }
}

fn key_of(req: &ServiceRequest) -> Result<String, Problem> {
    let allowed = "send 1 to 200 visible ASCII characters, a new one for each change";
    let mut found = req.headers().get_all(KEY);
    let (Some(key), None) = (found.next(), found.next()) else {
        let text = "this request changes something and needs one Idempotency-Key header";
        return Err(Problem::bad_request("key_missing", text).hint(allowed));
    };
    match key.to_str() {
        Ok(text) if (1..=KEY_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        Ok(_) | Err(_) => Err(Problem::bad_request("key_malformed", "the Idempotency-Key is malformed").hint(allowed)),
    }
}

fn fingerprint(method: &Method, uri: &str, body: &[u8]) -> Print {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Renders an answer, keeps it and passes it on.
async fn answer(
    outcome: Result<ServiceResponse<impl MessageBody + 'static>, Error>,
    id: &RequestId,
    sender: &watch::Sender<Option<Arc<Answer>>>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (http, response) = shaped(outcome?, id).into_parts();
    let headers = response.headers();
    let (media, request) = (headers.get(CONTENT_TYPE).cloned(), headers.get(REQUEST_ID).cloned());
    let status = response.status();
    let body = match to_bytes_limited(response.into_body(), ANSWER_BYTES_MAX).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) | Err(_) => return Err(Problem::internal().into()),
    };
    let answer = Arc::new(Answer { status, media, request, body });
    sender.send_replace(Some(Arc::clone(&answer)));
    Ok(ServiceResponse::new(http, answer.response(false)))
}

impl Answer {
    fn response(&self, again: bool) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        if let Some(media) = &self.media {
            response.insert_header((CONTENT_TYPE, media.clone()));
        }
        if let Some(request) = &self.request {
            response.insert_header((REQUEST_ID, request.clone()));
        }
        if again {
            response.insert_header((REPLAYED, "true"));
        }
        response.body(self.body.clone())
    }
}

#[cfg(test)]
mod tests;
