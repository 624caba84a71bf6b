//! The kill switch and the way out of quarantine: `…/stop`, `…/start`, `…/release`.

use serde::{Deserialize, Serialize};
use sublet_model::{Error, ErrorKind, Timestamp};
use sublet_store::{Quarantine, Stop, StoppedBy, TenantRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, TenantAdmin, TenantScope};
use crate::body::Json;
use crate::function::{FunctionPath, FunctionView, find};
use crate::param::{Path, Query};
use crate::problem::Problem;
use crate::tenant::TenantView;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(stop_tenant))
        .routes(routes!(start_tenant))
        .routes(routes!(stop_function))
        .routes(routes!(start_function))
        .routes(routes!(release_function))
}

/// Somebody asked for it; nothing starts, and what waits goes on waiting.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"reason": "it floods the mail server", "by": "operator", "at": "2026-01-31T09:30:00Z"}))]
pub(crate) struct StopView {
    reason: String,
    /// `operator`, or the `tenant` itself.
    #[schema(value_type = String, example = "operator")]
    by: StoppedBy,
    at: String,
}

impl From<&Stop> for StopView {
    fn from(stop: &Stop) -> StopView {
        StopView { reason: stop.reason.clone(), by: stop.by, at: stop.at.to_string() }
    }
}

/// It earned it; nothing starts, and what waits is a dead letter at its turn, until another version is live or the
/// operator releases it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "reason": "20 of its last 20 attempts went on past their time limit", "cause": "timeouts", "count": 20, "of": 20,
    "first_invocation": "inv_01k8w3c5d7f9g", "last_invocation": "inv_01k8w3c5d7f9h", "at": "2026-01-31T09:30:00Z"
}))]
pub(crate) struct QuarantineView {
    reason: String,
    /// `crashes` or `timeouts`.
    cause: &'static str,
    /// Attempts that ended so, of how many.
    count: u32,
    of: u32,
    first_invocation: Option<String>,
    last_invocation: Option<String>,
    at: String,
}

impl From<&Quarantine> for QuarantineView {
    fn from(why: &Quarantine) -> QuarantineView {
        QuarantineView {
            reason: why.reason.clone(),
            cause: why.cause.as_str(),
            count: why.count,
            of: why.of,
            first_invocation: why.first.map(|id| id.to_string()),
            last_invocation: why.last.map(|id| id.to_string()),
            at: why.at.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "it floods the mail server"}))]
pub(crate) struct StopBody {
    /// 1 to 500 characters. The tenant sees it.
    reason: String,
}

impl StopBody {
    fn stop(self, by: StoppedBy, at: Timestamp) -> Result<Stop, Problem> {
        let length = self.reason.trim().chars().count();
        if length == 0 || length > REASON_CHARS_MAX {
            return Err(Problem::invalid("reason", format!("must have 1 to {REASON_CHARS_MAX} characters")));
        }
        Ok(Stop { reason: self.reason.trim().to_owned(), by, at })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StopQuery {
    /// `true` cancels the invocations whose attempts are ended; when left out they go back into the queue, with no retry
    /// spent.
    cancel: Option<bool>,
}

/// A tenant that was stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoppedTenant {
    tenant: TenantView,
    /// Running attempts that were ended.
    ended: usize,
}

/// A function that was stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoppedFunction {
    function: FunctionView,
    /// Running attempts that were ended.
    ended: usize,
}

async fn tenant_of(admin: &TenantAdmin) -> Result<std::sync::Arc<TenantRecord>, Problem> {
    let found = admin.engine().registry().tenant(admin.name.as_str()).await?;
    found.ok_or_else(|| Problem::not_found(format_args!("tenant {}", admin.name)))
}

/// Stop a tenant: it is suspended, and what runs of it ends now.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/stop",
    tag = "tenants",
    params(StopQuery),
    request_body = StopBody,
    responses((status = 200, description = "Stopped", body = StoppedTenant)),
    security(("key" = []))
)]
async fn stop_tenant(
    admin: TenantAdmin,
    Query(query): Query<StopQuery>,
    Json(body): Json<StopBody>,
) -> Result<axum::Json<StoppedTenant>, Problem> {
    let record = tenant_of(&admin).await?;
    let stop = body.stop(StoppedBy::Operator, admin.now())?;
    let ended = admin.engine().stop_tenant(&record, stop, query.cancel.unwrap_or(false)).await?;
    Ok(axum::Json(StoppedTenant { tenant: TenantView::of(&*tenant_of(&admin).await?, admin.engine()), ended }))
}

/// Let a tenant go on that was stopped or suspended: what waits takes its turn.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/start",
    tag = "tenants",
    responses((status = 200, description = "As it is now", body = TenantView)),
    security(("key" = []))
)]
async fn start_tenant(admin: TenantAdmin) -> Result<axum::Json<TenantView>, Problem> {
    let record = tenant_of(&admin).await?;
    admin.engine().start_tenant(&record).await?;
    Ok(axum::Json(TenantView::of(&*tenant_of(&admin).await?, admin.engine())))
}

/// Stop a function: nothing of it starts, what waits goes on waiting, and what runs ends now.
///
/// A tenant may stop its own; only the operator may lift what the operator stopped.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/stop",
    tag = "functions",
    params(StopQuery),
    request_body = StopBody,
    responses((status = 200, description = "Stopped", body = StoppedFunction)),
    security(("key" = []))
)]
async fn stop_function(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
    Query(query): Query<StopQuery>,
    Json(body): Json<StopBody>,
) -> Result<axum::Json<StoppedFunction>, Problem> {
    let stop = body.stop(speaker(&scope), scope.now())?;
    let cancels = query.cancel.unwrap_or(false);
    let stopped = scope.engine().stop_function(&scope.tenant, &path.function, stop, cancels).await;
    let ended = stopped.map_err(not_own)?;
    let record = find(&scope, &path.function).await?;
    Ok(axum::Json(StoppedFunction { function: FunctionView::of(&record, &scope.tenant.name), ended }))
}

/// Lift a function's stop: what waits takes its turn.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/start",
    tag = "functions",
    responses((status = 200, description = "As it is now", body = FunctionView)),
    security(("key" = []))
)]
async fn start_function(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
) -> Result<axum::Json<FunctionView>, Problem> {
    let started = scope.engine().start_function(&scope.tenant, &path.function, speaker(&scope)).await;
    started.map_err(not_own)?;
    let record = find(&scope, &path.function).await?;
    Ok(axum::Json(FunctionView::of(&record, &scope.tenant.name)))
}

pub(crate) fn speaker(scope: &TenantScope) -> StoppedBy {
    if scope.is_operator() { StoppedBy::Operator } else { StoppedBy::Tenant }
}

/// What the engine calls a conflict is the operator's stop, about which a tenant has no say.
pub(crate) fn not_own(error: Error) -> Problem {
    match error.kind {
        ErrorKind::Conflict => Problem::forbidden(error.message),
        _ => error.into(),
    }
}

/// Release a function from quarantine. What became a dead letter meanwhile may be redriven.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/release",
    tag = "functions",
    responses((status = 200, description = "As it is now", body = FunctionView)),
    security(("key" = []))
)]
async fn release_function(
    admin: TenantAdmin,
    Path(path): Path<FunctionPath>,
) -> Result<axum::Json<FunctionView>, Problem> {
    let tenant = tenant_of(&admin).await?;
    admin.engine().release_function(&tenant, &path.function).await?;
    let found = admin.engine().registry().function(tenant.id, &path.function).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("function {}", path.function)))?;
    Ok(axum::Json(FunctionView::of(&record, &tenant.name)))
}
