//! What the process wall costs: an attempt through a worker against the same one in process, a short attempt beside an
//! endless one, a killed worker, a build. One JSON line a figure; ratios of one run are what to trust.

use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sublet_model::{EgressPolicy, EgressRule, Outcome, TenantId};
use sublet_sandbox::egress::{Admission, Gateway, GatewayParts};
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
        builds_of_a_bundle(&pool, &effort).await;
        resident(&pool).await;
        fetches(&pool, &effort, false).await;
        fetches(&pool, &effort, true).await;
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
        stop: None,
        counts: false,
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

/// A bundle as esbuild makes them: many small functions and tables in one file.
fn bundle(bytes: usize, number: usize) -> String {
    let mut source = format!("{TODO}\n// {number}\n");
    let mut index = 0;
    while source.len() < bytes {
        source += &format!(
            "var table{index} = {{ name: \"entry {index}\", codes: [{index}, 2, 3], nested: {{ on: true }} }};\n\
             function step{index}(value, options = {{}}) {{\n  const found = table{index}.codes.map((code) => code * value);\n  \
             if (options.strict && found.length === 0) throw new TypeError(`no code for ${{value}}`);\n  \
             return {{ ...options, found, name: table{index}.name }};\n}}\n"
        );
        index += 1;
    }
    source
}

async fn builds_of_a_bundle(pool: &Pool, effort: &Effort) {
    const BYTES: usize = 100 << 10;
    let mut times = Vec::new();
    for number in 0..effort.kills {
        let source = bundle(BYTES, number);
        let started = Instant::now();
        build(pool, &source).await;
        times.push(micros(started.elapsed()) / 1000.0);
        // As deploys come in practice: with the next builder ready.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    line("build of a 100 KB bundle, p50", median(&mut times), "ms", "the bar of a deploy", 50.0, Some(1.0));
}

/// What one more attempt under way takes: all slots of the worker wait at once.
async fn resident(pool: &Pool) {
    const WAITS: &str = "
        export const handler = async (event) => {
            const item = { ...event.detail, tags: ['a', 'b'], at: new Date() };
            await new Promise((resolve) => setTimeout(resolve, 1500));
            return item;
        };";
    let code = build(pool, WAITS).await;
    let worker = pool.worker_pids()[0];
    run(pool, &code).await;
    let before = resident_bytes(worker);
    let mut attempts: Vec<_> = (0..IN_FLIGHT).map(|_| Box::pin(run(pool, &code))).collect();
    for attempt in &mut attempts {
        assert!(futures::poll!(attempt).is_pending());
    }
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let during = resident_bytes(worker);
    for outcome in futures::future::join_all(attempts).await {
        assert_eq!(outcome, Outcome::Succeeded);
    }
    let each = during.saturating_sub(before) as f64 / IN_FLIGHT as f64 / 1e6;
    let of_worker = during as f64 / IN_FLIGHT as f64 / 1e6;
    line(
        "worker's resident memory, one more of 64 attempts",
        each,
        "MB",
        "the whole worker by attempt",
        of_worker,
        None,
    );
    line("worker's resident memory by attempt, 64 at once", of_worker, "MB", "the bar", 4.0, Some(1.0));
}

fn resident_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("a process");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("resident pages");
    pages * 4096
}

/// What a fetch through the gateway to a server on this machine adds to an attempt's CPU, here and in the worker; the
/// server's own left out. With a server that closes each connection, and with one that keeps them as servers do.
async fn fetches(pool: &Pool, effort: &Effort, keeps: bool) {
    let (server, closing) = (LocalServer::start(keeps), LocalServer::start(false));
    let url = format!("http://{}/", server.address);
    let fetching =
        build(pool, &format!("export const handler = async () => (await fetch(`{url}`)).text(); // {keeps}")).await;
    let silent = build(pool, "export const handler = async () => 'hello';").await;
    let gateway = Gateway::with(GatewayParts { insecure_allow: vec![server.address], ..GatewayParts::default() });
    let rules: std::sync::Arc<[EgressRule]> = vec![url.parse::<EgressRule>().expect("a rule")].into();
    let policy = EgressPolicy { wish: rules.clone(), ceiling: rules };
    let worker = pool.worker_pids()[0];
    let count = (effort.attempts / 32).max(4);
    let (mut with, mut without, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        for (code, figures) in [(&fetching, &mut with), (&silent, &mut without)] {
            let before = cpu_of(0) + cpu_of(worker) - server.cpu();
            for _ in 0..count {
                let admission = Admission {
                    tenant: TenantId::from_raw(1),
                    policy: policy.clone(),
                    placeholders: Vec::new().into(),
                };
                let attempt = Attempt { egress: Some(gateway.admit(admission)), ..attempt(code) };
                let report = pool.run(attempt).await.unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(report.result.as_deref(), Some(&b"\"hello\""[..]), "{report:?}");
            }
            figures.push(micros(cpu_of(0) + cpu_of(worker) - server.cpu() - before) / count as f64 / 1000.0);
        }
        let before = cpu_of(0) - closing.cpu();
        for _ in 0..count {
            plain_get(closing.address);
        }
        plain.push(micros(cpu_of(0) - closing.cpu() - before) / count as f64 / 1000.0);
    }
    let adds = median(&mut with) - median(&mut without);
    let plain = median(&mut plain);
    println!(
        "{}",
        json!({"bench": format!("fetch through the gateway{}, what it adds (CPU)", if keeps { " on a kept connection" } else { "" }), "value": adds, "unit": "ms",
               "yardstick": "a bare GET on a connection of its own", "yardstick_value": plain, "ratio": adds / plain,
               "bar": 0.5, "bar_on": "value"})
    );
}

fn plain_get(address: std::net::SocketAddr) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.ends_with(b"hello"));
}

/// Says hello to whoever asks, on a thread that knows its own CPU time.
struct LocalServer {
    address: std::net::SocketAddr,
    cpu_ns: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl LocalServer {
    fn start(keeps: bool) -> LocalServer {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let cpu_ns = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let told = cpu_ns.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut head = [0; 4096];
                let how = if keeps { "keep-alive" } else { "close" };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: {how}\r\n\r\nhello");
                while stream.read(&mut head).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(answer.as_bytes());
                    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                    let ns = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
                    told.store(ns, std::sync::atomic::Ordering::Relaxed);
                    if !keeps {
                        break;
                    }
                }
            }
        });
        LocalServer { address, cpu_ns }
    }

    fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(std::sync::atomic::Ordering::Relaxed))
    }
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
        let memory_file = |bytes: &[u8]| {
            let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).expect("a memory file");
            let file = std::fs::File::from(file);
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).expect("room for it");
            file
        };
        let start = memory_file(&code.start);
        // SAFETY: compiled just above, and nobody else has the file.
        let initializer = unsafe { Initializer::new(&code.run, start) }.unwrap_or_else(|error| panic!("{error}"));
        let raw = initializer.evaluate(&request(TODO)).unwrap_or_else(|failure| panic!("{failure:?}"));
        let bytes = seal_image(&raw, &code.base).unwrap_or_else(|error| panic!("{error}"));
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
