//! The in-memory store keeps every promise of the traits.

use std::sync::Arc;

use async_trait::async_trait;
use sublet_store::conformance::Harness;
use sublet_store::{MemoryStore, Store};

/// A crash of a process whose store is memory: another handle on the same state.
#[derive(Default)]
struct Memory {
    kept: Option<Arc<MemoryStore>>,
}

#[async_trait]
impl Harness for Memory {
    async fn open(&mut self) -> Arc<dyn Store> {
        let opened = match &self.kept {
            Some(former) => former.reopen(),
            None => MemoryStore::new(),
        };
        self.kept = Some(opened.clone());
        opened
    }
}

sublet_store::conformance_tests!(Memory::default());
