//! Deleting a tenant: one commit over every part.

use std::collections::BTreeSet;

use bytes::Bytes;
use sublet_model::{EndReason, Error, InvocationState, Name, Timestamp};

use super::State;
use crate::delivery::DeliveryState;
use crate::key::KeyScope;

impl State {
    pub(super) fn delete_tenant(&mut self, name: &Name, now: Timestamp) -> Result<(), Error> {
        let not_found = || Error::not_found(format!("tenant {name}"));
        let tenant = self.registry.tenant_names.remove(name).ok_or_else(not_found)?;

        let registry = &mut self.registry;
        registry.tenants.remove(&tenant);
        registry.functions.retain(|(owner, _), _| *owner != tenant);
        registry.function_names.retain(|(owner, _), _| *owner != tenant);
        registry.rules.retain(|(owner, _), _| *owner != Some(tenant));

        self.secrets.forget_tenant(tenant);
        self.rollouts.forget_tenant(tenant);
        self.keys.rows.retain(|_, key| key.scope != KeyScope::Tenant(tenant));

        let queue = &mut self.queue;
        for invocation in queue.of_tenant_mut(tenant).filter(|invocation| !invocation.record.state.is_final()) {
            invocation.end(InvocationState::Cancelled, Some(EndReason::TenantDeleted), now);
        }
        queue.running.retain(|(owner, _)| *owner != tenant);
        for attempt in queue.attempts.values_mut().filter(|attempt| attempt.tenant == tenant) {
            attempt.end.result = None;
            attempt.end.failure = None;
            attempt.end.log = Bytes::new();
            attempt.end.fetches = None;
        }
        queue.outbox.retain(|_, line| line.invocation.tenant != tenant);

        let bus = &mut self.bus;
        let mut erased = BTreeSet::new();
        for event in bus.events.values_mut().filter(|event| event.tenant == Some(tenant)) {
            event.body = Bytes::new();
            erased.insert(event.id);
            for delivery in &event.deliveries {
                self.deliveries.inputs.remove(delivery);
            }
        }
        // Wherever they went: an operator's rule may have carried them to another tenant's function.
        for invocation in self.queue.invocations.values_mut() {
            if invocation.record.event.is_some_and(|event| erased.contains(&event)) {
                invocation.input = None;
            }
        }
        let events = &bus.events;
        bus.identities.retain(|_, known| events.get(&known.first).is_some_and(|event| event.tenant != Some(tenant)));

        self.messages.erase_tenant(tenant, now);
        for delivery in self.deliveries.records.values_mut() {
            if delivery.tenant == Some(tenant) && delivery.state == DeliveryState::Pending {
                delivery.state = DeliveryState::Failed;
            }
        }
        Ok(())
    }
}
