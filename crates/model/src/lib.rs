//! The nouns of Sublet and their arithmetic: typed ids, time, limits, quotas, policies, the invocation state machine,
//! usage and prices.
//!
//! Everything here is a pure value or a pure function. No I/O, no tokio, no SQL, no HTTP: time and randomness come in
//! as arguments, so that a seeded simulation can own both.

pub mod address;
pub mod clock;
pub mod egress;
pub mod error;
pub mod event;
pub mod function;
pub mod host;
pub mod id;
pub mod invocation;
pub mod isolation;
pub mod limit;
pub mod name;
pub mod named_queue;
pub mod nesting;
pub mod policy;
pub mod quota;
pub mod rule;
pub mod secret;
pub mod trace_context;
pub mod transformer;
pub mod unit;
pub mod usage;

pub use clock::{Clock, SystemClock, Timestamp};
pub use egress::{EgressPolicy, EgressRule};
pub use error::{Error, ErrorKind};
pub use event::{Envelope, EventInput};
pub use function::{Destination, Destinations, FunctionConfig, Runtime};
pub use host::HostPattern;
pub use id::{
    AttemptId, AuditId, DeliveryId, EventId, FunctionId, IdMint, InvocationId, KeyId, MessageId, QueueId, RuleId,
    TenantId,
};
pub use invocation::{EndReason, InvocationState, Outcome, Transition};
pub use isolation::Isolation;
pub use name::{Name, NameError};
pub use named_queue::{DeadLetterTarget, MessageLease, QueueSpec};
pub use nesting::nests_deeper_than;
pub use policy::RetryPolicy;
pub use quota::Quota;
pub use rule::{RuleSpec, Target, TargetSpec};
pub use secret::SecretUse;
pub use trace_context::TraceContext;
pub use transformer::{InputTransformer, Transform};
pub use unit::{Millis, Size};
pub use usage::{PriceSheet, Usage, UsageSum};
