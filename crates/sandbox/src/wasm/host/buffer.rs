//! Operations 130 to 139: what `Buffer` needs and the engine has not.

use super::call::{Answer, CallError};

pub(super) fn call(operation: i32, request: &[u8]) -> Answer {
    match operation {
        // Bytes → UTF-8: what is malformed becomes U+FFFD, as the web's decoder does it.
        130 => Ok(String::from_utf8_lossy(request).into_owned().into_bytes()),
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    }
}
