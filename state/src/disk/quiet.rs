//! Panics of the database end here, as words of ours and without the ones that the runtime prints.
//!
//! Promises that no panic leaves [`caught`] or the drop of a [`Held`], not even while another one unwinds, and that
//! every other panic is shown as if this module were not there.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does what the database may panic over; an error is that panic's message.
pub(super) fn caught<T>(operation: impl FnOnce() -> T) -> Result<T, String> {
    hush();
    let before = IS_CAUGHT.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(operation));
    IS_CAUGHT.set(before);
    outcome.map_err(|panic| panic_message(panic.as_ref()))
}

/// Puts a hook in front of the one that is there: what is caught is told by whoever caught it.
fn hush() {
    static ONCE: Once = Once::new();
    // The runtime forbids to change the hook while a panic unwinds.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let shown = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_CAUGHT.get() {
                shown(info);
            }
        }));
    });
}

/// The text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_string())
}

/// A handle of the database. The last one that is dropped closes it, and on a failing disk the database panics over
/// that: it does not report a failed sync, it unwraps it.
pub(super) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(super) fn new(handle: T) -> Self {
        Self(Some(handle))
    }

    /// The handle, until it was let go of.
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_mut()
    }

    /// Drops the handle, if it is still there; an error is the message of a panic over that.
    pub(super) fn let_go(&mut self) -> Result<(), String> {
        let handle = self.0.take();
        caught(|| drop(handle))
    }

    /// The same with a word in the log: what was called durable was synced before, so nothing depends on the answer.
    pub(super) fn close(&mut self) {
        if let Err(problem) = self.let_go() {
            let event = "store.close_failed";
            tracing::warn!(target: "store", event, problem, "the database panicked while it was closed");
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("planned");
        }
    }

    #[test]
    fn a_panic_of_a_drop_ends_there_also_while_another_unwinds() {
        drop(Held::new(Bomb));
        let outer = catch_unwind(|| {
            let _held = Held::new(Bomb);
            panic!("the first")
        });
        assert_eq!(panic_message(outer.unwrap_err().as_ref()), "the first");
        let mut held = Held::new(Bomb);
        assert!(held.get_mut().is_some());
        assert_eq!(held.let_go().unwrap_err(), "planned");
        assert!(held.get_mut().is_none() && held.let_go().is_ok());
    }

    #[test]
    fn only_what_is_caught_is_silent() {
        assert_eq!(caught(|| IS_CAUGHT.get()), Ok(true));
        let within = caught(|| (caught(|| -> u8 { panic!("inner") }), IS_CAUGHT.get())).unwrap();
        assert_eq!((within, IS_CAUGHT.get()), ((Err("inner".to_string()), true), false));
    }
}
