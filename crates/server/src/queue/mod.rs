//! `/v1/queues`: named queues for the operator's own consumers. The operator's alone. `message` is what consumers do,
//! `dead` what became of messages nobody acknowledged; here is what the operator sets up.

mod dead;
mod message;

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{Name, QueueSpec};
use sublet_store::QueueRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Items, put};
use crate::auth::{AppState, Operator};
use crate::body::JsonOrDefault;
use crate::param::Path;
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_queues))
        .routes(routes!(put_queue, get_queue, delete_queue))
        .merge(message::routes())
        .merge(dead::routes())
}

#[derive(Debug, Deserialize)]
struct QueuePath {
    queue: Name,
}

/// Errors: 404.
fn find(operator: &Operator, path: &QueuePath) -> Result<Arc<QueueRecord>, Problem> {
    let found = operator.engine().registry().queue(&path.queue);
    found.ok_or_else(|| Problem::not_found(format_args!("queue {}", path.queue)))
}

/// What is said of a queue; what is left out has its default.
#[derive(ToSchema)]
#[schema(as = QueueSpec, example = json!({"retention": "4d", "receives_max": 5, "lease": "30s", "depth": 100_000}))]
#[allow(dead_code, reason = "describes the body; never built")]
struct QueueSpecSchema {
    /// How long a message is kept, `1m` to `14d`; a dead letter from when it died. `4d` if left out.
    retention: Option<String>,
    /// How often a message is handed out before it is a dead letter, 1 to 1000; 5 if left out.
    receives_max: Option<u32>,
    /// How long a consumer has to acknowledge if it does not say, `1s` to `12h`; `30s` if left out.
    lease: Option<String>,
    /// Messages that wait or are in flight, 1 to 1000000; 100000 if left out. Beyond it, publishing what would be put here
    /// is 429.
    depth: Option<u64>,
}

/// How a queue stands.
#[derive(Debug, Serialize, ToSchema)]
struct QueueStatsView {
    waiting: u64,
    in_flight: u64,
    dead: u64,
    /// Age of the oldest that waits or is in flight, in seconds.
    oldest_age_s: Option<u64>,
    /// Receives that wait for a message right now.
    receives_waiting: u64,
}

/// A named queue.
#[derive(Debug, Serialize, ToSchema)]
struct QueueView {
    /// `que_…`
    id: String,
    name: String,
    retention: String,
    receives_max: u32,
    lease: String,
    depth: u64,
    created: String,
    stats: QueueStatsView,
}

impl QueueView {
    async fn of(operator: &Operator, record: &QueueRecord) -> Result<QueueView, Problem> {
        let stats = operator.engine().queue_stats(record).await?;
        let now = operator.now();
        Ok(QueueView {
            id: record.id.to_string(),
            name: record.name.to_string(),
            retention: record.spec.retention.to_string(),
            receives_max: record.spec.receives_max,
            lease: record.spec.lease.to_string(),
            depth: record.spec.depth,
            created: record.created.to_string(),
            stats: QueueStatsView {
                waiting: stats.waiting,
                in_flight: stats.in_flight,
                dead: stats.dead,
                oldest_age_s: stats.oldest.map(|put| now.since(put) / 1_000),
                receives_waiting: stats.polls,
            },
        })
    }
}

/// Make a queue, or change what it is; its messages stay.
#[utoipa::path(
    put,
    path = "/v1/queues/{queue}",
    tag = "queues",
    request_body(content = QueueSpecSchema, description = "May be left out: everything by default"),
    responses(
        (status = 201, description = "Made", body = QueueView),
        (status = 200, description = "Changed", body = QueueView),
    ),
    security(("key" = []))
)]
async fn put_queue(
    operator: Operator,
    Path(path): Path<QueuePath>,
    JsonOrDefault(spec): JsonOrDefault<QueueSpec>,
) -> Result<(StatusCode, axum::Json<QueueView>), Problem> {
    let (record, is_new) = operator.engine().registry().put_queue(&path.queue, spec).await?;
    Ok(put(QueueView::of(&operator, &record).await?, is_new))
}

/// A queue, and how it stands.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}",
    tag = "queues",
    responses((status = 200, description = "The queue", body = QueueView)),
    security(("key" = []))
)]
async fn get_queue(operator: Operator, Path(path): Path<QueuePath>) -> Result<axum::Json<QueueView>, Problem> {
    let record = find(&operator, &path)?;
    Ok(axum::Json(QueueView::of(&operator, &record).await?))
}

/// Delete a queue with every message in it. Rules that target it match on and put nothing.
#[utoipa::path(
    delete,
    path = "/v1/queues/{queue}",
    tag = "queues",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_queue(operator: Operator, Path(path): Path<QueuePath>) -> Result<StatusCode, Problem> {
    let record = find(&operator, &path)?;
    operator.engine().delete_queue(&record).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Queues, by name, and how each stands.
#[utoipa::path(
    get,
    path = "/v1/queues",
    tag = "queues",
    responses((status = 200, description = "All of them", body = Items<QueueView>)),
    security(("key" = []))
)]
async fn list_queues(operator: Operator) -> Result<axum::Json<Items<QueueView>>, Problem> {
    let mut items = Vec::new();
    for record in operator.engine().registry().queues() {
        items.push(QueueView::of(&operator, &record).await?);
    }
    Ok(axum::Json(Items { items }))
}
