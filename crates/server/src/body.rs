//! Request bodies: their type, their size, the time they take, and JSON that names the field it stumbles over.
//!
//! Every body goes through here, so that none is unbounded: bytes, seconds and nesting are checked before anything is
//! built from it.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sublet_model::limit;

use crate::problem::Problem;

/// Bytes of a body that sets something up: rules, tenants, functions, a pattern with an event as texts.
const SETUP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The whole body, at most `most` bytes. Errors: 413, 408, 400.
pub(crate) async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    // Said in advance, it need not be read to be refused.
    if length.is_some_and(|length: u64| length > most as u64) {
        return Err(Problem::too_large("body", most));
    }
    let collected = collect(request.into_body(), most);
    tokio::time::timeout(BODY_TIMEOUT, collected).await.unwrap_or_else(|_| Err(Problem::timed_out_reading()))
}

async fn collect(body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed("could not be read to its end"))?;
        if first.len() + all.len() + chunk.len() > most {
            return Err(Problem::too_large("body", most));
        }
        // A small body comes in one chunk, and is then not copied.
        if first.is_empty() && all.is_empty() {
            first = chunk;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The body's media type without its parameters, lower case; empty when there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A JSON body. Refuses other types (415), bodies that are too long (413) or nested too deep, and says which field does
/// not fit.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Problem> {
        require_json(request.headers())?;
        let body = read(request, SETUP_BODY_BYTES_MAX).await?;
        parse(&body).map(Json)
    }
}

/// A JSON body that may be left out; then it is the default.
#[derive(Debug)]
pub(crate) struct JsonOrDefault<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for JsonOrDefault<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<JsonOrDefault<T>, Problem> {
        let typed = require_json(request.headers());
        let body = read(request, SETUP_BODY_BYTES_MAX).await?;
        if body.is_empty() {
            return Ok(JsonOrDefault(T::default()));
        }
        typed?;
        parse(&body).map(JsonOrDefault)
    }
}

pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers).as_str() {
        "application/json" => Ok(()),
        _ => Err(Problem::unsupported_media_type("application/json")),
    }
}

/// Errors: `Invalid` with the field, or `body` when it is no JSON.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    check_depth(body)?;
    parse_borrowed(body)
}

/// The same, for what may point into the body and whose depth was checked.
pub(crate) fn parse_borrowed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        misfit(&path, error.inner())
    })?;
    reader.end().map_err(|error| misfit("", &error))?;
    Ok(value)
}

fn misfit(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::malformed(format!("is not valid JSON: {error}"));
    }
    // "… at line 1 column 7" helps with syntax; with a field that is named it is noise.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    Problem::invalid(field_of(path, message), message)
}

/// The field that a message of serde's is about: `path` leads to the object, the message names the key in it.
pub(crate) fn field_of(path: &str, message: &str) -> String {
    let path = if path == "." || path == "?" { "" } else { path };
    let key = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    match key {
        Some(key) if path.is_empty() => key.to_owned(),
        Some(key) if path == key || path.ends_with(&format!(".{key}")) => path.to_owned(),
        Some(key) => format!("{path}.{key}"),
        None if path.is_empty() => "body".to_owned(),
        None => path.to_owned(),
    }
}

/// Refuses JSON that nests deeper than `JSON_DEPTH_MAX`, by its brackets alone: before any reader recurses into it.
pub(crate) fn check_depth(body: &[u8]) -> Result<(), Problem> {
    let mut depth = 0usize;
    let mut in_text = false;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                bytes.next();
            }
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > limit::JSON_DEPTH_MAX {
                    return Err(Problem::malformed(format!("nests deeper than {} levels", limit::JSON_DEPTH_MAX)));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        weight: u32,
    }

    #[test]
    fn a_misfit_names_its_field() {
        let cases = [
            (r#"{}"#, "name"),
            (r#"{"name": 3}"#, "name"),
            (r#"{"name": "a", "nmae": 1}"#, "nmae"),
            (r#"{"name": "a", "name": "b"}"#, "name"),
            (r#"{"name": "a", "inner": [{"weight": -1}]}"#, "inner[0].weight"),
            (r#"{"name": "a", "inner": [{"weight": 1}, {}]}"#, "inner[1].weight"),
            (r#"{"name": "a", "inner": [{"weight": 1, "x": 1}]}"#, "inner[0].x"),
            (r#"[]"#, "body"),
            (r#"{"name": "a"} x"#, "body"),
            (r#"{"name": "#, "body"),
        ];
        for (body, field) in cases {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err().into_body();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(field)), "{body}: {}", problem.detail);
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_text_only() {
        let most = limit::JSON_DEPTH_MAX;
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_depth(nested(most).as_bytes()).is_ok());
        assert!(check_depth(nested(most + 1).as_bytes()).is_err());
        let text = format!(r#"{{"a": "\"{}"}}"#, "[".repeat(most + 1));
        assert!(check_depth(text.as_bytes()).is_ok());
        assert!(check_depth(r#""\\"[[[["#.as_bytes()).is_ok(), "an unfinished one is the reader's to refuse");
    }
}
