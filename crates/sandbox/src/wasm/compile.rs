//! From the committed engine artifact to machine code.

use super::WasmError;

/// Serialized wasmtime modules; only the server may make them, and whoever loads them trusts the server.
#[derive(Clone)]
pub struct EngineCode {
    /// Imports its memory, writes nothing to it on instantiation: attempts run on this one.
    pub run: Vec<u8>,
    /// Fills its memory on instantiation: packages are evaluated on this one.
    pub init: Vec<u8>,
}

/// Hex SHA-256 over the artifact, the wrapper's JavaScript, wasmtime's compatibility hash and our configuration: images
/// and engine code of another hash are made again.
pub fn engine_hash() -> &'static str {
    ""
}

/// Compiles both variants of the engine; takes seconds of CPU, so keep the result under [`engine_hash`].
pub fn compile_engine() -> Result<EngineCode, WasmError> {
    Err(WasmError::Runtime("not yet".into()))
}
