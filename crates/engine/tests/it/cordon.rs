//! Whose attempts run in worker processes of their own, and who is moved there without being asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use sublet_engine::{DeployError, PackageKind, StreamFilter};
use sublet_model::{FunctionConfig, Isolation, Outcome, Quota, Runtime};
use sublet_sandbox::{Attempt, Cordon, ImageKind, Report};
use sublet_store::{TenantRecord, TenantSpec};

use crate::harness::{House, RuntimeClock, Scripted, active, by_name, detail, event, name, start, taking};

async fn record(house: &House, tenant: &str) -> Arc<TenantRecord> {
    house.engine.registry().tenant(tenant).await.unwrap().unwrap()
}

/// In whose processes an attempt of each tenant ran, just now.
async fn cordons(house: &House, tenants: &[&str]) -> Vec<Cordon> {
    house.sandbox.cordons.lock().unwrap().clear();
    let mut results = house.engine.stream(None, StreamFilter::default());
    for tenant in tenants {
        house.publish(event(tenant, None, "{}")).await;
        assert!(detail(results.next().await).0);
    }
    house.sandbox.cordons.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_dedicated_tenant_runs_in_its_own_cordon_and_a_change_holds_from_the_next_attempt_on() {
    let house = House::new().await;
    house.dispatch_rule().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let globex = house.tenant("globex", Quota::default()).await;
    for tenant in [&acme, &globex] {
        house.function(tenant, "enrich", "ok").await;
    }
    assert_eq!(cordons(&house, &["acme", "globex"]).await, [Cordon::Shared, Cordon::Shared]);
    let dedicated = TenantSpec { isolation: Some(Isolation::Dedicated), ..active(Quota::default()) };
    house.engine.registry().put_tenant(&name("acme"), dedicated).await.unwrap();
    assert_eq!(cordons(&house, &["acme", "globex"]).await, [Cordon::Tenant(acme.id), Cordon::Shared]);
    house.engine.registry().put_tenant(&name("acme"), active(Quota::default())).await.unwrap();
    assert_eq!(cordons(&house, &["acme"]).await, [Cordon::Shared]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_code_makes_forbidden_calls_is_moved_with_the_reason_until_the_operator_says_otherwise() {
    let house = House::new().await;
    house.dispatch_rule().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let globex = house.tenant("globex", Quota::default()).await;
    house.function(&acme, "enrich", "crash by a forbidden call").await;
    house.function(&globex, "enrich", "ok").await;
    let mut results = house.engine.stream(None, StreamFilter::default());
    house.publish(event("acme", None, "{}")).await;
    assert!(!detail(results.next().await).0);
    let moved = record(&house, "acme").await;
    let reason = moved.spec.suspicion.clone().unwrap();
    assert!(reason.contains("forbidden system call: 2"), "one beside others, one alone: {reason}");
    let others = record(&house, "globex").await;
    assert_eq!(house.engine.isolation_of(&moved), Isolation::Dedicated);
    assert_eq!(house.engine.isolation_of(&others), Isolation::Shared);

    // Also for code that does no harm, and over a restart.
    house.function(&acme, "enrich", "ok").await;
    assert_eq!(cordons(&house, &["acme", "globex"]).await, [Cordon::Tenant(acme.id), Cordon::Shared]);
    let House { engine, store, code, clock, .. } = house;
    drop(engine);
    let (store, sandbox) = (store.reopen(), Scripted::new(by_name));
    let engine = start(&store, &sandbox, &code, &clock, 1).await;
    let house = House { engine, store, sandbox, code, clock };
    assert_eq!(record(&house, "acme").await.spec.suspicion, Some(reason));
    assert_eq!(cordons(&house, &["acme"]).await, [Cordon::Tenant(acme.id)]);

    house.engine.registry().put_tenant(&name("acme"), active(Quota::default())).await.unwrap();
    assert_eq!(cordons(&house, &["acme"]).await, [Cordon::Shared]);
}

/// What runs beside others ends with the process, the same one for all, by somebody's forbidden call.
async fn beside_a_hostile_neighbour(code: String, attempt: Attempt) -> Report {
    let outcome = if attempt.alone { Outcome::Succeeded } else { Outcome::Crashed };
    let report = taking(Duration::from_millis(1), outcome, code, attempt).await;
    Report { worker: Some(7), ..report }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_several_attempts_in_a_process_that_a_neighbour_ends_is_not_moved() {
    let house = House::with(Scripted::acting(beside_a_hostile_neighbour), RuntimeClock::new()).await;
    house.dispatch_rule().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "beside a forbidden call").await;
    let mut results = house.engine.stream(None, StreamFilter::default());
    house.engine.publish((0..5).map(|_| event("acme", None, "{}")).collect()).await.unwrap();
    for _ in 0..5 {
        assert!(detail(results.next().await).0);
    }
    assert!(house.sandbox.running_most.load(Ordering::SeqCst) >= 3, "three marks of that weight would move it");
    assert_eq!(record(&house, "acme").await.spec.suspicion, None);
}

/// Succeeds when the attempt is as that of a module should be.
fn of_a_module(code: &str, attempt: &Attempt) -> (Duration, Outcome) {
    let is_right = code == "\0asm module"
        && attempt.code.image.kind == ImageKind::Machine
        && attempt.environment == [("GREETING".to_owned(), "hi".to_owned())];
    (Duration::ZERO, if is_right { Outcome::Succeeded } else { Outcome::Failed })
}

#[tokio::test(start_paused = true)]
async fn a_module_runs_in_its_tenants_cordon_whatever_the_plan_says_and_is_compiled_again_for_another_engine() {
    let house = House::with(Scripted::new(of_a_module), RuntimeClock::new()).await;
    house.dispatch_rule().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let environment = [("GREETING".to_owned(), "hi".to_owned())].into();
    let config = FunctionConfig { runtime: Runtime::Wasm, environment, ..FunctionConfig::default() };
    house.engine.registry().put_function(acme.id, &name("enrich"), config).await.unwrap();
    let deploy = async |package: &'static [u8], kind| {
        house.engine.deploy(&acme, &name("enrich"), Bytes::from_static(package), kind, true).await
    };
    for (package, kind) in [(&b"export const handler = 1"[..], PackageKind::JavaScript), (b"noise", PackageKind::Wasm)]
    {
        let Err(DeployError::Error(error)) = deploy(package, kind).await else { panic!("it was deployed") };
        assert_eq!(error.kind, sublet_model::ErrorKind::Invalid, "{error}");
    }
    deploy(b"\0asm module", PackageKind::Wasm).await.unwrap();
    assert_eq!(cordons(&house, &["acme"]).await, [Cordon::Tenant(acme.id)]);
    assert_eq!(house.sandbox.compiles.load(Ordering::SeqCst), 1);

    let House { engine, store, code, clock, .. } = house;
    drop(engine);
    let (store, sandbox) = (store.reopen(), Scripted::of_engine("engine-2", of_a_module));
    let engine = start(&store, &sandbox, &code, &clock, 1).await;
    let house = House { engine, store, sandbox, code, clock };
    assert_eq!(cordons(&house, &["acme", "acme"]).await, [Cordon::Tenant(acme.id); 2]);
    assert_eq!(house.sandbox.compiles.load(Ordering::SeqCst), 1, "once, at its first use");
    assert_eq!(house.sandbox.builds.load(Ordering::SeqCst), 0);
}
