//! Carrying events out to webhooks.
//!
//! A delivery is a POST of the event's envelope, as JSON, exactly the text that is kept and that functions see, or of
//! what the target's transformer made of it. It is signed as Standard Webhooks says: headers `webhook-id` (the
//! delivery's id, the same for every try and every replay), `webhook-timestamp` (seconds, of this try) and
//! `webhook-signature` (one per secret that signs). Anything but a 2xx within the webhook's timeout is a failure;
//! redirects are not followed. At least once: receivers drop what they know by `webhook-id`.
//!
//! A webhook that answers 410, or has known nothing but failures for days, is disabled. What is due to a disabled webhook
//! waits and goes on when it is enabled; only its age ends it.

pub mod address;
mod client;
mod line;
mod replay;
mod retry_after;
mod schedule;
pub mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sublet_model::{Error, ErrorKind, MessageId, Timestamp, TraceContext};
use sublet_store::{DeliveryAttempt, DeliveryNext, PendingDelivery, WebhookRecord};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::body::Carried;
use crate::core::Core;
use crate::span::{Span, SpanKind, SpanValue};
use client::{Answer, Clients};
use line::{Lines, Started, Went};
use schedule::Tried;

/// When the store would not take what became of a try: until it is tried again, whole.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Between two looks for deliveries that have waited too long for their webhook to be enabled.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

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

/// A try that ended: what it did to its line, and when the delivery has to come again because nothing was recorded.
struct Ended {
    started: Started,
    went: Went,
    hold: Option<Timestamp>,
    again: Option<Timestamp>,
}

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn deliver(self: Arc<Core>, mut arrivals: mpsc::UnboundedReceiver<Vec<PendingDelivery>>) {
        let clients = Arc::new(Clients::default());
        let mut webhooks = self.directory.watch_webhooks();
        let mut lines = Lines::default();
        lines.set_webhooks(&self.directory.webhook_states());
        let mut tries: JoinSet<Ended> = JoinSet::new();
        let mut expired_at = self.clock.now();
        loop {
            let now = self.clock.now();
            let expire_at = lines.has_paused().then(|| expired_at + EXPIRE_EVERY);
            let wake_at = lines.next_due().into_iter().chain(expire_at).min();
            let until_then = wake_at.map(|due| Duration::from_millis(due.since(now).max(1)));
            tokio::select! {
                biased;
                Ok(()) = webhooks.changed() => lines.set_webhooks(&self.directory.webhook_states()),
                batch = arrivals.recv() => {
                    let Some(batch) = batch else { return };
                    let now = self.clock.now();
                    batch.into_iter().for_each(|delivery| lines.arrive(delivery, now));
                }
                Some(ended) = tries.join_next() => match ended {
                    Ok(ended) => note(&mut lines, ended, self.clock.now()),
                    Err(error) => tracing::error!(%error, "a delivery's task ended early"),
                },
                () = tokio::time::sleep(until_then.unwrap_or_default()), if until_then.is_some() => {}
            }
            let now = self.clock.now();
            if expire_at.is_some_and(|at| at <= now) {
                expired_at = now;
                lines.expire(now - schedule::WAITING_MAX);
            }
            while let Some(started) = lines.next(now) {
                let (core, clients) = (Arc::clone(&self), Arc::clone(&clients));
                tries.spawn(async move { core.try_delivery(&clients, started).await });
            }
            self.deliveries.set(&lines);
        }
    }

    #[tracing::instrument(name = "engine.delivery.try", level = "debug", skip_all,
        fields(delivery.id = %started.delivery.id))]
    async fn try_delivery(&self, clients: &Clients, started: Started) -> Ended {
        let delivery = &started.delivery;
        match self.deliver_once(clients, delivery).await {
            Ok(Some(tried)) => {
                let hold = tried.hold().map(|span| self.clock.now() + span);
                let went = if tried.is_success() { Went::Well } else { Went::Badly };
                Ended { started, went, hold, again: None }
            }
            // It waits on.
            Ok(None) => {
                let again = Some(delivery.due);
                Ended { started, went: Went::Nowhere, hold: None, again }
            }
            // Settled by someone else, or gone.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) => {
                Ended { started, went: Went::Nowhere, hold: None, again: None }
            }
            Err(error) => {
                tracing::warn!(delivery.id = %delivery.id, %error, "a try of {} was not recorded", delivery.id);
                let again = Some(self.clock.now() + TRY_AGAIN_AFTER);
                Ended { started, went: Went::Nowhere, hold: None, again }
            }
        }
    }

    /// `None`: it has to wait, because the webhook is disabled.
    async fn deliver_once(&self, clients: &Clients, delivery: &PendingDelivery) -> Result<Option<Tried>, Error> {
        let at = self.clock.now();
        let drop = async |why: &str| {
            let next = DeliveryNext::Dropped { message: self.message_id() };
            self.settle_delivery(delivery, at, &Answer::none(why), next).await?;
            Ok(Some(Tried::default()))
        };
        let Some(webhook) = self.directory.webhook(&delivery.webhook) else {
            return drop("the webhook was deleted").await;
        };
        if !webhook.is_enabled() {
            if delivery.id.minted_at() < at - schedule::WAITING_MAX {
                return drop("the webhook was disabled for too long").await;
            }
            return Ok(None);
        }
        let carried = match self.delivery_bodies.get(&delivery.id) {
            Some(held) => Some(held),
            None => self.read_carried(delivery).await?,
        };
        let Some(Carried { body, trace_context }) = carried.filter(|carried| !carried.body.is_empty()) else {
            return drop("the event was erased").await;
        };
        let trace = self.delivery_context(trace_context.as_ref(), delivery.id, delivery.attempts);
        let start_ns = self.clock.now_ns();
        let answer = clients.post(&webhook, &delivery.id.to_string(), at, body, trace.as_ref()).await;
        self.record_delivery(delivery, trace, trace_context, start_ns, &answer);
        let (now, random) = (self.clock.now(), self.chance.bits32());
        let next = match schedule::after_try(delivery.attempts, answer.tried, now, random) {
            // What is given up may have a queue to be put into.
            DeliveryNext::Failed => DeliveryNext::DeadLetter { message: self.message_id() },
            next => next,
        };
        let failing_since = self.settle_delivery(delivery, at, &answer, next).await?;
        self.disable_if(&webhook, answer.tried, failing_since).await;
        Ok(Some(answer.tried))
    }

    fn message_id(&self) -> MessageId {
        MessageId::from_raw(self.chance.id(self.clock.now()))
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
        attributes
            .extend(answer.tried.status.map(|status| ("http.response.status_code", SpanValue::Number(status.into()))));
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
        answer: &Answer,
        next: DeliveryNext,
    ) -> Result<Option<Timestamp>, Error> {
        let attempt = DeliveryAttempt {
            at,
            status: answer.tried.status,
            error: answer.error.clone(),
            latency_ms: self.clock.now().since(at),
            response: answer.response.clone(),
        };
        self.meters.delivery(outcome(next), attempt.latency_ms);
        if matches!(next, DeliveryNext::DeadLetter { .. } | DeliveryNext::Dropped { .. }) {
            tracing::warn!(delivery.id = %delivery.id, "{} to {} was given up", delivery.id, delivery.webhook);
        }
        self.store.settle_delivery(delivery.id, attempt, next).await
    }

    /// A failure to write it down is not the delivery's: the next try says the same again.
    async fn disable_if(&self, webhook: &WebhookRecord, tried: Tried, failing_since: Option<Timestamp>) {
        let Some(reason) = schedule::disables(tried, failing_since, self.clock.now()) else { return };
        // What was said of another address is not said of this one.
        let current = self.directory.webhook(&webhook.name);
        if !current.is_some_and(|current| current.is_enabled() && current.spec.url == webhook.spec.url) {
            return;
        }
        match self.directory.switch_webhook(&webhook.name, Some(reason)).await {
            Ok(_) => {
                tracing::warn!(webhook.name = %webhook.name, ?reason, "webhook {} is disabled", webhook.name);
                metrics::counter!("sublet_webhooks_disabled_total").increment(1);
            }
            Err(error) => tracing::warn!(%error, "webhook {} could not be disabled", webhook.name),
        }
    }
}

fn note(lines: &mut Lines, ended: Ended, now: Timestamp) {
    if let Some(until) = ended.hold {
        lines.hold(&ended.started.delivery.webhook, until);
    }
    lines.ended(&ended.started, ended.went);
    if let Some(due) = ended.again {
        lines.arrive(PendingDelivery { due, ..ended.started.delivery }, now);
    }
}

/// What a try may come to, as metrics say it.
pub(crate) const DELIVERY_OUTCOMES: [&str; 4] = ["delivered", "retried", "failed", "dropped"];

fn outcome(next: DeliveryNext) -> &'static str {
    match next {
        DeliveryNext::Delivered => "delivered",
        DeliveryNext::Retry { .. } => "retried",
        DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } => "failed",
        DeliveryNext::Dropped { .. } => "dropped",
    }
}
