//! Upkeep by the clock: attempts whose lease ran out are given back, and the store tidies up.

use sublet_store::Error;

use crate::chance::locked;
use crate::core::Core;

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
        loop {
            tokio::time::sleep(self.config.maintain_every).await;
            let now = self.clock.now();
            if let Err(error) = self.store.maintain(now, now - self.config.retain).await {
                tracing::warn!(%error, "the store's upkeep failed; the next one tries again");
            }
        }
    }
}
