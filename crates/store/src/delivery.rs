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
    pub attempts: u32,
    pub due: Timestamp,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    pub at: Timestamp,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Why it failed, for the operator.
    pub error: Option<String>,
    pub latency_ms: u64,
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
    /// Oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

#[async_trait]
pub trait Deliveries {
    /// Everything that waits to be delivered: first what waits at the call, then each as it becomes so (published or
    /// set to retry), after its commit. One receiver at a time; a new call replaces the former.
    async fn delivery_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingDelivery>>, Error>;

    /// Contract: atomic; settling a delivery that is not pending is `Conflict` and changes nothing, one that is not
    /// there is `NotFound`.
    async fn settle_delivery(&self, id: DeliveryId, attempt: DeliveryAttempt, next: DeliveryNext) -> Result<(), Error>;

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error>;

    /// Newest first: by id, descending.
    async fn deliveries(
        &self,
        webhook: Option<&Name>,
        state: Option<DeliveryState>,
        page: Page,
    ) -> Result<Listing<DeliveryRecord>, Error>;

    /// The body a delivery of this event carries: its input, or else the event's envelope; `None` once erased with its
    /// tenant. Contract: an input is there as long as its event.
    async fn delivery_body(&self, delivery: DeliveryId, event: EventId) -> Result<Option<Bytes>, Error>;
}
