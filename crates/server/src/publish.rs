//! `POST /v1/events`: one event or many, ours or CloudEvents, packed or not.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sublet_engine::Receipt;
use sublet_intake::{ContentType, Encoding, Header, Mode, cloudevents, native};
use sublet_model::{EventInput, TraceContext, limit};
use utoipa::ToSchema;

use crate::auth::Operator;
use crate::body;
use crate::edge::RequestId;
use crate::event::status_of;
use crate::idempotency::{Answers, Begun, IdempotencyKey, Remembered};
use crate::problem::{Problem, ProblemBody};
use crate::schema::EventInputSchema;
use crate::trace;

/// What became of a published event at once. Its invocations run later.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"id": "evt_01k8w3c5d7f9g", "status": "matched", "repeated": false}))]
pub(crate) struct PublishedEvent {
    /// `evt_…`
    id: String,
    /// `matched`, `unmatched` or `rejected`.
    status: &'static str,
    /// Why it was rejected: `unknown_tenant`, `suspended_tenant` or `loop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The same event was published before; the rest is the first answer.
    repeated: bool,
}

/// One entry's answer in a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Entry {
    Published(PublishedEvent),
    Refused { error: ProblemBody },
}

#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the body; never built")]
#[schema(as = EventOrEvents)]
enum EventOrEvents {
    One(EventInputSchema),
    Many(Vec<EventInputSchema>),
}

#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the answer; never built")]
enum PublishedOrEntries {
    One(PublishedEvent),
    Many(Vec<Entry>),
}

/// Publish one event or up to 1,000.
///
/// Durable before the answer. One event: 202, or 200 when it was published before. An array: answered entry by entry in
/// its order, 202 when each was accepted, 207 when one or more were not.
///
/// CloudEvents 1.0 in binary (`ce-` headers), structured (`application/cloudevents+json`) and batched
/// (`application/cloudevents-batch+json`) mode are taken as well, the tenant in the extension `tenant` or the header
/// `Sublet-Tenant`. Bodies may be packed with gzip or zstd. With an `Idempotency-Key` a repeat of the same request is
/// answered with the first answer for ten minutes.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be repeated"),
        ("Sublet-Tenant" = Option<String>, Header, description = "The tenant of CloudEvents that do not name theirs"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    request_body(content = EventOrEvents, description = "One event, at most 256 KiB, or an array of them, at most 8 MiB"),
    responses(
        (status = 202, description = "Accepted, and durable", body = PublishedOrEntries),
        (status = 200, description = "Published before; the first answer again", body = PublishedEvent),
        (status = 207, description = "Some entries were refused", body = Vec<Entry>),
    ),
    security(("key" = []))
)]
pub(crate) async fn publish_events(
    operator: Operator,
    Extension(request_id): Extension<RequestId>,
    Extension(answers): Extension<Arc<Answers>>,
    request: Request,
) -> Result<Response, Problem> {
    let (trace_context, span) = operator.engine().begin_trace(trace::of(request.headers()));
    let method = request.method().clone();
    let publication = Publication { operator: &operator, request_id: &request_id, trace_context };
    let answer = publication.carry_out(&answers, request).await;
    let status = answer.as_ref().map_or_else(Problem::status, Response::status);
    trace::end(operator.engine(), span, &method, "/v1/events", status.as_u16(), &request_id);
    answer
}

/// One event or many, as the request had it: the answer has the same form.
enum Read {
    One(Box<sublet_intake::Entry>),
    Many(Vec<sublet_intake::Entry>),
}

struct Publication<'a> {
    operator: &'a Operator,
    request_id: &'a RequestId,
    /// The request's; an event with a trace of its own keeps it.
    trace_context: Option<TraceContext>,
}

impl Publication<'_> {
    async fn carry_out(self, answers: &Arc<Answers>, request: Request) -> Result<Response, Problem> {
        let headers = request.headers().clone();
        // All that the headers alone decide comes before the body is read.
        let fields = fields(&headers);
        let content = ContentType::of(&fields)?;
        let mode = Mode::of(content.as_ref(), &fields)?;
        let encoding = Encoding::of(&fields)?;
        let key = IdempotencyKey::of(&headers)?;
        let body = body::read_packed(request, limit::BATCH_BYTES_MAX, encoding).await?;
        let Some(key) = key else {
            let read = read(mode, content.as_ref(), &fields, &body)?;
            return Ok(self.publish(read, None).await?.into_response());
        };
        let begun = answers.begin(&key, key.fingerprint(&headers, &body), self.operator.now());
        let claim = match begun {
            Begun::Fresh(claim) => claim,
            Begun::Known(remembered) => return Ok(remembered.into_response()),
            Begun::OtherBody => return Err(Problem::idempotency_key_reused()),
            Begun::InProgress => return Err(Problem::idempotency_key_in_progress()),
        };
        let read = read(mode, content.as_ref(), &fields, &body)?;
        let remembered = self.publish(read, Some(&key)).await?;
        claim.keep(remembered.clone());
        Ok(remembered.into_response())
    }

    async fn publish(self, read: Read, key: Option<&IdempotencyKey>) -> Result<Remembered, Problem> {
        match read {
            Read::One(entry) => {
                let mut answers = self.answers_to(vec![*entry], key).await?;
                let receipt = answers.pop().ok_or_else(lost_answer)??;
                let status = if receipt.repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
                Remembered::of(status, &PublishedEvent::from(receipt))
            }
            Read::Many(entries) => {
                let mut status = StatusCode::ACCEPTED;
                let mut shown = Vec::with_capacity(entries.len());
                for answer in self.answers_to(entries, key).await? {
                    shown.push(match answer {
                        Ok(receipt) => Entry::Published(receipt.into()),
                        Err(problem) => {
                            status = StatusCode::MULTI_STATUS;
                            Entry::Refused { error: problem.logged(self.request_id).into_body() }
                        }
                    });
                }
                Remembered::of(status, &shown)
            }
        }
    }

    /// Entries that did not read are answered in their place; the others are published in one commit.
    async fn answers_to(
        &self,
        entries: Vec<sublet_intake::Entry>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<Result<Receipt, Problem>>, Problem> {
        let mut inputs = Vec::with_capacity(entries.len());
        // Of each entry: why it was refused, or whether the key stands for its id.
        let mut places: Vec<Result<bool, Problem>> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            match entry {
                Ok(input) => {
                    let is_named_by_key = key.is_some() && input.id.is_none();
                    places.push(Ok(is_named_by_key));
                    inputs.push(EventInput {
                        trace_context: input.trace_context.or_else(|| self.trace_context.clone()),
                        retry_key: key.map(|key| key.of_entry(index)),
                        ..input
                    });
                }
                Err(refusal) => places.push(Err(refusal.into())),
            }
        }
        let published = if inputs.is_empty() { Vec::new() } else { self.operator.engine().publish(inputs).await? };
        let mut published = published.into_iter();
        let mut answers = Vec::with_capacity(places.len());
        for place in places {
            answers.push(match place {
                Err(problem) => Err(problem),
                Ok(is_named_by_key) => match published.next().ok_or_else(lost_answer)? {
                    Err(error) if is_named_by_key && error.kind == sublet_model::ErrorKind::Conflict => {
                        Err(Problem::idempotency_key_reused())
                    }
                    answer => answer.map_err(Problem::from),
                },
            });
        }
        Ok(answers)
    }
}

/// Header fields as the ways in take them.
fn fields(headers: &HeaderMap) -> Vec<Header<'_>> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn read(mode: Mode, content: Option<&ContentType>, headers: &[Header<'_>], body: &Bytes) -> Result<Read, Problem> {
    if mode == Mode::Binary {
        return Ok(Read::One(Box::new(cloudevents::read_binary(content, headers, body))));
    }
    let transcoded = match content {
        Some(content) => native::transcoded(content, body)?,
        None => None,
    };
    let text = transcoded.as_deref().unwrap_or(body);
    let tenant = cloudevents::tenant_header(headers)?;
    Ok(match mode {
        Mode::Structured => Read::One(Box::new(cloudevents::read_structured(text, tenant))),
        Mode::Batch => Read::Many(cloudevents::read_batch(text, tenant)?),
        Mode::Native | Mode::Binary if native::is_array(text) => Read::Many(native::read_array(text)?),
        Mode::Native | Mode::Binary => Read::One(Box::new(native::read_one(text))),
    })
}

fn lost_answer() -> Problem {
    sublet_model::Error::internal("the engine answered fewer entries than it was handed").into()
}

impl From<Receipt> for PublishedEvent {
    fn from(receipt: Receipt) -> PublishedEvent {
        let (status, reason) = status_of(receipt.status);
        PublishedEvent { id: receipt.id.to_string(), status, reason, repeated: receipt.repeated }
    }
}

impl IntoResponse for Remembered {
    fn into_response(self) -> Response {
        let replayed = self.is_replay.then_some([("sublet-replayed", "true")]);
        (self.status, [(header::CONTENT_TYPE, "application/json")], replayed, self.body).into_response()
    }
}
