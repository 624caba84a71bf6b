//! Functions, their versions and aliases.

use std::sync::Arc;

use sublet_model::{Destination, Error, FunctionConfig, FunctionId, Name, TenantId, limit};
use sublet_store::{FunctionRecord, NewVersion, ObjectHash, Page, Quarantine, Stop, StoppedBy, VersionRecord};

use super::{Change, Directory, Held};
use crate::chance::locked;

impl Held {
    fn keep_function(&mut self, record: Arc<FunctionRecord>) {
        self.function_names.insert(record.id, record.name.clone(), 1);
        self.functions.insert((record.tenant, record.name.clone()), Some(record), 1);
    }

    pub(super) fn forget_function(&mut self, tenant: TenantId, id: FunctionId) {
        if let Some(name) = self.function_names.remove(&id) {
            self.functions.remove(&(tenant, name));
        }
    }
}

impl Directory {
    pub async fn function(&self, tenant: TenantId, name: &Name) -> Result<Option<Arc<FunctionRecord>>, Error> {
        if let Some(known) = self.function_if_held(tenant, name) {
            return Ok(known);
        }
        let find = async { Ok(self.store.function(tenant, name).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<FunctionRecord>>| match found {
            Some(record) => held.keep_function(Arc::clone(record)),
            None => held.functions.insert((tenant, name.clone()), None, 1),
        })
        .await
    }

    /// `None`: not in the cache. `Some(None)`: known not to be there.
    pub(crate) fn function_if_held(&self, tenant: TenantId, name: &Name) -> Option<Option<Arc<FunctionRecord>>> {
        locked(&self.held).functions.get(&(tenant, name.clone())).cloned()
    }

    pub async fn function_by_id(&self, tenant: TenantId, id: FunctionId) -> Result<Option<Arc<FunctionRecord>>, Error> {
        if let Some(record) = self.function_by_id_if_held(tenant, id) {
            return Ok(Some(record));
        }
        let find = async { Ok(self.store.function_by_id(tenant, id).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<FunctionRecord>>| {
            if let Some(record) = found {
                held.keep_function(Arc::clone(record));
            }
        })
        .await
    }

    pub(crate) fn function_by_id_if_held(&self, tenant: TenantId, id: FunctionId) -> Option<Arc<FunctionRecord>> {
        let mut held = locked(&self.held);
        let name = held.function_names.get(&id)?.clone();
        held.functions.get(&(tenant, name)).cloned().flatten().filter(|record| record.id == id)
    }

    /// Makes or replaces; `true` when it was made. Errors: `Invalid` with the field; `Conflict` past the most functions.
    pub async fn put_function(
        &self,
        tenant: TenantId,
        name: &Name,
        config: FunctionConfig,
    ) -> Result<(Arc<FunctionRecord>, bool), Error> {
        config.validate()?;
        self.check_destinations(tenant, name, &config).await?;
        if self.function(tenant, name).await?.is_none() {
            let page = Page::new(None, limit::FUNCTIONS_PER_TENANT_MAX);
            if self.store.functions(tenant, page).await?.items.len() >= limit::FUNCTIONS_PER_TENANT_MAX {
                let most = limit::FUNCTIONS_PER_TENANT_MAX;
                return Err(Error::conflict(format!("the tenant has {most} functions, the most there may be")));
            }
        }
        let now = self.clock.now();
        let put = async {
            let (record, made) = self.store.put_function(tenant, name, config, now).await?;
            Ok((Arc::new(record), made))
        };
        self.write(put, |directory, (record, _)| locked(&directory.held).keep_function(Arc::clone(record))).await
    }

    /// Whether everything that the configuration sends to is there. Errors: `Invalid` with the field.
    async fn check_destinations(&self, tenant: TenantId, name: &Name, config: &FunctionConfig) -> Result<(), Error> {
        for (field, destination) in config.destinations.each() {
            let missing = match destination {
                Destination::Webhook(webhook) => self.webhook(webhook).is_none().then(|| format!("webhook {webhook}")),
                Destination::Queue(queue) => self.queue(queue).is_none().then(|| format!("queue {queue}")),
                Destination::Function(function) if function == name => {
                    return Err(Error::invalid(field, "names the function itself, which would go on for ever"));
                }
                Destination::Function(function) => {
                    let is_there = self.function(tenant, function).await?.is_some();
                    (!is_there).then(|| format!("function {function} of this tenant"))
                }
            };
            if let Some(missing) = missing {
                return Err(Error::invalid(field, format!("there is no {missing}")));
            }
        }
        match &config.dead_letter {
            Some(target) if self.queue(&target.queue).is_none() => {
                Err(Error::invalid("dead_letter.queue", format!("there is no queue {}", target.queue)))
            }
            _ => Ok(()),
        }
    }

    /// What waits for it is dead-lettered at its turn. Errors: `Conflict` for a tenant where the operator said stop, which a
    /// new function of that name would not know of.
    pub async fn delete_function(&self, tenant: TenantId, name: &Name, by: StoppedBy) -> Result<(), Error> {
        let delete = async {
            let found = self.store.function(tenant, name).await?;
            check_stop(found.and_then(|record| record.stopped), by)?;
            self.store.delete_function(tenant, name).await
        };
        self.write(delete, |directory, ()| {
            let mut held = locked(&directory.held);
            if let Some(Some(record)) = held.functions.remove(&(tenant, name.clone())) {
                held.function_names.remove(&record.id);
                directory.tell(Change::Function(record.id));
            }
            held.forget_secrets(tenant);
        })
        .await
    }

    /// Unless another version than this is live by now, which has done nothing yet: nothing of this node goes live
    /// between the look and the write. Answers whether it was quarantined.
    pub(crate) async fn quarantine_function(
        &self,
        tenant: TenantId,
        id: FunctionId,
        version: u32,
        why: Quarantine,
    ) -> Result<bool, Error> {
        let quarantine = async {
            let found = self.store.function_by_id(tenant, id).await?;
            if found.is_none_or(|record| record.live != Some(version)) {
                return Ok(false);
            }
            self.store.quarantine_function(tenant, id, Some(why)).await?;
            Ok(true)
        };
        self.write(quarantine, |directory, _| locked(&directory.held).forget_function(tenant, id)).await
    }

    /// Lifts a quarantine.
    pub(crate) async fn release_function(&self, tenant: TenantId, id: FunctionId) -> Result<(), Error> {
        self.write(self.store.quarantine_function(tenant, id, None), |directory, ()| {
            locked(&directory.held).forget_function(tenant, id);
        })
        .await
    }

    /// `why`: `None` lifts it. `by`: who says so; nothing of this node is said between the look and the write. Errors:
    /// `Conflict` for a tenant where the operator said stop.
    pub(crate) async fn stop_function(
        &self,
        tenant: TenantId,
        id: FunctionId,
        why: Option<Stop>,
        by: StoppedBy,
    ) -> Result<(), Error> {
        let stop = async {
            let found = self.store.function_by_id(tenant, id).await?;
            check_stop(found.ok_or_else(|| Error::not_found(format!("function {id}")))?.stopped, by)?;
            self.store.stop_function(tenant, id, why).await
        };
        self.write(stop, |directory, ()| {
            locked(&directory.held).forget_function(tenant, id);
            directory.tell(Change::Function(id));
        })
        .await
    }

    /// Errors: `Conflict` when a layer that it froze is not the current one any more: a rollout or a way back that ended
    /// before this would have passed it by.
    pub(crate) async fn publish_version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        version: NewVersion,
    ) -> Result<VersionRecord, Error> {
        let now = self.clock.now();
        let publish = async {
            for (name, number) in &version.layers {
                // Nothing else is written meanwhile.
                let current = self.store.layer(name, None).await?;
                if current.is_none_or(|current| current.number != *number) {
                    return Err(Error::conflict(format!("layer {name} changed while the function was built with it")));
                }
            }
            self.store.publish_version(tenant, function, version, now).await
        };
        self.write(publish, |directory, record| {
            let mut held = locked(&directory.held);
            held.forget_function(tenant, function);
            held.versions.insert((function, record.number), Arc::new(record.clone()), 1);
        })
        .await
    }

    pub async fn version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
    ) -> Result<Option<Arc<VersionRecord>>, Error> {
        if let Some(record) = self.version_if_held(function, number) {
            return Ok(Some(record));
        }
        let find = async { Ok(self.store.version(tenant, function, number).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<VersionRecord>>| {
            if let Some(record) = found {
                held.versions.insert((function, number), Arc::clone(record), 1);
            }
        })
        .await
    }

    pub(crate) fn version_if_held(&self, function: FunctionId, number: u32) -> Option<Arc<VersionRecord>> {
        locked(&self.held).versions.get(&(function, number)).cloned()
    }

    pub(crate) async fn replace_image(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
        image: ObjectHash,
        engine_hash: String,
    ) -> Result<(), Error> {
        let replace = self.store.replace_image(tenant, function, number, image, engine_hash);
        self.write(replace, |directory, ()| {
            locked(&directory.held).versions.remove(&(function, number));
        })
        .await
    }

    /// `live` is an alias like any other: moving it is what rolling back means.
    pub async fn put_alias(
        &self,
        tenant: TenantId,
        function: FunctionId,
        alias: &Name,
        version: u32,
    ) -> Result<(), Error> {
        self.write(self.store.put_alias(tenant, function, alias, version), |directory, ()| {
            locked(&directory.held).forget_function(tenant, function);
        })
        .await
    }
}

/// Errors: `Conflict`, the operator's word stands.
fn check_stop(stored: Option<Stop>, by: StoppedBy) -> Result<(), Error> {
    if by == StoppedBy::Tenant && stored.is_some_and(|known| known.by == StoppedBy::Operator) {
        return Err(Error::conflict("the operator stopped this function, and the operator may let it go on"));
    }
    Ok(())
}
