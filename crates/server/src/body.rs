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
use sublet_intake::Encoding;

use crate::problem::Problem;

/// Bytes of a body that sets something up: rules, tenants, functions, a pattern with an event as texts.
const SETUP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The whole body, at most `most` bytes. Errors: 413, 408, 400, 415 for one that is packed.
pub(crate) async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_encoding("must not be packed; only events may be"));
    }
    collected(request, most).await
}

async fn collected(request: Request, most: usize) -> Result<Bytes, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    // Said in advance, it need not be read to be refused.
    if length.is_some_and(|length: u64| length > most as u64) {
        return Err(Problem::too_large("body", most));
    }
    let collected = collect(request.into_body(), most);
    tokio::time::timeout(BODY_TIMEOUT, collected).await.unwrap_or_else(|_| Err(Problem::timed_out_reading()))
}

/// The whole body, unpacked: at most `most` bytes, packed and unpacked. Errors: those of `read`, and 400 for what is not
/// packed as it says.
pub(crate) async fn read_packed(request: Request, most: usize, encoding: Encoding) -> Result<Bytes, Problem> {
    let packed = collected(request, most).await?;
    if encoding == Encoding::Identity {
        return Ok(packed);
    }
    // A small body may unpack to a large one: not on a thread that answers others.
    let unpacked = tokio::task::spawn_blocking(move || encoding.decode(&packed, most)).await;
    Ok(unpacked.map_err(sublet_model::Error::internal)??.into())
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
    Ok(sublet_intake::json::parse(body)?)
}

/// The same, for what may point into the body.
pub(crate) fn parse_borrowed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    Ok(sublet_intake::json::parse(body)?)
}
