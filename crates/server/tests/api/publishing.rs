//! From an event to its result, its story and the stream; rules and patterns.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR_KEY};

#[tokio::test]
async fn an_event_becomes_a_result_on_the_stream_and_its_story_is_told() {
    let api = Api::ready().await;
    let mut stream = api.stream(OPERATOR_KEY, "").await;
    let published = api.publish("acme", json!({"title": "buy milk"})).await;
    assert_eq!((&published["status"], &published["repeated"]), (&json!("matched"), &json!(false)));

    let result = stream.result().await;
    assert_eq!(result.data["source"], "sublet");
    assert_eq!(result.data["detail-type"], "Invocation Succeeded");
    assert_eq!(result.data["tenant"], "acme");
    assert_eq!(result.data["detail"]["event"], published["id"]);
    assert_eq!(result.data["detail"]["result"]["echo"]["detail"], json!({"title": "buy milk"}));

    let story = api.get(&format!("/v1/events/{}", published["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(story["status"], "matched");
    assert_eq!(story["rules"][0]["name"], "dispatch");
    assert_eq!(story["invocations"][0]["state"], "Succeeded");

    let id = result.data["detail"]["invocation"].as_str().unwrap();
    let invocation = api.get(&format!("/v1/tenants/acme/invocations/{id}")).await.expect(200);
    assert_eq!((&invocation["function"], &invocation["state"]), (&json!("enrich"), &json!("Succeeded")));
    assert_eq!(invocation["attempts"][0]["log"], "hello from the handler\n");
    assert_eq!(invocation["attempts"][0]["usage"]["wall_us"], 1_500);

    let balance = api.get("/v1/tenants/acme/balance").await.expect(200);
    assert_eq!((&balance["accepted"], &balance["succeeded"], &balance["holds"]), (&json!(1), &json!(1), &json!(true)));
}

#[tokio::test]
async fn a_repeated_event_changes_nothing_and_a_changed_one_is_a_conflict() {
    let api = Api::ready().await;
    let event = |title: &str| json!({"id": "order-17", "source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": title}});
    let first = api.post("/v1/events", event("milk")).await.expect(202);
    let again = api.post("/v1/events", event("milk")).await.expect(200);
    assert_eq!((&again["id"], &again["status"], &again["repeated"]), (&first["id"], &first["status"], &json!(true)));
    api.post("/v1/events", event("bread")).await.expect(409);

    for path in ["/v1/events?tenant=acme&source=todo&id=order-17", "/v1/events/order-17?tenant=acme&source=todo"] {
        assert_eq!(api.get(path).await.expect(200)["id"], first["id"], "{path}");
    }
    api.get("/v1/events?tenant=acme&source=todo&id=order-18").await.expect(404);
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry() {
    let api = Api::ready().await;
    let event = |source: &str| json!({"source": source, "detail-type": "d", "tenant": "acme", "detail": {}});
    let batch = json!([event("todo"), event("sublet"), {"source": "todo"}, event("else")]);
    let entries = api.post("/v1/events", batch).await.expect(207);
    assert_eq!(entries[0]["status"], "matched");
    assert_eq!((&entries[1]["error"]["status"], &entries[1]["error"]["field"]), (&json!(403), &json!("source")));
    assert_eq!((&entries[2]["error"]["status"], &entries[2]["error"]["field"]), (&json!(400), &json!("detail-type")));
    assert_eq!(entries[3]["status"], "unmatched");
    let all = api.post("/v1/events", json!([event("todo"), event("todo")])).await.expect(202);
    assert_eq!(all.as_array().unwrap().len(), 2);

    let refused = api.post("/v1/events", event("sublet")).await.expect(403);
    assert_eq!(refused["field"], "source");
}

#[tokio::test]
async fn events_of_unknown_and_suspended_tenants_are_recorded_and_never_run() {
    let api = Api::ready().await;
    let unknown = api.publish("nobody", json!({})).await;
    assert_eq!((&unknown["status"], &unknown["reason"]), (&json!("rejected"), &json!("unknown_tenant")));
    let story = api.get(&format!("/v1/events/{}", unknown["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(story["reason"], "unknown_tenant");

    // Malformed is malformed, whoever's it is: half a surrogate pair is no text.
    let broken = r#"{"source": "todo", "detail-type": "d", "tenant": "nobody", "detail": {"a": "\ud800"}}"#;
    let request =
        api.request(Some(OPERATOR_KEY), Method::POST, "/v1/events").header("content-type", "application/json");
    assert_eq!(api.send(request.body(broken)).await.expect(400)["field"], "detail");

    api.patch("/v1/tenants/acme", json!({"status": "suspended"})).await.expect(200);
    let suspended = api.publish("acme", json!({})).await;
    assert_eq!((&suspended["status"], &suspended["reason"]), (&json!("rejected"), &json!("suspended_tenant")));
    let balance = api.get("/v1/tenants/acme/balance").await.expect(200);
    assert_eq!(balance["accepted"], 0);
    let listed = api.get("/v1/events").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let api = Api::ready().await;
    let mut stream = api.stream(OPERATOR_KEY, "").await;
    for number in 0..3 {
        api.publish("acme", json!({"number": number})).await;
    }
    let first = stream.result().await;
    let second = stream.result().await;
    let mut back = api.stream(OPERATOR_KEY, &format!("?after={}", first.id)).await;
    assert_eq!(back.result().await.id, second.id);
    let request =
        api.request(Some(OPERATOR_KEY), Method::GET, "/v1/stream").header("last-event-id", "evt_0000000000001");
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    while !text.contains("event: gap") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_tenants_stream_shows_its_own_results_alone() {
    let api = Api::ready().await;
    api.tenant("other", "v1").await;
    let key = api.key_of("acme").await;
    let mut stream = api.stream(&key, "?type=succeeded").await;
    api.publish("other", json!({})).await;
    api.publish("acme", json!({"do": "throw"})).await;
    let wanted = api.publish("acme", json!({})).await;
    assert_eq!(stream.result().await.data["detail"]["event"], wanted["id"]);
}

#[tokio::test]
async fn a_rule_is_made_read_replaced_listed_and_deleted() {
    let api = Api::ready().await;
    let rule = |kind: &str| {
        json!({
            "pattern": {"source": ["todo"], "detail-type": [kind]},
            "targets": [{"function": {"tenant": "acme", "name": "enrich"}, "retry": {"attempts": 2}}, {"webhook": "w"}]
        })
    };
    let made = api.put("/v1/rules/second", rule("a")).await.expect(201);
    let replaced = api.put("/v1/rules/second", rule("b")).await.expect(200);
    assert_eq!(made["id"], replaced["id"]);
    let read = api.get("/v1/rules/second").await.expect(200);
    assert_eq!(read["pattern"]["detail-type"], json!(["b"]));
    assert_eq!(read["targets"][0]["function"], json!({"tenant": "acme", "name": "enrich"}));
    assert_eq!(read["targets"][0]["retry"]["attempts"], 2);
    assert_eq!(api.get("/v1/rules").await.expect(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.delete("/v1/rules/second").await.expect(204), Value::Null);
    api.get("/v1/rules/second").await.expect(404);
    api.delete("/v1/rules/second").await.expect(404);

    // A tenant's rule sees the tenant's events, and is not among the operator's.
    let own = json!({"pattern": {"source": ["shop"]}, "targets": [{"function": {"name": "enrich"}}]});
    let key = api.key_of("acme").await;
    let request = api.request(Some(&key), Method::PUT, "/v1/tenants/acme/rules/shop").json(&own);
    assert_eq!(api.send(request).await.expect(201)["tenant"], "acme");
    assert_eq!(api.get("/v1/rules").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let event = json!({"source": "shop", "detail-type": "d", "tenant": "acme", "detail": {}});
    assert_eq!(api.post("/v1/events", event).await.expect(202)["status"], "matched");
}

#[tokio::test]
async fn a_pattern_is_tried_with_its_reasons() {
    let api = Api::start().await;
    let body = json!({"pattern": "{\"source\": [\"todo\"]}", "event": "{\"source\": \"shop\"}"});
    let answer = api.post("/v1/patterns/test", body).await.expect(200);
    assert_eq!(answer["matches"], false);
    assert_eq!(answer["reasons"][0]["path"], "source");
    let body = json!({"pattern": "{\"source\": [\"todo\"]}", "event": "{\"source\": \"todo\"}"});
    assert_eq!(api.post("/v1/patterns/test", body).await.expect(200), json!({"matches": true, "reasons": []}));
}

#[tokio::test]
async fn a_full_backlog_is_429_and_says_when_to_try_again() {
    let api = Api::ready().await;
    let quota = json!({"quota": {"ceiling": 1, "backlog": 1}});
    api.patch("/v1/tenants/acme", quota).await.expect(200);
    let event = json!({"source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"do": "wait"}});
    // One in flight, one waiting, and perhaps one more before the first was claimed.
    let mut refused = None;
    for _ in 0..4 {
        let answer = api.post("/v1/events", event.clone()).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect(202);
    }
    let refused = refused.expect("the backlog was never full");
    assert!(refused.headers.contains_key("retry-after"));
    api.sandbox.release();
}
