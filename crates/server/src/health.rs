//! `/healthz` and `/readyz`: for whoever decides whether to restart this process and whether to send it requests.
//! Neither takes a key.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Open};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(get_readiness))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ready"}))]
pub(crate) struct Health {
    status: &'static str,
    /// When the TLS certificate ends; absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_expires: Option<String>,
}

/// Whether the process runs at all.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "node",
    responses((status = 200, description = "`ok`", body = Health)),
)]
async fn get_health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok", certificate_expires: None })
}

/// Whether requests should come here.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "node",
    responses(
        (status = 200, description = "`ready`", body = Health),
        (status = 503, description = "`draining` or `store_unavailable`", body = Health),
    ),
)]
async fn get_readiness(node: Open) -> (StatusCode, axum::Json<Health>) {
    let (code, status) = if node.is_stopping() || node.stats().draining {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if !node.store_answers().await {
        (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    } else {
        (StatusCode::OK, "ready")
    };
    let certificate_expires = node.certificate_expires().map(|at| at.to_string());
    (code, axum::Json(Health { status, certificate_expires }))
}
