//! Webhooks: few, the operator's, all held ready.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use sublet_model::{Error, Name};
use sublet_store::{WebhookRecord, WebhookSpec};

use super::Directory;
use crate::delivery::{address, signature};

/// Webhooks of one installation.
const WEBHOOKS_MAX: usize = 1_000;
/// Secrets of one webhook: the one in use and those that are being replaced.
const SECRETS_MAX: usize = 4;

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

    /// Makes or replaces; `true` when it was made. A new webhook that is given no secrets gets one; an existing one
    /// keeps its own. Errors: `Invalid` with the field.
    pub async fn put_webhook(
        &self,
        name: &Name,
        spec: WebhookSpec,
        secrets: Option<Vec<String>>,
    ) -> Result<(Arc<WebhookRecord>, bool), Error> {
        address::check_spec(&spec)?;
        if let Some(given) = &secrets {
            if given.is_empty() || given.len() > SECRETS_MAX {
                return Err(Error::invalid("secrets", format!("must be 1 to {SECRETS_MAX}")));
            }
            for secret in given {
                signature::Secret::parse(secret).map_err(|error| Error::invalid("secrets", error.to_string()))?;
            }
        }
        let is_new = self.webhook(name).is_none();
        if is_new && self.webhooks().len() >= WEBHOOKS_MAX {
            return Err(Error::conflict(format!("there are {WEBHOOKS_MAX} webhooks, the most there may be")));
        }
        let signing = match secrets {
            None if is_new => Some(vec![signature::new_secret()?]),
            given => given,
        };
        let now = self.clock.now();
        let put = async {
            let (record, made) = self.store.put_webhook(name, spec, signing, now).await?;
            Ok((Arc::new(record), made))
        };
        self.write(put, |directory, (record, _)| {
            let mut all = directory.webhooks.write().unwrap_or_else(PoisonError::into_inner);
            all.insert(record.name.clone(), Arc::clone(record));
        })
        .await
    }

    pub async fn delete_webhook(&self, name: &Name) -> Result<(), Error> {
        self.write(self.store.delete_webhook(name), |directory, ()| {
            directory.webhooks.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        })
        .await
    }

    pub(super) async fn read_webhooks(&self) -> Result<(), Error> {
        let all: HashMap<Name, Arc<WebhookRecord>> =
            self.store.webhooks().await?.into_iter().map(|record| (record.name.clone(), Arc::new(record))).collect();
        *self.webhooks.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }
}
