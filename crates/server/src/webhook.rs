//! `/v1/webhooks`: where results are carried to, signed as Standard Webhooks says. The operator's alone.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_engine::OVERLAP_DEFAULT;
use sublet_model::{Millis, Name, Timestamp};
use sublet_store::webhook::WEBHOOK_TIMEOUT_DEFAULT;
use sublet_store::{DisabledReason, WebhookRecord, WebhookSpec};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Count, Items, put};
use crate::auth::{AppState, Operator};
use crate::body::{Json, JsonOrDefault};
use crate::param::Path;
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks))
        .routes(routes!(put_webhook, get_webhook, delete_webhook))
        .routes(routes!(rotate_webhook))
        .routes(routes!(disable_webhook))
        .routes(routes!(enable_webhook))
        .routes(routes!(replay_failed))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://app.example.com/hooks/sublet"}))]
pub(crate) struct WebhookBody {
    url: String,
    /// `host:port`, exact, that may be reached although it is private.
    #[serde(default)]
    allow_private: Vec<String>,
    /// How long the receiver has for its answer, `100ms` to `30s`; `15s` when left out.
    #[schema(value_type = Option<String>)]
    timeout: Option<Millis>,
    /// Left out: a new webhook is enabled, and one that is there stays as it is.
    enabled: Option<bool>,
    /// Your own signing secret, `whsec_` and the base64 of 24 to 64 bytes. Left out, a new webhook gets one, and one
    /// that is there keeps its own. Another than the newest of one that is there is rotated in, with a day's overlap.
    secret: Option<String>,
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    name: String,
    url: String,
    allow_private: Vec<String>,
    timeout: String,
    enabled: bool,
    /// Why and since when nothing is sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<DisabledView>,
    /// Since when it has known nothing but failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// The signing secret. Shown when it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The secrets that sign, newest first.
    secrets: Vec<SecretView>,
    created: String,
    /// Its deliveries; only where one webhook is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<CountsView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisabledView {
    /// `operator`: you said so. `gone`: the receiver answered 410. `failing`: nothing but failures for five days.
    reason: &'static str,
    at: String,
}

/// A secret, not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// `sec_` and the first 12 hexadecimal digits of the SHA-256 of the secret's text.
    id: String,
    created: String,
    /// When it stops signing; absent for the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// Deliveries by state; together, all there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsView {
    pending: u64,
    delivered: u64,
    failed: u64,
}

impl From<sublet_store::DeliveryCounts> for CountsView {
    fn from(counts: sublet_store::DeliveryCounts) -> CountsView {
        CountsView { pending: counts.pending, delivered: counts.delivered, failed: counts.failed }
    }
}

impl WebhookView {
    fn of(record: &WebhookRecord, now: Timestamp) -> WebhookView {
        let disabled = record.disabled.map(|disabled| DisabledView {
            reason: match disabled.reason {
                DisabledReason::Operator => "operator",
                DisabledReason::Gone => "gone",
                DisabledReason::Failing => "failing",
            },
            at: disabled.at.to_string(),
        });
        let secrets = record.signing(now).map(|secret| SecretView {
            id: secret.id(),
            created: secret.created.to_string(),
            expires: secret.expires.map(|end| end.to_string()),
        });
        WebhookView {
            name: record.name.to_string(),
            url: record.spec.url.clone(),
            allow_private: record.spec.allow_private.clone(),
            timeout: record.spec.timeout.to_string(),
            enabled: record.is_enabled(),
            disabled,
            failing_since: record.failing_since.map(|since| since.to_string()),
            secret: None,
            secrets: secrets.collect(),
            created: record.created.to_string(),
            deliveries: None,
        }
    }

    /// With the newest secret itself.
    fn with_secret(record: &WebhookRecord, now: Timestamp) -> WebhookView {
        let secret = record.secrets.first().map(|secret| secret.text.clone());
        WebhookView { secret, ..WebhookView::of(record, now) }
    }
}

#[derive(Debug, Deserialize)]
struct WebhookPath {
    webhook: Name,
}

/// Make or replace a webhook.
#[utoipa::path(
    put,
    path = "/v1/webhooks/{webhook}",
    tag = "webhooks",
    request_body = WebhookBody,
    responses(
        (status = 201, description = "Made, with its secret", body = WebhookView),
        (status = 200, description = "Replaced; with its secret if one was given", body = WebhookView),
    ),
    security(("key" = []))
)]
async fn put_webhook(
    operator: Operator,
    Path(path): Path<WebhookPath>,
    Json(body): Json<WebhookBody>,
) -> Result<(StatusCode, axum::Json<WebhookView>), Problem> {
    let registry = operator.engine().registry();
    let timeout = body.timeout.unwrap_or(WEBHOOK_TIMEOUT_DEFAULT);
    let spec = WebhookSpec { url: body.url, allow_private: body.allow_private, timeout };
    let is_given = body.secret.is_some();
    let (mut record, is_new) = registry.put_webhook(&path.webhook, spec, body.secret).await?;
    // A commit of its own: what dies in between is put right by the same call again.
    if body.enabled.is_some_and(|enabled| enabled != record.is_enabled()) {
        let disabled = record.is_enabled().then_some(DisabledReason::Operator);
        record = registry.switch_webhook(&path.webhook, disabled).await?;
    }
    let now = operator.now();
    let view = if is_new || is_given { WebhookView::with_secret(&record, now) } else { WebhookView::of(&record, now) };
    Ok(put(view, is_new))
}

/// A webhook, without its secret, with its deliveries counted.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{webhook}",
    tag = "webhooks",
    responses((status = 200, description = "The webhook", body = WebhookView)),
    security(("key" = []))
)]
async fn get_webhook(operator: Operator, Path(path): Path<WebhookPath>) -> Result<axum::Json<WebhookView>, Problem> {
    // From the store: how it fares is not held ready.
    let found = operator.store().webhook(&path.webhook).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("webhook {}", path.webhook)))?;
    let counts = operator.store().delivery_counts(Some(&path.webhook)).await?;
    let view = WebhookView::of(&record, operator.now());
    Ok(axum::Json(WebhookView { deliveries: Some(counts.into()), ..view }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap": "24h"}))]
pub(crate) struct RotateBody {
    /// Your own new secret; left out, one is made.
    secret: Option<String>,
    /// How long the secrets before it sign along, `0s` to `30d`; `24h` when left out.
    #[schema(value_type = Option<String>)]
    overlap: Option<Millis>,
}

/// Give a webhook a new secret. Those before it sign along for the overlap, then they stop by themselves.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook}/rotate",
    tag = "webhooks",
    request_body(content = RotateBody, description = "May be left out"),
    responses((status = 200, description = "The webhook with its new secret", body = WebhookView)),
    security(("key" = []))
)]
async fn rotate_webhook(
    operator: Operator,
    Path(path): Path<WebhookPath>,
    JsonOrDefault(body): JsonOrDefault<RotateBody>,
) -> Result<axum::Json<WebhookView>, Problem> {
    let overlap = body.overlap.map_or(OVERLAP_DEFAULT, Millis::duration);
    let record = operator.engine().registry().rotate_webhook(&path.webhook, body.secret, overlap).await?;
    Ok(axum::Json(WebhookView::with_secret(&record, operator.now())))
}

/// Send nothing to a webhook until it is enabled. What is due to it waits, for five days at most.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook}/disable",
    tag = "webhooks",
    responses((status = 200, description = "The webhook", body = WebhookView)),
    security(("key" = []))
)]
async fn disable_webhook(
    operator: Operator,
    Path(path): Path<WebhookPath>,
) -> Result<axum::Json<WebhookView>, Problem> {
    let registry = operator.engine().registry();
    let record = registry.switch_webhook(&path.webhook, Some(DisabledReason::Operator)).await?;
    Ok(axum::Json(WebhookView::of(&record, operator.now())))
}

/// Send to a webhook again, whatever disabled it. What waits for it goes on at once.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook}/enable",
    tag = "webhooks",
    responses((status = 200, description = "The webhook", body = WebhookView)),
    security(("key" = []))
)]
async fn enable_webhook(operator: Operator, Path(path): Path<WebhookPath>) -> Result<axum::Json<WebhookView>, Problem> {
    let record = operator.engine().registry().switch_webhook(&path.webhook, None).await?;
    Ok(axum::Json(WebhookView::of(&record, operator.now())))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"since": "2026-01-31T09:00:00Z"}))]
pub(crate) struct ReplayBody {
    /// Deliveries of events accepted at or after this time.
    #[schema(value_type = String)]
    since: Timestamp,
}

/// Send every failed delivery since a time anew, each under the id it had.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook}/replay",
    tag = "webhooks",
    request_body = ReplayBody,
    responses((status = 200, description = "How many are sent anew", body = Count)),
    security(("key" = []))
)]
async fn replay_failed(
    operator: Operator,
    Path(path): Path<WebhookPath>,
    Json(body): Json<ReplayBody>,
) -> Result<axum::Json<Count>, Problem> {
    let count = operator.engine().replay_failed(&path.webhook, body.since).await?;
    Ok(axum::Json(Count { count }))
}

/// Delete a webhook.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{webhook}",
    tag = "webhooks",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_webhook(operator: Operator, Path(path): Path<WebhookPath>) -> Result<StatusCode, Problem> {
    operator.engine().registry().delete_webhook(&path.webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Webhooks, by name.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    tag = "webhooks",
    responses((status = 200, description = "All of them", body = Items<WebhookView>)),
    security(("key" = []))
)]
async fn list_webhooks(operator: Operator) -> Result<axum::Json<Items<WebhookView>>, Problem> {
    let (webhooks, now) = (operator.store().webhooks().await?, operator.now());
    Ok(axum::Json(Items { items: webhooks.iter().map(|record| WebhookView::of(record, now)).collect() }))
}
