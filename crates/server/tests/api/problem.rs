//! What is refused, and that each refusal names its field.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use sublet_server::ServerConfig;
use sublet_store::memory::{Fault, Faults, Verb};

use crate::harness::{Api, OPERATOR_KEY};

fn event(changes: Value) -> Value {
    let mut event = json!({"source": "todo", "detail-type": "todo.created", "tenant": "acme", "detail": {}});
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

#[tokio::test]
async fn each_bad_input_names_its_field() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let rule = |targets: Value| json!({"pattern": {"source": ["a"]}, "targets": targets});
    let long = "x".repeat(300);
    #[rustfmt::skip]
    let cases = [
        ("POST", "/v1/events", json!({"detail-type": "d", "tenant": "t", "detail": {}}), "source"),
        ("POST", "/v1/events", event(json!({"detail": [1]})), "detail"),
        ("POST", "/v1/events", event(json!({"source": ""})), "source"),
        ("POST", "/v1/events", event(json!({"source": long})), "source"),
        ("POST", "/v1/events", event(json!({"time": "yesterday"})), "time"),
        ("POST", "/v1/events", event(json!({"detailtype": "d"})), "detailtype"),
        ("POST", "/v1/events", event(json!({"": "d"})), "body"),
        ("POST", "/v1/events", event(json!({"id": ""})), "id"),
        ("POST", "/v1/events", event(json!({"resources": [1]})), "resources[0]"),
        ("POST", "/v1/events", json!([]), "body"),
        ("POST", "/v1/events", json!("text"), "body"),
        ("GET", "/v1/events?limit=0", Value::Null, "limit"),
        ("GET", "/v1/events?limit=many", Value::Null, "limit"),
        ("GET", "/v1/events?colour=red", Value::Null, "colour"),
        ("GET", "/v1/events?tenant=acme&source=todo", Value::Null, "id"),
        ("GET", "/v1/events/inv_0000000000001", Value::Null, "id"),
        ("GET", "/v1/stream?after=7", Value::Null, "after"),
        ("GET", "/v1/stream?type=odd", Value::Null, "type"),
        ("POST", "/v1/patterns/test", json!({"pattern": "{", "event": "{}"}), "pattern"),
        ("POST", "/v1/patterns/test", json!({"pattern": "{\"a\":[1]}", "event": "["}), "event"),
        ("POST", "/v1/patterns/test", json!({"pattern": "{\"a\":[1]}", "event": "{\"a\":1}"}), "event"),
        ("PUT", "/v1/rules/r", json!({"targets": []}), "pattern"),
        ("PUT", "/v1/rules/r", rule(json!([])), "targets"),
        ("PUT", "/v1/rules/r", rule(json!([{}])), "targets[0]"),
        ("PUT", "/v1/rules/r", rule(json!([{"tenant": "a", "webhook": "b"}])), "targets[0]"),
        ("PUT", "/v1/rules/r", rule(json!([{"tenant": "a"}, {"tenant": "b", "retries": 1}])), "targets[1].retries"),
        ("PUT", "/v1/rules/r", rule(json!([{"tenant": "a", "retry": {"attempts": 0}}])), "targets[0].retry.attempts"),
        ("PUT", "/v1/rules/r", rule(json!([{"function": {"name": "f"}}])), "targets[0]"),
        ("PUT", "/v1/rules/r", json!({"pattern": {"source": "a"}, "targets": [{"tenant": "a"}]}), "pattern"),
        ("PUT", "/v1/rules/-r", rule(json!([{"tenant": "a"}])), "rule"),
        ("PUT", "/v1/tenants/acme/rules/r", rule(json!([{"webhook": "w"}])), "targets[0]"),
        ("PUT", "/v1/tenants/-t", json!({}), "tenant"),
        ("PUT", "/v1/tenants/t", json!({"quota": {"weight": 0}}), "quota.weight"),
        ("PUT", "/v1/tenants/t", json!({"quota": {"wieght": 1}}), "quota.wieght"),
        ("PUT", "/v1/tenants/t", json!({"status": "gone"}), "status"),
        ("PATCH", "/v1/tenants/acme", json!({"quota": {"floor": 9}}), "quota.floor"),
        ("GET", "/v1/tenants?cursor=%FF", Value::Null, "cursor"),
        ("PUT", "/v1/tenants/acme/functions/f", json!({"timeout": "3"}), "timeout"),
        ("PUT", "/v1/tenants/acme/functions/f", json!({"memory": "1MiB"}), "memory"),
        ("PUT", "/v1/tenants/acme/functions/f", json!({"handler": "index"}), "handler"),
        ("PUT", "/v1/tenants/acme/functions/f", json!({"runtime": "cobol"}), "runtime"),
        ("PUT", "/v1/tenants/acme/functions/f", json!({"environment": {"1": "x"}}), "environment"),
        ("GET", "/v1/tenants/acme/functions/enrich/versions/first", Value::Null, "version"),
        ("PUT", "/v1/tenants/acme/functions/enrich/aliases/live", json!({}), "version"),
        ("POST", "/v1/tenants/acme/functions/enrich/invoke?version=1&alias=live", json!({}), "alias"),
        ("GET", "/v1/tenants/acme/invocations?state=Odd", Value::Null, "state"),
        ("GET", "/v1/tenants/acme/invocations/evt_0000000000001", Value::Null, "id"),
        ("POST", "/v1/tenants/acme/invocations/cancel", json!({}), "ids"),
        ("POST", "/v1/tenants/acme/dead-letters/redrive", json!({"ids": ["inv_1"]}), "ids[0]"),
        ("GET", "/v1/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", Value::Null, "from"),
        ("GET", "/v1/usage?group=week", Value::Null, "group"),
        ("PUT", "/v1/webhooks/w", json!({"url": "ftp://example.com"}), "url"),
        ("PUT", "/v1/webhooks/w", json!({"url": "https://example.com", "secret": "hush"}), "secret"),
        ("POST", "/v1/keys", json!({"label": "x".repeat(101)}), "label"),
        ("DELETE", "/v1/keys/first", Value::Null, "id"),
        ("GET", "/v1/deliveries?state=lost", Value::Null, "state"),
    ];
    for (method, path, body, field) in cases {
        let request = api.request(Some(OPERATOR_KEY), Method::from_bytes(method.as_bytes()).unwrap(), path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = api.send(request).await;
        assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.body);
        assert_eq!(answer.body["field"], field, "{method} {path} {body}: {}", answer.body);
        assert!(answer.body["detail"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let listed = api.get("/v1/events").await.expect(200);
    assert_eq!(listed["items"], json!([]), "what is malformed stores nothing");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::PUT, "/v1/rules/r"),
        (Method::PUT, "/v1/tenants/acme"),
        (Method::POST, "/v1/tenants/acme/functions/enrich/versions"),
        (Method::POST, "/v1/tenants/acme/functions/enrich/invoke"),
        (Method::POST, "/v1/layers/l/versions"),
    ] {
        let request = api.request(Some(OPERATOR_KEY), method, path).header(CONTENT_TYPE, "text/plain").body("{}");
        let problem = api.send(request).await.expect(415);
        assert_eq!(problem["field"], "content-type", "{path}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_too_deep_is_refused() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let big = event(json!({"detail": {"text": "x".repeat(256 * 1024)}}));
    assert_eq!(api.post("/v1/events", big.clone()).await.expect(413)["field"], "event");
    let entries = api.post("/v1/events", json!([event(json!({})), big])).await.expect(207);
    assert_eq!((&entries[0]["status"], &entries[1]["error"]["status"]), (&json!("unmatched"), &json!(413)));

    let huge = "x".repeat(8 * 1024 * 1024 + 1);
    let request = api.request(Some(OPERATOR_KEY), Method::POST, "/v1/events").header(CONTENT_TYPE, "application/json");
    assert_eq!(api.send(request.body(huge)).await.expect(413)["field"], "body");

    let deep = format!(r#"{{"detail": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let request = api.request(Some(OPERATOR_KEY), Method::POST, "/v1/events").header(CONTENT_TYPE, "application/json");
    let problem = api.send(request.body(deep)).await.expect(400);
    assert!(problem["detail"].as_str().unwrap().contains("64 levels"), "{problem}");

    let many: Vec<Value> = (0..1_001).map(|_| event(json!({}))).collect();
    assert_eq!(api.post("/v1/events", json!(many)).await.expect(400)["field"], "body");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let api = Api::start().await;
    api.get("/v1/nothing").await.expect(404);
    api.delete("/v1/events").await.expect(405);
}

/// Fails one verb's answer while it is on.
struct Failing {
    on: AtomicBool,
    fault: Fault,
}

impl Faults for Failing {
    fn decide(&self, verb: Verb) -> Fault {
        if verb == Verb::Register && self.on.load(Ordering::SeqCst) { self.fault } else { Fault::None }
    }
}

#[tokio::test]
async fn a_failure_of_ours_shows_an_id_and_nothing_of_the_inside() {
    let faults = Arc::new(Failing { on: AtomicBool::new(false), fault: Fault::AfterCommit });
    let api = Api::start_with(faults.clone(), ServerConfig::default()).await;
    faults.on.store(true, Ordering::SeqCst);
    let problem = api.put("/v1/tenants/acme", json!({})).await.expect(500);
    assert_eq!(problem["detail"], "internal error");
    assert!(problem["request_id"].as_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn a_store_that_refuses_is_503_and_says_when_to_try_again() {
    let faults = Arc::new(Failing { on: AtomicBool::new(false), fault: Fault::BeforeCommit });
    let api = Api::start_with(faults.clone(), ServerConfig::default()).await;
    faults.on.store(true, Ordering::SeqCst);
    let answer = api.put("/v1/tenants/acme", json!({})).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
}
