//! Builder process: runs a package's top level once and reads the memory it left.

use super::{RawSnapshot, WasmError};
use crate::{BuildRequest, Failure};

/// The engine ready to evaluate packages.
pub struct Initializer {}

impl Initializer {
    /// # Safety
    /// `init_code` must be [`super::EngineCode::init`] as made by our server: it is run as machine code.
    pub unsafe fn new(init_code: &[u8]) -> Result<Initializer, WasmError> {
        Err(WasmError::Runtime(format!("not yet: {}", init_code.len())))
    }

    /// Synchronous; the caller's process is killed at the deadline.
    pub fn evaluate(&self, request: &BuildRequest) -> Result<RawSnapshot, Failure> {
        Err(Failure { error_type: "NotYet".into(), error_message: request.handler.0.clone(), stack_trace: vec![] })
    }
}
