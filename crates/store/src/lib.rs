//! What must survive a crash: the traits with their contracts, the code objects, the in-memory store, and the
//! conformance suite that every backend runs.
//!
//! The store operation is the transaction: every verb is atomic and safe to repeat, and there is no transaction
//! object and no door to raw SQL. Rules for every backend:
//! - a verb that returned `Ok` is durable (the in-memory store: visible to every later call, whoever makes it);
//! - a verb that returned an error changed nothing; the one exception is `Internal`, where the answer was lost on the
//!   way and the change may stand: repeat the verb, or look;
//! - a tenant's rows are reached only through a verb that was handed that tenant's id.

pub mod audit;
pub mod bus;
pub mod code;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod delivery;
pub mod key;
pub mod ledger;
pub mod memory;
pub mod message;
pub mod page;
pub mod queue;
pub mod registry;
pub mod rollout;
pub mod secret;
pub mod shard;
pub mod stop;
pub mod webhook;

use async_trait::async_trait;
pub use sublet_model::{Error, Timestamp};

pub use audit::{Audit, AuditEnd, AuditFilter, AuditRecord, NewAudit};
pub use bus::{Bus, EventRecord, EventStatus, Identity, NewEvent, Published, RejectReason};
pub use code::{CodeStore, ObjectHash};
pub use delivery::{
    Deliveries, DeliveryAttempt, DeliveryBalance, DeliveryCounts, DeliveryFilter, DeliveryNext, DeliveryRecord,
    DeliveryState, NewDelivery, PendingDelivery,
};
pub use key::{FormerSecret, KeyRate, KeyRecord, KeyRole, KeyScope, KeyUse, Keys, NewKey, Standing};
pub use ledger::{Ledger, UsageQuery, UsageRow};
pub use memory::MemoryStore;
pub use message::{
    Bury, MessageOrigin, MessageRecord, MessageSelection, MessageState, Messages, NewMessage, PendingMessage,
    QueueBalance, QueueRecord, Receive,
};
pub use page::{Listing, Page};
pub use queue::{
    AttemptEnd, AttemptRecord, Balance, Claim, Finish, InvocationFilter, InvocationRecord, Lease, NewInvocation, Next,
    OutboxLine, Queue, Selection, Settle, Settled, Waiting, Work,
};
pub use registry::{
    FunctionRecord, LayerRecord, NewVersion, Registry, RuleRecord, TenantRecord, TenantSpec, TenantStatus,
    VersionRecord,
};
pub use rollout::{LiveUse, RolloutFailure, RolloutRecord, RolloutState, Rollouts, StepEnd, StepsBack};
pub use secret::{SealKeyId, Sealed, SecretPlace, SecretRecord, Secrets};
pub use shard::{Ownership, SHARDS, ShardId, shard_of};
pub use stop::{Quarantine, QuarantineCause, Stop, StoppedBy};
pub use webhook::{Disabled, DisabledReason, WebhookRecord, WebhookSecret, WebhookSpec};

/// What a store on a disk has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written to the file system; `None` when it does not say.
    pub free_bytes: Option<u64>,
    /// Publishing is refused while there are fewer.
    pub reserve_bytes: u64,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
}

impl Room {
    pub fn is_reserve_reached(&self) -> bool {
        self.free_bytes.is_some_and(|free| free < self.reserve_bytes)
    }
}

/// Everything the engine needs kept. A backend implements the parts.
#[async_trait]
pub trait Store:
    Registry + Rollouts + Secrets + Keys + Bus + Queue + Messages + Deliveries + Ledger + Audit + Send + Sync + 'static
{
    /// Background upkeep: flush ledger sums, seal and drop history partitions older than `retain_from`, checkpoint.
    ///
    /// Contract: safe to call at any time and to skip; changes no answer but for history dropped as too old.
    async fn maintain(&self, now: Timestamp, retain_from: Timestamp) -> Result<(), Error>;

    /// The greatest id that was ever handed in with an event, an invocation, a delivery or a message and is still kept; 0 when
    /// there is none. Whoever mints goes on above it, so that a clock that was set back repeats no id.
    ///
    /// Contract: includes every row committed before the call.
    async fn greatest_id(&self) -> Result<i64, Error>;

    /// The room there is, for readiness and metrics; `None` for a store that has no disk of its own.
    fn room(&self) -> Option<Room> {
        None
    }

    /// Waits until everything handed over before this call is durable.
    async fn flush(&self) -> Result<(), Error>;

    /// Flushes, then refuses every later write with `Unavailable`.
    async fn close(&self) -> Result<(), Error>;
}
