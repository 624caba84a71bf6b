//! `/v1/tenants/{tenant}/dead-letters`: what was given up, and giving it another chance.

use sublet_store::Selection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Count, Listing};
use crate::auth::{AppState, TenantScope};
use crate::body::JsonOrDefault;
use crate::invocation::{InvocationView, SelectionBody, views};
use crate::param::{PageQuery, Query};
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_dead_letters)).routes(routes!(redrive_dead_letters))
}

/// The tenant's dead letters, newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/dead-letters",
    tag = "invocations",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<InvocationView>)),
    security(("key" = []))
)]
async fn list_dead_letters(
    scope: TenantScope,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<InvocationView>>, Problem> {
    let listing = scope.store().dead_letters(scope.tenant.id, query.page()?).await?;
    views(&scope, listing).await
}

/// Dead letters back into the queue, due now, with fresh attempts. All of them when none are named.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/dead-letters/redrive",
    tag = "invocations",
    request_body(content = SelectionBody, description = "May be left out: all of them"),
    responses((status = 200, description = "How many were put back", body = Count)),
    security(("key" = []))
)]
async fn redrive_dead_letters(
    scope: TenantScope,
    JsonOrDefault(body): JsonOrDefault<SelectionBody>,
) -> Result<axum::Json<Count>, Problem> {
    let selection = body.selection()?.unwrap_or(Selection::All);
    let count = scope.engine().redrive(scope.tenant.id, selection).await?;
    Ok(axum::Json(Count { count }))
}
