//! `…/functions/{function}/invoke`: run it now, and answer with what it returned.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sublet_engine::{InvokeRequest, Selector};
use sublet_model::{ErrorKind, Millis, Name, Outcome, limit};
use utoipa::{IntoParams, ToSchema};
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
const INSTRUCTIONS: HeaderName = HeaderName::from_static("sublet-instructions");
const FALLBACK: HeaderName = HeaderName::from_static("sublet-fallback");
/// Bytes of a fallback: it travels in a header.
const FALLBACK_BYTES_MAX: usize = 8 * 1024;

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
    /// Answer within this span, such as `150ms`, whatever has become of it: waiting for a slot included. The function's own
    /// timeout holds as well.
    #[param(value_type = Option<String>)]
    deadline: Option<Millis>,
    /// Count what it executes: `instructions`. It runs slower, in a process of its own.
    count: Option<Count>,
}

/// What can be counted on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Count {
    Instructions,
}

/// Run a function now and wait for its answer.
///
/// The body is the handler's first argument; none is `null`. The answer is the result itself, with the invocation, the
/// version that ran and the wall time in headers. Recorded and metered; neither retried nor announced. 502 with
/// `outcome` when the function failed, 504 when it or the deadline ran out of time, 429 when the tenant's slots are taken.
///
/// With a header `Sublet-Fallback` (JSON, at most 8 KiB), all of these and a function that is not there are 200 with that
/// JSON as the answer, and the header `sublet-fallback` of the answer says why.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/invoke",
    tag = "functions",
    params(InvokeQuery, ("Sublet-Fallback" = Option<String>, Header, description = "JSON: the answer if there is no other")),
    request_body(content = serde_json::Value, description = "Any JSON, at most 256 KiB"),
    responses((
        status = 200,
        description = "What the function returned",
        body = serde_json::Value,
        headers(
            ("sublet-invocation" = String, description = "`inv_…`"),
            ("sublet-version" = u32, description = "The version that ran"),
            ("sublet-wall-us" = u64, description = "Wall time in microseconds"),
            ("sublet-instructions" = Option<u64>, description = "With `count=instructions`: WebAssembly instructions, the \
                same for the same call on every machine"),
            ("sublet-fallback" = String, description = "The answer is the fallback: failed, timed_out, out_of_memory, \
                crashed, cancelled, throttled, unavailable, no_function or refused"),
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
    if query.deadline.is_some_and(|deadline| deadline.0 == 0) {
        return Err(Problem::invalid("deadline", "must be at least 1ms"));
    }
    let fallback = fallback(request.headers())?;
    let payload = payload(request).await?;
    let tenant = scope.tenant.as_ref().clone();
    let deadline = query.deadline.map(Millis::duration);
    let counts = query.count == Some(Count::Instructions);
    let request = InvokeRequest { tenant, function: path.function, selector, payload, deadline, counts };
    let invoked = scope.engine().invoke(request).await;
    let answer = match (invoked, &fallback) {
        (Ok(answer), _) => answer,
        (Err(error), Some(fallback)) => match reason_of(error.kind) {
            Some(reason) => return Ok(instead(fallback, reason)),
            None => return Err(error.into()),
        },
        (Err(error), None) => return Err(error.into()),
    };

    let (outcome, invocation, version) = (answer.report.outcome, answer.invocation, answer.version);
    let mut response = match (answer.report.result, &fallback) {
        (Some(result), _) if outcome == Outcome::Succeeded => json(result),
        (_, Some(fallback)) => instead(fallback, outcome_word(outcome)),
        _ => Problem::outcome(outcome, invocation, version, answer.report.failure).into_response(),
    };
    let headers = response.headers_mut();
    if let (Some(invocation), Some(version)) = (invocation, version) {
        set(headers, INVOCATION, invocation.to_string());
        set(headers, VERSION, version.to_string());
        set(headers, WALL_US, answer.report.usage.wall_us.to_string());
        if let Some(instructions) = answer.report.usage.instructions {
            set(headers, INSTRUCTIONS, instructions.to_string());
        }
    }
    Ok(response)
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// The caller's own answer, and why.
fn instead(fallback: &Bytes, reason: &'static str) -> Response {
    metrics::counter!("sublet_invoke_fallbacks_total", "reason" => reason).increment(1);
    let mut response = json(fallback.clone());
    response.headers_mut().insert(FALLBACK, HeaderValue::from_static(reason));
    response
}

/// Errors: a fallback that is no JSON, or is too long.
fn fallback(headers: &HeaderMap) -> Result<Option<Bytes>, Problem> {
    let Some(value) = headers.get(FALLBACK) else { return Ok(None) };
    if value.len() > FALLBACK_BYTES_MAX {
        return Err(Problem::invalid("Sublet-Fallback", format!("must have at most {FALLBACK_BYTES_MAX} bytes")));
    }
    body::parse_borrowed::<&RawValue>(value.as_bytes())
        .map_err(|_| Problem::invalid("Sublet-Fallback", "must be JSON; write what is not ASCII as escapes"))?;
    Ok(Some(Bytes::copy_from_slice(value.as_bytes())))
}

/// Why there is no answer of the function's; `None`: the request is to blame, and a fallback would hide it.
fn reason_of(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Throttled => Some("throttled"),
        ErrorKind::NotFound => Some("no_function"),
        // Quarantined, or its tenant is suspended.
        ErrorKind::Conflict => Some("refused"),
        ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Fenced => Some("unavailable"),
        ErrorKind::Invalid => None,
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded | Outcome::Failed => "failed",
        Outcome::TimedOut => "timed_out",
        Outcome::OutOfMemory => "out_of_memory",
        Outcome::Crashed => "crashed",
        Outcome::Cancelled => "cancelled",
    }
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
