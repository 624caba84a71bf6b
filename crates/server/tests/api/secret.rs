//! Secrets over the API: what comes in never goes out.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, OPERATOR_KEY};

const VALUE: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
const PATH: &str = "/v1/tenants/acme/secrets/stripe";

async fn put_text(api: &Api, path: &str, text: &str) -> Answer {
    let request = api.request(Some(OPERATOR_KEY), Method::PUT, path).header(CONTENT_TYPE, "text/plain");
    api.send(request.body(text.to_owned())).await
}

#[tokio::test]
async fn a_secret_is_put_listed_and_deleted_and_its_value_is_in_no_answer() {
    let api = Api::ready().await;
    let made = api.put(PATH, json!({"value": VALUE, "hosts": ["api.stripe.com"]})).await.expect(201);
    assert_eq!((&made["name"], &made["hosts"]), (&json!("stripe"), &json!(["api.stripe.com"])));
    assert_eq!(made["fingerprint"].as_str().unwrap().len(), 8);
    let again = put_text(&api, PATH, VALUE).await.expect(200);
    assert_eq!(again["fingerprint"], made["fingerprint"], "the same value");
    assert_eq!(again["hosts"], made["hosts"], "a new value alone leaves the hosts");
    let other = api.put(PATH, json!({"value": "another value", "hosts": []})).await.expect(200);
    assert_ne!(other["fingerprint"], made["fingerprint"]);
    assert_eq!((&other["hosts"], &other["created"]), (&json!([]), &made["created"]));
    let own = api.put(&format!("{PATH}?function=enrich"), json!({"value": VALUE})).await.expect(201);
    assert_eq!(own["function"], "enrich");
    let shown = api.get(PATH).await.expect(200);
    assert_eq!((&shown["fingerprint"], shown.get("function")), (&other["fingerprint"], None));
    let listed = api.get("/v1/tenants/acme/secrets").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let of_function = api.get("/v1/tenants/acme/secrets?function=enrich").await.expect(200);
    assert_eq!(of_function["items"], json!([own]));
    for answer in [made, again, other, own, shown, listed, of_function] {
        let text = answer.to_string();
        assert!(!text.contains("sk_live") && !text.contains("another value"), "{text}");
    }
    api.delete(PATH).await.expect(204);
    api.delete(PATH).await.expect(404);
    api.get(PATH).await.expect(404);
    api.get(&format!("{PATH}?function=enrich")).await.expect(200);
    api.delete("/v1/tenants/acme/functions/enrich").await.expect(204);
    assert_eq!(api.get("/v1/tenants/acme/secrets").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_value_that_is_refused_is_not_told_back() {
    let api = Api::ready().await;
    let long = VALUE.repeat(200);
    for (body, field) in [
        (json!({"value": 4_242_424_242_424_242_u64}), "value"),
        (json!({"value": [VALUE]}), "value"),
        (json!(VALUE), "body"),
        (json!([VALUE]), "body"),
        (json!({(VALUE): "x", "value": "long enough"}), "body"),
        (json!({"value": "short"}), "value"),
        (json!({"value": long}), "value"),
        (json!({"hosts": []}), "value"),
        (json!({"value": VALUE, "hosts": "api.stripe.com"}), "hosts"),
        (json!({"value": VALUE, "hosts": ["https://api.stripe.com"]}), "hosts"),
        (json!({"value": VALUE, "hosts": vec!["a.test"; 21]}), "hosts"),
    ] {
        let problem = api.put(PATH, body.clone()).await.expect(400);
        assert_eq!(problem["field"], field, "{body}");
        let text = problem.to_string();
        assert!(!text.contains("sk_live") && !text.contains("42424242"), "{text}");
    }
    let broken = format!("{{\"value\": \"{VALUE}");
    let request = api.request(Some(OPERATOR_KEY), Method::PUT, PATH).header(CONTENT_TYPE, "application/json");
    let problem = api.send(request.body(broken)).await;
    assert!(problem.status == 400 && !problem.body.to_string().contains("sk_live"), "{}", problem.body);
    api.put("/v1/tenants/acme/secrets/stripe?function=nothing", json!({"value": VALUE})).await.expect(404);
    assert_eq!(api.get("/v1/tenants/acme/secrets").await.expect(200)["items"], json!([]), "nothing was kept");
}

#[tokio::test]
async fn the_audit_log_tells_of_a_secret_and_not_its_value() {
    let api = Api::ready().await;
    api.put(PATH, json!({"value": VALUE})).await.expect(201);
    api.delete(PATH).await.expect(204);
    let audit = api.get("/v1/tenants/acme/audit").await.expect(200);
    let operations: Vec<&Value> = audit["items"].as_array().unwrap().iter().map(|line| &line["operation"]).collect();
    assert!(operations.contains(&&json!("put_secret")) && operations.contains(&&json!("delete_secret")), "{audit}");
    assert!(audit.to_string().contains(PATH) && !audit.to_string().contains("sk_live"));
}

#[tokio::test]
async fn a_tenants_own_key_manages_its_secrets_and_lesser_roles_do_not() {
    let api = Api::ready().await;
    let own = api.key_of("acme").await;
    let put = async |key: &str| {
        let request = api.request(Some(key), Method::PUT, PATH).json(&json!({"value": VALUE}));
        api.send(request).await.status
    };
    assert_eq!(put(&own).await, 201);
    for role in ["read", "deploy"] {
        let made = api.post("/v1/keys", json!({"tenant": "acme", "role": role})).await.expect(201);
        let key = made["secret"].as_str().unwrap();
        assert_eq!(put(key).await, 403, "{role}");
        api.get_as(key, PATH).await.expect(200);
    }
    api.put("/v1/tenants/other", json!({})).await.expect(201);
    let others = api.key_of("other").await;
    assert_eq!(put(&others).await, 404);
    api.get_as(&others, PATH).await.expect(404);
}

#[tokio::test]
async fn a_deploy_without_its_secret_names_variable_and_secret() {
    let api = Api::ready().await;
    let config = json!({"secrets": {"STRIPE": {"secret": "stripe"}}});
    let function = api.put("/v1/tenants/acme/functions/enrich", config.clone()).await.expect(200);
    assert_eq!(function["secrets"], config["secrets"]);
    let problem = api.deploy("acme", "v2").await.expect(400);
    assert_eq!(
        (&problem["field"], &problem["detail"]),
        (&json!("secrets.STRIPE"), &json!("there is no secret `stripe`"))
    );
    api.put(PATH, json!({"value": VALUE})).await.expect(201);
    let version = api.deploy("acme", "v2").await.expect(201);
    assert_eq!(version["config"]["secrets"], config["secrets"], "frozen by name");
}

#[tokio::test]
async fn everything_is_sealed_anew_page_by_page() {
    let api = Api::ready().await;
    for number in 0..3 {
        api.put(&format!("/v1/tenants/acme/secrets/s{number}"), json!({"value": VALUE})).await.expect(201);
    }
    let first = api.post("/v1/secrets/reseal?limit=2", json!({})).await.expect(200);
    assert_eq!((&first["resealed"], &first["unreadable"]), (&json!(0), &json!(0)), "the first key seals them already");
    assert_eq!(first["keys"], json!([{"key": first["key"], "secrets": 3, "configured": true}]));
    let next = first["next"].as_str().unwrap().replace(' ', "%20");
    let last = api.post(&format!("/v1/secrets/reseal?cursor={next}"), json!({})).await.expect(200);
    assert_eq!(last.get("next"), None);
    api.post("/v1/secrets/reseal?cursor=nonsense", json!({})).await.expect(400);
}
