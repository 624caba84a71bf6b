//! `GET /v1/events`: looking at what came, and the whole story of one event. Publishing is `publish.rs`'s.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sublet_engine::{Viewer, identity_key};
use sublet_model::EventId;
use sublet_store::{EventRecord, EventStatus, RejectReason};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Listing;
use crate::auth::{AppState, Caller};
use crate::param::{Path, Query, page};
use crate::problem::Problem;
use crate::publish::{__path_publish_events, publish_events};
use crate::schema::{EnvelopeSchema, ExplanationSchema};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(publish_events, list_events)).routes(routes!(explain_event))
}

pub(crate) fn status_of(status: EventStatus) -> (&'static str, Option<&'static str>) {
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
