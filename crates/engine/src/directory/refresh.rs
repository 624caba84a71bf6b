//! What other nodes changed: noticed by the registry's revision, then everything held is read anew.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sublet_model::Error;

use super::{Change, Directory};
use crate::chance::locked;

/// Between two tries while the store does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Directory {
    /// Runs for the life of the engine.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            let known = self.revision.load(Ordering::Acquire);
            let seen = self.store.registry_changed(known).await;
            let refreshed = {
                // Waits for a write of our own that raised the revision and is about to say so.
                let _writing = self.writing.lock().await;
                if self.revision.load(Ordering::Acquire) >= seen { Ok(()) } else { self.refresh(seen).await }
            };
            if let Err(error) = refreshed {
                tracing::warn!(%error, "the registry could not be read again; trying once more");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    async fn refresh(&self, seen: u64) -> Result<(), Error> {
        self.generation.fetch_add(1, Ordering::AcqRel);
        locked(&self.held).clear();
        self.read_all().await?;
        // Not what the revision is by now: a change in between wakes this up again.
        self.revision.store(seen, Ordering::Release);
        self.tell(Change::Anything);
        Ok(())
    }

    pub(super) async fn read_all(&self) -> Result<(), Error> {
        self.read_rules().await?;
        self.read_webhooks().await?;
        self.read_queues().await
    }
}
