//! How workers are started in this pool: program, orders, engine, jail.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use sublet_jail::{Action, Layer, Limits, Plan};
use sublet_model::limit;
use tokio::sync::OnceCell;

use super::config::{OnRefused, PoolConfig};
use super::connection::{Code, Connection, ConnectionError};
use super::engine_files::{self, EngineFiles};
use super::process::Spawner;
use super::worker::Worker;
use crate::wire::Role;
use crate::worker::{Orders, SOCKET, builder_ceiling_bytes};

/// Descriptors of a worker: one an image, and some of its own.
const OPEN_FILES_MAX: u64 = 2048;

pub(super) struct Launcher {
    pub(super) spawner: Spawner,
    pub(super) engine: EngineFiles,
    /// Made when somebody first asks for a count.
    counting_engine: OnceCell<Arc<OwnedFd>>,
    cache_dir: Option<PathBuf>,
    worker_memory_bytes: u64,
    insecure_no_jail: bool,
    on_refused: Action,
}

impl Launcher {
    pub(super) fn new(config: &PoolConfig, spawner: Spawner, engine: EngineFiles) -> Launcher {
        Launcher {
            spawner,
            engine,
            counting_engine: OnceCell::new(),
            cache_dir: config.cache_dir.clone(),
            worker_memory_bytes: config.worker_memory_bytes,
            insecure_no_jail: config.insecure_no_jail,
            on_refused: match config.on_refused {
                OnRefused::Kill => Action::KillProcess,
                OnRefused::Fail => Action::Errno(libc::EPERM),
            },
        }
    }

    /// The handle of a worker that runs attempts.
    pub(super) fn worker(&self, connection: &Connection, slots: usize) -> Arc<Worker> {
        Worker::new(connection.process.pid, slots, self.worker_memory_bytes)
    }

    /// A locked process, ready for its first message.
    pub(super) async fn launch(&self, role: Role) -> Result<Connection, ConnectionError> {
        self.launch_on(Arc::clone(&self.engine.run), role).await
    }

    /// A process that runs one attempt and counts its instructions.
    pub(super) async fn launch_counting(&self) -> Result<Connection, ConnectionError> {
        let engine = self.counting_engine.get_or_try_init(|| self.counting_engine()).await?;
        self.launch_on(Arc::clone(engine), Role::Runner { slots: 1 }).await
    }

    async fn counting_engine(&self) -> Result<Arc<OwnedFd>, ConnectionError> {
        let cache_dir = self.cache_dir.clone();
        let made = tokio::task::spawn_blocking(move || engine_files::prepare_counting(cache_dir.as_deref())).await;
        let unfit = |error: &dyn std::fmt::Display| ConnectionError::Unfit(error.to_string());
        made.map_err(|error| unfit(&error))?.map_err(|error| unfit(&error))
    }

    async fn launch_on(&self, engine: Arc<OwnedFd>, role: Role) -> Result<Connection, ConnectionError> {
        let (base, memory_bytes) = match role {
            Role::Runner { .. } => (&self.engine.base_module, self.worker_memory_bytes),
            // The most that any function may have; the builder lowers it when it sees the package.
            Role::Builder => (&self.engine.start, builder_ceiling_bytes(limit::MEMORY_MAX)),
        };
        let code = Code { engine, base: Arc::clone(base) };
        let keep = vec![libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO, SOCKET];
        let mut plan = Plan::strict(memory_bytes, keep);
        plan.parent = Some(std::process::id());
        plan.limits = Limits { open_files_max: OPEN_FILES_MAX, ..plan.limits };
        if self.insecure_no_jail {
            plan.leave_out = Layer::ALL.to_vec();
        }
        let orders = Orders { plan, on_refused: self.on_refused };
        Connection::open(&self.spawner, &orders, role, code).await
    }
}
