//! The live stream: every result event as it is published, from a bounded ring, resumable by the last id seen.
//!
//! Nothing here is durable: it is a view of what was published. Who falls behind the ring is told so by a
//! [`StreamItem::Gap`], and finds the rest in the events' listing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sublet_model::{EventId, Name, TenantId};
use tokio::sync::watch;

use crate::chance::locked;

/// Result events kept for readers that come back.
const RING_ITEMS_MAX: usize = 4_096;
/// Bytes of their bodies.
const RING_BYTES_MAX: usize = 16 << 20;
/// In the place of the newest item's number: there will be no more.
const CLOSED: u64 = u64::MAX;

/// One published result event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultItem {
    pub id: EventId,
    pub tenant: Option<TenantId>,
    pub function: Name,
    pub succeeded: bool,
    /// Of the event that was invoked for; `None` once it was erased.
    pub source: Option<String>,
    pub detail_type: Option<String>,
    /// JSON text of the envelope.
    pub body: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    Result(Arc<ResultItem>),
    /// Some result events were missed: the reader was too slow, or asked for more than the ring holds.
    Gap,
}

/// What a reader wants to see. The default is everything (the operator).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFilter {
    pub tenant: Option<TenantId>,
    pub function: Option<Name>,
    pub succeeded: Option<bool>,
}

impl StreamFilter {
    fn admits(&self, item: &ResultItem) -> bool {
        self.tenant.is_none_or(|tenant| item.tenant == Some(tenant))
            && self.function.as_ref().is_none_or(|function| item.function == *function)
            && self.succeeded.is_none_or(|succeeded| item.succeeded == succeeded)
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    ring: Mutex<Ring>,
    /// The number of the newest item; readers wait for it to grow.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    items: VecDeque<Arc<ResultItem>>,
    bytes: usize,
    /// The number of the first item that is still held, counted from 1.
    first: u64,
}

impl Stream {
    pub(crate) fn new() -> Arc<Stream> {
        let ring = Ring { first: 1, ..Ring::default() };
        Arc::new(Stream { ring: Mutex::new(ring), newest: watch::Sender::new(0) })
    }

    pub(crate) fn readers(&self) -> usize {
        self.newest.receiver_count()
    }

    pub(crate) fn push(&self, batch: impl IntoIterator<Item = ResultItem>) {
        let newest = {
            let mut ring = locked(&self.ring);
            for item in batch {
                ring.bytes += item.body.len();
                ring.items.push_back(Arc::new(item));
                while ring.items.len() > RING_ITEMS_MAX || ring.bytes > RING_BYTES_MAX {
                    let Some(oldest) = ring.items.pop_front() else { break };
                    ring.bytes -= oldest.body.len();
                    ring.first += 1;
                }
            }
            ring.first + ring.items.len() as u64 - 1
        };
        self.newest.send_replace(newest);
    }

    /// Every reader comes to its end once it has seen what is there.
    pub(crate) fn close(&self) {
        self.newest.send_replace(CLOSED);
    }

    /// `after`: the last id a returning reader saw.
    pub(crate) fn read(self: &Arc<Stream>, after: Option<EventId>, filter: StreamFilter) -> ResultStream {
        let (next, gap) = {
            let ring = locked(&self.ring);
            let end = ring.first + ring.items.len() as u64;
            match after {
                None => (end, false),
                Some(last) => match ring.items.iter().position(|item| item.id == last) {
                    Some(position) => (ring.first + position as u64 + 1, false),
                    // Older than the ring, or from before a restart.
                    None => (ring.first, true),
                },
            }
        };
        ResultStream { newest: self.newest.subscribe(), stream: Arc::clone(self), filter, next, gap }
    }
}

/// A reader of the live stream. It holds no items of its own, so a slow one costs nothing.
#[derive(Debug)]
pub struct ResultStream {
    stream: Arc<Stream>,
    newest: watch::Receiver<u64>,
    filter: StreamFilter,
    /// The number of the next item to look at.
    next: u64,
    gap: bool,
}

impl ResultStream {
    /// The next item; waits for it. `None` when the engine has ended. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<StreamItem> {
        loop {
            let is_closed = *self.newest.borrow_and_update() == CLOSED;
            if let Some(item) = self.ready() {
                return Some(item);
            }
            if is_closed || self.newest.changed().await.is_err() {
                return None;
            }
        }
    }

    /// What is there already.
    fn ready(&mut self) -> Option<StreamItem> {
        if std::mem::take(&mut self.gap) {
            return Some(StreamItem::Gap);
        }
        let ring = locked(&self.stream.ring);
        if self.next < ring.first {
            self.next = ring.first;
            return Some(StreamItem::Gap);
        }
        let start = usize::try_from(self.next - ring.first).unwrap_or(usize::MAX);
        for item in ring.items.iter().skip(start) {
            self.next += 1;
            if self.filter.admits(item) {
                return Some(StreamItem::Result(Arc::clone(item)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: i64) -> ResultItem {
        ResultItem {
            id: EventId::from_raw(number),
            tenant: Some(TenantId::from_raw(number % 2)),
            function: "f".parse().unwrap(),
            succeeded: true,
            source: Some("todo".to_owned()),
            detail_type: None,
            body: Bytes::from_static(b"{}"),
        }
    }

    fn id_of(item: Option<StreamItem>) -> i64 {
        match item {
            Some(StreamItem::Result(item)) => item.id.raw(),
            Some(StreamItem::Gap) => -1,
            None => -2,
        }
    }

    #[tokio::test]
    async fn a_reader_sees_what_comes_and_a_returning_one_what_it_missed() {
        let stream = Stream::new();
        let mut live = stream.read(None, StreamFilter::default());
        stream.push((1..=3).map(item));
        assert_eq!(id_of(live.next().await), 1);
        let mut back = stream.read(Some(EventId::from_raw(2)), StreamFilter::default());
        assert_eq!(id_of(back.next().await), 3);
        let filter = StreamFilter { tenant: Some(TenantId::from_raw(0)), ..StreamFilter::default() };
        let mut own = stream.read(Some(EventId::from_raw(1)), filter);
        assert_eq!(id_of(own.next().await), 2);
    }

    #[tokio::test]
    async fn a_reader_behind_the_ring_is_told_of_the_gap() {
        let stream = Stream::new();
        let mut slow = stream.read(None, StreamFilter::default());
        let count = i64::try_from(RING_ITEMS_MAX).unwrap() + 10;
        stream.push((1..=count).map(item));
        assert_eq!(id_of(slow.next().await), -1);
        assert_eq!(id_of(slow.next().await), 11);
        let mut stranger = stream.read(Some(EventId::from_raw(5)), StreamFilter::default());
        assert_eq!(id_of(stranger.next().await), -1);
        assert_eq!(id_of(stranger.next().await), 11);
    }
}
