//! The trace that a request belongs to: its headers read, its span ended.

use axum::http::{HeaderMap, HeaderName, Method};
use sublet_engine::{Engine, OpenSpan, SpanValue};
use sublet_model::TraceContext;

use crate::edge::RequestId;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `None` without a header `traceparent`, with more than one, and with one that is malformed.
pub(crate) fn of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next()?.to_str().ok()?;
    if parents.next().is_some() {
        return None;
    }
    // Several headers are one list, in their order.
    let states: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    let state = states.filter(|states| !states.is_empty()).map(|states| states.join(","));
    TraceContext::parse(parent, state.as_deref())
}

/// Ends a request's span, with the attributes of OpenTelemetry's conventions for HTTP servers.
pub(crate) fn end(
    engine: &Engine,
    span: Option<OpenSpan>,
    method: &Method,
    route: &'static str,
    status: u16,
    id: &RequestId,
) {
    let Some(span) = span else { return };
    let attributes = vec![
        ("http.request.method", SpanValue::Text(method.to_string())),
        ("http.route", SpanValue::Word(route)),
        ("http.response.status_code", SpanValue::Number(i64::from(status))),
        ("url.scheme", SpanValue::Word("http")),
        ("sublet.request.id", SpanValue::Text(id.0.to_string())),
    ];
    // A refusal is the caller's, and no error of the server's span.
    let error = (status >= 500).then(|| status.to_string());
    engine.end_span(span, "publish", attributes, error);
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn one_parent_is_read_and_states_are_joined() {
        let context = of(&headers(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=b"), (TRACESTATE, "c=d")])).unwrap();
        assert_eq!((context.to_string().as_str(), context.state()), (PARENT, Some("a=b,c=d")));
        assert!(of(&headers(&[])).is_none());
        assert!(of(&headers(&[(TRACESTATE, "a=b")])).is_none());
        assert!(of(&headers(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)])).is_none(), "two parents are none");
        assert!(of(&headers(&[(TRACEPARENT, "00-nonsense")])).is_none());
    }
}
