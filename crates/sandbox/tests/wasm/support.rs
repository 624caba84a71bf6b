//! Builds and runs in one process, without workers and jails.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use sublet_sandbox::wasm::{
    Base, EngineCode, EpochHandle, Initializer, LoadedImage, RunEnd, Runner, Task, compile_engine, seal_image,
};
use sublet_sandbox::{BuildRequest, Failure, ImageKind, Limits, SourceFile};

pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Options<'a> {
    pub(crate) files: Files<'a>,
    pub(crate) layers: &'a [(&'a str, Files<'a>)],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    pub(crate) secret_names: &'a [&'a str],
    pub(crate) memory_bytes: u64,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { files: &[], layers: &[], environment: &[], secret_names: &[], memory_bytes: 128 << 20 }
    }
}

/// A function ready for attempts.
pub(crate) struct Built {
    pub(crate) runner: &'static Runner,
    pub(crate) image: LoadedImage,
    pub(crate) log: String,
    memory_bytes: u64,
    pub(crate) image_bytes: usize,
}

struct Engine {
    code: EngineCode,
    initializer: Initializer,
    runner: Runner,
    /// Makes an attempt that hangs come back to its test's deadline.
    _ticker: Ticker,
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let code = compile_engine().unwrap();
        let (start, base) = (memory_file(&code.start), memory_file(&code.base.module));
        // SAFETY: all was made just above, and nobody else has the files.
        let (initializer, runner) =
            unsafe { (Initializer::new(&code.run, start).unwrap(), Runner::new(&code.run, base, 64).unwrap()) };
        let ticker = Ticker::start(runner.epoch_handle(), Duration::from_millis(50));
        Engine { code, initializer, runner, _ticker: ticker }
    })
}

pub(crate) fn build(options: Options<'_>) -> Result<Built, Failure> {
    let sources = |files: Files<'_>| {
        files
            .iter()
            .map(|(path, content)| SourceFile { path: (*path).into(), content: content.as_bytes().to_vec().into() })
            .collect::<Vec<_>>()
    };
    let request = BuildRequest {
        files: sources(options.files),
        layers: options.layers.iter().map(|(name, files)| ((*name).into(), sources(files))).collect(),
        handler: ("index".into(), "handler".into()),
        environment: options.environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<BTreeMap<_, _>>(),
        secret_names: options.secret_names.iter().map(|name| (*name).into()).collect(),
        memory_bytes: options.memory_bytes,
        timeout: Duration::from_secs(10),
    };
    let raw = engine().initializer.evaluate(&request)?;
    let log = String::from_utf8(raw.log.to_vec()).unwrap();
    let sealed = seal_image(&raw, &engine().code.base).unwrap();
    let file = memory_file(&sealed);
    // SAFETY: the bytes were sealed just above, and nobody else has the file.
    let image = unsafe { engine().runner.load_image(file, ImageKind::Snapshot).unwrap() };
    Ok(Built { runner: &engine().runner, image, log, memory_bytes: options.memory_bytes, image_bytes: sealed.len() })
}

/// The base, made once more.
pub(crate) fn another_base() -> (Base, &'static Base) {
    let engine = engine();
    (Base::of(&engine.initializer).unwrap(), &engine.code.base)
}

fn memory_file(bytes: &[u8]) -> File {
    let mut file = File::from(rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file
}

/// A build that must succeed, with the usual options.
pub(crate) fn package(files: Files<'_>) -> Built {
    build(Options { files, ..Options::default() }).unwrap_or_else(|failure| panic!("{failure:?}"))
}

pub(crate) fn task(event: &str, seed: u64) -> Task {
    let context = r#"{"awsRequestId":"inv_1","functionName":"enrich","functionVersion":"1","invokedFunctionArn":"a",
        "memoryLimitInMB":"128","tenantId":"ten_1","logGroupName":"g","logStreamName":"s"}"#;
    Task {
        event: event.as_bytes().to_vec().into(),
        context_json: context.into(),
        environment_json: bytes::Bytes::new(),
        limits: Limits {
            wall: Duration::from_secs(5),
            cpu: Duration::from_secs(5),
            memory_bytes: 128 << 20,
            result_bytes: 256 * 1024,
            log_bytes: 64 * 1024,
        },
        seed,
        // 2100-01-01.
        now_ms: 4_102_444_800_000,
    }
}

pub(crate) fn run(built: &Built, event: &str) -> RunEnd {
    run_with(built, task(event, 1))
}

/// Runs to the end, a minute at most.
pub(crate) fn run_with(built: &Built, mut task: Task) -> RunEnd {
    task.limits.memory_bytes = built.memory_bytes;
    let mut running = built.runner.start(&built.image, task);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Poll::Ready(end) = running.poll(&mut Context::from_waker(Waker::noop())) {
            return end;
        }
        assert!(Instant::now() < deadline, "the attempt hangs");
    }
}

/// The result's JSON text.
pub(crate) fn js(end: &RunEnd) -> String {
    let result = end.result.as_ref().unwrap_or_else(|| panic!("{end:?}"));
    String::from_utf8(result.to_vec()).unwrap()
}

pub(crate) fn from<T: DeserializeOwned>(end: &RunEnd) -> T {
    serde_json::from_str(&js(end)).unwrap()
}

pub(crate) fn failure(end: &RunEnd) -> Failure {
    end.failure.clone().unwrap_or_else(|| panic!("{end:?}"))
}

pub(crate) fn log(end: &RunEnd) -> String {
    String::from_utf8(end.log.to_vec()).unwrap()
}

/// Ticks the epoch from a thread until dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(epoch: EpochHandle, period: Duration) -> Ticker {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::park_timeout(period);
                epoch.increment();
            }
        });
        Ticker { stop, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
