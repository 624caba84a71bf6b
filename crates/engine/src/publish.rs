//! Accepting events: check, find the tenant, match, dispatch, write; durable before the answer.

use std::collections::HashMap;

use bytes::Bytes;
use sublet_model::event::SOURCE_SUBLET;
use sublet_model::{
    Envelope, Error, ErrorKind, EventId, EventInput, QueueId, TenantId, Timestamp, limit, nests_deeper_than,
};
use sublet_pattern::EventView;
use sublet_store::{EventStatus, NewEvent, NewMessage, Published, RejectReason, TenantStatus, Work};

use crate::body::Carried;
use crate::core::Core;
use crate::dispatch::Matter;
use crate::identity::identity_of;

/// The answer to one published event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub id: EventId,
    pub status: EventStatus,
    /// The same event was published before, within the window; `id` and `status` are the first one's.
    pub repeated: bool,
}

impl Core {
    #[tracing::instrument(name = "engine.publish", level = "debug", skip_all, fields(events = inputs.len()))]
    pub(crate) async fn publish(&self, inputs: Vec<EventInput>) -> Result<Vec<Result<Receipt, Error>>, Error> {
        if inputs.len() > limit::EVENTS_PER_BATCH_MAX {
            let most = limit::EVENTS_PER_BATCH_MAX;
            return Err(Error::invalid("", format!("must have at most {most} events")));
        }
        let now = self.clock.now();
        let published_ns = self.clock.now_ns();
        // Events of one request belong to one trace, as a rule; its steps are spans of the first one's.
        let first = inputs.first().and_then(|input| input.trace_context.clone());
        let traced = first.filter(|context| self.sink_for(Some(context)).is_some());
        let began_ns = traced.as_ref().map(|_| self.clock.now_ns());
        let mut reserved = Reserved { core: self, counts: HashMap::new(), messages: HashMap::new() };
        let mut answers: Vec<Result<Receipt, Error>> = Vec::with_capacity(inputs.len());
        let mut events = Vec::with_capacity(inputs.len());
        let mut places = Vec::with_capacity(inputs.len());
        for input in inputs {
            match self.accept(input, &mut reserved, now).await {
                Ok(event) => {
                    places.push(answers.len());
                    answers.push(Ok(Receipt { id: event.id, status: event.status, repeated: false }));
                    events.push(event);
                }
                // What is not the entry's own fault is the whole call's: nothing was written yet.
                Err(error) if matches!(error.kind, ErrorKind::Internal | ErrorKind::Unavailable) => return Err(error),
                Err(error) => {
                    self.meters.refused.increment(1);
                    answers.push(Err(error));
                }
            }
        }
        if events.is_empty() {
            return Ok(answers);
        }
        // Before the write, because the queue may hear of an invocation before this call does.
        for event in &events {
            self.remember_bodies(event);
        }
        let traced = traced.as_ref().zip(began_ns);
        let dispatched_ns = traced.map(|(context, began_ns)| self.record_step("dispatch", context, began_ns));
        let published = self.store.publish(events, now).await?;
        if let Some((context, dispatched_ns)) = traced.map(|(context, _)| context).zip(dispatched_ns) {
            self.record_step("store.publish", context, dispatched_ns);
        }
        for (place, outcome) in places.into_iter().zip(published) {
            let Some(answer) = answers.get_mut(place) else { continue };
            match outcome {
                Published::Accepted => {
                    if let Ok(receipt) = answer {
                        self.meters.accepted(receipt.status);
                    }
                }
                Published::Repeated { first, status } => {
                    self.meters.repeated.increment(1);
                    *answer = Ok(Receipt { id: first, status, repeated: true });
                }
                Published::Conflict { first } => {
                    self.meters.refused.increment(1);
                    *answer = Err(Error::conflict(format!("this id was published with another body, as {first}")));
                }
                Published::Consumed => *answer = Err(Error::internal("a published event consumed an outbox line")),
            }
        }
        let took_ns = self.clock.now_ns().saturating_sub(published_ns);
        self.meters.publish_seconds.record(took_ns as f64 / 1e9);
        Ok(answers)
    }

    /// Everything about one event that can be said before it is written.
    async fn accept(&self, input: EventInput, reserved: &mut Reserved<'_>, now: Timestamp) -> Result<NewEvent, Error> {
        input.validate()?;
        if input.source == SOURCE_SUBLET {
            return Err(Error::invalid("source", "`sublet` is reserved for result events"));
        }
        let id = EventId::from_raw(self.chance.id(now));
        let identity = identity_of(&input);
        let trace_context = input.trace_context.clone();
        let tenant = self.directory.tenant(&input.tenant).await?;
        let envelope = Envelope::of(input, &id.to_string(), now);
        let body = Bytes::from(serde_json::to_vec(&envelope).map_err(Error::internal)?);
        if body.len() > limit::EVENT_BYTES_MAX {
            let most = limit::EVENT_BYTES_MAX;
            return Err(Error::invalid("detail", format!("makes an event of {} bytes, of at most {most}", body.len())));
        }
        if nests_deeper_than(&body, limit::JSON_DEPTH_MAX) {
            let most = limit::JSON_DEPTH_MAX;
            return Err(Error::invalid("detail", format!("is nested deeper than {most} levels")));
        }
        let reject = match &tenant {
            None => Some(RejectReason::UnknownTenant),
            Some(record) if record.spec.status == TenantStatus::Suspended => Some(RejectReason::SuspendedTenant),
            Some(_) => None,
        };
        let mut event = NewEvent {
            id,
            tenant: tenant.as_ref().map(|record| record.id),
            identity,
            depth: 0,
            status: EventStatus::Unmatched,
            trace: Bytes::new(),
            trace_context,
            body,
            invocations: Vec::new(),
            deliveries: Vec::new(),
            messages: Vec::new(),
            consumes: None,
        };
        match (&tenant, reject) {
            (Some(record), None) => {
                let matched = {
                    let view =
                        EventView::parse(&event.body).map_err(|error| Error::invalid("detail", error.to_string()))?;
                    self.directory.with_rules(|book| book.matching(&view, record.id, false))
                };
                let dispatched = self.dispatch(Matter { event: id, body: &event.body }, record, &matched, now).await?;
                if let Some(queue) = &dispatched.full {
                    return Err(Error::throttled(format!("the queue {queue} is full")));
                }
                reserved.take_messages(&dispatched.messages)?;
                reserved.take(&dispatched.invocations).await?;
                dispatched.put_into(&mut event)?;
            }
            (_, reason) => {
                // What no rule could read is malformed whoever's it is.
                EventView::parse(&event.body).map_err(|error| Error::invalid("detail", error.to_string()))?;
                event.status = EventStatus::Rejected(reason.unwrap_or(RejectReason::UnknownTenant));
            }
        }
        Ok(event)
    }

    /// Keeps what workers and deliveries will want, so that it is not read back from the store.
    pub(crate) fn remember_bodies(&self, event: &NewEvent) {
        for invocation in &event.invocations {
            let (body, envelope) = match &invocation.input {
                Some(input) => (input.clone(), Some(event.body.clone())),
                None => (event.body.clone(), None),
            };
            let work = Work {
                body,
                envelope,
                retry: invocation.retry.clone(),
                depth: event.depth,
                trace_context: event.trace_context.clone(),
            };
            self.bodies.insert(invocation.id, work);
        }
        for delivery in &event.deliveries {
            let body = delivery.input.as_ref().unwrap_or(&event.body).clone();
            self.delivery_bodies.insert(delivery.id, Carried { body, trace_context: event.trace_context.clone() });
        }
    }
}

/// Places in tenants' backlogs and in named queues held by events that are being written: what the queue has not heard of yet.
struct Reserved<'a> {
    core: &'a Core,
    counts: HashMap<TenantId, u64>,
    messages: HashMap<QueueId, u64>,
}

impl Reserved<'_> {
    /// Errors: `Throttled` when a queue has no room for its part.
    fn take_messages(&mut self, messages: &[NewMessage]) -> Result<(), Error> {
        for message in messages {
            let Some(queue) = self.core.directory.queue_by_id(message.queue) else { continue };
            if !self.core.named_queues.reader(queue.id).reserve(1, queue.spec.depth) {
                return Err(Error::throttled(format!("the queue {} is full", queue.name)));
            }
            *self.messages.entry(queue.id).or_default() += 1;
        }
        Ok(())
    }

    /// Errors: `Throttled` when a tenant's backlog has no room for its part; then nothing of it is held.
    async fn take(&mut self, invocations: &[sublet_store::NewInvocation]) -> Result<(), Error> {
        let mut wanted: HashMap<TenantId, u64> = HashMap::new();
        for invocation in invocations {
            *wanted.entry(invocation.tenant).or_default() += 1;
        }
        for (tenant, count) in &wanted {
            let most = match self.core.directory.tenant_by_id(*tenant).await? {
                Some(record) => record.spec.quota.backlog,
                None => continue,
            };
            if self.core.queues.backlog(*tenant).saturating_add(*count) > most {
                self.core.meters.throttled_backlog.increment(1);
                return Err(Error::throttled(format!("the tenant's backlog of {most} is full")));
            }
        }
        for (tenant, count) in wanted {
            *self.counts.entry(tenant).or_default() += count;
            self.core.queues.reserve(tenant, count);
        }
        Ok(())
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        for (tenant, count) in &self.counts {
            self.core.queues.release(*tenant, *count);
        }
        for (queue, count) in &self.messages {
            self.core.named_queues.reader(*queue).unreserve(*count);
        }
    }
}
