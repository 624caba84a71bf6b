//! One node, wired: store, code objects, sandbox, engine. Nothing is decided here but the order of coming and going.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sublet_engine::{Engine, EngineConfig, EngineParts, QuarantineRule, Tracing};
use sublet_model::SystemClock;
use sublet_sandbox::egress::Gateway;
use sublet_sandbox::pool::{Pool, PoolConfig};
use sublet_store::{CodeStore, Store};
use sublet_store_sqlite::{SqliteOptions, SqliteStore};

use crate::config::Config;
use crate::master_key;

/// The hidden command under which this program is a worker process.
pub(crate) const WORKER_COMMAND: &str = "__sandbox";

/// How long processes may take to go once everything is settled.
const POOL_END: Duration = Duration::from_secs(5);

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<dyn Store>,
    pool: Arc<Pool>,
}

impl Node {
    /// Opens everything below the data folder, which is made, readable by its owner alone, if it is not there.
    /// `tracing`: where the spans of what it does go.
    pub(crate) async fn start(config: &Config, tracing: Tracing) -> Result<Node> {
        // What counts takes its handles when it is made.
        sublet_server::install_metrics();
        let data = config.store.data.as_path();
        own_folder(data)?;
        let options = SqliteOptions { reserve_bytes: config.store.disk_reserve.0, ..SqliteOptions::default() };
        let store: Arc<dyn Store> = SqliteStore::open(data, options)?;
        let code = CodeStore::in_folder(&data.join(sublet_store::code::FOLDER))?;
        let keyring = master_key::keyring(&config.secrets, data).await?;
        let pool = Arc::new(Pool::start(pool_config(config)).await?);
        let parts = EngineParts {
            store: Arc::clone(&store),
            code,
            sandbox: Arc::clone(&pool) as Arc<_>,
            gateway: Gateway::with(config.egress.gateway()),
            clock: Arc::new(SystemClock),
            random_seed: random_seed()?,
            keyring,
            config: EngineConfig {
                retain: config.store.retention.duration(),
                audit_retain: config.audit.retention.duration(),
                isolation: config.sandbox.isolation,
                quarantine: quarantine_rule(config),
                ..EngineConfig::default()
            },
        };
        let engine = Engine::start_traced(parts, tracing).await?;
        Ok(Node { engine, store, pool })
    }

    /// Starts nothing more, lets what runs finish up to `within`, and closes the store.
    pub(crate) async fn drain(self, within: Duration) -> Result<()> {
        self.engine.drain(within).await;
        self.pool.shutdown(POOL_END).await;
        self.store.close().await.context("cannot close the store")
    }
}

fn quarantine_rule(config: &Config) -> QuarantineRule {
    let crate::config::Quarantine { crashes, timeouts, of } = config.quarantine;
    QuarantineRule { crashes, timeouts, of }
}

pub(crate) fn pool_config(config: &Config) -> PoolConfig {
    let defaults = PoolConfig::default();
    PoolConfig {
        worker_count: if config.sandbox.workers == 0 { defaults.worker_count } else { config.sandbox.workers },
        slots_per_worker: config.sandbox.slots_per_worker,
        dedicated_max: config.sandbox.dedicated_max,
        dedicated_idle: config.sandbox.dedicated_idle.duration(),
        arguments: vec![WORKER_COMMAND.into()],
        cache_dir: Some(config.store.data.join("engine")),
        key_file: Some(config.store.data.join("code.key")),
        insecure_no_jail: config.sandbox.insecure_no_jail,
        ..defaults
    }
}

fn own_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot make {} readable by its owner alone", folder.display()))
}

fn random_seed() -> Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
