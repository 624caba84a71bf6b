//! What every part of a running engine shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sublet_model::{Clock, DeliveryId, InvocationId, TenantId};
use sublet_sandbox::Sandbox;
use sublet_sandbox::egress::Gateway;
use sublet_store::{CodeStore, Ownership, Store, Work, shard_of};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::body::{Bodies, Carried};
use crate::chance::{Chance, locked};
use crate::config::EngineConfig;
use crate::delivery::DeliveryGauge;
use crate::directory::Directory;
use crate::lease::Leases;
use crate::meter::Meters;
use crate::named_queue::NamedQueues;
use crate::outbox::Outbox;
use crate::quarantine::Conduct;
use crate::queue::Queues;
use crate::runnable::Runnables;
use crate::secret::{Keyring, OpenSecrets};
use crate::span::Tracing;
use crate::stream::Stream;
use crate::suspicion::Suspicions;

pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) code: CodeStore,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: EngineConfig,
    pub(crate) chance: Chance,
    pub(crate) keyring: Keyring,
    pub(crate) open_secrets: OpenSecrets,
    pub(crate) directory: Directory,
    /// The shards held at the start, less those that turned out to be another's.
    pub(crate) ownership: Mutex<Ownership>,
    pub(crate) queues: Queues,
    pub(crate) bodies: Bodies<InvocationId, Work>,
    pub(crate) delivery_bodies: Bodies<DeliveryId, Carried>,
    pub(crate) runnables: Runnables,
    pub(crate) leases: Leases,
    pub(crate) conduct: Conduct,
    pub(crate) suspicions: Suspicions,
    /// A rollout began, or is to go back.
    pub(crate) rollouts: Notify,
    pub(crate) outbox: Outbox,
    pub(crate) deliveries: DeliveryGauge,
    pub(crate) named_queues: NamedQueues,
    pub(crate) stream: Arc<Stream>,
    pub(crate) tracing: Tracing,
    pub(crate) meters: Meters,
    /// Numbers that need only be unique within this process.
    pub(crate) numbers: AtomicU64,
    /// Everything that runs for this engine. Its size is bounded by slots, invoke slots, receives and the few loops.
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

impl Core {
    /// Runs something until it is done or the engine ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = locked(&self.tasks);
        // Takes out what ended, so that the set holds only what runs.
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a task of the engine panicked");
            }
        }
        tasks.spawn(task)
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The epoch under which this node may write to the tenant's queue.
    pub(crate) fn epoch_of(&self, tenant: TenantId) -> Option<u64> {
        locked(&self.ownership).epoch_of(tenant)
    }

    /// Another node took the tenant's shard: nothing of it is started here any more.
    pub(crate) fn lost(&self, tenant: TenantId, epoch: u64) {
        let mut ownership = locked(&self.ownership);
        if ownership.epoch_of(tenant) == Some(epoch) {
            let shard = shard_of(tenant);
            ownership.epochs[usize::from(shard.0)] = None;
            tracing::error!(shard.id = shard.0, "shard {} was taken by another node", shard.0);
        }
    }
}
