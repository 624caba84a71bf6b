//! Tenants, by name and by id.

use std::sync::Arc;

use sublet_model::{Error, Isolation, Name, TenantId, egress, limit};
use sublet_store::{Page, Stop, TenantRecord, TenantSpec, TenantStatus};

use super::{Change, Directory, Held, TENANTS_CACHED_MAX};
use crate::chance::locked;

impl Held {
    pub(super) fn keep_tenant(&mut self, record: Arc<TenantRecord>) {
        self.unknown.remove(record.name.as_str());
        self.tenant_names.insert(record.id, record.name.clone(), 1);
        self.tenants.insert(record.name.clone(), record, 1);
    }
}

impl Directory {
    /// The tenant of this name, as a publisher wrote it: text that is no name is simply unknown.
    pub async fn tenant(&self, name: &str) -> Result<Option<Arc<TenantRecord>>, Error> {
        if let Some(known) = self.tenant_if_held(name) {
            return Ok(known);
        }
        let Ok(parsed) = name.parse::<Name>() else { return Ok(None) };
        let find = async { Ok(self.store.tenant(&parsed).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<TenantRecord>>| match found {
            Some(record) => held.keep_tenant(Arc::clone(record)),
            None => held.unknown.insert(name.into(), (), 1),
        })
        .await
    }

    /// `None`: not in the cache. `Some(None)`: known not to be there.
    pub(crate) fn tenant_if_held(&self, name: &str) -> Option<Option<Arc<TenantRecord>>> {
        let mut held = locked(&self.held);
        if held.unknown.get(name).is_some() {
            return Some(None);
        }
        let parsed = name.parse::<Name>().ok()?;
        held.tenants.get(&parsed).map(|record| Some(Arc::clone(record)))
    }

    pub async fn tenant_by_id(&self, id: TenantId) -> Result<Option<Arc<TenantRecord>>, Error> {
        if let Some(record) = self.tenant_by_id_if_held(id) {
            return Ok(Some(record));
        }
        let find = async { Ok(self.store.tenant_by_id(id).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<TenantRecord>>| {
            if let Some(record) = found {
                held.keep_tenant(Arc::clone(record));
            }
        })
        .await
    }

    pub(crate) fn tenant_by_id_if_held(&self, id: TenantId) -> Option<Arc<TenantRecord>> {
        let mut held = locked(&self.held);
        let name = held.tenant_names.get(&id)?.clone();
        // A tenant that was deleted and made again under its name is another one.
        held.tenants.get(&name).filter(|record| record.id == id).cloned()
    }

    /// Makes or replaces; `true` when it was made. Errors: `Invalid` with the field.
    pub async fn put_tenant(&self, name: &Name, spec: TenantSpec) -> Result<(Arc<TenantRecord>, bool), Error> {
        self.put_tenant_by(name, |_| Ok(spec)).await
    }

    /// The same, from what is there: nothing of this node changes it between the look and the write.
    pub async fn put_tenant_by(
        &self,
        name: &Name,
        spec: impl FnOnce(Option<TenantSpec>) -> Result<TenantSpec, Error>,
    ) -> Result<(Arc<TenantRecord>, bool), Error> {
        let now = self.clock.now();
        let put = async {
            let spec = spec(self.store.tenant(name).await?.map(|record| record.spec))?;
            spec.quota.validate()?;
            egress::validate("egress", &spec.egress, true)?;
            self.check_wrappers(&spec.wrappers).await?;
            let (record, made) = self.store.put_tenant(name, spec, now).await?;
            Ok((Arc::new(record), made))
        };
        self.write(put, |directory, (record, _)| {
            locked(&directory.held).keep_tenant(Arc::clone(record));
            directory.tell(Change::Tenant(Arc::clone(record)));
        })
        .await
    }

    /// Whether every layer named is there. Errors: `Invalid` with the field.
    async fn check_wrappers(&self, wrappers: &[Name]) -> Result<(), Error> {
        if wrappers.len() > limit::LAYERS_MAX {
            return Err(Error::invalid("wrappers", format!("must be at most {} layers", limit::LAYERS_MAX)));
        }
        for layer in wrappers {
            if self.store.layer(layer, None).await?.is_none() {
                return Err(Error::invalid("wrappers", format!("there is no layer {layer}")));
            }
        }
        Ok(())
    }

    /// Records why a tenant is moved to worker processes of its own. `false` when it is there already (`usual` being what
    /// holds for all), or gone.
    pub(crate) async fn suspect_tenant(&self, id: TenantId, reason: &str, usual: Isolation) -> Result<bool, Error> {
        let Some(record) = self.tenant_by_id(id).await? else { return Ok(false) };
        if record.spec.isolation_or(usual) == Isolation::Dedicated {
            return Ok(false);
        }
        let suspected = |former: Option<TenantSpec>| match former {
            Some(former) => Ok(TenantSpec { suspicion: Some(reason.to_owned()), ..former }),
            None => Err(Error::not_found(format!("tenant {}", record.name))),
        };
        self.put_tenant_by(&record.name, suspected).await?;
        Ok(true)
    }

    /// Suspends it with a reason, or lets it go on; nothing else of it changes. Errors: `NotFound`.
    pub(crate) async fn switch_tenant(&self, name: &Name, stopped: Option<Stop>) -> Result<Arc<TenantRecord>, Error> {
        let status = if stopped.is_some() { TenantStatus::Suspended } else { TenantStatus::Active };
        let switched = |former: Option<TenantSpec>| match former {
            Some(former) => Ok(TenantSpec { status, stopped, ..former }),
            None => Err(Error::not_found(format!("tenant {name}"))),
        };
        Ok(self.put_tenant_by(name, switched).await?.0)
    }

    /// Cancels its queue and erases what it had; the ledger's sums stay.
    pub async fn delete_tenant(&self, name: &Name) -> Result<(), Error> {
        let Some(record) = self.tenant(name.as_str()).await? else {
            return Err(Error::not_found(format!("tenant {name}")));
        };
        let now = self.clock.now();
        self.write(self.store.delete_tenant(name, now), |directory, ()| {
            let mut held = locked(&directory.held);
            held.tenants.remove(name);
            held.tenant_names.remove(&record.id);
            // Its functions, versions and keys went with it; reading what is still there again costs little.
            held.functions.clear();
            held.function_names.clear();
            held.versions.clear();
            held.forget_secrets(record.id);
            held.keys.clear();
            drop(held);
            directory.forget_rules_of(record.id);
            directory.tell(Change::TenantGone(record.id));
        })
        .await
    }

    /// At start, so that rebuilding the queues costs no read per tenant.
    pub(super) async fn preload_tenants(&self) -> Result<(), Error> {
        let mut page = Page::new(None, usize::MAX);
        let mut count = 0;
        loop {
            let listing = self.store.tenants(page).await?;
            count += listing.items.len();
            let mut held = locked(&self.held);
            for record in listing.items {
                held.keep_tenant(Arc::new(record));
            }
            match listing.next {
                Some(next) if count < TENANTS_CACHED_MAX => page = Page::new(Some(next), usize::MAX),
                _ => return Ok(()),
            }
        }
    }
}
