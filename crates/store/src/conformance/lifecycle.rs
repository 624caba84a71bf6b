//! Opening, upkeep, closing, and many callers at once.

use std::time::Duration;

use futures::future::join_all;
use sublet_model::{EndReason, ErrorKind, InvocationState, Timestamp};

use super::world::{LEASE, World, first, name, refusal, spec};
use crate::{Balance, DeliveryAttempt, DeliveryNext, Finish, Next, Published, Selection};

pub(super) async fn a_closed_store_refuses_every_write(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (waits, runs) = (world.waiting(&acme).await, world.running(&acme).await);
    let (event, invoke) = (world.delivered(&acme, "crm"), world.invocation(&acme, None));
    let delivery = event.deliveries[0].id;
    world.accept(event).await;
    world.dead(&acme).await;
    let late = world.event(Some(acme.id));
    world.store().close().await.unwrap();

    let (store, now, refused) = (world.store(), world.now, ErrorKind::Unavailable);
    assert_eq!(refusal(store.publish(vec![late], now).await), refused);
    assert_eq!(refusal(store.put_tenant(&name("zeta"), spec(), now).await), refused);
    assert_eq!(refusal(store.delete_tenant(&acme.name, now).await), refused);
    assert_eq!(refusal(store.acquire(1, now).await), refused);
    assert_eq!(refusal(world.try_claim(world.lease(&acme, waits, 1)).await), refused);
    assert_eq!(refusal(store.begin(invoke, runs.epoch, now + LEASE).await.unwrap()), refused);
    assert_eq!(refusal(store.extend(vec![runs], now + LEASE).await), refused);
    assert_eq!(refusal(world.try_settle(runs, Next::Succeed).await), refused);
    let (tenant, epoch, reason, state) = (acme.id, runs.epoch, EndReason::TooOld, InvocationState::Expired);
    let finish = Finish { invocation: waits, tenant, epoch, state, reason, at: now, announce: true, message: None };
    assert_eq!(refusal(store.finish(finish).await), refused);
    assert_eq!(refusal(store.rescue(&world.ownership, now + LEASE * 2).await), refused);
    assert_eq!(refusal(store.redrive(acme.id, Selection::All, now).await), refused);
    assert_eq!(refusal(store.cancel(acme.id, Selection::All, reason, now).await), refused);
    let tried = DeliveryAttempt { at: now, status: None, error: None, latency_ms: 0, response: None };
    assert_eq!(refusal(store.settle_delivery(delivery, tried, DeliveryNext::Delivered).await), refused);
    assert_eq!(refusal(store.replay_delivery(delivery, now).await), refused);
}

pub(super) async fn what_was_there_at_the_close_is_there_again(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    world.dead(&acme).await;
    world.waiting(&acme).await;
    let photo = world.photograph().await;
    let lease = world.running(&acme).await;
    world.settle(lease, Next::Succeed).await;
    let last = world.photograph().await;
    assert_ne!(photo, last);
    world.store().close().await.unwrap();
    world.restart().await;
    assert_eq!(world.photograph().await, last);
    world.check().await;
    world.waiting(&acme).await;
}

pub(super) async fn the_greatest_id_is_known_whatever_became_of_its_row(world: &mut World) {
    assert_eq!(world.store().greatest_id().await.unwrap(), 0);
    let acme = world.tenant("acme").await;
    let unmatched = world.event(Some(acme.id));
    let (event, unseen) = (unmatched.id.raw(), world.raw());
    world.accept(unmatched).await;
    assert_eq!(world.store().greatest_id().await.unwrap(), event);

    // An hour on, so that an earlier hour's rows are not the newest.
    world.pass(Duration::from_secs(3_600));
    let invocation = world.waiting(&acme).await.raw();
    assert!(invocation > unseen);
    assert_eq!(world.store().greatest_id().await.unwrap(), invocation, "waiting");
    let running = world.running(&acme).await;
    assert_eq!(world.store().greatest_id().await.unwrap(), running.invocation.raw(), "running");
    world.settle(running, Next::Succeed).await;
    assert_eq!(world.store().greatest_id().await.unwrap(), running.invocation.raw(), "ended");
    let dead = world.dead(&acme).await.raw();
    assert_eq!(world.store().greatest_id().await.unwrap(), dead, "a dead letter");
    let event = world.delivered(&acme, "crm");
    let delivery = event.deliveries[0].id;
    world.accept(event).await;
    assert_eq!(world.store().greatest_id().await.unwrap(), delivery.raw(), "a delivery");
    let tried = DeliveryAttempt { at: world.now, status: Some(200), error: None, latency_ms: 1, response: None };
    world.store().settle_delivery(delivery, tried, DeliveryNext::Delivered).await.unwrap();
    world.restart().await;
    assert_eq!(world.store().greatest_id().await.unwrap(), delivery.raw(), "delivered, after a crash");
}

pub(super) async fn upkeep_changes_no_answer(world: &mut World) {
    let acme = world.tenant("acme").await;
    for _ in 0..5 {
        world.waiting(&acme).await;
        world.succeeded(&acme).await;
        world.dead(&acme).await;
        let event = world.delivered(&acme, "crm");
        world.accept(event).await;
        world.pass(Duration::from_secs(1_800));
        let photo = world.photograph().await;
        world.store().flush().await.unwrap();
        world.store().maintain(world.now, Timestamp::ZERO).await.unwrap();
        world.store().maintain(world.now, Timestamp::ZERO).await.unwrap();
        assert_eq!(world.photograph().await, photo);
    }
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
}

pub(super) async fn upkeep_keeps_what_is_still_needed(world: &mut World) {
    let acme = world.tenant("acme").await;
    let waits = world.waiting(&acme).await;
    let retries = world.running(&acme).await;
    world.settle(retries, Next::Retry { due: world.now + Duration::from_secs(86_400), spent: true }).await;
    let runs = world.running(&acme).await;
    let ended = world.succeeded(&acme).await;
    let event = world.delivered(&acme, "crm");
    world.accept(event.clone()).await;

    world.pass(Duration::from_secs(86_400 * 3));
    world.store().maintain(world.now, world.now).await.unwrap();
    world.store().maintain(world.now, world.now).await.unwrap();
    for id in [waits, retries.invocation, runs.invocation] {
        assert!(world.store().work(acme.id, id).await.unwrap().is_some_and(|work| !work.body.is_empty()));
        assert!(!world.state(&acme, id).await.is_final());
    }
    let lines = world.outbox().await;
    assert_eq!(lines.iter().map(|line| line.invocation.id).collect::<Vec<_>>(), [ended], "not published yet");
    assert!(lines[0].attempt.as_ref().is_some_and(|attempt| attempt.end.result.is_some()));
    let carried = world.store().delivery_body(event.deliveries[0].id, event.id).await.unwrap();
    assert_eq!(carried.as_ref(), Some(&event.body));
    let balance = world.store().balance(acme.id).await.unwrap();
    assert!(balance.holds());
    assert_eq!((balance.waiting, balance.in_flight), (2, 1));
    world.settle(runs, Next::Succeed).await;

    world.restart().await;
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&acme).await;
    let mut came: Vec<_> =
        inbox.until(|waiting| waiting.invocation == last).await.iter().map(|waiting| waiting.invocation).collect();
    came.sort_unstable();
    assert_eq!(came, [waits, retries.invocation, last]);
    let mut deliveries = world.store().delivery_arrivals().await.unwrap();
    assert_eq!(deliveries.recv().await.unwrap()[0].id, event.deliveries[0].id);
}

pub(super) async fn calls_at_once_are_each_carried_out(world: &mut World) {
    const CALLERS: usize = 64;
    let acme = world.tenant("acme").await;
    let events: Vec<_> = (0..CALLERS).map(|_| world.matched(&acme)).collect();
    let ids: Vec<_> = events.iter().map(|event| event.invocations[0].id).collect();
    let answers = join_all(events.into_iter().map(|event| world.publish(vec![event]))).await;
    assert!(answers.iter().all(|answer| *answer == [Published::Accepted]));
    let leases: Vec<_> = ids.iter().map(|id| world.lease(&acme, *id, 1)).collect();
    let claims = join_all(leases.iter().map(|lease| world.try_claim(*lease))).await;
    assert!(claims.iter().all(Result::is_ok));

    // Each is settled twice at once: exactly one of the two ends it.
    let settles = leases.iter().chain(&leases).map(|lease| world.try_settle(*lease, Next::Succeed));
    let settled = join_all(settles).await;
    let (first_half, second_half) = settled.split_at(CALLERS);
    for (one, other) in first_half.iter().zip(second_half) {
        assert!(one.is_ok() != other.is_ok());
    }
    let expected = Balance { accepted: 64, succeeded: 64, ..Balance::default() };
    assert_eq!(world.store().balance(acme.id).await.unwrap(), expected);
    assert_eq!(world.outbox().await.len(), CALLERS);
    let listed = world.store().invocations(acme.id, Default::default(), first()).await.unwrap();
    assert!(listed.next.is_some());
    world.check().await;
}
