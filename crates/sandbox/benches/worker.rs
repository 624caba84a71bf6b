//! What the process wall costs: an attempt through a worker against the same one in process, a short attempt beside an
//! endless one, a killed worker, a build. One JSON line a figure; ratios of one run are what to trust.

use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sublet_model::Outcome;
use sublet_sandbox::pool::{Pool, PoolConfig};
use sublet_sandbox::wasm::{Initializer, LoadedImage, Runner, Task, compile_engine, seal_image};
use sublet_sandbox::{Attempt, AttemptContext, BuildRequest, Code, Cordon, ImageKind, Limits, Sandbox, SourceFile};

const TODO: &str = r#"
export const handler = async (event, context) => {
    const { title } = event.detail;
    const tags = [...title.matchAll(/#(\w+)/g)].map(([, tag]) => tag);
    const due = /\btomorrow\b/i.test(title) ? new Date(Date.parse(event.time) + 86_400_000).toISOString() : null;
    console.log(`enriched ${event.id} for ${context.tenantId}`);
    return { ...event.detail, title: title.replace(/#\w+/g, '').trim(), tags, due };
};"#;
const LOOP: &str = "export const handler = () => { for (;;) {} };";
const EVENT: &str = r#"{"version":"0","id":"evt_1","detail-type":"todo.created","source":"todo","tenant":"acme",
"time":"2026-01-31T09:30:00Z","detail":{"id":17,"title":"Call Ada tomorrow #phone #work","done":false}}"#;

const IN_FLIGHT: usize = 64;

/// How much is measured. `cargo test` runs benches too, to see that they work.
struct Effort {
    rounds: usize,
    attempts: usize,
    kills: usize,
}

const WHOLE: Effort = Effort { rounds: 6, attempts: 12_800, kills: 20 };
const TRIAL: Effort = Effort { rounds: 1, attempts: 128, kills: 2 };

fn main() {
    let effort = if std::env::args().any(|argument| argument == "--bench") { WHOLE } else { TRIAL };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let pool = Pool::start(config()).await.unwrap_or_else(|error| panic!("{error}"));
        let todo = build(&pool, TODO).await;
        let endless = build(&pool, LOOP).await;
        cpu_per_attempt(&pool, &todo, &effort).await;
        latency_alone(&pool, &todo, &effort).await;
        beside_a_loop(&pool, &todo, &endless, &effort).await;
        after_a_kill(&pool, &todo, &effort).await;
        builds(&pool, &effort).await;
        pool.shutdown(Duration::from_secs(1)).await;
    });
}

fn config() -> PoolConfig {
    PoolConfig {
        worker_count: 1,
        slots_per_worker: IN_FLIGHT,
        program: PathBuf::from(env!("CARGO_BIN_EXE_sublet-sandbox-worker")),
        arguments: Vec::new(),
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine")),
        ..PoolConfig::default()
    }
}

fn request(source: &str) -> BuildRequest {
    let file = SourceFile { path: "index.mjs".into(), content: Bytes::copy_from_slice(source.as_bytes()) };
    BuildRequest {
        files: vec![file],
        layers: Vec::new(),
        handler: ("index".into(), "handler".into()),
        environment: Default::default(),
        secret_names: Vec::new(),
        memory_bytes: 128 << 20,
        timeout: Duration::from_secs(10),
    }
}

async fn build(pool: &Pool, source: &str) -> Code {
    let build = pool.build(request(source)).await.unwrap_or_else(|error| panic!("{error}"));
    // As long as the hash that the server would take, whatever it is of.
    let key = format!("{:0>64}", source.len());
    Code { key: key.into(), image: build.image }
}

fn limits() -> Limits {
    Limits {
        wall: Duration::from_secs(10),
        cpu: Duration::from_secs(10),
        memory_bytes: 128 << 20,
        result_bytes: 256 * 1024,
        log_bytes: 64 * 1024,
    }
}

fn context() -> AttemptContext {
    AttemptContext {
        aws_request_id: "inv_1".into(),
        function_name: "enrich".into(),
        function_version: "1".into(),
        invoked_function_arn: "arn:aws:lambda:local:acme:function:enrich:1".into(),
        memory_limit_in_mb: "128".into(),
        tenant_id: "acme".into(),
        log_group_name: "/sublet/acme/enrich".into(),
        log_stream_name: "1".into(),
        traceparent: None,
    }
}

fn attempt(code: &Code) -> Attempt {
    let event = Bytes::from_static(EVENT.as_bytes());
    Attempt {
        code: code.clone(),
        event,
        context: context(),
        limits: limits(),
        environment: Vec::new(),
        egress: None,
        cordon: Cordon::Shared,
        seed: 7,
        alone: false,
    }
}

async fn run(pool: &Pool, code: &Code) -> Outcome {
    pool.run(attempt(code)).await.unwrap_or_else(|error| panic!("{error}")).outcome
}

/// CPU of server and worker together, rounds of the two ways interleaved, because the machine is not ours alone.
async fn cpu_per_attempt(pool: &Pool, todo: &Code, effort: &Effort) {
    let local = Local::new();
    let worker = pool.worker_pids()[0];
    let (mut through, mut server, mut within) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let before = cpu_of(0);
        for _ in 0..effort.attempts {
            local.run();
        }
        within.push(micros(cpu_of(0) - before) / effort.attempts as f64);
        let before = (cpu_of(0), cpu_of(worker));
        let lanes = (0..IN_FLIGHT).map(|_| async {
            for _ in 0..effort.attempts / IN_FLIGHT {
                assert_eq!(run(pool, todo).await, Outcome::Succeeded);
            }
        });
        futures::future::join_all(lanes).await;
        let ours = micros(cpu_of(0) - before.0) / effort.attempts as f64;
        let its = micros(cpu_of(worker) - before.1) / effort.attempts as f64;
        through.push(ours + its);
        server.push(ours);
    }
    let (through, server, within) = (median(&mut through), median(&mut server), median(&mut within));
    line("attempt through a worker, CPU at 64 in flight", through, "us", "the same in process", within, Some(1.3));
    line("server's share of it", server, "us", "the attempt through a worker", through, None);
}

async fn latency_alone(pool: &Pool, todo: &Code, effort: &Effort) {
    let mut times = Vec::new();
    for _ in 0..effort.attempts / 8 {
        let started = Instant::now();
        run(pool, todo).await;
        times.push(micros(started.elapsed()));
    }
    line("attempt through a worker, p50 alone", median(&mut times), "us", "none", f64::NAN, None);
}

async fn beside_a_loop(pool: &Pool, todo: &Code, endless: &Code, effort: &Effort) {
    let looping = pool.run(attempt(endless));
    tokio::pin!(looping);
    assert!(futures::poll!(&mut looping).is_pending());
    let mut times = Vec::new();
    for _ in 0..effort.attempts / 32 {
        let started = Instant::now();
        assert_eq!(run(pool, todo).await, Outcome::Succeeded);
        times.push(micros(started.elapsed()) / 1000.0);
    }
    let p99 = quantile(&mut times, 0.99);
    line("short attempt beside a loop, same worker, p50", median(&mut times), "ms", "the bar", 3.0, Some(1.0));
    line("short attempt beside a loop, same worker, p99", p99, "ms", "none", f64::NAN, None);
}

async fn after_a_kill(pool: &Pool, todo: &Code, effort: &Effort) {
    let mut times = Vec::new();
    for _ in 0..effort.kills {
        let Some(pid) = pool.worker_pids().first().and_then(|&pid| Pid::from_raw(pid.cast_signed())) else { continue };
        let started = Instant::now();
        // It may have died of the last round.
        let _ = kill_process(pid, Signal::KILL);
        while run(pool, todo).await != Outcome::Succeeded {}
        times.push(micros(started.elapsed()) / 1000.0);
        // Deaths in practice do not come faster than a standby is made.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let most = quantile(&mut times, 1.0);
    line("worker killed to next attempt done, p50", median(&mut times), "ms", "the bar", 20.0, Some(1.0));
    line("worker killed to next attempt done, most", most, "ms", "the bar", 20.0, Some(1.0));
}

async fn builds(pool: &Pool, effort: &Effort) {
    let mut times = Vec::new();
    for number in 0..2 * effort.kills {
        let started = Instant::now();
        build(pool, &format!("{TODO}\n// {number}")).await;
        times.push(micros(started.elapsed()) / 1000.0);
    }
    let p90 = quantile(&mut times, 0.9);
    line("build of a small function, p50", median(&mut times), "ms", "the bar of a deploy", 25.0, Some(1.0));
    line("build of a small function, p90", p90, "ms", "the bar of a deploy", 25.0, None);
}

/// Attempts in this process, without a wall.
struct Local {
    runner: Runner,
    image: LoadedImage,
    context: Bytes,
}

impl Local {
    fn new() -> Local {
        let code = compile_engine().unwrap_or_else(|error| panic!("{error}"));
        // SAFETY: compiled just above.
        let initializer = unsafe { Initializer::new(&code.init) }.unwrap_or_else(|error| panic!("{error}"));
        let raw = initializer.evaluate(&request(TODO)).unwrap_or_else(|failure| panic!("{failure:?}"));
        let bytes = seal_image(&raw, &code.base).unwrap_or_else(|error| panic!("{error}"));
        let memory_file = |bytes: &[u8]| {
            let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).expect("a memory file");
            let file = std::fs::File::from(file);
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).expect("room for it");
            file
        };
        let (file, base) = (memory_file(&bytes), memory_file(&code.base.module));
        // SAFETY: as above, with as many slots as a worker has.
        let runner = unsafe { Runner::new(&code.run, base, IN_FLIGHT) }.unwrap_or_else(|error| panic!("{error}"));
        // SAFETY: sealed just above, and nobody else has the file.
        let image = unsafe { runner.load_image(file, ImageKind::Snapshot) }.unwrap_or_else(|error| panic!("{error}"));
        Local { runner, image, context: serde_json::to_vec(&context()).expect("JSON").into() }
    }

    fn run(&self) {
        let task = Task {
            event: Bytes::from_static(EVENT.as_bytes()),
            context_json: self.context.clone(),
            environment_json: Bytes::new(),
            limits: limits(),
            seed: 7,
            now_ms: 1_769_851_800_123,
        };
        let mut running = self.runner.start(&self.image, task);
        let end = running.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(end, Poll::Ready(end) if end.outcome == Outcome::Succeeded));
    }
}

/// CPU time of a process, this one's for 0.
fn cpu_of(pid: u32) -> Duration {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are valid for their calls.
    let read = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    assert!(read, "no CPU clock of process {pid}");
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn line(bench: &str, value: f64, unit: &str, yardstick: &str, yardstick_value: f64, bar: Option<f64>) {
    let round = |value: f64| if value.is_finite() { json!((value * 100.0).round() / 100.0) } else { Value::Null };
    let ratio = round(value / yardstick_value);
    println!(
        "{}",
        json!({"bench": bench, "value": round(value), "unit": unit, "yardstick": yardstick,
            "yardstick_value": round(yardstick_value), "ratio": ratio, "bar": bar})
    );
}

fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
