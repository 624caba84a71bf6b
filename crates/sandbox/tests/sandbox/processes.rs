//! What becomes of attempts when their process dies, stands still, or is let go.

use std::time::{Duration, Instant};

use futures::future::{Either, select};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use sublet_model::Outcome;
use sublet_sandbox::pool::PoolConfig;
use sublet_sandbox::{BuildError, Sandbox, Unavailable};

use crate::support::{attempt, config, function, message, pool, result, run, start, try_build};

const ECHO: &str = "export const handler = (event) => event;";
const LOOP: &str = "export const handler = () => { for (;;) {} };";

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn is_there(pid: u32) -> bool {
    test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok()
}

#[tokio::test]
async fn a_killed_worker_crashes_its_own_attempts_and_nobody_elses() {
    let pool = start(PoolConfig { worker_count: 2, ..config() }).await;
    let (endless, echo) = (function(&pool, LOOP).await, function(&pool, ECHO).await);
    // With both seats taken, the second loop goes to the worker that the first has left idle.
    while pool.worker_pids().len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut looping = attempt(&endless, "{}");
    looping.limits.wall = Duration::from_millis(800);
    let (one, other) = (pool.run(looping.clone()), pool.run(looping));
    tokio::pin!(one, other);
    assert!(futures::poll!(&mut one).is_pending() && futures::poll!(&mut other).is_pending());
    let victim = pool.worker_pids()[0];
    signal(victim, Signal::KILL);
    let started = Instant::now();
    let (crashed, rest) = match select(one, other).await {
        Either::Left((report, other)) => (report.unwrap(), other),
        Either::Right((report, one)) => (report.unwrap(), one),
    };
    assert_eq!((crashed.outcome, crashed.worker), (Outcome::Crashed, Some(victim)));
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    for _ in 0..20 {
        assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
    }
    assert_eq!(rest.await.unwrap().outcome, Outcome::TimedOut);
    assert!(!pool.worker_pids().contains(&victim));
}

#[tokio::test]
async fn a_worker_that_stands_still_is_killed_and_its_overdue_attempt_timed_out() {
    let pool = pool().await;
    let (endless, echo) = (function(&pool, LOOP).await, function(&pool, ECHO).await);
    let mut overdue = attempt(&endless, "{}");
    overdue.limits.wall = Duration::from_millis(100);
    let (overdue, patient) = (pool.run(overdue), pool.run(attempt(&endless, "{}")));
    tokio::pin!(overdue, patient);
    assert!(futures::poll!(&mut overdue).is_pending() && futures::poll!(&mut patient).is_pending());
    signal(pool.worker_pids()[0], Signal::STOP);
    let (overdue, patient) = tokio::join!(overdue, patient);
    let overdue = overdue.unwrap();
    assert_eq!((overdue.outcome, message(&overdue)), (Outcome::TimedOut, "Task timed out after 0.10 seconds"));
    assert_eq!(patient.unwrap().outcome, Outcome::Crashed);
    assert_eq!(run(&pool, &echo, "{}").await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn many_deaths_in_a_row_leave_the_pool_at_work() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    for round in 0..10 {
        if let Some(&pid) = pool.worker_pids().first() {
            // It may be dead already, and not yet buried.
            let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
        }
        // At most the attempts sent before the death was noticed are lost with it.
        let mut lost = 0;
        while run(&pool, &echo, "{}").await.outcome != Outcome::Succeeded {
            lost += 1;
            assert!(lost < 100, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_drain_waits_for_what_runs_and_leaves_no_process() {
    let pool = pool().await;
    let (endless, echo) = (function(&pool, LOOP).await, function(&pool, ECHO).await);
    let pids = pool.worker_pids();
    let mut last = attempt(&endless, "{}");
    last.limits.wall = Duration::from_millis(300);
    let (report, ()) = tokio::join!(pool.run(last), pool.shutdown(Duration::from_secs(5)));
    assert_eq!(report.unwrap().outcome, Outcome::TimedOut);
    assert_eq!(pool.run(attempt(&echo, "{}")).await.unwrap_err(), Unavailable::Draining);
    assert!(!pids.into_iter().any(is_there));
}

#[tokio::test]
async fn a_drain_that_takes_too_long_ends_what_runs() {
    let pool = pool().await;
    let endless = function(&pool, LOOP).await;
    let started = Instant::now();
    let (report, ()) = tokio::join!(pool.run(attempt(&endless, "{}")), pool.shutdown(Duration::from_millis(100)));
    assert_eq!(report.unwrap().outcome, Outcome::Crashed);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_dropped_pool_leaves_no_process() {
    let pool = pool().await;
    let echo = function(&pool, ECHO).await;
    run(&pool, &echo, "{}").await;
    let pids = pool.worker_pids();
    let mut deaths = pool.deaths();
    drop(pool);
    deaths.wait_for(|deaths| deaths.iter().any(|death| pids.contains(&death.pid))).await.unwrap();
    assert!(!pids.into_iter().any(is_there));
}

#[tokio::test]
async fn source_that_overflows_the_parser_ends_its_builder_alone() {
    let pool = pool().await;
    // None of these has a bracket that could be counted.
    let chains = ["!".repeat(3_000_000), "x=>".repeat(1_000_000), "a?b:".repeat(1_000_000)];
    for chain in chains {
        let refused = try_build(&pool, &format!("export const handler = {chain}1;")).await.err();
        assert!(matches!(refused, Some(BuildError::Rejected(_))), "{refused:?}");
    }
    let code = function(&pool, "export const handler = () => 'fine';").await;
    assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"));
}
