//! Worker processes of one tenant's own: never another's, gone when idle, bounded in number.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sublet_jail::hostile_calls;
use sublet_model::{Outcome, TenantId};
use sublet_sandbox::pool::{Pool, PoolConfig};
use sublet_sandbox::{Attempt, Code, Cordon, Crash, Sandbox, Unavailable};

use crate::support::{attempt, config, function, pool, result, run, start};

const ECHO: &str = "export const handler = (event) => event;";
const LOOP: &str = "export const handler = () => { for (;;) {} };";
const PID: &str = r#"{"play":"process-environment"}"#;

fn tenant(number: i64) -> TenantId {
    TenantId::from_raw(number)
}

fn within(number: i64, code: &Code, event: &str) -> Attempt {
    Attempt { cordon: Cordon::Tenant(tenant(number)), ..attempt(code, event) }
}

/// The process that an attempt ran in.
async fn pid_of(pool: &Pool, attempt: Attempt) -> u32 {
    let report = pool.run(attempt).await.unwrap();
    u32::try_from(result(&report)["pid"].as_u64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_process_of_one_tenant_never_runs_another_tenants_attempt() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    let mut seen: Vec<Vec<u32>> = vec![Vec::new(); 4];
    for _ in 0..5 {
        for number in 0..4 {
            let tenant = if number == 0 { attempt(&echo, PID) } else { within(number, &echo, PID) };
            seen[usize::try_from(number).unwrap()].push(pid_of(&pool, tenant).await);
        }
    }
    for (number, pids) in seen.iter().enumerate() {
        // One process is enough for attempts that come one after the other.
        assert!(pids.iter().all(|pid| *pid == pids[0]), "tenant {number}: {pids:?}");
        let others = seen.iter().enumerate().filter(|(other, _)| *other != number);
        assert!(others.flat_map(|(_, pids)| pids).all(|pid| *pid != pids[0]), "tenant {number}: {seen:?}");
    }
    assert_eq!(pool.worker_pids(), [seen[0][0]]);
    assert_eq!(pool.cordon_pids(tenant(1)), [seen[1][0]]);
}

#[tokio::test]
async fn attempts_that_come_at_once_wait_for_one_process_and_more_start_only_when_it_is_full() {
    let pool = start(PoolConfig { slots_per_worker: 2, ..config() }).await;
    let echo = function(&pool, ECHO).await;
    let reports = futures::future::join_all((0..2).map(|_| pool.run(within(1, &echo, "{}")))).await;
    assert!(reports.iter().all(|report| report.as_ref().unwrap().outcome == Outcome::Succeeded));
    assert_eq!(pool.cordon_pids(tenant(1)).len(), 1);
    let endless = function(&pool, LOOP).await;
    let short = |mut attempt: Attempt| {
        attempt.limits.wall = Duration::from_millis(300);
        attempt
    };
    let reports = futures::future::join_all((0..3).map(|_| pool.run(short(within(1, &endless, "{}"))))).await;
    assert!(reports.iter().all(|report| report.as_ref().unwrap().outcome == Outcome::TimedOut), "{reports:?}");
    assert_eq!(pool.cordon_pids(tenant(1)).len(), 2);
}

#[tokio::test]
async fn an_idle_process_of_a_tenant_is_let_go_and_started_again_at_need() {
    let pool = start(PoolConfig { dedicated_idle: Duration::from_millis(150), ..config() }).await;
    let echo = function(&pool, ECHO).await;
    let first = pid_of(&pool, within(1, &echo, PID)).await;
    let mut deaths = pool.deaths();
    deaths.wait_for(|deaths| deaths.iter().any(|death| death.pid == first)).await.unwrap();
    assert!(pool.cordon_pids(tenant(1)).is_empty());
    assert_ne!(pid_of(&pool, within(1, &echo, PID)).await, first);
    assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_number_of_such_processes_is_bounded_and_the_one_idle_longest_makes_room() {
    let pool = start(PoolConfig { dedicated_max: 2, ..config() }).await;
    let (echo, endless) = (function(&pool, ECHO).await, function(&pool, LOOP).await);
    let first = pid_of(&pool, within(1, &echo, PID)).await;
    let second = pid_of(&pool, within(2, &echo, PID)).await;
    pid_of(&pool, within(3, &echo, PID)).await;
    assert_eq!((pool.cordon_pids(tenant(1)), pool.cordon_pids(tenant(2))), (Vec::new(), vec![second]));
    let mut deaths = pool.deaths();
    deaths.wait_for(|deaths| deaths.iter().any(|death| death.pid == first)).await.unwrap();

    // None is idle: there is no room, and the shared worker is no way out.
    let (two, three) = (pool.run(within(2, &endless, "{}")), pool.run(within(3, &endless, "{}")));
    tokio::pin!(two, three);
    assert!(futures::poll!(&mut two).is_pending() && futures::poll!(&mut three).is_pending());
    assert_eq!(pool.run(within(1, &echo, "{}")).await.unwrap_err(), Unavailable::Full);
    assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_death_of_a_tenants_process_is_no_matter_to_others() {
    let pool = pool().await;
    let (echo, endless) = (function(&pool, ECHO).await, function(&pool, LOOP).await);
    let (own, other, shared) =
        (within(1, &endless, "{}"), pid_of(&pool, within(2, &echo, PID)).await, pool.worker_pids());
    let running = pool.run(own);
    tokio::pin!(running);
    while pool.cordon_pids(tenant(1)).is_empty() {
        assert!(futures::poll!(&mut running).is_pending());
        tokio::task::yield_now().await;
    }
    let victim = pool.cordon_pids(tenant(1))[0];
    kill_process(Pid::from_raw(victim.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let report = running.await.unwrap();
    assert_eq!((report.outcome, report.crash), (Outcome::Crashed, Some(Crash::Death)));
    assert_eq!(pid_of(&pool, within(2, &echo, PID)).await, other);
    assert_eq!(pool.worker_pids(), shared);
    assert_ne!(pid_of(&pool, within(1, &echo, PID)).await, victim);
}

#[tokio::test]
async fn a_report_of_a_crash_tells_how_it_looked() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    let play = |what: Value| json!({ "play": what, "server": std::process::id() }).to_string();
    let socket = hostile_calls().position(|call| call.promise == "makes no internet socket").unwrap();
    for (name, crash) in [
        (json!("process-aborts"), Crash::Death),
        (json!(socket), Crash::ForbiddenCall),
        (json!("lie-noise"), Crash::Breach),
        (json!("lie-result-no-json"), Crash::Breach),
    ] {
        let report = run(&pool, &echo, &play(name.clone())).await;
        assert_eq!((report.outcome, report.crash), (Outcome::Crashed, Some(crash)), "{name}");
        let report = pool.run(within(1, &echo, &play(name.clone()))).await.unwrap();
        assert_eq!((report.outcome, report.crash), (Outcome::Crashed, Some(crash)), "{name}, in a cordon");
    }
    let report = run(&pool, &echo, "{}").await;
    assert_eq!((result(&report), report.crash), (json!({}), None));
}
