//! What may be set about the engine. The command line's configuration file fills it; defaults fit one machine.

use std::time::Duration;

use sublet_model::Isolation;

use crate::quarantine::QuarantineRule;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// This node's number in ids and shard leases, at most `NODE_MAX`.
    pub node: u16,
    /// How long a started attempt is ours without a heartbeat; heartbeats come at a third of it.
    pub lease: Duration,
    /// Between two runs of the store's upkeep.
    pub maintain_every: Duration,
    /// Between two looks for leases that ran out.
    pub rescue_every: Duration,
    /// How long events and attempts are kept.
    pub retain: Duration,
    /// How long lines of the audit log are kept.
    pub audit_retain: Duration,
    /// Event bodies held between publish and start, in bytes; beyond it they are read back from the store.
    pub body_cache_bytes: usize,
    /// Images of functions held ready to run, in bytes.
    pub image_cache_bytes: usize,
    /// How long a synchronous invoke waits for one of its tenant's slots before it is throttled.
    pub invoke_wait: Duration,
    /// Where attempts run of tenants of whom the operator says nothing.
    pub isolation: Isolation,
    /// Attempts at once, when fewer than the sandbox has slots.
    pub slots_max: Option<usize>,
    /// What earns a function a quarantine.
    pub quarantine: QuarantineRule,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            node: 0,
            lease: Duration::from_secs(30),
            maintain_every: Duration::from_secs(1),
            rescue_every: Duration::from_secs(5),
            retain: Duration::from_secs(7 * 86_400),
            audit_retain: Duration::from_secs(400 * 86_400),
            body_cache_bytes: 64 << 20,
            image_cache_bytes: 128 << 20,
            invoke_wait: Duration::from_secs(5),
            isolation: Isolation::Shared,
            slots_max: None,
            quarantine: QuarantineRule::default(),
        }
    }
}
