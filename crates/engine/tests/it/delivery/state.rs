//! A webhook that is disabled, by whom, and what becomes of what is due to it.

use std::time::Duration;

use sublet_store::DisabledReason;

use super::receiver::{Receiver, status};
use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

async fn reason(house: &House) -> Option<DisabledReason> {
    let webhook = house.store.webhook(&name("crm")).await.unwrap().unwrap();
    webhook.disabled.map(|disabled| disabled.reason)
}

#[tokio::test]
async fn a_410_disables_the_webhook_and_what_waits_goes_on_when_it_is_enabled() {
    let mut receiver = Receiver::start(|number| status(if number == 0 { "410 Gone" } else { "204 No Content" })).await;
    let house = house().await;
    lead_to(&house, "crm", receiver.spec()).await;
    let first = publish(&house).await[0];
    receiver.next().await;
    let record = tried(&house, first).await;
    assert_eq!((record.state, record.attempts[0].status), (DeliveryState::Pending, Some(410)));
    let disabling = async {
        while reason(&house).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), disabling).await.unwrap();
    assert_eq!(reason(&house).await, Some(DisabledReason::Gone));

    // It waits, and is not tried.
    let second = publish(&house).await[0];
    let mut other = Receiver::start(|_| status("204 No Content")).await;
    lead_to(&house, "zeta", other.spec()).await;
    publish(&house).await;
    other.next().await;
    let waits = house.store.delivery(second).await.unwrap().unwrap();
    assert!(waits.state == DeliveryState::Pending && waits.attempts.is_empty());

    house.engine.registry().switch_webhook(&name("crm"), None).await.unwrap();
    for id in [second, first] {
        until(&house, id, |record| record.state == DeliveryState::Delivered).await;
    }
}

#[tokio::test(start_paused = true)]
async fn days_of_nothing_but_failures_disable_the_webhook() {
    let house = House::with(Scripted::new(by_name), RuntimeClock::new()).await;
    house.tenant("acme", Quota::default()).await;
    // Nobody listens there; whether the refusal or, on this clock, the timeout comes first, it is a failure.
    let spec = WebhookSpec { allow_private: vec!["127.0.0.1:9".to_owned()], ..WebhookSpec::to("http://127.0.0.1:9/") };
    lead_to(&house, "crm", spec).await;
    for _ in 0..9 {
        publish(&house).await;
        tokio::time::sleep(HOUR * 12).await;
    }
    assert_eq!(reason(&house).await, None, "four and a half days");
    for _ in 0..2 {
        publish(&house).await;
        tokio::time::sleep(HOUR * 12).await;
    }
    assert_eq!(reason(&house).await, Some(DisabledReason::Failing));
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_for_a_disabled_webhook_is_given_up() {
    let house = House::with(Scripted::new(by_name), RuntimeClock::new()).await;
    house.tenant("acme", Quota::default()).await;
    lead_to(&house, "crm", WebhookSpec::to("https://crm.test/")).await;
    house.engine.registry().switch_webhook(&name("crm"), Some(DisabledReason::Operator)).await.unwrap();
    let old = publish(&house).await[0];
    tokio::time::sleep(HOUR * 24 * 4).await;
    let young = publish(&house).await[0];
    let state = async |id| house.store.delivery(id).await.unwrap().unwrap().state;
    assert_eq!(state(old).await, DeliveryState::Pending);
    tokio::time::sleep(HOUR * 25).await;
    let record = house.store.delivery(old).await.unwrap().unwrap();
    assert_eq!(record.state, DeliveryState::Failed);
    assert_eq!(record.attempts[0].error.as_deref(), Some("the webhook was disabled for too long"));
    assert_eq!(state(young).await, DeliveryState::Pending);
    let balance = house.store.delivery_balance().await.unwrap();
    assert!(balance.holds() && balance.accepted == 2, "{balance:?}");
}

#[tokio::test]
async fn a_disabled_webhook_that_was_restarted_is_still_disabled() {
    let mut receiver = Receiver::start(|_| status("204 No Content")).await;
    let house = house().await;
    lead_to(&house, "crm", receiver.spec()).await;
    house.engine.registry().switch_webhook(&name("crm"), Some(DisabledReason::Operator)).await.unwrap();
    let id = publish(&house).await[0];
    let House { engine, store, sandbox, code, clock: _ } = house;
    drop(engine);
    let clock: Arc<dyn sublet_model::Clock> = Arc::new(SystemClock);
    let engine = start(&store, &sandbox, &code, &clock, 1).await;
    let house = House { engine, store, sandbox, code, clock };
    let record = house.store.delivery(id).await.unwrap().unwrap();
    assert!(record.state == DeliveryState::Pending && record.attempts.is_empty());
    house.engine.registry().switch_webhook(&name("crm"), None).await.unwrap();
    assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
}
