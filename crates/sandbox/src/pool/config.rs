//! What the operator (or a test) decides about worker processes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Slots of a worker: the fibers that one thread slices between.
const SLOTS_PER_WORKER_DEFAULT: usize = 64;
/// Private memory of a worker, all its attempts together.
const WORKER_MEMORY_DEFAULT: u64 = 4 << 30;
/// Processes of tenants' own; an idle one holds 8 MB, of which 1 is its own.
const DEDICATED_MAX_DEFAULT: usize = 32;
const DEDICATED_IDLE_DEFAULT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Processes that run attempts; one per core when left alone.
    pub worker_count: usize,
    /// Attempts that one of them runs at once.
    pub slots_per_worker: usize,
    /// The memory ceiling of one of them, in bytes.
    pub worker_memory_bytes: u64,
    /// Processes of tenants' own at once, all tenants together.
    pub dedicated_max: usize,
    /// How long such a process stays with nothing to do.
    pub dedicated_idle: Duration,
    /// What to start as a worker; the orders follow as the last argument. By default this very program, with
    /// `__sandbox`.
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Where the compiled engine is kept from one start to the next; without it, every start compiles for seconds.
    pub cache_dir: Option<PathBuf>,
    /// Where the key is that images and machine code of tenants' modules are sealed with; made if it is not there. Without it,
    /// both are made again after every start.
    pub key_file: Option<PathBuf>,
    /// Goes on without any layer of the jail. Only ever by the operator's explicit word.
    pub insecure_no_jail: bool,
    pub on_refused: OnRefused,
}

/// What befalls a worker that makes a system call outside its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefused {
    /// The process ends. The one for production.
    Kill,
    /// The call fails, so that a test can try many in one process.
    Fail,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            worker_count: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            slots_per_worker: SLOTS_PER_WORKER_DEFAULT,
            worker_memory_bytes: WORKER_MEMORY_DEFAULT,
            dedicated_max: DEDICATED_MAX_DEFAULT,
            dedicated_idle: DEDICATED_IDLE_DEFAULT,
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec![OsString::from("__sandbox")],
            cache_dir: None,
            key_file: None,
            insecure_no_jail: false,
            on_refused: OnRefused::Kill,
        }
    }
}

/// Why the pool did not start; for the operator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// Names the layer of the jail that is missing, or what else kept a worker from its post.
    #[error("no worker process could be locked down and started: {0}")]
    Worker(String),
    #[error("the engine could not be compiled or kept: {0}")]
    Engine(String),
    #[error("the key {} for machine code of tenants' modules cannot be used: {why}", path.display())]
    Key { path: PathBuf, why: String },
    #[error("the setting `{0}` must be at least 1")]
    Setting(&'static str),
}
