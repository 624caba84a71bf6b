//! The live stream: every result event as it is published, and every state change of an invocation as it happens, each
//! from a bounded ring, resumable by the last place seen.
//!
//! Nothing here is durable: it is a view of what was published. Who falls behind a ring is told so by a
//! [`StreamItem::Gap`], and finds the rest in the listings. State changes are made only while somebody wants them.

mod ring;
mod state;

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{EventId, InvocationState, Name, TenantId, Timestamp};
use tokio::sync::watch;

use crate::chance::locked;
use ring::Ring;
pub(crate) use state::Told;
pub use state::{FunctionChange, FunctionItem, StateItem};

/// Result events kept for readers that come back.
const RING_ITEMS_MAX: usize = 4_096;
/// Bytes of their bodies.
const RING_BYTES_MAX: usize = 16 << 20;
/// State changes kept for readers that come back.
const STATES_MAX: usize = 16_384;
/// How long after its last reader state changes are still made, so that it may come back.
const STATES_LINGER: Duration = Duration::from_secs(60);
/// In the place of the count of what was pushed: there will be no more.
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
    State(Arc<StateItem>),
    Function(Arc<FunctionItem>),
    /// Something was missed: the reader was too slow, or asked for more than is kept.
    Gap,
}

/// What a reader is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kinds {
    #[default]
    Results,
    States,
    Both,
}

/// What a reader wants to see. The default is every result (the operator).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFilter {
    pub kinds: Kinds,
    pub tenant: Option<TenantId>,
    pub function: Option<Name>,
    /// Of results.
    pub succeeded: Option<bool>,
    /// Of results: the event that was invoked for.
    pub source: Option<String>,
    pub detail_type: Option<String>,
    /// Of state changes.
    pub state: Option<InvocationState>,
}

impl StreamFilter {
    fn admits(&self, item: &ResultItem) -> bool {
        self.tenant.is_none_or(|tenant| item.tenant == Some(tenant))
            && self.function.as_ref().is_none_or(|function| item.function == *function)
            && self.succeeded.is_none_or(|succeeded| item.succeeded == succeeded)
            && (self.source.is_none() || self.source == item.source)
            && (self.detail_type.is_none() || self.detail_type == item.detail_type)
    }

    /// A change of either kind.
    fn admits_state(&self, item: &StreamItem) -> bool {
        let is_of = |tenant: TenantId, function: Option<&Name>| {
            self.tenant.is_none_or(|wanted| tenant == wanted)
                && (self.function.is_none() || self.function.as_ref() == function)
        };
        match item {
            StreamItem::State(item) => {
                is_of(item.tenant_id, item.function.as_ref()) && self.state.is_none_or(|state| item.state == state)
            }
            StreamItem::Function(item) => is_of(item.tenant_id, Some(&item.function)) && self.state.is_none(),
            StreamItem::Result(_) | StreamItem::Gap => false,
        }
    }
}

/// Where a reader is: the last result it saw, and, with state changes, the number of the last of those in this process.
/// In text the event's id, or `evt_…~9f3c.17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPlace {
    pub result: Option<EventId>,
    pub state: Option<(u32, u64)>,
}

impl fmt::Display for StreamPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.result {
            write!(f, "{event}")?;
        }
        match self.state {
            Some((process, number)) => write!(f, "~{process:x}.{number}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an id that the stream gave")]
pub struct StreamPlaceError;

impl FromStr for StreamPlace {
    type Err = StreamPlaceError;

    fn from_str(text: &str) -> Result<StreamPlace, StreamPlaceError> {
        let (result, state) = match text.split_once('~') {
            Some((result, state)) => (result, Some(state)),
            None => (text, None),
        };
        let result = match (result, state) {
            ("", Some(_)) => None,
            (event, _) => Some(event.parse().map_err(|_| StreamPlaceError)?),
        };
        let state = match state {
            Some(text) => {
                let (process, number) = text.split_once('.').ok_or(StreamPlaceError)?;
                let process = u32::from_str_radix(process, 16).map_err(|_| StreamPlaceError)?;
                Some((process, number.parse().map_err(|_| StreamPlaceError)?))
            }
            None => None,
        };
        Ok(StreamPlace { result, state })
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    results: Mutex<Ring<ResultItem>>,
    /// Of invocations and functions.
    states: Mutex<Ring<StreamItem>>,
    /// How often something was pushed; readers wait for it to grow.
    pushed: watch::Sender<u64>,
    state_readers: AtomicUsize,
    /// Until when state changes are made without a reader, in milliseconds.
    states_until: AtomicI64,
    /// Some changes were not made since the last that was.
    states_skipped: AtomicBool,
    /// Tells places of this process from another's.
    process: u32,
}

impl Stream {
    pub(crate) fn new(process: u32) -> Arc<Stream> {
        Arc::new(Stream {
            results: Mutex::new(Ring::new(RING_ITEMS_MAX, RING_BYTES_MAX)),
            states: Mutex::new(Ring::new(STATES_MAX, usize::MAX)),
            pushed: watch::Sender::new(0),
            state_readers: AtomicUsize::new(0),
            states_until: AtomicI64::new(i64::MIN),
            states_skipped: AtomicBool::new(false),
            process,
        })
    }

    pub(crate) fn readers(&self) -> usize {
        self.pushed.receiver_count()
    }

    fn wake(&self) {
        self.pushed.send_modify(|pushed| {
            if *pushed != CLOSED {
                *pushed += 1;
            }
        });
    }

    pub(crate) fn push(&self, batch: impl IntoIterator<Item = ResultItem>) {
        {
            let mut ring = locked(&self.results);
            for item in batch {
                let bytes = item.body.len();
                ring.push(item, bytes);
            }
        }
        self.wake();
    }

    /// Whether a state change is to be made.
    pub(crate) fn wants_states(&self, now: Timestamp) -> bool {
        if self.state_readers.load(Ordering::Acquire) > 0 {
            self.states_until.store((now + STATES_LINGER).millis(), Ordering::Release);
            return true;
        }
        if now.millis() < self.states_until.load(Ordering::Acquire) {
            return true;
        }
        if !self.states_skipped.load(Ordering::Relaxed) {
            self.states_skipped.store(true, Ordering::Release);
        }
        false
    }

    pub(crate) fn push_state(&self, item: StreamItem) {
        {
            let mut ring = locked(&self.states);
            if self.states_skipped.swap(false, Ordering::AcqRel) {
                ring.skip();
            }
            ring.push(item, 0);
        }
        self.wake();
    }

    /// Every reader comes to its end once it has seen what is there.
    pub(crate) fn close(&self) {
        self.pushed.send_replace(CLOSED);
    }

    /// `after`: the place of the last item that a returning reader saw.
    pub(crate) fn read(self: &Arc<Stream>, after: Option<StreamPlace>, filter: StreamFilter) -> ResultStream {
        let with_states = filter.kinds != Kinds::Results;
        if with_states {
            self.state_readers.fetch_add(1, Ordering::AcqRel);
        }
        let (next, last_result, mut gap) = {
            let ring = locked(&self.results);
            let newest = ring.newest().map(|item| item.id);
            match after {
                None => (ring.end(), newest, false),
                Some(StreamPlace { result: Some(last), .. }) => match ring.number_of(|item| item.id == last) {
                    Some(number) => (number + 1, Some(last), false),
                    // Older than the ring, or from before a restart.
                    None => (ring.first(), None, filter.kinds != Kinds::States),
                },
                // There had been none.
                Some(StreamPlace { result: None, .. }) => (ring.first(), None, ring.first() > 1),
            }
        };
        let next_state = {
            let ring = locked(&self.states);
            match after.and_then(|place| place.state) {
                Some((process, number)) if process == self.process && number < ring.end() => {
                    // A place before the ring is found out by the first look.
                    number + 1
                }
                Some(_) => {
                    gap |= with_states;
                    ring.first()
                }
                None => ring.end(),
            }
        };
        let pushed = self.pushed.subscribe();
        let stream = Arc::clone(self);
        ResultStream { pushed, stream, filter, next, next_state, last_result, gap }
    }
}

/// A reader of the live stream. It holds no items of its own, so a slow one costs nothing.
#[derive(Debug)]
pub struct ResultStream {
    stream: Arc<Stream>,
    pushed: watch::Receiver<u64>,
    filter: StreamFilter,
    /// The number of the next result to look at.
    next: u64,
    /// The number of the next state change to look at.
    next_state: u64,
    /// Looked at, whether it was shown or not.
    last_result: Option<EventId>,
    gap: bool,
}

impl Drop for ResultStream {
    fn drop(&mut self) {
        if self.filter.kinds != Kinds::Results {
            self.stream.state_readers.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl ResultStream {
    /// The next item; waits for it. `None` when the engine has ended. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<StreamItem> {
        loop {
            let is_closed = *self.pushed.borrow_and_update() == CLOSED;
            if let Some(item) = self.ready() {
                return Some(item);
            }
            if is_closed || self.pushed.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Where the reader is after the last item it was given.
    pub fn place(&self) -> StreamPlace {
        let state = match self.filter.kinds {
            Kinds::Results => None,
            Kinds::States | Kinds::Both => Some((self.stream.process, self.next_state.saturating_sub(1))),
        };
        StreamPlace { result: self.last_result, state }
    }

    /// What is there already. State changes first: they are what led to results.
    fn ready(&mut self) -> Option<StreamItem> {
        if std::mem::take(&mut self.gap) {
            return Some(StreamItem::Gap);
        }
        if self.filter.kinds != Kinds::Results
            && let Some(item) = self.ready_state()
        {
            return Some(item);
        }
        if self.filter.kinds == Kinds::States {
            return None;
        }
        let ring = locked(&self.stream.results);
        if self.next < ring.first() {
            self.next = ring.first();
            return Some(StreamItem::Gap);
        }
        for (number, item) in ring.from(self.next) {
            self.next = number + 1;
            self.last_result = Some(item.id);
            if self.filter.admits(item) {
                return Some(StreamItem::Result(Arc::clone(item)));
            }
        }
        None
    }

    fn ready_state(&mut self) -> Option<StreamItem> {
        let ring = locked(&self.stream.states);
        if self.next_state < ring.first() {
            self.next_state = ring.first();
            return Some(StreamItem::Gap);
        }
        for (number, item) in ring.from(self.next_state) {
            self.next_state = number + 1;
            if self.filter.admits_state(item) {
                return Some(StreamItem::clone(item));
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

    fn after(number: i64) -> Option<StreamPlace> {
        Some(StreamPlace { result: Some(EventId::from_raw(number)), state: None })
    }

    fn change(number: i64) -> StreamItem {
        StreamItem::State(Arc::new(StateItem {
            tenant_id: TenantId::from_raw(number % 2),
            invocation: sublet_model::InvocationId::from_raw(number),
            tenant: None,
            function: Some("f".parse().unwrap()),
            event_id: EventId::from_raw(1),
            state: InvocationState::Queued,
            at: Timestamp::ZERO,
            attempt: None,
            due: None,
            outcome: None,
            reason: None,
        }))
    }

    fn id_of(item: Option<StreamItem>) -> i64 {
        match item {
            Some(StreamItem::Result(item)) => item.id.raw(),
            Some(StreamItem::Gap) => -1,
            Some(StreamItem::State(item)) => -item.invocation.raw(),
            Some(StreamItem::Function(_)) => -3,
            None => -2,
        }
    }

    #[tokio::test]
    async fn a_reader_sees_what_comes_and_a_returning_one_what_it_missed() {
        let stream = Stream::new(7);
        let mut live = stream.read(None, StreamFilter::default());
        stream.push((1..=3).map(item));
        assert_eq!(id_of(live.next().await), 1);
        let mut back = stream.read(after(2), StreamFilter::default());
        assert_eq!(id_of(back.next().await), 3);
        let filter = StreamFilter { tenant: Some(TenantId::from_raw(0)), ..StreamFilter::default() };
        let mut own = stream.read(after(1), filter);
        assert_eq!(id_of(own.next().await), 2);
    }

    #[tokio::test]
    async fn a_reader_behind_the_ring_is_told_of_the_gap() {
        let stream = Stream::new(7);
        let mut slow = stream.read(None, StreamFilter::default());
        let count = i64::try_from(RING_ITEMS_MAX).unwrap() + 10;
        stream.push((1..=count).map(item));
        assert_eq!(id_of(slow.next().await), -1);
        assert_eq!(id_of(slow.next().await), 11);
        let mut stranger = stream.read(after(5), StreamFilter::default());
        assert_eq!(id_of(stranger.next().await), -1);
        assert_eq!(id_of(stranger.next().await), 11);
    }

    #[tokio::test]
    async fn state_changes_are_made_for_readers_alone_and_a_while_longer() {
        let stream = Stream::new(7);
        let at = |seconds: u64| Timestamp::ZERO + Duration::from_secs(seconds);
        assert!(!stream.wants_states(at(0)));
        drop(stream.read(None, StreamFilter::default()));
        assert!(!stream.wants_states(at(0)), "results are no reason");
        let filter = StreamFilter { kinds: Kinds::Both, ..StreamFilter::default() };
        let reader = stream.read(None, filter);
        assert!(stream.wants_states(at(100)));
        drop(reader);
        assert!(stream.wants_states(at(159)));
        assert!(!stream.wants_states(at(160)));
    }

    #[tokio::test]
    async fn a_reader_of_both_comes_back_to_its_place_in_each() {
        let stream = Stream::new(7);
        let filter = StreamFilter { kinds: Kinds::Both, ..StreamFilter::default() };
        let mut reader = stream.read(None, filter.clone());
        let begin = reader.place();
        assert!(stream.wants_states(Timestamp::ZERO));
        stream.push_state(change(1));
        stream.push([item(10)]);
        assert_eq!((id_of(reader.next().await), id_of(reader.next().await)), (-1, 10));
        let place = reader.place();
        drop(reader);
        stream.push_state(change(2));
        stream.push_state(change(4));
        stream.push([item(11)]);
        let text = place.to_string();
        assert_eq!(text.parse(), Ok(place), "{text}");
        let mut back = stream.read(Some(place), filter.clone());
        assert_eq!((id_of(back.next().await), id_of(back.next().await), id_of(back.next().await)), (-2, -4, 11));
        let mut from_begin = stream.read(Some(begin), filter.clone());
        assert_eq!(id_of(from_begin.next().await), -1, "{begin}");
        let foreign = StreamPlace { state: Some((8, 1)), ..place };
        assert_eq!(id_of(stream.read(Some(foreign), filter.clone()).next().await), -1);
        assert!(matches!(stream.read(Some(foreign), filter).next().await, Some(StreamItem::Gap)));
        for bad in ["", "~", "evt_", "~7", "~x.1", "evt_0000000000001~"] {
            assert!(bad.parse::<StreamPlace>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_was_not_made_meanwhile_is_a_gap() {
        let stream = Stream::new(7);
        let filter = StreamFilter { kinds: Kinds::States, ..StreamFilter::default() };
        let mut reader = stream.read(None, filter.clone());
        assert!(stream.wants_states(Timestamp::ZERO));
        stream.push_state(change(1));
        assert_eq!(id_of(reader.next().await), -1);
        let place = reader.place();
        drop(reader);
        let later = Timestamp::ZERO + STATES_LINGER;
        assert!(!stream.wants_states(later));
        let mut back = stream.read(Some(place), filter);
        assert!(stream.wants_states(later));
        stream.push_state(change(3));
        assert!(matches!(back.next().await, Some(StreamItem::Gap)));
        assert_eq!(id_of(back.next().await), -3);
    }
}
