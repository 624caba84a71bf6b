//! From an event to its result, and what may stand in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sublet_engine::StreamFilter;
use sublet_model::{Clock, ErrorKind, FunctionConfig, InvocationState, Millis, Quota, RetryPolicy};
use sublet_store::{
    EventStatus, InvocationFilter, Ledger, Page, Queue, RejectReason, Selection, Store, TenantSpec, TenantStatus,
    UsageQuery,
};

use crate::harness::*;

#[tokio::test(start_paused = true)]
async fn an_event_becomes_a_result_event_and_a_ledger_line() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    let mut results = house.engine.stream(None, StreamFilter::default());

    let receipt = house.publish(event("acme", Some("item-1"), r#"{"title":"milk"}"#)).await;
    assert_eq!((receipt.status, receipt.repeated), (EventStatus::Matched, false));
    let (succeeded, detail) = detail(results.next().await);
    assert!(succeeded);
    assert_eq!((&detail["event"], &detail["event_id"]), (&"item-1".into(), &receipt.id.to_string().into()));
    assert_eq!((&detail["function"], &detail["version"]), (&"enrich".into(), &1.into()));
    assert_eq!(detail["result"]["ok"], true);

    let balance = house.engine.balance(acme.id).await.unwrap();
    assert!(balance.holds() && balance.accepted == 1 && balance.succeeded == 1, "{balance:?}");
    let query = UsageQuery {
        tenant: Some(acme.id),
        function: None,
        from: START.hour(),
        to: START + Duration::from_secs(7_200),
    };
    let usage = house.store.usage(query).await.unwrap();
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].sum.attempts, usage[0].sum.succeeded), (1, 1));

    let again = house.publish(event("acme", Some("item-1"), r#"{"title":"milk"}"#)).await;
    assert_eq!((again.id, again.repeated), (receipt.id, true));
    let other = house.engine.publish(vec![event("acme", Some("item-1"), r#"{"title":"tea"}"#)]).await.unwrap();
    assert_eq!(other[0].as_ref().unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_dead_lettered_announced_and_redriven() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "fail").await;
    house.dispatch_rule().await;
    let mut results = house.engine.stream(None, StreamFilter::default());
    house.publish(event("acme", None, "{}")).await;
    let (succeeded, first) = detail(results.next().await);
    assert!(!succeeded);
    assert_eq!(first["error"]["errorMessage"], "scripted");
    let dead = house.store.dead_letters(acme.id, Page::default()).await.unwrap().items;
    assert_eq!((dead.len(), dead[0].failed), (1, 3));
    assert_eq!(house.store.attempts(acme.id, dead[0].id).await.unwrap().len(), 3);

    house.function(&acme, "enrich", "ok now").await;
    assert_eq!(house.engine.redrive(acme.id, Selection::All).await.unwrap(), 1);
    let (succeeded, second) = detail(results.next().await);
    assert!(succeeded);
    assert_eq!((&second["invocation"], &second["version"]), (&first["invocation"], &2.into()));
    assert!(house.engine.balance(acme.id).await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_run_is_recorded_with_its_reason_and_runs_once_it_can() {
    let house = House::new().await;
    house.dispatch_rule().await;
    let unknown = EventStatus::Rejected(RejectReason::UnknownTenant);
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, unknown);
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, unknown);
    assert_eq!(house.publish(event("no name", None, "{}")).await.status, unknown);

    let acme = house.tenant("acme", Quota::default()).await;
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, EventStatus::Unmatched, "no function yet");
    house.function(&acme, "enrich", "ok").await;
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, EventStatus::Matched);

    let suspended = TenantSpec { status: TenantStatus::Suspended, ..acme.spec.clone() };
    house.engine.registry().put_tenant(&acme.name, suspended).await.unwrap();
    let rejected = EventStatus::Rejected(RejectReason::SuspendedTenant);
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, rejected);
    house.engine.registry().delete_tenant(&acme.name).await.unwrap();
    assert_eq!(house.publish(event("acme", None, "{}")).await.status, unknown);
}

#[tokio::test(start_paused = true)]
async fn malformed_and_reserved_events_store_nothing() {
    let house = House::new().await;
    let mut reserved = event("acme", None, "{}");
    reserved.source = "sublet".to_owned();
    let deep = event("acme", None, &format!(r#"{{"a":{}{}}}"#, "[".repeat(70), "]".repeat(70)));
    let long = event("acme", None, &format!(r#"{{"a":"{}"}}"#, "x".repeat(300 * 1024)));
    let answers = house.engine.publish(vec![reserved, deep, long]).await.unwrap();
    let fields: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap_err().field.clone().unwrap()).collect();
    assert_eq!(fields, ["source", "detail", "detail"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_is_throttled_and_others_go_on() {
    let house = House::new().await;
    house.dispatch_rule().await;
    let noisy = house.tenant("noisy", Quota { ceiling: 1, invoke_slots: 1, backlog: 5, ..Quota::default() }).await;
    let quiet = house.tenant("quiet", Quota::default()).await;
    house.function(&noisy, "enrich", "slow").await;
    house.function(&quiet, "enrich", "ok").await;
    let batch = (0..20).map(|_| event("noisy", None, "{}")).collect();
    let answers = house.engine.publish(batch).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert!(answers[6..].iter().all(|answer| answer.as_ref().unwrap_err().kind == ErrorKind::Throttled));
    assert_eq!(house.publish(event("quiet", None, "{}")).await.status, EventStatus::Matched);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(house.engine.balance(noisy.id).await.unwrap().succeeded, 5);
    assert_eq!(house.sandbox.running_most.load(Ordering::SeqCst), 2, "one of each at most");
    house.publish(event("noisy", None, "{}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_tenants_rule_sees_its_own_events_only_and_result_events_only_if_it_names_sublet() {
    let house = House::new().await;
    let (a, b) = (house.tenant("a", Quota::default()).await, house.tenant("b", Quota::default()).await);
    for tenant in [&a, &b] {
        house.function(tenant, "first", "ok").await;
        house.function(tenant, "second", "ok").await;
    }
    let registry = house.engine.registry();
    let everything = rule(r#"{"detail-type":[{"exists":true}]}"#, r#"[{"function":{"name":"first"}}]"#);
    registry.put_rule(Some((a.id, &a.name)), &name("all"), everything).await.unwrap();
    let results =
        rule(r#"{"source":["sublet"],"detail":{"function":["first"]}}"#, r#"[{"function":{"name":"second"}}]"#);
    registry.put_rule(Some((a.id, &a.name)), &name("results"), results).await.unwrap();
    house.publish(event("a", None, "{}")).await;
    assert_eq!(house.publish(event("b", None, "{}")).await.status, EventStatus::Unmatched);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ran = house.store.invocations(a.id, InvocationFilter::default(), Page::default()).await.unwrap().items;
    assert_eq!(ran.len(), 2, "first by the event, second by first's result, and no more");
    assert_eq!(house.engine.balance(b.id).await.unwrap().accepted, 0);
}

#[tokio::test(start_paused = true)]
async fn results_that_beget_results_end_as_a_loop() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    let spec = rule(r#"{"source":["sublet"]}"#, r#"[{"tenant":"enrich"}]"#);
    house.engine.registry().put_rule(None, &name("again"), spec).await.unwrap();
    house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.accepted, balance.succeeded), (17, 17), "the event's own and sixteen results");
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_interrupted_is_run_again_by_the_next_owner() {
    let House { engine, store, sandbox, code, clock } = House::new().await;
    let house = House { engine: engine.clone(), store: store.clone(), sandbox: sandbox.clone(), code, clock };
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "slow").await;
    house.dispatch_rule().await;
    for _ in 0..3 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(house.engine.stats().in_flight, 3);
    let House { engine: second, code, clock, .. } = house;
    drop((engine, second));
    let reopened = store.reopen();
    let engine = start(&reopened, &sandbox, &code, &clock, 1).await;
    let mut results = engine.stream(None, StreamFilter::default());
    for _ in 0..3 {
        assert!(detail(results.next().await).0);
    }
    assert_eq!(sandbox.alone.load(Ordering::SeqCst), 3, "each runs alone after a crash under it");
    let balance = engine.balance(acme.id).await.unwrap();
    assert!(balance.holds() && balance.succeeded == 3, "{balance:?}");
}

#[tokio::test(start_paused = true)]
async fn ids_go_on_above_the_stores_after_the_clock_was_set_back_across_a_restart() {
    let House { engine, store, sandbox, code, clock } = House::new().await;
    let house = House { engine, store: store.clone(), sandbox: sandbox.clone(), code: code.clone(), clock };
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let mut last = house.publish(event("acme", None, "{}")).await.id;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let greatest = house.store.greatest_id().await.unwrap();
    drop(house);

    let clock: Arc<dyn Clock> = RuntimeClock::new();
    assert!(clock.now() < last.minted_at());
    let reopened = store.reopen();
    let engine = start(&reopened, &sandbox, &code, &clock, 0).await;
    for _ in 0..20 {
        let receipt = engine.publish(vec![event("acme", None, "{}")]).await.unwrap().remove(0).unwrap();
        assert!(receipt.id > last && receipt.id.raw() > greatest);
        last = receipt.id;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let balance = engine.balance(acme.id).await.unwrap();
    assert!(balance.holds() && balance.succeeded == 21, "{balance:?}");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_slept_is_fenced_off() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "slow").await;
    house.dispatch_rule().await;
    house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let second = start(&house.store, &house.sandbox, &house.code, &house.clock, 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let done = house.store.invocations(acme.id, InvocationFilter::default(), Page::default()).await.unwrap().items;
    assert_eq!((done[0].state, done[0].starts), (InvocationState::Succeeded, 2));
    let attempts = house.store.attempts(acme.id, done[0].id).await.unwrap();
    assert_eq!(attempts.len(), 2, "the rescue's and the second owner's; the first one's settle left nothing");
    assert!(second.balance(acme.id).await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn a_function_that_crashes_alone_three_times_is_quarantined_until_a_new_version() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "crash").await;
    house.dispatch_rule().await;
    let mut results = house.engine.stream(None, StreamFilter::default());
    house.publish(event("acme", None, "{}")).await;
    assert!(!detail(results.next().await).0);
    let function = house.engine.registry().function(acme.id, &name("enrich")).await.unwrap().unwrap();
    assert!(function.quarantined.as_ref().is_some_and(|why| why.reason.contains("died 3 times")), "{function:?}");
    let dead = house.store.dead_letters(acme.id, Page::default()).await.unwrap().items;
    assert_eq!((dead[0].starts, dead[0].failed), (4, 0), "one shared, three alone, none of them a retry spent");

    house.function(&acme, "enrich", "ok").await;
    house.publish(event("acme", None, "{}")).await;
    assert!(detail(results.next().await).0);
}

#[tokio::test(start_paused = true)]
async fn an_image_of_another_engine_or_key_is_rebuilt_once_at_its_first_use() {
    let with_other_key = Scripted::new(by_name);
    with_other_key.has_other_key.store(true, Ordering::SeqCst);
    for (sandbox, builds) in
        [(Scripted::new(by_name), 0), (Scripted::of_engine("engine-2", by_name), 1), (with_other_key, 1)]
    {
        let House { engine, store, code, clock, .. } = {
            let house = House::new().await;
            let acme = house.tenant("acme", Quota::default()).await;
            house.function(&acme, "enrich", "ok").await;
            house.dispatch_rule().await;
            house
        };
        drop(engine);
        let engine = start(&store.reopen(), &sandbox, &code, &clock, 1).await;
        let mut results = engine.stream(None, StreamFilter::default());
        engine.publish((0..5).map(|_| event("acme", None, "{}")).collect()).await.unwrap();
        for _ in 0..5 {
            assert!(detail(results.next().await).0);
        }
        assert_eq!(sandbox.builds.load(Ordering::SeqCst), builds);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_does_not_run_and_what_is_too_old_expires() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota { ceiling: 1, invoke_slots: 1, ..Quota::default() }).await;
    let retry = RetryPolicy { attempts: 1, age: Millis(2_500), ..RetryPolicy::default() };
    house.configured(&acme, "enrich", "slow", FunctionConfig { retry: Some(retry), ..Default::default() }).await;
    house.dispatch_rule().await;
    for _ in 0..5 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.expired), (3, 2), "starts at 0, 1 and 2 seconds; the rest is too old");

    for _ in 0..5 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.engine.cancel(acme.id, Selection::All).await.unwrap(), 4);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.cancelled, balance.waiting), (4, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_starts_nothing_more_and_waits_for_what_runs() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota { ceiling: 2, invoke_slots: 1, ..Quota::default() }).await;
    house.function(&acme, "enrich", "slow").await;
    house.dispatch_rule().await;
    for _ in 0..5 {
        house.publish(event("acme", None, "{}")).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(house.engine.drain(Duration::from_secs(30)).await);
    let balance = house.engine.balance(acme.id).await.unwrap();
    assert_eq!((balance.succeeded, balance.waiting, balance.in_flight), (2, 3, 0));
    assert!(house.store.outbox(0, 10).await.unwrap().is_empty(), "what ended was announced");
    assert!(house.engine.stats().draining);
}
