//! One worker without its process: what it is told, what its calls may come to, and how they end.

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::mpsc;

use super::*;
use crate::egress::{FetchPart, FetchRecord, FetchRequest};
use crate::wire::{CONTEXT_BYTES_MAX, ENVIRONMENT_BYTES_MAX, EVENT_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Says that it was asked, and then that the call is over, however it ends.
struct Endless(mpsc::UnboundedSender<&'static str>);

struct Over(mpsc::UnboundedSender<&'static str>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.send("over");
    }
}

#[async_trait]
impl Egress for Endless {
    async fn fetch(&self, _request: FetchRequest, _parts: mpsc::Sender<FetchPart>) {
        let _over = Over(self.0.clone());
        let _ = self.0.send("asked");
        std::future::pending::<()>().await;
    }

    fn records(&self) -> Vec<FetchRecord> {
        Vec::new()
    }
}

/// A worker whose process is not there, with an attempt in flight.
fn busy(slots: usize, egress: Option<Arc<dyn Egress>>, event: &[u8]) -> (Arc<Worker>, Job, Ticket) {
    let worker = Worker::new(1, slots, 1 << 30);
    let limits = Limits {
        wall: Duration::from_secs(60),
        cpu: Duration::from_secs(1),
        memory_bytes: 1 << 20,
        result_bytes: 1_000,
        log_bytes: 1_000,
    };
    let job = Job {
        image: SealedImage::of_nothing(),
        event: Bytes::copy_from_slice(event),
        context: Bytes::from(vec![b'c'; CONTEXT_BYTES_MAX]),
        environment: Bytes::from(vec![b'e'; ENVIRONMENT_BYTES_MAX]),
        egress,
        limits,
        seed: 1,
        stop: None,
        is_sent: AtomicBool::new(false),
        counts: false,
    };
    let ticket = worker.submit(&job).unwrap_or_else(|| panic!("there is a slot"));
    (worker, job, ticket)
}

fn silence() -> Silence {
    Silence { heard: Instant::now(), pinged: None, unanswered: 0 }
}

fn call(number: u32, head: &'static [u8]) -> FromWorker {
    FromWorker::Fetch { attempt: 1, call: number, head: Bytes::from_static(head), body: Bytes::new() }
}

const HEAD: &[u8] = b"GET\nhttp://a.test/\nfollow";

#[tokio::test]
async fn an_attempt_has_so_many_calls_in_all() {
    let (worker, _job, _ticket) = busy(1, None, b"{}");
    for number in 1..=CALLS_MAX {
        worker.hear(call(number, b"noise"), &mut silence()).unwrap();
        // Each is over before the next one comes.
        tokio::task::yield_now().await;
    }
    assert!(worker.lock().in_flight[&1].calls.len() < 10, "calls that ended are forgotten");
    for number in [CALLS_MAX + 1, CALLS_MAX, 1, 0] {
        assert!(worker.hear(call(number, b"noise"), &mut silence()).is_err(), "{number}");
    }
}

#[tokio::test]
async fn a_worker_that_does_not_read_is_told_no_more() {
    let (worker, job, ticket) = busy(2, None, b"{}");
    let message = Bytes::from(vec![0; MESSAGE_BYTES_MAX]);
    let mut told = 0;
    while worker.tell(1, message.clone()).now_or_never().is_some() {
        told += 1;
        assert!(told < 100, "without an end");
    }
    let waiting = worker.lock().outbox.bytes();
    assert!(told > 0 && waiting <= UNREAD_BYTES_MAX + TO_WORKER_BYTES_MAX, "{told} messages, {waiting} bytes");
    // Bytes that the socket does not take count like those in the outbox.
    let mut outbox = Outbox::default();
    assert_eq!(worker.collect(&mut outbox), waiting);
    worker.note_sent(waiting, waiting).unwrap();
    assert!(worker.tell(1, message.clone()).now_or_never().is_none());
    // It reads: who waited goes on.
    let mut waits = std::pin::pin!(worker.tell(1, message.clone()));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    worker.note_sent(waiting, 0).unwrap();
    assert!(waits.await);
    // Nobody waits for an attempt that has ended.
    let second = worker.submit(&job).unwrap_or_else(|| panic!("there is a slot"));
    worker.take(second.attempt).unwrap();
    assert!(!worker.tell(second.attempt, message).await);
    drop(ticket);
}

#[tokio::test]
async fn no_honest_worker_leaves_too_much_unread() {
    let slots = 8;
    let (worker, job, first) = busy(slots, None, "1".repeat(EVENT_BYTES_MAX).as_bytes());
    let mut tickets = vec![first];
    tickets.extend(std::iter::from_fn(|| worker.submit(&job)));
    assert_eq!(tickets.len(), slots);
    drop(tickets);
    let mut outbox = Outbox::default();
    let waiting = worker.collect(&mut outbox) + UNREAD_BYTES_MAX + MESSAGE_BYTES_MAX;
    worker.note_sent(waiting, waiting).unwrap();
    let most = unread_bytes_max(slots);
    assert!(worker.note_sent(most + 1, most + 1).is_err());
    assert!(most < 2 * waiting, "the bound is near what can be");
}

#[tokio::test]
async fn a_call_ends_with_its_attempt_however_that_ends() {
    for ending in ["declined", "cancelled", "closed"] {
        let (sender, mut said) = mpsc::unbounded_channel();
        let (worker, _job, ticket) = busy(1, Some(Arc::new(Endless(sender))), b"{}");
        worker.hear(call(1, HEAD), &mut silence()).unwrap();
        assert_eq!(said.recv().await, Some("asked"), "{ending}");
        match ending {
            "declined" => {
                worker.hear(FromWorker::Declined { attempt: 1, reason: String::new() }, &mut silence()).unwrap();
            }
            "cancelled" => drop(ticket),
            _ => assert_eq!(worker.close(Crash::Death), 1),
        }
        assert_eq!(said.recv().await, Some("over"), "{ending}");
    }
}
