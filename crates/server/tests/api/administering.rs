//! Tenants, keys, usage, metrics.

use std::sync::Arc;

use serde_json::{Value, json};
use sublet_server::{AppState, ServerConfig};
use sublet_store::TenantSpec;
use sublet_store::memory::NoFaults;
use tokio::net::TcpListener;

use crate::harness::{Api, OPERATOR_KEY};

#[tokio::test]
async fn usage_is_summed_and_priced_for_the_tenant_and_for_the_operator() {
    let api = Api::ready().await;
    api.tenant("other", "v1").await;
    for tenant in ["acme", "acme", "other"] {
        api.post(&format!("/v1/tenants/{tenant}/functions/enrich/invoke"), json!({})).await.expect(200);
    }
    let own = api.get_as(&api.key_of("acme").await, "/v1/tenants/acme/usage").await.expect(200);
    assert_eq!((&own["group"], &own["currency"]), (&json!("function"), &json!("USD")));
    assert_eq!((&own["items"][0]["function"], &own["items"][0]["attempts"]), (&json!("enrich"), &json!(2)));
    assert_eq!(own["total"]["wall_us"], 3_000);
    let all = api.get("/v1/usage").await.expect(200);
    let tenants: Vec<(&str, u64)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["tenant"].as_str().unwrap(), item["attempts"].as_u64().unwrap()))
        .collect();
    assert_eq!(tenants, [("acme", 2), ("other", 1)]);
    let total = api.get("/v1/usage?group=total").await.expect(200);
    assert_eq!((&total["items"][0]["attempts"], &total["total"]["attempts"]), (&json!(3), &json!(3)));
    assert_eq!(api.get("/v1/usage?to=2026-01-01T00:00:00Z").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_key_is_shown_once_and_lets_nobody_in_once_deleted() {
    let api = Api::ready().await;
    let made = api.post("/v1/keys", json!({"tenant": "acme", "label": "ci"})).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("slt_"));
    let listed = api.get("/v1/keys?tenant=acme").await.expect(200);
    assert_eq!((&listed["items"][0]["label"], &listed["items"][0]["secret"]), (&json!("ci"), &Value::Null));
    api.get_as(secret, "/v1/tenants/acme").await.expect(200);
    api.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap())).await.expect(204);
    api.get_as(secret, "/v1/tenants/acme").await.expect(401);

    let operators = api.get("/v1/keys").await.expect(200);
    let last = operators["items"][0]["id"].as_str().unwrap();
    api.delete(&format!("/v1/keys/{last}")).await.expect(409);
    let second = api.post("/v1/keys", json!({})).await.expect(201);
    assert!(second["secret"].as_str().unwrap().starts_with("slo_"));
    api.delete(&format!("/v1/keys/{last}")).await.expect(204);
    api.get("/v1/tenants").await.expect(401);
}

#[tokio::test]
async fn a_deleted_tenant_takes_its_keys_and_leaves_its_usage() {
    let api = Api::ready().await;
    let key = api.key_of("acme").await;
    api.post("/v1/tenants/acme/functions/enrich/invoke", json!({})).await.expect(200);
    api.delete("/v1/tenants/acme").await.expect(204);
    api.get_as(&key, "/v1/tenants/acme").await.expect(401);
    api.get("/v1/tenants/acme").await.expect(404);
    api.delete("/v1/tenants/acme").await.expect(404);
    assert_eq!(api.get("/v1/usage").await.expect(200)["total"]["attempts"], 1);
}

#[tokio::test]
async fn a_quota_is_merged_by_patch_and_set_by_put() {
    let api = Api::ready().await;
    let made = api.put("/v1/tenants/acme", json!({"quota": {"ceiling": 2}, "attributes": {"plan": "gold"}})).await;
    assert_eq!(made.expect(200)["quota"]["invoke_slots"], 2);
    let patched = api.patch("/v1/tenants/acme", json!({"quota": {"weight": 7}})).await.expect(200);
    assert_eq!((&patched["quota"]["ceiling"], &patched["quota"]["weight"]), (&json!(2), &json!(7)));
    assert_eq!(patched["attributes"], json!({"plan": "gold"}));
    let put = api.put("/v1/tenants/acme", json!({})).await.expect(200);
    assert_eq!((&put["quota"]["ceiling"], &put["attributes"]), (&json!(8), &json!({})));
    api.patch("/v1/tenants/nobody", json!({})).await.expect(404);
    let page = api.get("/v1/tenants?limit=1").await.expect(200);
    assert_eq!(page["items"][0]["name"], "acme");
}

#[tokio::test]
async fn isolation_is_the_operators_to_say_and_saying_it_lifts_a_suspicion() {
    let api = Api::ready().await;
    let found = api.get("/v1/tenants/acme").await.expect(200);
    assert_eq!((&found["isolation"], &found["isolation_reason"]), (&json!("shared"), &Value::Null));
    let patched = api.patch("/v1/tenants/acme", json!({"isolation": "dedicated"})).await.expect(200);
    assert_eq!(patched["isolation"], "dedicated");
    assert_eq!(
        api.patch("/v1/tenants/acme", json!({"quota": {"weight": 7}})).await.expect(200)["isolation"],
        "dedicated"
    );
    assert_eq!(api.put("/v1/tenants/acme", json!({})).await.expect(200)["isolation"], "shared");
    api.patch("/v1/tenants/acme", json!({"isolation": "alone"})).await.expect(400);

    let acme = "acme".parse().unwrap();
    let suspect = |former: Option<TenantSpec>| {
        Ok(TenantSpec { suspicion: Some("it broke out".to_owned()), ..former.unwrap_or_default() })
    };
    api.engine.registry().put_tenant_by(&acme, suspect).await.unwrap();
    for body in [json!({}), json!({"attributes": {"plan": "gold"}})] {
        // A set-up script that says what it always says takes nothing back.
        let put = api.put("/v1/tenants/acme", body).await.expect(200);
        assert_eq!((&put["isolation"], &put["isolation_reason"]), (&json!("dedicated"), &json!("it broke out")));
    }
    let own = api.get_as(&api.key_of("acme").await, "/v1/tenants/acme").await.expect(200);
    assert_eq!((&own["isolation"], &own["isolation_reason"]), (&json!("dedicated"), &Value::Null));
    let lifted = api.patch("/v1/tenants/acme", json!({"isolation": "shared"})).await.expect(200);
    assert_eq!((&lifted["isolation"], &lifted["isolation_reason"]), (&json!("shared"), &Value::Null));
}

#[tokio::test]
async fn metrics_are_numbers_without_anybodys_name() {
    let api = Api::ready().await;
    api.post("/v1/tenants/acme/functions/enrich/invoke", json!({})).await.expect(200);
    let text = api.client.get(format!("{}/metrics", api.base)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("sublet_slots 16"), "{text}");
    assert!(text.contains("sublet_http_requests_total"), "{text}");
    assert!(!text.contains("acme"), "{text}");
}

#[tokio::test]
async fn metrics_on_an_address_of_their_own_are_not_with_the_api() {
    let config = ServerConfig { metrics_apart: true, ..ServerConfig::default() };
    let api = Api::start_with(Arc::new(NoFaults), config).await;
    api.get("/metrics").await.expect(404);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let state = AppState::new(api.engine.clone(), ServerConfig::default());
    let serving = tokio::spawn(sublet_server::serve_metrics(listener, state));
    let look = async |path: &str| api.client.get(format!("{base}{path}")).send().await.unwrap();
    assert!(look("/metrics").await.text().await.unwrap().contains("sublet_slots"));
    assert_eq!(look("/readyz").await.status(), 200);
    let kept_apart = api.client.get(format!("{base}/v1/tenants")).bearer_auth(OPERATOR_KEY).send().await.unwrap();
    assert_eq!(kept_apart.status(), 404, "nothing of the API");
    serving.abort();
}
