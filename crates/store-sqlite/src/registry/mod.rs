//! Who there is and what they set up: one file per noun. Rare writes and cached reads, so plain SQL and JSON columns.

mod function;
mod key;
mod layer;
mod rollout;
mod rule;
mod secret;
mod tenant;
mod version;
pub(crate) mod webhook;

use async_trait::async_trait;
use rusqlite::{Connection, Row, Statement};
use sublet_model::{Error, FunctionConfig, FunctionId, Name, RuleSpec, TenantId, Timestamp};
use sublet_store::{
    DisabledReason, FunctionRecord, LayerRecord, Listing, NewVersion, ObjectHash, Page, Quarantine, Registry,
    RuleRecord, Stop, TenantRecord, TenantSpec, VersionRecord, WebhookRecord, WebhookSecret, WebhookSpec,
};

pub(crate) use key::{address_of, scope_column, scope_of};
pub(crate) use tenant::by_name as tenant_named;

use crate::command::Batch;
use crate::erase;
use crate::fail::{Fail, Outcome};
use crate::store::SqliteStore;

fn name_of(row: &Row<'_>, index: usize) -> Outcome<Name> {
    row.get::<_, String>(index)?.parse().map_err(|error: sublet_model::NameError| Fail::corrupt(error.to_string()))
}

fn hash_of(row: &Row<'_>, index: usize) -> Outcome<[u8; 32]> {
    Ok(row.get(index)?)
}

fn json_of<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> Outcome<T> {
    let text = row.get_ref(index)?.as_str().map_err(|error| Fail::corrupt(error.to_string()))?;
    Ok(serde_json::from_str(text)?)
}

fn json<T: serde::Serialize>(value: &T) -> Outcome<String> {
    Ok(serde_json::to_string(value)?)
}

/// The first row that `params` leads to.
fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Outcome<T>,
) -> Outcome<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let mut statement: rusqlite::CachedStatement<'_> = conn.prepare_cached(sql)?;
    let statement: &mut Statement<'_> = &mut statement;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Cuts what was read as one row too many down to a page.
fn page_of<T>(mut items: Vec<T>, rows_max: usize, cursor: impl Fn(&T) -> String) -> Listing<T> {
    let more = items.len() > rows_max;
    items.truncate(rows_max);
    let next = if more { items.last().map(cursor) } else { None };
    Listing { items, next }
}

/// How many rows to read for a page of `rows_max`: one more tells whether there is a next.
fn one_more(rows_max: usize) -> i64 {
    i64::try_from(rows_max + 1).unwrap_or(i64::MAX)
}

impl Batch<'_, '_> {
    /// A new row's id. Noted down, since the row itself may be deleted and its id must not come back.
    pub(crate) fn register(&mut self, now: Timestamp) -> Outcome<i64> {
        let id = self.state.mint(now);
        self.conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('minted', ?)")?.execute([id])?;
        Ok(id)
    }
}

impl SqliteStore {
    /// A change of the registry: raises the revision with its commit.
    pub(crate) async fn change<T, F>(&self, mut verb: F) -> Result<T, Error>
    where
        F: FnMut(&mut Batch<'_, '_>) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        self.write(move |batch| {
            let done = verb(batch)?;
            batch.after.registry_changed = true;
            Ok(done)
        })
        .await
    }
}

#[async_trait]
impl Registry for SqliteStore {
    fn revision(&self) -> u64 {
        *self.shared().revision.borrow()
    }

    async fn registry_changed(&self, since: u64) -> u64 {
        let mut changes = self.shared().revision.subscribe();
        let changed = changes.wait_for(|revision| *revision != since).await;
        // The sender lives as long as the store, so the wait has an end only in a change.
        changed.map_or(since, |revision| *revision)
    }

    async fn put_tenant(&self, name: &Name, spec: TenantSpec, now: Timestamp) -> Result<(TenantRecord, bool), Error> {
        let name = name.clone();
        self.change(move |batch| tenant::put(batch, &name, &spec, now)).await
    }

    async fn tenant(&self, name: &Name) -> Result<Option<TenantRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| tenant::by_name(conn, &name)).await
    }

    async fn tenant_by_id(&self, id: TenantId) -> Result<Option<TenantRecord>, Error> {
        self.read(move |conn| tenant::by_id(conn, id)).await
    }

    async fn tenants(&self, page: Page) -> Result<Listing<TenantRecord>, Error> {
        self.read(move |conn| tenant::list(conn, &page)).await
    }

    async fn delete_tenant(&self, name: &Name, now: Timestamp) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |batch| erase::delete_tenant(batch, &name, now)).await
    }

    async fn put_function(
        &self,
        tenant: TenantId,
        name: &Name,
        config: FunctionConfig,
        now: Timestamp,
    ) -> Result<(FunctionRecord, bool), Error> {
        let name = name.clone();
        self.change(move |batch| function::put(batch, tenant, &name, &config, now)).await
    }

    async fn function(&self, tenant: TenantId, name: &Name) -> Result<Option<FunctionRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| function::by_name(conn, tenant, &name)).await
    }

    async fn function_by_id(&self, tenant: TenantId, id: FunctionId) -> Result<Option<FunctionRecord>, Error> {
        self.read(move |conn| function::by_id(conn, tenant, id)).await
    }

    async fn functions(&self, tenant: TenantId, page: Page) -> Result<Listing<FunctionRecord>, Error> {
        self.read(move |conn| function::list(conn, tenant, &page)).await
    }

    async fn delete_function(&self, tenant: TenantId, name: &Name) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |batch| function::delete(batch.conn, tenant, &name)).await
    }

    async fn quarantine_function(
        &self,
        tenant: TenantId,
        id: FunctionId,
        why: Option<Quarantine>,
    ) -> Result<(), Error> {
        self.change(move |batch| function::quarantine(batch.conn, tenant, id, why.as_ref())).await
    }

    async fn stop_function(&self, tenant: TenantId, id: FunctionId, why: Option<Stop>) -> Result<(), Error> {
        self.change(move |batch| function::stop(batch.conn, tenant, id, why.as_ref())).await
    }

    async fn publish_version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        version: NewVersion,
        now: Timestamp,
    ) -> Result<VersionRecord, Error> {
        self.change(move |batch| version::publish(batch.conn, tenant, function, &version, now)).await
    }

    async fn version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
    ) -> Result<Option<VersionRecord>, Error> {
        self.read(move |conn| version::one_of(conn, tenant, function, number)).await
    }

    async fn versions(
        &self,
        tenant: TenantId,
        function: FunctionId,
        page: Page,
    ) -> Result<Listing<VersionRecord>, Error> {
        self.read(move |conn| version::list(conn, tenant, function, &page)).await
    }

    async fn replace_image(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
        image: ObjectHash,
        engine_hash: String,
    ) -> Result<(), Error> {
        self.change(move |batch| version::replace_image(batch.conn, tenant, function, number, image, &engine_hash))
            .await
    }

    async fn put_alias(&self, tenant: TenantId, function: FunctionId, alias: &Name, version: u32) -> Result<(), Error> {
        let alias = alias.clone();
        self.change(move |batch| version::put_alias(batch.conn, tenant, function, &alias, version)).await
    }

    async fn aliases(&self, tenant: TenantId, function: FunctionId) -> Result<Vec<(Name, u32)>, Error> {
        self.read(move |conn| version::aliases(conn, tenant, function)).await
    }

    async fn put_rule(
        &self,
        owner: Option<TenantId>,
        name: &Name,
        spec: RuleSpec,
        now: Timestamp,
    ) -> Result<(RuleRecord, bool), Error> {
        let name = name.clone();
        self.change(move |batch| rule::put(batch, owner, &name, &spec, now)).await
    }

    async fn rule(&self, owner: Option<TenantId>, name: &Name) -> Result<Option<RuleRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| rule::by_name(conn, owner, &name)).await
    }

    async fn rules(&self, owner: Option<TenantId>) -> Result<Vec<RuleRecord>, Error> {
        self.read(move |conn| rule::of(conn, owner)).await
    }

    async fn all_rules(&self) -> Result<Vec<RuleRecord>, Error> {
        self.read(rule::everybodys).await
    }

    async fn delete_rule(&self, owner: Option<TenantId>, name: &Name) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |batch| rule::delete(batch.conn, owner, &name)).await
    }

    async fn put_webhook(
        &self,
        name: &Name,
        spec: WebhookSpec,
        secret: WebhookSecret,
        now: Timestamp,
    ) -> Result<(WebhookRecord, bool), Error> {
        let name = name.clone();
        self.change(move |batch| webhook::put(batch.conn, &name, &spec, &secret, now)).await
    }

    async fn rotate_webhook(
        &self,
        name: &Name,
        fresh: WebhookSecret,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error> {
        let name = name.clone();
        self.change(move |batch| webhook::rotate(batch.conn, &name, &fresh, until, now)).await
    }

    async fn switch_webhook(
        &self,
        name: &Name,
        disabled: Option<DisabledReason>,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error> {
        let name = name.clone();
        self.change(move |batch| webhook::switch(batch.conn, &name, disabled, now)).await
    }

    async fn webhook(&self, name: &Name) -> Result<Option<WebhookRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| webhook::by_name(conn, &name)).await
    }

    async fn webhooks(&self) -> Result<Vec<WebhookRecord>, Error> {
        self.read(webhook::list).await
    }

    async fn delete_webhook(&self, name: &Name) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |batch| webhook::delete(batch.conn, &name)).await
    }

    async fn publish_layer(
        &self,
        name: &Name,
        package: ObjectHash,
        rolls_out: bool,
        now: Timestamp,
    ) -> Result<LayerRecord, Error> {
        let name = name.clone();
        self.change(move |batch| layer::publish(batch.conn, &name, package, rolls_out, now)).await
    }

    async fn layer(&self, name: &Name, number: Option<u32>) -> Result<Option<LayerRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| layer::one_of(conn, &name, number)).await
    }

    async fn layer_versions(&self, name: &Name, page: Page) -> Result<Listing<LayerRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| layer::versions(conn, &name, &page)).await
    }

    async fn layers(&self) -> Result<Vec<LayerRecord>, Error> {
        self.read(layer::current).await
    }
}
