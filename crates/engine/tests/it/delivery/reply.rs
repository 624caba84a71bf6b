//! What a receiver may do to its sender, and what is written down of it.

use std::time::Duration;

use sublet_model::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::receiver::{Receiver, Reply, with};
use super::*;

/// What became of one try.
async fn one_try(spec: WebhookSpec) -> DeliveryRecord {
    let house = house().await;
    lead_to(&house, "crm", spec).await;
    let id = publish(&house).await[0];
    tried(&house, id).await
}

async fn error_of(spec: WebhookSpec) -> String {
    one_try(spec).await.attempts[0].error.clone().unwrap()
}

#[tokio::test]
async fn a_failure_says_what_went_wrong() {
    let hangs = Receiver::start(|_| Reply::Hangs).await;
    let spec = WebhookSpec { timeout: Millis(100), ..hangs.spec() };
    assert_eq!(error_of(spec).await, "no answer within 100ms");

    let closes = Receiver::start(|_| Reply::Closes).await;
    let error = error_of(closes.spec()).await;
    assert!(error.starts_with("the request failed: connection closed"), "{error}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Kept open until the sender is done with it.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let allow_private = vec![address.to_string()];
    let error = error_of(WebhookSpec { allow_private, ..WebhookSpec::to(format!("https://{address}/")) }).await;
    assert!(error.starts_with("no connection: ") && error.contains("corrupt message"), "{error}");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let spec = WebhookSpec { allow_private: vec![gone.to_string()], ..WebhookSpec::to(format!("http://{gone}/")) };
    let error = error_of(spec).await;
    assert!(error.starts_with("no connection: ") && error.contains("refused"), "{error}");

    let nowhere = WebhookSpec::to("https://nowhere.invalid/");
    let error = error_of(nowhere).await;
    assert!(error.starts_with("no connection: "), "{error}");
}

#[tokio::test]
async fn the_start_of_the_answer_is_kept_and_no_more() {
    let receiver = Receiver::start(|_| with("500 Oops", "", &format!("\x1b[31mno\n{}", "x".repeat(100_000)))).await;
    let record = one_try(receiver.spec()).await;
    let attempt = &record.attempts[0];
    assert_eq!((attempt.status, attempt.error.as_deref()), (Some(500), Some("answered 500")));
    let response = attempt.response.as_deref().unwrap();
    assert!(response.starts_with("\u{fffd}[31mno\nxxx"), "{response}");
    assert_eq!(response.chars().count(), 1_024);

    // One that says it goes on for ever, and says no more.
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nthanks".to_owned();
    let receiver = Receiver::start(move |_| Reply::Text(endless.clone())).await;
    let record = one_try(receiver.spec()).await;
    assert_eq!((record.state, record.attempts[0].response.as_deref()), (DeliveryState::Delivered, Some("thanks")));
}

#[tokio::test]
async fn what_the_receiver_asks_for_is_waited_for() {
    let busy = Receiver::start(|_| with("429 Too Many Requests", "retry-after: 1800\r\n", "")).await;
    let house = house().await;
    lead_to(&house, "crm", busy.spec()).await;
    let id = publish(&house).await[0];
    let record = tried(&house, id).await;
    let asked = record.attempts[0].at + Duration::from_secs(1_800);
    assert!(record.due >= asked && record.due < asked + Duration::from_secs(600), "{record:?}");
    // Nor is it asked with another delivery: the second is published, and a third to another webhook overtakes it.
    let second = publish(&house).await[0];
    let mut other = Receiver::start(|_| receiver::status("204 No Content")).await;
    lead_to(&house, "zeta", other.spec()).await;
    publish(&house).await;
    other.next().await;
    assert!(house.store.delivery(second).await.unwrap().unwrap().attempts.is_empty());
}
