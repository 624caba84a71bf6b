//! Named queues and their messages. A queue's counters stand beside its record, and the rest is counted from rows.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{Error, EventId, MessageId, MessageLease, Name, QueueId, QueueSpec, TenantId, Timestamp};
use tokio::sync::mpsc;

use super::{MemoryStore, State, Verb, listing};
use crate::message::{
    Bury, MessageOrigin, MessageRecord, MessageSelection, MessageState, Messages, NewMessage, PendingMessage,
    QueueBalance, QueueRecord, Receive,
};
use crate::page::{Listing, Page};

/// A message, ended ones included. What it carries is the event's envelope unless `input` is there.
#[derive(Clone)]
pub(super) struct Message {
    record: MessageRecord,
    input: Option<Bytes>,
}

struct NamedQueue {
    record: QueueRecord,
    put: u64,
    acked: u64,
    expired: u64,
    erased: u64,
}

#[derive(Default)]
pub(super) struct Rows {
    queues: BTreeMap<QueueId, NamedQueue>,
    messages: BTreeMap<MessageId, Message>,
    receiver: Option<mpsc::UnboundedSender<Vec<PendingMessage>>>,
}

fn is_pending(state: MessageState) -> bool {
    matches!(state, MessageState::Waiting | MessageState::Leased)
}

fn is_here(state: MessageState) -> bool {
    is_pending(state) || state == MessageState::Dead
}

impl Rows {
    pub(super) fn forget_receiver(&mut self) {
        self.receiver = None;
    }

    pub(super) fn is_used(&self, id: MessageId) -> bool {
        self.messages.contains_key(&id)
    }

    pub(super) fn greatest(&self) -> Option<i64> {
        self.messages.last_key_value().map(|(id, _)| id.raw())
    }

    /// `None` when the queue is gone.
    pub(super) fn put(&mut self, new: NewMessage, origin: Option<MessageOrigin>) -> Option<PendingMessage> {
        self.queues.get_mut(&new.queue)?.put += 1;
        let record = MessageRecord {
            id: new.id,
            queue: new.queue,
            event: new.event,
            tenant: new.tenant,
            state: MessageState::Waiting,
            due: new.due,
            receives: 0,
            tries: 0,
            origin,
            ended: None,
        };
        let pending = record.pending();
        self.messages.insert(new.id, Message { record, input: new.input });
        Some(pending)
    }

    /// Tells the receiver, if there is one; a receiver that was dropped is none.
    pub(super) fn announce(&mut self, pending: Vec<PendingMessage>) {
        if let Some(receiver) = &self.receiver
            && !pending.is_empty()
            && receiver.send(pending).is_err()
        {
            self.receiver = None;
        }
    }

    /// A tenant is deleted.
    pub(super) fn erase_tenant(&mut self, tenant: TenantId, now: Timestamp) {
        for message in self.messages.values_mut().filter(|message| message.record.tenant == Some(tenant)) {
            message.input = None;
            if is_here(message.record.state) {
                end(&mut self.queues, message, MessageState::Erased, now);
            }
        }
    }

    /// The message that was last received under exactly this lease; `Fenced` when there is none.
    fn holder(&mut self, queue: QueueId, lease: MessageLease) -> Result<&mut Message, Error> {
        let found = self.messages.get_mut(&lease.message).filter(|message| {
            message.record.queue == queue
                && message.record.receives == lease.receive
                && message.record.state == MessageState::Leased
        });
        found.ok_or_else(|| fenced(lease))
    }

    fn receive(&mut self, queue: QueueId, one: &Receive, now: Timestamp) -> Result<(), Error> {
        let id = one.lease.message;
        let found = self.messages.get_mut(&id).map(|message| &mut message.record);
        let due = found.filter(|m| m.queue == queue && is_pending(m.state) && m.due <= now);
        let record = due.ok_or_else(|| Error::conflict(format!("{id} is not to be received")))?;
        if Some(one.lease.receive) != record.receives.checked_add(1) {
            return Err(Error::conflict(format!("receive {} does not follow for {id}", one.lease.receive)));
        }
        record.state = MessageState::Leased;
        record.receives = one.lease.receive;
        record.tries += 1;
        record.due = one.until;
        Ok(())
    }

    fn ack(&mut self, queue: QueueId, lease: MessageLease, now: Timestamp) -> Result<(), Error> {
        self.holder(queue, lease)?;
        if let Some(message) = self.messages.get_mut(&lease.message) {
            end(&mut self.queues, message, MessageState::Acked, now);
        }
        Ok(())
    }

    fn extend(&mut self, queue: QueueId, lease: MessageLease, until: Timestamp, now: Timestamp) -> Result<(), Error> {
        let record = &mut self.holder(queue, lease)?.record;
        if record.due <= now {
            return Err(fenced(lease));
        }
        record.due = until;
        Ok(())
    }

    fn release(&mut self, queue: QueueId, lease: MessageLease, due: Timestamp) -> Result<(), Error> {
        let record = &mut self.holder(queue, lease)?.record;
        record.state = MessageState::Waiting;
        record.due = due;
        let pending = record.pending();
        self.announce(vec![pending]);
        Ok(())
    }

    /// The last receive's number and nothing else: a message that waits is buried too.
    fn bury(
        &mut self,
        queue: QueueId,
        lease: MessageLease,
        how: Bury,
        now: Timestamp,
        body: impl FnOnce(EventId) -> Option<Bytes>,
    ) -> Result<(), Error> {
        let found = self.messages.get_mut(&lease.message).filter(|message| {
            let record = &message.record;
            record.queue == queue && record.receives == lease.receive && is_pending(record.state)
        });
        let message = found.ok_or_else(|| fenced(lease))?;
        match how {
            Bury::Expired => end(&mut self.queues, message, MessageState::Expired, now),
            Bury::Dead => {
                message.record.state = MessageState::Dead;
                message.record.ended = Some(now);
                message.input = message.input.take().or_else(|| body(message.record.event));
            }
        }
        Ok(())
    }

    fn dead(&self, queue: QueueId, selection: &MessageSelection) -> Vec<MessageId> {
        let ids: BTreeSet<MessageId> = match selection {
            MessageSelection::All => self.messages.keys().copied().collect(),
            MessageSelection::Ids(ids) => ids.iter().copied().collect(),
        };
        ids.into_iter().filter(|id| self.messages.get(id).is_some_and(|m| is_dead_of(&m.record, queue))).collect()
    }

    fn redrive(&mut self, queue: QueueId, selection: &MessageSelection, now: Timestamp) -> u64 {
        let ids = self.dead(queue, selection);
        let mut pending = Vec::with_capacity(ids.len());
        for id in &ids {
            let Some(Message { record, .. }) = self.messages.get_mut(id) else { continue };
            record.state = MessageState::Waiting;
            record.due = now;
            record.tries = 0;
            record.ended = None;
            pending.push(record.pending());
        }
        self.announce(pending);
        ids.len() as u64
    }

    fn end_dead(&mut self, ids: &[MessageId], state: MessageState, now: Timestamp) -> u64 {
        for id in ids {
            if let Some(message) = self.messages.get_mut(id) {
                end(&mut self.queues, message, state, now);
            }
        }
        ids.len() as u64
    }

    fn balance(&self, queue: QueueId, now: Timestamp) -> Result<QueueBalance, Error> {
        let counted = self.queues.get(&queue).ok_or_else(|| Error::not_found(format!("queue {queue}")))?;
        let NamedQueue { put, acked, expired, erased, .. } = counted;
        let mut balance =
            QueueBalance { put: *put, acked: *acked, expired: *expired, erased: *erased, ..QueueBalance::default() };
        for record in self.messages.values().map(|message| &message.record).filter(|record| record.queue == queue) {
            match record.state {
                MessageState::Leased if record.due > now => balance.in_flight += 1,
                MessageState::Waiting | MessageState::Leased => balance.waiting += 1,
                MessageState::Dead => balance.dead += 1,
                MessageState::Acked | MessageState::Expired | MessageState::Erased => {}
            }
        }
        Ok(balance)
    }

    fn named(&self, name: &Name) -> Option<&NamedQueue> {
        self.queues.values().find(|queue| queue.record.name == *name)
    }
}

fn is_dead_of(record: &MessageRecord, queue: QueueId) -> bool {
    record.queue == queue && record.state == MessageState::Dead
}

fn end(queues: &mut BTreeMap<QueueId, NamedQueue>, message: &mut Message, state: MessageState, now: Timestamp) {
    message.record.state = state;
    message.record.ended = Some(now);
    message.input = None;
    if let Some(queue) = queues.get_mut(&message.record.queue) {
        match state {
            MessageState::Acked => queue.acked += 1,
            MessageState::Expired => queue.expired += 1,
            _ => queue.erased += 1,
        }
    }
}

fn fenced(lease: MessageLease) -> Error {
    Error::fenced(format!("{lease} is no longer held"))
}

impl State {
    fn put_queue(&mut self, name: &Name, spec: QueueSpec, now: Timestamp) -> (QueueRecord, bool) {
        let rows = &mut self.messages;
        if let Some(queue) = rows.queues.values_mut().find(|queue| queue.record.name == *name) {
            queue.record.spec = spec;
            return (queue.record.clone(), false);
        }
        let id = QueueId::from_raw(self.mint.next(now));
        let record = QueueRecord { id, name: name.clone(), spec, created: now };
        rows.queues.insert(id, NamedQueue { record: record.clone(), put: 0, acked: 0, expired: 0, erased: 0 });
        (record, true)
    }

    fn delete_queue(&mut self, name: &Name) -> Result<(), Error> {
        let rows = &mut self.messages;
        let id = rows.named(name).ok_or_else(|| Error::not_found(format!("queue {name}")))?.record.id;
        rows.queues.remove(&id);
        rows.messages.retain(|_, message| message.record.queue != id);
        Ok(())
    }

    /// The dead letter of something else, put besides. Carries its event's envelope, in a copy of its own: the event may be
    /// much older and leave sooner.
    pub(super) fn put_dead_letter(&mut self, new: NewMessage, origin: MessageOrigin) {
        let Some(event) = self.bus.events.get(&new.event) else { return };
        let (tenant, input) = (event.tenant, Some(event.body.clone()));
        let pending = self.messages.put(NewMessage { tenant, input, ..new }, Some(origin));
        self.messages.announce(Vec::from_iter(pending));
    }

    fn carried(&self, id: MessageId) -> Option<(MessageRecord, Bytes)> {
        let message = self.messages.messages.get(&id).filter(|message| is_here(message.record.state))?;
        let body = match &message.input {
            Some(input) => input,
            None => &self.bus.events.get(&message.record.event)?.body,
        };
        Some((message.record.clone(), body.clone())).filter(|(_, body)| !body.is_empty())
    }
}

#[async_trait]
impl Messages for MemoryStore {
    async fn put_queue(&self, name: &Name, spec: QueueSpec, now: Timestamp) -> Result<(QueueRecord, bool), Error> {
        self.register(|state| Ok(state.put_queue(name, spec, now))).await
    }

    async fn queue(&self, name: &Name) -> Result<Option<QueueRecord>, Error> {
        Ok(self.read(|state| state.messages.named(name).map(|queue| queue.record.clone())))
    }

    async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        let mut all: Vec<QueueRecord> =
            self.read(|state| state.messages.queues.values().map(|queue| queue.record.clone()).collect());
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn delete_queue(&self, name: &Name) -> Result<(), Error> {
        self.register(|state| state.delete_queue(name)).await
    }

    async fn message_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingMessage>>, Error> {
        let mut state = self.state();
        let rows = &mut state.messages;
        let records = rows.messages.values().map(|message| &message.record);
        let mut backlog: Vec<PendingMessage> =
            records.filter(|record| is_pending(record.state)).map(MessageRecord::pending).collect();
        backlog.sort_by_key(|pending| (pending.due, pending.id));
        let (sender, receiver) = mpsc::unbounded_channel();
        rows.receiver = Some(sender);
        rows.announce(backlog);
        Ok(receiver)
    }

    async fn receive(
        &self,
        queue: QueueId,
        receives: Vec<Receive>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let receive =
            |state: &mut State| Ok(receives.iter().map(|one| state.messages.receive(queue, one, now)).collect());
        self.write(Verb::Receive, receive).await
    }

    async fn ack(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let ack = |state: &mut State| Ok(leases.iter().map(|lease| state.messages.ack(queue, *lease, now)).collect());
        self.write(Verb::Ack, ack).await
    }

    async fn extend_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let extend = |state: &mut State| {
            Ok(leases.iter().map(|lease| state.messages.extend(queue, *lease, until, now)).collect())
        };
        self.write(Verb::ExtendMessages, extend).await
    }

    async fn release(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        due: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let release =
            |state: &mut State| Ok(leases.iter().map(|lease| state.messages.release(queue, *lease, due)).collect());
        self.write(Verb::Release, release).await
    }

    async fn bury_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        how: Bury,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let bury = |state: &mut State| {
            let State { messages, bus, .. } = state;
            let body = |event: EventId| bus.events.get(&event).map(|event| event.body.clone());
            Ok(leases.iter().map(|lease| messages.bury(queue, *lease, how, now, body)).collect())
        };
        self.write(Verb::BuryMessages, bury).await
    }

    async fn expire_dead_messages(&self, queue: QueueId, before: Timestamp, now: Timestamp) -> Result<u64, Error> {
        let expire = |state: &mut State| {
            let rows = &mut state.messages;
            let mut ids = rows.dead(queue, &MessageSelection::All);
            ids.retain(|id| rows.messages.get(id).is_some_and(|m| m.record.ended.is_some_and(|at| at < before)));
            Ok(rows.end_dead(&ids, MessageState::Expired, now))
        };
        self.write(Verb::BuryMessages, expire).await
    }

    async fn dead_messages(&self, queue: QueueId, page: Page) -> Result<Listing<MessageRecord>, Error> {
        self.read(|state| {
            let records = state.messages.messages.values().map(|message| &message.record);
            let dead = records.filter(|record| is_dead_of(record, queue));
            listing::newest_first(dead.map(|record| (record.id, record)), &page)
        })
    }

    async fn redrive_messages(
        &self,
        queue: QueueId,
        selection: MessageSelection,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.write(Verb::RedriveMessages, |state| Ok(state.messages.redrive(queue, &selection, now))).await
    }

    async fn purge_messages(&self, queue: QueueId, selection: MessageSelection, now: Timestamp) -> Result<u64, Error> {
        let purge = |state: &mut State| {
            let ids = state.messages.dead(queue, &selection);
            Ok(state.messages.end_dead(&ids, MessageState::Erased, now))
        };
        self.write(Verb::BuryMessages, purge).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Error> {
        Ok(self.read(|state| state.messages.messages.get(&id).map(|message| message.record.clone())))
    }

    async fn carried(&self, ids: Vec<MessageId>) -> Result<Vec<Option<(MessageRecord, Bytes)>>, Error> {
        Ok(self.read(|state| ids.iter().map(|id| state.carried(*id)).collect()))
    }

    async fn queue_balance(&self, queue: QueueId, now: Timestamp) -> Result<QueueBalance, Error> {
        self.read(|state| state.messages.balance(queue, now))
    }

    async fn dead_count(&self, queue: QueueId) -> Result<u64, Error> {
        Ok(self.read(|state| {
            let records = state.messages.messages.values().map(|message| &message.record);
            records.filter(|record| is_dead_of(record, queue)).count() as u64
        }))
    }
}
