//! Instructions, counted on request: the same for the same call wherever it runs, and for nobody who did not ask.

use std::time::Duration;

use bytes::Bytes;
use sublet_model::{Outcome, TenantId};
use sublet_sandbox::pool::Pool;
use sublet_sandbox::{Attempt, Code, CompileRequest, Cordon, Report, Sandbox};

use crate::support::{attempt, function, pool, request, result};

const WORK: &str = "
    const table = Array.from({ length: 50 }, (_, i) => i * 7);
    export const handler = async (event) => {
        let sum = 0;
        for (let i = 0; i < event.rounds; i++) sum = (sum + table[i % 50] * 31) % 1000003;
        console.log(`summed ${sum}`);
        await null;
        return { sum, random: Math.random() };
    };";

async fn counted(pool: &Pool, code: &Code, event: &str) -> Report {
    let report = pool.run(Attempt { counts: true, ..attempt(code, event) }).await.unwrap();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_has_the_same_count_in_another_pool_and_says_what_it_says_uncounted() {
    let (here, there) = (pool().await, pool().await);
    let code = function(&here, WORK).await;
    let first = counted(&here, &code, r#"{"rounds":1000}"#).await;
    let count = first.usage.instructions.unwrap();
    assert!(count > 100_000, "{count}");

    let built_there = function(&there, WORK).await;
    let again = counted(&there, &built_there, r#"{"rounds":1000}"#).await;
    assert_eq!((again.usage.instructions, again.result.clone()), (Some(count), first.result.clone()));

    let more = counted(&here, &code, r#"{"rounds":2000}"#).await.usage.instructions.unwrap();
    let less = counted(&here, &code, r#"{"rounds":1}"#).await.usage.instructions.unwrap();
    let (later, earlier) = ((more - count) / 1000, (count - less) / 999);
    assert!(later.abs_diff(earlier) <= earlier / 100, "each round costs much the same: {earlier}, {later}");

    let plain = here.run(attempt(&code, r#"{"rounds":1000}"#)).await.unwrap();
    assert_eq!(plain.usage.instructions, None);
    assert_eq!((&plain.result, &plain.log), (&first.result, &first.log));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counted_attempt_keeps_its_limits_and_what_it_counted_until_it_was_stopped() {
    let pool = pool().await;
    let endless = function(&pool, "export const handler = () => { for (;;); };").await;
    let mut looping = Attempt { counts: true, ..attempt(&endless, "{}") };
    looping.limits.cpu = Duration::from_millis(100);
    let report = pool.run(looping).await.unwrap();
    assert_eq!(report.outcome, Outcome::TimedOut, "{report:?}");
    assert!(report.usage.instructions.unwrap() > 100_000, "{report:?}");

    // Frames are larger with a counter in them: the engine's own check must still come first.
    let deep = function(&pool, "const f = (n) => f(n + 1) + 1; export const handler = () => f(0);").await;
    let report = pool.run(Attempt { counts: true, ..attempt(&deep, "{}") }).await.unwrap();
    let failure = report.failure.unwrap();
    assert_eq!(failure.error_type, "RangeError", "{failure:?}");
    assert!(!failure.stack_trace.is_empty(), "it was the engine that said so");
}

/// Adds up the first bytes of its input by a loop, and writes nothing.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $n i32)
        (local.set $n (i32.const 1000))
        (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $exit (i32.const 0))))"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_own_module_is_counted_to_the_instruction() {
    let pool = pool().await;
    let owner = TenantId::from_raw(7);
    let module: Bytes = wat::parse_str(MODULE).unwrap().into();
    let compile = |counts| {
        let (module, timeout) = (module.clone(), Duration::from_secs(60));
        pool.compile(CompileRequest { tenant: owner, module, memory_bytes: 64 << 20, counts, timeout })
    };
    let own = |code: &Code, counts| Attempt { counts, cordon: Cordon::Tenant(owner), ..attempt(code, "{}") };

    let code = Code { key: "counted".into(), image: compile(true).await.unwrap().image };
    let report = pool.run(own(&code, true)).await.unwrap();
    assert_eq!(result(&report), serde_json::Value::Null);
    // The entry, two to set it up, five a round, two to leave.
    assert_eq!(report.usage.instructions, Some(1 + 2 + 5 * 1000 + 2));

    let plain = Code { key: "plain".into(), image: compile(false).await.unwrap().image };
    let report = pool.run(own(&plain, false)).await.unwrap();
    assert_eq!((report.outcome, report.usage.instructions), (Outcome::Succeeded, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_runs_where_instructions_are_counted() {
    let pool = pool().await;
    let build = pool.build(request("let n = 0; export const handler = () => ++n;")).await.unwrap();
    let code = Code { key: "state".into(), image: build.image };
    let before = pool.worker_pids();
    for _ in 0..3 {
        assert_eq!(result(&counted(&pool, &code, "{}").await), 1, "a process of its own, each time");
    }
    assert_eq!(pool.worker_pids(), before);
}
