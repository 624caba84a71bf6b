//! What the engine is doing right now, for `/metrics` and readiness.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Waiting invocations held by the scheduler, delayed ones among them.
    pub waiting: u64,
    /// Of those, the ones whose due time is still to come.
    pub delayed: u64,
    pub in_flight: u64,
    /// Attempts that may run at once.
    pub slots: u64,
    /// Worker processes that can run attempts at this moment.
    pub workers: u64,
    /// Tenants with something waiting or in flight.
    pub tenants_active: u64,
    /// Settled results whose result event is not yet published.
    pub outbox_waiting: u64,
    pub deliveries_waiting: u64,
    pub deliveries_in_flight: u64,
    pub stream_readers: u64,
    /// Receives on named queues that wait for a message.
    pub receives_waiting: u64,
    /// No longer starting attempts: shutting down.
    pub draining: bool,
    /// Shards this node holds.
    pub shards: u64,
}
