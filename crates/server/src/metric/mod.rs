//! `/metrics`: Prometheus text. It takes no key, as scrapers expect, and so it holds numbers about this node and no
//! tenant's name; keep the port, or this path, from the public at the proxy.
//!
//! What there is stands in [`catalogue`], and docs/metrics.md is held to it. Everything with labels of ours is there
//! from the start with 0, so that an alert on a rate does not miss the first failure.

pub(crate) mod catalogue;
pub(crate) mod http;
mod process;

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Open};

/// Upper bounds of the histograms' buckets, in seconds.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Upper bounds of the commits' sizes, in commands.
const COMMANDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 256.0, 512.0];
/// How often samples are counted into their buckets while nobody asks; until then they take memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

/// Installs the process's recorder, once. To be called before the store and the engine start: what takes its handles
/// before is not counted.
pub fn install_metrics() {
    recorder();
}

/// `None` when another recorder is installed.
fn recorder() -> Option<&'static PrometheusHandle> {
    let install = || {
        let installed = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &COMMANDS))
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| tracing::warn!("there are no metrics: {error}"))
            .ok();
        catalogue::describe();
        process::start();
        installed
    };
    RECORDER.get_or_init(install).as_ref()
}

/// Runs for as long as the server.
pub(crate) async fn keep_up() {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        if let Some(handle) = recorder() {
            handle.run_upkeep();
        }
    }
}

/// The text of `/metrics`, as it is now.
pub fn render_metrics(state: &AppState) -> String {
    let stats = state.stats();
    let gauges = [
        ("sublet_invocations_waiting", stats.waiting),
        ("sublet_invocations_delayed", stats.delayed),
        ("sublet_attempts_in_flight", stats.in_flight),
        ("sublet_slots", stats.slots),
        ("sublet_workers", stats.workers),
        ("sublet_tenants_active", stats.tenants_active),
        ("sublet_outbox_waiting", stats.outbox_waiting),
        ("sublet_deliveries_waiting", stats.deliveries_waiting),
        ("sublet_deliveries_in_flight", stats.deliveries_in_flight),
        ("sublet_stream_readers", stats.stream_readers),
        ("sublet_shards", stats.shards),
        ("sublet_draining", u64::from(stats.draining)),
    ];
    for (name, value) in gauges {
        metrics::gauge!(name).set(value as f64);
    }
    if let Some(room) = state.store().room() {
        // Where the file system does not say, no number is better than a wrong one.
        metrics::gauge!("sublet_disk_free_bytes").set(room.free_bytes.map_or(f64::NAN, |free| free as f64));
        metrics::gauge!("sublet_disk_reserve_bytes").set(room.reserve_bytes as f64);
        metrics::gauge!("sublet_store_log_bytes").set(room.log_bytes as f64);
    }
    let expires = state.tls().map_or(f64::NAN, |tls| tls.expires().millis() as f64 / 1e3);
    metrics::gauge!("sublet_tls_certificate_expiry_timestamp_seconds").set(expires);
    process::measure();
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

/// Numbers about this node, as Prometheus reads them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")),
)]
async fn get_metrics(node: Open) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], node.metrics()).into_response()
}
