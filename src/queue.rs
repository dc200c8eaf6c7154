//! A queue of text in front of something that may be slow: a disk, a terminal, a pipe.
//!
//! Owns the writing thread. Promises: whoever pushes waits a tenth of a second at most, and only once while the writer
//! hangs; what does not fit then is counted and the count is written; nothing that was taken is lost at a normal end.
//! Never: stops anybody because a write failed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes that wait.
const WAITING_MAX: usize = 16 * 1024 * 1024;
/// Longest wait for room.
const PUSH_PATIENCE: Duration = Duration::from_millis(100);
/// Longest wait at the end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Where the text goes.
pub trait Sink: Send {
    /// Writes whole lines; a failure is the sink's own affair. `lost` lines before them did not fit.
    fn write(&mut self, lines: &[u8], lost: u64);
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    /// The writer did not make room in time; nobody waits for it again until it has.
    stuck: bool,
    writing: bool,
    closing: bool,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    taken: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits on `taken` until `done`, at most until the deadline.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        patience: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let until = Instant::now() + patience;
        while !done(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            let woken = self.taken.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
        }
        state
    }

    fn run(&self, sink: &mut dyn Sink) {
        let mut lines = Vec::new();
        let mut state = self.lock();
        loop {
            while state.waiting.is_empty() && !state.closing {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() {
                return;
            }
            std::mem::swap(&mut state.waiting, &mut lines);
            let lost = std::mem::take(&mut state.lost);
            (state.writing, state.stuck) = (true, false);
            drop(state);
            self.taken.notify_all();
            sink.write(&lines, lost);
            lines.clear();
            state = self.lock();
            state.writing = false;
            self.taken.notify_all();
        }
    }
}

/// Sets `ended` when the thread leaves, also by a panic of its sink.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.taken.notify_all();
    }
}

/// The way into the queue; cheap to clone.
#[derive(Clone)]
pub struct Pusher {
    shared: Arc<Shared>,
}

impl Pusher {
    /// Takes whole lines.
    pub fn push(&self, lines: &[u8]) {
        let fits = |state: &State| state.waiting.is_empty() || state.waiting.len() + lines.len() <= WAITING_MAX;
        let mut state = self.shared.lock();
        if !fits(&state) && !state.stuck {
            state = self.shared.wait(state, PUSH_PATIENCE, |state| fits(state) || state.ended);
            state.stuck = !fits(&state);
        }
        if state.ended || !fits(&state) {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(lines);
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Takes them only when nothing waits: for pictures of which only the newest counts. True: it has.
    pub fn push_if_idle(&self, lines: &[u8]) -> bool {
        let idle = is_idle(&self.shared.lock());
        if idle {
            self.push(lines);
        }
        idle
    }

    /// Waits until everything taken is written, at most for a while. True: it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let state = self.shared.wait(self.shared.lock(), patience, |state| is_idle(state) || state.ended);
        is_idle(&state)
    }
}

fn is_idle(state: &State) -> bool {
    state.waiting.is_empty() && !state.writing
}

/// The queue with its thread. Dropping it writes what is left.
pub struct Queue {
    shared: Arc<Shared>,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system said when it refused a thread.
    pub fn start(name: &str, mut sink: impl Sink + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ending = Ending(Arc::clone(&shared));
        thread::Builder::new().name(name.to_owned()).spawn(move || ending.0.run(&mut sink))?;
        Ok(Self { shared })
    }

    /// The way into it.
    pub fn pusher(&self) -> Pusher {
        Pusher { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.filled.notify_all();
        // The thread is not joined: one that hangs in a write must not keep the process.
        drop(self.shared.wait(state, END_PATIENCE, |state| state.ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Hands everything on; with a gate, each write waits for a word.
    struct Probe {
        seen: Sender<(Vec<u8>, u64)>,
        gate: Option<Receiver<()>>,
    }

    impl Sink for Probe {
        fn write(&mut self, lines: &[u8], lost: u64) {
            self.seen.send((lines.to_vec(), lost)).unwrap();
            if let Some(gate) = &self.gate {
                gate.recv().unwrap();
            }
        }
    }

    #[test]
    fn everything_taken_is_written_in_order_at_the_end() {
        let (seen, got) = channel();
        let queue = Queue::start("t", Probe { seen, gate: None }).unwrap();
        let threads = [b'a', b'b'].map(|letter| {
            let pusher = queue.pusher();
            thread::spawn(move || (0..1000u32).for_each(|n| pusher.push(format!("{}{n}\n", letter as char).as_bytes())))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(queue);
        let text: Vec<u8> = got.iter().flat_map(|(lines, _)| lines).collect();
        let text = String::from_utf8(text).unwrap();
        for letter in ['a', 'b'] {
            let own: Vec<&str> = text.lines().filter(|line| line.starts_with(letter)).collect();
            assert_eq!(own, (0..1000).map(|n| format!("{letter}{n}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_writer_that_hangs_costs_lines_and_says_how_many() {
        let ((seen, got), (open, gate)) = (channel(), channel());
        let queue = Queue::start("t", Probe { seen, gate: Some(gate) }).unwrap();
        let pusher = queue.pusher();
        pusher.push(b"first\n");
        assert_eq!(got.recv().unwrap().0, b"first\n", "the writer hangs in this one");
        pusher.push(&vec![b'x'; WAITING_MAX]);
        pusher.push(b"lost\n");
        pusher.push(b"lost too\n");
        assert!(!pusher.push_if_idle(b"picture\n"));
        assert!(!pusher.flush(Duration::ZERO));
        open.send(()).unwrap();
        let (second, lost) = got.recv().unwrap();
        assert_eq!((second.len(), lost), (WAITING_MAX, 2));
        open.send(()).unwrap();
        assert!(pusher.flush(Duration::from_secs(60)));
        pusher.push(b"again\n");
        assert_eq!(got.recv().unwrap(), (b"again\n".to_vec(), 0));
        open.send(()).unwrap();
    }
}
