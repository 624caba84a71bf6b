//! What the images of all functions have in common: the memory of an engine that has evaluated a package of nothing.
//!
//! A function's image is kept as its difference from it (see [`super::patch`]), so that the workers' memories all have
//! one and the same image mapped: the one that an attempt takes is warm whoever ran there before. Made by our own code
//! alone, with the clock and the seed fixed, so that the same engine gives the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sublet_model::limit;

use super::compile::{compiler, engine_hash, memory_pages_max};
use super::host::GuestClock;
use super::seal::data_module;
use super::{Initializer, WasmError};
use crate::{BuildRequest, SourceFile};

/// As like a usual package as one can be that does nothing: what it shares with others need not be in their images.
const PACKAGE: &str = "export const handler = async (event) => ({});\n";
/// Where the clock stands while it is evaluated.
const NOW_MS: i64 = 0;
/// Nobody waits for it in earnest: it takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Linear memory from address 0, trailing zeros trimmed.
    pub memory: Bytes,
    /// Size of that memory in pages of 64 KiB.
    pub memory_pages: u32,
    /// The same as a precompiled module without code, for [`super::Runner::new`].
    pub module: Bytes,
}

impl Base {
    pub fn of(initializer: &Initializer) -> Result<Base, WasmError> {
        let request = BuildRequest {
            files: vec![SourceFile { path: "index.mjs".into(), content: Bytes::from_static(PACKAGE.as_bytes()) }],
            layers: Vec::new(),
            handler: ("index".into(), "handler".into()),
            environment: BTreeMap::new(),
            secret_names: Vec::new(),
            memory_bytes: limit::MEMORY_MAX,
            timeout: TIMEOUT,
        };
        let raw = initializer
            .prepare()?
            .evaluate_at(&request, GuestClock::Stands(NOW_MS))
            .map_err(|failure| WasmError::Runtime(format!("the base image: {}", failure.error_message)))?;
        let module = data_module(&raw.memory, raw.memory_pages, memory_pages_max());
        let module = compiler()?.precompile_module(&module)?;
        Ok(Base { memory: raw.memory, memory_pages: raw.memory_pages, module: module.into() })
    }

    /// [`engine_hash`] and the base's own: images belong to both, and are made again for another.
    pub fn engine_hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(engine_hash());
        hasher.update(self.memory_pages.to_le_bytes());
        hasher.update(&self.memory);
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
