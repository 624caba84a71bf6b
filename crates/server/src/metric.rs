//! `/metrics`: Prometheus text. It takes no key, as scrapers expect, and so it holds numbers about this node and no
//! tenant's name; keep the port, or this path, from the public at the proxy.

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Open};

/// Upper bounds of the histograms' buckets, in seconds.
const SECONDS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

/// Installs the process's recorder, once; what is counted before is lost. `None` when another one is installed.
pub(crate) fn recorder() -> Option<&'static PrometheusHandle> {
    let install = || {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let installed = builder
            .map_err(|error| error.to_string())
            .and_then(|builder| builder.install_recorder().map_err(|error| error.to_string()));
        installed.map_err(|error| tracing::warn!("there are no metrics: {error}")).ok()
    };
    RECORDER.get_or_init(install).as_ref()
}

/// Numbers about this node, as Prometheus reads them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")),
)]
async fn get_metrics(node: Open) -> Response {
    let stats = node.stats();
    let gauges = [
        ("sublet_invocations_waiting", stats.waiting),
        ("sublet_invocations_delayed", stats.delayed),
        ("sublet_attempts_in_flight", stats.in_flight),
        ("sublet_slots", stats.slots),
        ("sublet_tenants_active", stats.tenants_active),
        ("sublet_outbox_waiting", stats.outbox_waiting),
        ("sublet_deliveries_waiting", stats.deliveries_waiting),
        ("sublet_deliveries_in_flight", stats.deliveries_in_flight),
        ("sublet_stream_readers", stats.stream_readers),
        ("sublet_shards", stats.shards),
    ];
    for (name, value) in gauges {
        metrics::gauge!(name).set(value as f64);
    }
    if let Some(expires) = node.certificate_expires() {
        metrics::gauge!("sublet_tls_certificate_expiry_timestamp_seconds").set((expires.millis() / 1_000) as f64);
    }
    let text = recorder().map(|handle| {
        handle.run_upkeep();
        handle.render()
    });
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text.unwrap_or_default()).into_response()
}
