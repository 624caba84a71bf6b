//! The table of cases. What EventBridge publishes about templates, and what was recorded of it, is marked with `aws`.

use super::*;

const EVENT: &str = r#"{
 "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "detail-type": "EC2 Instance State-change Notification",
 "source": "aws.ec2", "account": "123456789012", "time": "2015-11-11T21:29:54Z", "region": "us-east-1",
 "resources": ["arn:1", "arn:2"], "tenant": "acme",
 "detail": {"instance-id": "i-0123456789", "state": "RUNNING", "n": 1.50, "big": 123456789012345678901234567890,
  "no": null, "yes": true, "text": "a \"quoted\"\nline", "tags": {"k": "v \"w\"", "l": [1, 2]},
  "items": [{"id": 1}, {"id": "two"}, {"other": 3}], "twice": 1, "twice": 2}
}"#;

fn spec(json: &str) -> InputTransformer {
    serde_json::from_str(json).unwrap()
}

fn applied(transformer: &InputTransformer) -> Option<String> {
    let context = RuleContext {
        rule: "example",
        rule_arn: "arn:aws:events:local:000000000000:rule/example",
        received: Timestamp::from_millis(1_769_851_800_000),
    };
    let made = transformer.compile("transformer").unwrap().apply(EVENT, &context).unwrap();
    made.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn templated(template: &str) -> String {
    let names = [
        ("instance", "$.detail.instance-id"),
        ("state", "$.detail.state"),
        ("timestamp", "$.time"),
        ("missing", "$.detail.notinmessage"),
        ("n", "$.detail.n"),
        ("big", "$.detail.big"),
        ("no", "$.detail.no"),
        ("text", "$.detail.text"),
        ("tags", "$.detail.tags"),
        ("ids", "$.detail.items[*].id"),
        ("first", "$.resources[0]"),
        ("twice", "$.detail.twice"),
    ];
    let paths = names.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
    applied(&InputTransformer::Template { paths, template: template.to_owned() }).unwrap()
}

#[test]
fn templates_give_what_eventbridge_publishes() {
    let cases = [
        // aws: the table of "Input transform examples".
        (r#""instance <instance> is in <state>""#, r#""instance i-0123456789 is in RUNNING""#),
        (r#""instance \"<instance>\" is in <state>""#, r#""instance \"i-0123456789\" is in RUNNING""#),
        (
            "{\n  \"instance\" : <instance>,\n  \"state\": <state>\n}",
            r#"{"instance":"i-0123456789","state":"RUNNING"}"#,
        ),
        (
            r#"{"instance": <instance>, "state": "<state>", "instanceStatus": "instance \"<instance>\" is in <state>"}"#,
            r#"{"instance":"i-0123456789","state":"RUNNING","instanceStatus":"instance \"i-0123456789\" is in RUNNING"}"#,
        ),
        (
            r#"{"instance" : <instance>, "state": [ 9, <state>, true ], "Transformed" : "Yes"}"#,
            r#"{"instance":"i-0123456789","state":[9,"RUNNING",true],"Transformed":"Yes"}"#,
        ),
        (
            r#"{"ruleArn" : <aws.events.rule-arn>, "ruleName" : <aws.events.rule-name>}"#,
            r#"{"ruleArn":"arn:aws:events:local:000000000000:rule/example","ruleName":"example"}"#,
        ),
        (r#""<aws.events.rule-name> triggered""#, r#""example triggered""#),
        // aws, recorded: a variable that is not in the event is an empty text, inside a text and in place of a value.
        (r#""info <missing>""#, r#""info ""#),
        (r#"{"command": <missing>}"#, r#"{"command":""}"#),
        (r#""{[/Check <state>""#, r#""{[/Check RUNNING""#),
        // aws: an object inside a text loses its quotation marks; as a value it keeps them.
        (r#""Tags are <tags>""#, r#""Tags are {k:v w,l:[1,2]}""#),
        (r#"{"tags": <tags>}"#, r#"{"tags":{"k": "v \"w\"", "l": [1, 2]}}"#),
        // The API's own example has no quotation marks.
        ("<instance> is in state <state>", r#""i-0123456789 is in state RUNNING""#),
        ("say \"<state>\"\nand go", r#""say \"RUNNING\"\nand go""#),
        // Values keep their spelling, and what a text holds stays escaped.
        (r#"[<n>, <big>, <no>, <text>]"#, r#"[1.50,123456789012345678901234567890,null,"a \"quoted\"\nline"]"#),
        (r#""<n> <no> <text>""#, r#""1.50 null a \"quoted\"\nline""#),
        (r#"<ids>"#, r#"[1,"two"]"#),
        (r#""ids: <ids>""#, r#""ids: [1,two]""#),
        (r#"{"first": <first>, "twice": <twice>}"#, r#"{"first":"arn:1","twice":2}"#),
        (r#"{"when": <aws.events.event.ingestion-time>}"#, r#"{"when":"2026-01-31T09:30:00Z"}"#),
        // `<` that begins no variable is itself.
        (r#""1 < 2, a > b, <> <b c>""#, r#""1 < 2, a > b, <> <b c>""#),
        ("42", "42"),
    ];
    for (template, expected) in cases {
        let made = templated(template);
        assert_eq!(made, expected, "{template}");
        assert!(serde_json::from_str::<serde_json::Value>(&made).is_ok(), "{made}");
    }
}

#[test]
fn the_whole_event_and_the_event_without_its_detail_are_predefined() {
    let made =
        templated(r#"{"whole": <aws.events.event.json>, "rest": <aws.events.event>, "name": "<aws.events.event>"}"#);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let event: serde_json::Value = serde_json::from_str(EVENT).unwrap();
    assert_eq!(made["whole"], event);
    // aws, recorded: `detailType` here, and no detail.
    assert_eq!(made["rest"]["detailType"], "EC2 Instance State-change Notification");
    assert_eq!((made["rest"].get("detail"), made["rest"].get("detail-type")), (None, None));
    assert_eq!((&made["rest"]["tenant"], &made["rest"]["id"]), (&event["tenant"], &event["id"]));
    assert!(made["name"].as_str().unwrap().starts_with("{version:0,id:7bf7"));
}

#[test]
fn a_path_or_a_constant_takes_the_events_place() {
    let cases = [
        (r#"{"input_path": "$"}"#, None),
        (r#"{"InputPath": "$.detail.state"}"#, Some(r#""RUNNING""#)),
        (r#"{"input_path": "$.detail.n"}"#, Some("1.50")),
        (r#"{"input_path": "$.detail.tags.l"}"#, Some("[1, 2]")),
        (r#"{"input_path": "$.resources[*]"}"#, Some(r#"["arn:1","arn:2"]"#)),
        (r#"{"input_path": "$.resources[7]"}"#, Some("null")),
        (r#"{"input_path": "$.detail.nothing.here"}"#, Some("null")),
        (r#"{"input_path": "$.detail.items[*].nothing"}"#, Some("[]")),
        (r#"{"input": {"a": [1, null]}}"#, Some(r#"{"a": [1, null]}"#)),
        (r#"{"input": null}"#, Some("null")),
        (r#"{"Input": "{\"a\": 1}"}"#, Some(r#"{"a": 1}"#)),
    ];
    for (json, expected) in cases {
        assert_eq!(applied(&spec(json)).as_deref(), expected, "{json}");
    }
}

#[test]
fn both_spellings_mean_the_same_and_ours_is_kept() {
    let ours = spec(r#"{"input_paths": {"a": "$.detail"}, "template": "<a>"}"#);
    for aws in [
        r#"{"InputPathsMap": {"a": "$.detail"}, "InputTemplate": "<a>"}"#,
        r#"{"InputTransformer": {"InputPathsMap": {"a": "$.detail"}, "InputTemplate": "<a>"}}"#,
    ] {
        assert_eq!(spec(aws), ours);
    }
    assert_eq!(serde_json::to_string(&ours).unwrap(), r#"{"input_paths":{"a":"$.detail"},"template":"<a>"}"#);
    let constant = spec(r#"{"Input": "[1]"}"#);
    assert_eq!(serde_json::to_string(&constant).unwrap(), r#"{"input":[1]}"#);
    for bad in [
        "{}",
        r#"{"input_path": "$", "input": 1}"#,
        r#"{"input_paths": {"a": "$"}}"#,
        r#"{"InputTemplate": "1", "template": "1"}"#,
        r#"{"InputTransformer": {"InputPathsMap": {}}}"#,
        r#"{"inputpath": "$"}"#,
    ] {
        assert!(serde_json::from_str::<InputTransformer>(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_field_place_and_reason() {
    let template = |text: &str| serde_json::json!({"input_paths": {"a": "$.detail"}, "template": text}).to_string();
    let cases = [
        (r#"{"input_path": "detail"}"#.to_owned(), "t/input_path", "must begin with `$`"),
        (r#"{"Input": "{"}"#.to_owned(), "t/input", "not valid JSON"),
        (format!(r#"{{"Input": "{}1{}"}}"#, "[".repeat(65), "]".repeat(65)), "t/input", "deeper than 64"),
        (r#"{"input_paths": {"a": "$..b"}, "template": "1"}"#.to_owned(), "t/input_paths/a", "at character 2"),
        (r#"{"input_paths": {"aws.x": "$"}, "template": "1"}"#.to_owned(), "t/input_paths", "not a variable's name"),
        (template(""), "t/template", "1 to 8192"),
        (template("{\"é\": <b>}"), "t/template", "at character 7: <b> is neither"),
        (template("text <b>"), "t/template", "at character 6: <b> is neither"),
        (template("{\"k\": <a>"), "t/template", "line 1 column 9"),
        (template("{<a>: 1}"), "t/template", "key must be a string"),
        (template("{\"<a>\" : 1}"), "t/template", "cannot stand in an object's key"),
        (template("[1<a>]"), "t/template", "is not JSON with variables"),
        (template("{\"k\": -<a>}"), "t/template", "is not JSON with variables"),
        (template("\"a\" \"b\""), "t/template", "trailing"),
        (template(&"[".repeat(limit::JSON_DEPTH_MAX + 1)), "t/template", "deeper than 64"),
        (template(&"x".repeat(limit::TEMPLATE_CHARS_MAX + 1)), "t/template", "1 to 8192"),
    ];
    for (json, field, reason) in cases {
        let error = spec(&json).compile("t").unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field), "{json}");
        assert!(error.message.contains(reason), "{json}: {}", error.message);
    }
    let many: BTreeMap<String, String> =
        (0..=limit::VARIABLES_MAX).map(|n| (format!("v{n}"), "$".to_owned())).collect();
    assert!(InputTransformer::Template { paths: many, template: "1".to_owned() }.compile("t").is_err());
}

#[test]
fn what_would_be_too_large_is_refused_before_it_is_made() {
    let event = format!(r#"{{"detail": {{"x": "{}"}}}}"#, "a".repeat(limit::INPUT_BYTES_MAX / 3));
    let transform =
        spec(r#"{"input_paths": {"x": "$.detail.x"}, "template": "[<x>, <x>, <x>, <x>]"}"#).compile("t").unwrap();
    let context = RuleContext { rule: "r", rule_arn: "r", received: Timestamp::ZERO };
    assert_eq!(transform.apply(&event, &context), Err(InputUnfit::TooLarge));
}

#[test]
fn what_would_nest_too_deep_is_refused() {
    let (open, close) = ("[".repeat(40), "]".repeat(40));
    let template = format!("{open}<x>{close}");
    let transformer = InputTransformer::Template { paths: BTreeMap::from([("x".into(), "$.detail".into())]), template };
    let transform = transformer.compile("t").unwrap();
    let context = RuleContext { rule: "r", rule_arn: "r", received: Timestamp::ZERO };
    let event = |depth: usize| format!(r#"{{"detail": {}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(transform.apply(&event(24), &context).is_ok());
    assert_eq!(transform.apply(&event(25), &context), Err(InputUnfit::TooDeep));
}
