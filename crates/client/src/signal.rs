//! Waking everybody who waits for something, in the order in which they began to wait.
//!
//! A `watch` of tokio wakes in an order of its own, drawn anew in each run; a simulated run follows from its seed alone.

use std::pin::Pin;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    /// Wakes all who wait now.
    pub(crate) fn ring(&self) {
        self.0.notify_waiters();
    }

    /// Ends at the next ring after this call. Call it before looking at what is waited for.
    pub(crate) fn next(&self) -> Pin<Box<Notified<'_>>> {
        let mut next = Box::pin(self.0.notified());
        next.as_mut().enable();
        next
    }
}
