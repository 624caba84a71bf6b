//! Accepting events. A call is decided first, entry by entry, and written only when every entry can be.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::limit::IDENTITY_WINDOW;
use sublet_model::{Error, EventId, TenantId, Timestamp};

use super::{MemoryStore, State, Verb, listing};
use crate::bus::{Bus, EventRecord, EventStatus, NewEvent, Published};
use crate::page::{Listing, Page};

/// The event that an identity stands for.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) first: EventId,
    body: [u8; 8],
    status: EventStatus,
    at: Timestamp,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) events: BTreeMap<EventId, EventRecord>,
    pub(super) identities: BTreeMap<[u8; 16], Known>,
}

impl State {
    /// What each entry will be answered, with the entries before it in the call taken into account.
    fn decide_publish(&self, events: &[NewEvent], now: Timestamp) -> Result<Vec<Published>, Error> {
        let window_ms = u64::try_from(IDENTITY_WINDOW.as_millis()).unwrap_or(u64::MAX);
        let mut seen: BTreeMap<[u8; 16], Known> = BTreeMap::new();
        let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            if let Some(line) = event.consumes {
                if !self.queue.outbox.contains_key(&line) || !taken.insert(line) {
                    answers.push(Published::Consumed);
                    continue;
                }
            } else if let Some(identity) = event.identity
                && let Some(known) = seen.get(&identity.key).or_else(|| self.bus.identities.get(&identity.key))
                && now.since(known.at) < window_ms
            {
                let first = known.first;
                answers.push(if known.body == identity.body {
                    Published::Repeated { first, status: known.status }
                } else {
                    Published::Conflict { first }
                });
                continue;
            }
            let used = self.bus.events.contains_key(&event.id)
                || event.invocations.iter().any(|i| self.queue.invocations.contains_key(&(i.tenant, i.id)))
                || event.deliveries.iter().any(|d| self.deliveries.records.contains_key(&d.id))
                || event.messages.iter().any(|m| self.messages.is_used(m.id));
            if used || !ids.insert(event.id) {
                return Err(Error::conflict(format!("the id of event {} or of what it led to is in use", event.id)));
            }
            if let Some(identity) = event.identity {
                seen.insert(identity.key, Known::of(event, identity.body, now));
            }
            answers.push(Published::Accepted);
        }
        Ok(answers)
    }

    fn publish(&mut self, events: Vec<NewEvent>, now: Timestamp) -> Result<Vec<Published>, Error> {
        let answers = self.decide_publish(&events, now)?;
        let (mut waiting, mut pending, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for (event, answer) in events.into_iter().zip(&answers) {
            if *answer != Published::Accepted {
                continue;
            }
            if let Some(line) = event.consumes {
                self.queue.outbox.remove(&line);
            }
            if let Some(identity) = event.identity {
                self.bus.identities.insert(identity.key, Known::of(&event, identity.body, now));
            }
            let record = EventRecord {
                id: event.id,
                tenant: event.tenant,
                depth: event.depth,
                status: event.status,
                trace: event.trace,
                trace_context: event.trace_context,
                body: event.body,
                invocations: event.invocations.iter().map(|invocation| invocation.id).collect(),
                deliveries: event.deliveries.iter().map(|delivery| delivery.id).collect(),
                messages: event.messages.iter().map(|message| message.id).collect(),
            };
            self.bus.events.insert(record.id, record);
            for invocation in event.invocations {
                waiting.extend(self.queue.enqueue(event.id, event.depth, invocation));
            }
            pending.extend(event.deliveries.into_iter().map(|delivery| self.deliveries.enqueue(delivery)));
            messages.extend(event.messages.into_iter().filter_map(|message| self.messages.put(message, None)));
        }
        self.queue.announce(waiting);
        self.deliveries.announce(pending);
        self.messages.announce(messages);
        Ok(answers)
    }
}

impl Known {
    fn of(event: &NewEvent, body: [u8; 8], at: Timestamp) -> Known {
        Known { first: event.id, body, status: event.status, at }
    }
}

#[async_trait]
impl Bus for MemoryStore {
    async fn publish(&self, events: Vec<NewEvent>, now: Timestamp) -> Result<Vec<Published>, Error> {
        self.write(Verb::Publish, |state| state.publish(events, now)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, Error> {
        Ok(self.read(|state| state.bus.events.get(&id).cloned()))
    }

    async fn event_body(&self, id: EventId) -> Result<Option<Bytes>, Error> {
        let body = self.read(|state| state.bus.events.get(&id).map(|event| event.body.clone()));
        Ok(body.filter(|body| !body.is_empty()))
    }

    async fn event_by_identity(&self, key: [u8; 16]) -> Result<Option<EventRecord>, Error> {
        Ok(self.read(|state| {
            let known = state.bus.identities.get(&key)?;
            state.bus.events.get(&known.first).cloned()
        }))
    }

    async fn events(&self, tenant: Option<TenantId>, page: Page) -> Result<Listing<EventRecord>, Error> {
        self.read(|state| {
            let wanted = |event: &EventRecord| tenant.is_none() || event.tenant == tenant;
            let rows = state.bus.events.iter().filter(|(_, event)| wanted(event));
            listing::newest_first(rows.map(|(id, event)| (*id, event)), &page)
        })
    }
}
