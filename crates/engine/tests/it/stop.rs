//! The kill switch, and quarantine for running into limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sublet_engine::{FunctionChange, InvokeRequest, Kinds, StreamFilter, StreamItem};
use sublet_model::{EndReason, ErrorKind, FunctionConfig, InvocationState, Millis, Outcome, Quota, RetryPolicy};
use sublet_store::{
    EventStatus, InvocationFilter, Page, QuarantineCause, Queue, Registry, RejectReason, Selection, Stop, StoppedBy,
    TenantRecord, TenantStatus,
};

use crate::harness::*;

fn stop(house: &House) -> Stop {
    Stop { reason: "it floods the mail server".to_owned(), by: StoppedBy::Operator, at: house.clock.now() }
}

/// `enrich` takes an hour, unless it is stopped.
fn endless(code: &str, attempt: &sublet_sandbox::Attempt) -> (Duration, Outcome) {
    match code {
        text if text.starts_with("endless") => (Duration::from_secs(3_600), Outcome::Succeeded),
        "loop" => (Duration::from_millis(10), Outcome::TimedOut),
        _ => by_name(code, attempt),
    }
}

async fn endless_house() -> House {
    House::with(Scripted::new(endless), RuntimeClock::new()).await
}

#[tokio::test(start_paused = true)]
async fn a_stopped_function_ends_what_runs_and_goes_on_where_it_was_once_it_is_started() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota { ceiling: 2, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "endless").await;
    house.function(&acme, "other", "ok").await;
    house.dispatch_rule().await;
    for _ in 0..5 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 2);

    let ended = house.engine.stop_function(&acme, &name("enrich"), stop(&house), false).await.unwrap();
    assert_eq!(ended, 2);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 0, "ended in the sandbox, an hour before its time");
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.waiting, balance.in_flight, balance.accepted), (5, 0, 5), "nothing is lost");
    let other = InvokeRequest { function: name("other"), ..call_of(&acme) };
    assert!(house.engine.invoke(other).await.is_ok(), "the tenant's other functions go on");
    let refused = house.engine.invoke(call_of(&acme)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("floods the mail server"), "{refused}");
    house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(house.engine.balance(acme.id).await.unwrap().waiting, 6, "accepted, and it waits");
    assert_eq!(house.engine.stats().waiting, 6);

    let all = house.store.invocations(acme.id, InvocationFilter::default(), Page::default()).await.unwrap().items;
    let stopped: Vec<_> = all.iter().filter(|record| record.starts > 0 && record.event.is_some()).collect();
    assert_eq!(stopped.len(), 2);
    for record in stopped {
        assert_eq!((record.state, record.failed), (InvocationState::Retrying, 0));
        let attempt = &house.store.attempts(acme.id, record.id).await.unwrap()[0].end;
        assert_eq!(attempt.outcome, Outcome::Cancelled);
        assert!(attempt.usage.wall_us >= 100_000, "it is metered by the time it took: {:?}", attempt.usage);
        assert_eq!((attempt.usage.cpu_us, &attempt.log[..]), (10, &b"hello\n"[..]), "and what it used");
        let failure = String::from_utf8(attempt.failure.clone().unwrap().to_vec()).unwrap();
        assert!(failure.contains("Sublet.Stopped") && failure.contains("floods the mail server"), "{failure}");
    }

    house.function(&acme, "enrich", "ok").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.engine.balance(acme.id).await.unwrap().waiting, 6, "a new version does not lift it");
    house.engine.start_function(&acme, &name("enrich"), StoppedBy::Operator).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.waiting), (6, 0));
    assert_eq!(house.sandbox.alone.load(Ordering::SeqCst), 0, "a stop is no crash");
    assert_eq!(house.engine.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_heed_a_stop_is_let_go_a_second_later() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "endless and deaf").await;
    house.dispatch_rule().await;
    house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.engine.stop_function(&acme, &name("enrich"), stop(&house), true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 0);
    let record =
        house.store.invocations(acme.id, InvocationFilter::default(), Page::default()).await.unwrap().items.remove(0);
    let attempt = house.store.attempts(acme.id, record.id).await.unwrap().remove(0).end;
    assert_eq!((attempt.outcome, attempt.usage.cpu_us, attempt.log.len()), (Outcome::Cancelled, 0, 0));
    assert!(attempt.usage.wall_us >= 100_000, "{:?}", attempt.usage);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cancels_ends_the_invocations_that_run_and_no_others() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota { ceiling: 2, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "endless").await;
    house.dispatch_rule().await;
    let mut results = house.engine.stream(None, StreamFilter::default());
    for _ in 0..3 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.engine.stop_function(&acme, &name("enrich"), stop(&house), true).await.unwrap();
    for _ in 0..2 {
        let (succeeded, told) = detail(results.next().await);
        assert!(!succeeded && told["error"]["errorType"] == "Sublet.Stopped", "{told}");
    }
    let cancelled = InvocationFilter { state: Some(InvocationState::Cancelled), ..Default::default() };
    let items = house.store.invocations(acme.id, cancelled, Page::default()).await.unwrap().items;
    assert_eq!(items.len(), 2);
    assert!(items.iter().all(|record| record.reason == Some(EndReason::Stopped)));
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert!(balance.holds() && balance.waiting == 1, "{balance:?}");
    assert_eq!(house.engine.cancel(acme.id, Selection::All).await.unwrap(), 1, "what waits may be cancelled meanwhile");
    assert_eq!(house.engine.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_tenant_is_suspended_and_what_runs_of_it_ends_invokes_included() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota { ceiling: 3, invoke_slots: 1, ..Quota::default() }).await;
    let other = house.tenant("other", Quota::default()).await;
    for tenant in [&acme, &other] {
        house.function(tenant, "enrich", "endless").await;
    }
    house.dispatch_rule().await;
    house.publish(event("acme", None, "{}")).await;
    house.publish(event("other", None, "{}")).await;
    let engine = house.engine.clone();
    let request = call_of(&acme);
    let call = tokio::spawn(async move { engine.invoke(request).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 3);

    assert_eq!(house.engine.stop_tenant(&acme, stop(&house), false).await.unwrap(), 2);
    let answer = call.await.unwrap().unwrap_err();
    assert_eq!(answer.kind, ErrorKind::Conflict);
    assert!(answer.message.contains("floods the mail server"), "{answer}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.sandbox.running.load(Ordering::SeqCst), 1, "the other tenant's");
    let rejected = EventStatus::Rejected(RejectReason::SuspendedTenant);
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, rejected);
    let held = house.engine.registry().tenant("acme").await.unwrap().unwrap();
    assert_eq!(
        (held.spec.status, held.spec.stopped.clone().unwrap().by),
        (TenantStatus::Suspended, StoppedBy::Operator)
    );
    assert_eq!(house.engine.invoke(call_of(&held)).await.unwrap_err().kind, ErrorKind::Conflict);

    house.function(&acme, "enrich", "ok").await;
    house.engine.start_tenant(&held).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert!(balance.holds() && balance.succeeded == 1, "{balance:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_speaks_at_the_same_moment_lifts_no_stop_of_the_operators() {
    let (house, stall) = House::stalling(Scripted::new(by_name)).await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    let stops = |by| {
        let (engine, tenant, said) = (house.engine.clone(), Arc::clone(&acme), Stop { by, ..stop(&house) });
        tokio::spawn(async move { engine.stop_function(&tenant, &name("enrich"), said, false).await.map(drop) })
    };
    let starts = |by| {
        let (engine, tenant) = (house.engine.clone(), Arc::clone(&acme));
        tokio::spawn(async move { engine.start_function(&tenant, &name("enrich"), by).await })
    };
    let writing = stall.begin(&house).await;
    let operators = stops(StoppedBy::Operator);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let tenants = [starts(StoppedBy::Tenant), stops(StoppedBy::Tenant)];
    tokio::time::sleep(Duration::from_millis(100)).await;
    writing.abort();
    operators.await.unwrap().unwrap();
    for answer in tenants {
        let refused = answer.await.unwrap().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert!(refused.message.starts_with("the operator stopped this function"), "{refused}");
    }
    let stored = async || house.store.function(acme.id, &name("enrich")).await.unwrap().unwrap().stopped;
    assert_eq!(stored().await.unwrap().by, StoppedBy::Operator);
    starts(StoppedBy::Operator).await.unwrap().unwrap();
    assert_eq!(stored().await, None);
    stops(StoppedBy::Tenant).await.unwrap().unwrap();
    starts(StoppedBy::Tenant).await.unwrap().unwrap();
    assert_eq!(stored().await, None, "its own it lifts");
}

#[tokio::test(start_paused = true)]
async fn stopping_and_starting_change_nothing_else_of_a_tenant_and_make_none_anew() {
    let house = House::new().await;
    let said = stop(&house);
    let stale = house.tenant("acme", Quota { ceiling: 2, invoke_slots: 1, ..Quota::default() }).await;
    house.tenant("acme", Quota { ceiling: 7, invoke_slots: 1, ..Quota::default() }).await;
    house.engine.stop_tenant(&stale, said.clone(), false).await.unwrap();
    let stopped = house.store.tenant(&name("acme")).await.unwrap().unwrap().spec;
    assert_eq!(
        (stopped.status, stopped.stopped, stopped.quota.ceiling),
        (TenantStatus::Suspended, Some(said.clone()), 7)
    );
    house.engine.start_tenant(&stale).await.unwrap();
    let started = house.store.tenant(&name("acme")).await.unwrap().unwrap().spec;
    assert_eq!((started.status, started.stopped, started.quota.ceiling), (TenantStatus::Active, None, 7));

    house.engine.registry().delete_tenant(&name("acme")).await.unwrap();
    let stopped = house.engine.stop_tenant(&stale, said, false).await.map(drop);
    for answer in [stopped, house.engine.start_tenant(&stale).await] {
        assert_eq!(answer.unwrap_err().kind, ErrorKind::NotFound);
    }
    assert_eq!(house.store.tenant(&name("acme")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_holds_across_a_restart() {
    let House { engine, store, sandbox, code, clock } = endless_house().await;
    let house =
        House { engine, store: store.clone(), sandbox: sandbox.clone(), code: code.clone(), clock: clock.clone() };
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    house.engine.stop_function(&acme, &name("enrich"), stop(&house), false).await.unwrap();
    for _ in 0..40 {
        house.publish(event("acme", None, "{}")).await;
    }
    drop(house);
    let reopened = store.reopen();
    let engine = start(&reopened, &sandbox, &code, &clock, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let balance = engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.waiting, balance.succeeded), (40, 0));
    assert_eq!((engine.stats().waiting, engine.stats().in_flight), (40, 0));
    engine.start_function(&acme, &name("enrich"), StoppedBy::Operator).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.balance(acme.id).await.unwrap().succeeded, 40);
}

#[tokio::test(start_paused = true)]
async fn what_waits_of_a_stopped_function_that_is_deleted_is_a_dead_letter() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    house.engine.stop_function(&acme, &name("enrich"), stop(&house), false).await.unwrap();
    house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.engine.registry().delete_function(acme.id, &name("enrich"), StoppedBy::Operator).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let dead = house.store.dead_letters(acme.id, Page::default()).await.unwrap().items;
    assert_eq!((dead.len(), dead[0].reason), (1, Some(EndReason::NoFunction)));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_times_out_time_after_time_is_quarantined_with_its_reason_and_released() {
    let house = endless_house().await;
    let acme = house.tenant("acme", Quota { ceiling: 1, invoke_slots: 1, ..Quota::default() }).await;
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let config = FunctionConfig { retry: Some(retry), timeout: Millis(100), ..Default::default() };
    house.configured(&acme, "enrich", "loop", config.clone()).await;
    house.dispatch_rule().await;
    let filter = StreamFilter { kinds: Kinds::States, ..StreamFilter::default() };
    let mut changes = house.engine.stream(None, filter);
    for _ in 0..25 {
        house.publish(event("acme", None, "{}")).await;
    }
    let change = async |changes: &mut sublet_engine::ResultStream| loop {
        if let Some(StreamItem::Function(change)) = changes.next().await {
            return change;
        }
    };
    let told = change(&mut changes).await;
    assert_eq!((told.change, told.function.as_str()), (FunctionChange::Quarantined, "enrich"));
    tokio::time::sleep(Duration::from_secs(60)).await;

    let function = house.engine.registry().function(acme.id, &name("enrich")).await.unwrap().unwrap();
    let why = function.quarantined.clone().unwrap();
    assert_eq!((why.cause, why.count, why.of), (QuarantineCause::Timeouts, 20, 20));
    assert!(why.reason.contains("20 of its last 20 attempts"), "{}", why.reason);
    let mut dead = house.store.dead_letters(acme.id, Page::default()).await.unwrap().items;
    dead.sort_by_key(|record| record.id);
    assert_eq!((why.first, why.last), (Some(dead[0].id), Some(dead[19].id)));
    let reasons: Vec<_> = dead.iter().map(|record| record.reason.unwrap()).collect();
    assert!(reasons[..20].iter().all(|reason| *reason == EndReason::AttemptsExhausted), "{reasons:?}");
    assert!(reasons[20..].iter().all(|reason| *reason == EndReason::Quarantined), "{reasons:?}");
    assert_eq!((dead.len(), dead[24].starts), (25, 0));

    house.engine.release_function(&acme, &name("enrich")).await.unwrap();
    assert_eq!(change(&mut changes).await.change, FunctionChange::Released);
    house.configured(&acme, "enrich", "ok", config).await;
    assert_eq!(house.engine.redrive(acme.id, Selection::All).await.unwrap(), 25, "all of them may be asked back");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.dead_lettered), (25, 0));
}

/// A tenant whose function's second version, the live one, runs into its limit each time; its first does no harm.
async fn with_loop(house: &House) -> Arc<TenantRecord> {
    let acme = house.tenant("acme", Quota { ceiling: 1, invoke_slots: 1, ..Quota::default() }).await;
    let config =
        FunctionConfig { retry: Some(RetryPolicy { attempts: 1, ..Default::default() }), ..Default::default() };
    house.configured(&acme, "enrich", "ok", config.clone()).await;
    house.configured(&acme, "enrich", "loop", config).await;
    house.dispatch_rule().await;
    acme
}

/// Publishes so many events for it, and waits until they have run.
async fn run_in_turn(house: &House, count: usize) {
    for _ in 0..count {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_released_function_is_counted_anew_and_a_rollback_lifts_a_quarantine_too() {
    let house = endless_house().await;
    let acme = with_loop(&house).await;
    let run = async |count: usize| {
        run_in_turn(&house, count).await;
        let registry = house.engine.registry();
        registry.function(acme.id, &name("enrich")).await.unwrap().unwrap().quarantined.is_some()
    };
    assert!(!run(19).await && run(1).await);
    house.engine.release_function(&acme, &name("enrich")).await.unwrap();
    assert!(!run(19).await && run(1).await);
    let function = house.engine.registry().function(acme.id, &name("enrich")).await.unwrap().unwrap();
    house.engine.registry().put_alias(acme.id, function.id, &name("live"), 1).await.unwrap();
    assert!(!run(1).await);
    assert_eq!(house.engine.balance(acme.id).await.unwrap().succeeded, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_is_not_for_the_version_that_went_live_while_it_was_earned() {
    let (house, stall) = House::stalling(Scripted::new(endless)).await;
    let acme = with_loop(&house).await;
    let run = async |count: usize| run_in_turn(&house, count).await;
    run(19).await;
    let function = house.store.function(acme.id, &name("enrich")).await.unwrap().unwrap();
    assert_eq!((function.live, &function.quarantined), (Some(2), &None));

    let writing = stall.begin(&house).await;
    let engine = house.engine.clone();
    let mends =
        tokio::spawn(async move { engine.registry().put_alias(function.tenant, function.id, &name("live"), 1).await });
    // The twentieth still runs what does harm, and ends when the other version is about to go live.
    run(1).await;
    writing.abort();
    mends.await.unwrap().unwrap();
    run(1).await;
    let function = house.store.function(acme.id, &name("enrich")).await.unwrap().unwrap();
    assert_eq!((function.live, function.quarantined), (Some(1), None));
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.dead_lettered), (1, 20));
}
