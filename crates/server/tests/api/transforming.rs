//! Rules whose targets get something else than the event.

use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR_KEY};

#[tokio::test]
async fn a_transformed_event_reaches_its_targets_and_its_story_says_so() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let rule = json!({
        "pattern": {"source": ["todo"]},
        "targets": [
            {"tenant": "enrich", "transformer": {
                "input_paths": {"title": "$.detail.title"},
                "template": "{\"text\": \"<title> by <aws.events.rule-name>\", \"rule\": <aws.events.rule-arn>}"
            }},
            {"function": {"tenant": "acme", "name": "enrich"}, "transformer": {"InputPath": "$.detail"}},
            {"tenant": "enrich", "transformer": {"input": [1, {"two": null}]}},
            {"tenant": "enrich"},
        ]
    });
    api.put("/v1/rules/shape", rule).await.expect(201);
    let kept = api.get("/v1/rules/shape").await.expect(200);
    assert_eq!(kept["targets"][1]["transformer"], json!({"input_path": "$.detail"}));
    assert_eq!(kept["targets"][3].get("transformer"), None);

    let mut stream = api.stream(OPERATOR_KEY, "").await;
    let event =
        json!({"id": "order-1", "source": "todo", "detail-type": "d", "tenant": "acme", "detail": {"title": "milk"}});
    let published = api.post("/v1/events", event).await.expect(202);
    let mut echoes = Vec::new();
    for _ in 0..4 {
        let result = stream.result().await;
        assert_eq!(result.data["detail"]["event"], "order-1", "the result still names the event that was published");
        echoes.push(result.data["detail"]["result"]["echo"].clone());
    }
    let arn = "arn:aws:events:local:000000000000:rule/shape";
    for expected in [json!({"text": "milk by shape", "rule": arn}), json!({"title": "milk"}), json!([1, {"two": null}])]
    {
        assert!(echoes.contains(&expected), "{expected}: {echoes:?}");
    }
    assert!(echoes.iter().any(|echo| echo["detail-type"] == "d"), "the event as it is");

    let story = api.get(&format!("/v1/events/{}", published["id"].as_str().unwrap())).await.expect(200);
    let transformed: Vec<&Value> =
        story["rules"][0]["targets"].as_array().unwrap().iter().map(|target| &target["transformed"]).collect();
    assert_eq!(transformed, [&json!(true), &json!(true), &json!(true), &Value::Null]);
    assert_eq!(story["event"]["detail"], json!({"title": "milk"}), "the event itself stays as it came");
}

#[tokio::test]
async fn an_input_that_would_be_too_large_or_too_deep_is_recorded_and_not_sent() {
    let api = Api::start().await;
    api.tenant("acme", "v1").await;
    let rule = json!({"pattern": {"source": ["todo"]}, "targets": [
        {"tenant": "enrich", "transformer": {"template": "[<aws.events.event.json>, <aws.events.event.json>]"}}
    ]});
    api.put("/v1/rules/twice", rule).await.expect(201);
    let published = api.publish("acme", json!({"text": "x".repeat(200 * 1024)})).await;
    assert_eq!(published["status"], "unmatched");
    let story = api.get(&format!("/v1/events/{}", published["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(story["rules"][0]["targets"][0]["unmatched"], "input_too_large");
    let mut deep = json!({"n": 1});
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let open = |bracket: &str| bracket.repeat(40);
    let template = format!("{}<aws.events.event.json>{}", open("["), open("]"));
    let rule = json!({"pattern": {"source": ["todo"]}, "targets": [
        {"tenant": "enrich", "transformer": {"template": template}}
    ]});
    api.put("/v1/rules/twice", rule).await.expect(200);
    let published = api.publish("acme", json!({"deep": deep})).await;
    let story = api.get(&format!("/v1/events/{}", published["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(story["rules"][0]["targets"][0]["unmatched"], "input_too_deep");
}

#[tokio::test]
async fn a_transformer_is_checked_when_its_rule_is_put() {
    let api = Api::start().await;
    let put = async |transformer: Value| {
        let targets = json!([{"webhook": "a"}, {"tenant": "enrich", "transformer": transformer}]);
        api.put("/v1/rules/r", json!({"pattern": {"source": ["todo"]}, "targets": targets})).await.expect(400)
    };
    let cases = [
        (json!({"template": "{\"a\": <b>}"}), "targets[1].transformer.template", "at character 7: <b> is neither"),
        (json!({"input_path": "$..a"}), "targets[1].transformer.input_path", "`..`"),
        (json!({"input_paths": {"a": "b"}, "template": "1"}), "targets[1].transformer.input_paths.a", "begin with `$`"),
        (json!({"inputPath": "$"}), "targets[1].transformer.inputPath", "unknown field"),
        (json!({"input_path": "$", "input": 1}), "targets[1].transformer", "exactly one"),
    ];
    for (transformer, field, reason) in cases {
        let problem = put(transformer.clone()).await;
        assert_eq!(problem["field"], field, "{transformer}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{transformer}: {problem}");
    }
    let misspelt = json!({"pattern": {"source": ["a"]}, "targets": [{"tenant": "e", "transfomer": {"input": 1}}]});
    assert_eq!(api.put("/v1/rules/r", misspelt).await.expect(400)["field"], "targets[0].transfomer");
}
