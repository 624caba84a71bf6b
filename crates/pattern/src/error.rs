//! Why a pattern or an event was refused. Both are the caller's mistake; neither is worth a retry.

use crate::limit::{EVENT_BYTES_MAX, EVENT_DEPTH_MAX, EVENT_SCALARS_MAX};

/// A pattern that is not one: where, and why. Displayed as `detail.state[0].prefix: must be a string`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}", .path, if .path.is_empty() { "" } else { ": " })]
pub struct PatternError {
    /// Keys joined by dots with `[index]` inside arrays; empty where the pattern as a whole is meant.
    pub path: String,
    /// Lowercase, without a full stop.
    pub reason: String,
}

impl PatternError {
    pub(crate) fn new(path: &str, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into() }
    }
}

/// An event that cannot be matched against anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("event is longer than {EVENT_BYTES_MAX} bytes")]
    TooLong,
    #[error("event is nested deeper than {EVENT_DEPTH_MAX} levels")]
    TooDeep,
    #[error("event holds more than {EVENT_SCALARS_MAX} values")]
    TooManyValues,
    #[error("event is not a JSON object")]
    NotAnObject,
    /// Carries the JSON reader's own message.
    #[error("event is not valid JSON: {0}")]
    Json(String),
}
