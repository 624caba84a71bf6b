//! The registry's rows. Names are looked up through a second map, so that a row stays where its id put it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{Error, FunctionConfig, FunctionId, Name, RuleId, RuleSpec, TenantId, Timestamp};

use super::{MemoryStore, State, listing};
use crate::code::ObjectHash;
use crate::page::{Listing, Page};
use crate::registry::{
    FunctionRecord, LayerRecord, NewVersion, Registry, RuleRecord, TenantRecord, TenantSpec, VersionRecord,
};
use crate::stop::{Quarantine, Stop};
use crate::webhook::{DisabledReason, WebhookRecord, WebhookSecret, WebhookSpec};

/// The alias that attempts resolve; `FunctionRecord::live` is its copy.
const LIVE: &str = "live";

pub(super) struct Function {
    pub(super) record: FunctionRecord,
    pub(super) versions: BTreeMap<u32, VersionRecord>,
    aliases: BTreeMap<Name, u32>,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) tenants: BTreeMap<TenantId, TenantRecord>,
    pub(super) tenant_names: BTreeMap<Name, TenantId>,
    pub(super) functions: BTreeMap<(TenantId, FunctionId), Function>,
    pub(super) function_names: BTreeMap<(TenantId, Name), FunctionId>,
    pub(super) rules: BTreeMap<(Option<TenantId>, Name), RuleRecord>,
    pub(super) webhooks: BTreeMap<Name, WebhookRecord>,
    pub(super) layers: BTreeMap<Name, Layer>,
}

#[derive(Default)]
pub(super) struct Layer {
    /// From number 1 on; `is_current` is told when one is read.
    versions: Vec<LayerRecord>,
    pub(super) current: u32,
    /// By version, the one that was current before it.
    pub(super) former: BTreeMap<u32, u32>,
}

impl Layer {
    pub(super) fn version(&self, number: u32) -> Option<LayerRecord> {
        let record = self.versions.iter().find(|layer| layer.number == number)?;
        Some(LayerRecord { is_current: number == self.current, ..record.clone() })
    }

    fn add(&mut self, name: &Name, package: ObjectHash, now: Timestamp) -> LayerRecord {
        let number = self.versions.last().map_or(1, |last| last.number + 1);
        let layer = LayerRecord { name: name.clone(), number, package, created: now, is_current: true };
        self.versions.push(layer.clone());
        if self.current > 0 {
            self.former.insert(number, self.current);
        }
        self.current = number;
        layer
    }
}

impl Rows {
    fn tenant_named(&self, name: &Name) -> Option<&TenantRecord> {
        self.tenants.get(self.tenant_names.get(name)?)
    }

    fn function_named(&self, tenant: TenantId, name: &Name) -> Option<&Function> {
        let id = self.function_names.get(&(tenant, name.clone()))?;
        self.functions.get(&(tenant, *id))
    }

    pub(super) fn function_mut(&mut self, tenant: TenantId, id: FunctionId) -> Result<&mut Function, Error> {
        self.functions.get_mut(&(tenant, id)).ok_or_else(|| Error::not_found(format!("function {id}")))
    }

    pub(super) fn check_tenant(&self, tenant: TenantId) -> Result<(), Error> {
        if self.tenants.contains_key(&tenant) {
            return Ok(());
        }
        Err(Error::not_found(format!("tenant {tenant}")))
    }

    pub(super) fn check_function(&self, tenant: TenantId, id: FunctionId) -> Result<(), Error> {
        if self.functions.contains_key(&(tenant, id)) {
            return Ok(());
        }
        Err(Error::not_found(format!("function {id}")))
    }
}

impl Function {
    /// Whenever `live` moves, a quarantine is lifted.
    pub(super) fn point_live_at(&mut self, number: u32) -> Result<(), Error> {
        self.aliases.insert(LIVE.parse().map_err(Error::internal)?, number);
        self.record.live = Some(number);
        self.record.quarantined = None;
        Ok(())
    }

    pub(super) fn publish(&mut self, new: NewVersion, now: Timestamp) -> Result<VersionRecord, Error> {
        let number = self.versions.last_key_value().map_or(1, |(last, _)| last + 1);
        if new.make_live {
            self.point_live_at(number)?;
        }
        let version = VersionRecord {
            function: self.record.id,
            number,
            config: new.config,
            package: new.package,
            package_bytes: new.package_bytes,
            image: new.image,
            engine_hash: new.engine_hash,
            layers: new.layers,
            created: now,
        };
        self.versions.insert(number, version.clone());
        Ok(version)
    }
}

impl State {
    fn put_tenant(&mut self, name: &Name, spec: TenantSpec, now: Timestamp) -> (TenantRecord, bool) {
        let rows = &mut self.registry;
        if let Some(record) = rows.tenant_names.get(name).and_then(|id| rows.tenants.get_mut(id)) {
            record.spec = spec;
            return (record.clone(), false);
        }
        let id = TenantId::from_raw(self.mint.next(now));
        let record = TenantRecord { id, name: name.clone(), spec, created: now };
        rows.tenants.insert(id, record.clone());
        rows.tenant_names.insert(name.clone(), id);
        (record, true)
    }

    fn put_function(
        &mut self,
        tenant: TenantId,
        name: &Name,
        config: FunctionConfig,
        now: Timestamp,
    ) -> Result<(FunctionRecord, bool), Error> {
        let rows = &mut self.registry;
        rows.check_tenant(tenant)?;
        if let Some(id) = rows.function_names.get(&(tenant, name.clone())).copied() {
            let function = rows.function_mut(tenant, id)?;
            function.record.config = config;
            return Ok((function.record.clone(), false));
        }
        let id = FunctionId::from_raw(self.mint.next(now));
        let record = FunctionRecord {
            id,
            tenant,
            name: name.clone(),
            config,
            live: None,
            quarantined: None,
            stopped: None,
            created: now,
        };
        let function = Function { record: record.clone(), versions: BTreeMap::new(), aliases: BTreeMap::new() };
        rows.functions.insert((tenant, id), function);
        rows.function_names.insert((tenant, name.clone()), id);
        Ok((record, true))
    }

    fn put_rule(
        &mut self,
        owner: Option<TenantId>,
        name: &Name,
        spec: RuleSpec,
        now: Timestamp,
    ) -> Result<(RuleRecord, bool), Error> {
        if let Some(tenant) = owner {
            self.registry.check_tenant(tenant)?;
        }
        let key = (owner, name.clone());
        let former = self.registry.rules.get(&key).map(|rule| rule.id);
        let id = former.unwrap_or_else(|| RuleId::from_raw(self.mint.next(now)));
        let record = RuleRecord { id, owner, name: name.clone(), spec, changed: now };
        self.registry.rules.insert(key, record.clone());
        Ok((record, former.is_none()))
    }

    fn put_webhook(
        &mut self,
        name: &Name,
        spec: WebhookSpec,
        secret: WebhookSecret,
        now: Timestamp,
    ) -> (WebhookRecord, bool) {
        let former = self.registry.webhooks.get(name).cloned();
        let made = former.is_none();
        let record = match former {
            Some(former) => WebhookRecord { spec, ..former },
            None => WebhookRecord {
                name: name.clone(),
                spec,
                secrets: vec![secret],
                disabled: None,
                failing_since: None,
                created: now,
            },
        };
        self.registry.webhooks.insert(name.clone(), record.clone());
        (record, made)
    }

    fn change_webhook(
        &mut self,
        name: &Name,
        change: impl FnOnce(&mut WebhookRecord) -> Result<(), Error>,
    ) -> Result<WebhookRecord, Error> {
        let known = self.registry.webhooks.get_mut(name);
        let record = known.ok_or_else(|| Error::not_found(format!("webhook {name}")))?;
        change(record)?;
        Ok(record.clone())
    }
}

#[async_trait]
impl Registry for MemoryStore {
    fn revision(&self) -> u64 {
        *self.shared.revision.borrow()
    }

    async fn registry_changed(&self, since: u64) -> u64 {
        let mut changes = self.shared.revision.subscribe();
        let changed = changes.wait_for(|revision| *revision != since).await;
        // The sender lives as long as this handle, so the wait has an end only in a change.
        changed.map_or(since, |revision| *revision)
    }

    async fn put_tenant(&self, name: &Name, spec: TenantSpec, now: Timestamp) -> Result<(TenantRecord, bool), Error> {
        self.register(|state| Ok(state.put_tenant(name, spec, now))).await
    }

    async fn tenant(&self, name: &Name) -> Result<Option<TenantRecord>, Error> {
        Ok(self.read(|state| state.registry.tenant_named(name).cloned()))
    }

    async fn tenant_by_id(&self, id: TenantId) -> Result<Option<TenantRecord>, Error> {
        Ok(self.read(|state| state.registry.tenants.get(&id).cloned()))
    }

    async fn tenants(&self, page: Page) -> Result<Listing<TenantRecord>, Error> {
        self.read(|state| {
            let rows = &state.registry;
            let named = rows.tenant_names.iter().filter_map(|(name, id)| Some((name.clone(), rows.tenants.get(id)?)));
            listing::by_name(named, &page)
        })
    }

    async fn delete_tenant(&self, name: &Name, now: Timestamp) -> Result<(), Error> {
        self.register(|state| state.delete_tenant(name, now)).await
    }

    async fn put_function(
        &self,
        tenant: TenantId,
        name: &Name,
        config: FunctionConfig,
        now: Timestamp,
    ) -> Result<(FunctionRecord, bool), Error> {
        self.register(|state| state.put_function(tenant, name, config, now)).await
    }

    async fn function(&self, tenant: TenantId, name: &Name) -> Result<Option<FunctionRecord>, Error> {
        Ok(self.read(|state| state.registry.function_named(tenant, name).map(|function| function.record.clone())))
    }

    async fn function_by_id(&self, tenant: TenantId, id: FunctionId) -> Result<Option<FunctionRecord>, Error> {
        Ok(self.read(|state| state.registry.functions.get(&(tenant, id)).map(|function| function.record.clone())))
    }

    async fn functions(&self, tenant: TenantId, page: Page) -> Result<Listing<FunctionRecord>, Error> {
        self.read(|state| {
            let mut functions: Vec<&FunctionRecord> = state
                .registry
                .functions
                .values()
                .map(|function| &function.record)
                .filter(|function| function.tenant == tenant)
                .collect();
            functions.sort_by(|a, b| a.name.cmp(&b.name));
            listing::by_name(functions.into_iter().map(|function| (function.name.clone(), function)), &page)
        })
    }

    async fn delete_function(&self, tenant: TenantId, name: &Name) -> Result<(), Error> {
        self.register(|state| {
            let rows = &mut state.registry;
            let id = rows.function_names.remove(&(tenant, name.clone()));
            let id = id.ok_or_else(|| Error::not_found(format!("function {name}")))?;
            rows.functions.remove(&(tenant, id));
            state.secrets.forget_function(tenant, id);
            Ok(())
        })
        .await
    }

    async fn quarantine_function(
        &self,
        tenant: TenantId,
        id: FunctionId,
        why: Option<Quarantine>,
    ) -> Result<(), Error> {
        self.register(|state| {
            state.registry.function_mut(tenant, id)?.record.quarantined = why;
            Ok(())
        })
        .await
    }

    async fn stop_function(&self, tenant: TenantId, id: FunctionId, why: Option<Stop>) -> Result<(), Error> {
        self.register(|state| {
            state.registry.function_mut(tenant, id)?.record.stopped = why;
            Ok(())
        })
        .await
    }

    async fn publish_version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        version: NewVersion,
        now: Timestamp,
    ) -> Result<VersionRecord, Error> {
        self.register(|state| state.registry.function_mut(tenant, function)?.publish(version, now)).await
    }

    async fn version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
    ) -> Result<Option<VersionRecord>, Error> {
        Ok(self.read(|state| state.registry.functions.get(&(tenant, function))?.versions.get(&number).cloned()))
    }

    async fn versions(
        &self,
        tenant: TenantId,
        function: FunctionId,
        page: Page,
    ) -> Result<Listing<VersionRecord>, Error> {
        self.read(|state| match state.registry.functions.get(&(tenant, function)) {
            Some(found) => listing::newest_first(found.versions.iter().map(|(number, row)| (*number, row)), &page),
            None => Ok(Listing { items: Vec::new(), next: None }),
        })
    }

    async fn replace_image(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
        image: ObjectHash,
        engine_hash: String,
    ) -> Result<(), Error> {
        self.register(|state| {
            let versions = &mut state.registry.function_mut(tenant, function)?.versions;
            let version = versions.get_mut(&number).ok_or_else(|| Error::not_found(format!("version {number}")))?;
            version.image = image;
            version.engine_hash = engine_hash;
            Ok(())
        })
        .await
    }

    async fn put_alias(&self, tenant: TenantId, function: FunctionId, alias: &Name, version: u32) -> Result<(), Error> {
        self.register(|state| {
            let found = state.registry.function_mut(tenant, function)?;
            if !found.versions.contains_key(&version) {
                return Err(Error::not_found(format!("version {version}")));
            }
            if alias.as_str() == LIVE {
                return found.point_live_at(version);
            }
            found.aliases.insert(alias.clone(), version);
            Ok(())
        })
        .await
    }

    async fn aliases(&self, tenant: TenantId, function: FunctionId) -> Result<Vec<(Name, u32)>, Error> {
        Ok(self.read(|state| match state.registry.functions.get(&(tenant, function)) {
            Some(found) => found.aliases.iter().map(|(name, version)| (name.clone(), *version)).collect(),
            None => Vec::new(),
        }))
    }

    async fn put_rule(
        &self,
        owner: Option<TenantId>,
        name: &Name,
        spec: RuleSpec,
        now: Timestamp,
    ) -> Result<(RuleRecord, bool), Error> {
        self.register(|state| state.put_rule(owner, name, spec, now)).await
    }

    async fn rule(&self, owner: Option<TenantId>, name: &Name) -> Result<Option<RuleRecord>, Error> {
        Ok(self.read(|state| state.registry.rules.get(&(owner, name.clone())).cloned()))
    }

    async fn rules(&self, owner: Option<TenantId>) -> Result<Vec<RuleRecord>, Error> {
        Ok(self.read(|state| state.registry.rules.values().filter(|rule| rule.owner == owner).cloned().collect()))
    }

    async fn all_rules(&self) -> Result<Vec<RuleRecord>, Error> {
        Ok(self.read(|state| state.registry.rules.values().cloned().collect()))
    }

    async fn delete_rule(&self, owner: Option<TenantId>, name: &Name) -> Result<(), Error> {
        self.register(|state| {
            let gone = state.registry.rules.remove(&(owner, name.clone()));
            gone.map(drop).ok_or_else(|| Error::not_found(format!("rule {name}")))
        })
        .await
    }

    async fn put_webhook(
        &self,
        name: &Name,
        spec: WebhookSpec,
        secret: WebhookSecret,
        now: Timestamp,
    ) -> Result<(WebhookRecord, bool), Error> {
        self.register(|state| Ok(state.put_webhook(name, spec, secret, now))).await
    }

    async fn rotate_webhook(
        &self,
        name: &Name,
        fresh: WebhookSecret,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error> {
        self.register(|state| state.change_webhook(name, |record| record.rotate(fresh, until, now))).await
    }

    async fn switch_webhook(
        &self,
        name: &Name,
        disabled: Option<DisabledReason>,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error> {
        let switch = |record: &mut WebhookRecord| {
            record.switch(disabled, now);
            Ok(())
        };
        self.register(|state| state.change_webhook(name, switch)).await
    }

    async fn webhook(&self, name: &Name) -> Result<Option<WebhookRecord>, Error> {
        Ok(self.read(|state| state.registry.webhooks.get(name).cloned()))
    }

    async fn webhooks(&self) -> Result<Vec<WebhookRecord>, Error> {
        Ok(self.read(|state| state.registry.webhooks.values().cloned().collect()))
    }

    async fn delete_webhook(&self, name: &Name) -> Result<(), Error> {
        self.register(|state| {
            let gone = state.registry.webhooks.remove(name);
            gone.map(drop).ok_or_else(|| Error::not_found(format!("webhook {name}")))
        })
        .await
    }

    async fn publish_layer(
        &self,
        name: &Name,
        package: ObjectHash,
        rolls_out: bool,
        now: Timestamp,
    ) -> Result<LayerRecord, Error> {
        self.register(|state| {
            let layer = state.registry.layers.entry(name.clone()).or_default().add(name, package, now);
            state.begin_rollout(name, layer.number, rolls_out, now);
            Ok(layer)
        })
        .await
    }

    async fn layer(&self, name: &Name, number: Option<u32>) -> Result<Option<LayerRecord>, Error> {
        Ok(self.read(|state| {
            let layer = state.registry.layers.get(name)?;
            layer.version(number.unwrap_or(layer.current))
        }))
    }

    async fn layer_versions(&self, name: &Name, page: Page) -> Result<Listing<LayerRecord>, Error> {
        self.read(|state| {
            let Some(layer) = state.registry.layers.get(name) else {
                return Ok(Listing { items: Vec::new(), next: None });
            };
            let versions = layer.versions.iter().filter_map(|record| layer.version(record.number));
            let versions: Vec<LayerRecord> = versions.collect();
            listing::newest_first(versions.iter().map(|record| (record.number, record)), &page)
        })
    }

    async fn layers(&self) -> Result<Vec<LayerRecord>, Error> {
        let current = |layer: &Layer| layer.version(layer.current);
        Ok(self.read(|state| state.registry.layers.values().filter_map(current).collect()))
    }
}
