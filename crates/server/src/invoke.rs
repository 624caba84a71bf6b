//! `…/functions/{function}/invoke`: run it now, and answer with what it returned.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sublet_engine::{InvokeRequest, Selector};
use sublet_model::{Name, Outcome, limit};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, TenantScope};
use crate::body;
use crate::function::FunctionPath;
use crate::param::{Path, Query};
use crate::problem::Problem;

const INVOCATION: HeaderName = HeaderName::from_static("sublet-invocation");
const VERSION: HeaderName = HeaderName::from_static("sublet-version");
const WALL_US: HeaderName = HeaderName::from_static("sublet-wall-us");

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(invoke_function))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InvokeQuery {
    /// This version instead of the live one.
    version: Option<u32>,
    /// What this alias points to instead of the live version.
    #[param(value_type = Option<String>)]
    alias: Option<Name>,
}

/// Run a function now and wait for its answer.
///
/// The body is the handler's first argument; none is `null`. The answer is the result itself, with the invocation, the
/// version that ran and the wall time in headers. Recorded and metered; neither retried nor announced. 502 with
/// `outcome` when the function failed, 504 when it ran out of time, 429 when the tenant's slots are taken.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/invoke",
    tag = "functions",
    params(InvokeQuery),
    request_body(content = serde_json::Value, description = "Any JSON, at most 256 KiB"),
    responses((
        status = 200,
        description = "What the function returned",
        body = serde_json::Value,
        headers(
            ("sublet-invocation" = String, description = "`inv_…`"),
            ("sublet-version" = u32, description = "The version that ran"),
            ("sublet-wall-us" = u64, description = "Wall time in microseconds"),
        )
    )),
    security(("key" = []))
)]
async fn invoke_function(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
    Query(query): Query<InvokeQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let selector = match (query.version, query.alias) {
        (None, None) => Selector::Live,
        (Some(version), None) => Selector::Version(version),
        (None, Some(alias)) => Selector::Alias(alias),
        (Some(_), Some(_)) => return Err(Problem::invalid("alias", "cannot be together with `version`")),
    };
    let payload = payload(request).await?;
    let tenant = scope.tenant.as_ref().clone();
    let answer = scope.engine().invoke(InvokeRequest { tenant, function: path.function, selector, payload }).await?;

    let (outcome, invocation, version) = (answer.report.outcome, answer.invocation, answer.version);
    let mut response = match answer.report.result {
        Some(result) if outcome == Outcome::Succeeded => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], result).into_response()
        }
        _ => Problem::outcome(outcome, invocation, version, answer.report.failure).into_response(),
    };
    let headers = response.headers_mut();
    set(headers, INVOCATION, invocation.to_string());
    set(headers, VERSION, version.to_string());
    set(headers, WALL_US, answer.report.usage.wall_us.to_string());
    Ok(response)
}

/// JSON, checked: what reaches the sandbox reads.
async fn payload(request: Request) -> Result<Bytes, Problem> {
    let typed = body::require_json(request.headers());
    let bytes = body::read(request, limit::EVENT_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"null"));
    }
    typed?;
    body::parse_borrowed::<&RawValue>(&bytes)?;
    Ok(bytes)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(name, value);
    }
}
