//! `/v1/tenants/{tenant}/functions`: what the tenant has, and how each runs.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{FunctionConfig, Name};
use sublet_store::FunctionRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Listing, put};
use crate::auth::{AppState, TenantScope};
use crate::body::JsonOrDefault;
use crate::param::{PageQuery, Path, Query};
use crate::problem::Problem;
use crate::schema::FunctionConfigSchema;
use crate::stop::{QuarantineView, StopView, not_own, speaker};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_functions)).routes(routes!(put_function, get_function, delete_function))
}

/// A function, with what its next version will freeze.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FunctionView {
    /// `fn_…`
    id: String,
    tenant: String,
    name: String,
    #[serde(flatten)]
    #[schema(value_type = FunctionConfigSchema)]
    config: FunctionConfig,
    /// The version that `live` points to.
    live: Option<u32>,
    /// Nothing of it starts, because it did harm.
    quarantined: Option<QuarantineView>,
    /// Nothing of it starts, because somebody said so.
    stopped: Option<StopView>,
    created: String,
}

impl FunctionView {
    pub(crate) fn of(record: &FunctionRecord, tenant: &Name) -> FunctionView {
        FunctionView {
            id: record.id.to_string(),
            tenant: tenant.to_string(),
            name: record.name.to_string(),
            config: record.config.clone(),
            live: record.live,
            quarantined: record.quarantined.as_ref().map(QuarantineView::from),
            stopped: record.stopped.as_ref().map(StopView::from),
            created: record.created.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionPath {
    pub(crate) function: Name,
}

/// The function in the path. Errors: 404.
pub(crate) async fn find(scope: &TenantScope, name: &Name) -> Result<Arc<FunctionRecord>, Problem> {
    let found = scope.engine().registry().function(scope.tenant.id, name).await?;
    found.ok_or_else(|| Problem::not_found(format_args!("function {name}")))
}

/// Make a function, or change what its next version will be.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/functions/{function}",
    tag = "functions",
    request_body(content = FunctionConfigSchema, description = "May be left out: everything by default"),
    responses(
        (status = 201, description = "Made", body = FunctionView),
        (status = 200, description = "Replaced; versions stay as they are", body = FunctionView),
    ),
    security(("key" = []))
)]
async fn put_function(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
    JsonOrDefault(config): JsonOrDefault<FunctionConfig>,
) -> Result<(StatusCode, axum::Json<FunctionView>), Problem> {
    let registry = scope.engine().registry();
    if !scope.is_operator() {
        // What is already there may be sent back as it is.
        let former = registry.function(scope.tenant.id, &path.function).await?;
        check_own(&config, former.as_ref().map(|record| &record.config))?;
    }
    let (record, is_new) = registry.put_function(scope.tenant.id, &path.function, config).await?;
    Ok(put(FunctionView::of(&record, &scope.tenant.name), is_new))
}

/// What a tenant's key may say of its own functions: destinations that are functions, no queue for dead letters.
fn check_own(config: &FunctionConfig, former: Option<&FunctionConfig>) -> Result<(), Problem> {
    let set_before: Vec<_> = former.iter().flat_map(|former| former.destinations.each()).collect();
    for (field, destination) in config.destinations.each() {
        if destination.is_operators() && !set_before.contains(&(field, destination)) {
            return Err(Problem::forbidden("webhooks and queues are the operator's to set").with_field(field));
        }
    }
    if config.dead_letter.is_some() && config.dead_letter != former.and_then(|former| former.dead_letter.clone()) {
        return Err(Problem::forbidden("queues are the operator's to set").with_field("dead_letter"));
    }
    Ok(())
}

/// A function.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions/{function}",
    tag = "functions",
    responses((status = 200, description = "The function", body = FunctionView)),
    security(("key" = []))
)]
async fn get_function(scope: TenantScope, Path(path): Path<FunctionPath>) -> Result<axum::Json<FunctionView>, Problem> {
    let record = find(&scope, &path.function).await?;
    Ok(axum::Json(FunctionView::of(&record, &scope.tenant.name)))
}

/// Delete a function with its versions and aliases. What waits for it becomes a dead letter at its turn. Where the operator
/// stopped it, only the operator may.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/functions/{function}",
    tag = "functions",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_function(scope: TenantScope, Path(path): Path<FunctionPath>) -> Result<StatusCode, Problem> {
    let deleted = scope.engine().registry().delete_function(scope.tenant.id, &path.function, speaker(&scope)).await;
    deleted.map_err(not_own)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tenant's functions, by name.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions",
    tag = "functions",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<FunctionView>)),
    security(("key" = []))
)]
async fn list_functions(
    scope: TenantScope,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<FunctionView>>, Problem> {
    let listing = scope.store().functions(scope.tenant.id, query.page()?).await?;
    let items = listing.items.iter().map(|record| FunctionView::of(record, &scope.tenant.name)).collect();
    Ok(axum::Json(Listing { items, next: listing.next }))
}
