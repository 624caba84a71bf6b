//! Who there is and what they set up, held ready: tenants, functions, live versions, rules, webhooks, keys.
//!
//! A façade over the store's registry: reads come from bounded caches, writes go through and change the caches before
//! they return, so that the next publish sees them. What other nodes change is noticed by the registry's revision, and
//! then everything held is dropped and read anew. An unknown tenant's name is remembered too, in a small cache of its
//! own, so that a publisher's typing error costs no read per event; making the tenant forgets it.

mod function;
mod key;
mod layer;
mod queue;
mod refresh;
mod rule;
mod secret;
mod tenant;
mod webhook;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use sublet_model::{Clock, Error, FunctionId, Name, TenantId};
use sublet_store::{FunctionRecord, KeyRecord, SecretRecord, Store, TenantRecord, VersionRecord, WebhookRecord};
use tokio::sync::{mpsc, watch};

use crate::cache::Cache;
use crate::chance::locked;
pub(crate) use rule::{Rule, RuleBook};
pub use webhook::OVERLAP_DEFAULT;

/// Tenants held ready.
const TENANTS_CACHED_MAX: usize = 200_000;
/// Names of tenants that do not exist, remembered.
const UNKNOWN_CACHED_MAX: usize = 10_000;
/// Functions held ready, by name and by id, absent ones among them.
const FUNCTIONS_CACHED_MAX: usize = 50_000;
/// Versions held ready.
const VERSIONS_CACHED_MAX: usize = 20_000;
/// Bytes of sealed secrets held ready.
const SECRETS_CACHED_BYTES_MAX: usize = 16 << 20;
/// Keys held ready, unknown ones among them.
const KEYS_CACHED_MAX: usize = 20_000;

/// What the scheduler must hear of.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Tenant(Arc<TenantRecord>),
    TenantGone(TenantId),
    /// A stop was lifted, or the function is gone.
    Function(FunctionId),
    /// Another node changed something: look at every tenant again.
    Anything,
}

pub struct Directory {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    rules: RwLock<RuleBook>,
    webhooks: RwLock<HashMap<Name, Arc<WebhookRecord>>>,
    queues: RwLock<queue::QueueBook>,
    webhooks_changed: watch::Sender<()>,
    /// Grows with every change; what was read before a change is not put into a cache after it.
    generation: AtomicU64,
    /// The registry's revision that the caches are known to be up to.
    revision: AtomicU64,
    /// Held across a write, so that our own step of the revision is told from another node's.
    writing: tokio::sync::Mutex<()>,
    changes: mpsc::UnboundedSender<Change>,
}

struct Held {
    tenants: Cache<Name, Arc<TenantRecord>>,
    tenant_names: Cache<TenantId, Name>,
    unknown: Cache<Box<str>, ()>,
    functions: Cache<(TenantId, Name), Option<Arc<FunctionRecord>>>,
    function_names: Cache<FunctionId, Name>,
    versions: Cache<(FunctionId, u32), Arc<VersionRecord>>,
    secrets: Cache<TenantId, Arc<[SecretRecord]>>,
    keys: Cache<[u8; 32], Option<Arc<KeyRecord>>>,
}

impl Held {
    fn new() -> Held {
        Held {
            tenants: Cache::new(TENANTS_CACHED_MAX),
            tenant_names: Cache::new(TENANTS_CACHED_MAX),
            unknown: Cache::new(UNKNOWN_CACHED_MAX),
            functions: Cache::new(FUNCTIONS_CACHED_MAX),
            function_names: Cache::new(FUNCTIONS_CACHED_MAX),
            versions: Cache::new(VERSIONS_CACHED_MAX),
            secrets: Cache::new(SECRETS_CACHED_BYTES_MAX),
            keys: Cache::new(KEYS_CACHED_MAX),
        }
    }

    fn clear(&mut self) {
        self.tenants.clear();
        self.tenant_names.clear();
        self.unknown.clear();
        self.functions.clear();
        self.function_names.clear();
        self.versions.clear();
        self.secrets.clear();
        self.keys.clear();
    }
}

impl Directory {
    /// Reads rules, webhooks and tenants. The receiver tells of every change that concerns the scheduler; one message
    /// per write of an operator, so it needs no bound.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Directory, mpsc::UnboundedReceiver<Change>), Error> {
        let (changes, heard) = mpsc::unbounded_channel();
        let directory = Directory {
            revision: AtomicU64::new(store.revision()),
            store,
            clock,
            held: Mutex::new(Held::new()),
            rules: RwLock::new(RuleBook::default()),
            webhooks: RwLock::new(HashMap::new()),
            queues: RwLock::default(),
            webhooks_changed: watch::channel(()).0,
            generation: AtomicU64::new(0),
            writing: tokio::sync::Mutex::new(()),
            changes,
        };
        directory.read_all().await?;
        directory.preload_tenants().await?;
        Ok((directory, heard))
    }

    /// The store behind it, for listings; they are not cached.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Runs one write. `changed` puts the caches right; it runs before any reader can put back what it read earlier.
    async fn write<T>(
        &self,
        write: impl Future<Output = Result<T, Error>>,
        changed: impl FnOnce(&Directory, &T),
    ) -> Result<T, Error> {
        let _writing = self.writing.lock().await;
        let before = self.store.revision();
        let answer = write.await;
        self.generation.fetch_add(1, Ordering::AcqRel);
        let after = self.store.revision();
        // A write without an answer may stand all the same; then the revision is ahead and `refresh` reads everything.
        let written = answer?;
        // Two steps or more: another node wrote too, and `refresh` finds the revision ahead likewise.
        if self.revision.load(Ordering::Acquire) == before && after <= before + 1 {
            self.revision.store(after, Ordering::Release);
        }
        changed(self, &written);
        Ok(written)
    }

    /// Puts what `read` found into the caches, unless something changed meanwhile.
    async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, Error>>,
        keep: impl FnOnce(&mut Held, &T),
    ) -> Result<T, Error> {
        let generation = self.generation.load(Ordering::Acquire);
        let found = read.await?;
        let mut held = locked(&self.held);
        if self.generation.load(Ordering::Acquire) == generation {
            keep(&mut held, &found);
        }
        Ok(found)
    }

    fn tell(&self, change: Change) {
        // Nobody listens when the engine is ending.
        let _ = self.changes.send(change);
    }
}
