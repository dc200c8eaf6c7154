//! How fast virtual time runs against the wall clock. Pacing only: no moment of the wall clock enters the core.

use std::time::{Duration, Instant};

use supervisor_core::domain::Timestamp;

/// Longest wait for one event; a longer hole in the recording is jumped over.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: Option<f64>,
    anchor: Option<(Timestamp, Instant)>,
}

impl Pace {
    /// `None`: as fast as possible; else so many times real time.
    #[must_use]
    pub const fn new(speed: Option<f64>) -> Self {
        Self { speed, anchor: None }
    }

    /// How long to wait for an event of virtual time `at`; `None`: it is due.
    pub fn wait(&mut self, at: Timestamp, now: Instant) -> Option<Duration> {
        let speed = self.speed?;
        let (start, since) = *self.anchor.get_or_insert((at, now));
        let ahead_ms = at.since(start).max(0) as f64 / speed;
        let due = since + Duration::from_secs_f64((ahead_ms / 1000.0).min(1e9));
        let wait = due.saturating_duration_since(now);
        if wait > WAIT_MAX {
            self.anchor = Some((at, now + WAIT_MAX));
            return Some(WAIT_MAX);
        }
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_at_its_speed_and_jumps_over_holes() {
        let mut pace = Pace::new(Some(60.0));
        let now = Instant::now();
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        assert_eq!(pace.wait(at(0), now), None);
        assert_eq!(pace.wait(at(1), now), Some(Duration::from_secs(1)));
        assert_eq!(pace.wait(at(1), now + Duration::from_secs(1)), None);
        assert_eq!(pace.wait(at(1000), now), Some(WAIT_MAX));
        assert_eq!(pace.wait(at(1000), now + WAIT_MAX), None);
        assert_eq!(Pace::new(None).wait(at(1000), now), None);
    }
}
