//! The store in memory.

/// Placeholder until the parts are in.
#[derive(Debug, Default)]
pub struct MemoryStore {}
