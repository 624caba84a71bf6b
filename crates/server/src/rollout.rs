//! `/v1/layers/{layer}/rollout` and `…/rollback`: a layer's version on its way into functions, and the way back.

use serde::{Deserialize, Serialize};
use sublet_store::{RolloutFailure, RolloutRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Operator};
use crate::layer::{LayerPath, LayerView};
use crate::param::{Path, Query, page};
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_rollout)).routes(routes!(take_back_layer))
}

/// How far a layer's version is with the functions that used another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "layer": "audit", "version": 4, "state": "failed", "total": 3, "done": 2, "failed_count": 1, "passed_over": 0,
    "failed": [{"tenant": "acme", "function": "enrich", "error": "SyntaxError: index.mjs:3:11: unexpected token"}],
    "restored": 0, "kept": 0, "started": "2026-01-31T09:30:00Z", "ended": "2026-01-31T09:30:01Z"
}))]
pub(crate) struct RolloutView {
    layer: String,
    version: u32,
    /// `running`, `done`, `failed` (at its end, with some that did not build), `superseded` or `taken_back`.
    state: &'static str,
    /// Functions that it is for.
    total: u64,
    /// Functions with a new version that is live.
    done: u64,
    /// Functions that do not build with it and keep their live version.
    failed_count: u64,
    /// Functions that were deployed or deleted meanwhile, and are left alone.
    passed_over: u64,
    /// A page of those that failed.
    failed: Vec<FailureView>,
    /// Ask again with `?cursor=` and this for more that failed; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Of those done, the ones whose former version a rollback made live again.
    restored: u64,
    /// Of those done, the ones that a rollback left alone, because another version was live.
    kept: u64,
    started: String,
    /// Absent while there is something left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct FailureView {
    tenant: String,
    function: String,
    error: String,
}

impl RolloutView {
    fn of(record: &RolloutRecord, failed: Vec<FailureView>, next: Option<String>) -> RolloutView {
        RolloutView {
            layer: record.layer.to_string(),
            version: record.version,
            state: record.state.as_str(),
            total: record.total,
            done: record.made,
            failed_count: record.failed,
            passed_over: record.passed_over,
            failed,
            next,
            restored: record.restored,
            kept: record.kept,
            started: record.started.to_string(),
            ended: record.ended.map(|ended| ended.to_string()),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RolloutQuery {
    /// Of this version; of the newest that was rolled out when left out.
    version: Option<u32>,
    /// What an earlier page of those that failed gave as `next`.
    cursor: Option<String>,
    /// Rows of that page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

/// The rollout of a layer's newest version, or of a named one.
#[utoipa::path(
    get,
    path = "/v1/layers/{layer}/rollout",
    tag = "layers",
    params(RolloutQuery),
    responses((status = 200, description = "How far it is", body = RolloutView)),
    security(("key" = []))
)]
async fn get_rollout(
    operator: Operator,
    Path(path): Path<LayerPath>,
    Query(query): Query<RolloutQuery>,
) -> Result<axum::Json<RolloutView>, Problem> {
    let page = page(query.cursor, query.limit)?;
    let found = operator.store().rollout(&path.layer, query.version).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("a rollout of layer {}", path.layer)))?;
    let listing = operator.store().rollout_failures(&path.layer, record.version, page).await?;
    let mut failed = Vec::with_capacity(listing.items.len());
    for failure in listing.items {
        failed.push(failure_of(&operator, failure).await?);
    }
    Ok(axum::Json(RolloutView::of(&record, failed, listing.next)))
}

/// A function that was deleted since is told of by its id.
async fn failure_of(operator: &Operator, failure: RolloutFailure) -> Result<FailureView, Problem> {
    let registry = operator.engine().registry();
    let tenant = registry.tenant_by_id(failure.tenant).await?;
    let function = registry.function_by_id(failure.tenant, failure.function).await?;
    Ok(FailureView {
        tenant: tenant.map_or_else(|| failure.tenant.to_string(), |record| record.name.to_string()),
        function: function.map_or_else(|| failure.function.to_string(), |record| record.name.to_string()),
        error: failure.error,
    })
}

/// What a layer is after a version of it was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenBackView {
    /// The version that is current again.
    current: LayerView,
    /// The rollout that was taken back; absent when the version had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutView>,
}

/// Take a layer's current version back.
///
/// Every function whose live version is still the one that its rollout made gets its former version live again; those
/// deployed since are left alone. New versions of functions take the layer's version before it; called again, it goes
/// one further back. Publishing goes on with the next number.
#[utoipa::path(
    post,
    path = "/v1/layers/{layer}/rollback",
    tag = "layers",
    responses((status = 200, description = "Taken back", body = TakenBackView)),
    security(("key" = []))
)]
async fn take_back_layer(
    operator: Operator,
    Path(path): Path<LayerPath>,
) -> Result<axum::Json<TakenBackView>, Problem> {
    let (current, rollout) = operator.engine().take_back_layer(&path.layer).await?;
    let rollout = rollout.map(|record| RolloutView::of(&record, Vec::new(), None));
    Ok(axum::Json(TakenBackView { current: LayerView::from(&current), rollout }))
}
