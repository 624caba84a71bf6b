//! Putting secrets, and sealing them anew under another master key.

use sublet_model::{Error, HostPattern, secret};
use sublet_store::{Page, SealKeyId, SecretPlace, SecretRecord};

use super::seal::{open, seal};
use super::value::SecretValue;
use crate::core::Core;

/// What one step of sealing anew did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// The key that seals.
    pub key: SealKeyId,
    pub resealed: u64,
    /// Those that no configured key opens, and those that were changed in the store.
    pub unreadable: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
    /// What the store holds by now: each key that seals something, how much, and whether it is configured.
    pub keys: Vec<(SealKeyId, u64, bool)>,
}

impl Core {
    /// Makes or replaces. `hosts` left out: those of the secret that is there stay. Errors: `Invalid` with the field;
    /// those of the store's verb.
    pub(crate) async fn put_secret(
        &self,
        place: SecretPlace,
        value: &SecretValue,
        hosts: Option<Vec<HostPattern>>,
    ) -> Result<(SecretRecord, bool), Error> {
        secret::check_value(value.reveal())?;
        if let Some(hosts) = &hosts {
            secret::check_hosts("hosts", hosts)?;
        }
        let key = self.keyring.sealing()?;
        self.directory.put_secret(place, hosts, |to, bound| seal(&key, to, bound, value)).await
    }

    /// One page of everybody's secrets, those that another key seals than the first. Safe to repeat and to leave off:
    /// each secret opens before and after, under the key that it names.
    pub(crate) async fn reseal_secrets(&self, page: Page) -> Result<Resealed, Error> {
        let key = self.keyring.sealing()?;
        let listing = self.store.all_secrets(page).await?;
        let (mut resealed, mut unreadable) = (0, 0);
        for record in listing.items.iter().filter(|record| record.sealed.key != key.id()) {
            match open(&self.keyring, record) {
                Ok(value) => {
                    let fresh = seal(&key, &record.place, &record.hosts, &value)?;
                    // One that was put meanwhile is sealed with the first key already.
                    self.directory.reseal_secret(&record.place, &record.sealed, fresh).await?;
                    resealed += 1;
                }
                Err(error) => {
                    let (tenant, name) = (record.place.tenant, &record.place.name);
                    tracing::error!(tenant.id = %tenant, %error, "the secret {name} of {tenant} was not sealed anew");
                    unreadable += 1;
                }
            }
        }
        let keys = self.store.seal_keys().await?;
        let keys = keys.into_iter().map(|(id, count)| (id, count, self.keyring.holds(id))).collect();
        Ok(Resealed { key: key.id(), resealed, unreadable, next: listing.next, keys })
    }

    /// Says at the start which keys are missing, before a tenant's function finds out.
    pub(crate) async fn check_seal_keys(&self) -> Result<(), Error> {
        for (key, count) in self.store.seal_keys().await? {
            if !self.keyring.holds(key) {
                tracing::error!(
                    key.id = %key,
                    "{count} secrets are sealed with the master key {key}, which is not among the configured ones: \
                     functions that use them fail until it is"
                );
            }
        }
        Ok(())
    }
}
