//! The durations of the last commits, for the recorder's metrics.
//!
//! Owns a ring of 1024 durations. Promises bounded memory and exact percentiles of what it holds. Never asks for the
//! time itself.

const DURATIONS: usize = 1024;

/// A ring of durations in nanoseconds.
#[derive(Debug, Default)]
pub struct Meter {
    ring: Vec<u64>,
    next: usize,
}

impl Meter {
    /// Adds one duration, forgetting the oldest of more than 1024.
    pub fn add(&mut self, nanoseconds: u64) {
        if self.ring.len() < DURATIONS {
            self.ring.push(nanoseconds);
        } else {
            self.ring[self.next] = nanoseconds;
        }
        self.next = (self.next + 1) % DURATIONS;
    }

    /// The smallest held duration that at least `percent` of a hundred do not exceed; 0 when none is held.
    pub fn percentile(&self, percent: usize) -> u64 {
        let mut sorted = self.ring.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_the_last_1024() {
        let mut meter = Meter::default();
        assert_eq!(meter.percentile(50), 0);
        meter.add(7);
        assert_eq!((meter.percentile(50), meter.percentile(99)), (7, 7));
        (1..=2024).for_each(|value| meter.add(value));
        // 1001 ..= 2024 are held.
        assert_eq!(meter.ring.len(), 1024);
        assert_eq!((meter.percentile(0), meter.percentile(50), meter.percentile(100)), (1001, 1512, 2024));
        assert_eq!(meter.percentile(99), 1000 + 1014);
    }
}
