//! Where tenants' code may send requests: who says so, and who sees what was asked.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Api;

#[tokio::test]
async fn the_ceiling_is_the_operators_to_set_and_the_tenants_to_see() {
    let api = Api::ready().await;
    let key = api.key_of("acme").await;
    assert_eq!(api.get_as(&key, "/v1/tenants/acme").await.expect(200)["egress"], json!([]));
    let ceiling = json!(["https://api.example.com:8443/v1/", {"host": "*", "methods": ["get"]}]);
    let set = api.patch("/v1/tenants/acme", json!({"egress": ceiling})).await.expect(200);
    let shown = json!([
        {"scheme": "https", "host": "api.example.com", "port": 8443, "path": "/v1/"},
        {"scheme": "https", "host": "*", "methods": ["GET"]},
    ]);
    assert_eq!(set["egress"], shown);
    assert_eq!(api.get_as(&key, "/v1/tenants/acme").await.expect(200)["egress"], shown);
    let own = api.request(Some(&key), Method::PATCH, "/v1/tenants/acme").json(&json!({"egress": ["*"]}));
    assert_eq!(api.send(own).await.status, 403);
    api.patch("/v1/tenants/acme", json!({"quota": {"ceiling": 3}})).await.expect(200);
    assert_eq!(api.get("/v1/tenants/acme").await.expect(200)["egress"], shown, "a patch leaves it as it is");
    assert_eq!(api.put("/v1/tenants/acme", json!({})).await.expect(200)["egress"], json!([]));
}

#[tokio::test]
async fn a_rule_that_is_wrong_is_named_by_its_place_and_field() {
    let api = Api::ready().await;
    for (rules, field) in [
        (json!(["https://api.example.com", "ftp://x"]), "egress[1]"),
        (json!([{"host": "a.example.com", "port": 0}]), "egress[0].port"),
        (json!([{"host": "*.0.0.1"}]), "egress[0].host"),
        (json!([{"host": "a.example.com", "path": "v1"}]), "egress[0].path"),
        (json!([{"host": "a.example.com", "methods": ["CONNECT"]}]), "egress[0].methods"),
        (json!([{"host": "*"}]), "egress[0].host"),
        (json!(vec!["a.example.com"; 65]), "egress"),
    ] {
        let problem = api.put("/v1/tenants/acme/functions/enrich", json!({"egress": rules})).await.expect(400);
        let named = problem["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{field}: {problem}");
    }
}

#[tokio::test]
async fn what_code_asked_for_is_shown_with_its_attempt_and_in_the_usage() {
    let api = Api::ready().await;
    let event = json!({"do": "fetch", "url": "https://api.example.com/v1?key=s3cret"});
    api.post("/v1/tenants/acme/functions/enrich/invoke", event).await.expect(200);
    let key = api.key_of("acme").await;
    let listed = api.get_as(&key, "/v1/tenants/acme/invocations").await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    let shown = api.get_as(&key, &format!("/v1/tenants/acme/invocations/{id}")).await.expect(200);
    let fetch = &shown["attempts"][0]["fetches"][0];
    assert_eq!((&fetch["method"], &fetch["url"]), (&json!("GET"), &json!("https://api.example.com/v1?key")));
    assert_eq!((&fetch["refused"], &fetch["status"]), (&json!(true), &Value::Null));
    assert!(fetch["error"].as_str().unwrap().contains("host `api.example.com`"), "{fetch}");
    let total = &api.get("/v1/usage").await.expect(200)["total"];
    assert_eq!((&total["fetches"], &total["egress_bytes"]), (&json!(1), &json!(0)));
}
