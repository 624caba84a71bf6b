//! `POST /v1/patterns/test` over real HTTP, and why a rule did not match.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use crate::harness::Api;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/event-patterns.jsonl");

#[derive(Deserialize)]
struct Case {
    id: String,
    pattern_json: String,
    event_json: Option<String>,
    expected: String,
}

#[tokio::test]
async fn every_published_pattern_is_answered_over_http_as_published() {
    if !Path::new(CASES).exists() {
        println!("not run: conformance/event-patterns.jsonl is not there");
        assert!(std::env::var_os("CI").is_none(), "CI must have the published cases");
        return;
    }
    let text = std::fs::read_to_string(CASES).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() >= 500, "only {} cases", cases.len());
    let api = Api::start().await;
    let mut wrong = Vec::new();
    for case in &cases {
        // A case without an event asks about the pattern alone.
        let event = case.event_json.as_deref().unwrap_or(r#"{"source": "any"}"#);
        let answer = api.post("/v1/patterns/test", json!({"pattern": case.pattern_json, "event": event})).await;
        let found = match (answer.status, case.event_json.is_some()) {
            (200, false) => "valid",
            (200, true) if answer.body["matches"] == true => "match",
            (200, true) => "no_match",
            (400, _) if answer.body["field"] == "pattern" => "invalid",
            (400, _) => "invalid_event",
            _ => "neither answered nor refused",
        };
        if found != case.expected {
            wrong.push(format!("{}: {found} instead of {}: {}", case.id, case.expected, answer.body));
        }
    }
    println!("{} of {} published patterns as published", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_story_of_an_event_names_the_first_field_the_operator_and_the_value_that_failed() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let rules = [
        ("amount", json!({"detail": {"amount": [{"numeric": [">", 100]}]}}), "detail.amount", "numeric", "7"),
        ("title", json!({"detail": {"title": [{"prefix": "sour"}]}}), "detail.title", "prefix", "\"milk\""),
        ("gone", json!({"detail": {"gone": [{"exists": true}]}}), "detail.gone", "exists", "nothing"),
        ("source", json!({"source": ["shop"], "detail": {"amount": [1]}}), "source", "exact", "\"todo\""),
    ];
    for (name, pattern, ..) in &rules {
        let rule = json!({"pattern": pattern, "targets": [{"tenant": "enrich"}]});
        api.put(&format!("/v1/rules/{name}"), rule).await.expect(201);
    }
    let published = api.publish("acme", json!({"amount": 7, "title": "milk"})).await;
    let story = api.get(&format!("/v1/events/{}", published["id"].as_str().unwrap())).await.expect(200);
    for (name, _, path, operator, actual) in rules {
        let rule = story["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
        let reason = &rule["reasons"][0];
        assert_eq!((&reason["path"], &reason["operator"]), (&json!(path), &json!(operator)), "{rule}");
        assert_eq!(reason["actual"], actual, "{rule}");
    }
}
