//! Whose attempts run in worker processes of their own, and who is moved there without being asked.

use std::sync::Arc;

use sublet_engine::StreamFilter;
use sublet_model::{Isolation, Quota};
use sublet_sandbox::Cordon;
use sublet_store::{TenantRecord, TenantSpec};

use crate::harness::{House, Scripted, active, by_name, detail, event, name, start};

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
