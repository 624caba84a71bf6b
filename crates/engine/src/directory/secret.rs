//! Sealed secrets, all of a tenant's together: they are few, and an attempt asks for them by name.

use std::sync::Arc;

use sublet_model::{Error, HostPattern, TenantId};
use sublet_store::{Sealed, SecretPlace, SecretRecord};

use super::{Directory, Held};
use crate::chance::locked;

/// Bytes that a record weighs beside its sealed value.
const RECORD_BYTES: usize = 256;

fn weight(records: &[SecretRecord]) -> usize {
    RECORD_BYTES + records.iter().map(|record| RECORD_BYTES + record.sealed.bytes.len()).sum::<usize>()
}

impl Held {
    pub(super) fn forget_secrets(&mut self, tenant: TenantId) {
        self.secrets.remove(&tenant);
    }
}

impl Directory {
    /// By place: the tenant's own first, then its functions'.
    pub async fn secrets(&self, tenant: TenantId) -> Result<Arc<[SecretRecord]>, Error> {
        if let Some(known) = locked(&self.held).secrets.get(&tenant).cloned() {
            return Ok(known);
        }
        let find = async { Ok(self.store.secrets(tenant).await?.into()) };
        self.read(find, |held, found: &Arc<[SecretRecord]>| {
            held.secrets.insert(tenant, Arc::clone(found), weight(found));
        })
        .await
    }

    /// `hosts` left out: those of the secret that is there; nothing of this node binds it elsewhere between the look and
    /// the write. `seal` seals the value with its place and hosts.
    pub(crate) async fn put_secret(
        &self,
        place: SecretPlace,
        hosts: Option<Vec<HostPattern>>,
        seal: impl FnOnce(&SecretPlace, &[HostPattern]) -> Result<Sealed, Error>,
    ) -> Result<(SecretRecord, bool), Error> {
        let (tenant, now) = (place.tenant, self.clock.now());
        let put = async {
            let hosts = match hosts {
                Some(hosts) => hosts,
                None => self.store.secret(&place).await?.map(|record| record.hosts).unwrap_or_default(),
            };
            let sealed = seal(&place, &hosts)?;
            self.store.put_secret(place, sealed, hosts, now).await
        };
        self.write(put, |directory, _| locked(&directory.held).forget_secrets(tenant)).await
    }

    pub(crate) async fn reseal_secret(
        &self,
        place: &SecretPlace,
        former: &Sealed,
        fresh: Sealed,
    ) -> Result<bool, Error> {
        let reseal = self.store.reseal_secret(place, former, fresh);
        self.write(reseal, |directory, _| locked(&directory.held).forget_secrets(place.tenant)).await
    }

    pub async fn delete_secret(&self, place: &SecretPlace) -> Result<(), Error> {
        let delete = self.store.delete_secret(place);
        self.write(delete, |directory, ()| locked(&directory.held).forget_secrets(place.tenant)).await
    }
}
