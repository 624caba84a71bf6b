//! Named queues: an operator's consumers outside Sublet receive messages under a lease and acknowledge them.
//!
//! The order of a queue lives in its reader's memory, as that of the tenants' queues does; the truth about every
//! message is here. A lease needs no write to run out: a leased message is due again when its lease ends, and whoever
//! received it last may acknowledge it for as long as nobody received it again.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sublet_model::{
    DeliveryId, EndReason, Error, EventId, InvocationId, MessageId, MessageLease, Name, QueueId, QueueSpec, TenantId,
    Timestamp,
};
use tokio::sync::mpsc;

use crate::page::{Listing, Page};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    pub id: QueueId,
    pub name: Name,
    pub spec: QueueSpec,
    pub created: Timestamp,
}

/// A message that an event puts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub id: MessageId,
    pub queue: QueueId,
    pub event: EventId,
    /// Whose event it carries.
    pub tenant: Option<TenantId>,
    pub due: Timestamp,
    /// What it carries when that is not the event's envelope.
    pub input: Option<Bytes>,
}

/// What became a dead letter, when that is why the message was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOrigin {
    Invocation { id: InvocationId, reason: EndReason },
    Delivery { id: DeliveryId },
}

/// A message that waits or is in flight, as the queue's reader holds it: never bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingMessage {
    pub id: MessageId,
    pub queue: QueueId,
    pub event: EventId,
    /// When it may be received; of one in flight, when its lease ends.
    pub due: Timestamp,
    /// Receives in all: the last lease's number.
    pub receives: u32,
    /// Receives that count against `receives_max`: since it was put or redriven.
    pub tries: u32,
    pub is_leased: bool,
}

/// Hands a message out. `lease.receive` is the pending message's `receives` + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive {
    pub lease: MessageLease,
    pub until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    Waiting,
    /// Handed out. When its lease is over it waits, although nobody wrote so.
    Leased,
    Acked,
    /// A dead letter of its queue.
    Dead,
    /// Its queue's retention was over.
    Expired,
    /// Purged, or gone with its tenant.
    Erased,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    pub id: MessageId,
    pub queue: QueueId,
    pub event: EventId,
    pub tenant: Option<TenantId>,
    pub state: MessageState,
    /// As in [`PendingMessage`]; once ended, as it was last.
    pub due: Timestamp,
    pub receives: u32,
    pub tries: u32,
    pub origin: Option<MessageOrigin>,
    pub ended: Option<Timestamp>,
}

impl MessageRecord {
    /// The message as its queue's line keeps it; meant for one that waits or is leased.
    pub fn pending(&self) -> PendingMessage {
        PendingMessage {
            id: self.id,
            queue: self.queue,
            event: self.event,
            due: self.due,
            receives: self.receives,
            tries: self.tries,
            is_leased: self.state == MessageState::Leased,
        }
    }
}

/// What an end does to messages of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bury {
    /// A dead letter: its last lease ran out, or was given back.
    Dead,
    /// Its retention is over.
    Expired,
}

/// Which dead letters of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSelection {
    All,
    Ids(Vec<MessageId>),
}

/// put = acked + expired + erased + waiting + in flight + dead. The first four are counted as they happen, the rest are
/// rows, so that the equation can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueBalance {
    pub put: u64,
    pub acked: u64,
    pub expired: u64,
    pub erased: u64,
    pub waiting: u64,
    pub in_flight: u64,
    pub dead: u64,
}

impl QueueBalance {
    pub fn holds(&self) -> bool {
        self.put == self.acked + self.expired + self.erased + self.waiting + self.in_flight + self.dead
    }
}

/// Queues and their messages. A verb that takes several leases answers each for itself, in order: `Fenced` when the
/// message was received again since, ended, or is another queue's; nothing of it changed then.
#[async_trait]
pub trait Messages {
    /// Makes or replaces; the id, `created` and the messages of a queue that exists stay. Answers whether it was made.
    async fn put_queue(&self, name: &Name, spec: QueueSpec, now: Timestamp) -> Result<(QueueRecord, bool), Error>;
    async fn queue(&self, name: &Name) -> Result<Option<QueueRecord>, Error>;
    /// By name.
    async fn queues(&self) -> Result<Vec<QueueRecord>, Error>;
    /// Contract: its messages and dead letters go with it, in one commit. A message that is put for it later is not
    /// put, and what puts it goes on.
    async fn delete_queue(&self, name: &Name) -> Result<(), Error>;

    /// Everything that waits or is in flight: first what does at the call, oldest due first, then each as it becomes
    /// so (put, given back, redriven) after its commit. Not what is received, extended or ended: whoever did that knows. One
    /// receiver at a time; a new call replaces the former. At least once each; never one that is not durable.
    async fn message_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingMessage>>, Error>;

    /// Hands messages out. Contract: `Conflict` for one that is gone, is another queue's, whose number does not follow,
    /// or that is not due at `now`; each is for itself. Whether it was received too often is the reader's to know.
    async fn receive(
        &self,
        queue: QueueId,
        receives: Vec<Receive>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error>;

    /// Ends messages. Also after the lease ran out, while nobody received it again.
    async fn ack(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error>;

    /// Moves the end of leases that still run at `now`.
    async fn extend_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error>;

    /// Gives messages back: they wait, due at `due`, and arrive. Their receives stay counted.
    async fn release(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        due: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error>;

    /// Ends messages without their consumer. `lease.receive` is the number of the last receive (0: none yet).
    async fn bury_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        how: Bury,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error>;

    /// Ends dead letters that died before `before`, some at a time. Answers how many.
    async fn expire_dead_messages(&self, queue: QueueId, before: Timestamp, now: Timestamp) -> Result<u64, Error>;

    /// A queue's dead letters, newest first: by id, descending.
    async fn dead_messages(&self, queue: QueueId, page: Page) -> Result<Listing<MessageRecord>, Error>;

    /// Dead letters back into their queue, due now, with fresh tries; `receives` goes on. Answers how many. Ids that are
    /// no dead letters of this queue are passed over.
    async fn redrive_messages(&self, queue: QueueId, selection: MessageSelection, now: Timestamp)
    -> Result<u64, Error>;

    /// Erases dead letters. Answers how many.
    async fn purge_messages(&self, queue: QueueId, selection: MessageSelection, now: Timestamp) -> Result<u64, Error>;

    /// Wherever it is, as long as its event's history is kept or it has not ended.
    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Error>;

    /// Each with what it carries, in order; `None` for one that ended (dead letters have not) or was erased.
    async fn carried(&self, ids: Vec<MessageId>) -> Result<Vec<Option<(MessageRecord, Bytes)>>, Error>;

    /// Reads every row of the queue.
    async fn queue_balance(&self, queue: QueueId, now: Timestamp) -> Result<QueueBalance, Error>;

    /// How many dead letters a queue has.
    async fn dead_count(&self, queue: QueueId) -> Result<u64, Error>;
}
