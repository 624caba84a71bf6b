//! Webhooks: few, the operator's, all held ready.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sublet_model::{Error, Name};
use sublet_store::{DisabledReason, WebhookRecord, WebhookSecret, WebhookSpec};
use tokio::sync::watch;

use super::Directory;
use crate::delivery::{address, signature};

/// Webhooks of one installation.
const WEBHOOKS_MAX: usize = 1_000;
/// How long a replaced secret signs along: what is usual, and the most.
pub const OVERLAP_DEFAULT: Duration = Duration::from_secs(86_400);
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 86_400);

impl Directory {
    pub fn webhook(&self, name: &Name) -> Option<Arc<WebhookRecord>> {
        self.webhooks.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// By name.
    pub fn webhooks(&self) -> Vec<Arc<WebhookRecord>> {
        let mut all: Vec<_> = self.webhooks.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Which there are, and whether each is enabled.
    pub(crate) fn webhook_states(&self) -> BTreeMap<Name, bool> {
        let all = self.webhooks.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|record| (record.name.clone(), record.is_enabled())).collect()
    }

    /// Hears of every change of a webhook.
    pub(crate) fn watch_webhooks(&self) -> watch::Receiver<()> {
        self.webhooks_changed.subscribe()
    }

    /// Makes or replaces; `true` when it was made. A new webhook that is given no secret gets one. One that exists keeps
    /// its own; given another than its newest, that is rotated in, with the usual overlap. Errors: `Invalid` with the
    /// field.
    pub async fn put_webhook(
        &self,
        name: &Name,
        spec: WebhookSpec,
        secret: Option<String>,
    ) -> Result<(Arc<WebhookRecord>, bool), Error> {
        address::check_spec(&spec)?;
        if self.webhook(name).is_none() && self.webhooks().len() >= WEBHOOKS_MAX {
            return Err(Error::conflict(format!("there are {WEBHOOKS_MAX} webhooks, the most there may be")));
        }
        let first = self.secret(secret.clone())?;
        let now = self.clock.now();
        let put = async {
            let (record, made) = self.store.put_webhook(name, spec, first, now).await?;
            Ok((Arc::new(record), made))
        };
        let (record, made) = self.write(put, |directory, (record, _)| directory.hold_webhook(record)).await?;
        match secret {
            Some(given) if record.secrets.first().is_none_or(|newest| newest.text != given) => {
                Ok((self.rotate_webhook(name, Some(given), OVERLAP_DEFAULT).await?, made))
            }
            _ => Ok((record, made)),
        }
    }

    /// Puts a new secret in front, `given` or made here; those before it sign along for `overlap`.
    ///
    /// Errors: `Invalid` with the field, `NotFound`, `Conflict` when too many secrets sign already.
    pub async fn rotate_webhook(
        &self,
        name: &Name,
        given: Option<String>,
        overlap: Duration,
    ) -> Result<Arc<WebhookRecord>, Error> {
        if overlap > OVERLAP_MAX {
            return Err(Error::invalid("overlap", "must be at most 30d"));
        }
        let fresh = self.secret(given)?;
        let now = self.clock.now();
        let rotate = async { self.store.rotate_webhook(name, fresh, now + overlap, now).await.map(Arc::new) };
        self.write(rotate, |directory, record| directory.hold_webhook(record)).await
    }

    /// Disables for a reason, or enables.
    pub async fn switch_webhook(
        &self,
        name: &Name,
        disabled: Option<DisabledReason>,
    ) -> Result<Arc<WebhookRecord>, Error> {
        let now = self.clock.now();
        let switch = async { self.store.switch_webhook(name, disabled, now).await.map(Arc::new) };
        self.write(switch, |directory, record| directory.hold_webhook(record)).await
    }

    pub async fn delete_webhook(&self, name: &Name) -> Result<(), Error> {
        self.write(self.store.delete_webhook(name), |directory, ()| {
            directory.webhooks.write().unwrap_or_else(PoisonError::into_inner).remove(name);
            directory.webhooks_changed.send_replace(());
        })
        .await
    }

    pub(super) async fn read_webhooks(&self) -> Result<(), Error> {
        let all: HashMap<Name, Arc<WebhookRecord>> =
            self.store.webhooks().await?.into_iter().map(|record| (record.name.clone(), Arc::new(record))).collect();
        *self.webhooks.write().unwrap_or_else(PoisonError::into_inner) = all;
        self.webhooks_changed.send_replace(());
        Ok(())
    }

    fn hold_webhook(&self, record: &Arc<WebhookRecord>) {
        let mut all = self.webhooks.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(record.name.clone(), Arc::clone(record));
        drop(all);
        self.webhooks_changed.send_replace(());
    }

    fn secret(&self, given: Option<String>) -> Result<WebhookSecret, Error> {
        let text = match given {
            Some(given) => {
                signature::Secret::parse(&given).map_err(|error| Error::invalid("secret", error.to_string()))?;
                given
            }
            None => signature::new_secret()?,
        };
        Ok(WebhookSecret::new(text, self.clock.now()))
    }
}
