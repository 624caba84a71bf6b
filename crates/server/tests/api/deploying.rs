//! Code: uploading, rolling back, calling, mending what became a dead letter, layers.

use std::io::Write;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR_KEY};

#[tokio::test]
async fn a_deploy_is_live_at_once_and_rolling_back_is_one_call() {
    let api = Api::ready().await;
    let invoke = async |query: &str| {
        let path = format!("/v1/tenants/acme/functions/enrich/invoke{query}");
        api.post(&path, json!({})).await.expect(200)["code"].clone()
    };
    let second = api.deploy("acme", "v2").await.expect(201);
    assert_eq!((&second["version"], &second["live"]), (&json!(2), &json!(true)));
    assert_eq!(invoke("").await, "v2");
    assert_eq!(invoke("?version=1").await, "v1");

    let path = "/v1/tenants/acme/functions/enrich/aliases/live";
    assert_eq!(api.put(path, json!({"version": 1})).await.expect(200), json!({"alias": "live", "version": 1}));
    assert_eq!(invoke("").await, "v1");
    api.put(path, json!({"version": 9})).await.expect(404);
    api.put("/v1/tenants/acme/functions/enrich/aliases/next", json!({"version": 2})).await.expect(200);
    assert_eq!(invoke("?alias=next").await, "v2");

    let upload = api
        .request(Some(OPERATOR_KEY), Method::POST, "/v1/tenants/acme/functions/enrich/versions?publish=false")
        .header(CONTENT_TYPE, "application/zip")
        .body(zip("index.mjs", "v3"));
    let third = api.send(upload).await.expect(201);
    assert_eq!((&third["version"], &third["live"]), (&json!(3), &json!(false)));
    assert_eq!(invoke("").await, "v1");
    let versions = api.get("/v1/tenants/acme/functions/enrich/versions?limit=2").await.expect(200);
    assert_eq!(versions["items"][0]["version"], 3);
    let next = versions["next"].as_str().unwrap();
    let rest = api.get(&format!("/v1/tenants/acme/functions/enrich/versions?cursor={next}")).await.expect(200);
    assert_eq!((&rest["items"][0]["version"], &rest["items"][0]["live"]), (&json!(1), &json!(true)));
    assert_eq!(api.get("/v1/tenants/acme/functions/enrich").await.expect(200)["live"], 1);
}

#[tokio::test]
async fn code_that_does_not_load_is_refused_with_its_line() {
    let api = Api::ready().await;
    let problem = api.deploy("acme", "cannot load").await.expect(422);
    assert_eq!(problem["failure"]["errorType"], "SyntaxError");
    assert_eq!(problem["failure"]["stackTrace"], json!(["at handler (index.mjs:3:11)"]));
    assert_eq!(api.get("/v1/tenants/acme/functions/enrich").await.expect(200)["live"], 1);

    let upload = api
        .request(Some(OPERATOR_KEY), Method::POST, "/v1/tenants/acme/functions/enrich/versions")
        .header(CONTENT_TYPE, "application/zip")
        .body("not a zip");
    let answer = api.send(upload).await;
    assert!([400, 422].contains(&answer.status), "{}", answer.body);
    let missing = api
        .request(Some(OPERATOR_KEY), Method::POST, "/v1/tenants/acme/functions/nothing/versions")
        .header(CONTENT_TYPE, "text/javascript")
        .body("v1");
    api.send(missing).await.expect(404);
}

#[tokio::test]
async fn an_invoke_answers_with_the_result_or_how_it_ended() {
    let api = Api::ready().await;
    let path = "/v1/tenants/acme/functions/enrich/invoke";
    let answer = api.post(path, json!({"n": 1})).await;
    assert_eq!(answer.headers["sublet-version"], "1");
    assert!(answer.headers["sublet-invocation"].to_str().unwrap().starts_with("inv_"));
    assert_eq!((answer.status, &answer.body["echo"]), (200, &json!({"n": 1})));

    assert!(!answer.headers.contains_key("sublet-instructions"));
    let counted = api.post(&format!("{path}?count=instructions"), json!({"n": 1})).await;
    assert_eq!(counted.headers["sublet-instructions"], "4321");
    let invocation = counted.headers["sublet-invocation"].to_str().unwrap();
    let kept = api.get(&format!("/v1/tenants/acme/invocations/{invocation}")).await.expect(200);
    assert_eq!(kept["attempts"][0]["usage"]["instructions"], 4321);
    assert_eq!(api.post(&format!("{path}?count=words"), json!({})).await.expect(400)["field"], "count");

    let failed = api.post(path, json!({"do": "throw"})).await;
    let invocation = failed.headers["sublet-invocation"].to_str().unwrap().to_owned();
    let problem = failed.expect(502);
    assert_eq!((&problem["outcome"], &problem["failure"]["errorType"]), (&json!("Failed"), &json!("TypeError")));
    assert_eq!(problem["invocation"], invocation);
    assert_eq!(api.post(path, json!({"do": "loop"})).await.expect(504)["outcome"], "TimedOut");
    let nothing = api.send(api.request(Some(OPERATOR_KEY), Method::POST, path)).await.expect(200);
    assert_eq!(nothing["echo"], Value::Null);

    let kept = api.get(&format!("/v1/tenants/acme/invocations/{invocation}")).await.expect(200);
    assert_eq!((&kept["state"], &kept["event"]), (&json!("Failed"), &Value::Null));
    assert_eq!(kept["attempts"][0]["error"]["errorMessage"], "x is not a function");
    api.post("/v1/tenants/acme/functions/nothing/invoke", json!({})).await.expect(404);
}

#[tokio::test]
async fn a_dead_letter_is_redriven_once_the_code_is_mended() {
    let api = Api::start().await;
    api.tenant("acme", "broken").await;
    api.dispatch().await;
    let mut stream = api.stream(OPERATOR_KEY, "").await;
    let published = api.publish("acme", json!({})).await;
    let failed = stream.result().await.data;
    assert_eq!(failed["detail-type"], "Invocation Failed");
    let letters = api.get("/v1/tenants/acme/dead-letters").await.expect(200);
    assert_eq!(letters["items"][0]["event"], published["id"]);
    assert_eq!(
        (&letters["items"][0]["state"], &letters["items"][0]["reason"]),
        (&json!("DeadLettered"), &json!("attempts_exhausted"))
    );

    api.deploy("acme", "v2").await.expect(201);
    let id = letters["items"][0]["id"].clone();
    let count = api.post("/v1/tenants/acme/dead-letters/redrive", json!({"ids": [id]})).await.expect(200);
    assert_eq!(count, json!({"count": 1}));
    assert_eq!(stream.result().await.data["detail-type"], "Invocation Succeeded");
    assert_eq!(api.get("/v1/tenants/acme/dead-letters").await.expect(200)["items"], json!([]));
    let none = api.send(api.request(Some(OPERATOR_KEY), Method::POST, "/v1/tenants/acme/dead-letters/redrive")).await;
    assert_eq!(none.expect(200), json!({"count": 0}));
}

#[tokio::test]
async fn waiting_invocations_are_cancelled_on_request() {
    let api = Api::ready().await;
    api.patch("/v1/tenants/acme", json!({"quota": {"ceiling": 1}})).await.expect(200);
    for _ in 0..3 {
        api.publish("acme", json!({"do": "wait"})).await;
    }
    while api.engine.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let count = api.post("/v1/tenants/acme/invocations/cancel", json!({"all": true})).await.expect(200);
    assert_eq!(count, json!({"count": 2}));
    api.sandbox.release();
    let cancelled = api.get("/v1/tenants/acme/invocations?state=Cancelled").await.expect(200);
    assert_eq!(cancelled["items"].as_array().unwrap().len(), 2);
    assert_eq!(cancelled["items"][0]["reason"], "cancelled_by_request");
    assert_eq!(
        api.get("/v1/tenants/acme/invocations?function=enrich").await.expect(200)["items"].as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn layers_have_versions_and_the_newest_is_listed() {
    let api = Api::ready().await;
    for version in 1..=3 {
        let upload = api
            .request(Some(OPERATOR_KEY), Method::POST, "/v1/layers/helpers/versions")
            .header(CONTENT_TYPE, "application/zip")
            .body(zip("index.mjs", &format!("export const version = {version}")));
        assert_eq!(api.send(upload).await.expect(201)["version"], version);
    }
    assert_eq!(api.get("/v1/layers").await.expect(200)["items"][0]["version"], 3);
    let page = api.get("/v1/layers/helpers/versions?limit=2").await.expect(200);
    assert_eq!(page["items"][1]["version"], 2);
    let rest = api.get(&format!("/v1/layers/helpers/versions?cursor={}", page["next"].as_str().unwrap())).await;
    let rest = rest.expect(200);
    assert_eq!((&rest["items"][0]["version"], rest.get("next")), (&json!(1), None));
    api.get("/v1/layers/nothing/versions").await.expect(404);
}

fn zip(name: &str, content: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}
