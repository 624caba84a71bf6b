//! Deliveries that are sent anew, what their webhook's failures add up to, and the equation over all of them.

use std::time::Duration;

use sublet_model::{DeliveryId, ErrorKind, MessageId, Timestamp};

use super::world::{Inbox, Tenant, World, name, refusal};
use crate::delivery::ATTEMPTS_KEPT_MAX;
use crate::{
    DeliveryAttempt, DeliveryBalance, DeliveryCounts, DeliveryNext, DeliveryState, DisabledReason, WebhookSecret,
    WebhookSpec,
};

async fn pending(world: &mut World, tenant: &Tenant, webhook: &str) -> DeliveryId {
    let event = world.delivered(tenant, webhook);
    let id = event.deliveries[0].id;
    world.accept(event).await;
    id
}

fn attempt(at: Timestamp, status: u16) -> DeliveryAttempt {
    DeliveryAttempt { at, status: Some(status), error: None, latency_ms: 5, response: None }
}

async fn settle(world: &World, id: DeliveryId, status: u16, next: DeliveryNext) -> Option<Timestamp> {
    world.store().settle_delivery(id, attempt(world.now, status), next).await.unwrap()
}

async fn state(world: &World, id: DeliveryId) -> DeliveryState {
    world.store().delivery(id).await.unwrap().unwrap().state
}

pub(super) async fn a_replay_sends_anew_under_the_same_id_with_its_tries_kept(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut inbox = Inbox { receiver: world.store().delivery_arrivals().await.unwrap() };
    let dropped = DeliveryNext::Dropped { message: MessageId::from_raw(world.raw()) };
    for (round, end) in [DeliveryNext::Delivered, DeliveryNext::Failed, dropped].into_iter().enumerate() {
        let id = pending(world, &acme, "crm").await;
        settle(world, id, 500, DeliveryNext::Retry { due: world.now }).await;
        settle(world, id, 500, end).await;
        inbox.until(|pending| pending.id == id && pending.attempts == 1).await;
        world.pass(Duration::from_secs(60));
        let replayed = world.store().replay_delivery(id, world.now).await.unwrap();
        assert_eq!((replayed.state, replayed.due, replayed.replays), (DeliveryState::Pending, world.now, 1));
        let came = inbox.until(|pending| pending.id == id).await;
        assert_eq!((came[0].attempts, came[0].due), (0, world.now), "its schedule begins anew: {round}");
        settle(world, id, 200, DeliveryNext::Delivered).await;
        let record = world.store().delivery(id).await.unwrap().unwrap();
        assert_eq!((record.state, record.replays), (DeliveryState::Delivered, 1));
        assert_eq!(record.attempts.iter().map(|a| a.status.unwrap()).collect::<Vec<_>>(), [500, 500, 200]);
    }
    let unknown = DeliveryId::from_raw(world.raw());
    assert_eq!(refusal(world.store().replay_delivery(unknown, world.now).await), ErrorKind::NotFound);
    world.check().await;
}

pub(super) async fn a_replay_of_what_waits_makes_it_due_now(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = pending(world, &acme, "crm").await;
    let due = world.now + Duration::from_secs(86_400);
    settle(world, id, 503, DeliveryNext::Retry { due }).await;
    let mut inbox = Inbox { receiver: world.store().delivery_arrivals().await.unwrap() };
    inbox.until(|pending| pending.due == due).await;
    world.store().replay_delivery(id, world.now).await.unwrap();
    let came = inbox.until(|pending| pending.due == world.now).await;
    assert_eq!((came[0].id, came[0].attempts), (id, 0));
    world.check().await;
}

pub(super) async fn all_failed_since_a_time_are_replayed_and_no_others(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut failed = Vec::new();
    for webhook in ["crm", "audit"] {
        let old = pending(world, &acme, webhook).await;
        settle(world, old, 500, DeliveryNext::Failed).await;
        failed.push(old);
    }
    // Over the end of an hour and beyond.
    world.pass(Duration::from_secs(40 * 60));
    let since = world.now;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let id = pending(world, &acme, "crm").await;
        settle(world, id, 500, DeliveryNext::Failed).await;
        expected.push(id);
        let delivered = pending(world, &acme, "crm").await;
        settle(world, delivered, 200, DeliveryNext::Delivered).await;
        world.pass(Duration::from_secs(25 * 60));
    }
    let waits = pending(world, &acme, "crm").await;
    let due = world.now + Duration::from_secs(3_600);
    settle(world, waits, 500, DeliveryNext::Retry { due }).await;

    assert_eq!(world.store().replay_failed(&name("crm"), since, world.now).await.unwrap(), 3);
    for id in &expected {
        assert_eq!(state(world, *id).await, DeliveryState::Pending);
    }
    for id in &failed {
        assert_eq!(state(world, *id).await, DeliveryState::Failed, "too old, or another's");
    }
    assert_eq!(world.store().delivery(waits).await.unwrap().unwrap().due, due, "it waits as it did");
    assert_eq!(world.store().replay_failed(&name("crm"), since, world.now).await.unwrap(), 0);
    assert_eq!(world.store().replay_failed(&name("none"), Timestamp::ZERO, world.now).await.unwrap(), 0);
    world.check().await;
}

pub(super) async fn a_replay_survives_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = pending(world, &acme, "crm").await;
    settle(world, id, 500, DeliveryNext::Failed).await;
    world.store().replay_delivery(id, world.now).await.unwrap();
    settle(world, id, 500, DeliveryNext::Retry { due: world.now }).await;
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
    let mut inbox = Inbox { receiver: world.store().delivery_arrivals().await.unwrap() };
    let came = inbox.until(|pending| pending.id == id).await;
    assert_eq!(came[0].attempts, 1, "tries of before the replay do not count");
}

pub(super) async fn only_so_many_tries_are_kept(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = pending(world, &acme, "crm").await;
    for number in 0..ATTEMPTS_KEPT_MAX + 3 {
        world.pass(Duration::from_secs(1));
        settle(world, id, 500, DeliveryNext::Retry { due: world.now }).await;
        let kept = world.store().delivery(id).await.unwrap().unwrap().attempts;
        assert_eq!(kept.len(), ATTEMPTS_KEPT_MAX.min(number + 1));
        assert_eq!(kept.last().unwrap().at, world.now, "the newest stays");
    }
}

pub(super) async fn a_success_ends_and_a_failure_begins_the_webhooks_failures(world: &mut World) {
    let acme = world.tenant("acme").await;
    let crm = name("crm");
    let secret = WebhookSecret::new("whsec_1".to_owned(), world.now);
    world.store().put_webhook(&crm, WebhookSpec::to("https://crm.test"), secret, world.now).await.unwrap();
    let revision = world.store().revision();
    let since = async |world: &World| world.store().webhook(&name("crm")).await.unwrap().unwrap().failing_since;
    let (one, two) = (pending(world, &acme, "crm").await, pending(world, &acme, "crm").await);

    let first = world.now;
    assert_eq!(settle(world, one, 500, DeliveryNext::Retry { due: first }).await, Some(first));
    world.pass(Duration::from_secs(60));
    assert_eq!(settle(world, two, 500, DeliveryNext::Failed).await, Some(first), "the first of them");
    assert_eq!(world.store().revision(), revision, "the registry did not change");
    world.restart().await;
    assert_eq!(since(world).await, Some(first));
    assert_eq!(settle(world, one, 200, DeliveryNext::Delivered).await, None);
    assert_eq!(since(world).await, None);

    let dropped = pending(world, &acme, "crm").await;
    let next = DeliveryNext::Dropped { message: MessageId::from_raw(world.raw()) };
    assert_eq!(settle(world, dropped, 0, next).await, None, "nobody was asked");
    let three = pending(world, &acme, "crm").await;
    assert_eq!(settle(world, three, 500, DeliveryNext::Failed).await, Some(world.now));
    let switched = world.store().switch_webhook(&crm, Some(DisabledReason::Operator), world.now).await.unwrap();
    assert_eq!(switched.failing_since, Some(world.now));
    world.store().switch_webhook(&crm, None, world.now).await.unwrap();
    assert_eq!(since(world).await, None, "enabling forgets");

    let unknown = pending(world, &acme, "none").await;
    assert_eq!(settle(world, unknown, 500, DeliveryNext::Failed).await, None, "there is no such webhook");
}

pub(super) async fn every_delivery_is_pending_delivered_or_failed_at_any_moment(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut ids = Vec::new();
    for round in 0..12 {
        let tenant = if round % 4 == 3 { &zeta } else { &acme };
        ids.push(pending(world, tenant, if round % 2 == 0 { "crm" } else { "audit" }).await);
        world.check().await;
    }
    for (round, id) in ids.iter().enumerate() {
        match round % 3 {
            0 => settle(world, *id, 200, DeliveryNext::Delivered).await,
            1 => settle(world, *id, 500, DeliveryNext::Failed).await,
            _ => settle(world, *id, 500, DeliveryNext::Retry { due: world.now }).await,
        };
        world.check().await;
    }
    let counts = DeliveryCounts { pending: 4, delivered: 4, failed: 4 };
    assert_eq!(world.store().delivery_balance().await.unwrap(), DeliveryBalance { accepted: 12, counts });
    let half = DeliveryCounts { pending: 2, delivered: 2, failed: 2 };
    assert_eq!(world.store().delivery_counts(Some(&name("crm"))).await.unwrap(), half);
    assert_eq!(world.store().delivery_counts(None).await.unwrap(), counts);
    assert_eq!(world.store().delivery_counts(Some(&name("none"))).await.unwrap(), DeliveryCounts::default());

    world.store().replay_delivery(ids[0], world.now).await.unwrap();
    world.store().replay_failed(&name("audit"), Timestamp::ZERO, world.now).await.unwrap();
    world.check().await;
    world.restart().await;
    world.store().delete_tenant(&zeta.name, world.now).await.unwrap();
    let balance = world.store().delivery_balance().await.unwrap();
    assert!(balance.holds() && balance.accepted == 12, "{balance:?}");
}
