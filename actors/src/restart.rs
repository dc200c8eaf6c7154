//! When a failed instance may try again: back-off, intensity, quarantine.
//!
//! Pure but for the moment it is given. Promises: more failures than allowed within the window end in quarantine; the
//! wait doubles up to its cap, and jitter spreads those that failed together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use supervisor_core::sim::SeededRng;

/// How restarts go; data, from `[restart]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Restarts allowed within the window.
    pub max: u32,
    /// The window.
    pub window: Duration,
    /// First wait.
    pub base: Duration,
    /// Longest wait.
    pub cap: Duration,
    /// Time without failure after which the wait starts from `base` again.
    pub healthy: Duration,
    /// An actor that has not answered for so long hangs.
    pub hang: Duration,
}

impl Default for Policy {
    /// 3 in 60 s, waits of 0.1 to 30 s, reset after 5 min, hangs after 10 s.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            max: 3,
            window: seconds(60),
            base: Duration::from_millis(100),
            cap: seconds(30),
            healthy: seconds(300),
            hang: seconds(10),
        }
    }
}

/// What happens after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this.
    Retry(Duration),
    /// Too often: no more tries.
    Quarantine,
}

/// The failures of one instance.
#[derive(Debug, Default)]
pub struct Failures {
    recent: VecDeque<Instant>,
    streak: u32,
    last: Option<Instant>,
}

impl Failures {
    /// Takes note of one more.
    pub fn note(&mut self, now: Instant, policy: &Policy, rng: &mut SeededRng) -> Verdict {
        while self.recent.front().is_some_and(|old| now.saturating_duration_since(*old) >= policy.window) {
            self.recent.pop_front();
        }
        if self.last.is_some_and(|last| now.saturating_duration_since(last) >= policy.healthy) {
            self.streak = 0;
        }
        self.last = Some(now);
        if self.recent.len() >= policy.max as usize {
            return Verdict::Quarantine;
        }
        self.recent.push_back(now);
        let wait = policy.base.saturating_mul(1 << self.streak.min(20)).min(policy.cap);
        self.streak = self.streak.saturating_add(1);
        // 80 % to 120 %.
        Verdict::Retry(wait.mul_f64(0.8 + 0.4 * rng.unit_f64()))
    }

    /// An operator started it: its past is forgiven.
    pub fn forgive(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_in_the_window_then_quarantine_and_the_wait_doubles() {
        let (policy, mut rng, start) = (Policy::default(), SeededRng::new(1), Instant::now());
        let mut failures = Failures::default();
        for (nth, base) in [100_u64, 200, 400].into_iter().enumerate() {
            let Verdict::Retry(wait) = failures.note(start + Duration::from_secs(nth as u64), &policy, &mut rng) else {
                panic!("{nth}")
            };
            let base = Duration::from_millis(base);
            assert!(wait >= base.mul_f64(0.8) && wait <= base.mul_f64(1.2), "{nth}: {wait:?}");
        }
        let fourth = failures.note(start + Duration::from_secs(59), &policy, &mut rng);
        assert_eq!(fourth, Verdict::Quarantine);
    }

    #[test]
    fn the_window_slides_the_wait_is_capped_and_health_resets_it() {
        let (policy, mut rng, mut now) = (Policy::default(), SeededRng::new(2), Instant::now());
        let mut failures = Failures::default();
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            now += Duration::from_secs(31);
            let Verdict::Retry(wait) = failures.note(now, &policy, &mut rng) else { panic!() };
            longest = longest.max(wait);
        }
        assert!(longest > Duration::from_secs(24) && longest <= Duration::from_secs(36), "{longest:?}");
        let Verdict::Retry(wait) = failures.note(now + policy.healthy, &policy, &mut rng) else { panic!() };
        assert!(wait <= Duration::from_millis(120), "{wait:?}");
        let none = Policy { max: 0, ..policy };
        assert_eq!(Failures::default().note(now, &none, &mut rng), Verdict::Quarantine);
    }
}
