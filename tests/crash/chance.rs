//! Seeded choices (SplitMix64, Steele, Lea and Flood 2014): the same seed, the same test.

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number less than `n`, which is not 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// A fraction between two bounds.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// So many fractions between two bounds, ascending.
    pub fn rising(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        let mut points: Vec<f64> = (0..count).map(|_| self.between(low, high)).collect();
        points.sort_by(f64::total_cmp);
        points
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
