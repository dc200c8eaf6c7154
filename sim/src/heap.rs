//! What will happen, by moment and then by the order in which it was put in.
//!
//! Promises: two things of one moment come out as they went in, so that a seed means one run.

use std::collections::BTreeMap;

use supervisor_core::domain::Timestamp;

/// See the module.
#[derive(Debug)]
pub struct Heap<T> {
    waiting: BTreeMap<(Timestamp, u64), T>,
    put: u64,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), put: 0 }
    }
}

impl<T> Heap<T> {
    /// Puts in what happens then.
    pub fn put(&mut self, at: Timestamp, what: T) {
        self.put += 1;
        self.waiting.insert((at, self.put), what);
    }

    /// Takes out what happens next, and when.
    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        self.waiting.pop_first().map(|((at, _), what)| (at, what))
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_by_moment_and_then_as_they_went_in() {
        let at = Timestamp::from_millis;
        let mut heap = Heap::default();
        for (ms, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            heap.put(at(ms), what);
        }
        let order: String = std::iter::from_fn(|| heap.pop()).map(|(_, what)| what).collect();
        assert_eq!((order.as_str(), heap.is_empty()), ("abcd", true));
    }
}
