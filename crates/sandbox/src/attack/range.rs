//! Where attacks are made: pools of real workers with a neighbour in them, and the words to build and run there.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{TenantId, limit};
use tokio::sync::OnceCell;

use super::neighbour::{self, Neighbour};
use crate::pool::{Pool, PoolConfig, StartError};
use crate::{
    Attempt, AttemptContext, BuildError, BuildRequest, Code, CompileRequest, Cordon, Limits, Report, Sandbox,
    SourceFile, Unavailable,
};

/// What hostile functions get. Small, so that the suite is short.
pub(super) const LIMITS: Limits = Limits {
    wall: Duration::from_secs(5),
    cpu: Duration::from_millis(200),
    memory_bytes: 32 << 20,
    result_bytes: limit::RESULT_BYTES_MAX,
    log_bytes: limit::LOG_BYTES_MAX,
};
/// What every attempt has in its environment, and no top level.
pub(super) const SECRET: (&str, &str) = ("TOKEN", "sk-of-one-attempt");
/// The top level of a hostile package, and the compiler of a hostile module.
pub(super) const BUILD_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The tenant whose modules and processes are the attacker's, and one that must not notice.
pub(super) const MALLORY: TenantId = TenantId::from_raw(1);
pub(super) const VICTIM: TenantId = TenantId::from_raw(2);
/// Bytes that tell two modules' machine code apart: what stands before it, the seal among it.
const MACHINE_HEAD_BYTES: usize = 80;
const DRAIN: Duration = Duration::from_secs(2);

/// Which programs are worker processes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the product starts its workers; one of them, so that neighbour and attacker share it.
    pub pool: PoolConfig,
    /// The same for the one whose `main` is [`super::worker_main`].
    pub attack_program: PathBuf,
    pub attack_arguments: Vec<OsString>,
}

/// Pools to attack, started when they are first wanted.
pub struct Range {
    settings: Settings,
    guest: OnceCell<Ground>,
    native: OnceCell<Ground>,
}

/// One pool with a neighbour at work in it.
pub(super) struct Ground {
    pub(super) neighbour: Neighbour,
    pub(super) pool: Arc<Pool>,
    /// A function that does nothing.
    pub(super) idle: Code,
    pub(super) worker_memory_bytes: u64,
    /// Processes of tenants' own at once.
    pub(super) dedicated_max: usize,
}

impl Range {
    pub fn new(settings: Settings) -> Range {
        Range { settings, guest: OnceCell::new(), native: OnceCell::new() }
    }

    /// The pool as the product starts it.
    pub(super) async fn guest(&self) -> Result<&Ground, StartError> {
        let config = PoolConfig { worker_count: 1, ..self.settings.pool.clone() };
        self.guest.get_or_try_init(|| Ground::start(config)).await
    }

    /// A pool whose workers play native code.
    pub(super) async fn native(&self) -> Result<&Ground, StartError> {
        let config = PoolConfig {
            worker_count: 1,
            program: self.settings.attack_program.clone(),
            arguments: self.settings.attack_arguments.clone(),
            ..self.settings.pool.clone()
        };
        self.native.get_or_try_init(|| Ground::start(config)).await
    }

    /// Lets every process go.
    pub async fn close(self) {
        for ground in [self.guest.into_inner(), self.native.into_inner()].into_iter().flatten() {
            drop(ground.neighbour);
            ground.pool.shutdown(DRAIN).await;
        }
    }
}

impl Ground {
    async fn start(config: PoolConfig) -> Result<Ground, StartError> {
        let (worker_memory_bytes, dedicated_max) = (config.worker_memory_bytes, config.dedicated_max);
        let pool = Arc::new(Pool::start(config).await?);
        let unfit = |error: BuildError| StartError::Worker(format!("a harmless function does not build: {error}"));
        let peaceful = build(&pool, &[("index.mjs", neighbour::SOURCE)]).await.map_err(unfit)?;
        let idle = build(&pool, &[("index.mjs", "export const handler = () => 'idle';")]).await.map_err(unfit)?;
        let neighbour = Neighbour::start(Arc::clone(&pool), peaceful);
        Ok(Ground { neighbour, pool, idle, worker_memory_bytes, dedicated_max })
    }

    /// Runs an attempt with the suite's limits.
    pub(super) async fn run(&self, code: &Code, event: &str) -> Result<Report, Unavailable> {
        self.pool.run(attempt(code, event)).await
    }

    /// The ids of the tenant's own processes, after a harmless attempt in one of them. Errors: it did not answer.
    pub(super) async fn alive(&self, tenant: TenantId) -> Result<Vec<u32>, String> {
        let ran = self.pool.run(within(tenant, &self.idle)).await;
        let report = ran.map_err(|error| format!("a harmless attempt of the tenant's was not run: {error}"))?;
        match report.result.as_deref() {
            Some(b"\"idle\"") => Ok(self.pool.cordon_pids(tenant)),
            _ => Err(format!("a harmless attempt of the tenant's ended as {}", report.outcome)),
        }
    }
}

/// Builds a package of texts.
pub(super) async fn build(pool: &Pool, files: &[(&str, &str)]) -> Result<Code, BuildError> {
    let files = files.iter().map(|(path, text)| file(*path, text.as_bytes().to_vec())).collect();
    build_files(pool, files, Vec::new(), LIMITS.memory_bytes).await
}

pub(super) fn file(path: impl Into<String>, content: impl Into<Bytes>) -> SourceFile {
    SourceFile { path: path.into(), content: content.into() }
}

pub(super) async fn build_files(
    pool: &Pool,
    files: Vec<SourceFile>,
    layers: Vec<(String, Vec<SourceFile>)>,
    memory_bytes: u64,
) -> Result<Code, BuildError> {
    let request = BuildRequest {
        files,
        layers,
        handler: ("index".into(), "handler".into()),
        environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        secret_names: vec![SECRET.0.to_owned()],
        memory_bytes,
        timeout: BUILD_TIMEOUT,
    };
    let build = pool.build(request).await?;
    Ok(Code { key: key_of(&build.image.bytes), image: build.image })
}

/// Compiles a tenant's own module.
pub(super) async fn compile(pool: &Pool, tenant: TenantId, module: Vec<u8>) -> Result<Code, BuildError> {
    let request = CompileRequest {
        tenant,
        module: module.into(),
        memory_bytes: LIMITS.memory_bytes,
        counts: false,
        timeout: BUILD_TIMEOUT,
    };
    let build = pool.compile(request).await?;
    let head = build.image.bytes.len().min(MACHINE_HEAD_BYTES);
    Ok(Code { key: key_of(&build.image.bytes[..head]), image: build.image })
}

/// Two images of one content are one image.
pub(super) fn key_of(image: &[u8]) -> Arc<str> {
    use sha2::{Digest, Sha256};
    Sha256::digest(image).iter().fold(String::new(), |key, byte| key + &format!("{byte:02x}")).into()
}

/// An attempt in processes of the tenant's own.
pub(super) fn within(tenant: TenantId, code: &Code) -> Attempt {
    Attempt { cordon: Cordon::Tenant(tenant), ..attempt(code, "{}") }
}

pub(super) fn attempt(code: &Code, event: &str) -> Attempt {
    Attempt {
        code: code.clone(),
        event: Bytes::copy_from_slice(event.as_bytes()),
        context: AttemptContext {
            aws_request_id: "inv_attack".to_owned(),
            function_name: "attack".to_owned(),
            function_version: "1".to_owned(),
            invoked_function_arn: "arn:aws:lambda:local:000000000000:function:attack:1".to_owned(),
            memory_limit_in_mb: (LIMITS.memory_bytes >> 20).to_string(),
            tenant_id: "mallory".to_owned(),
            log_group_name: "/sublet/mallory/attack".to_owned(),
            log_stream_name: "1".to_owned(),
            traceparent: None,
        },
        limits: LIMITS,
        environment: vec![(SECRET.0.to_owned(), SECRET.1.to_owned())],
        egress: None,
        cordon: Cordon::Shared,
        seed: 1,
        alone: false,
        stop: None,
        counts: false,
    }
}
