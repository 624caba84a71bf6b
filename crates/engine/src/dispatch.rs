//! From the rules that matched to invocations in tenants' queues and deliveries to webhooks, with a trace of what each
//! target became.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sublet_model::event::{ENVELOPE_ACCOUNT, ENVELOPE_REGION};
use sublet_model::transformer::{InputUnfit, RuleContext};
use sublet_model::{
    DeliveryId, Error, EventId, InvocationId, MessageId, Name, QueueId, RetryPolicy, RuleId, Target, TenantId,
    Timestamp, Transform,
};
use sublet_store::{EventStatus, FunctionRecord, NewDelivery, NewEvent, NewInvocation, NewMessage, TenantRecord};

use crate::core::Core;
use crate::directory::Rule;
use crate::explain::{LedTo, TargetExplained};

pub(crate) const NO_FUNCTION: &str = "no_function";
pub(crate) const NO_WEBHOOK: &str = "no_webhook";
pub(crate) const NO_QUEUE: &str = "no_queue";
/// The queue holds its most messages.
pub(crate) const QUEUE_FULL: &str = "queue_full";

/// What is kept with the event for explanations.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) rules: Vec<TraceRule>,
    /// Of a result event: the function's own destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) destinations: Vec<TraceTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TraceRule {
    pub(crate) rule: RuleId,
    pub(crate) owner: Option<TenantId>,
    pub(crate) name: Name,
    /// When the rule had last been changed.
    pub(crate) changed: Timestamp,
    pub(crate) targets: Vec<TraceTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TraceTarget {
    /// Whose queue it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<TenantId>,
    #[serde(flatten)]
    pub(crate) shown: TargetExplained,
}

/// What is dispatched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matter<'a> {
    pub(crate) event: EventId,
    /// The envelope's JSON text.
    pub(crate) body: &'a Bytes,
}

/// What one target is to get, and when.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) event: EventId,
    pub(crate) input: Result<Option<Bytes>, InputUnfit>,
    pub(crate) retry: Option<RetryPolicy>,
    /// The queue that the target's dead letters are put into besides.
    pub(crate) dead_letter: Option<QueueId>,
    pub(crate) now: Timestamp,
}

impl Order {
    /// The event as it is, without policies.
    pub(crate) fn plain(event: EventId, now: Timestamp) -> Order {
        Order { event, input: Ok(None), retry: None, dead_letter: None, now }
    }

    fn traced(&self, tenant: Option<TenantId>, target: String, led_to: LedTo) -> TraceTarget {
        let transformed = matches!(self.input, Ok(Some(_)));
        TraceTarget { tenant, shown: TargetExplained { target, transformed, led_to } }
    }
}

/// What one event leads to.
#[derive(Debug, Default)]
pub(crate) struct Dispatched {
    pub(crate) trace: Trace,
    pub(crate) invocations: Vec<NewInvocation>,
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) messages: Vec<NewMessage>,
    /// A queue had no room for its message.
    pub(crate) full: Option<Name>,
}

impl Dispatched {
    /// Makes the event lead to this.
    pub(crate) fn put_into(self, event: &mut NewEvent) -> Result<(), Error> {
        let leads_somewhere = !self.invocations.is_empty() || !self.deliveries.is_empty() || !self.messages.is_empty();
        event.status = if leads_somewhere { EventStatus::Matched } else { EventStatus::Unmatched };
        if !self.trace.rules.is_empty() || !self.trace.destinations.is_empty() {
            event.trace = serde_json::to_vec(&self.trace).map_err(Error::internal)?.into();
        }
        event.invocations = self.invocations;
        event.deliveries = self.deliveries;
        event.messages = self.messages;
        Ok(())
    }
}

impl Core {
    pub(crate) async fn dispatch(
        &self,
        matter: Matter<'_>,
        tenant: &TenantRecord,
        matched: &[Arc<Rule>],
        now: Timestamp,
    ) -> Result<Dispatched, Error> {
        let mut dispatched = Dispatched::default();
        for rule in matched {
            let record = &rule.record;
            let mut targets = Vec::with_capacity(record.spec.targets.len());
            for (spec, transform) in record.spec.targets.iter().zip(&rule.transforms) {
                let order = Order {
                    event: matter.event,
                    input: input_of(transform.as_ref(), matter, rule, tenant),
                    retry: spec.retry.clone(),
                    dead_letter: self.directory.dead_letter_queue(spec.dead_letter.as_ref()),
                    now,
                };
                let shown = match &spec.target {
                    Target::Tenant(function) => {
                        let found = self.startable(tenant.id, function).await?;
                        let target = format!("tenant {function}");
                        self.enqueue(&mut dispatched, found, Some(tenant.id), target, &order)
                    }
                    Target::Function(function) => {
                        let owner = match (&function.tenant, record.owner) {
                            (Some(name), None) => self.directory.tenant(name.as_str()).await?.map(|found| found.id),
                            (_, owner) => owner,
                        };
                        let found = match owner {
                            Some(id) => self.startable(id, &function.name).await?,
                            None => None,
                        };
                        let target = match &function.tenant {
                            Some(name) => format!("function {name}/{}", function.name),
                            None => format!("function {}", function.name),
                        };
                        self.enqueue(&mut dispatched, found, owner, target, &order)
                    }
                    Target::Webhook(webhook) => self.deliver_to(&mut dispatched, webhook, &order, tenant.id),
                    Target::Queue(queue) => self.put_into(&mut dispatched, queue, &order, tenant.id),
                };
                targets.push(shown);
            }
            dispatched.trace.rules.push(TraceRule {
                rule: record.id,
                owner: record.owner,
                name: record.name.clone(),
                changed: record.changed,
                targets,
            });
        }
        Ok(dispatched)
    }

    /// One delivery of the event to a webhook.
    pub(crate) fn deliver_to(
        &self,
        dispatched: &mut Dispatched,
        webhook: &Name,
        order: &Order,
        tenant: TenantId,
    ) -> TraceTarget {
        let led_to = match (self.directory.webhook(webhook), &order.input) {
            (Some(_), Ok(input)) => {
                let id = DeliveryId::from_raw(self.chance.id(order.now));
                dispatched.deliveries.push(NewDelivery {
                    id,
                    webhook: webhook.clone(),
                    event: order.event,
                    tenant: Some(tenant),
                    due: order.now,
                    input: input.clone(),
                    dead_letter: order.dead_letter,
                });
                LedTo::Delivery(id)
            }
            (None, _) => LedTo::Unmatched(NO_WEBHOOK.to_owned()),
            (Some(_), Err(unfit)) => LedTo::Unmatched(unfit.as_str().to_owned()),
        };
        order.traced(None, format!("webhook {webhook}"), led_to)
    }

    /// One invocation of a function, in its tenant's queue.
    pub(crate) fn enqueue(
        &self,
        dispatched: &mut Dispatched,
        function: Option<Arc<FunctionRecord>>,
        owner: Option<TenantId>,
        target: String,
        order: &Order,
    ) -> TraceTarget {
        let led_to = match (function, &order.input) {
            (Some(record), Ok(input)) => {
                let id = InvocationId::from_raw(self.chance.id(order.now));
                dispatched.invocations.push(NewInvocation {
                    id,
                    tenant: record.tenant,
                    function: record.id,
                    event: Some(order.event),
                    due: order.now,
                    retry: order.retry.clone(),
                    input: input.clone(),
                    // Target, then function.
                    dead_letter: order
                        .dead_letter
                        .or_else(|| self.directory.dead_letter_queue(record.config.dead_letter.as_ref())),
                });
                LedTo::Invocation(id)
            }
            (None, _) => LedTo::Unmatched(NO_FUNCTION.to_owned()),
            (Some(_), Err(unfit)) => LedTo::Unmatched(unfit.as_str().to_owned()),
        };
        order.traced(owner, target, led_to)
    }

    /// One message with the event in a named queue.
    pub(crate) fn put_into(
        &self,
        dispatched: &mut Dispatched,
        name: &Name,
        order: &Order,
        tenant: TenantId,
    ) -> TraceTarget {
        let led_to = match (self.directory.queue(name), &order.input) {
            (Some(queue), Ok(input)) if self.named_queues.reader(queue.id).has_room(queue.spec.depth) => {
                let id = MessageId::from_raw(self.chance.id(order.now));
                dispatched.messages.push(NewMessage {
                    id,
                    queue: queue.id,
                    event: order.event,
                    tenant: Some(tenant),
                    due: order.now,
                    input: input.clone(),
                });
                LedTo::Message(id)
            }
            (Some(_), Err(unfit)) => LedTo::Unmatched(unfit.as_str().to_owned()),
            (Some(_), Ok(_)) => {
                metrics::counter!("sublet_messages_refused_total").increment(1);
                dispatched.full = Some(name.clone());
                LedTo::Unmatched(QUEUE_FULL.to_owned())
            }
            (None, _) => LedTo::Unmatched(NO_QUEUE.to_owned()),
        };
        order.traced(None, format!("queue {name}"), led_to)
    }

    /// The function of this name, if it has a live version.
    pub(crate) async fn startable(&self, tenant: TenantId, name: &Name) -> Result<Option<Arc<FunctionRecord>>, Error> {
        Ok(self.directory.function(tenant, name).await?.filter(|function| function.live.is_some()))
    }
}

/// What one target's transformer makes of the event; `None`: it has none, or leaves the event as it is.
fn input_of(
    transform: Option<&Transform>,
    matter: Matter<'_>,
    rule: &Rule,
    tenant: &TenantRecord,
) -> Result<Option<Bytes>, InputUnfit> {
    let Some(transform) = transform else { return Ok(None) };
    let name = &rule.record.name;
    // In the form of EventBridge's own, with the envelope's region and account; a tenant's rule with its tenant.
    let place = format!("arn:aws:events:{ENVELOPE_REGION}:{ENVELOPE_ACCOUNT}:rule");
    let rule_arn = match rule.record.owner {
        Some(_) => format!("{place}/{}/{name}", tenant.name),
        None => format!("{place}/{name}"),
    };
    let context = RuleContext { rule: name.as_str(), rule_arn: &rule_arn, received: matter.event.minted_at() };
    // An envelope was made by the server and is text; were it none, every path would lead to nothing.
    transform.apply(std::str::from_utf8(matter.body).unwrap_or_default(), &context)
}
