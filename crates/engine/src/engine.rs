//! The door: starting an engine and everything that may be asked of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{
    Clock, DeliveryId, EndReason, Error, EventId, EventInput, HostPattern, Isolation, MessageLease, Name, QueueId,
    TenantId, Timestamp, TraceContext,
};
use sublet_sandbox::Sandbox;
use sublet_sandbox::egress::Gateway;
use sublet_store::{
    Balance, CodeStore, DeliveryRecord, LayerRecord, MessageSelection, Page, QueueRecord, RolloutRecord, SecretPlace,
    SecretRecord, Selection, Stop, StoppedBy, Store, TenantRecord, VersionRecord,
};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::body::Bodies;
use crate::chance::{Chance, locked};
use crate::config::EngineConfig;
use crate::core::Core;
use crate::delivery::DeliveryGauge;
use crate::deploy::{DeployError, PackageKind};
use crate::directory::Directory;
use crate::explain::{Explanation, Viewer};
use crate::invoke::{InvokeAnswer, InvokeRequest};
use crate::lease::Leases;
use crate::meter::Meters;
use crate::named_queue::{NamedQueues, QueueStats, ReceiveRequest, Received};
use crate::outbox::Outbox;
use crate::publish::Receipt;
use crate::quarantine::Conduct;
use crate::queue::Queues;
use crate::runnable::Runnables;
use crate::secret::{Keyring, OpenSecrets, Resealed, SecretValue};
use crate::span::{OpenSpan, SpanAttribute, Tracing};
use crate::stats::Stats;
use crate::stream::{ResultStream, Stream, StreamFilter, StreamPlace};
use crate::suspicion::Suspicions;

/// What an engine is made of.
pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub code: CodeStore,
    pub sandbox: Arc<dyn Sandbox>,
    /// What tenants' code reaches the outside through.
    pub gateway: Gateway,
    pub clock: Arc<dyn Clock>,
    pub random_seed: u64,
    /// What tenants' secrets are sealed with.
    pub keyring: Keyring,
    pub config: EngineConfig,
}

/// A running engine. Cheap to clone; when the last clone is dropped, everything it runs ends at once, as in a crash.
/// [`Engine::drain`] ends it in good order.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
    running: Arc<Running>,
}

/// Its end is the end of everything that runs.
struct Running {
    core: Arc<Core>,
    /// What runs for the life of the engine, by name.
    loops: OnceLock<Vec<(&'static str, AbortHandle)>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        locked(&self.core.tasks).abort_all();
        self.core.stream.close();
        self.core.named_queues.close();
    }
}

/// Bytes of events held for their deliveries.
const DELIVERY_BODIES_BYTES_MAX: usize = 16 << 20;

impl Engine {
    /// Takes the shards, rebuilds the queues from the store and starts working. Must be called within a tokio runtime.
    pub async fn start(parts: EngineParts) -> Result<Engine, Error> {
        Engine::start_traced(parts, Tracing::off()).await
    }

    /// The same, and hands the spans of what it does to a sink.
    pub async fn start_traced(parts: EngineParts, tracing: Tracing) -> Result<Engine, Error> {
        let EngineParts { store, code, sandbox, gateway, clock, random_seed, keyring, config } = parts;
        let now = clock.now();
        // First of all: from here on every earlier owner is fenced off.
        let ownership = store.acquire(config.node, now).await?;
        let (directory, changes) = Directory::open(Arc::clone(&store), Arc::clone(&clock)).await?;
        let arrivals = store.arrivals(&ownership).await?;
        let pending = store.delivery_arrivals().await?;
        let messages = store.message_arrivals().await?;
        // After `acquire`: no earlier owner adds to it.
        let greatest = store.greatest_id().await?;
        let slots = config.slots_max.unwrap_or(usize::MAX).min(sandbox.slots());
        let core = Arc::new(Core {
            chance: Chance::new(random_seed, config.node, now, greatest),
            keyring,
            open_secrets: OpenSecrets::default(),
            directory,
            ownership: Mutex::new(ownership),
            queues: Queues::new(slots),
            bodies: Bodies::new(config.body_cache_bytes),
            delivery_bodies: Bodies::new(DELIVERY_BODIES_BYTES_MAX),
            runnables: Runnables::new(config.image_cache_bytes),
            leases: Leases::default(),
            conduct: Conduct::new(config.quarantine),
            suspicions: Suspicions::new(),
            rollouts: Notify::new(),
            outbox: Outbox::new(),
            deliveries: DeliveryGauge::default(),
            named_queues: NamedQueues::new(),
            // Of the seed and the moment, so that a restart has another.
            stream: Stream::new(u32::try_from((random_seed ^ now.millis().cast_unsigned()) & 0xffff_ffff).unwrap_or(0)),
            tracing,
            meters: Meters::new(),
            numbers: AtomicU64::new(0),
            tasks: Mutex::new(JoinSet::new()),
            store,
            code,
            sandbox,
            gateway,
            clock,
            config,
        });
        core.check_seal_keys().await?;
        let running = Arc::new(Running { core: Arc::clone(&core), loops: OnceLock::new() });
        let mut loops = vec![("schedule", core.spawn(Arc::clone(&core).schedule(arrivals, changes)))];
        let part = Arc::clone(&core);
        loops.push(("outbox", core.spawn(async move { part.publish_results().await })));
        let part = Arc::clone(&core);
        loops.push(("leases", core.spawn(async move { part.keep_leases().await })));
        let part = Arc::clone(&core);
        loops.push(("rescue", core.spawn(async move { part.keep_rescuing().await })));
        let part = Arc::clone(&core);
        loops.push(("upkeep", core.spawn(async move { part.keep_tidy().await })));
        let part = Arc::clone(&core);
        loops.push(("directory", core.spawn(async move { part.directory.keep_fresh().await })));
        let part = Arc::clone(&core);
        loops.push(("rollouts", core.spawn(async move { part.keep_rolling_out().await })));
        loops.push(("delivery", core.spawn(Arc::clone(&core).deliver(pending))));
        loops.push(("named queues", core.spawn(Arc::clone(&core).feed_queues(messages))));
        // Set once, here.
        let _ = running.loops.set(loops);
        Ok(Engine { core, running })
    }

    /// Publishes up to `EVENTS_PER_BATCH_MAX` events; each is answered for itself, in order, once all are durable.
    ///
    /// Errors of an entry: `Invalid` with the field (`source` for the reserved source), `Conflict` for a known identity
    /// with another body, `Throttled` when the tenant's backlog is full. Errors of the call: nothing was published.
    pub async fn publish(&self, events: Vec<EventInput>) -> Result<Vec<Result<Receipt, Error>>, Error> {
        self.core.publish(events).await
    }

    /// The trace that the events of a request belong to, from what the request's headers said; and the request's own
    /// span, where it is recorded.
    pub fn begin_trace(&self, remote: Option<TraceContext>) -> (Option<TraceContext>, Option<OpenSpan>) {
        self.core.begin_trace(remote)
    }

    /// The request is answered. `error`: why it failed by a fault of ours, in a few words.
    pub fn end_span(&self, open: OpenSpan, name: &'static str, attributes: Vec<SpanAttribute>, error: Option<String>) {
        self.core.end_span(open, name, attributes, error);
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

    /// A new version of an operator's layer, from a zip. `rolls_out`: into the functions that use the layer.
    pub async fn publish_layer(
        &self,
        name: &Name,
        package: Bytes,
        rolls_out: bool,
    ) -> Result<LayerRecord, DeployError> {
        self.core.publish_layer(name, package, rolls_out).await
    }

    /// The layer's current version gives way to the one before it, in every function whose live version is still the
    /// one that its rollout made. Answers what is current now, and the rollout, if there was one.
    pub async fn take_back_layer(&self, name: &Name) -> Result<(LayerRecord, Option<RolloutRecord>), Error> {
        self.core.take_back_layer(name).await
    }

    /// Nothing more of the function starts, and what runs of it ends now: back into its queue, or cancelled. Answers
    /// how many attempts that were. Errors: `Conflict` for a tenant where the operator said stop.
    pub async fn stop_function(
        &self,
        tenant: &TenantRecord,
        function: &Name,
        stop: Stop,
        cancels: bool,
    ) -> Result<usize, Error> {
        self.core.stop_function(tenant, function, stop, cancels).await
    }

    /// Lifts a stop; `by` is who lifts it. Errors: `Conflict` for a tenant where the operator said stop.
    pub async fn start_function(&self, tenant: &TenantRecord, function: &Name, by: StoppedBy) -> Result<(), Error> {
        self.core.start_function(tenant, function, by).await
    }

    /// Suspends the tenant, and ends what runs of it as [`Engine::stop_function`] does.
    pub async fn stop_tenant(&self, tenant: &TenantRecord, stop: Stop, cancels: bool) -> Result<usize, Error> {
        self.core.stop_tenant(tenant, stop, cancels).await
    }

    pub async fn start_tenant(&self, tenant: &TenantRecord) -> Result<(), Error> {
        self.core.start_tenant(tenant).await
    }

    /// Lifts a quarantine.
    pub async fn release_function(&self, tenant: &TenantRecord, function: &Name) -> Result<(), Error> {
        self.core.release_function(tenant, function).await
    }

    /// Makes or replaces a secret; `true` when it was made. `hosts` left out: those of one that is there stay.
    ///
    /// Errors: `Invalid` with the field, `NotFound` without the tenant or its function, `Conflict` past the most secrets.
    pub async fn put_secret(
        &self,
        place: SecretPlace,
        value: &SecretValue,
        hosts: Option<Vec<HostPattern>>,
    ) -> Result<(SecretRecord, bool), Error> {
        self.core.put_secret(place, value, hosts).await
    }

    /// One step of sealing everybody's secrets anew under the first master key.
    pub async fn reseal_secrets(&self, page: Page) -> Result<Resealed, Error> {
        self.core.reseal_secrets(page).await
    }

    /// Tenants, functions, rules, webhooks, keys: cached reads and write-through.
    pub fn registry(&self) -> &Directory {
        &self.core.directory
    }

    /// Result events as they are published, and state changes as they happen. `after`: where a returning reader was.
    pub fn stream(&self, after: Option<StreamPlace>, filter: StreamFilter) -> ResultStream {
        self.core.stream.read(after, filter)
    }

    /// Messages of a named queue, each under a lease; waits for the first, and answers with none when none came.
    pub async fn receive(&self, queue: &QueueRecord, request: ReceiveRequest) -> Result<Vec<Received>, Error> {
        self.core.receive(queue, request).await
    }

    /// Ends messages. Each lease is answered for itself: `Fenced` when it is no longer held.
    pub async fn ack(&self, queue: QueueId, leases: Vec<MessageLease>) -> Result<Vec<Result<(), Error>>, Error> {
        self.core.ack(queue, leases).await
    }

    /// Lets leases end `span` from now. Answers when that is, and each lease for itself.
    pub async fn extend_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        span: Duration,
    ) -> Result<(Timestamp, Vec<Result<(), Error>>), Error> {
        self.core.extend_messages(queue, leases, span).await
    }

    /// Gives messages back, to be received again after `delay`. Each lease is answered for itself.
    pub async fn release_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        delay: Duration,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.core.release_messages(queue, leases, delay).await
    }

    /// A queue's dead letters back into it. Answers how many.
    pub async fn redrive_messages(&self, queue: QueueId, selection: MessageSelection) -> Result<u64, Error> {
        self.core.store.redrive_messages(queue, selection, self.core.clock.now()).await
    }

    /// Erases a queue's dead letters. Answers how many.
    pub async fn purge_messages(&self, queue: QueueId, selection: MessageSelection) -> Result<u64, Error> {
        self.core.store.purge_messages(queue, selection, self.core.clock.now()).await
    }

    pub async fn queue_stats(&self, queue: &QueueRecord) -> Result<QueueStats, Error> {
        self.core.queue_stats(queue).await
    }

    /// A queue with everything in it.
    pub async fn delete_queue(&self, queue: &QueueRecord) -> Result<(), Error> {
        self.core.directory.delete_queue(&queue.name).await?;
        self.core.named_queues.forget(queue.id);
        Ok(())
    }

    /// Dead letters back into the queue. Answers how many.
    pub async fn redrive(&self, tenant: TenantId, selection: Selection) -> Result<u64, Error> {
        self.core.store.redrive(tenant, selection, self.core.clock.now()).await
    }

    /// Cancels waiting invocations; those that run are left to end. Answers how many.
    pub async fn cancel(&self, tenant: TenantId, selection: Selection) -> Result<u64, Error> {
        // Taken down before the write: what becomes waiting after it is not among the cancelled.
        let mut cancelled = self.core.queues.with(|scheduler| scheduler.waiting_of(tenant));
        if let Selection::Ids(ids) = &selection {
            cancelled.retain(|(invocation, _)| ids.contains(invocation));
        }
        let (reason, now) = (EndReason::CancelledByRequest, self.core.clock.now());
        let count = self.core.store.cancel(tenant, selection, reason, now).await?;
        self.core.queues.with(|scheduler| scheduler.withdraw(tenant, &cancelled));
        Ok(count)
    }

    /// Sends a delivery anew under its id. Errors: `NotFound`; `Conflict` when its webhook is deleted or its event erased.
    pub async fn replay_delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, Error> {
        self.core.replay_delivery(id).await
    }

    /// Sends anew every failed delivery to the webhook that was accepted at or after `since`. Answers how many.
    pub async fn replay_failed(&self, webhook: &Name, since: Timestamp) -> Result<u64, Error> {
        self.core.replay_failed(webhook, since).await
    }

    /// Which worker processes the tenant's attempts run in.
    pub fn isolation_of(&self, tenant: &TenantRecord) -> Isolation {
        tenant.spec.isolation_or(self.core.config.isolation)
    }

    /// The conservation equation's terms, added up from the rows.
    pub async fn balance(&self, tenant: TenantId) -> Result<Balance, Error> {
        self.core.store.balance(tenant).await
    }

    pub fn stats(&self) -> Stats {
        let (load, is_stopped) = self.core.queues.with(|scheduler| (scheduler.load(), scheduler.is_stopped()));
        Stats {
            waiting: load.waiting,
            delayed: load.delayed,
            in_flight: load.in_flight,
            slots: self.core.queues.with(|scheduler| u64::from(scheduler.slots())),
            workers: self.core.sandbox.workers() as u64,
            tenants_active: load.tenants,
            outbox_waiting: self.core.outbox.waiting(),
            deliveries_waiting: self.core.deliveries.waiting(),
            deliveries_in_flight: self.core.deliveries.in_flight(),
            stream_readers: self.core.stream.readers() as u64,
            receives_waiting: self.core.named_queues.polls(),
            draining: is_stopped,
            shards: locked(&self.core.ownership).shards().count() as u64,
        }
    }

    /// Which of the loops that should run for the life of the engine have ended: by a panic, since nothing else ends them.
    pub fn loops_ended(&self) -> Vec<&'static str> {
        let loops = self.running.loops.get().map(Vec::as_slice).unwrap_or_default();
        loops.iter().filter(|(_, task)| task.is_finished()).map(|(name, _)| *name).collect()
    }

    /// Starts nothing more, waits for what runs (at most `deadline`), publishes the results, flushes the store. `true`
    /// when everything ended by itself.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.core.drain(deadline).await
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
