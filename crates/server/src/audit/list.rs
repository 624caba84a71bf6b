//! `/v1/audit`: who changed what; and a tenant's own part of it.

use serde::{Deserialize, Serialize};
use sublet_model::{KeyId, Timestamp};
use sublet_store::{AuditFilter, AuditRecord, KeyScope};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Listing;
use crate::auth::{AppState, Operator, TenantScope};
use crate::param::{Query, page};
use crate::problem::Problem;

/// Characters of an operation's name in a filter.
const OPERATION_CHARS_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(list_tenant_audit))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// About this tenant.
    tenant: Option<String>,
    /// By this key, `key_…`.
    #[param(value_type = Option<String>)]
    key: Option<KeyId>,
    /// Of this operation, by its name in this document: `put_tenant`.
    operation: Option<String>,
    /// At or after, RFC 3339.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// What an earlier page gave as `next`.
    cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TenantAuditQuery {
    /// By this key, `key_…`.
    #[param(value_type = Option<String>)]
    key: Option<KeyId>,
    /// Of this operation, by its name in this document: `put_tenant_rule`.
    operation: Option<String>,
    /// At or after, RFC 3339.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// What an earlier page gave as `next`.
    cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

/// One change, or the try of one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "aud_01k8w3c5d7f9g", "at": "2026-01-31T09:30:00Z", "operation": "put_tenant", "target": "/v1/tenants/acme",
    "tenant": "acme", "by": {"scope": "operator", "key": "key_01k8w3c5d7f9g", "label": "ops", "role": "admin"},
    "from": "192.0.2.7", "request": "req_5f0c9a3e12b7d468", "status": 201, "ended": "2026-01-31T09:30:00.012Z"
}))]
struct AuditView {
    /// `aud_…`
    id: String,
    at: String,
    /// The operation's name in this document.
    operation: String,
    /// The path that was called.
    target: String,
    /// The tenant it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    by: Actor,
    /// The address it came from. A tenant sees its own keys' alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The request's id, as its answer and the server's log have it.
    request: String,
    /// The answer's status: 4xx was refused, 5xx failed and may have been done. Absent while it is under way, or when the
    /// server died meanwhile: then it may have been done as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

/// Who did it, as the key was then. A tenant sees of the operator's keys that they are the operator's.
#[derive(Debug, Serialize, ToSchema)]
struct Actor {
    /// `operator` or `tenant`.
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

impl AuditView {
    fn of(record: AuditRecord, shows_operator: bool) -> AuditView {
        let AuditRecord { id, at, line, end } = record;
        let is_operator = line.scope == KeyScope::Operator;
        let shown = shows_operator || !is_operator;
        AuditView {
            id: id.to_string(),
            at: at.to_string(),
            operation: line.operation,
            target: line.target,
            tenant: line.tenant.map(|(_, name)| name.to_string()),
            by: Actor {
                scope: if is_operator { "operator" } else { "tenant" },
                key: shown.then(|| line.key.to_string()),
                label: shown.then_some(line.label),
                role: shown.then(|| line.role.as_str()),
            },
            from: shown.then(|| line.from.to_string()),
            request: line.request,
            status: end.as_ref().map(|end| end.status),
            ended: end.map(|end| end.at.to_string()),
        }
    }
}

fn operation(given: Option<String>) -> Result<Option<String>, Problem> {
    if given.as_ref().is_some_and(|name| name.len() > OPERATION_CHARS_MAX) {
        return Err(Problem::invalid("operation", format!("must have at most {OPERATION_CHARS_MAX} characters")));
    }
    Ok(given)
}

fn view(listing: sublet_store::Listing<AuditRecord>, shows_operator: bool) -> axum::Json<Listing<AuditView>> {
    let items = listing.items.into_iter().map(|record| AuditView::of(record, shows_operator)).collect();
    axum::Json(Listing { items, next: listing.next })
}

/// Every change of this installation, newest first; refused ones and failed ones too. A page may be short and still have
/// a next.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(AuditQuery),
    responses((status = 200, description = "A page", body = Listing<AuditView>)),
    security(("key" = []))
)]
async fn list_audit(
    operator: Operator,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Listing<AuditView>>, Problem> {
    let tenant = match &query.tenant {
        Some(named) => {
            let found = operator.engine().registry().tenant(named).await?;
            Some(found.ok_or_else(|| Problem::not_found(format_args!("tenant {named}")).with_field("tenant"))?.id)
        }
        None => None,
    };
    let filter = AuditFilter { tenant, key: query.key, operation: operation(query.operation)?, since: query.since };
    let listing = operator.store().audit(filter, page(query.cursor, query.limit)?).await?;
    Ok(view(listing, true))
}

/// Every change about this tenant, its own and the operator's, newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/audit",
    tag = "audit",
    params(TenantAuditQuery),
    responses((status = 200, description = "A page", body = Listing<AuditView>)),
    security(("key" = []))
)]
async fn list_tenant_audit(
    scope: TenantScope,
    Query(query): Query<TenantAuditQuery>,
) -> Result<axum::Json<Listing<AuditView>>, Problem> {
    let filter = AuditFilter {
        tenant: Some(scope.tenant.id),
        key: query.key,
        operation: operation(query.operation)?,
        since: query.since,
    };
    let listing = scope.store().audit(filter, page(query.cursor, query.limit)?).await?;
    Ok(view(listing, scope.is_operator()))
}
