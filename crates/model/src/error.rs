//! The one error of the libraries, typed by what the caller will do about it.
//!
//! `message` may reach the caller of the API: lower case, names the thing, no full stop, nothing internal. `source_text`
//! holds the internal half; it goes to the log and nowhere else.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing does not exist, or is not the caller's to see.
    NotFound,
    /// It exists already, or changed meanwhile.
    Conflict,
    /// The request is wrong; `field` says where.
    Invalid,
    /// A quota, a rate or a backlog is used up; try again later.
    Throttled,
    /// The lease or the shard's epoch is no longer the caller's; its work was given to another.
    Fenced,
    /// Not now (starting, draining, disk reserve reached); safe to repeat.
    Unavailable,
    /// Ours to fix.
    Internal,
}

const STORAGE_FULL: &str = "the disk's reserve is reached; nothing was stored";

#[derive(Debug, Clone, thiserror::Error)]
pub struct Error {
    pub kind: ErrorKind,
    /// For the caller.
    pub message: String,
    /// JSON pointer or parameter name of the offending part, when there is one.
    pub field: Option<String>,
    /// For the log only.
    pub source_text: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.source_text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), field: None, source_text: None }
    }

    pub fn not_found(what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::NotFound, format!("{what} not found"))
    }

    pub fn conflict(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Conflict, message)
    }

    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Error {
        Error { field: Some(field.into()), ..Error::new(ErrorKind::Invalid, message) }
    }

    pub fn throttled(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Throttled, message)
    }

    pub fn fenced(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Fenced, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    /// The disk's reserve is reached: nothing more is taken in until there is room. Its own answer outside, so it is
    /// made here and recognised by `is_storage_full`.
    pub fn storage_full() -> Error {
        Error::new(ErrorKind::Unavailable, STORAGE_FULL)
    }

    pub fn is_storage_full(&self) -> bool {
        self.kind == ErrorKind::Unavailable && self.message == STORAGE_FULL
    }

    /// `source` is logged, never shown.
    pub fn internal(source: impl fmt::Display) -> Error {
        Error { source_text: Some(source.to_string()), ..Error::new(ErrorKind::Internal, "internal error") }
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub fn retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Internal => true,
            ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Fenced => false,
        }
    }
}
