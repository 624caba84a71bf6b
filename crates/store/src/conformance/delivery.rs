//! Deliveries, from pending to delivered or given up.

use std::time::Duration;

use bytes::Bytes;
use sublet_model::{DeliveryId, ErrorKind, EventId};

use super::world::{Inbox, Tenant, World, name, refusal};
use crate::{DeliveryAttempt, DeliveryNext, DeliveryState, PendingDelivery};

async fn inbox(world: &World) -> Inbox<PendingDelivery> {
    Inbox { receiver: world.store().delivery_arrivals().await.unwrap() }
}

async fn pending(world: &mut World, tenant: &Tenant) -> (DeliveryId, EventId) {
    let event = world.delivered(tenant, "crm");
    let ids = (event.deliveries[0].id, event.id);
    world.accept(event).await;
    ids
}

fn attempt(world: &World, status: u16) -> DeliveryAttempt {
    let error = (status >= 300).then(|| format!("answered {status}"));
    DeliveryAttempt { at: world.now, status: Some(status), error, latency_ms: 17, response: Some("busy".to_owned()) }
}

fn ids(came: &[PendingDelivery]) -> Vec<DeliveryId> {
    came.iter().map(|pending| pending.id).collect()
}

pub(super) async fn a_delivery_waits_until_it_is_delivered(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (one, event) = pending(world, &acme).await;
    let mut inbox = inbox(world).await;
    let (two, _) = pending(world, &acme).await;
    let came = inbox.until(|pending| pending.id == two).await;
    assert_eq!(ids(&came), [one, two], "what waits first, then what comes");
    let expected = PendingDelivery { id: one, webhook: name("crm"), event, attempts: 0, due: world.now };
    assert_eq!(came[0], expected);

    let tried = attempt(world, 204);
    world.store().settle_delivery(one, tried.clone(), DeliveryNext::Delivered).await.unwrap();
    let record = world.store().delivery(one).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts.as_slice()), (DeliveryState::Delivered, [tried].as_slice()));
    assert_eq!((&record.webhook, record.event, record.tenant), (&name("crm"), event, Some(acme.id)));
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo, "after a crash");
}

pub(super) async fn a_retry_comes_again_with_its_due_time(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut inbox = inbox(world).await;
    let (id, _) = pending(world, &acme).await;
    inbox.until(|pending| pending.id == id).await;
    let mut tried = Vec::new();
    for count in 1..=3 {
        world.pass(Duration::from_secs(2));
        let due = world.now + Duration::from_secs(10);
        let failed = DeliveryAttempt { status: None, error: Some("refused".to_owned()), ..attempt(world, 500) };
        tried.push(failed.clone());
        world.store().settle_delivery(id, failed, DeliveryNext::Retry { due }).await.unwrap();
        let came = inbox.until(|pending| pending.id == id).await;
        assert_eq!(came.iter().map(|p| (p.attempts, p.due)).collect::<Vec<_>>(), [(count, due)]);
        let record = world.store().delivery(id).await.unwrap().unwrap();
        assert_eq!((record.state, record.due), (DeliveryState::Pending, due));
        assert_eq!(record.attempts, tried, "oldest first");
    }
}

pub(super) async fn a_delivery_is_given_up(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (id, _) = pending(world, &acme).await;
    world.store().settle_delivery(id, attempt(world, 410), DeliveryNext::Failed).await.unwrap();
    let record = world.store().delivery(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Failed, 1));

    world.restart().await;
    let mut inbox = inbox(world).await;
    let (last, _) = pending(world, &acme).await;
    assert_eq!(ids(&inbox.until(|pending| pending.id == last).await), [last], "it does not come again");
}

pub(super) async fn a_delivery_is_settled_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    for end in [DeliveryNext::Delivered, DeliveryNext::Failed] {
        let (id, _) = pending(world, &acme).await;
        world.store().settle_delivery(id, attempt(world, 200), end).await.unwrap();
        let photo = world.photograph().await;
        for next in [DeliveryNext::Delivered, DeliveryNext::Retry { due: world.now }, DeliveryNext::Failed] {
            let answer = world.store().settle_delivery(id, attempt(world, 200), next).await;
            assert_eq!(refusal(answer), ErrorKind::Conflict, "{next:?} after {end:?}");
        }
        assert_eq!(world.photograph().await, photo, "nothing changed");
    }
}

pub(super) async fn a_delivery_that_is_not_there_is_not_found(world: &mut World) {
    let id = DeliveryId::from_raw(world.raw());
    assert_eq!(world.store().delivery(id).await.unwrap(), None);
    let answer = world.store().settle_delivery(id, attempt(world, 200), DeliveryNext::Delivered).await;
    assert_eq!(refusal(answer), ErrorKind::NotFound);
}

pub(super) async fn pending_deliveries_come_again_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (waits, _) = pending(world, &acme).await;
    let (retries, _) = pending(world, &acme).await;
    let (ended, _) = pending(world, &acme).await;
    let due = world.now + Duration::from_secs(60);
    world.store().settle_delivery(retries, attempt(world, 503), DeliveryNext::Retry { due }).await.unwrap();
    world.store().settle_delivery(ended, attempt(world, 200), DeliveryNext::Delivered).await.unwrap();
    world.restart().await;

    let mut inbox = inbox(world).await;
    let (last, _) = pending(world, &acme).await;
    let mut came = inbox.until(|pending| pending.id == last).await;
    came.sort_by_key(|pending| pending.id);
    assert_eq!(ids(&came), [waits, retries, last]);
    assert_eq!((came[1].attempts, came[1].due), (1, due));
}

pub(super) async fn a_new_call_replaces_the_former(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (one, _) = pending(world, &acme).await;
    let mut former = inbox(world).await;
    let mut inbox = inbox(world).await;
    former.ends().await;
    let (two, _) = pending(world, &acme).await;
    assert_eq!(ids(&inbox.until(|pending| pending.id == two).await), [one, two]);
}

pub(super) async fn the_body_is_the_events_envelope(world: &mut World) {
    let acme = world.tenant("acme").await;
    let event = world.delivered(&acme, "crm");
    world.accept(event.clone()).await;
    assert_eq!(world.store().delivery_body(event.deliveries[0].id, event.id).await.unwrap(), Some(event.body));
    let (delivery, unknown) = (DeliveryId::from_raw(world.raw()), EventId::from_raw(world.raw()));
    assert_eq!(world.store().delivery_body(delivery, unknown).await.unwrap(), None);
}

pub(super) async fn the_body_is_the_input_where_there_is_one(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.delivered(&acme, "crm");
    event.deliveries.extend(world.delivered(&acme, "erp").deliveries);
    let input = Bytes::from_static(br#"{"order":7}"#);
    event.deliveries[0].input = Some(input.clone());
    event.deliveries[1].event = event.id;
    world.accept(event.clone()).await;
    for _ in 0..2 {
        let [with, without] = [event.deliveries[0].id, event.deliveries[1].id];
        assert_eq!(world.store().delivery_body(with, event.id).await.unwrap().as_ref(), Some(&input));
        assert_eq!(world.store().delivery_body(without, event.id).await.unwrap().as_ref(), Some(&event.body));
        assert_eq!(world.store().event_body(event.id).await.unwrap().as_ref(), Some(&event.body));
        world.restart().await;
    }
}
