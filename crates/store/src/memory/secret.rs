//! Secrets, by place.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, HostPattern, TenantId, Timestamp};

use super::{MemoryStore, State, listing};
use crate::page::{Listing, Page};
use crate::secret::{SealKeyId, Sealed, SecretPlace, SecretRecord, Secrets, may_add_secret, no_secret};

#[derive(Default)]
pub(super) struct Rows {
    rows: BTreeMap<SecretPlace, SecretRecord>,
}

impl Rows {
    fn of(&self, tenant: TenantId) -> impl Iterator<Item = &SecretRecord> {
        self.rows.values().filter(move |record| record.place.tenant == tenant)
    }

    pub(super) fn forget_tenant(&mut self, tenant: TenantId) {
        self.rows.retain(|place, _| place.tenant != tenant);
    }

    pub(super) fn forget_function(&mut self, tenant: TenantId, function: FunctionId) {
        self.rows.retain(|place, _| place.tenant != tenant || place.function != Some(function));
    }
}

impl State {
    fn put_secret(
        &mut self,
        place: SecretPlace,
        sealed: Sealed,
        hosts: Vec<HostPattern>,
        now: Timestamp,
    ) -> Result<(SecretRecord, bool), Error> {
        self.registry.check_tenant(place.tenant)?;
        if let Some(function) = place.function {
            self.registry.check_function(place.tenant, function)?;
        }
        let former = self.secrets.rows.get(&place).map(|record| record.created);
        if former.is_none() {
            may_add_secret(self.secrets.of(place.tenant).count())?;
        }
        let created = former.unwrap_or(now);
        let record = SecretRecord { place: place.clone(), sealed, hosts, created, changed: now };
        self.secrets.rows.insert(place, record.clone());
        Ok((record, former.is_none()))
    }
}

#[async_trait]
impl Secrets for MemoryStore {
    async fn put_secret(
        &self,
        place: SecretPlace,
        sealed: Sealed,
        hosts: Vec<HostPattern>,
        now: Timestamp,
    ) -> Result<(SecretRecord, bool), Error> {
        self.register(|state| state.put_secret(place, sealed, hosts, now)).await
    }

    async fn secret(&self, place: &SecretPlace) -> Result<Option<SecretRecord>, Error> {
        Ok(self.read(|state| state.secrets.rows.get(place).cloned()))
    }

    async fn secrets(&self, tenant: TenantId) -> Result<Vec<SecretRecord>, Error> {
        Ok(self.read(|state| state.secrets.of(tenant).cloned().collect()))
    }

    async fn delete_secret(&self, place: &SecretPlace) -> Result<(), Error> {
        self.register(|state| state.secrets.rows.remove(place).map(drop).ok_or_else(|| no_secret(place))).await
    }

    async fn all_secrets(&self, page: Page) -> Result<Listing<SecretRecord>, Error> {
        self.read(|state| {
            listing::by_name(state.secrets.rows.iter().map(|(place, record)| (place.clone(), record)), &page)
        })
    }

    async fn reseal_secret(&self, place: &SecretPlace, former: &Sealed, fresh: Sealed) -> Result<bool, Error> {
        self.register(|state| match state.secrets.rows.get_mut(place) {
            Some(record) if record.sealed == *former => {
                record.sealed = fresh;
                Ok(true)
            }
            _ => Ok(false),
        })
        .await
    }

    async fn seal_keys(&self) -> Result<Vec<(SealKeyId, u64)>, Error> {
        Ok(self.read(|state| {
            let mut counts = BTreeMap::new();
            for record in state.secrets.rows.values() {
                *counts.entry(record.sealed.key).or_default() += 1;
            }
            counts.into_iter().collect()
        }))
    }
}
