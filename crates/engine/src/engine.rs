//! The door: starting an engine and everything that may be asked of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{Clock, EndReason, Error, EventId, EventInput, Name, TenantId};
use sublet_sandbox::Sandbox;
use sublet_store::{Balance, CodeStore, LayerRecord, Selection, Store, TenantRecord, VersionRecord};

use crate::chance::Chance;
use crate::config::EngineConfig;
use crate::core::Core;
use crate::deploy::{DeployError, PackageKind};
use crate::directory::Directory;
use crate::explain::{Explanation, Viewer};
use crate::invoke::{InvokeAnswer, InvokeRequest};
use crate::publish::Receipt;
use crate::stats::Stats;
use crate::stream::{ResultStream, Stream, StreamFilter};

/// What an engine is made of.
pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub code: CodeStore,
    pub sandbox: Arc<dyn Sandbox>,
    pub clock: Arc<dyn Clock>,
    pub random_seed: u64,
    pub config: EngineConfig,
}

/// A running engine. Cheap to clone; when the last clone is dropped, everything it runs ends at once, as in a crash.
/// [`Engine::drain`] ends it in good order.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
}

impl Engine {
    /// Takes the shards, rebuilds the queues from the store and starts working. Must be called within a tokio runtime.
    pub async fn start(parts: EngineParts) -> Result<Engine, Error> {
        let EngineParts { store, code, sandbox, clock, random_seed, config } = parts;
        let now = clock.now();
        let (directory, _changes) = Directory::open(Arc::clone(&store), Arc::clone(&clock)).await?;
        let chance = Chance::new(random_seed, config.node, now);
        let core = Core { store, code, sandbox, clock, config, chance, directory, stream: Stream::new() };
        Ok(Engine { core: Arc::new(core) })
    }

    /// Publishes up to `EVENTS_PER_BATCH_MAX` events; each is answered for itself, in order, once all are durable.
    ///
    /// Errors of an entry: `Invalid` with the field (`source` for the reserved source), `Conflict` for a known identity
    /// with another body, `Throttled` when the tenant's backlog is full. Errors of the call: nothing was published.
    pub async fn publish(&self, events: Vec<EventInput>) -> Result<Vec<Result<Receipt, Error>>, Error> {
        self.core.publish(events).await
    }

    /// All that became of an event, with reasons. `NotFound` also for an event that is not the viewer's.
    pub async fn explain(&self, id: EventId, viewer: Viewer) -> Result<Explanation, Error> {
        self.core.explain(id, viewer).await
    }

    /// Runs a function now. Errors: `NotFound` without such a function or version, `Throttled` when the tenant's slots
    /// are taken, `Invalid` for a payload that is too long.
    pub async fn invoke(&self, request: InvokeRequest) -> Result<InvokeAnswer, Error> {
        self.core.invoke(request).await
    }

    /// Makes a new version of a function that exists; `publish` makes it live in the same commit.
    pub async fn deploy(
        &self,
        tenant: &TenantRecord,
        function: &Name,
        package: Bytes,
        kind: PackageKind,
        publish: bool,
    ) -> Result<VersionRecord, DeployError> {
        self.core.deploy(tenant, function, package, kind, publish).await
    }

    /// A new version of an operator's layer, from a zip.
    pub async fn publish_layer(&self, name: &Name, package: Bytes) -> Result<LayerRecord, DeployError> {
        self.core.publish_layer(name, package).await
    }

    /// Tenants, functions, rules, webhooks, keys: cached reads and write-through.
    pub fn registry(&self) -> &Directory {
        &self.core.directory
    }

    /// Result events as they are published. `after`: the last id a returning reader saw.
    pub fn stream(&self, after: Option<EventId>, filter: StreamFilter) -> ResultStream {
        self.core.stream.read(after, filter)
    }

    /// Dead letters back into the queue. Answers how many.
    pub async fn redrive(&self, tenant: TenantId, selection: Selection) -> Result<u64, Error> {
        self.core.store.redrive(tenant, selection, self.core.clock.now()).await
    }

    /// Cancels waiting invocations; those that run are left to end. Answers how many.
    pub async fn cancel(&self, tenant: TenantId, selection: Selection) -> Result<u64, Error> {
        self.core.store.cancel(tenant, selection, EndReason::CancelledByRequest, self.core.clock.now()).await
    }

    /// The conservation equation's terms, added up from the rows.
    pub async fn balance(&self, tenant: TenantId) -> Result<Balance, Error> {
        self.core.store.balance(tenant).await
    }

    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Starts nothing more, waits for what runs (at most `deadline`), publishes the results, flushes the store. `true`
    /// when everything ended by itself.
    pub async fn drain(&self, _deadline: Duration) -> bool {
        true
    }

    /// For plain reads.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.core.store
    }

    /// For plain reads of packages.
    pub fn code(&self) -> &CodeStore {
        &self.core.code
    }
}
