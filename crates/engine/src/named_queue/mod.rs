//! Named queues: from messages that the store holds to consumers outside, by long poll.
//!
//! Each queue's order is a [`Line`] in memory, fed by the store's arrivals and rebuilt at start. A poll that finds
//! nothing waits for a signal or for the next due time, never in a loop over the store. What a consumer holds is a lease
//! in the store, so it outlives this process.

mod line;
mod reader;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{Error, MessageId, MessageLease, QueueId, Timestamp};
use sublet_store::{Bury, MessageRecord, MessageState, PendingMessage, QueueRecord, Receive};
use tokio::sync::{mpsc, oneshot, watch};

use crate::chance::locked;
use crate::core::Core;
use reader::Reader;

/// Messages of one receive.
pub const RECEIVE_MAX: usize = 100;
/// How long a receive may wait for the first message.
pub const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(20);
/// Receives that wait at once, on all queues.
const POLLS_MAX: u64 = 2_000;
/// Messages of one queue that one round of upkeep buries or expires.
const UPKEEP_MAX: usize = 1_000;

/// What a consumer asks for.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveRequest {
    /// 1 to [`RECEIVE_MAX`].
    pub max: usize,
    /// How long to wait for the first; zero: answer at once.
    pub wait: Duration,
    /// How long the consumer has to acknowledge.
    pub lease: Duration,
}

/// A message as its consumer gets it.
#[derive(Debug, Clone)]
pub struct Received {
    pub lease: MessageLease,
    /// When the lease ends.
    pub until: Timestamp,
    pub record: MessageRecord,
    /// JSON text.
    pub body: Bytes,
}

/// How a queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    pub waiting: u64,
    pub in_flight: u64,
    pub dead: u64,
    /// When the oldest that waits or is in flight was put.
    pub oldest: Option<Timestamp>,
    /// Receives that wait for a message.
    pub polls: u64,
}

#[derive(Debug)]
pub(crate) struct NamedQueues {
    readers: Mutex<HashMap<QueueId, Arc<Reader>>>,
    polls: AtomicU64,
    /// Becomes true when the engine ends: polls end then.
    closing: watch::Sender<bool>,
}

/// One receive that waits, counted.
struct Poll<'a>(&'a AtomicU64);

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl NamedQueues {
    pub(crate) fn new() -> NamedQueues {
        NamedQueues {
            readers: Mutex::new(HashMap::new()),
            polls: AtomicU64::new(0),
            closing: watch::Sender::new(false),
        }
    }

    pub(crate) fn reader(&self, queue: QueueId) -> Arc<Reader> {
        Arc::clone(locked(&self.readers).entry(queue).or_default())
    }

    pub(crate) fn forget(&self, queue: QueueId) {
        locked(&self.readers).remove(&queue);
    }

    /// Every poll answers now, and later ones do not wait.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn poll(&self) -> Result<Poll<'_>, Error> {
        if self.polls.fetch_add(1, Ordering::AcqRel) >= POLLS_MAX {
            self.polls.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::throttled(format!("{POLLS_MAX} receives wait already")));
        }
        Ok(Poll(&self.polls))
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Acquire)
    }
}

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn feed_queues(self: Arc<Core>, mut arrivals: mpsc::UnboundedReceiver<Vec<PendingMessage>>) {
        while let Some(batch) = arrivals.recv().await {
            for message in batch {
                // One of a queue that is gone is dropped with its reader at the next look.
                let receives_max = self.receives_max(message.queue);
                self.named_queues.reader(message.queue).arrive(&message, receives_max);
            }
        }
    }

    fn receives_max(&self, queue: QueueId) -> u32 {
        self.directory.queue_by_id(queue).map_or(u32::MAX, |record| record.spec.receives_max)
    }

    /// At most `max` messages under a lease each; waits for the first. Empty when none came.
    #[tracing::instrument(name = "engine.queue.receive", level = "debug", skip_all, fields(queue.id = %queue.id))]
    pub(crate) async fn receive(
        self: &Arc<Core>,
        queue: &QueueRecord,
        request: ReceiveRequest,
    ) -> Result<Vec<Received>, Error> {
        let _poll = self.named_queues.poll()?;
        let reader = self.named_queues.reader(queue.id);
        let _waiting = reader.enter()?;
        let mut closing = self.named_queues.closing.subscribe();
        let patience = tokio::time::sleep(request.wait.min(RECEIVE_WAIT_MAX));
        tokio::pin!(patience);
        loop {
            // Made before the look, so that what arrives in between is not missed.
            let arrived = reader.arrived();
            let now = self.clock.now();
            let taken = reader.take(now, request.max.clamp(1, RECEIVE_MAX), queue.spec.receives_max);
            if !taken.is_empty() {
                let received = self.hand_out(queue, &reader, taken, request.lease).await?;
                if !received.is_empty() {
                    return Ok(received);
                }
                // Somebody ended them all meanwhile.
                continue;
            }
            let until_due = reader.next_due().map(|due| Duration::from_millis(due.since(now).max(1)));
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return Ok(Vec::new()),
                () = arrived => {}
                () = &mut patience => return Ok(Vec::new()),
                () = tokio::time::sleep(until_due.unwrap_or_default()), if until_due.is_some() => {}
            }
        }
    }

    /// In a task of its own: a consumer that goes away meanwhile does not leave messages that nobody knows of.
    async fn hand_out(
        self: &Arc<Core>,
        queue: &QueueRecord,
        reader: &Arc<Reader>,
        taken: Vec<MessageLease>,
        lease: Duration,
    ) -> Result<Vec<Received>, Error> {
        let (answered, answer) = oneshot::channel();
        let (core, reader, queue) = (Arc::clone(self), Arc::clone(reader), queue.id);
        self.spawn(async move {
            let received = core.lease_out(queue, &reader, &taken, lease).await;
            if let Err(Ok(unheard)) = answered.send(received) {
                let leases: Vec<MessageLease> = unheard.iter().map(|message| message.lease).collect();
                if !leases.is_empty()
                    && let Err(error) = core.store.release(queue, leases, core.clock.now()).await
                {
                    // Their leases run out.
                    tracing::debug!(%error, "messages of a consumer that went away were not given back");
                }
            }
        });
        answer.await.map_err(|_| Error::unavailable("the receive was interrupted"))?
    }

    async fn lease_out(
        &self,
        queue: QueueId,
        reader: &Reader,
        taken: &[MessageLease],
        lease: Duration,
    ) -> Result<Vec<Received>, Error> {
        let now = self.clock.now();
        let until = now + lease;
        let receives = taken.iter().map(|lease| Receive { lease: *lease, until }).collect();
        let answers = match self.store.receive(queue, receives, now).await {
            Ok(answers) => answers,
            Err(error) => {
                // It may have been written all the same.
                for lease in taken {
                    self.look_again(reader, lease.message).await;
                }
                return Err(error);
            }
        };
        let mut held = Vec::with_capacity(taken.len());
        for (lease, answer) in taken.iter().zip(answers) {
            match answer {
                Ok(()) => {
                    reader.with(|line| line.received(*lease, until));
                    held.push(*lease);
                }
                Err(_) => self.look_again(reader, lease.message).await,
            }
        }
        let carried = self.store.carried(held.iter().map(|lease| lease.message).collect()).await?;
        let mut received = Vec::with_capacity(held.len());
        for (lease, carried) in held.into_iter().zip(carried) {
            match carried {
                Some((record, body)) => received.push(Received { lease, until, record, body }),
                // Erased meanwhile.
                None => self.look_again(reader, lease.message).await,
            }
        }
        metrics::counter!("sublet_messages_received_total").increment(received.len() as u64);
        Ok(received)
    }

    /// Puts right what is known of a message.
    async fn look_again(&self, reader: &Reader, id: MessageId) {
        match self.store.message(id).await {
            Ok(Some(record)) if matches!(record.state, MessageState::Waiting | MessageState::Leased) => {
                let receives_max = self.receives_max(record.queue);
                reader.set(&record.pending(), receives_max);
            }
            Ok(_) => reader.with(|line| line.remove(id)),
            // The next try finds out.
            Err(_) => reader.with(|line| line.give_back(id)),
        }
    }

    /// Each is answered for itself, in order.
    pub(crate) async fn ack(&self, queue: QueueId, leases: Vec<MessageLease>) -> Result<Vec<Result<(), Error>>, Error> {
        let answers = self.store.ack(queue, leases.clone(), self.clock.now()).await?;
        let reader = self.named_queues.reader(queue);
        let mut acked = 0;
        for (lease, _) in leases.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            reader.with(|line| line.remove(lease.message));
            acked += 1;
        }
        metrics::counter!("sublet_messages_acked_total").increment(acked);
        Ok(answers)
    }

    pub(crate) async fn extend_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        span: Duration,
    ) -> Result<(Timestamp, Vec<Result<(), Error>>), Error> {
        let now = self.clock.now();
        let until = now + span;
        let answers = self.store.extend_messages(queue, leases.clone(), until, now).await?;
        let reader = self.named_queues.reader(queue);
        for (lease, _) in leases.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            reader.with(|line| line.extended(*lease, until));
        }
        Ok((until, answers))
    }

    /// They arrive again by the store.
    pub(crate) async fn release_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        delay: Duration,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.store.release(queue, leases, self.clock.now() + delay).await
    }

    pub(crate) async fn queue_stats(&self, queue: &QueueRecord) -> Result<QueueStats, Error> {
        let reader = self.named_queues.reader(queue.id);
        let now = self.clock.now();
        let dead = self.store.dead_count(queue.id).await?;
        let (waiting, in_flight) = reader.with(|line| line.counts(now, queue.spec.receives_max));
        let oldest = reader.with(|line| line.oldest());
        Ok(QueueStats { waiting, in_flight, dead, oldest, polls: reader.polls() })
    }

    /// Buries what was received too often and ends what is too old, of every queue.
    pub(crate) async fn tidy_queues(&self) -> Result<(), Error> {
        let now = self.clock.now();
        for queue in self.directory.queues() {
            let reader = self.named_queues.reader(queue.id);
            let spent = reader.with(|line| line.spent(now, UPKEEP_MAX, queue.spec.receives_max));
            self.bury(&queue, &reader, spent, Bury::Dead, now).await?;
            let before = now - queue.spec.retention.duration();
            let old = reader.with(|line| line.older_than(before, UPKEEP_MAX));
            self.bury(&queue, &reader, old, Bury::Expired, now).await?;
            if reader.dead_are_to_be_looked_at(now) {
                self.store.expire_dead_messages(queue.id, before, now).await?;
            }
        }
        Ok(())
    }

    async fn bury(
        &self,
        queue: &QueueRecord,
        reader: &Reader,
        leases: Vec<MessageLease>,
        how: Bury,
        now: Timestamp,
    ) -> Result<(), Error> {
        if leases.is_empty() {
            return Ok(());
        }
        let answers = self.store.bury_messages(queue.id, leases.clone(), how, now).await?;
        let mut buried = 0;
        for (lease, answer) in leases.iter().zip(answers) {
            match answer {
                Ok(()) => {
                    reader.with(|line| line.remove(lease.message));
                    buried += 1;
                }
                Err(_) => self.look_again(reader, lease.message).await,
            }
        }
        let label = if how == Bury::Dead { "dead" } else { "expired" };
        metrics::counter!("sublet_messages_lost_total", "how" => label).increment(buried);
        if how == Bury::Dead && buried > 0 {
            tracing::warn!(queue.id = %queue.id, "{buried} messages of {} are dead letters now", queue.name);
        }
        Ok(())
    }
}
