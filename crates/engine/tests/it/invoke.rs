//! The synchronous call.

use std::time::Duration;

use bytes::Bytes;
use sublet_engine::{DeployError, InvokeRequest, PackageKind, Selector};
use sublet_model::{ErrorKind, InvocationState, Outcome, Quota};
use sublet_store::{Page, Queue, TenantRecord};

use crate::harness::*;

fn request(tenant: &TenantRecord, selector: Selector) -> InvokeRequest {
    InvokeRequest { selector, ..call_of(tenant) }
}

#[tokio::test(start_paused = true)]
async fn an_invoke_answers_is_recorded_and_is_neither_retried_nor_announced() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "fail").await;
    house.function(&acme, "enrich", "ok").await;
    let answer = house.engine.invoke(request(&acme, Selector::Live)).await.unwrap();
    assert_eq!((answer.version, answer.report.outcome), (Some(2), Outcome::Succeeded));
    let failed = house.engine.invoke(request(&acme, Selector::Version(1))).await.unwrap();
    assert_eq!((failed.version, failed.report.outcome), (Some(1), Outcome::Failed));
    let record = house.store.invocation(acme.id, failed.invocation.unwrap()).await.unwrap().unwrap();
    assert_eq!((record.state, record.starts), (InvocationState::Failed, 1));
    assert!(house.store.outbox(0, 10).await.unwrap().is_empty());
    assert_eq!(house.engine.balance(acme.id).await.unwrap().accepted, 0, "not in the conservation equation");

    house.engine.registry().put_alias(acme.id, record.function, &name("live"), 1).await.unwrap();
    let rolled_back = house.engine.invoke(request(&acme, Selector::Live)).await.unwrap();
    assert_eq!(rolled_back.version, Some(1));
    let by_alias = house.engine.invoke(request(&acme, Selector::Alias(name("live")))).await.unwrap();
    assert_eq!(by_alias.version, Some(1));
    for selector in [Selector::Version(9), Selector::Alias(name("none"))] {
        assert_eq!(house.engine.invoke(request(&acme, selector)).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn more_invokes_than_slots_are_throttled_and_a_full_queue_lets_them_in_front() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota { ceiling: 2, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "slow").await;
    house.dispatch_rule().await;
    for _ in 0..10 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (first, second) = tokio::join!(
        house.engine.invoke(request(&acme, Selector::Live)),
        house.engine.invoke(request(&acme, Selector::Live)),
    );
    assert_eq!(first.unwrap().report.outcome, Outcome::Succeeded);
    assert_eq!(second.unwrap_err().kind, ErrorKind::Throttled);
    assert!(house.engine.balance(acme.id).await.unwrap().waiting > 0, "the queue had not run empty");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(house.engine.balance(acme.id).await.unwrap().succeeded, 10);
    assert_eq!(house.engine.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_a_recorded_attempt_and_no_slot_taken() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota { ceiling: 1, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "slow").await;
    let call = house.engine.invoke(request(&acme, Selector::Live));
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.engine.stats().in_flight, 0);
    assert!(house.engine.invoke(request(&acme, Selector::Live)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn code_that_fails_at_its_top_level_is_no_version() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    let package = Bytes::from_static(b"throw new Error()");
    let answer = house.engine.deploy(&acme, &name("enrich"), package, PackageKind::JavaScript, true).await;
    assert!(matches!(answer, Err(DeployError::Rejected(failure)) if failure.error_message == "top level threw"));
    assert_eq!(house.engine.invoke(request(&acme, Selector::Live)).await.unwrap().version, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_would_come_after_the_deadline_is_a_time_out_and_what_ran_is_recorded() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota { ceiling: 1, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "slow").await;
    let with = |deadline| InvokeRequest { deadline: Some(deadline), ..request(&acme, Selector::Live) };
    let before = house.clock.now();
    let late = house.engine.invoke(with(Duration::from_millis(200))).await.unwrap();
    assert_eq!(late.report.outcome, Outcome::TimedOut);
    assert_eq!(house.clock.now().since(before), 200, "it did not wait for the function's own timeout");
    assert_eq!(late.report.failure.unwrap().error_type, "Sublet.DeadlineExceeded");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all = house.store.invocations(acme.id, Default::default(), Page::default()).await.unwrap();
    assert_eq!(all.items.len(), 1, "the attempt is in the record and in the ledger");
    let in_time = house.engine.invoke(with(Duration::from_secs(2))).await.unwrap();
    assert_eq!(in_time.report.outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn reserved_slots_are_free_for_an_invoke_however_long_the_queue_is() {
    let house = House::new().await;
    let quota = Quota { ceiling: 3, invoke_slots: 1, invoke_reserved: 1, ..Quota::default() };
    let acme = house.tenant("acme", quota).await;
    house.function(&acme, "enrich", "slow").await;
    house.dispatch_rule().await;
    for _ in 0..20 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.engine.stats().in_flight, 2, "the queue leaves one of three");
    let before = house.clock.now();
    house.engine.invoke(request(&acme, Selector::Live)).await.unwrap();
    assert_eq!(house.clock.now().since(before), 1_000, "it started at once");
}
