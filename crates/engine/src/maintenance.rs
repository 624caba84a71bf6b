//! Upkeep by the clock: attempts whose lease ran out are given back, and the store tidies up.

use sublet_model::Timestamp;
use sublet_store::Error;

use crate::chance::locked;
use crate::core::Core;

/// Between two looks for lines of the audit log that are too old.
const AUDIT_DROP_EVERY_MS: u64 = 3_600_000;
/// Lines dropped in one commit.
const AUDIT_DROP_ROWS: usize = 1_000;

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn keep_rescuing(&self) {
        loop {
            tokio::time::sleep(self.config.rescue_every).await;
            if let Err(error) = self.rescue().await {
                tracing::warn!(%error, "attempts whose lease ran out were not given back");
            }
        }
    }

    async fn rescue(&self) -> Result<(), Error> {
        let ownership = locked(&self.ownership).clone();
        let count = self.store.rescue(&ownership, self.clock.now()).await?;
        if count > 0 {
            tracing::warn!(count, "{count} attempts whose lease ran out were given back");
            metrics::counter!("sublet_attempts_rescued_total").increment(count);
        }
        Ok(())
    }

    /// Runs for the life of the engine.
    pub(crate) async fn keep_tidy(&self) {
        let mut audit_looked: Option<Timestamp> = None;
        loop {
            tokio::time::sleep(self.config.maintain_every).await;
            if let Err(error) = self.tidy_queues().await {
                tracing::warn!(%error, "the upkeep of named queues failed; the next one tries again");
            }
            let now = self.clock.now();
            self.open_secrets.sweep(now);
            if audit_looked.is_none_or(|at| now.since(at) >= AUDIT_DROP_EVERY_MS) {
                audit_looked = Some(now);
                if let Err(error) = self.drop_audit(now).await {
                    tracing::warn!(%error, "old lines of the audit log were not dropped; the next hour tries again");
                }
            }
            if let Err(error) = self.store.maintain(now, now - self.config.retain).await {
                tracing::warn!(%error, "the store's upkeep failed; the next one tries again");
            }
        }
    }

    /// Slice by slice, others' commits between them.
    async fn drop_audit(&self, now: Timestamp) -> Result<(), Error> {
        let before = now - self.config.audit_retain;
        while self.store.drop_audit(before, AUDIT_DROP_ROWS).await? == AUDIT_DROP_ROWS as u64 {}
        Ok(())
    }
}
