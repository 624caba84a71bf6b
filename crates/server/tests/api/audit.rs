//! The audit log: every change leaves a line, by construction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use sublet_server::ServerConfig;
use sublet_store::memory::{Fault, Faults, NoFaults, Verb};

use crate::authorisation::{Scene, TABLE};
use crate::harness::{Answer, Api, OPERATOR_KEY};

/// Changes nothing of how the installation is set up, as docs/keys.md says.
const NO_CHANGE: &[(&str, &str)] = &[
    ("POST", "/v1/events"),
    ("POST", "/v1/patterns/test"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/queues/{queue}/receive"),
    ("POST", "/v1/queues/{queue}/ack"),
    ("POST", "/v1/queues/{queue}/extend"),
    ("POST", "/v1/queues/{queue}/release"),
];

fn is_change(method: &str, template: &str) -> bool {
    method != "GET" && !NO_CHANGE.contains(&(method, template))
}

async fn newest(api: &Api) -> Value {
    api.get("/v1/audit?limit=1").await.expect(200)["items"][0].clone()
}

async fn call(api: &Api, key: &str, method: &str, path: &str) -> Answer {
    api.send(api.request(Some(key), Method::from_bytes(method.as_bytes()).unwrap(), path)).await
}

fn assert_line(line: &Value, api: &Api, method: &str, template: &str, path: &str, answer: &Answer) {
    let place = format!("{method} {template}: {line}");
    assert_eq!(line["operation"], api.document.name(method, template), "{place}");
    assert_eq!(line["status"], answer.status, "{place}");
    assert_eq!(line["request"].as_str(), answer.headers["x-request-id"].to_str().ok(), "{place}");
    assert_eq!((line["target"].as_str(), &line["from"]), (Some(path), &json!("127.0.0.1")), "{place}");
    assert!(line["ended"].is_string(), "{place}");
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_a_line_and_no_other_does() {
    let scene = Scene::set().await;
    let api = &scene.api;
    let operations = api.document.operations();
    // What takes things away comes last, so that the others find theirs.
    let (deletes, others): (Vec<_>, Vec<_>) = operations.into_iter().partition(|(method, _)| method == "DELETE");
    for (method, template) in others.into_iter().chain(deletes) {
        let reach = TABLE.iter().find(|(verb, path, _)| *verb == method && *path == template).unwrap().2;
        let path = scene.path(&template, reach);
        let before = newest(api).await;
        let answer = call(api, OPERATOR_KEY, &method, &path).await;
        let line = newest(api).await;
        if is_change(&method, &template) {
            assert_line(&line, api, &method, &template, &path, &answer);
            assert_eq!(line["by"]["scope"], "operator");
        } else {
            assert_eq!(line, before, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_leaves_a_line_with_its_outcome() {
    let scene = Scene::set().await;
    let api = &scene.api;
    for (method, template, reach) in TABLE.iter().filter(|(method, template, _)| is_change(method, template)) {
        let path = scene.path(template, *reach);
        let answer = call(api, &scene.others_key, method, &path).await;
        assert!([403, 404].contains(&answer.status), "{method} {template}");
        let line = newest(api).await;
        assert_line(&line, api, method, template, &path, &answer);
        // Whose log it is in does not depend on what name was tried.
        assert_eq!((&line["tenant"], &line["by"]["scope"]), (&json!("other"), &json!("tenant")));
    }
    for (key, status) in [("slo_unknown-key-of-these-tests", 401), ("short", 401)] {
        let before = newest(api).await;
        assert_eq!(call(api, key, "DELETE", "/v1/tenants/acme").await.status, status);
        assert_eq!(newest(api).await, before, "there is nobody to tell of");
    }
}

#[tokio::test]
async fn a_line_tells_who_what_and_about_whom() {
    let api = Api::start().await;
    api.put("/v1/tenants/acme", json!({})).await.expect(201);
    let made = newest(&api).await;
    assert_eq!(
        (&made["operation"], &made["tenant"], &made["status"]),
        (&json!("put_tenant"), &json!("acme"), &json!(201))
    );
    assert_eq!((&made["by"]["role"], &made["by"]["label"]), (&json!("admin"), &json!("SUBLET_OPERATOR_KEY")));

    let ci = json!({"tenant": "acme", "label": "ci", "role": "deploy"});
    let key = api.post("/v1/keys", ci).await.expect(201);
    assert_eq!(newest(&api).await["tenant"], "acme", "although the path does not say so");
    let secret = key["secret"].as_str().unwrap();
    let put = api.request(Some(secret), Method::PUT, "/v1/tenants/acme/functions/enrich?x=1");
    api.send(put.json(&json!({"environment": {"TOKEN": "hush-hush"}}))).await.expect(201);
    let line = newest(&api).await;
    assert_eq!((&line["by"]["key"], &line["by"]["label"]), (&key["id"], &json!("ci")));
    let all = api.get("/v1/audit").await.expect(200).to_string();
    for kept_out in ["hush-hush", "TOKEN", "x=1", secret, OPERATOR_KEY] {
        assert!(!all.contains(kept_out), "{kept_out}");
    }
    let id = key["id"].as_str().unwrap();
    api.post(&format!("/v1/keys/{id}/rotate"), json!({})).await.expect(200);
    assert_eq!(newest(&api).await["tenant"], "acme");
    let by_key = api.get(&format!("/v1/audit?key={id}")).await.expect(200);
    assert_eq!(by_key["items"].as_array().unwrap().len(), 1);
    let puts = api.get("/v1/audit?operation=put_tenant&tenant=acme&since=2026-01-01T00:00:00Z").await.expect(200);
    assert_eq!(puts["items"], json!([made]));
    api.get("/v1/audit?tenant=nobody").await.expect(404);
    for bad in ["key=ten_1", "since=yesterday", "limit=0", "colour=red"] {
        let field = bad.split('=').next().unwrap();
        assert_eq!(api.get(&format!("/v1/audit?{bad}")).await.expect(400)["field"], field);
    }
}

#[tokio::test]
async fn a_tenant_sees_its_own_part_and_of_the_operator_only_that_it_was_the_operator() {
    let scene = Scene::set().await;
    let api = &scene.api;
    call(api, &scene.own_key, "DELETE", "/v1/tenants/acme/rules/own").await.expect(204);
    call(api, &scene.own_key, "DELETE", "/v1/tenants/other").await.expect(404);
    let own = api.get_as(&scene.own_key, "/v1/tenants/acme/audit").await.expect(200);
    let items = own["items"].as_array().unwrap();
    assert!(items.len() > 4 && items.iter().all(|line| line["tenant"] == "acme"));
    assert_eq!((&items[0]["target"], &items[0]["status"]), (&json!("/v1/tenants/other"), &json!(404)));
    assert_eq!((&items[1]["operation"], &items[1]["from"]), (&json!("delete_tenant_rule"), &json!("127.0.0.1")));
    let by_operator = items.iter().find(|line| line["by"]["scope"] == "operator").unwrap();
    assert_eq!((&by_operator["by"], by_operator.get("from")), (&json!({"scope": "operator"}), None));
    let others = api.get_as(&scene.others_key, "/v1/tenants/other/audit").await.expect(200);
    assert!(others["items"].as_array().unwrap().iter().all(|line| line["by"]["scope"] == "operator"));
    let for_operator = api.get("/v1/tenants/acme/audit").await.expect(200);
    assert!(for_operator["items"].as_array().unwrap().iter().all(|line| line["from"] == "127.0.0.1"));
}

#[tokio::test]
async fn a_deleted_tenants_lines_stay_with_the_operator_and_are_not_its_successors() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    api.delete("/v1/tenants/acme").await.expect(204);
    let all = api.get("/v1/audit").await.expect(200);
    let about: Vec<&str> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["tenant"] == "acme")
        .map(|line| line["operation"].as_str().unwrap())
        .collect();
    assert_eq!(about, ["delete_tenant", "deploy_version", "put_function", "put_tenant"]);
    api.put("/v1/tenants/acme", json!({})).await.expect(201);
    let anew = api.get_as(&api.key_of("acme").await, "/v1/tenants/acme/audit").await.expect(200);
    let operations: Vec<&Value> = anew["items"].as_array().unwrap().iter().map(|line| &line["operation"]).collect();
    assert_eq!(operations, ["make_key", "put_tenant"]);
}

/// Fails one verb while it is on.
struct Failing {
    on: AtomicBool,
    verb: Verb,
    fault: Fault,
}

impl Faults for Failing {
    fn decide(&self, verb: Verb) -> Fault {
        if verb == self.verb && self.on.load(Ordering::SeqCst) { self.fault } else { Fault::None }
    }
}

async fn failing(verb: Verb, fault: Fault) -> (Arc<Failing>, Api) {
    let faults = Arc::new(Failing { on: AtomicBool::new(false), verb, fault });
    (faults.clone(), Api::start_with(faults, ServerConfig::default()).await)
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let (faults, api) = failing(Verb::Audit, Fault::BeforeCommit).await;
    faults.on.store(true, Ordering::SeqCst);
    api.put("/v1/tenants/acme", json!({})).await.expect(503);
    faults.on.store(false, Ordering::SeqCst);
    api.get("/v1/tenants/acme").await.expect(404);
}

#[tokio::test]
async fn a_change_whose_outcome_nobody_knows_has_a_line_without_an_end() {
    let (faults, api) = failing(Verb::Register, Fault::NeverAnswered).await;
    faults.on.store(true, Ordering::SeqCst);
    let put = api.request(Some(OPERATOR_KEY), Method::PUT, "/v1/tenants/acme").json(&json!({})).send();
    let put = tokio::spawn(put);
    let line = loop {
        if let Some(line) = api.get("/v1/audit").await.expect(200)["items"].get(0) {
            break line.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&line["operation"], line.get("status"), line.get("ended")), (&json!("put_tenant"), None, None));
    put.abort();
}

#[tokio::test]
async fn a_tenants_key_that_changes_too_much_is_slowed_and_others_are_not() {
    let clock = crate::harness::HandClock::new();
    let config = ServerConfig { clock: clock.clone(), ..ServerConfig::default() };
    let api = Api::start_with(Arc::new(NoFaults), config).await;
    api.put("/v1/tenants/acme", json!({})).await.expect(201);
    let (busy, other) = (api.key_of("acme").await, api.key_of("acme").await);
    let path = "/v1/tenants/acme/rules/none";
    for _ in 0..100 {
        call(&api, &busy, "DELETE", path).await.expect(404);
    }
    let refused = call(&api, &busy, "DELETE", path).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"1".parse().unwrap()));
    call(&api, &other, "DELETE", path).await.expect(404);
    api.get_as(&busy, "/v1/tenants/acme").await.expect(200);
    clock.pass(std::time::Duration::from_millis(100));
    call(&api, &busy, "DELETE", path).await.expect(404);
}

#[tokio::test]
async fn the_address_is_the_peers_unless_a_named_proxy_says_otherwise() {
    for (trusted, from) in [(vec![], "127.0.0.1"), (vec!["127.0.0.0/8".parse().unwrap()], "203.0.113.9")] {
        let config = ServerConfig { trusted_proxies: trusted, ..ServerConfig::default() };
        let api = Api::start_with(Arc::new(NoFaults), config).await;
        let put = api.request(Some(OPERATOR_KEY), Method::PUT, "/v1/tenants/acme").json(&json!({}));
        let forged = put.header("x-forwarded-for", "198.51.100.1, 203.0.113.9").header("x-forwarded-proto", "https");
        let answer = api.send(forged).await;
        let is_strict = answer.headers.contains_key("strict-transport-security");
        answer.expect(201);
        assert_eq!(newest(&api).await["from"], from);
        assert_eq!(is_strict, from != "127.0.0.1", "the client spoke TLS if the proxy says so");
    }
}
