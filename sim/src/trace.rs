//! What happened, for people, and a fingerprint of it.
//!
//! Promises: the same seed gives the same bytes and the same fingerprint. Lines are made only when somebody reads them.

use std::fmt::Write as _;

use supervisor_core::domain::Timestamp;

/// See the module.
#[derive(Debug)]
pub struct Trace {
    wanted: bool,
    began: Timestamp,
    text: String,
    print: u64,
    count: u64,
}

impl Trace {
    /// A trace that keeps its lines, or only the fingerprint.
    #[must_use]
    pub const fn new(wanted: bool, began: Timestamp) -> Self {
        Self { wanted, began, text: String::new(), print: 0xCBF2_9CE4_8422_2325, count: 0 }
    }

    /// Something happened: `kind` and `figures` enter the fingerprint, `line` is made when lines are kept.
    pub fn note(&mut self, now: Timestamp, kind: &str, figures: &[u64], line: impl FnOnce() -> String) {
        self.count += 1;
        self.mix(now.millis().cast_unsigned());
        for byte in kind.bytes() {
            self.mix(u64::from(byte));
        }
        for figure in figures {
            self.mix(*figure);
        }
        if self.wanted {
            let since = now.since(self.began);
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{:>6}.{:03} {kind:<12} {}", since / 1000, since.rem_euclid(1000), line());
        }
    }

    /// One step of FNV-1a, a word at a time.
    const fn mix(&mut self, word: u64) {
        self.print = (self.print ^ word).wrapping_mul(0x0000_0100_0000_01B3);
        self.print ^= self.print >> 32;
    }

    /// True when lines are kept.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// A line that is no part of the fingerprint: what a reader wants to see and the world does not depend on.
    pub fn remark(&mut self, now: Timestamp, kind: &str, line: &str) {
        if self.wanted {
            let since = now.since(self.began);
            let _ = writeln!(self.text, "{:>6}.{:03} {kind:<12} {line}", since / 1000, since.rem_euclid(1000));
        }
    }

    /// The lines since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The fingerprint.
    #[must_use]
    pub const fn print(&self) -> u64 {
        self.print
    }

    /// Things noted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_does_not_depend_on_whether_lines_are_kept() {
        let at = Timestamp::from_millis;
        let [mut kept, mut bare] = [true, false].map(|wanted| Trace::new(wanted, at(1_000)));
        for trace in [&mut kept, &mut bare] {
            trace.note(at(2_345), "send", &[1, 2], || "an order".to_owned());
        }
        assert_eq!((kept.print(), kept.take().as_str()), (bare.print(), "     1.345 send         an order\n"));
        assert_eq!(bare.take(), "");
        bare.note(at(2_345), "send", &[1, 3], String::new);
        assert_ne!(kept.print(), bare.print());
    }
}
