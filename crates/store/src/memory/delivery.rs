//! Deliveries: pending until settled.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{DeliveryId, Error, EventId, Name, QueueId};
use tokio::sync::mpsc;

use super::{MemoryStore, State, Verb, listing};
use crate::bus::Bus;
use crate::delivery::{
    Deliveries, DeliveryAttempt, DeliveryNext, DeliveryRecord, DeliveryState, NewDelivery, PendingDelivery,
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
            attempts: Vec::new(),
        };
        if let Some(input) = new.input {
            self.inputs.insert(new.id, input);
        }
        let pending = pending_of(&record);
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
        let record = self.records.get_mut(&id).ok_or_else(|| Error::not_found(format!("delivery {id}")))?;
        if record.state != DeliveryState::Pending {
            return Err(Error::conflict(format!("delivery {id} is not pending")));
        }
        record.attempts.push(attempt);
        match next {
            DeliveryNext::Delivered => record.state = DeliveryState::Delivered,
            DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } => record.state = DeliveryState::Failed,
            DeliveryNext::Retry { due } => {
                record.due = due;
                let pending = pending_of(record);
                self.announce(vec![pending]);
            }
        }
        Ok(())
    }
}

impl State {
    fn put_given_up(&mut self, id: DeliveryId, next: DeliveryNext) {
        let DeliveryNext::DeadLetter { message } = next else { return };
        let Some(queue) = self.deliveries.dead_letters.get(&id).copied() else { return };
        let Some(record) = self.deliveries.records.get(&id) else { return };
        let due = record.attempts.last().map_or(record.due, |attempt| attempt.at);
        let (event, tenant) = (record.event, record.tenant);
        let new = NewMessage { id: message, queue, event, tenant, due, input: None };
        self.put_dead_letter(new, MessageOrigin::Delivery { id });
    }
}

fn pending_of(record: &DeliveryRecord) -> PendingDelivery {
    PendingDelivery {
        id: record.id,
        webhook: record.webhook.clone(),
        event: record.event,
        attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
        due: record.due,
    }
}

#[async_trait]
impl Deliveries for MemoryStore {
    async fn delivery_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingDelivery>>, Error> {
        let mut state = self.state();
        let rows = &mut state.deliveries;
        let mut backlog: Vec<PendingDelivery> =
            rows.records.values().filter(|record| record.state == DeliveryState::Pending).map(pending_of).collect();
        backlog.sort_by_key(|pending| (pending.due, pending.id));
        let (sender, receiver) = mpsc::unbounded_channel();
        rows.receiver = Some(sender);
        rows.announce(backlog);
        Ok(receiver)
    }

    async fn settle_delivery(&self, id: DeliveryId, attempt: DeliveryAttempt, next: DeliveryNext) -> Result<(), Error> {
        let settle = |state: &mut State| {
            state.deliveries.settle(id, attempt, next)?;
            state.put_given_up(id, next);
            Ok(())
        };
        self.write(Verb::SettleDelivery, settle).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error> {
        Ok(self.read(|state| state.deliveries.records.get(&id).cloned()))
    }

    async fn deliveries(
        &self,
        webhook: Option<&Name>,
        wanted: Option<DeliveryState>,
        page: Page,
    ) -> Result<Listing<DeliveryRecord>, Error> {
        self.read(|state| {
            let rows = state.deliveries.records.iter().filter(|(_, record)| {
                webhook.is_none_or(|name| record.webhook == *name) && wanted.is_none_or(|state| record.state == state)
            });
            listing::newest_first(rows.map(|(id, record)| (*id, record)), &page)
        })
    }

    async fn delivery_body(&self, delivery: DeliveryId, event: EventId) -> Result<Option<Bytes>, Error> {
        let input = self.read(|state| state.deliveries.inputs.get(&delivery).cloned());
        match input {
            Some(input) => Ok(Some(input)),
            None => self.event_body(event).await,
        }
    }
}
