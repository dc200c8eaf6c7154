//! Work on the store that may never end: on a failing disk the database was seen to wait for itself, and nothing but
//! the end of the process gets it out of that.
//!
//! Promises: who waits for the store hears of it within a bounded time. Never: ends work that only takes long; the time
//! grows with what there is to read and to write again.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Does it, or ends the process with exit code 1 and a word when it takes a minute and a second for each megabyte in
/// `dirs`.
pub fn bounded<T>(dirs: &[&Path], work: impl FnOnce() -> T) -> T {
    let patience = patience(dirs);
    let (done, is_done) = mpsc::channel::<()>();
    // Without the thread the work is done all the same.
    let _ = std::thread::Builder::new().name("patience".to_owned()).spawn(move || {
        if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            give_up(patience);
        }
    });
    let result = work();
    drop(done);
    result
}

/// The process ends by then, in one way or another. `more`: what its bots may take before the store is closed.
pub fn ends_within(more: Duration, dirs: &[&Path]) {
    let patience = more + patience(dirs);
    // Without the thread it ends as it does otherwise.
    let _ = std::thread::Builder::new().name("patience".to_owned()).spawn(move || {
        std::thread::sleep(patience);
        give_up(patience);
    });
}

fn give_up(patience: Duration) -> ! {
    anstream::eprintln!("error: the store does not answer: no end after {} s", patience.as_secs());
    anstream::eprintln!("hint: look at the disk; what was durable stays so, and it can be tried again");
    std::process::exit(1)
}

fn patience(dirs: &[&Path]) -> Duration {
    let files = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    Duration::from_secs(60 + bytes / (1 << 20))
}
