//! What the language costs: a fresh attempt with the whole web API present beside one of the bare engine, and code that only
//! computes beside the same engine compiled for this machine. CPU time; one JSON line a figure (see `cargo xtask bench`).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use sublet_model::Outcome;
use sublet_sandbox::wasm::{
    EngineCode, Initializer, LoadedImage, Runner, Task, compile_engine, compile_engine_with, seal_image,
};
use sublet_sandbox::{BuildRequest, ImageKind, Limits, SourceFile};

/// As little as the engine needs around a handler: no modules, no console, no web API.
const BARE: &str = include_str!("bare.js");
const HANDLER: &str = r##"async (event) => {
    const { id, title } = event.detail;
    const tags = [...title.matchAll(/#(\w+)/g)].map((found) => found[1]);
    return { id, tags, title: title.replace(/#\w+/g, "").trim() };
}"##;
const EVENT: &str = r##"{"version":"0","id":"evt_1","source":"todo","detail-type":"item.added","time":"2026-01-31T09:30:00Z",
    "tenant":"acme","detail":{"id":7,"title":"Buy milk tomorrow #shop #home","list":"groceries","author":"ada"}}"##;
/// The most that the whole API may cost, as a multiple of the bare engine.
const API_BAR: f64 = 1.3;

/// Kernels of one kind each: numbers, memory, objects, texts. `run()` answers a checksum.
const KERNELS: &[(&str, &str)] = &[
    (
        "floats",
        "let x=0,y=0,z=1,s=0; for(let i=0;i<COUNT;i++){const d=Math.sqrt(x*x+y*y+z*z)+1e-9; x+=y/d*0.01; y-=x/d*0.01; z+=x*y*0.001/d; s+=d} return s.toFixed(3)",
    ),
    (
        "sieve",
        "const n=COUNT*2,a=new Uint8Array(n); let c=0; for(let i=2;i<n;i++){ if(!a[i]){c++; for(let j=i*2;j<n;j+=i)a[j]=1} } return String(c)",
    ),
    (
        "objects",
        "const m=new Map(); for(let i=0;i<COUNT/4;i++){const k='k'+(i%997); const o=m.get(k)??{n:0,l:[]}; o.n+=i; if(o.l.length<8)o.l.push(i); m.set(k,o)} let t=0; for(const o of m.values())t+=o.n+o.l.length; return String(t)",
    ),
    (
        "sort",
        "let s=7; const a=Array.from({length:COUNT/8},()=>(s=(s*1103515245+12345)&0x7fffffff)); a.sort((x,y)=>x-y); return String(a[100])",
    ),
    (
        "texts",
        "let t=''; for(let i=0;i<COUNT/10;i++){t+=i.toString(36)+' '} const w=t.split(' ').filter((x)=>/^[a-f]+$/.test(x)); return String(w.join('-').length)",
    ),
    (
        "json",
        "let s=0; for(let i=0;i<COUNT/200;i++){const o=JSON.parse(JSON.stringify({i,a:[1,2,3,'x'.repeat(i%50)],n:{d:i/3}})); s+=o.a[3].length+o.i} return String(s)",
    ),
];
/// The most that wasm may cost over the same engine in native code, over all kernels (geometric mean).
const NATIVE_BAR: f64 = 2.5;

struct Effort {
    rounds: usize,
    attempts: usize,
    n: u32,
}

fn main() {
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let effort = if is_trial {
        Effort { rounds: 1, attempts: 10, n: 800 }
    } else {
        Effort { rounds: 7, attempts: 2_000, n: 200_000 }
    };
    let code = compile_engine().expect("the engine compiles");
    web_api(&code, &effort);
    against_native(&code, &effort);
}

/// A function on an engine of its own.
struct Stage {
    runner: Runner,
    image: LoadedImage,
}

impl Stage {
    fn new(code: &EngineCode, source: &str) -> Stage {
        // SAFETY: compiled by the caller in this process, and nobody else has the files.
        let (initializer, runner) = unsafe {
            let initializer = Initializer::new(&code.run, memory_file(&code.start)).expect("an initializer");
            (initializer, Runner::new(&code.run, memory_file(&code.base.module), 8).expect("a runner"))
        };
        let request = BuildRequest {
            files: vec![SourceFile { path: "index.js".into(), content: Bytes::copy_from_slice(source.as_bytes()) }],
            ..request()
        };
        let raw = initializer.evaluate(&request).unwrap_or_else(|failure| panic!("{failure:?}"));
        let sealed = seal_image(&raw, &code.base).expect("the snapshot is sound");
        // SAFETY: sealed just above, and nobody else has the file.
        let image = unsafe { runner.load_image(memory_file(&sealed), ImageKind::Snapshot) }.expect("the image loads");
        Stage { runner, image }
    }

    fn run(&self) -> Bytes {
        let context = r#"{"awsRequestId":"inv_1","functionName":"enrich","tenantId":"ten_1"}"#;
        let task = Task {
            event: EVENT.into(),
            context_json: context.into(),
            environment_json: Bytes::new(),
            limits: limits(),
            seed: 7,
            now_ms: 1_769_851_800_000,
        };
        let polled = self.runner.start(&self.image, task).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(end) = polled else { panic!("an attempt without ticks does not yield") };
        assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
        end.result.expect("a result")
    }
}

fn request() -> BuildRequest {
    BuildRequest {
        files: Vec::new(),
        layers: Vec::new(),
        handler: ("index".into(), "handler".into()),
        environment: Default::default(),
        secret_names: Vec::new(),
        memory_bytes: 128 << 20,
        timeout: Duration::from_secs(10),
    }
}

fn limits() -> Limits {
    Limits {
        wall: Duration::from_secs(60),
        cpu: Duration::from_secs(60),
        memory_bytes: 128 << 20,
        result_bytes: 256 * 1024,
        log_bytes: 64 * 1024,
    }
}

/// Rounds of both in turn, because the machine is rarely ours alone.
fn web_api(code: &EngineCode, effort: &Effort) {
    let source = format!("exports.handler = {HANDLER};");
    let whole = Stage::new(code, &source);
    let bare = Stage::new(&compile_engine_with(BARE).expect("the engine compiles"), &source);
    assert_eq!(whole.run(), bare.run());
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        for (stage, figures) in [(&whole, &mut with), (&bare, &mut without)] {
            let begun = cpu();
            for _ in 0..effort.attempts {
                stage.run();
            }
            figures.push((cpu() - begun).as_secs_f64() * 1e6 / effort.attempts as f64);
        }
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!(
        "{}",
        json!({"bench": "fresh attempt with the whole web API (CPU)", "value": with, "unit": "µs",
               "yardstick": "the bare engine", "yardstick_value": without, "ratio": with / without, "bar": API_BAR})
    );
}

fn against_native(code: &EngineCode, effort: &Effort) {
    let Some(native) = native() else {
        println!("{}", json!({"bench": "code that computes (CPU)", "yardstick": "native QuickJS not built"}));
        return;
    };
    let mut logs = Vec::new();
    for (name, kernel) in KERNELS {
        let body = kernel.replace("COUNT", &effort.n.to_string());
        let stage = Stage::new(code, &format!("exports.handler = () => {{ {body} }};"));
        let script = std::env::temp_dir().join(format!("sublet-kernel-{}-{name}.js", std::process::id()));
        std::fs::write(&script, format!("function run() {{ {body} }}")).expect("a script");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds * 2 {
            let begun = cpu();
            let answer: Value = serde_json::from_slice(&stage.run()).expect("JSON");
            ours.push((cpu() - begun).as_secs_f64() * 1e3);
            let output = Command::new(&native).arg(&script).output().expect("the native engine starts");
            let text = String::from_utf8(output.stdout).expect("text");
            let (checksum, us) = text.trim().rsplit_once(' ').expect("an answer and a time");
            assert_eq!(answer, json!(checksum), "{name}");
            theirs.push(us.parse::<f64>().expect("a time") / 1e3);
        }
        let _ = std::fs::remove_file(script);
        // What disturbs a round only makes it longer.
        let (ours, theirs) = (least(&ours), least(&theirs));
        logs.push((ours / theirs).ln());
        println!(
            "{}",
            json!({"bench": format!("code that computes: {name} (CPU)"), "value": ours, "unit": "ms",
                   "yardstick": "native QuickJS", "yardstick_value": theirs, "ratio": ours / theirs})
        );
    }
    let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    println!(
        "{}",
        json!({"bench": "code that computes: all (CPU)", "value": mean, "unit": "×", "yardstick": "native QuickJS",
               "yardstick_value": 1.0, "ratio": mean, "bar": NATIVE_BAR})
    );
}

/// The engine's own sources, compiled by the C compiler that is needed anyway; nothing when cargo cannot say where they are.
fn native() -> Option<PathBuf> {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engines/quickjs");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(engine.join("Cargo.toml"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout).ok()?;
    let manifest = metadata["packages"].as_array()?.iter().find(|package| package["name"] == "libquickjs-ng-sys")?;
    let source = Path::new(manifest["manifest_path"].as_str()?).parent()?.join("embed/quickjs");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quickjs-native");
    let built = Command::new("cc")
        .args(["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-DNDEBUG", "-funsigned-char", "-w", "-I"])
        .arg(&source)
        .arg(engine.join("native.c"))
        .args(["quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c"].map(|file| source.join(file)))
        .args(["-lm", "-lpthread", "-o"])
        .arg(&program)
        .status();
    built.is_ok_and(|status| status.success()).then_some(program)
}

fn memory_file(bytes: &[u8]) -> File {
    let memfd = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).expect("a memory file");
    let mut file = File::from(memfd);
    file.write_all(bytes).expect("room for it");
    file
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
