//! Draws from a seeded stream, in the units of the plans: per mille and spans of time.

use supervisor_core::sim::SeededRng;

/// One stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance(SeededRng);

impl Chance {
    /// Stream number `stream` of the seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(SeededRng::stream(seed, stream))
    }

    /// True in so many of 1,000 cases.
    pub(crate) fn hits(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.0.below(1_000) < u64::from(per_mille)
    }

    /// A whole number from `from` to `to`, both possible; `from` when the span is empty.
    pub(crate) fn span(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to.saturating_sub(from)).unwrap_or_default();
        from.saturating_add_unsigned(self.0.below(width.saturating_add(1)))
    }

    /// One of so many, from 0; 0 when there is nothing to choose from.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.0.below(len as u64)).unwrap_or_default()
    }

    /// Nearly normal, mean 0, variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.unit_f64()
    }
}
