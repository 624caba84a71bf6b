//! Every route, once. A route is a handler with its description, so the table of routes and the OpenAPI document are the
//! same thing.

use axum::Router;
use sublet_model::Error;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::AppState;
use crate::problem::Problem;
use crate::{
    alias, audit, dead_letter, delivery, edge, event, function, health, idempotency, invocation, invoke, key, layer,
    metric, openapi, pattern, queue, rollout, rule, secret, stop, stream, tenant, usage, version, webhook,
};

pub(crate) fn router(state: AppState) -> Result<Router, Error> {
    // Before the first request, so that it is counted.
    metric::install_metrics();
    let (routes, document) = OpenApiRouter::with_openapi(openapi::head())
        .merge(event::routes())
        .merge(stream::routes())
        .merge(pattern::routes())
        .merge(rule::routes())
        .merge(tenant::routes())
        .merge(function::routes())
        .merge(version::routes())
        .merge(alias::routes())
        .merge(invoke::routes())
        .merge(invocation::routes())
        .merge(dead_letter::routes())
        .merge(usage::routes())
        .merge(webhook::routes())
        .merge(delivery::routes())
        .merge(queue::routes())
        .merge(layer::routes())
        .merge(secret::routes())
        .merge(rollout::routes())
        .merge(stop::routes())
        .merge(key::routes())
        .merge(audit::routes())
        .merge(health::routes())
        .merge(if state.metrics_are_apart() { OpenApiRouter::new() } else { metric::routes() })
        .merge(openapi::routes())
        .split_for_parts();
    let changes = audit::Changes::of(&document.paths, state.clone());
    let document = openapi::finish(document).map_err(Error::internal)?;
    Ok(routes
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(axum::Extension(document))
        .layer(axum::Extension(std::sync::Arc::new(idempotency::Answers::default())))
        .layer(axum::middleware::from_fn_with_state(changes, audit::record))
        .layer(axum::middleware::from_fn_with_state(state.clone(), edge::wrap))
        .with_state(state))
}

/// What is served on an address of its own, when the metrics have one.
pub(crate) fn metrics_router(state: AppState) -> Router {
    metric::install_metrics();
    let (routes, _) = OpenApiRouter::new().merge(health::routes()).merge(metric::routes()).split_for_parts();
    routes
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(axum::middleware::from_fn_with_state(state.clone(), edge::wrap))
        .with_state(state)
}
