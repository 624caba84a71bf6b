//! How many bytes of requests an attempt may send. Bytes can be set aside before their turn to be sent has come, so that
//! what waits in the server is bounded as well as what leaves it. Pure.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicU64,
    bytes_max: u64,
}

/// What one call has set aside; what it does not use goes back when it ends.
#[derive(Debug)]
pub(super) struct SetAside<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    pub(super) fn new(bytes_max: u64) -> Room {
        Room { taken: AtomicU64::new(0), bytes_max }
    }

    /// `None`: there is no room for so many, and nothing was taken.
    pub(super) fn set_aside(&self, bytes: u64) -> Option<SetAside<'_>> {
        self.take(bytes).then(|| SetAside { room: self, bytes })
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.taken.try_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl SetAside<'_> {
    /// Uses so many, first of what was set aside. `false`: there is no room for the others, and nothing was used.
    pub(super) fn spend(&mut self, bytes: u64) -> bool {
        let own = bytes.min(self.bytes);
        if !self.room.take(bytes - own) {
            return false;
        }
        self.bytes -= own;
        true
    }

    /// What was spent and did not go out after all.
    pub(super) fn put_back(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_were_not_sent_are_there_for_the_next_request() {
        let room = Room::new(100);
        let mut first = room.set_aside(60).unwrap();
        assert!(room.set_aside(41).is_none(), "what waits counts");
        assert!(first.spend(80), "60 of its own and 20 more");
        assert!(!first.spend(21), "there are 20 left");
        assert!(room.set_aside(20).is_some(), "what was refused took nothing, and what is not used goes back");
        first.put_back(80);
        assert!(first.spend(80), "sent again on another connection");
        first.put_back(80);
        assert!(room.set_aside(21).is_none(), "it is the call's until it ends");
        drop(first);
        assert!(room.set_aside(100).is_some());
    }

    #[test]
    fn what_was_sent_stays_taken() {
        let room = Room::new(100);
        let mut call = room.set_aside(10).unwrap();
        assert!(call.spend(70));
        drop(call);
        assert!(room.set_aside(31).is_none());
        assert!(room.set_aside(30).is_some());
        let widest = Room::new(u64::MAX);
        let _all = widest.set_aside(u64::MAX).unwrap();
        assert!(widest.set_aside(1).is_none(), "no sum wraps around");
    }
}
