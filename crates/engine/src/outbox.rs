//! From a settled result to its result event: once, whatever happens in between.
//!
//! The settle wrote an outbox line; publishing the result event takes the line in the same commit. Workers hand over
//! what they settled, so that nothing is read back; what they could not hand over (and what a crash left) is found by
//! reading the outbox, at the start and whenever [`Outbox::look`] asks for it. Both ways may meet: the store lets the
//! second one take nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sublet_model::event::{DETAIL_TYPE_FAILED, DETAIL_TYPE_SUCCEEDED, SOURCE_SUBLET};
use sublet_model::{
    Destination, Envelope, Error, EventId, EventInput, InvocationId, InvocationState, TenantId, Timestamp,
    TraceContext, Usage, limit,
};
use sublet_pattern::EventView;
use sublet_store::{
    EventStatus, Identity, InvocationRecord, NewEvent, OutboxLine, Published, RejectReason, TenantRecord,
};
use tokio::sync::{Notify, mpsc};

use crate::chance::locked;
use crate::core::Core;
use crate::dispatch::{Dispatched, Matter, Order, TraceTarget};
use crate::identity::identity_key;
use crate::stream::ResultItem;

/// Results handed over and not yet published; what comes beyond it is read back from the store. Each may hold a result
/// of `RESULT_BYTES_MAX`.
const HANDED_OVER_MAX: usize = 256;
/// Result events of one publish.
const BATCH_MAX: usize = 128;
/// Between two tries while the store does not take them.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Outbox {
    handed: mpsc::Sender<OutboxLine>,
    /// Taken by the outbox's task.
    receiver: Mutex<Option<mpsc::Receiver<OutboxLine>>>,
    look: Notify,
    waiting: AtomicU64,
}

impl Outbox {
    pub(crate) fn new() -> Outbox {
        let (handed, receiver) = mpsc::channel(HANDED_OVER_MAX);
        Outbox { handed, receiver: Mutex::new(Some(receiver)), look: Notify::new(), waiting: AtomicU64::new(0) }
    }

    /// A settle wrote this line.
    pub(crate) fn announce(&self, line: OutboxLine) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if self.handed.try_send(line).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.look();
        }
    }

    /// There may be lines that nobody handed over.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }
}

/// The detail of a result event.
#[derive(Serialize)]
struct Detail<'a> {
    invocation: InvocationId,
    function: &'a str,
    version: u32,
    /// The request's id as its publisher knows it: the envelope's.
    event: Option<String>,
    /// The request's id as Sublet knows it.
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
    usage: Usage,
}

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn publish_results(&self) {
        let Some(mut handed) = locked(&self.outbox.receiver).take() else { return };
        self.read_outbox().await;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                count = handed.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.publish_lines(&batch).await;
                    self.outbox.waiting.fetch_sub(count as u64, Ordering::AcqRel);
                    batch.clear();
                }
                () = self.outbox.look.notified() => self.read_outbox().await,
            }
            if self.outbox.waiting() == 0 {
                self.queues.quiet.notify_waiters();
            }
        }
    }

    /// Publishes everything the outbox holds now.
    async fn read_outbox(&self) {
        let mut after = 0;
        let mut pause = AGAIN_AFTER;
        loop {
            match self.store.outbox(after, BATCH_MAX).await {
                Ok(lines) => {
                    let Some(last) = lines.last() else { return };
                    after = last.id;
                    self.publish_lines(&lines).await;
                    if lines.len() < BATCH_MAX {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be read; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_AFTER_MAX);
                }
            }
        }
    }

    /// Publishes the result events of these lines, however often it takes.
    #[tracing::instrument(name = "engine.outbox.publish", level = "debug", skip_all, fields(lines = lines.len()))]
    async fn publish_lines(&self, lines: &[OutboxLine]) {
        let mut pause = AGAIN_AFTER;
        let mut results = loop {
            match self.result_events(lines).await {
                Ok(results) => break results,
                Err(error) => tracing::warn!(%error, "result events could not be made; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
        };
        for (event, _) in &results {
            self.remember_bodies(event);
        }
        while !results.is_empty() {
            let events = results.iter().map(|(event, _)| event.clone()).collect();
            match self.store.publish(events, self.clock.now()).await {
                Ok(published) => {
                    let all = results.drain(..).zip(published);
                    let accepted = all.filter(|(_, outcome)| *outcome == Published::Accepted);
                    self.published(accepted.map(|((_, item), _)| item).collect());
                    return;
                }
                Err(error) => tracing::warn!(%error, "result events were not published; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
            // The answer may have been lost and not the events: those that are there are done.
            let mut found = Vec::new();
            let mut left = Vec::new();
            for (event, item) in results {
                match self.store.event(event.id).await {
                    Ok(Some(_)) => found.push(item),
                    _ => left.push((event, item)),
                }
            }
            self.published(found);
            results = left;
        }
    }

    fn published(&self, items: Vec<ResultItem>) {
        self.meters.results.increment(items.len() as u64);
        self.stream.push(items);
    }

    async fn result_events(&self, lines: &[OutboxLine]) -> Result<Vec<(NewEvent, ResultItem)>, Error> {
        let now = self.clock.now();
        let mut results = Vec::with_capacity(lines.len());
        for line in lines {
            // A tenant that was deleted took its lines along.
            let Some(tenant) = self.directory.tenant_by_id(line.invocation.tenant).await? else { continue };
            results.push(self.result_event(line, &tenant, now).await?);
        }
        Ok(results)
    }

    /// The event that was invoked for, as its publisher wrote it (nothing of it when it was erased meanwhile), and the trace
    /// it belongs to.
    async fn request_of(
        &self,
        invocation: &InvocationRecord,
    ) -> Result<(Option<Request>, Option<TraceContext>), Error> {
        let Some(event) = invocation.event else { return Ok((None, None)) };
        let found = match self.bodies.get(&invocation.id) {
            Some(work) => {
                self.bodies.remove(&invocation.id);
                Some((work.envelope.unwrap_or(work.body), work.trace_context))
            }
            None => self.store.event(event).await?.map(|record| (record.body, record.trace_context)),
        };
        let (body, trace_context) = found.unwrap_or_default();
        Ok((serde_json::from_slice::<Request>(&body).ok(), trace_context))
    }

    async fn result_event(
        &self,
        line: &OutboxLine,
        tenant: &TenantRecord,
        now: Timestamp,
    ) -> Result<(NewEvent, ResultItem), Error> {
        let invocation = &line.invocation;
        let function = self.directory.function_by_id(tenant.id, invocation.function).await?;
        let name = match &function {
            Some(record) => record.name.to_string(),
            None => invocation.function.to_string(),
        };
        let id = EventId::from_raw(self.chance.id(now));
        let (request, caused_by) = self.request_of(invocation).await?;
        // The result is the last attempt's doing; of what ended without one, the event's.
        let trace_context = match &line.attempt {
            Some(attempt) => self.attempt_context(caused_by.as_ref(), invocation.id, attempt.number),
            None => caused_by,
        };
        let envelope = envelope_of(line, tenant, &name, request.as_ref(), now)?;
        let body = Bytes::from(serde_json::to_vec(&envelope).map_err(Error::internal)?);
        let depth = line.depth.saturating_add(1);
        let succeeded = invocation.state == InvocationState::Succeeded;
        let mut event = NewEvent {
            id,
            tenant: Some(tenant.id),
            identity: Some(identity_of_line(line, &envelope)),
            depth,
            status: EventStatus::Unmatched,
            trace: Bytes::new(),
            trace_context,
            body: body.clone(),
            invocations: Vec::new(),
            deliveries: Vec::new(),
            messages: Vec::new(),
            consumes: Some(line.id),
        };
        if depth > limit::EVENT_DEPTH_MAX {
            event.status = EventStatus::Rejected(RejectReason::Loop);
        } else {
            let matched = match EventView::parse(&event.body) {
                Ok(view) => self.directory.with_rules(|book| book.matching(&view, tenant.id, true)),
                Err(error) => {
                    // A result may nest deeper than rules look; it is carried all the same.
                    tracing::debug!(invocation.id = %invocation.id, %error, "a result event is too deep to match");
                    Vec::new()
                }
            };
            let mut dispatched = self.dispatch(Matter { event: id, body: &event.body }, tenant, &matched, now).await?;
            let version = line.attempt.as_ref().map_or(0, |attempt| attempt.end.version);
            let destinations = match self.directory.version(tenant.id, invocation.function, version).await? {
                Some(record) => Some(record.config.destinations.clone()),
                None => function.as_ref().map(|record| record.config.destinations.clone()),
            };
            let destination = destinations.and_then(|both| if succeeded { both.on_success } else { both.on_failure });
            if let Some(destination) = destination {
                let target = self.go_to(&mut dispatched, destination, id, tenant.id, now).await?;
                dispatched.trace.destinations.push(target);
            }
            if let Some(queue) = &dispatched.full {
                // The result is kept and the explanation says so; waiting for room would hold up everybody's results.
                tracing::warn!(invocation.id = %invocation.id, "queue {queue} is full: the result of {} is not in it", invocation.id);
            }
            dispatched.put_into(&mut event)?;
        }
        let function_name = match function {
            Some(record) => record.name.clone(),
            None => name.parse().map_err(Error::internal)?,
        };
        let (source, detail_type) = request.map(|request| (request.source, request.detail_type)).unzip();
        let tenant = Some(tenant.id);
        let item = ResultItem { id, tenant, function: function_name, succeeded, source, detail_type, body };
        Ok((event, item))
    }

    /// A function's own destination.
    async fn go_to(
        &self,
        dispatched: &mut Dispatched,
        destination: Destination,
        event: EventId,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<TraceTarget, Error> {
        let order = Order::plain(event, now);
        Ok(match destination {
            Destination::Webhook(webhook) => self.deliver_to(dispatched, &webhook, &order, tenant),
            Destination::Queue(queue) => self.put_into(dispatched, &queue, &order, tenant),
            Destination::Function(name) => {
                let found = self.startable(tenant, &name).await?;
                self.enqueue(dispatched, found, Some(tenant), format!("function {name}"), &order)
            }
        })
    }
}

/// What a result names of the envelope that was invoked for.
#[derive(Deserialize)]
struct Request {
    id: String,
    tenant: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
}

/// The invocation's; after a redrive with its number, because consumers deduplicate by it.
fn result_id(line: &OutboxLine) -> String {
    match line.redrives {
        0 => line.invocation.id.to_string(),
        redrives => format!("{}.{}", line.invocation.id, redrives.saturating_add(1)),
    }
}

fn identity_of_line(line: &OutboxLine, envelope: &Envelope) -> Identity {
    let key = identity_key(&envelope.tenant, SOURCE_SUBLET, &envelope.id);
    Identity { key, body: line.id.to_le_bytes() }
}

fn envelope_of(
    line: &OutboxLine,
    tenant: &TenantRecord,
    function: &str,
    request: Option<&Request>,
    now: Timestamp,
) -> Result<Envelope, Error> {
    let invocation = &line.invocation;
    let attempt = line.attempt.as_ref();
    let succeeded = invocation.state == InvocationState::Succeeded;
    let result = match attempt.and_then(|record| record.end.result.as_ref()).filter(|_| succeeded) {
        Some(text) => Some(serde_json::from_slice::<&RawValue>(text).map_err(Error::internal)?),
        None => None,
    };
    let error = match attempt.and_then(|record| record.end.failure.as_ref()) {
        _ if succeeded => None,
        Some(text) => Some(serde_json::from_slice::<Box<RawValue>>(text).map_err(Error::internal)?),
        None => Some(unstarted_error(invocation.state, line).map_err(Error::internal)?),
    };
    let detail = Detail {
        invocation: invocation.id,
        function,
        version: attempt.map_or(0, |record| record.end.version),
        event: request.map(|request| request.id.clone()).or_else(|| invocation.event.map(|id| id.to_string())),
        event_id: invocation.event,
        result,
        error,
        usage: attempt.map(|record| record.end.usage).unwrap_or_default(),
    };
    let input = EventInput {
        id: Some(result_id(line)),
        source: SOURCE_SUBLET.to_owned(),
        detail_type: if succeeded { DETAIL_TYPE_SUCCEEDED } else { DETAIL_TYPE_FAILED }.to_owned(),
        time: Some(now),
        // As on the request. Whose event it is, and who may see it, is another matter: the function's tenant.
        tenant: request.map_or_else(|| tenant.name.to_string(), |request| request.tenant.clone()),
        resources: Vec::new(),
        detail: serde_json::value::to_raw_value(&detail).map_err(Error::internal)?,
        trace_context: None,
        cloudevents: None,
        retry_key: None,
    };
    Ok(Envelope::of(input, "", now))
}

/// The error of an invocation that ended without an attempt's own.
fn unstarted_error(state: InvocationState, line: &OutboxLine) -> Result<Box<RawValue>, serde_json::Error> {
    let reason = line.invocation.reason.map_or("unknown", |reason| reason.as_str());
    serde_json::value::to_raw_value(&serde_json::json!({
        "errorType": format!("Sublet.{state}"),
        "errorMessage": format!("the invocation ended without an attempt's answer: {reason}"),
        "stackTrace": [],
    }))
}
