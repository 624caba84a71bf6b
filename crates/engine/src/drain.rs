//! Ending in good order: start nothing more, let what runs end and be announced, flush.

use std::time::Duration;

use crate::core::Core;
use crate::scheduler::Scheduler;

impl Core {
    /// `true` when everything ended by itself within `deadline`.
    pub(crate) async fn drain(&self, deadline: Duration) -> bool {
        self.queues.with(Scheduler::stop);
        let ended = tokio::time::timeout(deadline, async {
            loop {
                // Made before the look, so that what happens in between is not missed.
                let quiet = self.queues.quiet.notified();
                if self.queues.with(|scheduler| scheduler.load().in_flight) == 0 && self.outbox.waiting() == 0 {
                    return;
                }
                quiet.await;
            }
        })
        .await
        .is_ok();
        let flushed = self.store.flush().await;
        if let Err(error) = &flushed {
            tracing::warn!(%error, "the store could not be flushed");
        }
        self.stream.close();
        self.named_queues.close();
        ended && flushed.is_ok()
    }
}
