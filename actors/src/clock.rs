//! The wall clock: the one place where it is read. It stamps alerts and operator records, never a trading decision.

use std::time::{SystemTime, UNIX_EPOCH};

use supervisor_core::domain::Timestamp;

/// Now, by the wall clock.
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
