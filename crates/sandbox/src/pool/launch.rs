//! How workers are started in this pool: program, orders, engine, jail.

use std::sync::Arc;

use sublet_jail::{Action, Layer, Limits, Plan};
use sublet_model::limit;

use super::config::{OnRefused, PoolConfig};
use super::connection::{Code, Connection, ConnectionError};
use super::engine_files::EngineFiles;
use super::process::Spawner;
use super::worker::Worker;
use crate::wire::Role;
use crate::worker::{Orders, SOCKET, builder_ceiling_bytes};

/// Descriptors of a worker: one an image, and some of its own.
const OPEN_FILES_MAX: u64 = 2048;

pub(super) struct Launcher {
    pub(super) spawner: Spawner,
    pub(super) engine: EngineFiles,
    worker_memory_bytes: u64,
    insecure_no_jail: bool,
    on_refused: Action,
}

impl Launcher {
    pub(super) fn new(config: &PoolConfig, spawner: Spawner, engine: EngineFiles) -> Launcher {
        Launcher {
            spawner,
            engine,
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
        let files = &self.engine;
        let (engine, base, memory_bytes) = match role {
            Role::Runner { .. } => (&files.run, Some(Arc::clone(&files.base_module)), self.worker_memory_bytes),
            // The most that any function may have; the builder lowers it when it sees the package.
            Role::Builder => (&files.init, None, builder_ceiling_bytes(limit::MEMORY_MAX)),
        };
        let code = Code { engine: Arc::clone(engine), base };
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
