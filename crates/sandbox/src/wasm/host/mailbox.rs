//! What comes to an attempt from outside while it runs, and until when it waits for it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

/// Shared by the attempt's fiber, which takes, and the worker's loop, which puts and wakes. Bounded by whoever puts: the
/// gateway's quotas.
#[derive(Default)]
pub(in crate::wasm) struct Mailbox(Mutex<Content>);

#[derive(Default)]
struct Content {
    messages: VecDeque<Bytes>,
    wake_at: Option<Instant>,
}

impl Mailbox {
    pub(in crate::wasm) fn put(&self, message: Bytes) {
        self.lock().messages.push_back(message);
    }

    pub(super) fn take(&self) -> Option<Bytes> {
        self.lock().messages.pop_front()
    }

    /// From when on the attempt waits no longer, while it waits.
    pub(in crate::wasm) fn wake_at(&self) -> Option<Instant> {
        self.lock().wake_at
    }

    pub(in crate::wasm) fn set_wake_at(&self, at: Option<Instant>) {
        self.lock().wake_at = at;
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
