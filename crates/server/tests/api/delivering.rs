//! Webhooks as the operator sets them up, and the log of what was sent to them.

use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR_KEY};

/// Nobody listens there: every try fails.
fn dead_end() -> Value {
    json!({"url": "http://127.0.0.1:9/hook", "allow_private": ["127.0.0.1:9"]})
}

/// A webhook `crm`, disabled so that what is due to it stays as it is, and the rule that leads to it.
async fn led_to_crm() -> Api {
    let api = Api::ready().await;
    let mut body = dead_end();
    body["enabled"] = json!(false);
    api.put("/v1/webhooks/crm", body).await.expect(201);
    let rule = json!({"pattern": {"source": ["sublet"]}, "targets": [{"webhook": "crm"}]});
    api.put("/v1/rules/results", rule).await.expect(201);
    api
}

/// An event of acme's and its result: the delivery that carries it.
async fn delivery(api: &Api) -> String {
    let mut stream = api.stream(OPERATOR_KEY, "").await;
    api.publish("acme", json!({})).await;
    let result = stream.result().await;
    let listed = api.get("/v1/deliveries?webhook=crm&limit=1").await.expect(200);
    assert_eq!(listed["items"][0]["event"], result.id.as_str());
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhooks_secret_is_shown_when_it_is_made_and_never_again() {
    let api = Api::ready().await;
    let made = api.put("/v1/webhooks/crm", dead_end()).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!((&made["timeout"], &made["enabled"]), (&json!("15s"), &json!(true)));
    for shown in [
        api.put("/v1/webhooks/crm", dead_end()).await.expect(200),
        api.get("/v1/webhooks/crm").await.expect(200),
        api.get("/v1/webhooks").await.expect(200)["items"][0].clone(),
    ] {
        assert!(shown.get("secret").is_none());
        assert_eq!(shown["secrets"].as_array().unwrap().len(), 1);
        assert!(shown["secrets"][0]["id"].as_str().unwrap().starts_with("sec_"));
        assert!(!shown.to_string().contains(secret));
    }
    let mut own = dead_end();
    own["secret"] = json!("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz");
    for _ in 0..2 {
        let put = api.put("/v1/webhooks/crm", own.clone()).await.expect(200);
        assert_eq!((&put["secret"], put["secrets"].as_array().unwrap().len()), (&own["secret"], 2), "once is enough");
    }
    for (field, wrong) in [("secret", json!("hunter2")), ("timeout", json!("31s")), ("url", json!("ftp://x.example"))] {
        let mut body = dead_end();
        body[field] = wrong;
        assert_eq!(api.put("/v1/webhooks/crm", body).await.expect(400)["field"], field);
    }
    api.delete("/v1/webhooks/crm").await.expect(204);
    api.get("/v1/webhooks/crm").await.expect(404);
}

#[tokio::test]
async fn a_rotation_shows_the_new_secret_and_says_when_the_old_one_ends() {
    let api = Api::ready().await;
    let made = api.put("/v1/webhooks/crm", dead_end()).await.expect(201);
    let rotate = async |body: Value| api.post("/v1/webhooks/crm/rotate", body).await;
    let rotated = rotate(json!({"overlap": "2h"})).await.expect(200);
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(rotated["secrets"][1]["id"], made["secrets"][0]["id"]);
    assert!(rotated["secrets"][0].get("expires").is_none() && rotated["secrets"][1]["expires"].is_string());
    let alone = rotate(json!({"overlap": "0s"})).await.expect(200);
    assert_eq!(alone["secrets"].as_array().unwrap().len(), 1);
    for _ in 0..3 {
        rotate(json!({})).await.expect(200);
    }
    rotate(json!({})).await.expect(409);
    assert_eq!(rotate(json!({"overlap": "31d"})).await.expect(400)["field"], "overlap");
    assert_eq!(rotate(json!({"secret": "short"})).await.expect(400)["field"], "secret");
    api.post("/v1/webhooks/none/rotate", json!({})).await.expect(404);
}

#[tokio::test]
async fn a_webhook_is_disabled_and_enabled_with_its_reason() {
    let api = Api::ready().await;
    api.put("/v1/webhooks/crm", dead_end()).await.expect(201);
    let disabled = api.post("/v1/webhooks/crm/disable", json!({})).await.expect(200);
    assert_eq!((&disabled["enabled"], &disabled["disabled"]["reason"]), (&json!(false), &json!("operator")));
    let put = api.put("/v1/webhooks/crm", dead_end()).await.expect(200);
    assert_eq!(put["disabled"], disabled["disabled"], "it stays as it is unless told");
    let enabled = api.post("/v1/webhooks/crm/enable", json!({})).await.expect(200);
    assert!(enabled["enabled"] == true && enabled.get("disabled").is_none());
    let mut off = dead_end();
    off["enabled"] = json!(false);
    assert_eq!(api.put("/v1/webhooks/crm", off).await.expect(200)["enabled"], false);
    for verb in ["disable", "enable"] {
        api.post(&format!("/v1/webhooks/none/{verb}"), json!({})).await.expect(404);
    }
}

#[tokio::test]
async fn the_delivery_log_is_asked_by_webhook_state_and_tenant_and_its_equation_holds() {
    let api = led_to_crm().await;
    let id = delivery(&api).await;
    let shown = api.get(&format!("/v1/deliveries/{id}")).await.expect(200);
    assert_eq!((&shown["webhook"], &shown["tenant"]), (&json!("crm"), &json!("acme")));
    assert_eq!((&shown["state"], &shown["replays"], &shown["attempts"]), (&json!("pending"), &json!(0), &json!([])));
    api.tenant("other", "v1").await;
    let count = async |query: &str| {
        api.get(&format!("/v1/deliveries{query}")).await.expect(200)["items"].as_array().unwrap().len()
    };
    assert_eq!(count("?webhook=crm&state=pending&tenant=acme").await, 1);
    assert_eq!(count("?tenant=other").await, 0);
    assert_eq!(count("?webhook=none").await + count("?state=failed").await, 0);
    api.get("/v1/deliveries?tenant=nobody").await.expect(404);
    let counted = api.get("/v1/webhooks/crm").await.expect(200);
    assert_eq!(counted["deliveries"], json!({"pending": 1, "delivered": 0, "failed": 0}));
    let balance = api.get("/v1/deliveries/balance").await.expect(200);
    assert_eq!((&balance["accepted"], &balance["pending"], &balance["holds"]), (&json!(1), &json!(1), &json!(true)));
}

#[tokio::test]
async fn a_delivery_is_replayed_by_its_id_and_all_failed_ones_by_their_time() {
    let api = led_to_crm().await;
    let id = delivery(&api).await;
    let replayed = api.post(&format!("/v1/deliveries/{id}/replay"), json!({})).await.expect(200);
    assert_eq!((&replayed["id"], &replayed["state"], &replayed["replays"]), (&json!(id), &json!("pending"), &json!(1)));
    let replay = async |webhook: &str, body: Value| api.post(&format!("/v1/webhooks/{webhook}/replay"), body).await;
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    assert_eq!(replay("crm", since.clone()).await.expect(200)["count"], 0, "nothing has failed");
    replay("none", since).await.expect(404);
    assert_eq!(replay("crm", json!({"since": "yesterday"})).await.expect(400)["field"], "since");
    api.post("/v1/deliveries/dlv_0000000000001/replay", json!({})).await.expect(404);
    api.delete("/v1/webhooks/crm").await.expect(204);
    api.post(&format!("/v1/deliveries/{id}/replay"), json!({})).await.expect(409);
}
