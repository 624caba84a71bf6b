//! The ways in over HTTP: CloudEvents, packed bodies, character sets, repeated requests.

use std::io::Write;
use std::path::Path;

use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, OPERATOR_KEY};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/cloudevents-http.json");

fn post(api: &Api, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let request = api.request(Some(OPERATOR_KEY), Method::POST, "/v1/events").body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn send(api: &Api, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    api.send(post(api, headers, body)).await
}

/// How many events there are that are no results.
async fn published(api: &Api) -> usize {
    let listed = api.get("/v1/events?limit=1000").await.expect(200);
    listed["items"].as_array().unwrap().iter().filter(|item| item["event"]["source"] != "sublet").count()
}

/// The attributes and the data that an envelope tells, in CloudEvents' words.
fn told(envelope: &Value) -> (Value, Value) {
    let mut attributes = envelope["cloudevents"].clone();
    for (name, own) in [("id", "id"), ("source", "source"), ("type", "detail-type")] {
        attributes[name] = envelope[own].clone();
    }
    if attributes.get("time").is_none() {
        attributes["time"] = envelope["time"].clone();
    }
    let detail = &envelope["detail"];
    (attributes, detail.get("data").unwrap_or(detail).clone())
}

#[tokio::test]
async fn every_published_cloudevent_arrives_with_its_attributes_and_data() {
    if !Path::new(CASES).exists() {
        println!("not run: conformance/cloudevents-http.json is not there");
        assert!(std::env::var_os("CI").is_none(), "CI must have the published cases");
        return;
    }
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(CASES).unwrap()).unwrap();
    assert!(cases.len() >= 16, "only {} cases", cases.len());
    // The tenant once as an extension and once as a header; a server each, as ids repeat.
    for as_extension in [false, true] {
        for case in &cases {
            let api = Api::start().await;
            api.tenant("acme", "v1").await;
            let rule = json!({"pattern": {"source": [{"exists": true}]}, "targets": [{"tenant": "enrich"}]});
            api.put("/v1/rules/all", rule).await.expect(201);
            let mut stream = api.stream(OPERATOR_KEY, "").await;
            let mut body = case["body"].as_str().unwrap().to_owned();
            let pairs = case["headers"].as_object().unwrap();
            let mut headers: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
            match (as_extension, case["mode"].as_str().unwrap()) {
                (true, "binary") => headers.push(("ce-tenant", "acme")),
                (true, _) => {
                    let mut event: Value = serde_json::from_str(&body).unwrap();
                    event["tenant"] = json!("acme");
                    body = event.to_string();
                }
                (false, _) => headers.push(("Sublet-Tenant", "acme")),
            }
            let published = send(&api, &headers, body).await.expect(202);
            assert_eq!(published["status"], "matched", "{}", case["id"]);

            let result = stream.result().await;
            let path = format!("/v1/events/{}", published["id"].as_str().unwrap());
            let kept = api.get(&path).await.expect(200);
            for envelope in [&result.data["detail"]["result"]["echo"], &kept["event"]] {
                let (attributes, data) = told(envelope);
                for (name, value) in case["expect"]["attributes"].as_object().unwrap() {
                    assert_eq!(&attributes[name], value, "{}: {name}", case["id"]);
                }
                let expected = match (&case["expect"]["data_json"], case["expect"]["data"].as_str()) {
                    (Value::Null, Some(text)) => {
                        let is_json = attributes["datacontenttype"].as_str().unwrap().starts_with("application/json");
                        if is_json { serde_json::from_str(text).unwrap() } else { json!(text) }
                    }
                    (value, _) => value.clone(),
                };
                assert_eq!(data, expected, "{}", case["id"]);
                assert_eq!(envelope["tenant"], "acme");
            }
        }
    }
    println!("{} published CloudEvents as published, twice", cases.len());
}

#[tokio::test]
async fn a_batch_of_cloudevents_is_answered_entry_by_entry() {
    let api = Api::ready().await;
    let event = |id: &str, kind: &str| json!({"specversion": "1.0", "id": id, "source": "todo", "type": kind});
    let batch = json!([event("1", "a"), event("2", ""), {"specversion": "0.3"}, event("1", "a"), event("1", "b")]);
    let headers = [("content-type", "application/cloudevents-batch+json"), ("sublet-tenant", "acme")];
    let entries = send(&api, &headers, batch.to_string()).await.expect(207);
    assert_eq!(entries[0]["status"], "matched");
    assert_eq!(entries[1]["error"]["field"], "type");
    assert_eq!(entries[2]["error"]["field"], "specversion");
    assert_eq!((&entries[3]["id"], &entries[3]["repeated"]), (&entries[0]["id"], &json!(true)));
    assert_eq!(entries[4]["error"]["status"], 409);
    assert_eq!(send(&api, &headers, "[]").await.expect(202), json!([]));
    let story = api.get("/v1/events?tenant=acme&source=todo&id=1").await.expect(200);
    assert_eq!(story["id"], entries[0]["id"]);
}

#[tokio::test]
async fn a_rule_sees_the_further_attributes_of_a_cloudevent() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let rule =
        json!({"pattern": {"cloudevents": {"subject": [{"prefix": "order/"}]}}, "targets": [{"tenant": "enrich"}]});
    api.put("/v1/rules/orders", rule).await.expect(201);
    for (id, subject, status) in [("1", "order%2F7", "matched"), ("2", "user/7", "unmatched")] {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "shop"),
            ("ce-type", "t"),
            ("ce-subject", subject),
            ("ce-tenant", "acme"),
        ];
        assert_eq!(send(&api, &headers, "").await.expect(202)["status"], status);
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

#[tokio::test]
async fn packed_bodies_are_unpacked_and_bombs_are_not() {
    let api = Api::ready().await;
    let event =
        json!({"source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": "milk"}}).to_string();
    let json = (CONTENT_TYPE.as_str(), "application/json");
    for (encoding, packed) in [("gzip", gzip(event.as_bytes())), ("zstd", zstd(event.as_bytes()))] {
        let headers = [json, (CONTENT_ENCODING.as_str(), encoding)];
        assert_eq!(send(&api, &headers, packed).await.expect(202)["status"], "matched", "{encoding}");
        let refused = send(&api, &headers, event.clone()).await.expect(400);
        assert_eq!(refused["field"], "body", "{encoding}");
    }
    let bomb = vec![b' '; 64 << 20];
    for (encoding, packed) in [("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))] {
        let refused = send(&api, &[json, (CONTENT_ENCODING.as_str(), encoding)], packed).await.expect(413);
        assert_eq!(refused["field"], "body", "{encoding}");
    }
    let refused = send(&api, &[json, (CONTENT_ENCODING.as_str(), "br")], event.clone()).await;
    assert_eq!(refused.headers["accept-encoding"], "gzip, zstd, identity");
    assert_eq!(refused.expect(415)["field"], "content-encoding");
    let rule = api.request(Some(OPERATOR_KEY), Method::PUT, "/v1/rules/r").header(CONTENT_ENCODING, "gzip");
    let rule = rule.header(CONTENT_TYPE, "application/json").body(gzip(b"{}"));
    assert_eq!(api.send(rule).await.expect(415)["field"], "content-encoding");
}

#[tokio::test]
async fn a_character_set_is_read_as_it_says_or_refused() {
    let api = Api::ready().await;
    let event = |title: &str| {
        format!(r#"{{"source":"todo","detail-type":"d","tenant":"acme","detail":{{"title":"{title}"}}}}"#)
    };
    let latin: Vec<u8> = event("caf\u{e9}").chars().map(|char| char as u8).collect();
    let headers = [(CONTENT_TYPE.as_str(), "application/json; charset=ISO-8859-1")];
    let event_id = send(&api, &headers, latin).await.expect(202);
    let kept = api.get(&format!("/v1/events/{}", event_id["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(kept["event"]["detail"]["title"], "café");

    let ascii = [(CONTENT_TYPE.as_str(), "application/json; charset=us-ascii")];
    send(&api, &ascii, event("milk")).await.expect(202);
    assert_eq!(send(&api, &ascii, event("café")).await.expect(400)["field"], "body");
    let odd = [(CONTENT_TYPE.as_str(), "application/json; charset=utf-16")];
    let refused = send(&api, &odd, event("milk")).await.expect(415);
    assert_eq!(refused["field"], "content-type");
    assert!(refused["detail"].as_str().unwrap().contains("utf-8, us-ascii and iso-8859-1"), "{refused}");
}

#[tokio::test]
async fn a_request_repeated_under_one_idempotency_key_is_published_once() {
    let api = Api::ready().await;
    let event =
        |title: &str| json!({"source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": title}});
    let json = (CONTENT_TYPE.as_str(), "application/json");
    let headers = [json, ("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")];
    let batch = json!([event("milk"), event("bread"), {"source": "todo"}]).to_string();
    let first = send(&api, &headers, batch.clone()).await;
    assert!(!first.headers.contains_key("sublet-replayed"));
    let first = first.expect(207);
    let again = send(&api, &headers, batch.clone()).await;
    assert_eq!(again.headers["sublet-replayed"], "true");
    assert_eq!(again.expect(207), first);
    assert_eq!(published(&api).await, 2, "published once");

    let other = send(&api, &headers, json!([event("eggs")]).to_string()).await.expect(422);
    assert_eq!(other["field"], "idempotency-key");
    let bare = [json, ("idempotency-key", "another")];
    send(&api, &bare, json!([event("eggs")]).to_string()).await.expect(202);
    let bad = [json, ("idempotency-key", "\"open")];
    assert_eq!(send(&api, &bad, batch).await.expect(400)["field"], "idempotency-key");

    // A refusal is not kept: mended, the request may be sent under the same key.
    let key = [json, ("idempotency-key", "mended")];
    send(&api, &key, json!({"source": "todo"}).to_string()).await.expect(400);
    send(&api, &key, event("milk").to_string()).await.expect(202);
}

#[tokio::test]
async fn a_repeat_after_the_answers_were_lost_finds_the_events_and_publishes_nothing() {
    let first = Api::ready().await;
    let event = json!({"source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": "milk"}});
    let headers = [(CONTENT_TYPE.as_str(), "application/json"), ("idempotency-key", "k")];
    let before = send(&first, &headers, event.to_string()).await.expect(202);
    // Another server over the same engine has the events, and none of the answers.
    let api = first.beside().await;
    let again = send(&api, &headers, event.to_string()).await.expect(200);
    assert_eq!((&again["id"], &again["repeated"]), (&before["id"], &json!(true)));
    let other = json!({"source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": "eggs"}});
    let third = first.beside().await;
    let refused = send(&third, &headers, other.to_string()).await.expect(422);
    assert_eq!(refused["field"], "idempotency-key");
    assert_eq!(published(&api).await, 1);
}
