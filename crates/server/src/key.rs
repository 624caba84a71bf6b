//! `/v1/keys`: who may call, and as what. The operator's alone.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{KeyId, Millis, Name, Timestamp};
use sublet_store::{KeyRate, KeyRecord, KeyRole, KeyScope, KeyUse, NewKey, TenantRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Items;
use crate::auth::{self, AppState, Operator};
use crate::body::{Json, JsonOrDefault};
use crate::param::{Path, Query};
use crate::problem::Problem;

/// Characters of a label.
const LABEL_CHARS_MAX: usize = 100;
/// The most that a rate may allow.
const RATE_PER_SECOND_MAX: u32 = 10_000;
const RATE_BURST_MAX: u32 = 100_000;
/// How long a replaced secret goes on working: usual and most.
const OVERLAP_DEFAULT: Millis = Millis(86_400_000);
const OVERLAP_MAX: Millis = Millis(30 * 86_400_000);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(make_key, list_keys))
        .routes(routes!(get_key, delete_key))
        .routes(routes!(rotate_key))
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Everything its scope may.
    Admin,
    /// An operator's: publish, follow events and results, take from queues, invoke.
    Publish,
    /// A tenant's: look, configure functions, upload versions, move aliases, invoke.
    Deploy,
    /// Look, but not at keys and the audit log.
    Read,
}

impl From<Role> for KeyRole {
    fn from(role: Role) -> KeyRole {
        match role {
            Role::Admin => KeyRole::Admin,
            Role::Publish => KeyRole::Publish,
            Role::Deploy => KeyRole::Deploy,
            Role::Read => KeyRole::Read,
        }
    }
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Role {
        match role {
            KeyRole::Admin => Role::Admin,
            KeyRole::Publish => Role::Publish,
            KeyRole::Deploy => Role::Deploy,
            KeyRole::Read => Role::Read,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme", "label": "ci", "role": "deploy", "expires": "90d"}))]
pub(crate) struct KeyBody {
    /// The tenant whose key it is; left out, it is an operator's.
    #[schema(value_type = Option<String>)]
    tenant: Option<Name>,
    /// For people, at most 100 characters.
    #[serde(default)]
    label: String,
    /// `admin` if left out.
    role: Option<Role>,
    /// A span from now on such as `90d`, or a time (RFC 3339); never if left out.
    expires: Option<String>,
    /// Requests it may make; as many as it likes if left out.
    rate: Option<RateBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateBody {
    /// In the long run, 1 to 10,000.
    per_second: u32,
    /// At once, 1 to 100,000; as many as a second's if left out.
    burst: Option<u32>,
}

impl RateBody {
    fn read(&self) -> Result<KeyRate, Problem> {
        let KeyRate { per_second, burst } =
            KeyRate { per_second: self.per_second, burst: self.burst.unwrap_or(self.per_second) };
        for (name, value, most) in [("per_second", per_second, RATE_PER_SECOND_MAX), ("burst", burst, RATE_BURST_MAX)] {
            if value == 0 || value > most {
                return Err(Problem::invalid(format!("rate.{name}"), format!("must be 1 to {most}, not {value}")));
            }
        }
        Ok(KeyRate { per_second, burst })
    }
}

/// A span from `now`, or a moment after it.
fn read_expires(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let at = match text.parse::<Millis>() {
        Ok(span) => now + span.duration(),
        Err(_) => Timestamp::parse(text).map_err(|_| {
            Problem::invalid("expires", "must be a span such as 90d, or an RFC 3339 time such as 2027-01-31T00:00:00Z")
        })?,
    };
    if at <= now { Err(Problem::invalid("expires", "must be later than now")) } else { Ok(at) }
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "key_01k8w3c5d7f9g", "scope": "tenant", "tenant": "acme", "role": "deploy", "label": "ci",
    "created": "2026-01-31T09:30:00Z", "made_by": "key_01k8w3c5d7f9g", "expires": "2026-05-01T09:30:00Z",
    "expired": false, "last_use": {"at": "2026-01-31T09:31:00Z", "from": "192.0.2.7"},
    "secret": "slt_3q2-7wAAzj8c6LbMZkqz0kqk2m9m5mJrWQ0o1Xz4h8E"
}))]
pub(crate) struct KeyView {
    /// `key_…`
    id: String,
    /// `operator` or `tenant`.
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    role: Role,
    label: String,
    created: String,
    /// The key it was made with; absent for one that the server made at its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Whether it lets nobody in any more.
    expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RateView>,
    /// Until when the secret before the last rotation works as well; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_until: Option<String>,
    /// To the minute; absent when it was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use: Option<UseView>,
    /// Shown when it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RateView {
    per_second: u32,
    burst: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct UseView {
    at: String,
    /// The address it came from.
    from: String,
}

impl From<KeyUse> for UseView {
    fn from(last: KeyUse) -> UseView {
        UseView { at: last.at.to_string(), from: last.from.to_string() }
    }
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
        let now = operator.now();
        let uses = [record.last_use, operator.last_use(record.id)];
        Ok(KeyView {
            id: record.id.to_string(),
            scope,
            tenant,
            role: record.role.into(),
            label: record.label.clone(),
            created: record.created.to_string(),
            made_by: record.made_by.map(|id| id.to_string()),
            expires: record.expires.map(|at| at.to_string()),
            expired: record.is_expired(now),
            rate: record.rate.map(|KeyRate { per_second, burst }| RateView { per_second, burst }),
            former_until: record.former.filter(|former| former.until > now).map(|former| former.until.to_string()),
            last_use: uses.into_iter().flatten().max_by_key(|last| last.at).map(UseView::from),
            secret,
        })
    }
}

async fn tenant_named(operator: &Operator, name: &Name) -> Result<std::sync::Arc<TenantRecord>, Problem> {
    let found = operator.engine().registry().tenant(name.as_str()).await?;
    found.ok_or_else(|| Problem::not_found(format_args!("tenant {name}")).with_field("tenant"))
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
    let role: KeyRole = body.role.map_or(KeyRole::Admin, KeyRole::from);
    let expires = body.expires.as_deref().map(|text| read_expires(text, operator.now())).transpose()?;
    let rate = body.rate.as_ref().map(RateBody::read).transpose()?;
    let scope = match &body.tenant {
        Some(name) => {
            let tenant = tenant_named(&operator, name).await?;
            operator.about(&tenant);
            KeyScope::Tenant(tenant.id)
        }
        None => KeyScope::Operator,
    };
    if !role.fits(scope) {
        let whose = if scope == KeyScope::Operator { "an operator's" } else { "a tenant's" };
        return Err(Problem::invalid("role", format!("{whose} key cannot have the role `{role}`")));
    }
    let secret = auth::mint(scope)?;
    let hash = auth::hash_of(secret.reveal());
    let made_by = Some(operator.key());
    let key = NewKey { scope, role, label: body.label, hash, expires, rate, made_by };
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
        Some(name) => KeyScope::Tenant(tenant_named(&operator, name).await?.id),
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

/// The key, and a word to the audit log about whose it is.
async fn known(operator: &Operator, id: KeyId) -> Result<KeyRecord, Problem> {
    let record = operator.store().key(id).await?.ok_or_else(|| Problem::not_found(format_args!("key {id}")))?;
    if let KeyScope::Tenant(tenant) = record.scope
        && let Some(tenant) = operator.engine().registry().tenant_by_id(tenant).await?
    {
        operator.about(&tenant);
    }
    Ok(record)
}

/// One key, without its secret.
#[utoipa::path(
    get,
    path = "/v1/keys/{id}",
    tag = "keys",
    responses((status = 200, description = "The key", body = KeyView)),
    security(("key" = []))
)]
async fn get_key(operator: Operator, Path(path): Path<KeyPath>) -> Result<axum::Json<KeyView>, Problem> {
    let record = known(&operator, path.id).await?;
    Ok(axum::Json(KeyView::of(&operator, &record, None).await?))
}

/// Delete a key: no request gets in by it from then on. The last operator's key that administers stays.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    tag = "keys",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_key(operator: Operator, Path(path): Path<KeyPath>) -> Result<StatusCode, Problem> {
    known(&operator, path.id).await?;
    operator.engine().registry().delete_key(path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap": "24h"}))]
pub(crate) struct RotateBody {
    /// How long the present secret goes on working, at most `30d`; `24h` if left out, `0s` ends it at once.
    #[schema(value_type = Option<String>)]
    overlap: Option<Millis>,
}

/// Give a key a new secret, which is in this answer and nowhere else. The present one works on for the overlap; one that
/// an earlier rotation left is over at once. What the key may do, and when it expires, stays.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/rotate",
    tag = "keys",
    request_body = Option<RotateBody>,
    responses((status = 200, description = "The key with its new secret", body = KeyView)),
    security(("key" = []))
)]
async fn rotate_key(
    operator: Operator,
    Path(path): Path<KeyPath>,
    JsonOrDefault(body): JsonOrDefault<RotateBody>,
) -> Result<axum::Json<KeyView>, Problem> {
    let overlap = body.overlap.unwrap_or(OVERLAP_DEFAULT);
    if overlap > OVERLAP_MAX {
        return Err(Problem::invalid("overlap", format!("must be at most {OVERLAP_MAX}")));
    }
    let scope = known(&operator, path.id).await?.scope;
    let secret = auth::mint(scope)?;
    let until = operator.now() + Duration::from_millis(overlap.0);
    let record = operator.engine().registry().rotate_key(path.id, auth::hash_of(secret.reveal()), until).await?;
    Ok(axum::Json(KeyView::of(&operator, &record, Some(secret.reveal().to_owned())).await?))
}
