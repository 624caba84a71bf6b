//! The host's synchronous operations, by number: what the prelude's web and `node:` APIs need and JavaScript lacks.
//!
//! Each is a pure function of its request and of what the same attempt asked before; none opens, connects or waits, and a
//! request is short enough that the thread is free again within about a millisecond. Requests are hostile input.

use super::{crypto, fetch, files, text, url, zone};

/// Bytes of one request: the prelude cuts what is longer.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of what an operation may answer.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// When the guest asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wasm) enum Phase {
    /// A package's top level is evaluated: what it leaves is frozen into an image.
    Build,
    Attempt,
}

/// What operations of one attempt keep between two calls. Cheap to make: every attempt has one.
#[derive(Default)]
pub(in crate::wasm) struct CallState {
    pub(super) fetch: fetch::Calls,
    /// Of a build only.
    pub(super) files: Option<files::Files>,
    pub(super) hashes: crypto::Hashes,
}

impl CallState {
    /// What is to be passed on to the server, if anything.
    pub(super) fn take_outgoing(&mut self) -> Option<Vec<fetch::Outgoing>> {
        (!self.fetch.outgoing.is_empty()).then(|| std::mem::take(&mut self.fetch.outgoing))
    }
}

pub(super) struct CallContext<'a> {
    pub(super) phase: Phase,
    pub(super) state: &'a mut CallState,
}

/// Why an operation refused. `name` is the class that the prelude throws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallError {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl CallError {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> CallError {
        CallError { name, message: message.into() }
    }

    fn text(&self) -> Vec<u8> {
        format!("{}: {}", self.name, self.message).into_bytes()
    }
}

pub(super) type Answer = Result<Vec<u8>, CallError>;

/// The answer, or the text of the refusal.
pub(super) fn call(operation: i32, context: &mut CallContext<'_>, request: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    if request.len() > REQUEST_BYTES_MAX + fetch::HEAD_BYTES_MAX {
        return Err(CallError::new("RangeError", "a request to the host is too long").text());
    }
    let answer = match operation {
        1..=19 => url::call(operation, request),
        20..=39 => text::call(operation, request),
        40..=69 => crypto::call(operation, context, request),
        70..=79 => zone::call(operation, request),
        100..=119 => fetch::call(operation, context, request),
        120..=129 => files::call(operation, context, request),
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    };
    match answer {
        Ok(bytes) if bytes.len() > ANSWER_BYTES_MAX => {
            Err(CallError::new("RangeError", "the host's answer is too long").text())
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(error.text()),
    }
}
