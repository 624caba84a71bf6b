//! From the rules that matched to invocations in tenants' queues and deliveries to webhooks, with a trace of what each
//! target became.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublet_model::{DeliveryId, Error, EventId, InvocationId, Name, RuleId, Target, TenantId, Timestamp};
use sublet_store::{EventStatus, FunctionRecord, NewDelivery, NewEvent, NewInvocation, TenantRecord};

use crate::core::Core;
use crate::directory::Rule;
use crate::explain::{LedTo, TargetExplained};

pub(crate) const NO_FUNCTION: &str = "no_function";
pub(crate) const NO_WEBHOOK: &str = "no_webhook";

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

/// What one event leads to.
#[derive(Debug, Default)]
pub(crate) struct Dispatched {
    pub(crate) trace: Trace,
    pub(crate) invocations: Vec<NewInvocation>,
    pub(crate) deliveries: Vec<NewDelivery>,
}

impl Dispatched {
    /// Makes the event lead to this.
    pub(crate) fn put_into(self, event: &mut NewEvent) -> Result<(), Error> {
        let leads_somewhere = !self.invocations.is_empty() || !self.deliveries.is_empty();
        event.status = if leads_somewhere { EventStatus::Matched } else { EventStatus::Unmatched };
        if !self.trace.rules.is_empty() || !self.trace.destinations.is_empty() {
            event.trace = serde_json::to_vec(&self.trace).map_err(Error::internal)?.into();
        }
        event.invocations = self.invocations;
        event.deliveries = self.deliveries;
        Ok(())
    }
}

impl Core {
    pub(crate) async fn dispatch(
        &self,
        event: EventId,
        tenant: &TenantRecord,
        matched: &[Arc<Rule>],
        now: Timestamp,
    ) -> Result<Dispatched, Error> {
        let mut dispatched = Dispatched::default();
        for rule in matched {
            let record = &rule.record;
            let mut targets = Vec::with_capacity(record.spec.targets.len());
            for spec in &record.spec.targets {
                let shown = match &spec.target {
                    Target::Tenant(function) => {
                        let found = self.startable(tenant.id, function).await?;
                        let led_to = enqueue(self, &mut dispatched, found, event, spec.retry.clone(), now);
                        TraceTarget {
                            tenant: Some(tenant.id),
                            shown: TargetExplained { target: format!("tenant {function}"), led_to },
                        }
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
                        let led_to = enqueue(self, &mut dispatched, found, event, spec.retry.clone(), now);
                        let target = match &function.tenant {
                            Some(name) => format!("function {name}/{}", function.name),
                            None => format!("function {}", function.name),
                        };
                        TraceTarget { tenant: owner, shown: TargetExplained { target, led_to } }
                    }
                    Target::Webhook(webhook) => self.deliver_to(&mut dispatched, webhook, event, tenant.id, now),
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
        event: EventId,
        tenant: TenantId,
        now: Timestamp,
    ) -> TraceTarget {
        let led_to = match self.directory.webhook(webhook) {
            Some(_) => {
                let id = DeliveryId::from_raw(self.chance.id(now));
                let webhook = webhook.clone();
                dispatched.deliveries.push(NewDelivery { id, webhook, event, tenant: Some(tenant), due: now });
                LedTo::Delivery(id)
            }
            None => LedTo::Unmatched(NO_WEBHOOK.to_owned()),
        };
        TraceTarget { tenant: None, shown: TargetExplained { target: format!("webhook {webhook}"), led_to } }
    }

    /// The function of this name, if it has a live version.
    async fn startable(&self, tenant: TenantId, name: &Name) -> Result<Option<Arc<FunctionRecord>>, Error> {
        Ok(self.directory.function(tenant, name).await?.filter(|function| function.live.is_some()))
    }
}

fn enqueue(
    core: &Core,
    dispatched: &mut Dispatched,
    function: Option<Arc<FunctionRecord>>,
    event: EventId,
    retry: Option<sublet_model::RetryPolicy>,
    now: Timestamp,
) -> LedTo {
    let Some(record) = function else { return LedTo::Unmatched(NO_FUNCTION.to_owned()) };
    let id = InvocationId::from_raw(core.chance.id(now));
    dispatched.invocations.push(NewInvocation {
        id,
        tenant: record.tenant,
        function: record.id,
        event: Some(event),
        due: now,
        retry,
    });
    LedTo::Invocation(id)
}
