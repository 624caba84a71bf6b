//! `…/functions/{function}/aliases`: names for versions. Moving `live` back is what rolling back means.

use serde::{Deserialize, Serialize};
use sublet_model::Name;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Items;
use crate::auth::{AppState, TenantScope};
use crate::body::Json;
use crate::function::{FunctionPath, find};
use crate::param::Path;
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_aliases)).routes(routes!(put_alias, get_alias))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 2}))]
pub(crate) struct AliasBody {
    version: u32,
}

/// A name for a version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"alias": "live", "version": 2}))]
pub(crate) struct AliasView {
    alias: String,
    version: u32,
}

#[derive(Debug, Deserialize)]
struct AliasPath {
    function: Name,
    alias: Name,
}

/// Point an alias to a version. `live` is the one that events run.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}",
    tag = "functions",
    request_body = AliasBody,
    responses((status = 200, description = "Where it points now", body = AliasView)),
    security(("key" = []))
)]
async fn put_alias(
    scope: TenantScope,
    Path(path): Path<AliasPath>,
    Json(body): Json<AliasBody>,
) -> Result<axum::Json<AliasView>, Problem> {
    let function = find(&scope, &path.function).await?;
    let registry = scope.engine().registry();
    registry.put_alias(scope.tenant.id, function.id, &path.alias, body.version).await?;
    Ok(axum::Json(AliasView { alias: path.alias.to_string(), version: body.version }))
}

/// Where an alias points.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}",
    tag = "functions",
    responses((status = 200, description = "Where it points", body = AliasView)),
    security(("key" = []))
)]
async fn get_alias(scope: TenantScope, Path(path): Path<AliasPath>) -> Result<axum::Json<AliasView>, Problem> {
    let function = find(&scope, &path.function).await?;
    let aliases = scope.store().aliases(scope.tenant.id, function.id).await?;
    let found = aliases.into_iter().find(|(alias, _)| *alias == path.alias);
    let (alias, version) = found.ok_or_else(|| Problem::not_found(format_args!("alias {}", path.alias)))?;
    Ok(axum::Json(AliasView { alias: alias.to_string(), version }))
}

/// The function's aliases, by name.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions/{function}/aliases",
    tag = "functions",
    responses((status = 200, description = "All of them", body = Items<AliasView>)),
    security(("key" = []))
)]
async fn list_aliases(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
) -> Result<axum::Json<Items<AliasView>>, Problem> {
    let function = find(&scope, &path.function).await?;
    let aliases = scope.store().aliases(scope.tenant.id, function.id).await?;
    let items = aliases.into_iter().map(|(alias, version)| AliasView { alias: alias.to_string(), version }).collect();
    Ok(axum::Json(Items { items }))
}
