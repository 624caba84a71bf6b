//! The synchronous call: run a function now and answer with what it returned.
//!
//! Recorded and metered like any attempt, but neither retried nor announced: the caller has the answer.

use bytes::Bytes;
use sublet_model::{Error, InvocationId, Name};
use sublet_sandbox::Report;
use sublet_store::TenantRecord;

use crate::core::Core;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Live,
    Version(u32),
    Alias(Name),
}

#[derive(Debug, Clone)]
pub struct InvokeRequest {
    pub tenant: TenantRecord,
    pub function: Name,
    pub selector: Selector,
    /// JSON text: the handler's first argument.
    pub payload: Bytes,
}

#[derive(Debug, Clone)]
pub struct InvokeAnswer {
    pub invocation: InvocationId,
    /// The version that ran.
    pub version: u32,
    /// Outcome, result or failure, log and usage.
    pub report: Report,
}

impl Core {
    pub(crate) async fn invoke(&self, _request: InvokeRequest) -> Result<InvokeAnswer, Error> {
        Err(Error::unavailable("not yet"))
    }
}
