//! From an event to its result: publish → match → dispatch → tenant queue → scheduler → lease → attempt → settle →
//! outbox → result event → delivery.
//!
//! What is decided is decided purely (`scheduler`, `retry`, `delivery::schedule`, `identity`); the rest is a thin shell
//! around the store and the sandbox. The engine knows no HTTP server and no SQL. Time comes from the [`Clock`] it is
//! handed and randomness from its seed, so that a simulation can own both; the runtime's timers only wake it up, and
//! what is due is decided by the clock.
//!
//! [`Engine`] is the door: everything the server does to events, code and queues goes through it, and everything it
//! sets up goes through the [`Directory`], so that the caches are never behind the caller's own writes.
//!
//! [`Clock`]: sublet_model::Clock

mod body;
mod cache;
mod chance;
mod config;
mod core;
mod delivery;
mod deploy;
mod directory;
mod dispatch;
mod drain;
mod egress;
mod engine;
mod explain;
mod identity;
mod invoke;
mod lease;
mod maintenance;
mod meter;
mod module;
mod named_queue;
mod outbox;
mod package;
mod prepare;
mod publish;
mod quarantine;
mod queue;
mod retry;
mod rollout;
mod runnable;
pub mod scheduler;
mod secret;
mod span;
mod stats;
mod stop;
mod stream;
mod suspicion;
mod worker;

pub use config::EngineConfig;
pub use delivery::{address, signature};
pub use deploy::{DeployError, PackageKind};
pub use directory::{Directory, OVERLAP_DEFAULT};
pub use engine::{Engine, EngineParts};
pub use explain::{
    AttemptExplained, DeliveryExplained, Explanation, InvocationExplained, LedTo, MessageExplained, RuleExplained,
    RuleOwner, TargetExplained, Viewer, message_state,
};
pub use identity::identity_key;
pub use invoke::{InvokeAnswer, InvokeRequest, Selector};
pub use named_queue::{QueueStats, RECEIVE_MAX, RECEIVE_WAIT_MAX, ReceiveRequest, Received};
pub use package::{PackageError, open_zip};
pub use publish::Receipt;
pub use quarantine::QuarantineRule;
pub use secret::{Keyring, MasterKey, Resealed, SecretValue};
pub use span::{OpenSpan, Span, SpanAttribute, SpanKind, SpanSink, SpanValue, Tracing};
pub use stats::Stats;
pub use stream::{
    FunctionChange, FunctionItem, Kinds, ResultItem, ResultStream, StateItem, StreamFilter, StreamItem, StreamPlace,
};
