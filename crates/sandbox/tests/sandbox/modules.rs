//! Tenants' own WebAssembly modules: what a program finds, what becomes of a hostile one, and where its machine code never
//! runs. `words.wasm` and `probe.wasm` are C programs, built by examples/wasm-c/build.sh.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sublet_model::clock::{Clock, SystemClock};
use sublet_model::limit::JSON_DEPTH_MAX;
use sublet_model::{Outcome, TenantId};
use sublet_sandbox::pool::{Pool, PoolConfig};
use sublet_sandbox::{
    Attempt, Build, BuildError, Code, CompileRequest, Cordon, ImageKind, Report, Sandbox, Unavailable,
};

use crate::support::{attempt, config, function, message, pool, result, run, start};

const WORDS: &[u8] = include_bytes!("../../../../examples/wasm-c/words.wasm");
const PROBE: &[u8] = include_bytes!("../data/probe.wasm");
const OWNER: TenantId = TenantId::from_raw(1);

fn request(module: impl Into<Bytes>) -> CompileRequest {
    CompileRequest {
        tenant: OWNER,
        module: module.into(),
        memory_bytes: 64 << 20,
        counts: false,
        timeout: Duration::from_secs(60),
    }
}

fn code_of(build: Build) -> Code {
    let hash: String = build.image.bytes.iter().take(80).map(|byte| format!("{byte:02x}")).collect();
    Code { key: hash.into(), image: build.image }
}

/// A module that must compile, for the tenant that owns them all here.
async fn module(pool: &Pool, bytes: impl Into<Bytes>) -> Code {
    code_of(pool.compile(request(bytes)).await.unwrap_or_else(|error| panic!("{error}")))
}

async fn text(pool: &Pool, text: &str) -> Code {
    module(pool, wat::parse_str(text).unwrap()).await
}

/// Why a module is refused.
async fn refusal(pool: &Pool, bytes: impl Into<Bytes>) -> String {
    match pool.compile(request(bytes)).await {
        Err(BuildError::Rejected(failure)) => failure.error_message,
        other => panic!("{:?}", other.map(|_| "it was compiled")),
    }
}

fn own(code: &Code, event: &str) -> Attempt {
    Attempt { cordon: Cordon::Tenant(OWNER), ..attempt(code, event) }
}

async fn probe(pool: &Pool, code: &Code, part: &str) -> Report {
    pool.run(own(code, &json!(part).to_string())).await.unwrap()
}

fn kind(report: &Report) -> &str {
    &report.failure.as_ref().unwrap_or_else(|| panic!("{report:?}")).error_type
}

#[tokio::test]
async fn a_c_program_gets_the_event_and_its_output_is_the_result() {
    let pool = pool().await;
    let words = module(&pool, WORDS).await;
    assert_eq!(words.image.kind, ImageKind::Machine);
    let mut greeted = own(&words, r#"{"detail": {"title": "buy milk today"}}"#);
    greeted.environment = vec![("GREETING".to_owned(), "hi".to_owned())];
    let report = pool.run(greeted).await.unwrap();
    assert_eq!(result(&report), json!({"words": 3, "greeting": "hi buy milk today"}));
    assert_eq!((report.outcome, &report.log[..]), (Outcome::Succeeded, &b"counted 3 words\n"[..]));
    let usage = report.usage;
    assert!(usage.cpu_us > 0 && usage.cpu_us <= usage.wall_us, "{usage:?}");
    assert!(usage.memory_peak_bytes >= 512 << 10 && usage.memory_peak_bytes <= 64 << 20, "{usage:?}");

    let report = pool.run(own(&words, "{}")).await.unwrap();
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Wasm.Exit"));
    assert_eq!(message(&report), "exit code 3: enrich: the event has no title");
}

#[tokio::test]
async fn a_program_finds_its_arguments_variables_clocks_and_randomness_and_nothing_else() {
    let pool = pool().await;
    let code = module(&pool, PROBE).await;
    let mut world = own(&code, r#""world""#);
    world.environment = vec![("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())];
    let found = result(&pool.run(world).await.unwrap());
    assert_eq!(found, json!({"arguments": ["enrich"], "count": 1, "environment": ["A", "B", "SUBLET_CONTEXT"]}));

    let (first, second) = (probe(&pool, &code, "random").await, probe(&pool, &code, "random").await);
    assert_ne!(result(&first), result(&second));
    assert_eq!(result(&first).as_str().unwrap().len(), 32);

    let now_ms = u128::try_from(SystemClock.now().millis()).unwrap();
    let clocks = result(&probe(&pool, &code, "clocks").await);
    let told_ms = u128::from(clocks["real"].as_u64().unwrap()) / 1_000_000;
    assert!(told_ms.abs_diff(now_ms) < 60_000, "{clocks}, and it is {now_ms}");
    assert_eq!(clocks["steady"].as_u64().unwrap() % 1000, 0, "microseconds and no finer");

    // `open`, `open`, `mkdir` and `stat` find no folder to start from (ENOTCAPABLE), and a stream has no place (ESPIPE).
    assert_eq!(result(&probe(&pool, &code, "files").await), json!([76, 76, 76, 76, 70]));
}

#[tokio::test]
async fn a_program_that_sleeps_uses_no_cpu_and_ends_at_its_deadline() {
    let pool = pool().await;
    let code = module(&pool, PROBE).await;
    let report = probe(&pool, &code, "sleep").await;
    assert!((80..2000).contains(&result(&report).as_u64().unwrap()), "{report:?}");
    assert!(report.usage.cpu_us < 40_000, "{:?}", report.usage);
    let mut long = own(&code, r#""sleep long""#);
    long.limits.wall = Duration::from_millis(300);
    let report = pool.run(long).await.unwrap();
    assert_eq!((report.outcome, report.usage.cpu_us < 100_000), (Outcome::TimedOut, true), "{report:?}");
}

#[tokio::test]
async fn every_attempt_of_a_module_begins_afresh() {
    let pool = pool().await;
    let code = module(&pool, PROBE).await;
    for round in 0..100 {
        assert_eq!(result(&probe(&pool, &code, "state").await), json!(0), "round {round}");
    }
    assert_eq!(result(&probe(&pool, &code, "nothing").await), Value::Null);
}

#[tokio::test]
async fn a_hostile_module_gets_an_outcome_and_nothing_more() {
    let pool = pool().await;
    let code = module(&pool, PROBE).await;
    let report = probe(&pool, &code, "recursion").await;
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Wasm.Trap"), "{report:?}");
    let report = probe(&pool, &code, "memory").await;
    assert_eq!(
        (report.outcome, report.usage.memory_peak_bytes <= 64 << 20),
        (Outcome::OutOfMemory, true),
        "{report:?}"
    );
    let report = probe(&pool, &code, "flood of results").await;
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Runtime.ResultTooLarge"), "{report:?}");
    let report = probe(&pool, &code, "flood of words").await;
    assert_eq!((kind(&report), message(&report)), ("Wasm.Exit", "exit code 9: the last word"));
    assert!((60_000..=70_000).contains(&report.log.len()), "{} bytes of log", report.log.len());
    let report = probe(&pool, &code, "noise").await;
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Wasm.ResultNotJson"));

    let trap = text(&pool, r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#).await;
    let report = pool.run(own(&trap, "{}")).await.unwrap();
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Wasm.Trap"));
    assert_eq!(report.crash, None, "a program's own failure is nothing suspicious");
    // And its process is as healthy as before.
    assert_eq!(pool.cordon_pids(OWNER).len(), 1);
    assert_eq!(result(&probe(&pool, &code, "state").await), json!(0));
}

/// A module that prints this and nothing else.
fn printing(output: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "{output}")
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 64))
                (i32.store (i32.const 4) (i32.const {}))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        output.len()
    );
    wat::parse_str(module).unwrap()
}

#[tokio::test]
async fn a_result_that_nests_too_deep_is_the_programs_own_failure_and_no_breach() {
    let pool = pool().await;
    let nested = |depth: usize| printing(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let most = module(&pool, nested(JSON_DEPTH_MAX)).await;
    assert_eq!(pool.run(own(&most, "{}")).await.unwrap().outcome, Outcome::Succeeded);
    let processes = pool.cordon_pids(OWNER);
    let deeper = module(&pool, nested(JSON_DEPTH_MAX + 1)).await;
    let report = pool.run(own(&deeper, "{}")).await.unwrap();
    assert_eq!((report.outcome, kind(&report)), (Outcome::Failed, "Runtime.ResultTooDeep"), "{report:?}");
    assert_eq!(message(&report), "standard output nests deeper than 64 levels of JSON");
    assert_eq!(report.crash, None, "a program's own failure is nothing suspicious");
    assert_eq!((pool.cordon_pids(OWNER), processes.len()), (processes, 1));
}

#[tokio::test]
async fn a_loop_in_a_module_is_ended_by_its_limits_and_neighbours_do_not_notice() {
    let pool = pool().await;
    let (echo, code) = (function(&pool, "export const handler = (event) => event;").await, module(&pool, PROBE).await);
    let mut endless = own(&code, r#""loop""#);
    endless.limits.wall = Duration::from_millis(500);
    let looping = pool.run(endless);
    tokio::pin!(looping);
    let (started, mut finished) = (Instant::now(), 0);
    let report = loop {
        tokio::select! {
            report = &mut looping => break report.unwrap(),
            report = run(&pool, &echo, "{}") => {
                assert_eq!(report.outcome, Outcome::Succeeded);
                finished += 1;
            }
        }
    };
    assert_eq!((report.outcome, message(&report)), (Outcome::TimedOut, "Task timed out after 0.50 seconds"));
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    assert!(finished > 50, "only {finished} short attempts beside the loop");

    let mut endless = own(&code, r#""loop""#);
    endless.limits.cpu = Duration::from_millis(50);
    let report = pool.run(endless).await.unwrap();
    assert_eq!((report.outcome, message(&report)), (Outcome::TimedOut, "CPU limit of 50 ms used up"));

    // What runs before `_start` is under the same limits, and so is another attempt of the tenant's in the same process.
    let begins =
        r#"(module (memory (export "memory") 1) (func $loop (loop br 0)) (func (export "_start")) (start $loop))"#;
    let begins = text(&pool, begins).await;
    let mut endless = own(&begins, "{}");
    endless.limits.wall = Duration::from_millis(300);
    let (report, beside) = tokio::join!(pool.run(endless), probe(&pool, &code, "state"));
    assert_eq!((report.unwrap().outcome, result(&beside)), (Outcome::TimedOut, json!(0)));
}

#[tokio::test]
async fn what_cannot_run_here_is_refused_with_its_name() {
    let pool = pool().await;
    let command = |parts: &str| format!(r#"(module {parts} (memory (export "memory") 1) (func (export "_start")))"#);
    let many = |part: &str, count: usize| command(&part.repeat(count));
    let body = |text: &str| command(&format!("(func {text})"));
    let nested = format!("{}{}", "block ".repeat(10_001), "end ".repeat(10_001));
    let cases: Vec<(&str, String, &str)> = vec![
        ("no _start", r#"(module (memory (export "memory") 1))"#.to_owned(), "_start"),
        ("no memory", r#"(module (func (export "_start")))"#.to_owned(), "memory"),
        ("a memory under no name", r#"(module (memory 1) (func (export "_start")))"#.to_owned(), "`memory`"),
        (
            "a start of another type",
            command(r#"(func (export "x") (param i32))"#).replace("\"_start\")", "\"_start\") (param i32)"),
            "_start",
        ),
        ("an import that is not WASI's", command(r#"(import "env" "system" (func))"#), "`env.system`"),
        ("a WASI function that is none", command(r#"(import "wasi_snapshot_preview1" "fork" (func))"#), "fork"),
        (
            "a WASI function of another type",
            command(r#"(import "wasi_snapshot_preview1" "fd_close" (func))"#),
            "fd_close",
        ),
        (
            "older WASI",
            command(r#"(import "wasi_unstable" "fd_close" (func (param i32) (result i32)))"#),
            "before preview 1",
        ),
        (
            "an imported memory",
            r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#.to_owned(),
            "its own",
        ),
        (
            "64-bit memory",
            r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#.to_owned(),
            "memory64",
        ),
        (
            "shared memory",
            r#"(module (memory (export "memory") 1 2 shared) (func (export "_start")))"#.to_owned(),
            "threads",
        ),
        ("two memories", command("(memory 1)"), "multi-memory"),
        ("two tables", command("(table 1 funcref) (table 1 funcref)"), "2 tables"),
        ("a huge table", command("(table 4000000000 funcref)"), "4000000000 entries"),
        (
            "a huge memory",
            r#"(module (memory (export "memory") 65536) (func (export "_start")))"#.to_owned(),
            "4294967296 bytes",
        ),
        ("atomics", body("i32.const 0 i32.atomic.load drop"), "threads"),
        ("exceptions", command("(tag)"), "exceptions"),
        ("tail calls", body("return_call 0"), "tail calls"),
        ("garbage collection", command("(type (struct))"), "gc"),
        ("deep nesting", body(&nested), "10000 blocks"),
        ("many functions", many("(func)", 50_001), "functions"),
        ("many globals", many("(global i32 (i32.const 0))", 10_001), "10001 globals"),
        ("many locals", body(&format!("(local {})", "i64 ".repeat(50_001))), "locals"),
    ];
    for (name, text, named) in cases {
        let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let refused = refusal(&pool, bytes).await;
        assert!(refused.starts_with("the module cannot run here") && refused.contains(named), "{name}: {refused}");
    }
    let component = wat::parse_str("(component)").unwrap();
    assert!(refusal(&pool, component).await.contains("component"));
    assert!(refusal(&pool, &b"export const handler = 1"[..]).await.contains("no WebAssembly module"));
    for length in [8, 20, 200, WORDS.len() - 1] {
        assert!(refusal(&pool, &WORDS[..length]).await.contains("cannot run here"), "{length} bytes");
    }
}

#[tokio::test]
async fn a_compile_bomb_ends_with_its_builder_and_the_next_module_compiles() {
    let pool = pool().await;
    // Every local is merged at the head of every loop.
    let (locals, loops) = (2_000, 4_000);
    let body: String = (0..loops)
        .map(|n| {
            format!(
                "loop local.get {0} i64.const 1 i64.add local.set {0} local.get 0 i32.wrap_i64 br_if 0 end ",
                n % locals
            )
        })
        .collect();
    let bomb = format!(
        r#"(module (memory (export "memory") 1) (func (export "_start") (local {}) {body}))"#,
        "i64 ".repeat(locals)
    );
    let bomb = CompileRequest { timeout: Duration::from_millis(700), ..request(wat::parse_str(&bomb).unwrap()) };
    let started = Instant::now();
    let (bombed, echo) = tokio::join!(pool.compile(bomb), async {
        // A deploy of somebody's JavaScript does not wait for it.
        function(&pool, "export const handler = (event) => event;").await
    });
    let Err(BuildError::Rejected(failure)) = bombed else { panic!("it was compiled") };
    assert_eq!(failure.error_type, "Sandbox.Timedout", "{failure:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
    module(&pool, WORDS).await;
}

#[tokio::test]
async fn one_tenant_has_one_module_in_the_compilers_line() {
    let pool = pool().await;
    let (first, second) = tokio::join!(pool.compile(request(WORDS)), pool.compile(request(WORDS)));
    assert!(first.is_ok());
    assert!(matches!(second, Err(BuildError::Unavailable(Unavailable::Full))), "{:?}", second.map(|_| ()));
    assert!(pool.compile(request(WORDS)).await.is_ok());
}

#[tokio::test]
async fn the_compilers_line_has_an_end() {
    let pool = pool().await;
    let tiny = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    let of = |tenant: i64| CompileRequest { tenant: TenantId::from_raw(tenant), ..request(tiny.clone()) };
    let compiled = futures::future::join_all((1..=20).map(|tenant| pool.compile(of(tenant)))).await;
    let is_full =
        |compiled: &Result<Build, BuildError>| matches!(compiled, Err(BuildError::Unavailable(Unavailable::Full)));
    let full = compiled.iter().filter(|compiled| is_full(compiled)).count();
    assert_eq!((compiled.iter().filter(|compiled| compiled.is_ok()).count(), full), (17, 3));
    assert!(pool.compile(of(20)).await.is_ok(), "there is room again");
}

#[tokio::test]
async fn machine_code_runs_nowhere_but_in_its_own_tenants_processes() {
    let pool = pool().await;
    let code = module(&pool, PROBE).await;
    assert_eq!(result(&probe(&pool, &code, "state").await), json!(0));
    let other = TenantId::from_raw(2);
    for cordon in [Cordon::Shared, Cordon::Tenant(other)] {
        let report = pool.run(Attempt { cordon, ..own(&code, r#""state""#) }).await;
        assert!(matches!(report, Err(Unavailable::Broken(_))), "{cordon:?}: {report:?}");
        let alone = Attempt { alone: true, cordon, ..own(&code, r#""state""#) };
        assert!(matches!(pool.run(alone).await, Err(Unavailable::Broken(_))), "{cordon:?}, alone");
    }
    assert!(pool.cordon_pids(other).is_empty(), "no process was even started for it");
    assert!(pool.accepts(&code.image, "", OWNER) && !pool.accepts(&code.image, "", other));
    // The same module, compiled for the other, is the other's.
    let theirs = code_of(pool.compile(CompileRequest { tenant: other, ..request(PROBE) }).await.unwrap());
    let report = pool.run(Attempt { cordon: Cordon::Tenant(other), ..own(&theirs, r#""state""#) }).await.unwrap();
    assert_eq!(result(&report), json!(0));
    let pids = (pool.cordon_pids(OWNER), pool.cordon_pids(other));
    assert!(pids.0.len() == 1 && pids.1.len() == 1 && pids.0 != pids.1, "{pids:?}");
}

#[tokio::test]
async fn an_image_that_was_changed_or_is_another_servers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with_key = || PoolConfig { key_file: Some(folder.path().join("code.key")), ..config() };
    let pool = start(with_key()).await;
    let code = function(&pool, "export const handler = () => 7;").await;
    let engine = pool.engine_hash().to_owned();
    let whole = code.image.bytes.to_vec();
    for index in [0, 20, 50, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        let mut changed = code.clone();
        changed.key = format!("changed at {index}").into();
        changed.image.bytes = bytes.into();
        assert!(!pool.accepts(&changed.image, &engine, OWNER), "byte {index}");
        assert!(matches!(pool.run(attempt(&changed, "{}")).await, Err(Unavailable::Broken(_))), "byte {index}");
    }
    assert!(pool.accepts(&code.image, &engine, OWNER) && !pool.accepts(&code.image, "another", OWNER));
    drop(pool);
    let pool = start(with_key()).await;
    assert!(pool.accepts(&code.image, &engine, OWNER));
    assert_eq!(result(&pool.run(attempt(&code, "{}")).await.unwrap()), json!(7));
    assert!(!start(config()).await.accepts(&code.image, &engine, OWNER));
}

#[tokio::test]
async fn machine_code_that_was_changed_or_is_another_servers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with_key = || PoolConfig { key_file: Some(folder.path().join("code.key")), ..config() };
    let pool = start(with_key()).await;
    let code = module(&pool, PROBE).await;
    let whole = code.image.bytes.to_vec();
    for index in [0, 20, 60, 100, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        let mut changed = code.clone();
        changed.key = format!("changed at {index}").into();
        changed.image.bytes = bytes.into();
        assert!(!pool.accepts(&changed.image, "", OWNER), "byte {index}");
        assert!(matches!(pool.run(own(&changed, "{}")).await, Err(Unavailable::Broken(_))), "byte {index}");
    }
    assert!(pool.cordon_pids(OWNER).is_empty());
    // The key outlives the pool; without it, code of an earlier time is another server's.
    drop(pool);
    let pool = start(with_key()).await;
    assert_eq!(result(&probe(&pool, &code, "state").await), json!(0));
    assert!(!start(config()).await.accepts(&code.image, "", OWNER));
}
