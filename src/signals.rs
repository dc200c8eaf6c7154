//! Ctrl-C, SIGTERM and a closed terminal: the first asks for a graceful end, a later one leaves at once.
//!
//! Promises: the later one works also while everything else hangs; it has a thread of its own. One wish that arrives as
//! several signals, as `timeout` and process groups send it, counts once.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::fault::Exit;
use crate::out::say;
use crate::queue::Pusher;

/// Longest wait for the log before a hard exit.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Signals that follow the first one so closely are the same wish.
const ECHO: Duration = Duration::from_millis(300);

/// Becomes true with the first signal. `logs` are flushed for a moment before a hard exit.
///
/// # Errors
/// What the system said.
pub fn listen(logs: Vec<Pusher>) -> std::io::Result<watch::Receiver<bool>> {
    let (asked, stop) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        let hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hangup)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut wish = Wish::default();
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = next(hangup.as_mut()) => {}
                }
                if wish.is_repeated(Instant::now()) {
                    leave(&logs);
                }
                asked.send_replace(true);
            }
        });
    })?;
    Ok(stop)
}

async fn next(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn leave(logs: &[Pusher]) -> ! {
    say("left at once; everything that was durable is journalled");
    for log in logs {
        log.flush(LAST_WORDS);
    }
    std::process::exit(i32::from(Exit::Interrupted as u8));
}

/// The wish to end, and since when it is known.
#[derive(Default)]
struct Wish(Option<Instant>);

impl Wish {
    /// Takes a signal; true when it says again what has been said before.
    fn is_repeated(&mut self, now: Instant) -> bool {
        match self.0 {
            None => {
                self.0 = Some(now);
                false
            }
            Some(first) => now.duration_since(first) > ECHO,
        }
    }
}

/// True when whoever started us wants us to outlive the terminal, as `nohup` does.
fn is_hangup_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// `SigIgn` is a mask in hexadecimal; SIGHUP is signal 1, its lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_repeated_only_after_its_echo() {
        let (mut wish, first) = (Wish::default(), Instant::now());
        assert!(!wish.is_repeated(first));
        assert!(!wish.is_repeated(first));
        assert!(!wish.is_repeated(first + ECHO));
        assert!(wish.is_repeated(first + ECHO + Duration::from_millis(1)));
    }

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hangup("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n") && !ignores_hangup(""));
    }
}
