//! How an actor's death reaches the supervisor.
//!
//! Promises: every actor that held a guard is reported exactly once, with the panic's text when it panicked. Never:
//! panics itself, since it runs while unwinding.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use actix::{Message, Recipient};
use supervisor_core::domain::InstanceId;

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// An actor is gone.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct Down {
    /// Whose.
    pub instance: InstanceId,
    /// Of which generation of the instance.
    pub generation: u32,
    /// Which actor.
    pub actor: &'static str,
    /// The panic, if it was one.
    pub panic: Option<String>,
}

/// Lies in each actor; reports when it is dropped.
pub struct DropGuard {
    to: Recipient<Down>,
    down: Down,
}

impl DropGuard {
    /// A guard for one actor.
    pub const fn new(to: Recipient<Down>, instance: InstanceId, generation: u32, actor: &'static str) -> Self {
        Self { to, down: Down { instance, generation, actor, panic: None } }
    }

    /// A guard of the same instance and generation for another actor.
    pub fn another(&self, actor: &'static str) -> Self {
        Self { to: self.to.clone(), down: Down { actor, panic: None, ..self.down.clone() } }
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        let panic = std::thread::panicking().then(take_panic);
        let panic = panic.map(|text| text.unwrap_or_else(|| "panic without a message".to_owned()));
        self.to.do_send(Down { panic, ..self.down.clone() });
    }
}

/// Remembers each panic's message for its guard, in front of the hook that was there.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = describe(info);
            let _ = LAST_PANIC.try_with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = Some(text);
                }
            });
            before(info);
        }));
    });
}

/// The text of the newest panic on this thread.
pub fn take_panic() -> Option<String> {
    LAST_PANIC.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take())).ok().flatten()
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("panic without a message");
    match info.location() {
        Some(place) => format!("{message} ({}:{})", place.file(), place.line()),
        None => message.to_owned(),
    }
}
