//! Planted bugs, for the simulator to find: it proves that it would notice. The program itself is built without them.
//!
//! A bug is switched on for the thread at work; none is on by default.

use std::cell::Cell;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// A place without an answer is sent again. Planted in the port of the simulator, as ports lie outside the core.
    ResendOnTimeout,
    /// A fill of an order that is over is dropped.
    DropLateFill,
    /// The same execution counts each time it comes.
    CountFillTwice,
    /// Orders leave before the facts that led to them are durable.
    SendBeforeDurable,
    /// The kill switch is forgotten over a restart. Planted in the start of the simulator's process.
    ForgetKill,
}

impl Canary {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ResendOnTimeout, Self::DropLateFill, Self::CountFillTwice, Self::SendBeforeDurable, Self::ForgetKill];

    /// Its name on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ResendOnTimeout => "resend-on-timeout",
            Self::DropLateFill => "drop-late-fill",
            Self::CountFillTwice => "count-fill-twice",
            Self::SendBeforeDurable => "send-before-durable",
            Self::ForgetKill => "forget-kill",
        }
    }
}

thread_local! {
    static ON: Cell<Option<Canary>> = const { Cell::new(None) };
}

/// Switches a bug on for this thread, or all of them off.
pub fn set(canary: Option<Canary>) {
    ON.set(canary);
}

/// True while this bug is on.
#[must_use]
pub fn is(canary: Canary) -> bool {
    ON.get() == Some(canary)
}
