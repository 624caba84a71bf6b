//! Accepting events: one commit does the work of bus, buffer and tenant queue.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sublet_model::{DeliveryId, Error, EventId, InvocationId, MessageId, TenantId, Timestamp, TraceContext};

use crate::delivery::NewDelivery;
use crate::message::NewMessage;
use crate::page::{Listing, Page};
use crate::queue::NewInvocation;

/// Why a well-formed event was stored and never runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    UnknownTenant,
    SuspendedTenant,
    /// Its depth is above the limit: results that beget events that beget results.
    Loop,
}

/// received = matched + unmatched + rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// At least one rule matched and led to an invocation, a delivery or a message.
    Matched,
    Unmatched,
    Rejected(RejectReason),
}

/// (tenant, source, id) of an event whose publisher gave an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The first 16 bytes of SHA-256 over the three, each with its length in front.
    pub key: [u8; 16],
    /// The first 8 bytes of SHA-256 over what was published, to tell a repeat from a conflict.
    pub body: [u8; 8],
}

/// An event ready to be written: matched already, ids minted.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub id: EventId,
    /// `None`: no tenant of that name.
    pub tenant: Option<TenantId>,
    pub identity: Option<Identity>,
    /// How many events begot it.
    pub depth: u8,
    pub status: EventStatus,
    /// JSON: the rules that matched and what each led to; kept for explanations. Opaque to the store.
    pub trace: Bytes,
    /// The span that caused it, in the sense of W3C trace context.
    pub trace_context: Option<TraceContext>,
    /// JSON text of the envelope.
    pub body: Bytes,
    pub invocations: Vec<NewInvocation>,
    pub deliveries: Vec<NewDelivery>,
    pub messages: Vec<NewMessage>,
    /// The outbox line this event publishes; removed in the same commit.
    pub consumes: Option<i64>,
}

/// What became of one entry of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    Accepted,
    /// Same identity, same body, within the window: nothing was written; the first one's answer.
    Repeated {
        first: EventId,
        status: EventStatus,
    },
    /// Same identity, another body: nothing was written.
    Conflict {
        first: EventId,
    },
    /// `consumes` named an outbox line that is gone: it was published before, nothing was written.
    Consumed,
}

/// An event as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    pub id: EventId,
    pub tenant: Option<TenantId>,
    pub depth: u8,
    pub status: EventStatus,
    pub trace: Bytes,
    pub trace_context: Option<TraceContext>,
    /// Empty once erased with its tenant.
    pub body: Bytes,
    pub invocations: Vec<InvocationId>,
    pub deliveries: Vec<DeliveryId>,
    pub messages: Vec<MessageId>,
}

#[async_trait]
pub trait Bus {
    /// Writes events with their invocations, deliveries and messages.
    ///
    /// Contract: all entries of one call become durable in one commit, and each is answered for itself, in order.
    /// Every invocation of an accepted entry then appears in `arrivals` of its shard's owner, every delivery in
    /// `delivery_arrivals`, every message in `message_arrivals` (but for those of a queue that is gone). Identities are remembered for `IDENTITY_WINDOW` across restarts. Entries of one call with
    /// the same identity see each other. `Unavailable` when the disk's reserve is reached: nothing was written.
    ///
    /// An identity is a repeat or a conflict while less than `IDENTITY_WINDOW` lies between the first one's `now` and
    /// this one's; after that it is free again. `consumes` decides before the identity does, and alone: an entry that
    /// takes an outbox line is never `Repeated` or `Conflict`, because the line would then stay for ever; of two
    /// entries that name one line the first takes it. Whether tenant and function still exist is not looked at: the
    /// scheduler ends such an invocation at its turn. `Conflict` for the whole call when an id is in use already.
    async fn publish(&self, events: Vec<NewEvent>, now: Timestamp) -> Result<Vec<Published>, Error>;

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, Error>;

    /// The envelope alone; `None` once erased with its tenant.
    async fn event_body(&self, id: EventId) -> Result<Option<Bytes>, Error>;

    /// By what the publisher called it. Contract: finds it at least while its identity is remembered; of several the
    /// newest.
    async fn event_by_identity(&self, key: [u8; 16]) -> Result<Option<EventRecord>, Error>;

    /// Newest first; of one tenant, or all (`None`: the operator).
    async fn events(&self, tenant: Option<TenantId>, page: Page) -> Result<Listing<EventRecord>, Error>;
}
