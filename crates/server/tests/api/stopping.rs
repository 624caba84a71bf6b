//! The kill switch, quarantine and rollouts as their callers meet them.

use std::io::Write;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR_KEY};

const FUNCTION: &str = "/v1/tenants/acme/functions/enrich";

async fn running(api: &Api, count: u64) {
    while api.engine.stats().in_flight != count {
        tokio::task::yield_now().await;
    }
}

async fn post_as(api: &Api, key: &str, path: &str, body: Value) -> crate::harness::Answer {
    api.send(api.request(Some(key), Method::POST, path).json(&body)).await
}

#[tokio::test]
async fn a_stopped_function_answers_with_the_reason_and_shows_it_until_it_is_started() {
    let api = Api::ready().await;
    let mut changes = api.stream(OPERATOR_KEY, "?kinds=states").await;
    api.publish("acme", json!({"do": "wait"})).await;
    running(&api, 1).await;
    let path = format!("{FUNCTION}/stop");
    api.post(&path, json!({})).await.expect(400);
    assert_eq!(api.post(&path, json!({"reason": " "})).await.expect(400)["field"], "reason");
    let stopped = api.post(&path, json!({"reason": "it floods"})).await.expect(200);
    assert_eq!((&stopped["ended"], &stopped["function"]["stopped"]["reason"]), (&json!(1), &json!("it floods")));
    running(&api, 0).await;
    let listed = api.get("/v1/tenants/acme/functions").await.expect(200)["items"][0].clone();
    assert_eq!((&listed["stopped"]["by"], &listed["quarantined"]), (&json!("operator"), &Value::Null));
    let refused = api.post(&format!("{FUNCTION}/invoke"), json!({})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().ends_with("it floods"), "{refused}");
    let waits = api.get("/v1/tenants/acme/balance").await.expect(200);
    assert_eq!((&waits["waiting"], &waits["in_flight"], &waits["holds"]), (&json!(1), &json!(0), &json!(true)));
    let line = api.get("/v1/audit?limit=1").await.expect(200)["items"][0].clone();
    assert_eq!((&line["operation"], &line["status"]), (&json!("stop_function"), &json!(200)));

    api.sandbox.release();
    assert_eq!(api.post(&format!("{FUNCTION}/start"), json!({})).await.expect(200)["stopped"], Value::Null);
    api.post(&format!("{FUNCTION}/invoke"), json!({})).await.expect(200);
    let mut told = Vec::new();
    while told.len() < 2 {
        let sent = changes.next().await.unwrap();
        if sent.kind == "function" {
            told.push((sent.data["change"].clone(), sent.data["reason"].clone()));
        }
    }
    assert_eq!(told, [(json!("stopped"), json!("it floods")), (json!("started"), Value::Null)]);
}

#[tokio::test]
async fn a_tenant_stops_and_starts_its_own_function_but_lifts_nothing_of_the_operators() {
    let api = Api::ready().await;
    let key = api.key_of("acme").await;
    let (stop, start) = (format!("{FUNCTION}/stop"), format!("{FUNCTION}/start"));
    let own = post_as(&api, &key, &stop, json!({"reason": "wrong code"})).await.expect(200);
    assert_eq!(own["function"]["stopped"]["by"], "tenant");
    post_as(&api, &key, &start, json!({})).await.expect(200);
    api.post(&stop, json!({"reason": "it floods"})).await.expect(200);
    let refused = post_as(&api, &key, &start, json!({})).await.expect(403);
    assert!(refused["detail"].as_str().unwrap().starts_with("the operator stopped this function"), "{refused}");
    post_as(&api, &key, &stop, json!({"reason": "mine now"})).await.expect(403);
    // Nor is it made anew without one.
    api.send(api.request(Some(&key), Method::DELETE, FUNCTION)).await.expect(403);
    assert_eq!(api.get_as(&key, FUNCTION).await.expect(200)["stopped"]["reason"], "it floods");
    post_as(&api, &key, &format!("{FUNCTION}/release"), json!({})).await.expect(403);
    assert_eq!(api.post(&format!("{FUNCTION}/release"), json!({})).await.expect(200)["quarantined"], Value::Null);
    api.post("/v1/tenants/acme/functions/nothing/stop", json!({"reason": "x"})).await.expect(404);
    api.post("/v1/tenants/acme/functions/nothing/release", json!({})).await.expect(404);
}

#[tokio::test]
async fn a_stopped_tenant_is_suspended_with_its_reason_until_it_is_started_or_said_to_be_active() {
    let api = Api::ready().await;
    api.publish("acme", json!({"do": "wait"})).await;
    running(&api, 1).await;
    let stopped = api.post("/v1/tenants/acme/stop?cancel=true", json!({"reason": "unpaid"})).await.expect(200);
    assert_eq!((&stopped["ended"], &stopped["tenant"]["status"]), (&json!(1), &json!("suspended")));
    running(&api, 0).await;
    let cancelled = api.get("/v1/tenants/acme/invocations?state=Cancelled").await.expect(200);
    assert_eq!(cancelled["items"][0]["reason"], "stopped");
    assert_eq!(api.publish("acme", json!({})).await["status"], "rejected");
    let refused = api.post(&format!("{FUNCTION}/invoke"), json!({})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().ends_with("unpaid"), "{refused}");
    let kept = api.put("/v1/tenants/acme", json!({"quota": {"ceiling": 2}})).await.expect(200);
    assert_eq!((&kept["status"], &kept["stopped"]["reason"]), (&json!("suspended"), &json!("unpaid")), "a stop stays");
    let started = api.post("/v1/tenants/acme/start", json!({})).await.expect(200);
    assert_eq!((&started["status"], &started["stopped"]), (&json!("active"), &Value::Null));
    api.post("/v1/tenants/acme/stop", json!({"reason": "again"})).await.expect(200);
    let active = api.patch("/v1/tenants/acme", json!({"status": "active"})).await.expect(200);
    assert_eq!((&active["status"], &active["stopped"]), (&json!("active"), &Value::Null));
    api.post(&format!("{FUNCTION}/invoke"), json!({})).await.expect(200);
    api.post("/v1/tenants/nobody/stop", json!({"reason": "x"})).await.expect(404);
}

fn zip(content: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("index.mjs", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

async fn publish(api: &Api, query: &str) -> Value {
    let path = format!("/v1/layers/helpers/versions{query}");
    let upload = api.request(Some(OPERATOR_KEY), Method::POST, &path).header(CONTENT_TYPE, "application/zip");
    api.send(upload.body(zip("export const x = 1"))).await.expect(201)
}

async fn ended(api: &Api, version: u32) -> Value {
    loop {
        let rollout = api.get(&format!("/v1/layers/helpers/rollout?version={version}")).await.expect(200);
        if rollout.get("ended").is_some() {
            return rollout;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_layers_rollout_is_told_of_and_one_call_takes_it_back() {
    let api = Api::ready().await;
    api.get("/v1/layers/helpers/rollout").await.expect(404);
    api.post("/v1/layers/helpers/rollback", json!({})).await.expect(404);
    publish(&api, "?rollout=false").await;
    api.get("/v1/layers/helpers/rollout").await.expect(404);
    api.put(FUNCTION, json!({"layers": ["helpers"]})).await.expect(200);
    api.deploy("acme", "v2").await.expect(201);

    assert_eq!(publish(&api, "").await["current"], true);
    let rollout = ended(&api, 2).await;
    assert_eq!((&rollout["state"], &rollout["total"], &rollout["done"]), (&json!("done"), &json!(1), &json!(1)));
    assert_eq!(rollout["failed"], json!([]));
    let versions = api.get(&format!("{FUNCTION}/versions")).await.expect(200);
    assert_eq!(
        (&versions["items"][0]["live"], &versions["items"][0]["layers"][0]["version"]),
        (&json!(true), &json!(2))
    );

    let back = api.post("/v1/layers/helpers/rollback", json!({})).await.expect(200);
    assert_eq!((&back["current"]["version"], &back["rollout"]["state"]), (&json!(1), &json!("taken_back")));
    assert_eq!((&back["rollout"]["restored"], &back["rollout"]["kept"]), (&json!(1), &json!(0)));
    assert_eq!(api.get(FUNCTION).await.expect(200)["live"], 2);
    let layers = api.get("/v1/layers/helpers/versions").await.expect(200);
    assert_eq!((&layers["items"][0]["current"], &layers["items"][1]["current"]), (&json!(false), &json!(true)));
    assert_eq!(api.get("/v1/layers").await.expect(200)["items"][0]["version"], 1);
    api.post("/v1/layers/helpers/rollback", json!({})).await.expect(409);
}

#[tokio::test]
async fn what_does_not_build_with_a_layer_is_listed_by_its_names_page_by_page() {
    let api = Api::ready().await;
    publish(&api, "").await;
    for tenant in ["acme", "other"] {
        if tenant == "other" {
            api.tenant("other", "v1").await;
        }
        let path = format!("/v1/tenants/{tenant}/functions/enrich");
        api.put(&path, json!({"layers": ["helpers"]})).await.expect(200);
        api.deploy(tenant, "v2").await.expect(201);
    }
    api.sandbox.refuse_builds();
    publish(&api, "").await;
    let rollout = ended(&api, 2).await;
    assert_eq!((&rollout["state"], &rollout["failed_count"]), (&json!("failed"), &json!(2)));
    let first = api.get("/v1/layers/helpers/rollout?limit=1").await.expect(200);
    let failure = json!({"tenant": "acme", "function": "enrich", "error": "SyntaxError: unexpected token"});
    assert_eq!(first["failed"], json!([failure]));
    let next = first["next"].as_str().unwrap();
    let rest = api.get(&format!("/v1/layers/helpers/rollout?limit=1&cursor={next}")).await.expect(200);
    assert_eq!((&rest["failed"][0]["tenant"], rest.get("next")), (&json!("other"), None));
    assert_eq!(api.get(FUNCTION).await.expect(200)["live"], 2);
}

#[tokio::test]
async fn a_tenants_wrappers_must_be_layers_and_are_shown() {
    let api = Api::ready().await;
    let refused = api.patch("/v1/tenants/acme", json!({"wrappers": ["helpers"]})).await.expect(400);
    assert_eq!(refused["field"], "wrappers");
    publish(&api, "").await;
    let set = api.patch("/v1/tenants/acme", json!({"wrappers": ["helpers"]})).await.expect(200);
    assert_eq!(set["wrappers"], json!(["helpers"]));
    let version = api.deploy("acme", "v2").await.expect(201);
    assert_eq!(version["layers"], json!([{"name": "helpers", "version": 1}]));
    assert_eq!(version["config"]["layers"], json!([]), "not the function's own doing");
}
