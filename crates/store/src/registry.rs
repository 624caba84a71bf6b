//! Who there is and what they set up: tenants, functions, versions, aliases, rules, webhooks, layers. Keys have their own part.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sublet_model::{
    EgressRule, Error, FunctionConfig, FunctionId, Isolation, Name, Quota, RuleId, RuleSpec, TenantId, Timestamp,
};

use crate::code::ObjectHash;
use crate::page::{Listing, Page};
use crate::stop::{Quarantine, Stop};
use crate::webhook::{DisabledReason, WebhookRecord, WebhookSecret, WebhookSpec};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantStatus {
    Active,
    /// Its events are recorded as rejected, and nothing of it starts; what waits goes on waiting.
    Suspended,
}

/// What an operator says of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantSpec {
    pub status: TenantStatus,
    pub quota: Quota,
    /// The operator's own labels.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// Where its functions may send requests at most. Empty: nowhere.
    #[serde(default)]
    pub egress: Arc<[EgressRule]>,
    /// `None`: as the configuration says for all.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// Why it was moved to worker processes of its own without the operator's asking. Goes before `isolation`, and is
    /// lifted when the operator says one.
    #[serde(default)]
    pub suspicion: Option<String>,
    /// Why it is suspended, if somebody said so.
    #[serde(default)]
    pub stopped: Option<Stop>,
    /// Layers that wrap every function of it from its next version on, outermost first.
    #[serde(default)]
    pub wrappers: Vec<Name>,
}

impl TenantSpec {
    /// Where its attempts run, `usual` being what the configuration says for all.
    pub fn isolation_or(&self, usual: Isolation) -> Isolation {
        if self.suspicion.is_some() { Isolation::Dedicated } else { self.isolation.unwrap_or(usual) }
    }
}

impl Default for TenantSpec {
    /// Active, with everything by default.
    fn default() -> TenantSpec {
        TenantSpec {
            status: TenantStatus::Active,
            quota: Quota::default(),
            attributes: serde_json::Map::new(),
            egress: Arc::default(),
            isolation: None,
            suspicion: None,
            stopped: None,
            wrappers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TenantRecord {
    pub id: TenantId,
    pub name: Name,
    pub spec: TenantSpec,
    pub created: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionRecord {
    pub id: FunctionId,
    pub tenant: TenantId,
    pub name: Name,
    /// What the next version will freeze.
    pub config: FunctionConfig,
    /// The version that `live` points to.
    pub live: Option<u32>,
    /// Nothing of it starts, and what waits is a dead letter at its turn.
    pub quarantined: Option<Quarantine>,
    /// Nothing of it starts, and what waits goes on waiting.
    pub stopped: Option<Stop>,
    pub created: Timestamp,
}

/// An immutable version; only `image` and `engine_hash` are made anew, after a change of engine.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRecord {
    pub function: FunctionId,
    /// 1, 2, 3 …
    pub number: u32,
    pub config: FunctionConfig,
    /// The package as uploaded.
    pub package: ObjectHash,
    pub package_bytes: u64,
    /// The frozen memory image that attempts start from, and the engine it was made for.
    pub image: ObjectHash,
    pub engine_hash: String,
    /// The versions of the layers it froze, by name.
    pub layers: Vec<(Name, u32)>,
    pub created: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    pub config: FunctionConfig,
    pub package: ObjectHash,
    pub package_bytes: u64,
    pub image: ObjectHash,
    pub engine_hash: String,
    pub layers: Vec<(Name, u32)>,
    /// Move `live` to it in the same commit.
    pub make_live: bool,
}

#[derive(Debug, Clone)]
pub struct RuleRecord {
    pub id: RuleId,
    /// `None`: the operator's.
    pub owner: Option<TenantId>,
    pub name: Name,
    pub spec: RuleSpec,
    pub changed: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecord {
    pub name: Name,
    pub number: u32,
    pub package: ObjectHash,
    pub created: Timestamp,
    /// The one that new versions of functions take.
    pub is_current: bool,
}

/// The store's first part. Ids are minted inside; names are unique per owner. Deleting what is not there is `NotFound`,
/// and so is changing or adding to what is not there, or is another tenant's. Lists of functions are by name,
/// ascending.
#[async_trait]
pub trait Registry {
    /// Grows with every change of the registry by any node.
    fn revision(&self) -> u64;

    /// Contract: returns once `revision() != since`: the wake-up for caches of other nodes' changes.
    async fn registry_changed(&self, since: u64) -> u64;

    /// Makes or replaces. Contract: the id and `created` of a tenant that exists stay. Returns whether it was made.
    async fn put_tenant(&self, name: &Name, spec: TenantSpec, now: Timestamp) -> Result<(TenantRecord, bool), Error>;
    async fn tenant(&self, name: &Name) -> Result<Option<TenantRecord>, Error>;
    async fn tenant_by_id(&self, id: TenantId) -> Result<Option<TenantRecord>, Error>;
    /// By name, ascending.
    async fn tenants(&self, page: Page) -> Result<Listing<TenantRecord>, Error>;
    /// Contract: one commit cancels what waits, revokes its keys, removes functions, versions, aliases, rules and secrets, and
    /// erases event bodies, results, failures and logs; the ledger's sums stay. A lease that still runs is fenced at
    /// its settle: its invocation is `Cancelled` (`TenantDeleted`) in this commit like those that wait, without an
    /// attempt row. The tenant's outbox lines go, deliveries of its events that are pending end as `Failed`, and
    /// identities of its events are free again, so that a tenant made anew under the name is not answered with the old
    /// one's. Rows that are kept (events, invocations, attempts, with what was erased empty or `None`) are still found
    /// by id.
    async fn delete_tenant(&self, name: &Name, now: Timestamp) -> Result<(), Error>;

    async fn put_function(
        &self,
        tenant: TenantId,
        name: &Name,
        config: FunctionConfig,
        now: Timestamp,
    ) -> Result<(FunctionRecord, bool), Error>;
    async fn function(&self, tenant: TenantId, name: &Name) -> Result<Option<FunctionRecord>, Error>;
    async fn function_by_id(&self, tenant: TenantId, id: FunctionId) -> Result<Option<FunctionRecord>, Error>;
    async fn functions(&self, tenant: TenantId, page: Page) -> Result<Listing<FunctionRecord>, Error>;
    /// Contract: its versions, aliases and secrets go with it; what waits for it is dead-lettered (`NoFunction`) at its turn.
    async fn delete_function(&self, tenant: TenantId, name: &Name) -> Result<(), Error>;
    /// `None` lifts it.
    async fn quarantine_function(&self, tenant: TenantId, id: FunctionId, why: Option<Quarantine>)
    -> Result<(), Error>;
    /// `None` lifts it.
    async fn stop_function(&self, tenant: TenantId, id: FunctionId, why: Option<Stop>) -> Result<(), Error>;

    /// Contract: the number is the function's last plus one, never used again; lifts a quarantine when made live. A
    /// function deleted and made again under its name is another function with its own numbers.
    async fn publish_version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        version: NewVersion,
        now: Timestamp,
    ) -> Result<VersionRecord, Error>;
    async fn version(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
    ) -> Result<Option<VersionRecord>, Error>;
    /// Newest first.
    async fn versions(
        &self,
        tenant: TenantId,
        function: FunctionId,
        page: Page,
    ) -> Result<Listing<VersionRecord>, Error>;
    /// After a change of engine.
    async fn replace_image(
        &self,
        tenant: TenantId,
        function: FunctionId,
        number: u32,
        image: ObjectHash,
        engine_hash: String,
    ) -> Result<(), Error>;

    /// `live` is an alias like any other, and `aliases` lists it; moving it lifts a quarantine. `NotFound` when there is no
    /// such version.
    async fn put_alias(&self, tenant: TenantId, function: FunctionId, alias: &Name, version: u32) -> Result<(), Error>;
    /// By name.
    async fn aliases(&self, tenant: TenantId, function: FunctionId) -> Result<Vec<(Name, u32)>, Error>;

    async fn put_rule(
        &self,
        owner: Option<TenantId>,
        name: &Name,
        spec: RuleSpec,
        now: Timestamp,
    ) -> Result<(RuleRecord, bool), Error>;
    async fn rule(&self, owner: Option<TenantId>, name: &Name) -> Result<Option<RuleRecord>, Error>;
    /// One owner's rules, by name.
    async fn rules(&self, owner: Option<TenantId>) -> Result<Vec<RuleRecord>, Error>;
    /// Everybody's rules, for the matcher.
    async fn all_rules(&self) -> Result<Vec<RuleRecord>, Error>;
    async fn delete_rule(&self, owner: Option<TenantId>, name: &Name) -> Result<(), Error>;

    /// Makes or replaces. Contract: `secret` is the first one of a webhook that is made; one that exists keeps its
    /// secrets, its state and its failures.
    async fn put_webhook(
        &self,
        name: &Name,
        spec: WebhookSpec,
        secret: WebhookSecret,
        now: Timestamp,
    ) -> Result<(WebhookRecord, bool), Error>;
    /// As [`WebhookRecord::rotate`] says: those before `fresh` sign on until `until`.
    async fn rotate_webhook(
        &self,
        name: &Name,
        fresh: WebhookSecret,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error>;
    /// Disables for a reason, or enables (`None`), as [`WebhookRecord::switch`] says.
    async fn switch_webhook(
        &self,
        name: &Name,
        disabled: Option<DisabledReason>,
        now: Timestamp,
    ) -> Result<WebhookRecord, Error>;
    async fn webhook(&self, name: &Name) -> Result<Option<WebhookRecord>, Error>;
    async fn webhooks(&self) -> Result<Vec<WebhookRecord>, Error>;
    async fn delete_webhook(&self, name: &Name) -> Result<(), Error>;

    /// A new version, which is the current one from here on. `rolls_out`: the same commit begins its rollout, with its
    /// total counted.
    ///
    /// Contract: the number is the layer's last plus one. Whatever `rolls_out` says, a rollout of the layer that still
    /// runs is `Superseded`; of rollouts before the last [`crate::rollout::ROLLOUTS_KEPT`] nothing is kept.
    async fn publish_layer(
        &self,
        name: &Name,
        package: ObjectHash,
        rolls_out: bool,
        now: Timestamp,
    ) -> Result<LayerRecord, Error>;
    /// `None`: the current one, which is the newest unless that was taken back.
    async fn layer(&self, name: &Name, number: Option<u32>) -> Result<Option<LayerRecord>, Error>;
    /// Newest first.
    async fn layer_versions(&self, name: &Name, page: Page) -> Result<Listing<LayerRecord>, Error>;
    /// The current one of each, by name.
    async fn layers(&self) -> Result<Vec<LayerRecord>, Error>;
}
