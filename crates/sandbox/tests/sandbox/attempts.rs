//! What an attempt comes to through a worker: results, limits, fairness, fresh state.

use std::time::{Duration, Instant};

use serde_json::json;
use sublet_model::Outcome;
use sublet_sandbox::{BuildError, Sandbox, Unavailable};

use crate::support::{attempt, function, message, pool, result, run, try_build};

const ECHO: &str = "export const handler = async (event, context) => {
    console.log('hello', event.name);
    return { name: event.name, request: context.awsRequestId };
};";
const LOOP: &str = "export const handler = async () => { for (;;) {} };";

#[tokio::test]
async fn a_function_is_built_and_run_and_measured() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    let report = run(&pool, &echo, r#"{"name":"ada"}"#).await;
    assert_eq!(result(&report), json!({"name": "ada", "request": "inv_1"}));
    assert_eq!((report.outcome, report.failure.as_ref()), (Outcome::Succeeded, None));
    assert!(String::from_utf8_lossy(&report.log).contains("hello ada"), "{report:?}");
    let usage = report.usage;
    assert!(usage.cpu_us > 0 && usage.cpu_us <= usage.wall_us, "{usage:?}");
    assert!(usage.memory_peak_bytes > 0 && usage.memory_peak_bytes <= usage.memory_limit_bytes, "{usage:?}");
    assert_eq!(usage.bytes_in, 14);
    assert_eq!(usage.bytes_out, (report.result.unwrap().len() + report.log.len()) as u64);
}

#[tokio::test]
async fn a_thrown_error_is_a_failure_with_the_tenants_own_line() {
    let pool = pool().await;
    let code = function(&pool, "export const handler = () => {\n  throw new TypeError('no due date');\n};").await;
    let report = run(&pool, &code, "{}").await;
    let failure = report.failure.unwrap();
    assert_eq!((report.outcome, failure.error_type.as_str()), (Outcome::Failed, "TypeError"));
    assert_eq!(failure.error_message, "no due date");
    assert!(failure.stack_trace[0].contains("index.mjs:2"), "{failure:?}");
}

#[tokio::test]
async fn top_level_code_that_throws_or_loops_is_rejected() {
    let pool = pool().await;
    let Err(BuildError::Rejected(failure)) = try_build(&pool, "throw new Error('not today');").await else {
        panic!("it was built");
    };
    assert!(failure.error_message.contains("not today"), "{failure:?}");
    let mut request = crate::support::request("for (;;) {}");
    request.timeout = Duration::from_millis(200);
    let Err(BuildError::Rejected(failure)) = pool.build(request).await else { panic!("it was built") };
    assert_eq!(failure.error_message, "Top-level code timed out after 0.20 seconds");
    // The next one has a builder again.
    assert!(try_build(&pool, ECHO).await.is_ok());
}

#[tokio::test]
async fn a_loop_times_out_while_short_attempts_of_a_neighbour_go_on() {
    let pool = pool().await;
    let (echo, endless) = (function(&pool, ECHO).await, function(&pool, LOOP).await);
    let mut hostile = attempt(&endless, "{}");
    hostile.limits.wall = Duration::from_millis(500);
    let looping = pool.run(hostile);
    tokio::pin!(looping);
    let started = Instant::now();
    let mut finished = 0;
    let report = loop {
        tokio::select! {
            report = &mut looping => break report.unwrap(),
            report = run(&pool, &echo, r#"{"name":"ada"}"#) => {
                assert_eq!(report.outcome, Outcome::Succeeded);
                finished += 1;
            }
        }
    };
    assert_eq!((report.outcome, message(&report)), (Outcome::TimedOut, "Task timed out after 0.50 seconds"));
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    // A slice of the loop each, and some: far fewer would mean that the neighbour stood still.
    assert!(finished > 10, "only {finished} short attempts beside the loop");
}

#[tokio::test]
async fn a_cpu_limit_ends_a_loop_long_before_the_wall_limit() {
    let pool = pool().await;
    let endless = function(&pool, LOOP).await;
    let mut hostile = attempt(&endless, "{}");
    hostile.limits.cpu = Duration::from_millis(50);
    let report = pool.run(hostile).await.unwrap();
    assert_eq!((report.outcome, message(&report)), (Outcome::TimedOut, "CPU limit of 50 ms used up"));
    assert!((50_000..80_000).contains(&report.usage.cpu_us), "{:?}", report.usage);
}

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory_and_harms_nobody() {
    let pool = pool().await;
    let bomb =
        function(&pool, "export const handler = () => { const a = []; for (;;) a.push(new Array(1000).fill(1)) };")
            .await;
    let report = run(&pool, &bomb, "{}").await;
    assert_eq!(report.outcome, Outcome::OutOfMemory, "{report:?}");
    assert!(report.usage.memory_peak_bytes <= 64 << 20);
    let echo = function(&pool, ECHO).await;
    assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn output_beyond_its_limits_is_cut_or_refused() {
    let pool = pool().await;
    let code = function(
        &pool,
        "export const handler = ({ logs, bytes }) => {
            for (let i = 0; i < logs; i++) console.log('x'.repeat(1000));
            return 'y'.repeat(bytes);
        };",
    )
    .await;
    let report = run(&pool, &code, r#"{"logs":500,"bytes":10}"#).await;
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert!((60_000..=66_000).contains(&report.log.len()), "{} bytes of log", report.log.len());
    let report = run(&pool, &code, r#"{"logs":0,"bytes":262142}"#).await;
    assert_eq!(report.result.unwrap().len(), 262_144, "the largest result there is");
    let report = run(&pool, &code, r#"{"logs":0,"bytes":262143}"#).await;
    assert_eq!((report.outcome, report.result), (Outcome::Failed, None));
}

#[tokio::test]
async fn endless_recursion_is_an_error_of_the_tenant() {
    let pool = pool().await;
    let code = function(&pool, "export const handler = () => { const f = () => f() + 1; return f(); };").await;
    let report = run(&pool, &code, "{}").await;
    assert_eq!((report.outcome, report.failure.unwrap().error_type.as_str()), (Outcome::Failed, "RangeError"));
}

#[tokio::test]
async fn no_attempt_sees_what_another_left_behind() {
    let pool = pool().await;
    let code = function(
        &pool,
        "let count = 0;
        export const handler = () => {
            const seen = { count, global: globalThis.left, proto: Array.prototype.left };
            count += 1;
            globalThis.left = 'behind';
            Array.prototype.left = 'behind';
            return seen;
        };",
    )
    .await;
    for round in 0..300 {
        let report = run(&pool, &code, "{}").await;
        assert_eq!(result(&report), json!({"count": 0}), "round {round}");
    }
}

#[tokio::test]
async fn attempts_beyond_the_slots_are_turned_away_and_a_dropped_one_gives_its_slot_back() {
    let pool = pool().await;
    let endless = function(&pool, LOOP).await;
    let echo = function(&pool, ECHO).await;
    let mut held: Vec<_> = (0..pool.slots()).map(|_| pool.run(attempt(&endless, "{}"))).collect();
    for run in &mut held {
        // The first poll sends it off.
        assert!(futures::poll!(run).is_pending());
    }
    assert_eq!(pool.run(attempt(&echo, "{}")).await.unwrap_err(), Unavailable::Full);
    drop(held);
    let started = Instant::now();
    let report = loop {
        match pool.run(attempt(&echo, r#"{"name":"ada"}"#)).await {
            Ok(report) => break report,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert!(started.elapsed() < Duration::from_secs(1), "loops of 2 s were cancelled after {:?}", started.elapsed());
}

#[tokio::test]
async fn an_attempt_alone_runs_outside_the_shared_workers() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    let shared = pool.worker_pids();
    for _ in 0..3 {
        let mut lonely = attempt(&echo, r#"{"name":"ada"}"#);
        lonely.alone = true;
        assert_eq!(pool.run(lonely).await.unwrap().outcome, Outcome::Succeeded);
    }
    // Their processes end with them, and the shared worker is none of them.
    let mut deaths = pool.deaths();
    deaths.wait_for(|deaths| deaths.iter().filter(|death| !shared.contains(&death.pid)).count() >= 3).await.unwrap();
    assert_eq!(pool.worker_pids(), shared);
}

/// What the host's operations do there is within the jail's system calls, the first time too.
#[tokio::test]
async fn a_locked_worker_hashes_verifies_draws_and_knows_zones() {
    let pool = pool().await;
    let code = function(
        &pool,
        "import { createHash, randomBytes } from 'node:crypto';
        export const handler = async () => {
            const key = await crypto.subtle.importKey('raw', new Uint8Array(32).fill(1), 'Ed25519', false, ['verify']);
            return [
                createHash('md5').update('abc').digest('hex'),
                createHash('sha256').update('a'.repeat(1_000_000)).digest('hex').slice(0, 8),
                await crypto.subtle.verify('Ed25519', key, new Uint8Array(64), new Uint8Array(1)),
                randomBytes(70_000).length,
                new Date(0).toLocaleString('en-GB', { timeZone: 'Asia/Tokyo' }),
                Intl.supportedValuesOf('timeZone').length > 400,
            ];
        };",
    )
    .await;
    for _ in 0..2 {
        let report = run(&pool, &code, "{}").await;
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
        let expected =
            json!(["900150983cd24fb0d6963f7d28e17f72", "cdc76e5c", false, 70_000, "01/01/1970, 09:00:00", true]);
        assert_eq!(result(&report), expected);
    }
}

#[tokio::test]
async fn a_loop_that_begins_in_a_timer_is_ended_by_its_limit_and_its_worker_lives_on() {
    let pool = pool().await;
    let pids = pool.worker_pids();
    let source = "export const handler = () => new Promise(() => setTimeout(() => { for (;;); }, 1));";
    let code = function(&pool, source).await;
    let mut looping = attempt(&code, "{}");
    looping.limits.cpu = Duration::from_millis(100);
    let report = pool.run(looping).await.unwrap();
    assert_eq!(report.outcome, Outcome::TimedOut, "{report:?}");
    assert_eq!(pool.worker_pids(), pids);
}
