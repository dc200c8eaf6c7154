//! The simple moving average. Owns the window; promises that nothing ever drifts, because nothing is subtracted.

use serde::{Deserialize, Serialize};

use super::{bounded, usable};

/// SMA(n): the mean of the last n samples. Unit: that of the samples. First value: with sample n.
///
/// The usual running sum (add the newest, subtract the oldest) keeps every rounding error, and one far too high sample
/// spoils it for good. Here the window is a sum of two parts: `fresh` adds up the samples since the ring last began
/// anew, and the rest of the ring holds, at each place, the sum of the older samples from there to the end. Those sums
/// are built once per n samples, so the cost per sample is constant on average: two additions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sma {
    /// Before `next`: the samples of this turn. From `next` on: sums of the previous turn's samples to the end.
    ring: Vec<f64>,
    next: usize,
    fresh: f64,
    mean: f64,
    warm: bool,
}

impl Sma {
    /// `period` in candles; 0 counts as 1. Allocates the window, once.
    pub fn new(period: usize) -> Self {
        Self { ring: vec![0.0; bounded(period) as usize], next: 0, fresh: 0.0, mean: 0.0, warm: false }
    }

    /// Takes the next sample. `None` before the warm-up is over, and for a sample that is skipped.
    #[inline]
    pub fn update(&mut self, close: f64) -> Option<f64> {
        if !usable(close) {
            return None;
        }
        // `get_mut`, not an index: the state may come from a file.
        *self.ring.get_mut(self.next)? = close;
        self.next += 1;
        self.fresh += close;
        match self.ring.get(self.next) {
            Some(older) => self.mean = (self.fresh + older) / self.ring.len() as f64,
            None => self.turn(),
        }
        self.value()
    }

    /// The value after the last usable sample.
    #[inline]
    pub fn value(&self) -> Option<f64> {
        self.warm.then_some(self.mean)
    }

    /// The ring is full: `fresh` is the whole window, and its samples become the sums of the next turn.
    fn turn(&mut self) {
        self.mean = self.fresh / self.ring.len() as f64;
        self.warm = true;
        let mut to_the_end = 0.0;
        for place in self.ring.iter_mut().rev() {
            to_the_end += *place;
            *place = to_the_end;
        }
        self.next = 0;
        self.fresh = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_over_the_end_of_the_ring() {
        let mut sma = Sma::new(3);
        let means: Vec<_> = [1.0, 2.0, 6.0, 7.0, 8.0, 9.0, 10.0].into_iter().map(|x| sma.update(x)).collect();
        assert_eq!(means, [None, None, Some(3.0), Some(5.0), Some(7.0), Some(8.0), Some(9.0)]);
    }

    #[test]
    fn a_state_that_points_outside_its_ring_has_no_value_and_no_panic() {
        let mut broken = Sma { next: 9, ..Sma::new(3) };
        assert_eq!(broken.update(1.0), None);
        let mut empty = Sma { ring: Vec::new(), ..Sma::new(1) };
        assert_eq!(empty.update(1.0), None);
    }
}
