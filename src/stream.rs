//! The terminal's two streams as the far end of a queue.
//!
//! Promises: a slow or vanished reader stops nobody else. Never: an error for a pipe that was closed.

use std::io::{self, Write};

use crate::queue::Sink;

/// Standard output or standard error behind a queue, so that a slow reader holds nobody up. After its reader has left,
/// it swallows everything: a closed pipe must not stop trading.
pub struct Stream {
    stderr: bool,
    /// Everything goes through as it is: a screen moves the cursor also where colours are off.
    raw: bool,
    closed: bool,
}

impl Stream {
    /// Standard error or standard output.
    pub const fn new(stderr: bool) -> Self {
        Self { stderr, raw: false, closed: false }
    }

    /// Standard output of a live screen.
    pub const fn screen() -> Self {
        Self { stderr: false, raw: true, closed: false }
    }
}

impl Sink for Stream {
    fn write(&mut self, lines: &[u8], lost: u64) {
        if self.closed {
            return;
        }
        let note =
            if lost > 0 { format!("... {lost} lines left out: the reader is too slow\n") } else { String::new() };
        let all = [note.as_bytes(), lines].concat();
        let written = if self.stderr {
            anstream::stderr().lock().write_all(&all)
        } else if self.raw {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&all).and_then(|()| stdout.flush())
        } else {
            let mut stdout = anstream::stdout().lock();
            stdout.write_all(&all).and_then(|()| stdout.flush())
        };
        self.closed = written.is_err();
    }
}
