//! The raw memory a builder process hands back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a package's top level left behind, as read from the builder's instance. Hostile data on the server's side: the
/// builder ran tenant code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawSnapshot {
    /// Linear memory from address 0, trailing zeros trimmed.
    pub memory: Bytes,
    /// Size of that memory in pages of 64 KiB.
    pub memory_pages: u32,
    /// The function's memory limit in pages: what the image may grow to.
    pub memory_pages_max: u32,
    /// The engine's only mutable global, which must be back where it started.
    pub stack_pointer: u32,
    /// What the top level wrote by `console.*`.
    pub log: Bytes,
}
