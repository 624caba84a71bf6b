//! Shapes that many endpoints answer in: a page, a whole list, a thing that was made or replaced.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// One page, newest first unless it says otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    pub(crate) items: Vec<T>,
    /// Ask again with `?cursor=` and this for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Everything there is of a kind that is bounded by its own limit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// How many a call reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"count": 3}))]
pub(crate) struct Count {
    pub(crate) count: u64,
}

/// 201 when it was made, 200 when it was replaced.
pub(crate) fn put<T>(body: T, is_new: bool) -> (StatusCode, axum::Json<T>) {
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(body))
}
