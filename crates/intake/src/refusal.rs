//! Why a request, or one entry of it, was not taken.

use sublet_model::{Error, limit};

/// What kind of answer it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 400
    Invalid,
    /// 403: the source of result events.
    ReservedSource,
    /// 413; the most bytes there may be.
    TooLarge(usize),
    /// 415: media type or character set.
    UnsupportedType,
    /// 415: content encoding.
    UnsupportedEncoding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub fault: Fault,
    /// A header's name, an attribute, or a place in the body.
    pub field: String,
    /// Lower case, no full stop.
    pub message: String,
}

impl Refusal {
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal { fault: Fault::Invalid, field: field.into(), message: message.into() }
    }

    pub(crate) fn unsupported_type(message: impl Into<String>) -> Refusal {
        Refusal { fault: Fault::UnsupportedType, field: "content-type".to_owned(), message: message.into() }
    }

    pub(crate) fn event_too_large() -> Refusal {
        let most = limit::EVENT_BYTES_MAX;
        Refusal {
            fault: Fault::TooLarge(most),
            field: "event".to_owned(),
            message: format!("must not be longer than {most} bytes"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::invalid(error.field.unwrap_or_else(|| "body".to_owned()), error.message)
    }
}
