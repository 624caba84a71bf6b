//! What happens to every request and every answer, whichever handler is between: a request id, the rendering of
//! problems, the one log line of a failure, a few headers, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use sublet_model::TraceContext;

use crate::auth::AppState;
use crate::metric::http;
use crate::origin::{Peer, origin_of};
use crate::problem::Problem;
use crate::trace;
use crate::visit::Visit;

/// Names one request, in its answer (`x-request-id`), in its problem and in the log.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestId {
    /// Not a secret and not an order: a counter, mixed so that ids of two starts do not look alike.
    fn next() -> RequestId {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        static SALT: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| getrandom::u64().unwrap_or_default());
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        // SplitMix64's finaliser: a bijection, so that no two requests of one process share an id.
        let mut mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(*SALT);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        RequestId(format!("req_{:016x}", mixed ^ (mixed >> 31)).into())
    }
}

pub(crate) async fn wrap(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::next();
    let method = method_label(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<Peer>().copied();
    let visit = Visit::new(id.clone(), origin_of(peer, request.headers(), state.trusted_proxies()));
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(visit.clone());
    // Only somebody who reads these lines pays for them.
    let is_change = matches!(method, "PUT" | "PATCH" | "DELETE");
    let told = (is_change || tracing::enabled!(tracing::Level::DEBUG)).then(|| trace::of(request.headers()));

    let mut response = next.run(request).await;
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let failed = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = failed {
        log(&problem, &id, method, route);
        // What the handler said in headers stays.
        let said = std::mem::take(response.headers_mut());
        response = problem.with_request_id(&id.0).render();
        for (name, value) in said.iter() {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    if let Some(trace) = &told {
        let line = Line {
            id: &id,
            method,
            route,
            status: response.status().as_u16(),
            is_change,
            visit: &visit,
            trace: trace.as_ref(),
            started,
        };
        line.write();
    }
    http::count(method, route, response.status().as_u16(), started.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(X_REQUEST_ID, value);
    }
    visit.mark(headers);
    // The API answers data, never a page: nothing may sniff, frame or keep it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What is said of every answer: changes to how the node is set up at `info`, of which there are few, and all else, of
/// which there are as many as callers please, at `debug`.
struct Line<'a> {
    id: &'a RequestId,
    method: &'static str,
    route: &'a str,
    status: u16,
    is_change: bool,
    visit: &'a Visit,
    trace: Option<&'a TraceContext>,
    started: Instant,
}

impl Line<'_> {
    fn write(&self) {
        let Line { id, method, route, status, is_change, .. } = self;
        let key = self.visit.key().map(tracing::field::display);
        let trace = self.trace.map(TraceContext::trace_id_text);
        let duration_ms = self.started.elapsed().as_secs_f64() * 1e3;
        // A macro, because the level of a line is part of the place it is written at.
        macro_rules! write_at {
            ($level:ident) => {
                tracing::$level!(
                    request.id = &*id.0,
                    http.method = method,
                    http.route = route,
                    http.status = status,
                    duration_ms,
                    key.id = key,
                    trace.id = trace,
                    "request {}: {method} {route} was answered {status}",
                    id.0
                )
            };
        }
        if *is_change { write_at!(info) } else { write_at!(debug) }
    }
}

/// A failure of ours is logged here, by whoever renders it, and nowhere else; a function's is in the tenant's log, a caller's is the caller's.
pub(crate) fn log(problem: &Problem, id: &RequestId, method: &'static str, route: &str) {
    let status = problem.status().as_u16();
    let source = problem.source_text().unwrap_or_default();
    let detail = problem.detail();
    match status {
        500 => tracing::error!(
            request.id = &*id.0,
            http.method = method,
            http.route = route,
            http.status = status,
            "request {} failed: {detail}: {source}",
            id.0
        ),
        501.. if problem.is_ours() => tracing::warn!(
            request.id = &*id.0,
            http.method = method,
            http.route = route,
            http.status = status,
            "request {} was turned away: {detail}",
            id.0
        ),
        _ => tracing::debug!(
            request.id = &*id.0,
            http.method = method,
            http.route = route,
            http.status = status,
            "request {} was refused: {detail}",
            id.0
        ),
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
