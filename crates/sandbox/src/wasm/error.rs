//! What can go wrong in this tier that is not the tenant's code: never shown to a tenant.

/// For the log; the caller turns it into `Unavailable::Broken`.
#[derive(Debug, thiserror::Error)]
pub enum WasmError {
    /// wasmtime refused: configuration, compilation, loading or a pool that is full.
    #[error("wasm runtime: {0}")]
    Runtime(String),
    /// A builder handed back something that is not a snapshot of our engine.
    #[error("snapshot refused: {0}")]
    Snapshot(String),
}

impl From<wasmtime::Error> for WasmError {
    fn from(error: wasmtime::Error) -> WasmError {
        WasmError::Runtime(format!("{error:#}"))
    }
}
