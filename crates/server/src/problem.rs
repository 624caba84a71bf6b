//! Errors as RFC 9457 problems: the one file where an error of the product gets its HTTP status and its words.
//!
//! Text that is only for us never leaves: an internal error shows the request's id, and the log line under that id
//! (written once, by `edge`, where the answer leaves) holds the rest.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sublet_intake::{Fault, Refusal, encoding};
use sublet_model::{Error, ErrorKind};
use utoipa::ToSchema;

use crate::edge::RequestId;

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong. `application/problem+json`, as RFC 9457 says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:sublet:problem:invalid", "title": "The request is not valid", "status": 400,
    "detail": "must be 1 to 1000, not 0", "field": "quota.weight", "request_id": "req_5f0c9a3e12b7d468"
}))]
pub(crate) struct ProblemBody {
    /// A name for this kind of problem that stays the same.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The kind in words.
    pub(crate) title: &'static str,
    /// The HTTP status, again.
    pub(crate) status: u16,
    /// What went wrong this time.
    pub(crate) detail: String,
    /// The offending part: a parameter's name, or a place in the body such as `targets[0].retry.attempts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// How the attempt ended, where an invocation was made and did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "TimedOut")]
    pub(crate) outcome: Option<&'static str>,
    /// The invocation that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invocation: Option<String>,
    /// The version that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u32>,
    /// The function's own error, in Lambda's words, with the tenant's own files and lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<FailureBody>,
}

/// Lambda's error object; the names are AWS's.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Failure, example = json!({
    "errorType": "TypeError", "errorMessage": "x is not a function", "stackTrace": ["at handler (index.mjs:3:11)"]
}))]
pub(crate) struct FailureBody {
    pub(crate) error_type: String,
    pub(crate) error_message: String,
    pub(crate) stack_trace: Vec<String>,
}

impl From<sublet_sandbox::Failure> for FailureBody {
    fn from(failure: sublet_sandbox::Failure) -> FailureBody {
        FailureBody {
            error_type: failure.error_type,
            error_message: failure.error_message,
            stack_trace: failure.stack_trace,
        }
    }
}

/// A problem on its way out, with what is for the log alone. Boxed, because it is the `Err` of everything here.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
pub(crate) struct Inner {
    pub(crate) body: ProblemBody,
    /// For the log.
    pub(crate) source_text: Option<String>,
    /// Seconds, for `Retry-After`.
    retry_after: Option<u32>,
    /// The scheme, for `WWW-Authenticate`.
    challenge: bool,
    /// For `Accept-Encoding`: what a body may be packed with instead.
    accept_encoding: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
        let body = ProblemBody {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            request_id: None,
            outcome: None,
            invocation: None,
            version: None,
            failure: None,
        };
        Problem(Box::new(Inner { body, source_text: None, retry_after: None, challenge: false, accept_encoding: None }))
    }

    pub(crate) fn unauthorized(detail: &str) -> Problem {
        let mut problem =
            Problem::new(StatusCode::UNAUTHORIZED, "urn:sublet:problem:unauthorized", "A key is needed", detail);
        problem.0.challenge = true;
        problem
    }

    pub(crate) fn throttled(detail: &str, retry_after_s: u32) -> Problem {
        let mut problem = Problem::from(Error::throttled(detail));
        problem.0.retry_after = Some(retry_after_s);
        problem
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "urn:sublet:problem:forbidden", "This key may not do that", detail)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Problem {
        Error::not_found(what).into()
    }

    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Error::invalid(field, detail).into()
    }

    /// A body that is no JSON at all, so that no field can be named but the body itself.
    pub(crate) fn malformed(detail: impl Into<String>) -> Problem {
        Problem::invalid("body", detail)
    }

    pub(crate) fn method_not_allowed() -> Problem {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:sublet:problem:method-not-allowed",
            "There is no such method here",
            "see /openapi.json for the methods of this path",
        )
    }

    pub(crate) fn timed_out_reading() -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "urn:sublet:problem:request-timeout",
            "The request came too slowly",
            "the body did not arrive in time",
        )
    }

    pub(crate) fn too_large(field: &str, limit_bytes: usize) -> Problem {
        let mut problem = Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "urn:sublet:problem:too-large",
            "The request is too large",
            format!("must not be longer than {limit_bytes} bytes"),
        );
        problem.0.body.field = Some(field.to_owned());
        problem
    }

    pub(crate) fn unsupported_media_type(wanted: &str) -> Problem {
        Problem::unsupported_type(format!("must be {wanted}"))
    }

    fn unsupported_type(detail: String) -> Problem {
        let mut problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:sublet:problem:unsupported-media-type",
            "The body's type is not supported",
            detail,
        );
        problem.0.body.field = Some("content-type".to_owned());
        problem
    }

    pub(crate) fn unsupported_encoding(detail: impl Into<String>) -> Problem {
        let mut problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:sublet:problem:unsupported-media-type",
            "The body's encoding is not supported",
            detail,
        );
        problem.0.body.field = Some("content-encoding".to_owned());
        problem
    }

    pub(crate) fn idempotency_key_reused() -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:sublet:problem:idempotency-key-reused",
            "This Idempotency-Key was used for another request",
            "a key names one request: use a new one for another body",
        )
        .with_field("idempotency-key")
    }

    pub(crate) fn idempotency_key_in_progress() -> Problem {
        Problem::new(
            StatusCode::CONFLICT,
            "urn:sublet:problem:idempotency-key-in-progress",
            "A request with this Idempotency-Key is being carried out",
            "wait for its answer, or repeat this one a little later",
        )
        .with_field("idempotency-key")
    }

    /// Tenant code that cannot be deployed: shown with its own files and lines.
    pub(crate) fn rejected_code(failure: sublet_sandbox::Failure) -> Problem {
        let detail = format!("{}: {}", failure.error_type, failure.error_message);
        let mut problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:sublet:problem:code-rejected",
            "The code could not be deployed",
            detail,
        );
        problem.0.body.failure = Some(failure.into());
        problem
    }

    /// An invocation that was made and did not succeed: 504 when it ran out of time, else 502.
    pub(crate) fn outcome(
        outcome: sublet_model::Outcome,
        invocation: Option<sublet_model::InvocationId>,
        version: Option<u32>,
        failure: Option<sublet_sandbox::Failure>,
    ) -> Problem {
        let (status, kind, title) = match outcome {
            sublet_model::Outcome::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, "urn:sublet:problem:function-timed-out", "The function ran out of time")
            }
            _ => (StatusCode::BAD_GATEWAY, "urn:sublet:problem:function-failed", "The function failed"),
        };
        let detail = match &failure {
            Some(failure) => format!("{}: {}", failure.error_type, failure.error_message),
            None => format!("the attempt ended as {outcome}"),
        };
        let mut problem = Problem::new(status, kind, title, detail);
        problem.0.body.outcome = Some(outcome.as_str());
        problem.0.body.invocation = invocation.map(|id| id.to_string());
        problem.0.body.version = version;
        problem.0.body.failure = failure.map(FailureBody::from);
        problem
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it is ours to look into: a 5xx that does not tell of the function or of a known shortage.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.body.status >= 500 && self.0.body.outcome.is_none()
    }

    pub(crate) fn source_text(&self) -> Option<&str> {
        self.0.source_text.as_deref()
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.body.detail
    }

    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Problem {
        self.0.body.field = Some(field.into());
        self
    }

    pub(crate) fn with_request_id(mut self, id: &str) -> Problem {
        self.0.body.request_id = Some(id.to_owned());
        self
    }

    /// For one entry of a batch, whose answer as a whole is no problem: takes the request's id, and is logged here when
    /// it is ours.
    pub(crate) fn logged(self, id: &RequestId) -> Problem {
        if self.is_ours() {
            crate::edge::log(&self, id, "POST", "one entry");
        }
        self.with_request_id(&id.0)
    }

    /// The body alone, for one entry of a batch.
    pub(crate) fn into_body(self) -> ProblemBody {
        self.0.body
    }

    /// The whole answer.
    pub(crate) fn render(self) -> Response {
        let status = self.status();
        let text = serde_json::to_vec(&self.0.body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(encodings) = self.0.accept_encoding {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings));
        }
        if self.0.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sublet\""));
        }
        response
    }
}

/// Leaves as an extension; `edge` adds the request's id, logs what is ours, and renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let problem = match refusal.fault {
            Fault::Invalid => Problem::invalid("", refusal.message),
            Fault::ReservedSource => Problem::forbidden(refusal.message),
            Fault::TooLarge(most) => Problem::too_large("", most),
            Fault::UnsupportedType => Problem::unsupported_type(refusal.message),
            Fault::UnsupportedEncoding => {
                let mut problem = Problem::unsupported_encoding(refusal.message);
                problem.0.accept_encoding = Some(encoding::ACCEPTED);
                problem
            }
        };
        problem.with_field(refusal.field)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let (status, kind, title) = match error.kind {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "urn:sublet:problem:not-found", "There is no such thing"),
            ErrorKind::Conflict => {
                (StatusCode::CONFLICT, "urn:sublet:problem:conflict", "This conflicts with what is there")
            }
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "urn:sublet:problem:invalid", "The request is not valid"),
            ErrorKind::Throttled => {
                (StatusCode::TOO_MANY_REQUESTS, "urn:sublet:problem:throttled", "A quota is used up for now")
            }
            ErrorKind::Unavailable if error.is_storage_full() => {
                (StatusCode::INSUFFICIENT_STORAGE, "urn:sublet:problem:storage-full", "The disk's reserve is reached")
            }
            // A fenced write means that this node lost its shard meanwhile: the caller may try again.
            ErrorKind::Unavailable | ErrorKind::Fenced => {
                (StatusCode::SERVICE_UNAVAILABLE, "urn:sublet:problem:unavailable", "Not now")
            }
            ErrorKind::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "urn:sublet:problem:internal", "This is ours to fix")
            }
        };
        let mut problem = Problem::new(status, kind, title, error.message);
        problem.0.body.field = error.field.map(|field| field_path(&field));
        problem.0.source_text = error.source_text;
        problem.0.retry_after = match error.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Fenced => Some(RETRY_AFTER_S),
            _ => None,
        };
        problem
    }
}

/// What `Retry-After` says.
const RETRY_AFTER_S: u32 = 1;

/// One spelling for places in a body, whoever found the mistake: `targets/0/retry.attempts` and
/// `targets[0].retry.attempts` are the latter.
fn field_path(field: &str) -> String {
    let mut path = String::with_capacity(field.len());
    for part in field.split('/').filter(|part| !part.is_empty()) {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            path.push('[');
            path.push_str(part);
            path.push(']');
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_shows_nothing_of_its_source() {
        let problem = Problem::from(Error::internal("no such table: invocation"));
        assert_eq!(problem.source_text(), Some("no such table: invocation"));
        let text = serde_json::to_string(&problem.into_body()).unwrap();
        assert!(!text.contains("table"), "{text}");
    }

    #[test]
    fn a_place_in_the_body_has_one_spelling() {
        assert_eq!(field_path("targets/0/retry.attempts"), "targets[0].retry.attempts");
        assert_eq!(field_path("targets[0].retry"), "targets[0].retry");
        assert_eq!(field_path("/quota/weight"), "quota.weight");
    }

    #[test]
    fn every_kind_of_error_has_the_status_that_the_design_names() {
        let cases = [
            (Error::not_found("tenant a"), 404),
            (Error::conflict("x"), 409),
            (Error::invalid("f", "x"), 400),
            (Error::throttled("x"), 429),
            (Error::fenced("x"), 503),
            (Error::unavailable("x"), 503),
            (Error::storage_full(), 507),
            (Error::internal("x"), 500),
        ];
        for (error, status) in cases {
            assert_eq!(Problem::from(error.clone()).status().as_u16(), status, "{error}");
        }
    }
}
