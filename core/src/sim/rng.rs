//! The only randomness of the core: a seeded generator with the same numbers on every machine.
//!
//! Promises: integer arithmetic only, so that a seed means the same sequence everywhere. Never: entropy from outside.

use serde::{Deserialize, Serialize};

/// xoshiro256++ 1.0, state filled by SplitMix64 (D. Blackman and S. Vigna, prng.di.unimi.it, public domain). Good for
/// simulation, worthless for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeededRng {
    state: [u64; 4],
}

impl SeededRng {
    /// A generator for this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: std::array::from_fn(|_| split_mix(&mut mixer)) }
    }

    /// An independent generator for part number `stream` of the same experiment.
    #[must_use]
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut mixer = stream;
        Self::new(seed ^ split_mix(&mut mixer))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number from 0 to `n - 1`, each equally likely to within `n` / 2^64; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`, one of 2^53 equally spaced.
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, mean 0, variance 1, within 6 of 0: the sum of twelve 16-bit uniforms (Irwin-Hall). No logarithm
    /// or cosine, whose last bit differs between platforms.
    pub fn normal(&mut self) -> f64 {
        const HALF: f64 = 6.0 * 65_535.0;
        let sum: u64 = (0..3).map(|_| quarters(self.next_u64())).sum();
        (sum as f64 - HALF) / 65_536.0
    }
}

/// Sum of the four 16-bit parts.
fn quarters(bits: u64) -> u64 {
    (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_the_published_numbers() {
        // First outputs of the reference C program for seed 1234567.
        let mut state = 1_234_567;
        let first: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn xoshiro_gives_the_published_numbers() {
        // First outputs of the reference C program for the state 1, 2, 3, 4.
        let mut rng = SeededRng { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn ranges_hold_and_moments_are_right() {
        let mut rng = SeededRng::new(7);
        assert_eq!(rng.below(0), 0);
        assert!((0..10_000).all(|_| rng.below(6) < 6));
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&rng.unit_f64())));
        let draws: Vec<f64> = (0..100_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "mean {mean} variance {variance}");
    }

    #[test]
    fn seeds_and_streams_differ_and_repeat() {
        assert_eq!(SeededRng::new(1).next_u64(), SeededRng::new(1).next_u64());
        assert_ne!(SeededRng::new(1).next_u64(), SeededRng::new(2).next_u64());
        assert_ne!(SeededRng::stream(1, 0).next_u64(), SeededRng::stream(1, 1).next_u64());
        assert_ne!(SeededRng::stream(1, 0).next_u64(), SeededRng::stream(2, 0).next_u64());
    }
}
