//! The suite that every backend runs.

use std::sync::Arc;

use sublet_store::Store;
use sublet_store::conformance::Harness;
use sublet_store_sqlite::SqliteStore;
use tempfile::TempDir;

use super::support;

/// A folder that is opened again and again. A handle that is dropped leaves its log where it is, so that the next one
/// recovers as after a crash.
struct Folder(TempDir);

#[async_trait::async_trait]
impl Harness for Folder {
    async fn open(&mut self) -> Arc<dyn Store> {
        SqliteStore::open(self.0.path(), support::options()).unwrap()
    }
}

sublet_store::conformance_tests!(Folder(TempDir::new().unwrap()));
