//! `/v1/keys`: who may call. The operator's alone.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{KeyId, Name};
use sublet_store::{KeyRecord, KeyScope, NewKey};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Items;
use crate::auth::{self, AppState, Operator};
use crate::body::Json;
use crate::param::{Path, Query};
use crate::problem::Problem;

/// Characters of a label.
const LABEL_CHARS_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(make_key, list_keys)).routes(routes!(delete_key))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme", "label": "ci"}))]
pub(crate) struct KeyBody {
    /// The tenant whose key it is; left out, it is an operator's.
    #[schema(value_type = Option<String>)]
    tenant: Option<Name>,
    /// For people, at most 100 characters.
    #[serde(default)]
    label: String,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "key_01k8w3c5d7f9g", "scope": "tenant", "tenant": "acme", "label": "ci", "created": "2026-01-31T09:30:00Z",
    "secret": "slt_3q2-7wAAzj8c6LbMZkqz0kqk2m9m5mJrWQ0o1Xz4h8E"
}))]
pub(crate) struct KeyView {
    /// `key_…`
    id: String,
    /// `operator` or `tenant`.
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    label: String,
    created: String,
    /// Shown when it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl KeyView {
    async fn of(operator: &Operator, record: &KeyRecord, secret: Option<String>) -> Result<KeyView, Problem> {
        let (scope, tenant) = match record.scope {
            KeyScope::Operator => ("operator", None),
            KeyScope::Tenant(id) => {
                let found = operator.engine().registry().tenant_by_id(id).await?;
                ("tenant", Some(found.map_or_else(|| id.to_string(), |tenant| tenant.name.to_string())))
            }
        };
        Ok(KeyView {
            id: record.id.to_string(),
            scope,
            tenant,
            label: record.label.clone(),
            created: record.created.to_string(),
            secret,
        })
    }
}

async fn tenant_scope(operator: &Operator, name: &Name) -> Result<KeyScope, Problem> {
    let found = operator.engine().registry().tenant(name.as_str()).await?;
    let tenant = found.ok_or_else(|| Problem::not_found(format_args!("tenant {name}")).with_field("tenant"))?;
    Ok(KeyScope::Tenant(tenant.id))
}

/// Make a key. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = "keys",
    request_body = KeyBody,
    responses((status = 201, description = "The key with its secret", body = KeyView)),
    security(("key" = []))
)]
async fn make_key(operator: Operator, Json(body): Json<KeyBody>) -> Result<(StatusCode, axum::Json<KeyView>), Problem> {
    if body.label.chars().count() > LABEL_CHARS_MAX {
        return Err(Problem::invalid("label", format!("must have at most {LABEL_CHARS_MAX} characters")));
    }
    let scope = match &body.tenant {
        Some(name) => tenant_scope(&operator, name).await?,
        None => KeyScope::Operator,
    };
    let secret = auth::mint(scope)?;
    let key = NewKey::new(scope, body.label, auth::hash_of(secret.reveal()));
    let record = operator.engine().registry().put_key(key).await?;
    let view = KeyView::of(&operator, &record, Some(secret.reveal().to_owned())).await?;
    Ok((StatusCode::CREATED, axum::Json(view)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct KeysQuery {
    /// Of this tenant alone.
    #[param(value_type = Option<String>)]
    tenant: Option<Name>,
}

/// Keys, without their secrets. Without `?tenant=`, the operator's.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "keys",
    params(KeysQuery),
    responses((status = 200, description = "All of them", body = Items<KeyView>)),
    security(("key" = []))
)]
async fn list_keys(operator: Operator, Query(query): Query<KeysQuery>) -> Result<axum::Json<Items<KeyView>>, Problem> {
    // All tenants' keys together have no bound, one owner's have.
    let scope = match &query.tenant {
        Some(name) => tenant_scope(&operator, name).await?,
        None => KeyScope::Operator,
    };
    let mut items = Vec::new();
    for record in operator.store().keys(Some(scope)).await? {
        items.push(KeyView::of(&operator, &record, None).await?);
    }
    Ok(axum::Json(Items { items }))
}

#[derive(Debug, Deserialize)]
struct KeyPath {
    id: KeyId,
}

/// Delete a key: no request gets in by it from then on. The last operator's key stays.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    tag = "keys",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_key(operator: Operator, Path(path): Path<KeyPath>) -> Result<StatusCode, Problem> {
    operator.engine().registry().delete_key(path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
