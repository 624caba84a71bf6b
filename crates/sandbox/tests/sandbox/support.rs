//! One pool with a worker of its own for each test, and the words to build and run in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sublet_sandbox::pool::{OnRefused, Pool, PoolConfig};
use sublet_sandbox::{
    Attempt, AttemptContext, Build, BuildError, BuildRequest, Code, Cordon, Limits, Report, Sandbox, SourceFile,
    Unavailable,
};

/// Compiled once by whichever test is first, kept for the others and for the next run.
fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine")
}

/// One worker with eight slots, locked as in production.
pub(crate) fn config() -> PoolConfig {
    PoolConfig {
        worker_count: 1,
        slots_per_worker: 8,
        program: PathBuf::from(env!("CARGO_BIN_EXE_sublet-sandbox-worker")),
        arguments: Vec::<OsString>::new(),
        cache_dir: Some(cache_dir()),
        on_refused: OnRefused::Kill,
        ..PoolConfig::default()
    }
}

pub(crate) async fn pool() -> Pool {
    start(config()).await
}

pub(crate) async fn start(config: PoolConfig) -> Pool {
    Pool::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn request(source: &str) -> BuildRequest {
    let file = SourceFile { path: "index.mjs".into(), content: Bytes::copy_from_slice(source.as_bytes()) };
    BuildRequest {
        files: vec![file],
        layers: Vec::new(),
        handler: ("index".into(), "handler".into()),
        environment: Default::default(),
        secret_names: Vec::new(),
        memory_bytes: 64 << 20,
        timeout: Duration::from_secs(10),
    }
}

pub(crate) async fn try_build(pool: &Pool, source: &str) -> Result<Build, BuildError> {
    pool.build(request(source)).await
}

/// A function whose source must build; its text is its key.
pub(crate) async fn function(pool: &Pool, source: &str) -> Code {
    let build = try_build(pool, source).await.unwrap_or_else(|error| panic!("{error}"));
    Code { key: source.into(), image: build.image }
}

pub(crate) fn attempt(code: &Code, event: &str) -> Attempt {
    let text = |text: &str| text.to_owned();
    Attempt {
        code: code.clone(),
        event: Bytes::copy_from_slice(event.as_bytes()),
        context: AttemptContext {
            aws_request_id: text("inv_1"),
            function_name: text("enrich"),
            function_version: text("1"),
            invoked_function_arn: text("arn:aws:lambda:local:acme:function:enrich:1"),
            memory_limit_in_mb: text("64"),
            tenant_id: text("acme"),
            log_group_name: text("/sublet/acme/enrich"),
            log_stream_name: text("1"),
            traceparent: None,
        },
        limits: Limits {
            wall: Duration::from_secs(5),
            cpu: Duration::from_secs(2),
            memory_bytes: 64 << 20,
            result_bytes: 256 * 1024,
            log_bytes: 64 * 1024,
        },
        environment: Vec::new(),
        egress: None,
        cordon: Cordon::Shared,
        seed: 1,
        alone: false,
        stop: None,
        counts: false,
    }
}

pub(crate) async fn try_run(pool: &Pool, code: &Code, event: &str) -> Result<Report, Unavailable> {
    pool.run(attempt(code, event)).await
}

pub(crate) async fn run(pool: &Pool, code: &Code, event: &str) -> Report {
    try_run(pool, code, event).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn result(report: &Report) -> Value {
    let result = report.result.as_ref().unwrap_or_else(|| panic!("{report:?}"));
    serde_json::from_slice(result).unwrap()
}

pub(crate) fn message(report: &Report) -> &str {
    &report.failure.as_ref().unwrap_or_else(|| panic!("{report:?}")).error_message
}
