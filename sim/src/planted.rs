//! The two planted bugs that lie outside the core: what a port and a start could do wrong.
//!
//! Promises: without the feature there is nothing here but `false`.

/// A request to take an order that has no answer is sent again.
#[cfg(feature = "canaries")]
pub(crate) fn resends() -> bool {
    supervisor_core::canary::is(supervisor_core::canary::Canary::ResendOnTimeout)
}

/// A start does not look at the kill latch.
#[cfg(feature = "canaries")]
pub(crate) fn forgets_kill() -> bool {
    supervisor_core::canary::is(supervisor_core::canary::Canary::ForgetKill)
}

/// A request to take an order that has no answer is sent again.
#[cfg(not(feature = "canaries"))]
pub(crate) const fn resends() -> bool {
    false
}

/// A start does not look at the kill latch.
#[cfg(not(feature = "canaries"))]
pub(crate) const fn forgets_kill() -> bool {
    false
}
