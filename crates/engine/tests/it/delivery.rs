//! Webhooks over a real socket: signed, tried again, and never to a private address that is not named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sublet_engine::{address, signature};
use sublet_model::{Destination, Destinations, FunctionConfig, Quota, SystemClock};
use sublet_store::delivery::DeliveryState;
use sublet_store::{Deliveries, Page, WebhookSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::*;
use crate::package::shared;

#[test]
fn signatures_are_those_of_standard_webhooks() {
    let Some(path) = shared("standard-webhooks.json") else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let at = case["timestamp"].as_i64().unwrap();
        let header = signature::header(&[text("secret")], &text("id"), at, text("payload").as_bytes()).unwrap();
        assert_eq!(header, text("signature"));
    }
}

#[test]
fn several_secrets_make_several_signatures_and_a_weak_secret_is_refused() {
    let secrets = [signature::new_secret().unwrap(), signature::new_secret().unwrap()];
    let header = signature::header(&secrets, "dlv_1", 1, b"{}").unwrap();
    assert_eq!(header.split(' ').filter(|part| part.starts_with("v1,")).count(), 2);
    for weak in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(signature::Secret::parse(weak).is_err(), "{weak}");
    }
}

#[test]
fn no_spelling_of_a_private_address_is_a_webhook() {
    let Some(path) = shared("ssrf.json") else { return };
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in cases["cases"].as_array().unwrap() {
        let url = case["url"].as_str().unwrap().to_owned();
        let spec = WebhookSpec { url: url.clone(), allow_private: Vec::new(), enabled: true };
        let is_refused = address::check_spec(&spec).is_err();
        assert_eq!(is_refused, case["expect"] == "blocked", "{url} ({})", case["class"]);
    }
    let named = |url: &str, allowed: &str| WebhookSpec {
        url: url.to_owned(),
        allow_private: vec![allowed.to_owned()],
        enabled: true,
    };
    assert!(address::check_spec(&named("http://127.0.0.1:8080/hook", "127.0.0.1:8080")).is_ok());
    assert!(address::check_spec(&named("http://127.0.0.1:8081/hook", "127.0.0.1:8080")).is_err());
    assert!(address::check_spec(&named("http://127.0.0.2:8080/hook", "127.0.0.1:8080")).is_err());
}

pub(crate) struct Request {
    head: String,
    body: String,
}

impl Request {
    pub(crate) fn header(&self, wanted: &str) -> String {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{wanted}:")));
        line.unwrap().split_once(':').unwrap().1.trim().to_owned()
    }
}

/// Takes one request and answers it.
pub(crate) async fn receive(listener: &TcpListener, status: &str) -> Request {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let count = socket.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let request = Request { head: head.to_owned(), body: body.to_owned() };
        if request.header("content-length").parse::<usize>().unwrap() == body.len() {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            return request;
        }
    }
}

pub(crate) fn hook(address: SocketAddr, allowed: bool) -> WebhookSpec {
    let allow_private = if allowed { vec![address.to_string()] } else { Vec::new() };
    // By name, so that only resolution shows where it leads.
    let url = if allowed { format!("http://{address}/hook") } else { format!("http://localhost:{}/", address.port()) };
    WebhookSpec { url, allow_private, enabled: true }
}

#[tokio::test]
async fn a_result_reaches_the_functions_webhook_signed_and_a_failure_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::with(Scripted::new(by_name), Arc::new(SystemClock)).await;
    let acme = house.tenant("acme", Quota::default()).await;
    let registry = house.engine.registry();
    let spec = hook(listener.local_addr().unwrap(), true);
    let (webhook, made) = registry.put_webhook(&name("crm"), spec, None).await.unwrap();
    assert!(made && webhook.secrets.len() == 1);
    let destinations = Destinations { on_success: Some(Destination::Webhook(name("crm"))), on_failure: None };
    house.configured(&acme, "enrich", "ok", FunctionConfig { destinations, ..Default::default() }).await;
    house.dispatch_rule().await;
    house.publish(event("acme", None, "{}")).await;

    let request = receive(&listener, "503 Service Unavailable").await;
    let id = request.header("webhook-id");
    let at = request.header("webhook-timestamp").parse().unwrap();
    let expected = signature::header(&webhook.secrets, &id, at, request.body.as_bytes()).unwrap();
    assert_eq!(request.header("webhook-signature"), expected);
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&body["detail-type"], &body["tenant"]), (&"Invocation Succeeded".into(), &"acme".into()));

    // The schedule's first step is five seconds.
    let again = tokio::time::timeout(Duration::from_secs(20), receive(&listener, "204 No Content")).await.unwrap();
    assert_eq!(again.header("webhook-id"), id, "the same delivery");
    let mut state = DeliveryState::Pending;
    while state == DeliveryState::Pending {
        tokio::task::yield_now().await;
        state = house.store.delivery(id.parse().unwrap()).await.unwrap().unwrap().state;
    }
    let record = house.store.delivery(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 2));
    assert_eq!(record.attempts[0].status, Some(503));
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::with(Scripted::new(by_name), Arc::new(SystemClock)).await;
    house.tenant("acme", Quota::default()).await;
    let registry = house.engine.registry();
    let spec = hook(listener.local_addr().unwrap(), false);
    registry.put_webhook(&name("inner"), spec, None).await.unwrap();
    let to_inner = rule(r#"{"source":["todo"]}"#, r#"[{"webhook":"inner"}]"#);
    registry.put_rule(None, &name("r"), to_inner).await.unwrap();
    house.publish(event("acme", None, "{}")).await;
    let error = loop {
        let found = house.store.deliveries(Some(&name("inner")), None, Page::default()).await.unwrap().items;
        if let Some(attempt) = found.first().and_then(|delivery| delivery.attempts.first()) {
            break attempt.error.clone().unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert!(error.contains("no public address"), "{error}");
}
