//! `/v1/tenants/{tenant}/secrets`: what a tenant's functions may use and nobody may read, and sealing all of them anew.
//!
//! A value comes in here and never goes out again: not in an answer, not in a problem, not in a line of a log.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sublet_engine::{Resealed, SecretValue};
use sublet_model::{HostPattern, Name};
use sublet_store::{SecretPlace, SecretRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Items, put};
use crate::auth::{AppState, Operator, TenantScope};
use crate::body;
use crate::function::find as find_function;
use crate::param::{PageQuery, Path, Query};
use crate::problem::Problem;

/// Bytes of a body: a value at its longest with every byte escaped, and its hosts.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_secrets))
        .routes(routes!(put_secret, get_secret, delete_secret))
        .routes(routes!(reseal_secrets))
}

/// A secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "stripe", "function": null, "hosts": ["api.stripe.com"], "fingerprint": "9f86d081",
    "created": "2026-01-31T09:30:00Z", "changed": "2026-01-31T09:30:00Z"
}))]
struct TenantSecretView {
    name: String,
    /// The function that it is for; absent when all of the tenant's may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    /// The only hosts it may be sent to; empty: wherever a function that uses it may.
    hosts: Vec<String>,
    /// The same for the same value of the same tenant, until all secrets are sealed with another key. It tells nothing of
    /// the value to who does not hold that key.
    fingerprint: String,
    created: String,
    /// When its value was last put.
    changed: String,
}

/// A secret's value. Sent as `text/plain` it is the body itself.
#[derive(ToSchema)]
#[schema(as = SecretBody, example = json!({"value": "…", "hosts": ["api.stripe.com"]}))]
#[allow(dead_code, reason = "describes the body; never built")]
struct SecretBodySchema {
    /// 6 characters to 4 KiB.
    value: String,
    /// The only hosts it may be sent to, such as `api.example.com` or `*.example.com`; functions then get a placeholder of
    /// it, never the value. Left out: those of a secret that is there stay; empty: none.
    hosts: Option<Vec<String>>,
}

/// What one step of sealing anew did, and where all secrets stand.
#[derive(Debug, Serialize, ToSchema)]
struct ResealedView {
    /// The key that seals: the first of the configured ones.
    key: String,
    resealed: u64,
    /// Those that no configured key opens.
    unreadable: u64,
    keys: Vec<SealKeyView>,
    /// Ask again with `?cursor=` and this; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SealKeyView {
    key: String,
    /// Secrets that are sealed with it.
    secrets: u64,
    /// Whether it is among the configured keys.
    configured: bool,
}

#[derive(Debug, Deserialize)]
struct SecretPath {
    secret: Name,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ScopeQuery {
    /// The function whose secret it is; its tenant's when left out.
    #[param(value_type = Option<String>)]
    function: Option<Name>,
}

/// Errors: 404 for a function that is not there.
async fn place(scope: &TenantScope, path: SecretPath, query: &ScopeQuery) -> Result<SecretPlace, Problem> {
    let function = match &query.function {
        Some(name) => Some(find_function(scope, name).await?.id),
        None => None,
    };
    Ok(SecretPlace { tenant: scope.tenant.id, function, name: path.secret })
}

fn view(record: &SecretRecord, function: Option<String>) -> TenantSecretView {
    TenantSecretView {
        name: record.place.name.to_string(),
        function,
        hosts: record.hosts.iter().map(HostPattern::to_string).collect(),
        fingerprint: record.sealed.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
        created: record.created.to_string(),
        changed: record.changed.to_string(),
    }
}

/// Not by the usual reader of bodies: its messages quote what does not fit.
async fn read(request: Request) -> Result<(SecretValue, Option<Vec<HostPattern>>), Problem> {
    let media_type = body::media_type(request.headers());
    let is_json = match media_type.as_str() {
        "application/json" => true,
        "text/plain" => false,
        _ => return Err(Problem::unsupported_media_type("application/json or text/plain")),
    };
    let text = body::read(request, BODY_BYTES_MAX).await?;
    if !is_json {
        let text = std::str::from_utf8(&text).map_err(|_| Problem::invalid("value", "is not UTF-8 text"))?;
        return Ok((SecretValue::new(text.to_owned()), None));
    }
    let Value::Object(mut fields) = body::parse::<Value>(&text)? else {
        return Err(Problem::invalid("body", "must be an object with `value`"));
    };
    let value = match fields.remove("value") {
        Some(Value::String(value)) => SecretValue::new(value),
        Some(_) => return Err(Problem::invalid("value", "must be a string")),
        None => return Err(Problem::invalid("value", "is missing")),
    };
    let hosts = match fields.remove("hosts") {
        None | Some(Value::Null) => None,
        Some(Value::Array(hosts)) => Some(hosts.iter().map(host).collect::<Result<_, _>>()?),
        Some(_) => return Err(Problem::invalid("hosts", "must be an array of hosts")),
    };
    if !fields.is_empty() {
        return Err(Problem::invalid("body", "has fields beside `value` and `hosts`"));
    }
    Ok((value, hosts))
}

fn host(text: &Value) -> Result<HostPattern, Problem> {
    let text = text.as_str().ok_or_else(|| Problem::invalid("hosts", "must be an array of hosts"))?;
    text.parse().map_err(|error: sublet_model::Error| Problem::invalid("hosts", error.message))
}

/// Make a secret, or give it another value. Attempts that start from now on get it; no function needs a new version.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/secrets/{secret}",
    tag = "secrets",
    params(ScopeQuery),
    request_body(
        description = "The value, alone or with the hosts it is bound to",
        content((SecretBodySchema = "application/json"), (String = "text/plain")),
    ),
    responses(
        (status = 201, description = "Made", body = TenantSecretView),
        (status = 200, description = "Replaced", body = TenantSecretView),
    ),
    security(("key" = []))
)]
async fn put_secret(
    scope: TenantScope,
    Path(path): Path<SecretPath>,
    Query(query): Query<ScopeQuery>,
    request: Request,
) -> Result<(StatusCode, axum::Json<TenantSecretView>), Problem> {
    let place = place(&scope, path, &query).await?;
    let (value, hosts) = read(request).await?;
    let (record, is_new) = scope.engine().put_secret(place, &value, hosts).await?;
    Ok(put(view(&record, query.function.map(|name| name.to_string())), is_new))
}

/// A secret, without its value.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/secrets/{secret}",
    tag = "secrets",
    params(ScopeQuery),
    responses((status = 200, description = "What is known of it", body = TenantSecretView)),
    security(("key" = []))
)]
async fn get_secret(
    scope: TenantScope,
    Path(path): Path<SecretPath>,
    Query(query): Query<ScopeQuery>,
) -> Result<axum::Json<TenantSecretView>, Problem> {
    let place = place(&scope, path, &query).await?;
    let found = scope.store().secret(&place).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("secret {}", place.name)))?;
    Ok(axum::Json(view(&record, query.function.map(|name| name.to_string()))))
}

/// Delete a secret. Attempts of functions that use it fail from now on.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/secrets/{secret}",
    tag = "secrets",
    params(ScopeQuery),
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_secret(
    scope: TenantScope,
    Path(path): Path<SecretPath>,
    Query(query): Query<ScopeQuery>,
) -> Result<StatusCode, Problem> {
    let place = place(&scope, path, &query).await?;
    scope.engine().registry().delete_secret(&place).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tenant's secrets and those of its functions, without their values. `?function=` shows that function's own.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/secrets",
    tag = "secrets",
    params(ScopeQuery),
    responses((status = 200, description = "All of them", body = Items<TenantSecretView>)),
    security(("key" = []))
)]
async fn list_secrets(
    scope: TenantScope,
    Query(query): Query<ScopeQuery>,
) -> Result<axum::Json<Items<TenantSecretView>>, Problem> {
    let only = match &query.function {
        Some(name) => Some(find_function(&scope, name).await?.id),
        None => None,
    };
    let registry = scope.engine().registry();
    let records: Arc<[SecretRecord]> = registry.secrets(scope.tenant.id).await?;
    let mut items = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| only.is_none() || record.place.function == only) {
        let function = match record.place.function {
            Some(id) => match registry.function_by_id(scope.tenant.id, id).await? {
                Some(function) => Some(function.name.to_string()),
                // Deleted this moment, and its secrets with it.
                None => continue,
            },
            None => None,
        };
        items.push(view(record, function));
    }
    Ok(axum::Json(Items { items }))
}

/// Seal secrets anew under the first of the configured master keys, a page of them. Once `keys` names no other key, the
/// others can go.
#[utoipa::path(
    post,
    path = "/v1/secrets/reseal",
    tag = "secrets",
    params(PageQuery),
    responses((status = 200, description = "What this step did", body = ResealedView)),
    security(("key" = []))
)]
async fn reseal_secrets(
    operator: Operator,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<ResealedView>, Problem> {
    let Resealed { key, resealed, unreadable, next, keys } = operator.engine().reseal_secrets(query.page()?).await?;
    let keys = keys
        .into_iter()
        .map(|(key, secrets, configured)| SealKeyView { key: key.to_string(), secrets, configured })
        .collect();
    Ok(axum::Json(ResealedView { key: key.to_string(), resealed, unreadable, keys, next }))
}
