//! `/v1/webhooks`: where results are carried to, signed as Standard Webhooks says. The operator's alone.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_engine::signature;
use sublet_model::Name;
use sublet_store::{WebhookRecord, WebhookSpec};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Items, put};
use crate::auth::{AppState, Operator};
use crate::body::Json;
use crate::param::Path;
use crate::problem::Problem;

/// Secrets that sign at the same time while one replaces another.
const SECRETS_AT_ONCE: usize = 2;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_webhooks)).routes(routes!(put_webhook, get_webhook, delete_webhook))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://app.example.com/hooks/sublet"}))]
pub(crate) struct WebhookBody {
    url: String,
    /// `host:port`, exact, that may be reached although it is private.
    #[serde(default)]
    allow_private: Vec<String>,
    /// `true` when left out.
    enabled: Option<bool>,
    /// Your own signing secret, `whsec_` and the base64 of 24 to 64 bytes. Left out, a new webhook gets one, and one
    /// that is there keeps its own.
    secret: Option<String>,
    /// Make a new secret. The one before signs along until the next change of secrets.
    #[serde(default)]
    rotate_secret: bool,
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    name: String,
    url: String,
    allow_private: Vec<String>,
    enabled: bool,
    /// The signing secret. Shown when it was made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created: String,
}

impl WebhookView {
    fn of(record: &WebhookRecord, secret: Option<String>) -> WebhookView {
        WebhookView {
            name: record.name.to_string(),
            url: record.spec.url.clone(),
            allow_private: record.spec.allow_private.clone(),
            enabled: record.spec.enabled,
            secret,
            created: record.created.to_string(),
        }
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
        (status = 200, description = "Replaced; with its secret if that is new", body = WebhookView),
    ),
    security(("key" = []))
)]
async fn put_webhook(
    operator: Operator,
    Path(path): Path<WebhookPath>,
    Json(body): Json<WebhookBody>,
) -> Result<(StatusCode, axum::Json<WebhookView>), Problem> {
    let registry = operator.engine().registry();
    let former = registry.webhook(&path.webhook);
    let fresh = match (body.secret, body.rotate_secret) {
        (Some(_), true) => return Err(Problem::invalid("rotate_secret", "cannot be together with `secret`")),
        (Some(given), false) => {
            signature::Secret::parse(&given).map_err(|error| Problem::invalid("secret", error.to_string()))?;
            Some(given)
        }
        (None, true) => Some(signature::new_secret()?),
        (None, false) if former.is_none() => Some(signature::new_secret()?),
        (None, false) => None,
    };
    let secrets = fresh.as_ref().map(|fresh| {
        let former = former.iter().flat_map(|record| &record.secrets).filter(|secret| *secret != fresh);
        std::iter::once(fresh).chain(former).take(SECRETS_AT_ONCE).cloned().collect()
    });
    let spec = WebhookSpec { url: body.url, allow_private: body.allow_private, enabled: body.enabled.unwrap_or(true) };
    let (record, is_new) = registry.put_webhook(&path.webhook, spec, secrets).await?;
    Ok(put(WebhookView::of(&record, fresh), is_new))
}

/// A webhook, without its secret.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{webhook}",
    tag = "webhooks",
    responses((status = 200, description = "The webhook", body = WebhookView)),
    security(("key" = []))
)]
async fn get_webhook(operator: Operator, Path(path): Path<WebhookPath>) -> Result<axum::Json<WebhookView>, Problem> {
    let found = operator.engine().registry().webhook(&path.webhook);
    let record = found.ok_or_else(|| Problem::not_found(format_args!("webhook {}", path.webhook)))?;
    Ok(axum::Json(WebhookView::of(&record, None)))
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
async fn list_webhooks(operator: Operator) -> axum::Json<Items<WebhookView>> {
    let webhooks = operator.engine().registry().webhooks();
    axum::Json(Items { items: webhooks.iter().map(|record| WebhookView::of(record, None)).collect() })
}
