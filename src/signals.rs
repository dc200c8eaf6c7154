//! Ctrl-C and SIGTERM: the first asks for a graceful end, the second leaves at once.
//!
//! Promises: the second one works also while everything else hangs; it has a thread of its own.

use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::fault::Exit;
use crate::out::say;
use crate::queue::Pusher;

/// Longest wait for the log before a hard exit.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Becomes true with the first signal. `logs` are flushed for a moment before a hard exit.
///
/// # Errors
/// What the system said.
pub fn listen(logs: Vec<Pusher>) -> std::io::Result<watch::Receiver<bool>> {
    let (asked, stop) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if asked.send_replace(true) {
                    say("left at once; everything that was durable is journalled");
                    for log in &logs {
                        log.flush(LAST_WORDS);
                    }
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
            }
        });
    })?;
    Ok(stop)
}
