//! Runs one attempt, limited and measured, and knows nothing of queues, rules or SQL.
//!
//! [`Sandbox`] is the boundary: the engine hands over an [`Attempt`] and gets a [`Report`]; what happens in between
//! (worker processes, jails, WebAssembly) is this crate's own.

pub mod attack;
pub mod attempt;
pub mod build;
pub mod egress;
pub mod pool;
pub mod wasm;
pub mod worker;

mod ending;
mod wire;

pub use attempt::{Attempt, AttemptContext, Code, Cordon, Crash, Failure, Limits, Report};
pub use build::{Build, BuildError, BuildRequest, CompileRequest, Image, ImageKind, SourceFile};

use async_trait::async_trait;
use sublet_model::TenantId;

/// Why the sandbox could not do its work: never the tenant's fault, which is an outcome or a [`BuildError::Rejected`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("every slot of the sandbox is taken")]
    Full,
    #[error("the sandbox is shutting down")]
    Draining,
    /// For the log.
    #[error("the sandbox failed: {0}")]
    Broken(String),
}

/// One mechanism of isolation. Real: worker processes of the wasm tier; for tests of the engine: a scripted one.
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// Evaluates a package's top-level code in isolation and freezes what it leaves.
    ///
    /// Contract: the same request gives an equivalent image; nothing of the package outlives the call but the image.
    async fn build(&self, request: BuildRequest) -> Result<Build, BuildError>;

    /// Compiles a tenant's own module in isolation, and seals what comes of it for that tenant.
    ///
    /// Contract: nothing of the module runs; its image is run in worker processes of that tenant alone.
    async fn compile(&self, request: CompileRequest) -> Result<Build, BuildError> {
        let _ = request;
        Err(Unavailable::Broken("this sandbox runs no modules of tenants' own".to_owned()).into())
    }

    /// Whether an image that was kept may still be run for the tenant; otherwise it is made again. `engine_hash` is what
    /// the build said.
    fn accepts(&self, image: &Image, engine_hash: &str, tenant: TenantId) -> bool {
        let _ = (image, tenant);
        engine_hash == self.engine_hash()
    }

    /// Runs one attempt in a fresh environment.
    ///
    /// Contract: returns once, within the wall limit and a little; whatever the tenant's code does is in the report's
    /// outcome. A worker that dies under the attempt is `Outcome::Crashed`, not an error. Dropping the future cancels
    /// the attempt, and so does its `stop`, which still has it reported; one that has not started by then never does.
    async fn run(&self, attempt: Attempt) -> Result<Report, Unavailable>;

    /// The hash of the engine that snapshots are made for; those of another engine are rebuilt from source.
    fn engine_hash(&self) -> &str;

    /// Attempts that may run at once.
    fn slots(&self) -> usize;

    /// Processes that could take an attempt at this moment; 0 while every one of them is gone.
    fn workers(&self) -> usize {
        1
    }
}
