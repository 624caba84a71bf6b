//! What became of an event and why: rules that matched and what each led to, rules that did not and why not,
//! invocations with their attempts and waits, deliveries. To a tenant only its own part.

use serde::Serialize;
use serde_json::value::RawValue;
use sublet_model::{
    DeliveryId, EndReason, Error, EventId, InvocationId, InvocationState, Name, Outcome, RuleId, TenantId, Timestamp,
    Usage,
};
use sublet_pattern::Mismatch;
use sublet_sandbox::Failure;
use sublet_store::delivery::{DeliveryAttempt, DeliveryState};
use sublet_store::RejectReason;

use crate::core::Core;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    Operator,
    /// Sees its own events alone, and of the operator's rules only what they led to in its own functions.
    Tenant(TenantId),
}

#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub id: EventId,
    /// `matched`, `unmatched` or `rejected`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<RejectReason>,
    pub accepted: Timestamp,
    pub depth: u8,
    /// The envelope; left out once it was erased with its tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<RawValue>>,
    /// Those that matched first.
    pub rules: Vec<RuleExplained>,
    /// Rules beyond the most that are shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub rules_left_out: usize,
    pub invocations: Vec<InvocationExplained>,
    pub deliveries: Vec<DeliveryExplained>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOwner {
    Operator,
    Tenant,
}

#[derive(Debug, Clone, Serialize)]
pub struct RuleExplained {
    pub owner: RuleOwner,
    /// Left out where a tenant looks at the operator's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Of a rule that matched: what it was when the event came. Of one that did not: what it says today.
    pub matched: bool,
    /// The rule was changed or deleted after the event, or made after it; `reasons` are today's.
    pub changed_since: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetExplained>,
    /// Why it does not match, reckoned against the rule as it is today; or that it is disabled, or never sees results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Mismatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct TargetExplained {
    /// As the rule writes it: `tenant enrich`, `function acme/enrich`, `webhook crm`.
    pub target: String,
    #[serde(flatten)]
    pub led_to: LedTo,
}

/// What a target became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedTo {
    Invocation(InvocationId),
    Delivery(DeliveryId),
    /// `no_function`: no such function, or no live version. `no_webhook`: none of that name.
    Unmatched(String),
}

#[derive(Debug, Clone, Serialize)]
pub struct InvocationExplained {
    pub id: InvocationId,
    /// Its name; its id once it was deleted.
    pub function: String,
    pub state: InvocationState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// When it may start next, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    pub attempts: Vec<AttemptExplained>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AttemptExplained {
    pub number: u32,
    pub version: u32,
    pub outcome: Outcome,
    pub started: Timestamp,
    pub ended: Timestamp,
    /// Milliseconds from the acceptance, or from the end of the attempt before, until it started: backoff and dwell.
    pub waited_ms: u64,
    pub usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DeliveryExplained {
    pub id: DeliveryId,
    pub webhook: Name,
    pub state: DeliveryState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    pub attempts: Vec<DeliveryAttempt>,
}

impl Core {
    pub(crate) async fn explain(&self, _id: EventId, _viewer: Viewer) -> Result<Explanation, Error> {
        Err(Error::unavailable("not yet"))
    }
}
