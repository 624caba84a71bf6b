//! Named queues, and what is put into them: rules, destinations, dead letters.

use std::time::Duration;

use serde_json::Value;
use sublet_engine::{ReceiveRequest, Received, StreamFilter, StreamItem, Viewer};
use sublet_model::{Destination, Destinations, ErrorKind, FunctionConfig, Millis, QueueSpec, Quota, RetryPolicy};
use sublet_store::{MessageSelection, Messages, QueueRecord, Selection};

use crate::harness::*;

const SECOND: Duration = Duration::from_secs(1);

async fn queue(house: &House, text: &str, spec: QueueSpec) -> std::sync::Arc<QueueRecord> {
    house.engine.registry().put_queue(&name(text), spec).await.unwrap().0
}

fn asking(max: usize, wait: Duration) -> ReceiveRequest {
    ReceiveRequest { max, wait, lease: 30 * SECOND }
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

/// A house whose `todo` events go to the queue `results`.
async fn scene(spec: QueueSpec) -> (House, std::sync::Arc<QueueRecord>) {
    let house = House::new().await;
    house.tenant("acme", Quota::default()).await;
    let queue = queue(&house, "results", spec).await;
    let spec = rule(r#"{"source":["todo"]}"#, r#"[{"queue":"results"}]"#);
    house.engine.registry().put_rule(None, &name("q"), spec).await.unwrap();
    (house, queue)
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_at_once_on_arrival_and_ends_empty_when_nothing_comes() {
    let (house, queue) = scene(QueueSpec::default()).await;
    let before = house.clock.now();
    assert!(house.engine.receive(&queue, asking(9, 20 * SECOND)).await.unwrap().is_empty());
    assert_eq!(house.clock.now().since(before), 20_000);
    let engine = house.engine.clone();
    let record = queue.clone();
    let poll = tokio::spawn(async move { engine.receive(&record, asking(9, 20 * SECOND)).await.unwrap() });
    tokio::time::sleep(5 * SECOND).await;
    let before = house.clock.now();
    let receipt = house.publish(event("acme", Some("one"), r#"{"n":1}"#)).await;
    let received = poll.await.unwrap();
    assert_eq!(house.clock.now().since(before), 0, "it did not wait for a timer");
    assert_eq!((received.len(), received[0].record.event), (1, receipt.id));
    assert_eq!(body(&received[0])["detail"]["n"], 1);
    assert_eq!(house.engine.stats().receives_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_comes_again_and_ends_as_a_dead_letter() {
    let (house, queue) = scene(QueueSpec { receives_max: 2, ..QueueSpec::default() }).await;
    house.publish(event("acme", None, "{}")).await;
    let first = house.engine.receive(&queue, asking(9, SECOND)).await.unwrap().remove(0);
    assert!(house.engine.receive(&queue, asking(9, SECOND)).await.unwrap().is_empty(), "it is in flight");
    let before = house.clock.now();
    let second = house.engine.receive(&queue, asking(9, 20 * SECOND)).await.unwrap();
    assert!(second.is_empty() && house.clock.now().since(before) == 20_000, "still");
    let second = house.engine.receive(&queue, asking(9, 20 * SECOND)).await.unwrap().remove(0);
    assert_eq!(house.clock.now(), first.until, "it woke when the lease ended, not at a look");
    assert_eq!(second.lease.receive, 2);
    let refused = house.engine.ack(queue.id, vec![first.lease]).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Fenced);
    tokio::time::sleep(40 * SECOND).await;
    let stats = house.engine.queue_stats(&queue).await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight, stats.dead), (0, 0, 1));
    assert_eq!(house.engine.redrive_messages(queue.id, MessageSelection::All).await.unwrap(), 1);
    let third = house.engine.receive(&queue, asking(9, SECOND)).await.unwrap().remove(0);
    assert!(house.engine.ack(queue.id, vec![third.lease]).await.unwrap()[0].is_ok());
    let balance = house.store.queue_balance(queue.id, house.clock.now()).await.unwrap();
    assert!(balance.holds() && balance.acked == 1, "{balance:?}");
}

#[tokio::test(start_paused = true)]
async fn a_released_and_an_extended_message_are_where_their_consumer_wants_them() {
    let (house, queue) = scene(QueueSpec::default()).await;
    house.publish(event("acme", None, "{}")).await;
    let first = house.engine.receive(&queue, asking(1, SECOND)).await.unwrap().remove(0);
    house.engine.release_messages(queue.id, vec![first.lease], 5 * SECOND).await.unwrap().remove(0).unwrap();
    let before = house.clock.now();
    let again = house.engine.receive(&queue, asking(1, 20 * SECOND)).await.unwrap().remove(0);
    assert_eq!(house.clock.now().since(before), 5_000);
    let (until, answers) = house.engine.extend_messages(queue.id, vec![again.lease], 60 * SECOND).await.unwrap();
    assert!(answers[0].is_ok() && until == house.clock.now() + 60 * SECOND);
    tokio::time::sleep(45 * SECOND).await;
    assert!(
        house.engine.receive(&queue, asking(1, Duration::ZERO)).await.unwrap().is_empty(),
        "beyond its first lease"
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_goes_away_leaves_no_message_behind() {
    let (house, queue) = scene(QueueSpec::default()).await;
    let poll = house.engine.receive(&queue, asking(1, 20 * SECOND));
    assert!(tokio::time::timeout(SECOND, poll).await.is_err());
    house.publish(event("acme", None, "{}")).await;
    let received = house.engine.receive(&queue, asking(1, SECOND)).await.unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(house.engine.stats().receives_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn each_of_many_polls_gets_a_message_and_no_message_goes_out_twice() {
    let (house, queue) = scene(QueueSpec::default()).await;
    let polls: Vec<_> = (0..20)
        .map(|_| {
            let (engine, queue) = (house.engine.clone(), queue.clone());
            tokio::spawn(async move { engine.receive(&queue, asking(1, 20 * SECOND)).await.unwrap() })
        })
        .collect();
    tokio::time::sleep(SECOND).await;
    let batch = (0..20).map(|_| event("acme", None, "{}")).collect();
    house.engine.publish(batch).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for poll in polls {
        for received in poll.await.unwrap() {
            assert!(seen.insert(received.record.id));
        }
    }
    assert_eq!(seen.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn polls_end_with_the_engine_and_a_lease_outlives_it() {
    let (house, queue) = scene(QueueSpec::default()).await;
    house.publish(event("acme", None, "{}")).await;
    let held = house.engine.receive(&queue, asking(1, SECOND)).await.unwrap().remove(0);
    let (engine, record) = (house.engine.clone(), queue.clone());
    let poll = tokio::spawn(async move { engine.receive(&record, asking(1, 20 * SECOND)).await.unwrap() });
    tokio::time::sleep(SECOND).await;
    let before = house.clock.now();
    house.engine.drain(SECOND).await;
    assert!(poll.await.unwrap().is_empty());
    assert_eq!(house.clock.now(), before);
    let store = house.store.reopen();
    let next = start(&store, &house.sandbox, &house.code, &house.clock, 1).await;
    assert!(next.receive(&queue, asking(1, Duration::ZERO)).await.unwrap().is_empty(), "it is in flight");
    assert!(next.ack(queue.id, vec![held.lease]).await.unwrap()[0].is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_throttled_for_publishers_and_recorded_for_results() {
    let (house, queue) = scene(QueueSpec { depth: 2, ..QueueSpec::default() }).await;
    let batch = (0..3).map(|_| event("acme", None, "{}")).collect();
    let answers = house.engine.publish(batch).await.unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, None, Some(ErrorKind::Throttled)]);
    let received = house.engine.receive(&queue, asking(9, SECOND)).await.unwrap();
    let refused = house.engine.publish(vec![event("acme", None, "{}")]).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Throttled, "what is in flight takes its place");
    let leases = received.iter().map(|message| message.lease).collect();
    house.engine.ack(queue.id, leases).await.unwrap();
    assert!(house.engine.publish(vec![event("acme", None, "{}")]).await.unwrap()[0].is_ok());

    // A result has nobody to be refused to.
    let acme = house.engine.registry().tenant("acme").await.unwrap().unwrap();
    let tight = self::queue(&house, "tight", QueueSpec { depth: 1, ..QueueSpec::default() }).await;
    let destinations = Destinations { on_success: Some(Destination::Queue(name("tight"))), on_failure: None };
    house.configured(&acme, "enrich", "ok", FunctionConfig { destinations, ..Default::default() }).await;
    let spec = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#);
    house.engine.registry().put_rule(None, &name("q"), spec).await.unwrap();
    let mut stream = house.engine.stream(None, StreamFilter::default());
    for _ in 0..2 {
        house.publish(event("acme", None, "{}")).await;
        stream.next().await.unwrap();
    }
    let mut left_out = 0;
    for record in house.engine.store().events(None, Default::default()).await.unwrap().items {
        let story = house.engine.explain(record.id, Viewer::Operator).await.unwrap();
        left_out += serde_json::to_string(&story.rules).unwrap().matches("queue_full").count();
    }
    assert_eq!(left_out, 1);
    assert_eq!(house.engine.queue_stats(&tight).await.unwrap().waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn messages_expire_with_their_queues_retention() {
    let spec = QueueSpec { retention: Millis(60_000), receives_max: 1, ..QueueSpec::default() };
    let (house, queue) = scene(spec).await;
    for _ in 0..2 {
        house.publish(event("acme", None, "{}")).await;
    }
    house.engine.receive(&queue, asking(1, SECOND)).await.unwrap();
    // The upkeep looks every second, and at a moment after the retention's end.
    tokio::time::sleep(63 * SECOND).await;
    let stats = house.engine.queue_stats(&queue).await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight, stats.dead), (0, 0, 1), "the dead one is kept from when it died");
    tokio::time::sleep(180 * SECOND).await;
    assert_eq!(house.engine.queue_stats(&queue).await.unwrap().dead, 0);
    let balance = house.store.queue_balance(queue.id, house.clock.now()).await.unwrap();
    assert_eq!((balance.holds(), balance.expired), (true, 2), "{balance:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_target_or_a_function_gives_up_is_put_into_its_queue() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let (of_target, of_function) =
        (queue(&house, "target", QueueSpec::default()).await, queue(&house, "function", QueueSpec::default()).await);
    let retry = Some(RetryPolicy { attempts: 1, ..RetryPolicy::default() });
    let dead_letter = Some(serde_json::from_str(r#"{"queue":"function"}"#).unwrap());
    let config = FunctionConfig { retry, dead_letter, ..FunctionConfig::default() };
    house.configured(&acme, "enrich", "fail", config).await;
    let targets = r#"[{"tenant":"enrich","dead_letter":{"queue":"target"}},{"tenant":"enrich"}]"#;
    let spec = rule(r#"{"source":["todo"]}"#, targets);
    house.engine.registry().put_rule(None, &name("dispatch"), spec).await.unwrap();
    let receipt = house.publish(event("acme", Some("lost"), r#"{"n":7}"#)).await;
    for queue in [of_target, of_function] {
        let received = house.engine.receive(&queue, asking(9, 20 * SECOND)).await.unwrap();
        assert_eq!((received.len(), received[0].record.event), (1, receipt.id), "{}", queue.name);
        assert!(received[0].record.origin.is_some());
        assert_eq!(body(&received[0])["detail"]["n"], 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_functions_destinations_are_checked_and_reach_queues_and_its_tenants_functions() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let queue = queue(&house, "results", QueueSpec::default()).await;
    house.function(&acme, "audit", "ok").await;
    let with = |on_success: Destination, on_failure: Destination| FunctionConfig {
        destinations: Destinations { on_success: Some(on_success), on_failure: Some(on_failure) },
        ..FunctionConfig::default()
    };
    let fine = || Destination::Queue(name("results"));
    for (bad, field) in [
        (Destination::Queue(name("nowhere")), "no queue"),
        (Destination::Webhook(name("nowhere")), "no webhook"),
        (Destination::Function(name("nowhere")), "no function"),
        (Destination::Function(name("enrich")), "itself"),
    ] {
        let put = house.engine.registry().put_function(acme.id, &name("enrich"), with(fine(), bad)).await;
        let refused = put.unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("destinations.on_failure"));
        assert!(refused.message.contains(field), "{refused}");
    }
    house.configured(&acme, "enrich", "ok", with(Destination::Function(name("audit")), fine())).await;
    house.configured(&acme, "audit", "ok", with(fine(), fine())).await;
    house.dispatch_rule().await;
    house.publish(event("acme", Some("one"), "{}")).await;
    let received = house.engine.receive(&queue, asking(9, 20 * SECOND)).await.unwrap().remove(0);
    let result = body(&received);
    assert_eq!((&result["detail"]["function"], &result["source"]), (&"audit".into(), &"sublet".into()));
    let story = house.engine.explain(received.record.event, Viewer::Operator).await.unwrap();
    assert_eq!((story.messages.len(), story.messages[0].state), (1, "in_flight"));
    house.engine.ack(queue.id, vec![received.lease]).await.unwrap();
    let story = house.engine.explain(received.record.event, Viewer::Operator).await.unwrap();
    assert_eq!(story.messages[0].state, "acked");
    assert!(house.engine.explain(received.record.event, Viewer::Tenant(acme.id)).await.unwrap().messages.is_empty());
}

fn envelope(item: Option<StreamItem>) -> Value {
    let Some(StreamItem::Result(item)) = item else { panic!("not a result: {item:?}") };
    serde_json::from_slice(&item.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_redriven_invocations_second_result_has_an_id_of_its_own() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "fail").await;
    house.dispatch_rule().await;
    let mut stream = house.engine.stream(None, StreamFilter::default());
    house.publish(event("acme", Some("one"), "{}")).await;
    let first = envelope(stream.next().await);
    let invocation = first["detail"]["invocation"].as_str().unwrap().to_owned();
    assert_eq!(first["id"], invocation.as_str());
    for time in 2..4 {
        assert_eq!(house.engine.redrive(acme.id, Selection::All).await.unwrap(), 1);
        let again = envelope(stream.next().await);
        assert_eq!(again["detail"]["invocation"], invocation.as_str());
        assert_eq!(again["id"], format!("{invocation}.{time}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_names_the_tenant_of_the_request_and_belongs_to_the_one_whose_function_ran() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let ops = house.tenant("ops", Quota::default()).await;
    house.function(&ops, "audit", "ok").await;
    let spec = rule(r#"{"source":["todo"]}"#, r#"[{"function":{"tenant":"ops","name":"audit"}}]"#);
    house.engine.registry().put_rule(None, &name("audit"), spec).await.unwrap();
    let own = StreamFilter { tenant: Some(acme.id), ..StreamFilter::default() };
    let (mut all, mut acmes) = (house.engine.stream(None, StreamFilter::default()), house.engine.stream(None, own));
    house.publish(event("acme", Some("one"), "{}")).await;
    let Some(StreamItem::Result(item)) = all.next().await else { panic!("no result") };
    let result: Value = serde_json::from_slice(&item.body).unwrap();
    assert_eq!(result["tenant"], "acme", "as on the request");
    assert_eq!(item.tenant, Some(ops.id));
    assert!(house.engine.explain(item.id, Viewer::Tenant(ops.id)).await.is_ok());
    let hidden = house.engine.explain(item.id, Viewer::Tenant(acme.id)).await.unwrap_err();
    assert_eq!(hidden.kind, ErrorKind::NotFound, "what another tenant's function answered is not acme's to see");
    assert!(tokio::time::timeout(SECOND, acmes.next()).await.is_err());
    let listed = house.engine.store().events(Some(acme.id), Default::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1, "the event it published, and nothing else");
}
