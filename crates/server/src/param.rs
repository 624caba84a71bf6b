//! Parameters in the path and the query, with rejections that are problems naming the parameter; and the parameters
//! that every listing takes.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, path};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sublet_model::limit;
use sublet_store::Page;
use utoipa::IntoParams;

use crate::body::field_of;
use crate::problem::Problem;

/// Parameters of the path into a struct's fields, by name; those it has no field for are left to others.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(match error.into_kind() {
                path::ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                    Problem::invalid(key, format!("must be a {expected_type}"))
                }
                path::ErrorKind::DeserializeError { key, message, .. } => Problem::invalid(key, message),
                path::ErrorKind::InvalidUtf8InPathParam { key } => Problem::invalid(key, "must be UTF-8"),
                other => Problem::invalid("path", other.to_string()),
            }),
            Err(other) => Err(sublet_model::Error::internal(other).into()),
        }
    }
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
