//! What is done about keys beside the requests: their last uses are written, and an operator's keys that are about to
//! end are spoken of in time.

use std::time::Duration;

use sublet_model::Timestamp;
use sublet_store::{KeyRecord, KeyScope};

use super::state::AppState;

/// Between two writes of keys' last uses.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at the operator's keys.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// An end within this is spoken of.
const WARN_WITHIN: Duration = Duration::from_secs(14 * 86_400);

impl AppState {
    /// Runs for the life of the server.
    pub(crate) async fn keep_keys(&self) {
        let mut looked: Option<Timestamp> = None;
        loop {
            let now = self.inner.config.clock.now();
            if looked.is_none_or(|at| now.since(at) >= LOOK_EVERY.as_millis() as u64) {
                looked = Some(now);
                self.look_at_operators_keys(now).await;
            }
            tokio::time::sleep(WRITE_EVERY).await;
            self.write_key_uses().await;
        }
    }

    pub(crate) async fn write_key_uses(&self) {
        let uses = self.inner.gate.uses_to_write();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.inner.engine.store().note_key_uses(uses).await {
            tracing::warn!(%error, "the last uses of keys were not written");
        }
    }

    async fn look_at_operators_keys(&self, now: Timestamp) {
        let keys = match self.inner.engine.store().keys(Some(KeyScope::Operator)).await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "the operator's keys could not be looked at");
                return;
            }
        };
        if let Some(end) = end_of_operating(&keys, now).filter(|end| *end <= now + WARN_WITHIN) {
            tracing::warn!(
                "after {end} no operator's key administers this installation: make another (`sublet key create`); a \
                 restart after that makes one and shows it once"
            );
        }
    }
}

/// When the last key that administers ends; `None` when one of them never does.
fn end_of_operating(keys: &[KeyRecord], now: Timestamp) -> Option<Timestamp> {
    let operating = keys.iter().filter(|key| key.is_operating(now));
    operating
        .map(|key| key.expires.unwrap_or(Timestamp::from_millis(i64::MAX)))
        .max()
        .filter(|end| end.millis() < i64::MAX)
}

#[cfg(test)]
mod tests {
    use sublet_model::KeyId;
    use sublet_store::KeyRole;

    use super::*;

    fn key(role: KeyRole, expires: Option<i64>) -> KeyRecord {
        KeyRecord {
            id: KeyId::from_raw(1),
            scope: KeyScope::Operator,
            role,
            label: String::new(),
            hash: [0; 32],
            former: None,
            expires: expires.map(Timestamp::from_millis),
            rate: None,
            made_by: None,
            last_use: None,
            created: Timestamp::ZERO,
        }
    }

    #[test]
    fn the_last_key_that_administers_decides() {
        let now = Timestamp::from_millis(100);
        let end = |keys: &[KeyRecord]| end_of_operating(keys, now).map(Timestamp::millis);
        assert_eq!(end(&[key(KeyRole::Admin, None), key(KeyRole::Admin, Some(200))]), None);
        assert_eq!(end(&[key(KeyRole::Admin, Some(200)), key(KeyRole::Admin, Some(300))]), Some(300));
        let others = [key(KeyRole::Admin, Some(200)), key(KeyRole::Read, None), key(KeyRole::Admin, Some(50))];
        assert_eq!(end(&others), Some(200));
        assert_eq!(end(&[]), None);
    }
}
