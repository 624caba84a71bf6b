//! Why a verb did not do its work. Not for callers: they get the model's `Error`, made here in one place.
//!
//! The difference decides what happens to the others in the same transaction: a refusal changed nothing and stands
//! beside them; anything else undoes the transaction.

use sublet_model::Error;

#[derive(Debug)]
pub(crate) enum Fail {
    /// The verb's own answer. It must be given before the verb's first write.
    Refused(Error),
    /// SQLite's.
    Broken(rusqlite::Error),
    /// A row that this program cannot have written.
    Corrupt(String),
}

pub(crate) type Outcome<T> = Result<T, Fail>;

impl From<Error> for Fail {
    fn from(error: Error) -> Fail {
        Fail::Refused(error)
    }
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Fail {
        Fail::Broken(error)
    }
}

impl From<serde_json::Error> for Fail {
    fn from(error: serde_json::Error) -> Fail {
        Fail::Corrupt(error.to_string())
    }
}

impl Fail {
    pub(crate) fn corrupt(what: impl Into<String>) -> Fail {
        Fail::Corrupt(what.into())
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Fail::Refused(error) => error,
            Fail::Corrupt(what) => Error::internal(format!("unreadable row: {what}")),
            Fail::Broken(error) => match error.sqlite_error_code() {
                // The verbs insert under ids of the caller and check names themselves, so this is a repeated id.
                Some(rusqlite::ErrorCode::ConstraintViolation) => Error::conflict("an id is in use"),
                Some(rusqlite::ErrorCode::DiskFull) => Error::unavailable("the disk is full"),
                _ => Error::internal(error),
            },
        }
    }

    /// After an I/O error nobody knows what the disk holds; going on would acknowledge what may be lost.
    pub(crate) fn is_fatal(&self) -> bool {
        let Fail::Broken(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                rusqlite::ErrorCode::SystemIoFailure
                    | rusqlite::ErrorCode::DatabaseCorrupt
                    | rusqlite::ErrorCode::NotADatabase
            )
        )
    }
}
