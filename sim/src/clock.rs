//! The clock of the process against the venue's: right, stepping, drifting, noisy.
//!
//! The supervisor measures how far its clock is from the venue's; what is left of that error is what this draws. Never:
//! a clock that stays wrong once the faults are over.

use supervisor_core::domain::Timestamp;
use supervisor_core::sim::SeededRng;

/// How the clock of the process errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not at all.
    Right,
    /// By this much, ms, from then on until it is put right after so long.
    Step {
        /// Error, ms.
        by_ms: i64,
        /// When.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// It runs so many millionths too fast (negative: too slow).
    Drift {
        /// Parts per million.
        ppm: i64,
        /// From when.
        from: Timestamp,
    },
    /// Anything up to this much on either side, ms.
    Noise {
        /// Largest error, ms.
        most_ms: i64,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Clock {
    shape: Shape,
    rng: SeededRng,
}

impl Clock {
    /// A clock of this shape.
    #[must_use]
    pub const fn new(shape: Shape, rng: SeededRng) -> Self {
        Self { shape, rng }
    }

    /// What the process takes for the venue's time at `now`. It may run backwards.
    pub fn reads(&mut self, now: Timestamp) -> Timestamp {
        match self.shape {
            Shape::Right => now,
            Shape::Step { by_ms, from, until } if from <= now && now < until => now + by_ms,
            Shape::Step { .. } => now,
            Shape::Drift { ppm, from } => now + now.since(from).max(0) * ppm / 1_000_000,
            Shape::Noise { most_ms } => {
                let wide = u64::try_from(most_ms * 2 + 1).unwrap_or(1);
                now + (self.rng.below(wide).cast_signed() - most_ms)
            }
        }
    }

    /// From here on it is right.
    pub const fn quiet(&mut self) {
        self.shape = Shape::Right;
    }

    /// How it errs.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn each_shape_errs_in_its_own_way() {
        let reads = |shape, ms| Clock::new(shape, SeededRng::new(1)).reads(at(ms)).millis();
        assert_eq!(reads(Shape::Right, 500), 500);
        let step = Shape::Step { by_ms: -30, from: at(100), until: at(200) };
        assert_eq!([reads(step, 99), reads(step, 100), reads(step, 200)], [99, 70, 200]);
        assert_eq!(reads(Shape::Drift { ppm: 500, from: at(0) }, 1_000_000), 1_000_500);
        let mut noisy = Clock::new(Shape::Noise { most_ms: 10 }, SeededRng::new(1));
        let errors: Vec<i64> = (0..200).map(|_| noisy.reads(at(0)).millis()).collect();
        assert!(errors.iter().all(|error| (-10..=10).contains(error)) && errors.iter().any(|error| *error < 0));
        noisy.quiet();
        assert_eq!(noisy.reads(at(7)), at(7));
    }
}
