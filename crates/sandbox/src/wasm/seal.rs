//! From a builder's raw memory to an image: a precompiled module that defines memory and holds no code.

use super::{RawSnapshot, WasmError};

/// Checks `raw` (hostile) and wraps it; the bytes are for [`super::Runner::load_image`].
pub fn seal_image(raw: &RawSnapshot) -> Result<Vec<u8>, WasmError> {
    Err(WasmError::Snapshot(format!("not yet: {} pages", raw.memory_pages)))
}
