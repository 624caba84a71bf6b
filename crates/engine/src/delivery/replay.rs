//! Sending deliveries anew, when that can come to anything.

use sublet_model::{DeliveryId, Error, Name, Timestamp};
use sublet_store::DeliveryRecord;

use crate::core::Core;

impl Core {
    pub(crate) async fn replay_delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, Error> {
        let found = self.store.delivery(id).await?;
        let record = found.ok_or_else(|| Error::not_found(format!("delivery {id}")))?;
        if self.directory.webhook(&record.webhook).is_none() {
            return Err(Error::conflict(format!("webhook {} was deleted", record.webhook)));
        }
        if self.store.delivery_body(record.id, record.event).await?.is_none() {
            return Err(Error::conflict("the event it carries was erased"));
        }
        self.store.replay_delivery(id, self.clock.now()).await
    }

    pub(crate) async fn replay_failed(&self, webhook: &Name, since: Timestamp) -> Result<u64, Error> {
        if self.directory.webhook(webhook).is_none() {
            return Err(Error::not_found(format!("webhook {webhook}")));
        }
        self.store.replay_failed(webhook, since, self.clock.now()).await
    }
}
