//! Webhooks over a real socket: signed, tried again, and never to a private address that is not named.

mod address;
mod receiver;
mod reply;
mod state;

use std::sync::Arc;
use std::time::Duration;

use sublet_engine::signature;
use sublet_model::{DeliveryId, Destination, Destinations, FunctionConfig, Quota, SystemClock};
use sublet_store::delivery::DeliveryState;
use sublet_store::{Deliveries, DeliveryFilter, DeliveryRecord, Page, Registry, WebhookSpec};

use crate::harness::*;
use crate::package::shared;
use receiver::{Receiver, status};

pub(crate) use receiver::{hook, receive};

#[test]
fn signatures_are_those_of_standard_webhooks() {
    let Some(path) = shared("standard-webhooks.json") else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let at = case["timestamp"].as_i64().unwrap();
        let header = signature::header([text("secret").as_str()], &text("id"), at, text("payload").as_bytes()).unwrap();
        assert_eq!(header, text("signature"));
    }
}

#[test]
fn several_secrets_make_several_signatures_and_a_weak_secret_is_refused() {
    let secrets = [signature::new_secret().unwrap(), signature::new_secret().unwrap()];
    let header = signature::header(secrets.iter().map(String::as_str), "dlv_1", 1, b"{}").unwrap();
    assert_eq!(header.split(' ').filter(|part| part.starts_with("v1,")).count(), 2);
    for weak in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(signature::Secret::parse(weak).is_err(), "{weak}");
    }
}

/// Events of source `todo` go to the webhook of that name.
async fn lead_to(house: &House, webhook: &str, spec: WebhookSpec) {
    let registry = house.engine.registry();
    registry.put_webhook(&name(webhook), spec, None).await.unwrap();
    let lead = rule(r#"{"source":["todo"]}"#, &format!(r#"[{{"webhook":"{webhook}"}}]"#));
    registry.put_rule(None, &name(webhook), lead).await.unwrap();
}

/// A house with the tenant acme, on the wall clock: sockets know no other.
async fn house() -> House {
    let house = House::with(Scripted::new(by_name), Arc::new(SystemClock)).await;
    house.tenant("acme", Quota::default()).await;
    house
}

/// An event; its deliveries' ids in the order of the rules' names.
async fn publish(house: &House) -> Vec<DeliveryId> {
    let receipt = house.publish(event("acme", None, "{}")).await;
    house.store_event(receipt.id).await.deliveries
}

/// Waits for a delivery to be as wanted; nothing tells of it, so it looks again and again.
async fn until(house: &House, id: DeliveryId, wanted: impl Fn(&DeliveryRecord) -> bool) -> DeliveryRecord {
    let looking = async {
        loop {
            let record = house.store.delivery(id).await.unwrap().unwrap();
            if wanted(&record) {
                return record;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap()
}

async fn tried(house: &House, id: DeliveryId) -> DeliveryRecord {
    until(house, id, |record| !record.attempts.is_empty()).await
}

#[tokio::test]
async fn a_result_reaches_the_functions_webhook_signed_and_a_failure_is_tried_again() {
    let mut receiver =
        Receiver::start(|number| status(if number == 0 { "503 Service Unavailable" } else { "204 No Content" })).await;
    let house = House::with(Scripted::new(by_name), Arc::new(SystemClock)).await;
    let acme = house.tenant("acme", Quota::default()).await;
    let registry = house.engine.registry();
    let (webhook, made) = registry.put_webhook(&name("crm"), receiver.spec(), None).await.unwrap();
    assert!(made && webhook.secrets.len() == 1);
    let destinations = Destinations { on_success: Some(Destination::Webhook(name("crm"))), on_failure: None };
    house.configured(&acme, "enrich", "ok", FunctionConfig { destinations, ..Default::default() }).await;
    house.dispatch_rule().await;
    house.publish(event("acme", None, "{}")).await;

    let request = receiver.next().await;
    let id = request.header("webhook-id");
    let at = request.header("webhook-timestamp").parse().unwrap();
    let secret = webhook.secrets[0].text.as_str();
    let expected = signature::header([secret], &id, at, request.body.as_bytes()).unwrap();
    assert_eq!(request.header("webhook-signature"), expected);
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&body["detail-type"], &body["tenant"]), (&"Invocation Succeeded".into(), &"acme".into()));

    // The schedule's first step is five seconds.
    assert_eq!(receiver.next().await.header("webhook-id"), id, "the same delivery");
    let record = until(&house, id.parse().unwrap(), |record| record.state != DeliveryState::Pending).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 2));
    assert_eq!(record.attempts[0].status, Some(503));
    assert_eq!(house.store.webhook(&name("crm")).await.unwrap().unwrap().failing_since, None);
}

#[tokio::test]
async fn while_secrets_are_rotated_both_sign_and_after_the_overlap_the_new_one_alone() {
    let mut receiver = Receiver::start(|_| status("204 No Content")).await;
    let house = house().await;
    lead_to(&house, "crm", receiver.spec()).await;
    let registry = house.engine.registry();
    let old = registry.webhook(&name("crm")).unwrap().secrets[0].text.clone();
    let signatures = async |receiver: &mut Receiver| {
        publish(&house).await;
        let request = receiver.next().await;
        let at = request.header("webhook-timestamp").parse().unwrap();
        let id = request.header("webhook-id");
        let by = |secret: &str| signature::header([secret], &id, at, request.body.as_bytes()).unwrap();
        let sent = request.header("webhook-signature");
        let sent: Vec<String> = sent.split(' ').map(str::to_owned).collect();
        (sent, by(&old), by(&registry.webhook(&name("crm")).unwrap().secrets[0].text))
    };
    registry.rotate_webhook(&name("crm"), None, Duration::from_secs(3_600)).await.unwrap();
    let (sent, by_old, by_new) = signatures(&mut receiver).await;
    assert_eq!(sent, [by_new, by_old]);
    // The end comes by the clock alone; an overlap of nothing is one that is over.
    registry.rotate_webhook(&name("crm"), None, Duration::ZERO).await.unwrap();
    let (sent, by_old, by_new) = signatures(&mut receiver).await;
    assert_eq!(sent, [by_new]);
    assert_ne!(sent, [by_old]);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_itself_alone() {
    let mut hangs = Receiver::start(|_| receiver::Reply::Hangs).await;
    let mut quick = Receiver::start(|_| status("204 No Content")).await;
    let house = house().await;
    lead_to(&house, "hangs", hangs.spec()).await;
    lead_to(&house, "quick", quick.spec()).await;
    for _ in 0..40 {
        publish(&house).await;
    }
    // The first of it is being tried from here on, and has no answer until its timeout.
    hangs.next().await;
    for _ in 0..40 {
        quick.next().await;
    }
    let filter = DeliveryFilter { webhook: Some(name("hangs")), ..DeliveryFilter::default() };
    let listed = house.store.deliveries(filter, Page::default()).await.unwrap().items;
    assert_eq!(listed.len(), 40);
    assert!(listed.iter().all(|delivery| delivery.state == DeliveryState::Pending));
}

#[tokio::test]
async fn a_replay_is_sent_under_the_id_it_had() {
    let mut receiver = Receiver::start(|_| status("204 No Content")).await;
    let house = house().await;
    lead_to(&house, "crm", receiver.spec()).await;
    let id = publish(&house).await[0];
    let first = receiver.next().await;
    until(&house, id, |record| record.state == DeliveryState::Delivered).await;
    let replayed = house.engine.replay_delivery(id).await.unwrap();
    assert_eq!((replayed.state, replayed.replays), (DeliveryState::Pending, 1));
    let second = receiver.next().await;
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    let record = until(&house, id, |record| record.state == DeliveryState::Delivered).await;
    assert_eq!(record.attempts.len(), 2);

    house.engine.registry().delete_webhook(&name("crm")).await.unwrap();
    assert!(house.engine.replay_delivery(id).await.is_err(), "there is nobody to send it to");
    assert!(house.engine.replay_failed(&name("crm"), house.clock.now()).await.is_err());
}
