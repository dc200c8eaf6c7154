//! Who asks: put on the connection by the door it came through, read by the guard and the routes.
//!
//! Promises: a request without a [`Caller`] on its connection is refused, so a door that forgets to say who comes in
//! lets nobody in.

use std::future::{Ready, ready};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use supervisor_actors::By;

use crate::problem::Problem;

/// The peer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// May ask; recorded as this.
    Known(String),
    /// May not ask; why.
    Refused(String),
}

impl Caller {
    /// The peer of a Unix socket: our own user and root may come in.
    #[must_use]
    pub fn of_uid(uid: u32, own: u32) -> Self {
        if uid == own || uid == 0 {
            Self::Known(format!("uid:{uid}"))
        } else {
            Self::Refused(format!("uid:{uid} is neither the supervisor's user (uid:{own}) nor root"))
        }
    }
}

/// Name of one request in answers, facts and log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The next one of this process: the start of the process, then a counter.
    #[must_use]
    pub fn next() -> Self {
        static START: LazyLock<u64> =
            LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self(format!("{:x}-{:x}", *START, COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Longest reason that is recorded, characters.
pub const REASON_MAX: usize = 500;

/// What a handler knows of its request.
#[derive(Clone, Debug)]
pub struct Ask {
    by: String,
    request: String,
}

impl Ask {
    /// The author of a change. A reason that is too long is cut and never refused: it must not hold up a kill.
    #[must_use]
    pub fn by(&self, reason: &str) -> By {
        let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_MAX).collect();
        By { by: self.by.clone(), reason, request: self.request.clone() }
    }
}

/// The caller of a request, if its door let it in.
pub(crate) fn caller(req: &HttpRequest) -> Result<String, Problem> {
    let refused = |why: &str| Problem::new(StatusCode::FORBIDDEN, "not_allowed", why);
    match req.conn_data::<Caller>() {
        Some(Caller::Known(by)) => Ok(by.clone()),
        Some(Caller::Refused(why)) => Err(refused(why)),
        None => Err(refused("the peer could not be identified")),
    }
}

impl FromRequest for Ask {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = req.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone());
        ready(caller(req).map(|by| Self { by, request }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_user_and_root_come_in_others_do_not() {
        assert_eq!(Caller::of_uid(1000, 1000), Caller::Known("uid:1000".into()));
        assert_eq!(Caller::of_uid(0, 1000), Caller::Known("uid:0".into()));
        assert!(matches!(Caller::of_uid(1001, 1000), Caller::Refused(why) if why.contains("uid:1001")));
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let ask = Ask { by: "uid:1".into(), request: "r".into() };
        assert_eq!(ask.by("a\nb\u{1b}[2Jc").reason, "a b [2Jc");
        assert_eq!(ask.by(&"x".repeat(60_000)).reason.len(), REASON_MAX);
    }

    #[test]
    fn request_ids_do_not_repeat() {
        assert_ne!(RequestId::next(), RequestId::next());
    }
}
