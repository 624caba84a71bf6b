//! Named queues over HTTP, destinations by whom, the stream's kinds, and answers to fall back on.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sublet_server::ServerConfig;
use sublet_store::memory::NoFaults;

use crate::harness::{Answer, Api, OPERATOR_KEY};

async fn receive(api: &Api, body: Value) -> Vec<Value> {
    let answer = api.post("/v1/queues/results/receive", body).await.expect(200);
    answer["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_consumer_takes_results_by_long_poll_and_acknowledges_several_at_once() {
    let api = Api::ready().await;
    let made = api.put("/v1/queues/results", json!({"lease": "1m", "receives_max": 2})).await.expect(201);
    assert_eq!((&made["lease"], &made["stats"]["waiting"]), (&json!("1m"), &json!(0)));
    assert_eq!(api.put("/v1/queues/results", json!({})).await.expect(200)["lease"], "30s");
    let rule = json!({"pattern": {"source": ["sublet"]}, "targets": [{"queue": "results"}]});
    api.put("/v1/rules/results", rule).await.expect(201);
    let poll = async { receive(&api, json!({"max": 1, "wait": "20s"})).await };
    let publish = async { api.publish("acme", json!({"n": 1})).await };
    let (first, published) = tokio::join!(poll, publish);
    assert_eq!((first.len(), &first[0]["receives"]), (1, &json!(1)));
    assert_eq!(first[0]["body"]["source"], "sublet");
    assert_eq!(first[0]["body"]["detail"]["event_id"], published["id"]);
    api.publish("acme", json!({"n": 2})).await;
    let second = receive(&api, json!({"max": 9, "wait": "20s"})).await;
    let leases = json!({"leases": [first[0]["lease"], "nonsense", second[0]["lease"]]});
    let acked = api.post("/v1/queues/results/ack", leases.clone()).await.expect(207);
    let done: Vec<&Value> = acked["items"].as_array().unwrap().iter().map(|item| &item["done"]).collect();
    assert_eq!(done, [true, false, true]);
    assert_eq!(acked["items"][1]["error"]["status"], 400);
    let again = api.post("/v1/queues/results/ack", leases).await.expect(207);
    assert_eq!(again["items"][0]["error"]["status"], 409, "{again}");
    let story = api.get(&format!("/v1/events/{}", first[0]["event_id"].as_str().unwrap())).await.expect(200);
    assert_eq!(story["messages"][0]["state"], "acked");
    let stats = api.get("/v1/queues/results").await.expect(200)["stats"].clone();
    assert_eq!((&stats["waiting"], &stats["in_flight"], &stats["dead"]), (&json!(0), &json!(0), &json!(0)));
}

#[tokio::test]
async fn messages_are_extended_released_and_their_dead_letters_redriven_and_purged() {
    let api = Api::ready().await;
    api.put("/v1/queues/results", json!({"receives_max": 1})).await.expect(201);
    let rule = json!({"pattern": {"source": ["todo"]}, "targets": [{"queue": "results"}]});
    api.put("/v1/rules/dispatch", rule).await.expect(200);
    for _ in 0..2 {
        api.publish("acme", json!({})).await;
    }
    let taken = receive(&api, json!({"max": 2, "wait": "20s"})).await;
    let lease = &taken[0]["lease"];
    let extended = api.post("/v1/queues/results/extend", json!({"leases": [lease], "lease": "5m"})).await.expect(200);
    assert!(extended["items"][0]["until"].as_str().unwrap() > taken[0]["until"].as_str().unwrap());
    let leases: Vec<&Value> = taken.iter().map(|message| &message["lease"]).collect();
    api.post("/v1/queues/results/release", json!({"leases": leases})).await.expect(200);
    // They were handed out as often as may be, so the upkeep makes dead letters of them.
    let path = "/v1/queues/results/dead-letters";
    let mut dead = Vec::new();
    while dead.len() < 2 {
        dead = api.get(path).await.expect(200)["items"].as_array().unwrap().clone();
        tokio::task::yield_now().await;
    }
    let one = json!({"ids": [dead[0]["id"]]});
    assert_eq!(api.post(&format!("{path}/redrive"), one).await.expect(200)["count"], 1);
    let back = receive(&api, json!({"wait": "20s"})).await;
    assert_eq!((&back[0]["id"], &back[0]["receives"]), (&dead[0]["id"], &json!(2)));
    let purge = |body: Value| api.request(Some(OPERATOR_KEY), Method::DELETE, path).json(&body);
    assert_eq!(api.send(purge(json!({}))).await.status, 400, "all is never what leaving it out means");
    assert_eq!(api.send(purge(json!({"all": true}))).await.expect(200)["count"], 1);
    api.delete("/v1/queues/results").await.expect(204);
    api.get("/v1/queues/results").await.expect(404);
}

#[tokio::test]
async fn each_bad_word_to_a_queue_names_its_field() {
    let api = Api::ready().await;
    api.put("/v1/queues/results", json!({})).await.expect(201);
    for (path, body, field) in [
        ("receive", json!({"max": 0}), "max"),
        ("receive", json!({"max": 101}), "max"),
        ("receive", json!({"wait": "21s"}), "wait"),
        ("receive", json!({"lease": "13h"}), "lease"),
        ("receive", json!({"visibility": "1s"}), "visibility"),
        ("ack", json!({"leases": []}), "leases"),
        ("extend", json!({"leases": ["x"], "lease": "0s"}), "lease"),
        ("release", json!({"leases": ["x"], "delay": "16m"}), "delay"),
    ] {
        let refused = api.post(&format!("/v1/queues/results/{path}"), body).await.expect(400);
        assert_eq!(refused["field"], field, "{refused}");
    }
    let refused = api.put("/v1/queues/results", json!({"retention": "15d"})).await.expect(400);
    assert_eq!(refused["field"], "retention");
    api.post("/v1/queues/nowhere/receive", json!({})).await.expect(404);
}

#[tokio::test]
async fn polls_end_when_the_server_stops() {
    let mut api = Api::ready().await;
    api.put("/v1/queues/results", json!({})).await.expect(201);
    let poll = api
        .request(Some(OPERATOR_KEY), Method::POST, "/v1/queues/results/receive")
        .json(&json!({"wait": "20s"}))
        .send();
    let poll = tokio::spawn(poll);
    while api.engine.stats().receives_waiting == 0 {
        tokio::task::yield_now().await;
    }
    api.stop();
    let answer: Value = poll.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"items": []}));
    api.ended().await;
}

#[tokio::test]
async fn a_tenants_key_sets_destinations_that_are_its_own_functions_and_no_others() {
    let api = Api::ready().await;
    let key = api.key_of("acme").await;
    api.put("/v1/queues/results", json!({})).await.expect(201);
    api.put("/v1/tenants/acme/functions/audit", json!({})).await.expect(201);
    let put = async |config: &Value| -> Answer {
        let request = api.request(Some(&key), Method::PUT, "/v1/tenants/acme/functions/enrich");
        api.send(request.json(config)).await
    };
    put(&json!({"destinations": {"on_success": {"function": "audit"}}})).await.expect(200);
    for (config, field) in [
        (json!({"destinations": {"on_success": {"queue": "results"}}}), "destinations.on_success"),
        (json!({"destinations": {"on_failure": "crm"}}), "destinations.on_failure"),
        (json!({"dead_letter": {"queue": "results"}}), "dead_letter"),
    ] {
        assert_eq!(put(&config).await.expect(403)["field"], field);
    }
    let by_operator =
        json!({"destinations": {"on_success": {"queue": "results"}}, "dead_letter": {"queue": "results"}});
    api.put("/v1/tenants/acme/functions/enrich", by_operator.clone()).await.expect(200);
    put(&by_operator).await.expect(200);
    let missing = json!({"destinations": {"on_success": {"function": "nobody"}}});
    assert_eq!(put(&missing).await.expect(400)["field"], "destinations.on_success");
}

#[tokio::test]
async fn the_stream_shows_state_changes_on_request_and_goes_on_where_a_reader_was() {
    let api = Api::ready().await;
    let mut stream = api.stream(OPERATOR_KEY, "?kinds=states,results").await;
    let published = api.publish("acme", json!({})).await;
    let (mut states, mut last, mut is_told) = (Vec::new(), String::new(), false);
    while states.len() < 3 || !is_told {
        let sent = stream.next().await.unwrap();
        last = sent.id;
        match sent.kind.as_str() {
            "state" => {
                assert_eq!((&sent.data["event_id"], &sent.data["tenant"]), (&published["id"], &json!("acme")));
                states.push(sent.data["state"].as_str().unwrap().to_owned());
            }
            kind => {
                assert_eq!(kind, "result");
                is_told = true;
            }
        }
    }
    assert_eq!(states, ["Queued", "Running", "Succeeded"]);
    let second = api.publish("acme", json!({})).await;
    let mut back = api.stream(OPERATOR_KEY, &format!("?kinds=states&state=Succeeded&after={last}")).await;
    let sent = back.next().await.unwrap();
    assert_eq!((sent.kind.as_str(), &sent.data["event_id"]), ("state", &second["id"]));
    for (query, field) in [
        ("?kinds=all", "kinds"),
        ("?kinds=states&source=todo", "source"),
        ("?state=Queued", "state"),
        ("?after=x", "after"),
    ] {
        assert_eq!(api.get(&format!("/v1/stream{query}")).await.expect(400)["field"], field);
    }
    let mut of_others = api.stream(OPERATOR_KEY, "?source=elsewhere").await;
    let mut of_todo = api.stream(OPERATOR_KEY, "?source=todo&detail-type=todo.created").await;
    api.publish("acme", json!({})).await;
    of_todo.result().await;
    assert!(tokio::time::timeout(Duration::from_millis(50), of_others.next()).await.is_err());
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let config = ServerConfig { keep_alive: Duration::from_millis(20), ..ServerConfig::default() };
    let api = Api::start_with(Arc::new(NoFaults), config).await;
    api.tenant("acme", "v1").await;
    let made = api.post("/v1/keys", json!({"tenant": "acme"})).await.expect(201);
    let mut stream = api.stream(made["secret"].as_str().unwrap(), "").await;
    api.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap())).await.expect(204);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_invoke_falls_back_on_the_callers_answer_and_says_why() {
    let api = Api::ready().await;
    api.put("/v1/tenants/acme/functions/broken", json!({})).await.expect(201);
    let invoke_with = async |event: Value, function: &str, query: &str, fallback: Option<&str>| -> Answer {
        let path = format!("/v1/tenants/acme/functions/{function}/invoke{query}");
        let mut request = api.request(Some(OPERATOR_KEY), Method::POST, &path).json(&event);
        if let Some(fallback) = fallback {
            request = request.header("sublet-fallback", fallback);
        }
        api.send(request).await
    };
    let invoke = async |function: &str, query: &str, fallback: Option<&str>| -> Answer {
        invoke_with(json!({}), function, query, fallback).await
    };
    let own = invoke("enrich", "?deadline=10s", Some(r#"{"allow":true}"#)).await;
    assert!(!own.headers.contains_key("sublet-fallback"), "{own:?}");
    own.expect(200);
    assert_eq!(invoke("broken", "", None).await.status, 404);
    let missing = invoke("broken", "", Some(r#"{"allow":true}"#)).await;
    assert_eq!(missing.headers["sublet-fallback"], "no_function");
    assert_eq!(missing.expect(200), json!({"allow": true}));
    for (event, query, status, reason) in [
        (json!({"do": "throw"}), "", 502, "failed"),
        (json!({"do": "loop"}), "", 504, "timed_out"),
        (json!({"do": "wait"}), "?deadline=20ms", 504, "timed_out"),
    ] {
        assert_eq!(invoke_with(event.clone(), "enrich", query, None).await.status, status, "{event}");
        let fallen = invoke_with(event, "enrich", query, Some("[1]")).await;
        assert_eq!(fallen.headers["sublet-fallback"], reason);
        assert_eq!(fallen.expect(200), json!([1]));
    }
    assert_eq!(invoke("enrich", "", Some("{")).await.expect(400)["field"], "Sublet-Fallback");
    assert_eq!(invoke("enrich", "?deadline=0s", None).await.expect(400)["field"], "deadline");
}
