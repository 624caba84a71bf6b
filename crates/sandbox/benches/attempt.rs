//! What one fresh attempt of a to-do handler costs in process, beside Node's `vm.createContext` per call in the same
//! run, and what it costs when 100 functions take turns: JSON text in, JSON text out, nothing shared between two calls. CPU time, because the machine is rarely ours
//! alone. Prints one JSON line per figure (see `cargo xtask bench`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use sublet_model::Outcome;
use sublet_sandbox::wasm::{Base, Initializer, LoadedImage, Runner, Task, compile_engine, seal_image};
use sublet_sandbox::{BuildRequest, ImageKind, Limits, SourceFile};

/// The handler of both sides: finds tags and a due date in an item's title.
const HANDLER: &str = r##"
const days = { today: 0, tomorrow: 1, monday: 2 };
const handler = async (event) => {
    const { id, title } = event.detail;
    const tags = [...title.matchAll(/#(\w+)/g)].map((found) => found[1]);
    const word = title.toLowerCase().split(" ").find((candidate) => candidate in days);
    return { id, tags, due: word ? days[word] : null, title: title.replace(/#\w+/g, "").trim() };
};
"##;
const EVENT: &str = r##"{"version":"0","id":"evt_1","source":"todo","detail-type":"item.added","time":"2026-01-31T09:30:00Z",
    "tenant":"acme","detail":{"id":7,"title":"Buy milk tomorrow #shop #home","list":"groceries","author":"ada"}}"##;
const EXPECTED: &str = r#"{"id":7,"tags":["shop","home"],"due":1,"title":"Buy milk tomorrow"}"#;

const ROUNDS: usize = 7;
const ATTEMPTS_PER_ROUND: u32 = 2_000;
/// The most that our CPU time may be of Node's.
const BAR: f64 = 0.2;
/// Functions that take turns, and the most that an attempt may then cost of one where the same function runs always.
const FUNCTIONS: usize = 100;
const TURNS_BAR: f64 = 1.5;

fn main() {
    // `cargo test` runs benches too, to see that they work.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let begun = Instant::now();
    let code = compile_engine().expect("the engine compiles");
    line("engine compile, prelude evaluated", begun.elapsed().as_secs_f64(), "s");
    line("engine machine code", code.run.len() as f64 / 1e6, "MB");

    // SAFETY: both were compiled just above.
    let (initializer, runner) = unsafe {
        let (start, base) = (memory_file(&code.start), memory_file(&code.base.module));
        (
            Initializer::new(&code.run, start).expect("an initializer"),
            Runner::new(&code.run, base, 8).expect("a runner"),
        )
    };
    let (image, image_bytes, deploy) = deploy(&initializer, &runner, &code.base, 0);
    line("deploy in process: evaluate, seal, load", deploy.as_secs_f64() * 1e3, "ms");
    line("image of a small function", image_bytes as f64 / 1e3, "kB");

    let attempts = if is_trial { 10 } else { ATTEMPTS_PER_ROUND };
    let rounds = if is_trial { 1 } else { ROUNDS };
    let mut images = vec![image];
    for number in 1..if is_trial { 2 } else { FUNCTIONS } {
        images.push(deploy_one(&initializer, &runner, &code.base, number).0);
    }
    round(&runner, &images[..1], attempts);
    round(&runner, &images, attempts);
    let (mut ours, mut turns) = (Vec::new(), Vec::new());
    let mut nodes = Vec::new();
    for _ in 0..rounds {
        ours.push(round(&runner, &images[..1], attempts));
        turns.push(round(&runner, &images, attempts));
        if !is_trial {
            nodes.extend(node_round());
        }
    }
    let value = median(&mut ours);
    let row = if nodes.is_empty() {
        json!({"bench": "fresh JavaScript attempt, in process (CPU)", "value": value, "unit": "µs",
               "yardstick": "node not there", "bar": BAR})
    } else {
        let yardstick = median(&mut nodes);
        json!({"bench": "fresh JavaScript attempt, in process (CPU)", "value": value, "unit": "µs",
               "yardstick": "node vm.createContext per call", "yardstick_value": yardstick,
               "ratio": value / yardstick, "bar": BAR})
    };
    println!("{row}");
    let turns = median(&mut turns);
    println!(
        "{}",
        json!({"bench": "fresh JavaScript attempt, 100 functions in turn (CPU)", "value": turns, "unit": "µs",
               "yardstick": "the same function always", "yardstick_value": value, "ratio": turns / value,
               "bar": TURNS_BAR})
    );
}

fn line(bench: &str, value: f64, unit: &str) {
    println!("{}", json!({"bench": bench, "value": value, "unit": unit}));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The image, its size, and the median time of making one.
fn deploy(initializer: &Initializer, runner: &Runner, base: &Base, number: usize) -> (LoadedImage, usize, Duration) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..9 {
        let begun = Instant::now();
        last = Some(deploy_one(initializer, runner, base, number));
        times.push(begun.elapsed());
    }
    times.sort();
    let (image, bytes) = last.expect("at least one");
    (image, bytes, times[times.len() / 2])
}

/// The `number` makes it a function of its own.
fn deploy_one(initializer: &Initializer, runner: &Runner, base: &Base, number: usize) -> (LoadedImage, usize) {
    let request = BuildRequest {
        files: vec![SourceFile {
            path: "index.mjs".into(),
            content: format!("{HANDLER}\nexport const number = {number};\nexport {{ handler }};").into(),
        }],
        layers: Vec::new(),
        handler: ("index".into(), "handler".into()),
        environment: BTreeMap::new(),
        secret_names: Vec::new(),
        memory_bytes: 128 << 20,
        timeout: Duration::from_secs(10),
    };
    let raw = initializer.evaluate(&request).expect("the handler builds");
    let sealed = seal_image(&raw, base).expect("the snapshot is sound");
    // SAFETY: sealed just above, and nobody else has the file.
    let image = unsafe { runner.load_image(memory_file(&sealed), ImageKind::Snapshot).expect("the image loads") };
    (image, sealed.len())
}

fn memory_file(bytes: &[u8]) -> File {
    let memfd = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).expect("a memory file");
    let mut file = File::from(memfd);
    file.write_all(bytes).expect("room for it");
    file
}

/// CPU microseconds per attempt, the functions taking turns.
fn round(runner: &Runner, images: &[LoadedImage], attempts: u32) -> f64 {
    let context = r#"{"awsRequestId":"inv_1","functionName":"enrich","functionVersion":"1","invokedFunctionArn":"a",
        "memoryLimitInMB":"128","tenantId":"ten_1","logGroupName":"g","logStreamName":"s"}"#;
    let limits = Limits {
        wall: Duration::from_secs(3),
        cpu: Duration::from_secs(1),
        memory_bytes: 128 << 20,
        result_bytes: 256 * 1024,
        log_bytes: 64 * 1024,
    };
    let begun = cpu();
    for (seed, image) in (0..attempts).zip(images.iter().cycle()) {
        let task = Task {
            event: EVENT.into(),
            context_json: context.into(),
            environment_json: bytes::Bytes::new(),
            limits,
            seed: u64::from(seed),
            now_ms: 1_769_851_800_000,
        };
        let Poll::Ready(end) = runner.start(image, task).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("an attempt without ticks does not yield");
        };
        assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
        assert_eq!(end.result.as_deref(), Some(EXPECTED.as_bytes()));
    }
    (cpu() - begun).as_secs_f64() * 1e6 / f64::from(attempts)
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// CPU microseconds per call in Node, or nothing when it is not there. The script is compiled once, as ours is.
fn node_round() -> Option<f64> {
    let driver = format!(
        r#"
        const vm = require("node:vm");
        const script = new vm.Script({handler} + ";(text) => handler(JSON.parse(text)).then(JSON.stringify)");
        const event = {event}, expected = {expected};
        async function calls(count) {{
            for (let i = 0; i < count; i++) {{
                const answer = await script.runInContext(vm.createContext({{}}))(event);
                if (answer !== expected) throw new Error(answer);
            }}
        }}
        (async () => {{
            await calls(200);
            const count = 500, begun = process.cpuUsage();
            await calls(count);
            const used = process.cpuUsage(begun);
            console.log((used.user + used.system) / count);
        }})();"#,
        handler = json!(HANDLER),
        event = json!(EVENT),
        expected = json!(EXPECTED),
    );
    let output = Command::new("node")
        .arg("-e")
        .arg(driver)
        // It makes Node read certificates at start.
        .env_remove("NODE_EXTRA_CA_CERTS")
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
