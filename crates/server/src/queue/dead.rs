//! `…/dead-letters`: messages that were handed out too often, listed, put back, erased.

use serde::{Deserialize, Serialize};
use sublet_model::MessageId;
use sublet_store::MessageSelection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::message::OriginView;
use super::{QueuePath, find};
use crate::answer::{Count, Listing};
use crate::auth::{AppState, Operator};
use crate::body::{Json, JsonOrDefault};
use crate::param::{PageQuery, Path, Query};
use crate::problem::Problem;

/// Messages that one call names.
const SELECTED_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_dead_messages, purge_dead_messages)).routes(routes!(redrive_dead_messages))
}

/// A dead letter of a queue. What it carries is seen once it is put back and received.
#[derive(Debug, Serialize, ToSchema)]
struct DeadMessageView {
    /// `msg_…`
    id: String,
    /// `evt_…`: the event it came from.
    event_id: String,
    /// How often it was handed out in all.
    receives: u32,
    put: String,
    died: String,
    /// Of a dead letter of something else: what was lost, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginView>,
}

/// Which dead letters: `ids`, or `all`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct MessagesBody {
    /// At most 1,000.
    #[schema(value_type = Option<Vec<String>>)]
    ids: Option<Vec<MessageId>>,
    all: Option<bool>,
}

impl MessagesBody {
    /// `None`: neither was said.
    fn selection(self) -> Result<Option<MessageSelection>, Problem> {
        match (self.ids, self.all.unwrap_or(false)) {
            (Some(_), true) => Err(Problem::invalid("all", "cannot be together with `ids`")),
            (Some(ids), false) if ids.len() > SELECTED_MAX => {
                Err(Problem::invalid("ids", format!("must name at most {SELECTED_MAX}")))
            }
            (Some(ids), false) => Ok(Some(MessageSelection::Ids(ids))),
            (None, true) => Ok(Some(MessageSelection::All)),
            (None, false) => Ok(None),
        }
    }
}

/// The queue's dead letters, newest first.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}/dead-letters",
    tag = "queues",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<DeadMessageView>)),
    security(("key" = []))
)]
async fn list_dead_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<DeadMessageView>>, Problem> {
    let queue = find(&operator, &path)?;
    let listing = operator.store().dead_messages(queue.id, query.page()?).await?;
    let items = listing.items.into_iter().map(|record| DeadMessageView {
        id: record.id.to_string(),
        event_id: record.event.to_string(),
        receives: record.receives,
        put: record.id.minted_at().to_string(),
        died: record.ended.unwrap_or(record.due).to_string(),
        origin: record.origin.map(OriginView::from),
    });
    Ok(axum::Json(Listing { items: items.collect(), next: listing.next }))
}

/// Dead letters back into their queue, due now, with fresh receives. All of them when none are named.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/dead-letters/redrive",
    tag = "queues",
    request_body(content = MessagesBody, description = "May be left out: all of them"),
    responses((status = 200, description = "How many were put back", body = Count)),
    security(("key" = []))
)]
async fn redrive_dead_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    JsonOrDefault(body): JsonOrDefault<MessagesBody>,
) -> Result<axum::Json<Count>, Problem> {
    let queue = find(&operator, &path)?;
    let selection = body.selection()?.unwrap_or(MessageSelection::All);
    let count = operator.engine().redrive_messages(queue.id, selection).await?;
    Ok(axum::Json(Count { count }))
}

/// Erase dead letters.
#[utoipa::path(
    delete,
    path = "/v1/queues/{queue}/dead-letters",
    tag = "queues",
    request_body = MessagesBody,
    responses((status = 200, description = "How many were erased", body = Count)),
    security(("key" = []))
)]
async fn purge_dead_messages(
    operator: Operator,
    Path(path): Path<QueuePath>,
    Json(body): Json<MessagesBody>,
) -> Result<axum::Json<Count>, Problem> {
    let queue = find(&operator, &path)?;
    // It cannot be taken back, so "all" is never what leaving it out means.
    let selection =
        body.selection()?.ok_or_else(|| Problem::invalid("ids", "name the messages, or say `\"all\": true`"))?;
    let count = operator.engine().purge_messages(queue.id, selection).await?;
    Ok(axum::Json(Count { count }))
}
