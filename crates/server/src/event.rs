//! `/v1/events`: publishing, looking at what came, and the whole story of one event.

use axum::Extension;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sublet_engine::{Receipt, Viewer, identity_key};
use sublet_model::event::SOURCE_SUBLET;
use sublet_model::{EventId, EventInput, TraceContext, limit};
use sublet_store::{EventRecord, EventStatus, RejectReason};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Listing;
use crate::auth::{AppState, Caller, Operator};
use crate::body;
use crate::edge::RequestId;
use crate::param::{Path, Query, page};
use crate::problem::{Problem, ProblemBody};
use crate::schema::{EnvelopeSchema, EventInputSchema, ExplanationSchema};
use crate::trace;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(publish_events, list_events)).routes(routes!(explain_event))
}

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
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    request_body(content = EventOrEvents, description = "One event, at most 256 KiB, or an array of them, at most 8 MiB"),
    responses(
        (status = 202, description = "Accepted, and durable", body = PublishedOrEntries),
        (status = 200, description = "Published before; the first answer again", body = PublishedEvent),
        (status = 207, description = "Some entries were refused", body = Vec<Entry>),
    ),
    security(("key" = []))
)]
async fn publish_events(
    operator: Operator,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let (trace_context, span) = operator.engine().begin_trace(trace::of(request.headers()));
    let method = request.method().clone();
    let answer = publish(&operator, &request_id, request, trace_context).await;
    let status = answer.as_ref().map_or_else(Problem::status, Response::status);
    trace::end(operator.engine(), span, &method, "/v1/events", status.as_u16(), &request_id);
    answer
}

async fn publish(
    operator: &Operator,
    request_id: &RequestId,
    request: Request,
    trace_context: Option<TraceContext>,
) -> Result<Response, Problem> {
    body::require_json(request.headers())?;
    let bytes = body::read(request, limit::BATCH_BYTES_MAX).await?;
    body::check_depth(&bytes)?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        publish_batch(operator, request_id, &bytes, trace_context).await
    } else {
        publish_one(operator, &bytes, trace_context).await
    }
}

async fn publish_one(
    operator: &Operator,
    bytes: &[u8],
    trace_context: Option<TraceContext>,
) -> Result<Response, Problem> {
    let input = EventInput { trace_context, ..read_event(bytes)? };
    let answers = operator.engine().publish(vec![input]).await?;
    let receipt = answers.into_iter().next().ok_or_else(lost_answer)??;
    let status = if receipt.repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(PublishedEvent::from(receipt))).into_response())
}

async fn publish_batch(
    operator: &Operator,
    request_id: &RequestId,
    bytes: &[u8],
    trace_context: Option<TraceContext>,
) -> Result<Response, Problem> {
    let Entries(texts) = body::parse_borrowed(bytes)?;
    // Entries that do not read are answered in their place; the others are published in one commit.
    let mut inputs = Vec::with_capacity(texts.len());
    let mut refused = Vec::with_capacity(texts.len());
    for text in texts {
        match read_event(text.get().as_bytes()) {
            Ok(input) => {
                inputs.push(EventInput { trace_context: trace_context.clone(), ..input });
                refused.push(None);
            }
            Err(problem) => refused.push(Some(problem)),
        }
    }
    let published = if inputs.is_empty() { Vec::new() } else { operator.engine().publish(inputs).await? };
    let mut published = published.into_iter();
    let mut entries = Vec::with_capacity(refused.len());
    let mut status = StatusCode::ACCEPTED;
    for problem in refused {
        let answer = match problem {
            Some(problem) => Err(problem),
            None => published.next().ok_or_else(lost_answer)?.map_err(Problem::from),
        };
        entries.push(match answer {
            Ok(receipt) => Entry::Published(receipt.into()),
            Err(problem) => {
                status = StatusCode::MULTI_STATUS;
                Entry::Refused { error: problem.logged(request_id).into_body() }
            }
        });
    }
    Ok((status, axum::Json(entries)).into_response())
}

fn lost_answer() -> Problem {
    sublet_model::Error::internal("the engine answered fewer entries than it was handed").into()
}

/// Errors: 413, 400 with the field, 403 for the reserved source.
fn read_event(bytes: &[u8]) -> Result<EventInput, Problem> {
    if bytes.len() > limit::EVENT_BYTES_MAX {
        return Err(Problem::too_large("event", limit::EVENT_BYTES_MAX));
    }
    let input: EventInput = body::parse(bytes)?;
    input.validate()?;
    if input.source == SOURCE_SUBLET {
        return Err(Problem::forbidden("the source `sublet` is reserved for result events").with_field("source"));
    }
    Ok(input)
}

/// An array's entries as text, none of them read yet, and never more than there may be.
struct Entries<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<'a>, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "an array of 1 to {} events", limit::EVENTS_PER_BATCH_MAX)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Entries<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = entries.next_element()? {
                    if texts.len() == limit::EVENTS_PER_BATCH_MAX {
                        return Err(de::Error::custom(format_args!(
                            "must be an array of 1 to {} events",
                            limit::EVENTS_PER_BATCH_MAX
                        )));
                    }
                    texts.push(text);
                }
                if texts.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(Entries(texts)) }
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

impl From<Receipt> for PublishedEvent {
    fn from(receipt: Receipt) -> PublishedEvent {
        let (status, reason) = status_of(receipt.status);
        PublishedEvent { id: receipt.id.to_string(), status, reason, repeated: receipt.repeated }
    }
}

fn status_of(status: EventStatus) -> (&'static str, Option<&'static str>) {
    match status {
        EventStatus::Matched => ("matched", None),
        EventStatus::Unmatched => ("unmatched", None),
        EventStatus::Rejected(RejectReason::UnknownTenant) => ("rejected", Some("unknown_tenant")),
        EventStatus::Rejected(RejectReason::SuspendedTenant) => ("rejected", Some("suspended_tenant")),
        EventStatus::Rejected(RejectReason::Loop) => ("rejected", Some("loop")),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Of this tenant alone.
    tenant: Option<String>,
    /// With `tenant` and `id`: the one event that its publisher called so.
    source: Option<String>,
    /// With `tenant` and `source`: the publisher's own id.
    id: Option<String>,
    /// What an earlier page gave as `next`.
    cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

/// An event as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// `evt_…`
    id: String,
    /// `matched`, `unmatched` or `rejected`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    accepted: String,
    /// How many events begot it.
    depth: u8,
    /// Left out once it was erased with its tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EnvelopeSchema>)]
    event: Option<Box<RawValue>>,
    invocations: Vec<String>,
    deliveries: Vec<String>,
    messages: Vec<String>,
}

impl TryFrom<EventRecord> for EventView {
    type Error = Problem;

    fn try_from(record: EventRecord) -> Result<EventView, Problem> {
        let (status, reason) = status_of(record.status);
        let event = match record.body.as_ref() {
            [] => None,
            body => Some(serde_json::from_slice(body).map_err(sublet_model::Error::internal)?),
        };
        Ok(EventView {
            id: record.id.to_string(),
            status,
            reason,
            accepted: record.id.minted_at().to_string(),
            depth: record.depth,
            event,
            invocations: record.invocations.iter().map(ToString::to_string).collect(),
            deliveries: record.deliveries.iter().map(ToString::to_string).collect(),
            messages: record.messages.iter().map(ToString::to_string).collect(),
        })
    }
}

#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the answer; never built")]
enum EventsOrOne {
    Page(Listing<EventView>),
    One(Box<ExplanationSchema>),
}

/// Events, newest first; or, with `tenant`, `source` and `id`, the story of that one.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(EventsQuery),
    responses((status = 200, description = "A page, or the story of the one that was named", body = EventsOrOne)),
    security(("key" = []))
)]
async fn list_events(caller: Caller, Query(query): Query<EventsQuery>) -> Result<Response, Problem> {
    let named = query.tenant.as_deref();
    match (named, &query.source, &query.id) {
        (Some(tenant), Some(source), Some(id)) => return explain_named(&caller, tenant, source, id).await,
        (_, None, None) => {}
        _ => return Err(Problem::invalid("id", "`tenant`, `source` and `id` name an event together")),
    }
    let tenant = caller.tenant_filter(named).await?;
    let page = page(query.cursor, query.limit)?;
    let listing = caller.store().events(tenant.map(|tenant| tenant.id), page).await?;
    let items = listing.items.into_iter().map(EventView::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(axum::Json(Listing { items, next: listing.next }).into_response())
}

#[derive(Debug, Deserialize)]
struct EventPath {
    id: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PublisherQuery {
    /// With `source`: the id in the path is the publisher's own.
    tenant: Option<String>,
    /// With `tenant`: the id in the path is the publisher's own.
    source: Option<String>,
}

/// The event and all that became of it, with reasons.
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "events",
    params(PublisherQuery),
    responses((status = 200, description = "Its story", body = ExplanationSchema)),
    security(("key" = []))
)]
async fn explain_event(
    caller: Caller,
    Path(path): Path<EventPath>,
    Query(query): Query<PublisherQuery>,
) -> Result<Response, Problem> {
    match (query.tenant, query.source) {
        (Some(tenant), Some(source)) => explain_named(&caller, &tenant, &source, &path.id).await,
        (None, None) => {
            let id: EventId = path.id.parse().map_err(|error| Problem::invalid("id", format!("{error}")))?;
            explain(&caller, id).await
        }
        _ => Err(Problem::invalid("source", "`tenant` and `source` go together")),
    }
}

async fn explain_named(caller: &Caller, tenant: &str, source: &str, id: &str) -> Result<Response, Problem> {
    // Before the look-up: whether another tenant has such an event must not show in the words of the answer.
    if matches!(caller.viewer(), Viewer::Tenant(_)) {
        caller.tenant_filter(Some(tenant)).await?;
    }
    let found = caller.store().event_by_identity(identity_key(tenant, source, id)).await?;
    let event = found.ok_or_else(|| Problem::not_found("event"))?;
    explain(caller, event.id).await
}

async fn explain(caller: &Caller, id: EventId) -> Result<Response, Problem> {
    Ok(axum::Json(caller.engine().explain(id, caller.viewer()).await?).into_response())
}
