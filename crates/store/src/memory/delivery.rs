//! Deliveries: pending until settled.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{DeliveryId, Error, EventId, Name, QueueId, Timestamp};
use tokio::sync::mpsc;

use super::{MemoryStore, State, Verb, listing};
use crate::bus::Bus;
use crate::delivery::{
    Deliveries, DeliveryAttempt, DeliveryBalance, DeliveryCounts, DeliveryFilter, DeliveryNext, DeliveryRecord,
    DeliveryState, NewDelivery, PendingDelivery,
};
use crate::message::{MessageOrigin, NewMessage};
use crate::page::{Listing, Page};

#[derive(Default)]
pub(super) struct Rows {
    pub(super) records: BTreeMap<DeliveryId, DeliveryRecord>,
    /// Of those whose target has a transformer.
    pub(super) inputs: BTreeMap<DeliveryId, Bytes>,
    /// Of those that name one, the queue they are put into when given up.
    dead_letters: BTreeMap<DeliveryId, QueueId>,
    /// Tries of the pending ones since they were accepted or last replayed; 0 where there is none.
    tries: BTreeMap<DeliveryId, u32>,
    receiver: Option<mpsc::UnboundedSender<Vec<PendingDelivery>>>,
}

impl Rows {
    pub(super) fn forget_receiver(&mut self) {
        self.receiver = None;
    }

    pub(super) fn enqueue(&mut self, new: NewDelivery) -> PendingDelivery {
        if let Some(queue) = new.dead_letter {
            self.dead_letters.insert(new.id, queue);
        }
        let record = DeliveryRecord {
            id: new.id,
            webhook: new.webhook,
            event: new.event,
            tenant: new.tenant,
            state: DeliveryState::Pending,
            due: new.due,
            replays: 0,
            attempts: Vec::new(),
        };
        if let Some(input) = new.input {
            self.inputs.insert(new.id, input);
        }
        let pending = pending_of(&record, 0);
        self.records.insert(record.id, record);
        pending
    }

    /// Tells the receiver, if there is one; a receiver that was dropped is none.
    pub(super) fn announce(&mut self, pending: Vec<PendingDelivery>) {
        if let Some(receiver) = &self.receiver
            && !pending.is_empty()
            && receiver.send(pending).is_err()
        {
            self.receiver = None;
        }
    }

    fn settle(&mut self, id: DeliveryId, attempt: DeliveryAttempt, next: DeliveryNext) -> Result<(), Error> {
        let record = self.records.get_mut(&id).ok_or_else(|| not_found(id))?;
        if record.state != DeliveryState::Pending {
            return Err(Error::conflict(format!("delivery {id} is not pending")));
        }
        record.add(attempt);
        let tries = self.tries.remove(&id).unwrap_or(0) + 1;
        match next {
            DeliveryNext::Delivered => record.state = DeliveryState::Delivered,
            DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } | DeliveryNext::Dropped { .. } => {
                record.state = DeliveryState::Failed;
            }
            DeliveryNext::Retry { due } => {
                record.due = due;
                self.tries.insert(id, tries);
                let pending = pending_of(record, tries);
                self.announce(vec![pending]);
            }
        }
        Ok(())
    }

    fn replay(&mut self, id: DeliveryId, now: Timestamp) -> Result<DeliveryRecord, Error> {
        let record = self.records.get_mut(&id).ok_or_else(|| not_found(id))?;
        record.state = DeliveryState::Pending;
        record.due = now;
        record.replays += 1;
        self.tries.remove(&id);
        let replayed = record.clone();
        self.announce(vec![pending_of(&replayed, 0)]);
        Ok(replayed)
    }

    fn counts(&self, webhook: Option<&Name>) -> DeliveryCounts {
        let mut counts = DeliveryCounts::default();
        for record in self.records.values().filter(|record| webhook.is_none_or(|name| record.webhook == *name)) {
            match record.state {
                DeliveryState::Pending => counts.pending += 1,
                DeliveryState::Delivered => counts.delivered += 1,
                DeliveryState::Failed => counts.failed += 1,
            }
        }
        counts
    }
}

impl State {
    fn put_given_up(&mut self, id: DeliveryId, next: DeliveryNext) {
        let (DeliveryNext::DeadLetter { message } | DeliveryNext::Dropped { message }) = next else { return };
        let Some(queue) = self.deliveries.dead_letters.get(&id).copied() else { return };
        let Some(record) = self.deliveries.records.get(&id) else { return };
        let due = record.attempts.last().map_or(record.due, |attempt| attempt.at);
        let (event, tenant) = (record.event, record.tenant);
        let new = NewMessage { id: message, queue, event, tenant, due, input: None };
        self.put_dead_letter(new, MessageOrigin::Delivery { id });
    }

    fn settle_delivery(
        &mut self,
        id: DeliveryId,
        attempt: DeliveryAttempt,
        next: DeliveryNext,
    ) -> Result<Option<Timestamp>, Error> {
        let at = attempt.at;
        self.deliveries.settle(id, attempt, next)?;
        self.put_given_up(id, next);
        let named = self.deliveries.records.get(&id).map(|record| &record.webhook);
        let Some(webhook) = named.and_then(|name| self.registry.webhooks.get_mut(name)) else { return Ok(None) };
        match next {
            DeliveryNext::Delivered => webhook.failing_since = None,
            DeliveryNext::Retry { .. } | DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } => {
                webhook.failing_since.get_or_insert(at);
            }
            DeliveryNext::Dropped { .. } => {}
        }
        Ok(webhook.failing_since)
    }

    fn replay_failed(&mut self, webhook: &Name, since: Timestamp, now: Timestamp) -> Result<u64, Error> {
        let failed: Vec<DeliveryId> = self
            .deliveries
            .records
            .values()
            .filter(|record| record.webhook == *webhook && record.state == DeliveryState::Failed)
            .filter(|record| record.id.minted_at() >= since)
            .map(|record| record.id)
            .collect();
        for id in &failed {
            self.deliveries.replay(*id, now)?;
        }
        Ok(failed.len() as u64)
    }
}

fn not_found(id: DeliveryId) -> Error {
    Error::not_found(format!("delivery {id}"))
}

fn pending_of(record: &DeliveryRecord, attempts: u32) -> PendingDelivery {
    PendingDelivery { id: record.id, webhook: record.webhook.clone(), event: record.event, attempts, due: record.due }
}

#[async_trait]
impl Deliveries for MemoryStore {
    async fn delivery_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingDelivery>>, Error> {
        let mut state = self.state();
        let rows = &mut state.deliveries;
        let mut backlog: Vec<PendingDelivery> = rows
            .records
            .values()
            .filter(|record| record.state == DeliveryState::Pending)
            .map(|record| pending_of(record, rows.tries.get(&record.id).copied().unwrap_or(0)))
            .collect();
        backlog.sort_by_key(|pending| (pending.due, pending.id));
        let (sender, receiver) = mpsc::unbounded_channel();
        rows.receiver = Some(sender);
        rows.announce(backlog);
        Ok(receiver)
    }

    async fn settle_delivery(
        &self,
        id: DeliveryId,
        attempt: DeliveryAttempt,
        next: DeliveryNext,
    ) -> Result<Option<Timestamp>, Error> {
        self.write(Verb::SettleDelivery, |state| state.settle_delivery(id, attempt, next)).await
    }

    async fn replay_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<DeliveryRecord, Error> {
        self.write(Verb::ReplayDelivery, |state| state.deliveries.replay(id, now)).await
    }

    async fn replay_failed(&self, webhook: &Name, since: Timestamp, now: Timestamp) -> Result<u64, Error> {
        self.write(Verb::ReplayDelivery, |state| state.replay_failed(webhook, since, now)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error> {
        Ok(self.read(|state| state.deliveries.records.get(&id).cloned()))
    }

    async fn deliveries(&self, filter: DeliveryFilter, page: Page) -> Result<Listing<DeliveryRecord>, Error> {
        self.read(|state| {
            let rows = state.deliveries.records.iter().filter(|(_, record)| {
                filter.webhook.as_ref().is_none_or(|name| record.webhook == *name)
                    && filter.state.is_none_or(|state| record.state == state)
                    && filter.tenant.is_none_or(|tenant| record.tenant == Some(tenant))
            });
            listing::newest_first(rows.map(|(id, record)| (*id, record)), &page)
        })
    }

    async fn delivery_counts(&self, webhook: Option<&Name>) -> Result<DeliveryCounts, Error> {
        Ok(self.read(|state| state.deliveries.counts(webhook)))
    }

    async fn delivery_balance(&self) -> Result<DeliveryBalance, Error> {
        Ok(self.read(|state| DeliveryBalance {
            accepted: state.bus.events.values().map(|event| event.deliveries.len() as u64).sum(),
            counts: state.deliveries.counts(None),
        }))
    }

    async fn delivery_body(&self, delivery: DeliveryId, event: EventId) -> Result<Option<Bytes>, Error> {
        let input = self.read(|state| state.deliveries.inputs.get(&delivery).cloned());
        match input {
            Some(input) => Ok(Some(input)),
            None => self.event_body(event).await,
        }
    }
}
