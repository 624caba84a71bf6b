//! Ending in good order.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sublet_server::ServerConfig;
use sublet_store::memory::NoFaults;

use crate::harness::{Api, OPERATOR_KEY};

#[tokio::test]
async fn ending_finishes_requests_and_ends_streams() {
    let mut api = Api::start().await;
    api.tenant("acme", "v1").await;
    let mut stream = api.stream(OPERATOR_KEY, "").await;
    let path = "/v1/tenants/acme/functions/enrich/invoke";
    let invoke = api.request(Some(OPERATOR_KEY), Method::POST, path).json(&json!({"do": "wait"})).send();
    let invoke = tokio::spawn(invoke);
    // The request is inside once its attempt is in flight.
    while api.engine.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    api.stop();
    assert!(stream.next().await.is_none(), "the stream ends");
    api.sandbox.release();
    let answer = invoke.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    api.ended().await;
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_broken_off() {
    let config = ServerConfig { end_within: Duration::from_millis(1), ..ServerConfig::default() };
    let mut api = Api::start_with(Arc::new(NoFaults), config).await;
    api.tenant("acme", "v1").await;
    let path = "/v1/tenants/acme/functions/enrich/invoke";
    let invoke = api.request(Some(OPERATOR_KEY), Method::POST, path).json(&json!({"do": "wait"})).send();
    let invoke = tokio::spawn(invoke);
    while api.engine.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    api.stop();
    api.ended().await;
    assert!(invoke.await.unwrap().is_err());
}

#[tokio::test]
async fn a_draining_node_is_alive_and_not_ready() {
    let api = Api::start().await;
    let ready = api.get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ready");
    let names: Vec<&str> = ready["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["drain", "runtime", "engine", "store", "disk", "workers", "shards"]);
    api.engine.drain(Duration::from_secs(5)).await;
    let draining = api.get("/readyz").await.expect(503);
    assert_eq!(draining["status"], "draining");
    assert_eq!(draining["checks"][0], json!({"name": "drain", "ok": false, "reason": "the node is ending"}));
    assert_eq!(api.get("/healthz").await.expect(200)["status"], "ok");
}
