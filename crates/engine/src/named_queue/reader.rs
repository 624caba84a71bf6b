//! One queue's line behind its lock, and the polls that wait on it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sublet_model::{Error, MessageLease, Timestamp};
use sublet_store::PendingMessage;
use tokio::sync::Notify;

use super::line::Line;
use crate::chance::locked;

/// Receives that wait at once on one queue.
const POLLS_PER_QUEUE_MAX: u64 = 200;
/// Between two looks for dead letters that are too old.
const DEAD_LOOK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Mutex<Line>,
    arrived: Notify,
    polls: AtomicU64,
    /// Places held by messages that are being written: what the line has not heard of yet.
    reserved: AtomicU64,
    dead_looked_at: Mutex<Timestamp>,
}

/// One receive that waits on this queue.
pub(super) struct Waiting<'a>(&'a Reader);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.polls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Reader {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Line) -> T) -> T {
        look(&mut locked(&self.line))
    }

    pub(super) fn arrive(&self, message: &PendingMessage, receives_max: u32) {
        self.with(|line| line.arrive(message, receives_max));
        self.arrived.notify_one();
    }

    pub(super) fn set(&self, message: &PendingMessage, receives_max: u32) {
        self.with(|line| line.set(message, receives_max));
        self.arrived.notify_one();
    }

    /// Ends with the next arrival. One arrival wakes one poll; a poll that is dropped after it was woken wakes another.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn take(&self, now: Timestamp, max: usize, receives_max: u32) -> Vec<MessageLease> {
        let (taken, more) = self.with(|line| {
            let taken = line.take(now, max, receives_max);
            (taken, line.next_due().is_some_and(|due| due <= now))
        });
        // Two arrivals may have left one signal.
        if more && !taken.is_empty() {
            self.arrived.notify_one();
        }
        taken
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.with(|line| line.next_due())
    }

    pub(super) fn enter(&self) -> Result<Waiting<'_>, Error> {
        if self.polls.fetch_add(1, Ordering::AcqRel) >= POLLS_PER_QUEUE_MAX {
            self.polls.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::throttled(format!("{POLLS_PER_QUEUE_MAX} receives wait on this queue already")));
        }
        Ok(Waiting(self))
    }

    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Acquire)
    }

    pub(crate) fn has_room(&self, depth_max: u64) -> bool {
        self.with(|line| line.depth()) + self.reserved.load(Ordering::Acquire) < depth_max
    }

    /// Takes places for messages that are about to be written. `false`: there is no room for them.
    pub(crate) fn reserve(&self, count: u64, depth_max: u64) -> bool {
        let line = locked(&self.line);
        let held = self.reserved.load(Ordering::Acquire);
        if line.depth().saturating_add(held).saturating_add(count) > depth_max {
            return false;
        }
        self.reserved.fetch_add(count, Ordering::AcqRel);
        true
    }

    /// They were written, or were not.
    pub(crate) fn unreserve(&self, count: u64) {
        self.reserved.fetch_sub(count, Ordering::AcqRel);
    }

    pub(super) fn dead_are_to_be_looked_at(&self, now: Timestamp) -> bool {
        let mut last = locked(&self.dead_looked_at);
        if now.since(*last) < u64::try_from(DEAD_LOOK_EVERY.as_millis()).unwrap_or(u64::MAX) {
            return false;
        }
        *last = now;
        true
    }
}
