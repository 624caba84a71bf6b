//! What became of an event and why: rules that matched and what each led to, rules that did not and why not,
//! invocations with their attempts and waits, deliveries. To a tenant only its own part.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use sublet_model::event::SOURCE_SUBLET;
use sublet_model::{
    DeliveryId, EndReason, Envelope, Error, EventId, InvocationId, InvocationState, MessageId, Name, Outcome, RuleId,
    TenantId, Timestamp, Usage,
};
use sublet_pattern::{EventView, Mismatch};
use sublet_sandbox::Failure;
use sublet_sandbox::egress::FetchRecord;
use sublet_store::delivery::{DeliveryAttempt, DeliveryState};
use sublet_store::{EventRecord, EventStatus, MessageRecord, MessageState, RejectReason};

use crate::core::Core;
use crate::directory::Rule;
use crate::dispatch::{Trace, TraceTarget};

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
    pub messages: Vec<MessageExplained>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
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
    /// It got what the rule's transformer made of the event.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transformed: bool,
    #[serde(flatten)]
    pub led_to: LedTo,
}

/// What a target became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedTo {
    Invocation(InvocationId),
    Delivery(DeliveryId),
    Message(MessageId),
    /// `no_function`: no such function, or no live version. `no_webhook`, `no_queue`: none of that name. `queue_full`: the
    /// queue had no room. `input_too_large`, `input_too_deep`: the transformer makes more of the event than a target takes.
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
    /// What its code asked of the world outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fetches: Vec<FetchRecord>,
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

#[derive(Debug, Clone, Serialize)]
pub struct MessageExplained {
    pub id: MessageId,
    /// Its name; its id once it was deleted.
    pub queue: String,
    /// `waiting`, `in_flight`, `acked`, `dead`, `expired` or `erased`.
    pub state: &'static str,
    /// When it may be received, or its lease ends, before it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    pub receives: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// As it is at `now`: a lease that is over needs no write to be so.
pub fn message_state(record: &MessageRecord, now: Timestamp) -> &'static str {
    match record.state {
        MessageState::Leased if record.due > now => "in_flight",
        MessageState::Waiting | MessageState::Leased => "waiting",
        MessageState::Acked => "acked",
        MessageState::Dead => "dead",
        MessageState::Expired => "expired",
        MessageState::Erased => "erased",
    }
}

/// Rules shown of one event.
const RULES_SHOWN_MAX: usize = 200;

impl Core {
    pub(crate) async fn explain(&self, id: EventId, viewer: Viewer) -> Result<Explanation, Error> {
        let not_found = || Error::not_found(format!("event {id}"));
        let record = self.store.event(id).await?.ok_or_else(not_found)?;
        if let Viewer::Tenant(own) = viewer
            && record.tenant != Some(own)
        {
            return Err(not_found());
        }
        let trace: Trace = match record.trace.is_empty() {
            true => Trace::default(),
            false => serde_json::from_slice(&record.trace).map_err(Error::internal)?,
        };
        let (status, reason) = match record.status {
            EventStatus::Matched => ("matched", None),
            EventStatus::Unmatched => ("unmatched", None),
            EventStatus::Rejected(reason) => ("rejected", Some(reason)),
        };
        let homes = homes_of(&trace);
        let (mut rules, rules_left_out) = self.explain_rules(&record, &trace, viewer);
        let mut destinations = trace.destinations;
        destinations.retain(|target| sees(viewer, None, target));
        if !destinations.is_empty() {
            rules.insert(0, destinations_as_rule(destinations));
        }
        let mut invocations = Vec::with_capacity(record.invocations.len());
        for invocation in &record.invocations {
            let Some(tenant) = homes.get(invocation).copied().or(record.tenant) else { continue };
            if viewer == Viewer::Operator || viewer == Viewer::Tenant(tenant) {
                invocations.extend(self.explain_invocation(tenant, *invocation).await?);
            }
        }
        let mut deliveries = Vec::new();
        // Webhooks are the operator's.
        for delivery in record.deliveries.iter().filter(|_| viewer == Viewer::Operator) {
            let Some(found) = self.store.delivery(*delivery).await? else { continue };
            deliveries.push(DeliveryExplained {
                id: found.id,
                webhook: found.webhook,
                state: found.state,
                due: (found.state == DeliveryState::Pending).then_some(found.due),
                attempts: found.attempts,
            });
        }
        Ok(Explanation {
            id,
            status,
            reason,
            accepted: id.minted_at(),
            depth: record.depth,
            event: serde_json::from_slice(&record.body).ok(),
            rules,
            rules_left_out,
            invocations,
            deliveries,
            messages: self.explain_messages(&record, viewer).await?,
        })
    }

    /// Queues are the operator's.
    async fn explain_messages(&self, record: &EventRecord, viewer: Viewer) -> Result<Vec<MessageExplained>, Error> {
        let now = self.clock.now();
        let mut messages = Vec::new();
        for id in record.messages.iter().filter(|_| viewer == Viewer::Operator) {
            let Some(found) = self.store.message(*id).await? else { continue };
            let queue = self.directory.queue_by_id(found.queue);
            messages.push(MessageExplained {
                id: found.id,
                queue: queue.map_or_else(|| found.queue.to_string(), |queue| queue.name.to_string()),
                state: message_state(&found, now),
                due: found.ended.is_none().then_some(found.due),
                receives: found.receives,
                ended: found.ended,
            });
        }
        Ok(messages)
    }

    /// What matched, from the trace; what did not, against the rules of today.
    fn explain_rules(&self, record: &EventRecord, trace: &Trace, viewer: Viewer) -> (Vec<RuleExplained>, usize) {
        let is_rejected = matches!(record.status, EventStatus::Rejected(_));
        let accepted = record.id.minted_at();
        let is_result = trace_is_of_result(&record.body);
        let view = EventView::parse(&record.body).ok();
        self.directory.with_rules(|book| {
            let owners = [None, record.tenant].into_iter().filter(|owner| owner.is_some() || record.tenant.is_some());
            let today: HashMap<RuleId, &Arc<Rule>> =
                owners.flat_map(|owner| book.of(owner)).map(|rule| (rule.record.id, rule)).collect();
            let mut shown: Vec<RuleExplained> = Vec::new();
            for matched in &trace.rules {
                let changed_since = today.get(&matched.rule).is_none_or(|rule| rule.record.changed != matched.changed);
                let targets = matched.targets.iter().filter(|target| sees(viewer, matched.owner, target));
                let targets: Vec<TargetExplained> = targets.map(|target| target.shown.clone()).collect();
                if targets.is_empty() && !sees_rule(viewer, matched.owner) {
                    continue;
                }
                let is_open = sees_rule(viewer, matched.owner);
                shown.push(RuleExplained {
                    owner: owner_kind(matched.owner),
                    rule: is_open.then_some(matched.rule),
                    name: is_open.then(|| matched.name.clone()),
                    matched: true,
                    changed_since,
                    targets,
                    reasons: Vec::new(),
                    note: None,
                });
            }
            let mut others: Vec<&Arc<Rule>> = today
                .values()
                .copied()
                .filter(|rule| !is_rejected && sees_rule(viewer, rule.record.owner))
                .filter(|rule| trace.rules.iter().all(|matched| matched.rule != rule.record.id))
                .collect();
            others.sort_by_key(|rule| rule.record.id);
            let room = RULES_SHOWN_MAX.saturating_sub(shown.len());
            let left_out = others.len().saturating_sub(room);
            for rule in others.into_iter().take(room) {
                let reasons = view.as_ref().map(|event| rule.pattern.explain(event).reasons).unwrap_or_default();
                let note = if !rule.record.spec.enabled {
                    Some("the rule is disabled")
                } else if is_result && !rule.sees_results {
                    Some("the pattern's source does not name `sublet`, so it sees no result events")
                } else if reasons.is_empty() {
                    Some("it matches today, and did not when the event came")
                } else {
                    None
                };
                shown.push(RuleExplained {
                    owner: owner_kind(rule.record.owner),
                    rule: Some(rule.record.id),
                    name: Some(rule.record.name.clone()),
                    matched: false,
                    changed_since: rule.record.changed > accepted,
                    targets: Vec::new(),
                    reasons,
                    note,
                });
            }
            (shown, left_out)
        })
    }

    async fn explain_invocation(
        &self,
        tenant: TenantId,
        id: InvocationId,
    ) -> Result<Option<InvocationExplained>, Error> {
        let Some(record) = self.store.invocation(tenant, id).await? else { return Ok(None) };
        let function = self.directory.function_by_id(tenant, record.function).await?;
        let mut attempts = Vec::new();
        let mut free_since = id.minted_at();
        for attempt in self.store.attempts(tenant, id).await? {
            let end = attempt.end;
            attempts.push(AttemptExplained {
                number: attempt.number,
                version: end.version,
                outcome: end.outcome,
                started: end.started,
                ended: end.ended,
                waited_ms: end.started.since(free_since),
                usage: end.usage,
                failure: end.failure.and_then(|text| serde_json::from_slice(&text).ok()),
                fetches: end.fetches.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(),
            });
            free_since = end.ended;
        }
        Ok(Some(InvocationExplained {
            id,
            function: function.map_or_else(|| record.function.to_string(), |found| found.name.to_string()),
            state: record.state,
            reason: record.reason,
            due: record.state.is_waiting().then_some(record.due),
            ended: record.ended,
            attempts,
        }))
    }
}

/// Whose queue each invocation went to; an operator's rule may name another tenant's function.
fn homes_of(trace: &Trace) -> HashMap<InvocationId, TenantId> {
    let targets = trace.rules.iter().flat_map(|rule| &rule.targets);
    targets
        .filter_map(|target| match (&target.shown.led_to, target.tenant) {
            (LedTo::Invocation(id), Some(tenant)) => Some((*id, tenant)),
            _ => None,
        })
        .collect()
}

fn owner_kind(owner: Option<TenantId>) -> RuleOwner {
    if owner.is_some() { RuleOwner::Tenant } else { RuleOwner::Operator }
}

fn sees_rule(viewer: Viewer, owner: Option<TenantId>) -> bool {
    match viewer {
        Viewer::Operator => true,
        Viewer::Tenant(own) => owner == Some(own),
    }
}

/// A tenant sees of the operator's rules what they led to in its own queue.
fn sees(viewer: Viewer, owner: Option<TenantId>, target: &TraceTarget) -> bool {
    match viewer {
        Viewer::Operator => true,
        Viewer::Tenant(own) => owner == Some(own) || target.tenant == Some(own),
    }
}

fn destinations_as_rule(targets: Vec<TraceTarget>) -> RuleExplained {
    RuleExplained {
        owner: RuleOwner::Tenant,
        rule: None,
        name: None,
        matched: true,
        changed_since: false,
        targets: targets.into_iter().map(|target| target.shown).collect(),
        reasons: Vec::new(),
        note: Some("the function's own destination"),
    }
}

fn trace_is_of_result(body: &[u8]) -> bool {
    serde_json::from_slice::<Envelope>(body).is_ok_and(|envelope| envelope.source == SOURCE_SUBLET)
}
