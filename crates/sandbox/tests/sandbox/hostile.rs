//! The jail around a worker, as the pool sees it. What native code in a worker may do is the escape suite's (`attack`);
//! here it makes every call in one process, whose profile answers in place of killing.

use serde_json::{Value, json};
use sublet_jail::{Layer, Refused, Status, hostile_calls};
use sublet_model::Outcome;
use sublet_sandbox::Code;
use sublet_sandbox::pool::{OnRefused, Pool, PoolConfig, StartError};

use crate::support::{config, function, pool, result, run, start};

const NOTHING: &str = "export const handler = () => 'fine';";

async fn play(pool: &Pool, code: &Code, what: Value) -> Value {
    let report = run(pool, code, &json!({ "play": what, "server": std::process::id() }).to_string()).await;
    assert_eq!(report.outcome, Outcome::Succeeded, "{what}");
    result(&report)
}

#[tokio::test]
async fn every_call_of_escaped_code_is_refused() {
    let pool = start(PoolConfig { on_refused: OnRefused::Fail, ..config() }).await;
    let code = function(&pool, NOTHING).await;
    let mut allowed = Vec::new();
    for (index, call) in hostile_calls().enumerate() {
        let errno = match call.refused {
            Refused::Killed => libc::EPERM,
            Refused::With(errno) => errno,
        };
        let answer = play(&pool, &code, json!(index)).await;
        if answer != json!({ "result": -errno }) {
            allowed.push((call.promise, answer));
        }
    }
    assert!(allowed.is_empty(), "{allowed:?}");
    // And the worker is as healthy as before.
    assert_eq!(result(&run(&pool, &code, "{}").await), json!("fine"));
}

#[tokio::test]
async fn native_code_cannot_map_more_than_the_workers_ceiling() {
    let ceiling = 1_u64 << 30;
    let pool = start(PoolConfig { worker_memory_bytes: ceiling, ..config() }).await;
    let code = function(&pool, NOTHING).await;
    let bytes = play(&pool, &code, json!("process-memory")).await["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes <= ceiling, "{bytes}");
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
