//! Native code inside a locked worker, as after an escape from the WebAssembly runtime: what it finds, what it may call,
//! what it may say to the server.

use serde_json::{Value, json};
use sublet_jail::{Layer, Status};
use sublet_model::Outcome;
use sublet_sandbox::pool::{Death, OnRefused, Pool, PoolConfig, StartError};
use sublet_sandbox::{Code, Report};

use crate::support::{config, function, pool, result, run, start};

const NOTHING: &str = "export const handler = () => 'fine';";
/// The death signal of a system call outside the profile.
const SIGSYS: i32 = 31;

/// Calls that are answered with an error number in every profile, since healthy libraries try them.
const ANSWERED: [(&str, i32); 3] =
    [("open a file", libc::EACCES), ("open the server's memory", libc::EACCES), ("look at a file", libc::ENOSYS)];

async fn play(pool: &Pool, code: &Code, name: &str) -> Report {
    run(pool, code, &json!({ "play": name, "server": std::process::id() }).to_string()).await
}

/// The report is sent before the process is waited for, so that its end may still be on its way.
async fn death_of(pool: &Pool, pids: &[u32]) -> Death {
    let mut deaths = pool.deaths();
    let deaths = deaths.wait_for(|deaths| deaths.iter().any(|death| pids.contains(&death.pid))).await.unwrap();
    deaths.iter().find(|death| pids.contains(&death.pid)).cloned().unwrap()
}

async fn names(pool: &Pool, code: &Code) -> Vec<String> {
    serde_json::from_value(result(&play(pool, code, "list").await)).unwrap()
}

#[tokio::test]
async fn every_call_of_escaped_code_is_refused() {
    let pool = start(PoolConfig { on_refused: OnRefused::Fail, ..config() }).await;
    let code = function(&pool, NOTHING).await;
    let names = names(&pool, &code).await;
    assert!(names.len() > 30);
    let mut allowed = Vec::new();
    for name in names {
        let answered = ANSWERED.iter().find(|(answered, _)| *answered == name);
        let expected = answered.map_or(libc::EPERM, |(_, errno)| *errno);
        let answer = result(&play(&pool, &code, &name).await);
        if answer != json!({ "result": -1, "errno": expected }) {
            allowed.push((name, answer));
        }
    }
    assert!(allowed.is_empty(), "{allowed:?}");
    // And the worker is as healthy as before.
    assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"));
}

#[tokio::test]
async fn in_production_escaped_code_dies_of_its_first_call() {
    let pool = pool().await;
    let code = function(&pool, NOTHING).await;
    for name in names(&pool, &code).await {
        let workers = pool.worker_pids();
        let report = play(&pool, &code, &name).await;
        if ANSWERED.iter().any(|(answered, _)| *answered == name) {
            assert_eq!(report.outcome, Outcome::Succeeded, "{name}");
            continue;
        }
        assert_eq!(report.outcome, Outcome::Crashed, "{name}");
        let death = death_of(&pool, &workers).await;
        assert_eq!(death.signal, Some(SIGSYS), "{name}: {death:?}");
        assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"), "after {name}");
    }
}

#[tokio::test]
async fn a_worker_that_lies_is_killed_and_not_believed() {
    let pool = pool().await;
    let code = function(&pool, NOTHING).await;
    let lies = [
        "endless frame",
        "unknown message",
        "empty frame",
        "half a report",
        "someone else's attempt",
        "a longer pong",
        "ready again",
        "a snapshot",
        "noise",
        "a result that is not JSON",
        "a result that is too long",
    ];
    for lie in lies {
        let liar = pool.worker_pids();
        let report = play(&pool, &code, lie).await;
        assert_eq!((report.outcome, &report.result), (Outcome::Crashed, &None), "{lie}");
        death_of(&pool, &liar).await;
        assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"), "after {lie}");
    }
}

#[tokio::test]
async fn a_worker_holds_no_environment_and_no_descriptor_but_its_own() {
    let pool = pool().await;
    assert!(std::env::vars_os().count() > 0, "there is an environment to leak");
    let code = function(&pool, NOTHING).await;
    let found = result(&play(&pool, &code, "inventory").await);
    assert_eq!(found["environment"], json!([]));
    assert_eq!(found["sockets"], json!([3]));
    let descriptors: Vec<i32> = serde_json::from_value(found["descriptors"].clone()).unwrap();
    // Null device twice, the bounded standard error, the socket, the page map, and one image.
    assert!(descriptors.starts_with(&[0, 1, 2, 3]) && descriptors.len() <= 7, "{descriptors:?}");
}

#[tokio::test]
async fn native_code_cannot_map_more_than_the_workers_ceiling() {
    let ceiling = 1_u64 << 30;
    let pool = start(PoolConfig { worker_memory_bytes: ceiling, ..config() }).await;
    let code = function(&pool, NOTHING).await;
    let found = result(&play(&pool, &code, "allocate").await);
    let bytes = found["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes <= ceiling, "{bytes}");
}

#[tokio::test]
async fn a_worker_that_aborts_takes_its_attempt_with_it_and_no_more() {
    let pool = pool().await;
    let code = function(&pool, NOTHING).await;
    assert_eq!(play(&pool, &code, "abort").await.outcome, Outcome::Crashed);
    assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"));
}

#[tokio::test]
async fn the_pool_reports_its_layers_and_does_not_start_without_a_required_one() {
    let whole = pool().await;
    for layer in Layer::ALL {
        let line = whole.layers().of(layer).unwrap();
        let is_required = layer.need() == sublet_jail::Need::Required;
        assert!(!is_required || line.status == Status::InForce, "{line:?}");
    }
    let arguments = vec!["--without-filter".into()];
    let Err(StartError::Worker(error)) = Pool::start(PoolConfig { arguments, ..config() }).await else {
        panic!("it started");
    };
    assert!(error.contains("`system call filter`"), "{error}");
    let program = "/bin/false".into();
    assert!(matches!(Pool::start(PoolConfig { program, ..config() }).await, Err(StartError::Worker(_))));
}

#[tokio::test]
async fn only_the_insecure_setting_goes_on_without_a_jail() {
    let pool = start(PoolConfig { insecure_no_jail: true, ..config() }).await;
    assert!(pool.layers().layers.iter().all(|line| line.status == Status::LeftOut), "{:?}", pool.layers());
    let code = function(&pool, NOTHING).await;
    assert_eq!(result(&run(&pool, &code, "{}").await), Value::from("fine"));
}
