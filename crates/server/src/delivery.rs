//! `/v1/deliveries`: what was carried to webhooks, and what answered. The operator's alone.

use serde::{Deserialize, Serialize};
use sublet_model::{DeliveryId, Name, TenantId};
use sublet_store::delivery::DeliveryState;
use sublet_store::{DeliveryAttempt, DeliveryFilter, DeliveryRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Listing;
use crate::auth::{AppState, Operator};
use crate::param::{Path, Query, page};
use crate::problem::Problem;
use crate::schema::DeliveryAttemptSchema;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(get_delivery_balance))
        .routes(routes!(get_delivery))
        .routes(routes!(replay_delivery))
}

/// One result event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `dlv_…`
    id: String,
    webhook: String,
    /// The event it carries.
    event: String,
    /// Whose event; its id once the tenant was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    /// When it is tried next, while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// How often it was sent anew. Its id, which is the `webhook-id`, stays.
    replays: u32,
    /// Oldest first; the newest 50.
    #[schema(value_type = Vec<DeliveryAttemptSchema>)]
    attempts: Vec<DeliveryAttempt>,
}

impl DeliveryView {
    async fn of(operator: &Operator, record: DeliveryRecord) -> Result<DeliveryView, Problem> {
        let tenant = match record.tenant {
            Some(id) => {
                let found = operator.engine().registry().tenant_by_id(id).await?;
                Some(found.map_or_else(|| id.to_string(), |tenant| tenant.name.to_string()))
            }
            None => None,
        };
        let (state, is_pending) = match record.state {
            DeliveryState::Pending => ("pending", true),
            DeliveryState::Delivered => ("delivered", false),
            DeliveryState::Failed => ("failed", false),
        };
        Ok(DeliveryView {
            id: record.id.to_string(),
            webhook: record.webhook.to_string(),
            event: record.event.to_string(),
            tenant,
            state,
            due: is_pending.then(|| record.due.to_string()),
            replays: record.replays,
            attempts: record.attempts,
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeliveriesQuery {
    /// To this webhook alone.
    #[param(value_type = Option<String>)]
    webhook: Option<Name>,
    /// `pending`, `delivered` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<DeliveryState>,
    /// Of this tenant's events alone: its name, or its id once it was deleted.
    tenant: Option<String>,
    /// What an earlier page gave as `next`.
    cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

/// Deliveries, newest first.
#[utoipa::path(
    get,
    path = "/v1/deliveries",
    tag = "webhooks",
    params(DeliveriesQuery),
    responses((status = 200, description = "A page", body = Listing<DeliveryView>)),
    security(("key" = []))
)]
async fn list_deliveries(
    operator: Operator,
    Query(query): Query<DeliveriesQuery>,
) -> Result<axum::Json<Listing<DeliveryView>>, Problem> {
    let page = page(query.cursor, query.limit)?;
    let tenant = match query.tenant.as_deref() {
        None => None,
        Some(named) => Some(tenant_named(&operator, named).await?),
    };
    let filter = DeliveryFilter { webhook: query.webhook, state: query.state, tenant };
    let listing = operator.store().deliveries(filter, page).await?;
    let mut items = Vec::with_capacity(listing.items.len());
    for record in listing.items {
        items.push(DeliveryView::of(&operator, record).await?);
    }
    Ok(axum::Json(Listing { items, next: listing.next }))
}

async fn tenant_named(operator: &Operator, named: &str) -> Result<TenantId, Problem> {
    let found = operator.engine().registry().tenant(named).await?;
    // What it was sent outlives a tenant.
    found.map(|tenant| tenant.id).or_else(|| named.parse().ok()).ok_or_else(|| Problem::not_found("tenant"))
}

/// Every delivery is pending, delivered or failed: `accepted` is added up from the events, the others from the
/// deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryBalanceView {
    accepted: u64,
    pending: u64,
    delivered: u64,
    failed: u64,
    /// Whether accepted = pending + delivered + failed.
    holds: bool,
}

/// The deliveries' conservation equation, over everything that retention has left. Reads every event: not for dashboards.
#[utoipa::path(
    get,
    path = "/v1/deliveries/balance",
    tag = "webhooks",
    responses((status = 200, description = "The equation's terms", body = DeliveryBalanceView)),
    security(("key" = []))
)]
async fn get_delivery_balance(operator: Operator) -> Result<axum::Json<DeliveryBalanceView>, Problem> {
    let balance = operator.store().delivery_balance().await?;
    let (accepted, counts) = (balance.accepted, balance.counts);
    Ok(axum::Json(DeliveryBalanceView {
        accepted,
        pending: counts.pending,
        delivered: counts.delivered,
        failed: counts.failed,
        holds: balance.holds(),
    }))
}

#[derive(Debug, Deserialize)]
struct DeliveryPath {
    id: DeliveryId,
}

/// One delivery with its tries.
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "webhooks",
    responses((status = 200, description = "The delivery", body = DeliveryView)),
    security(("key" = []))
)]
async fn get_delivery(operator: Operator, Path(path): Path<DeliveryPath>) -> Result<axum::Json<DeliveryView>, Problem> {
    let found = operator.store().delivery(path.id).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("delivery {}", path.id)))?;
    Ok(axum::Json(DeliveryView::of(&operator, record).await?))
}

/// Send a delivery anew, whatever became of it: due now, its schedule from the beginning, under the same `webhook-id`.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/replay",
    tag = "webhooks",
    responses((status = 200, description = "The delivery, pending", body = DeliveryView)),
    security(("key" = []))
)]
async fn replay_delivery(
    operator: Operator,
    Path(path): Path<DeliveryPath>,
) -> Result<axum::Json<DeliveryView>, Problem> {
    let record = operator.engine().replay_delivery(path.id).await?;
    Ok(axum::Json(DeliveryView::of(&operator, record).await?))
}
