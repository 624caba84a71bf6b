//! Carrying events out to webhooks.
//!
//! A delivery is a POST of the event's envelope, as JSON, exactly the text that is kept and that functions see, or of
//! what the target's transformer made of it. It is signed as Standard Webhooks says: headers `webhook-id` (the delivery's id, the same for every try), `webhook-timestamp`
//! (seconds, of this try) and `webhook-signature` (one per secret). Anything but a 2xx within 15 seconds is a failure;
//! redirects are not followed. At least once: receivers drop what they know by `webhook-id`.

pub mod address;
mod client;
mod line;
mod schedule;
pub mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sublet_model::{Error, ErrorKind, MessageId, Name, Timestamp, TraceContext};
use sublet_store::{DeliveryAttempt, DeliveryNext, PendingDelivery};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::body::Carried;
use crate::core::Core;
use crate::span::{Span, SpanKind, SpanValue};
use client::{Answer, Clients};
use line::Lines;

/// When the store would not take what became of a try: until it is tried again, whole.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Sums for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct DeliveryGauge {
    waiting: AtomicU64,
    in_flight: AtomicU64,
}

impl DeliveryGauge {
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn set(&self, lines: &Lines) {
        self.waiting.store(lines.waiting() as u64, Ordering::Relaxed);
        self.in_flight.store(lines.in_flight() as u64, Ordering::Relaxed);
    }
}

/// A try that ended: whose line is free again, and what has to be tried once more because it was not recorded.
type Ended = (Name, Option<PendingDelivery>);

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn deliver(self: Arc<Core>, mut arrivals: mpsc::UnboundedReceiver<Vec<PendingDelivery>>) {
        let clients = Arc::new(Clients::default());
        let mut lines = Lines::default();
        let mut tries: JoinSet<Ended> = JoinSet::new();
        loop {
            let now = self.clock.now();
            let until_due = lines.next_due().map(|due| Duration::from_millis(due.since(now).max(1)));
            tokio::select! {
                biased;
                batch = arrivals.recv() => {
                    let Some(batch) = batch else { return };
                    let now = self.clock.now();
                    batch.into_iter().for_each(|delivery| lines.arrive(delivery, now));
                }
                Some(ended) = tries.join_next() => match ended {
                    Ok((webhook, again)) => {
                        lines.ended(&webhook);
                        let now = self.clock.now();
                        if let Some(delivery) = again {
                            lines.arrive(PendingDelivery { due: now + TRY_AGAIN_AFTER, ..delivery }, now);
                        }
                    }
                    Err(error) => tracing::error!(%error, "a delivery's task ended early"),
                },
                () = tokio::time::sleep(until_due.unwrap_or_default()), if until_due.is_some() => {}
            }
            let now = self.clock.now();
            while let Some(delivery) = lines.next(now) {
                let (core, clients) = (Arc::clone(&self), Arc::clone(&clients));
                tries.spawn(async move { core.try_delivery(&clients, delivery).await });
            }
            self.deliveries.set(&lines);
        }
    }

    #[tracing::instrument(name = "engine.delivery.try", level = "debug", skip_all, fields(delivery.id = %delivery.id))]
    async fn try_delivery(&self, clients: &Clients, delivery: PendingDelivery) -> Ended {
        let webhook = delivery.webhook.clone();
        let again = match self.deliver_once(clients, &delivery).await {
            Ok(()) => None,
            // Settled by someone else, or gone.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) => None,
            Err(error) => {
                tracing::warn!(delivery.id = %delivery.id, %error, "a try of {} was not recorded", delivery.id);
                Some(delivery)
            }
        };
        (webhook, again)
    }

    async fn deliver_once(&self, clients: &Clients, delivery: &PendingDelivery) -> Result<(), Error> {
        let at = self.clock.now();
        let Some(webhook) = self.directory.webhook(&delivery.webhook) else {
            let gone = Answer { status: None, error: Some("the webhook was deleted".to_owned()) };
            return self.settle_delivery(delivery, at, gone, Some(DeliveryNext::Failed)).await;
        };
        let carried = match self.delivery_bodies.get(&delivery.id) {
            Some(held) => Some(held),
            None => self.read_carried(delivery).await?,
        };
        let Some(Carried { body, trace_context }) = carried.filter(|carried| !carried.body.is_empty()) else {
            let erased = Answer { status: None, error: Some("the event was erased".to_owned()) };
            return self.settle_delivery(delivery, at, erased, Some(DeliveryNext::Failed)).await;
        };
        let answer = if webhook.spec.enabled {
            let trace = self.delivery_context(trace_context.as_ref(), delivery.id, delivery.attempts);
            let start_ns = self.clock.now_ns();
            let answer = clients.post(&webhook, &delivery.id.to_string(), at, body, trace.as_ref()).await;
            self.record_delivery(delivery, trace, trace_context, start_ns, &answer);
            answer
        } else {
            Answer { status: None, error: Some("the webhook is disabled".to_owned()) }
        };
        self.settle_delivery(delivery, at, answer, None).await
    }

    fn record_delivery(
        &self,
        delivery: &PendingDelivery,
        own: Option<TraceContext>,
        event: Option<TraceContext>,
        start_ns: u64,
        answer: &Answer,
    ) {
        let (Some(sink), Some(context)) = (self.sink_for(own.as_ref()), own) else { return };
        let mut attributes = vec![
            ("http.request.method", SpanValue::Word("POST")),
            ("sublet.webhook.name", SpanValue::Text(delivery.webhook.to_string())),
            ("sublet.delivery.id", SpanValue::Text(delivery.id.to_string())),
            ("sublet.event.id", SpanValue::Text(delivery.event.to_string())),
            ("http.request.resend_count", SpanValue::Number(i64::from(delivery.attempts))),
        ];
        attributes.extend(answer.status.map(|status| ("http.response.status_code", SpanValue::Number(status.into()))));
        sink.record(Span {
            name: "deliver",
            kind: SpanKind::Client,
            context,
            parent: event.map(|event| event.span_id()),
            is_parent_remote: false,
            start_ns,
            end_ns: self.clock.now_ns(),
            attributes,
            error: answer.error.clone(),
        });
    }

    /// What is not held any more.
    async fn read_carried(&self, delivery: &PendingDelivery) -> Result<Option<Carried>, Error> {
        let Some(body) = self.store.delivery_body(delivery.id, delivery.event).await? else { return Ok(None) };
        let event = self.store.event(delivery.event).await?;
        Ok(Some(Carried { body, trace_context: event.and_then(|record| record.trace_context) }))
    }

    async fn settle_delivery(
        &self,
        delivery: &PendingDelivery,
        at: Timestamp,
        answer: Answer,
        decided: Option<DeliveryNext>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let random = self.chance.bits32();
        let next = decided.unwrap_or_else(|| schedule::after_try(delivery.attempts, answer.status, now, random));
        // What is given up may have a queue to be put into.
        let next = match next {
            DeliveryNext::Failed => DeliveryNext::DeadLetter { message: MessageId::from_raw(self.chance.id(now)) },
            next => next,
        };
        let attempt = DeliveryAttempt { at, status: answer.status, error: answer.error, latency_ms: now.since(at) };
        metrics::counter!("sublet_deliveries_total", "outcome" => outcome(next)).increment(1);
        if matches!(next, DeliveryNext::DeadLetter { .. }) {
            tracing::warn!(delivery.id = %delivery.id, "{} to {} was given up", delivery.id, delivery.webhook);
        }
        self.store.settle_delivery(delivery.id, attempt, next).await
    }
}

fn outcome(next: DeliveryNext) -> &'static str {
    match next {
        DeliveryNext::Delivered => "delivered",
        DeliveryNext::Retry { .. } => "retried",
        DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } => "failed",
    }
}
