//! Parameters in the path and the query, with rejections that are problems naming the parameter; and the parameters
//! that every listing takes.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use sublet_model::limit;
use sublet_store::Page;
use utoipa::IntoParams;

use crate::problem::Problem;
use sublet_intake::json::field_of;

/// Parameters of the path into a struct's fields, by name; those it has no field for are left to others.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        // Not axum's own `Path`, which does not say which parameter it could not read.
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("path", "is not percent-encoded UTF-8"))?;
        let fields: MapDeserializer<'_, _, serde::de::value::Error> = MapDeserializer::new(params.iter());
        serde_path_to_error::deserialize(fields)
            .map(Path)
            .map_err(|error| Problem::invalid(error.path().to_string(), error.inner().to_string()))
    }
}

/// For a number in the path, whose parts are all text.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom("must be a whole number"))
}

/// The query into a struct's fields. Its structs say `deny_unknown_fields`, so that a misspelt filter is not ignored.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Query(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                // The reader writes `limit: invalid digit …` where it knows the parameter.
                let (path, message) = match text.split_once(": ") {
                    Some((path, message)) if !path.contains(' ') => (path, message),
                    _ => ("", text),
                };
                let field = field_of(path, message);
                let field = if field == "body" { "query".to_owned() } else { field };
                Err(Problem::invalid(field, message))
            }
        }
    }
}

/// Which page of a listing. (Repeated in each listing's own query struct, because the query reader cannot flatten
/// numbers.)
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// What an earlier page gave as `next`.
    pub(crate) cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    pub(crate) limit: Option<usize>,
}

impl PageQuery {
    pub(crate) fn page(self) -> Result<Page, Problem> {
        page(self.cursor, self.limit)
    }
}

/// Errors: `Invalid` for a limit out of range, and for a cursor that no page gave.
pub(crate) fn page(cursor: Option<String>, limit: Option<usize>) -> Result<Page, Problem> {
    let limit = limit.unwrap_or(limit::PAGE_DEFAULT);
    if limit == 0 || limit > limit::PAGE_MAX {
        return Err(Problem::invalid("limit", format!("must be 1 to {}", limit::PAGE_MAX)));
    }
    if cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_CHARS_MAX) {
        return Err(Problem::invalid("cursor", "is not what a page gave as `next`"));
    }
    Ok(Page::new(cursor, limit))
}

/// Longer than any cursor that a store gives.
const CURSOR_CHARS_MAX: usize = 256;
