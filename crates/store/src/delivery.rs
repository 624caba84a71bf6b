//! Carrying results out: one delivery per matched event and webhook.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sublet_model::{DeliveryId, Error, EventId, MessageId, Name, QueueId, TenantId, Timestamp};
use tokio::sync::mpsc;

use crate::page::{Listing, Page};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    pub id: DeliveryId,
    pub webhook: Name,
    pub event: EventId,
    /// Whose event it carries.
    pub tenant: Option<TenantId>,
    pub due: Timestamp,
    /// What a transformer made of the event, as JSON text; `None`: the event's body, which is not written twice.
    pub input: Option<Bytes>,
    /// The queue it is put into besides when it is given up.
    pub dead_letter: Option<QueueId>,
}

/// A delivery that waits for its (next) try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingDelivery {
    pub id: DeliveryId,
    pub webhook: Name,
    pub event: EventId,
    /// Tries since it was accepted, or since its last replay.
    pub attempts: u32,
    pub due: Timestamp,
}

/// Tries kept with a delivery: the newest.
pub const ATTEMPTS_KEPT_MAX: usize = 50;

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    pub at: Timestamp,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Why it failed, for the operator.
    pub error: Option<String>,
    pub latency_ms: u64,
    /// The start of the answer's body, as text.
    #[serde(default)]
    pub response: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryNext {
    Delivered,
    Retry {
        due: Timestamp,
    },
    /// Given up; kept for the operator to see and replay.
    Failed,
    /// The same, and the same commit puts it into its dead-letter queue, as the message of this id, if it has such a queue.
    DeadLetter {
        message: MessageId,
    },
    /// The same without having asked the receiver: it says nothing about the webhook's health.
    Dropped {
        message: MessageId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    Pending,
    Delivered,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub id: DeliveryId,
    pub webhook: Name,
    pub event: EventId,
    pub tenant: Option<TenantId>,
    pub state: DeliveryState,
    pub due: Timestamp,
    /// How often it was sent anew.
    pub replays: u32,
    /// Oldest first; the newest [`ATTEMPTS_KEPT_MAX`].
    pub attempts: Vec<DeliveryAttempt>,
}

impl DeliveryRecord {
    /// Adds a try; the oldest leaves when there are too many.
    pub fn add(&mut self, attempt: DeliveryAttempt) {
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT_MAX);
        self.attempts.drain(..surplus);
    }
}

/// Which deliveries: all of what is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub webhook: Option<Name>,
    pub state: Option<DeliveryState>,
    /// Whose event it carries.
    pub tenant: Option<TenantId>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub pending: u64,
    pub delivered: u64,
    pub failed: u64,
}

/// The conservation equation of deliveries. `accepted` is added up from what events led to, the others from the
/// deliveries' own rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryBalance {
    pub accepted: u64,
    pub counts: DeliveryCounts,
}

impl DeliveryBalance {
    pub fn holds(&self) -> bool {
        self.accepted == self.counts.pending + self.counts.delivered + self.counts.failed
    }
}

#[async_trait]
pub trait Deliveries {
    /// Everything that waits to be delivered: first what waits at the call, then each as it becomes so (published or
    /// set to retry), after its commit. One receiver at a time; a new call replaces the former.
    async fn delivery_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingDelivery>>, Error>;

    /// Ends a try. Answers since when the webhook has known nothing but failures, this one included; `None` after a
    /// success, and when there is no such webhook.
    ///
    /// Contract: atomic; settling a delivery that is not pending is `Conflict` and changes nothing, one that is not
    /// there is `NotFound`. `Delivered` ends the webhook's `failing_since`, `Retry` and `Failed` begin it where it has
    /// none, at the try's `at`; the registry's revision does not move for that.
    async fn settle_delivery(
        &self,
        id: DeliveryId,
        attempt: DeliveryAttempt,
        next: DeliveryNext,
    ) -> Result<Option<Timestamp>, Error>;

    /// Sends a delivery anew under its id: pending, due now, its schedule from the beginning, its tries kept.
    ///
    /// Contract: whatever its state. `NotFound` when it is not there (any more).
    async fn replay_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<DeliveryRecord, Error>;

    /// The same for every failed one of a webhook that was accepted at or after `since`. Answers how many.
    ///
    /// Contract: may be several commits; one that dies in the middle has replayed some of them, and a repeat the rest.
    async fn replay_failed(&self, webhook: &Name, since: Timestamp, now: Timestamp) -> Result<u64, Error>;

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error>;

    /// Newest first: by id, descending.
    async fn deliveries(&self, filter: DeliveryFilter, page: Page) -> Result<Listing<DeliveryRecord>, Error>;

    /// Of one webhook, or all.
    async fn delivery_counts(&self, webhook: Option<&Name>) -> Result<DeliveryCounts, Error>;

    /// Contract: holds at any moment, over everything that retention has left. Reads every event's row.
    async fn delivery_balance(&self) -> Result<DeliveryBalance, Error>;

    /// The body a delivery of this event carries: its input, or else the event's envelope; `None` once erased with its
    /// tenant. Contract: an input is there as long as its event.
    async fn delivery_body(&self, delivery: DeliveryId, event: EventId) -> Result<Option<Bytes>, Error>;
}
