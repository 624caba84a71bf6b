//! The ways in: from a request's header fields and bytes to events, before anything is known of tenants or rules.
//!
//! Pure: no HTTP library, no I/O, no clock. Everything here is hostile until shown otherwise; every refusal names the
//! header, the attribute or the place in the body, and nothing is guessed: what is not one of the accepted types,
//! encodings and character sets is refused with a list of those that are.
//!
//! A request is read in this order: [`Encoding`] → bytes, [`ContentType`] → [`Mode`], then [`native`] or
//! [`cloudevents`].

pub mod cloudevents;
pub mod content;
pub mod encoding;
pub mod json;
pub mod native;
mod refusal;

pub use content::{Charset, ContentType, Mode};
pub use encoding::Encoding;
pub use refusal::{Fault, Refusal};

/// A header field of a request: its name in lower case, and its value as it came.
pub type Header<'a> = (&'a str, &'a [u8]);

/// One entry of a request: an event, or why it is none.
pub type Entry = Result<sublet_model::EventInput, Refusal>;
