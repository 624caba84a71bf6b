//! Reasons, as people read them.

use sublet_pattern::{EventView, Pattern, limit};

#[track_caller]
fn check(pattern: &str, event: &str, expected: &str) {
    let explanation = Pattern::parse(pattern).unwrap().explain(&EventView::parse(event).unwrap());
    assert_eq!(explanation.to_string(), expected, "{pattern} on {event}");
}

#[test]
fn a_reason_names_the_field_what_it_wanted_and_what_it_saw() {
    let event = r#"{"source": "todo", "detail": {"state": "stopped", "n": 7, "tags": ["a", 1, null], "o": {"p": 1}}}"#;
    for (pattern, expected) in [
        (r#"{"source": ["todo"]}"#, "matches"),
        (r#"{"source": ["shop", "app"]}"#, r#"source: expected "app" or "shop", saw "todo""#),
        (r#"{"detail": {"state": [{"prefix": "run"}]}}"#, r#"detail.state: expected prefix "run", saw "stopped""#),
        (r#"{"detail": {"n": [{"numeric": [">", 0, "<=", 5]}]}}"#, "detail.n: expected numeric > 0 and <= 5, saw 7"),
        (r#"{"detail": {"n": [{"numeric": ["=", 5]}]}}"#, "detail.n: expected numeric = 5, saw 7"),
        (r#"{"detail": {"n": [{"exists": false}]}}"#, "detail.n: expected exists false, saw 7"),
        (r#"{"detail": {"x": [{"exists": true}]}}"#, "detail.x: expected exists true, saw nothing"),
        (
            r#"{"detail": {"o": [{"exists": true}]}}"#,
            "detail.o: expected exists true, saw an object or list without a value of its own",
        ),
        (r#"{"detail": {"tags": ["b"]}}"#, r#"detail.tags: expected "b", saw "a", 1, null"#),
        (
            r#"{"detail": {"state": [{"anything-but": ["stopped", "gone"]}]}}"#,
            r#"detail.state: expected anything-but "stopped" or "gone", saw "stopped""#,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": {"suffix": "ed"}}]}}"#,
            r#"detail.state: expected anything-but suffix "ed", saw "stopped""#,
        ),
        (
            r#"{"detail": {"state": ["on", {"wildcard": "r*g"}, {"exists": false}]}}"#,
            r#"detail.state: expected "on" or wildcard "r*g" or exists false, saw "stopped""#,
        ),
        (
            r#"{"source": ["todo"], "detail": {"state": ["on"], "n": [8]}}"#,
            r#"detail.state: expected "on", saw "stopped"; detail.n: expected 8, saw 7"#,
        ),
        (
            r#"{"$or": [{"source": ["a"]}, {"detail": {"n": [8]}}]}"#,
            r#"source: expected "a", saw "todo"; detail.n: expected 8, saw 7"#,
        ),
    ] {
        check(pattern, event, expected);
    }
}

#[test]
fn fields_met_in_different_elements_are_told_apart() {
    check(
        r#"{"i": {"n": ["a"], "p": [1]}}"#,
        r#"{"i": [{"n": "a", "p": 2}, {"n": "b", "p": 1}]}"#,
        "i.p: expected 1 in the same list element as the other fields, saw 2, 1",
    );
}

#[test]
fn reasons_are_short_however_large_pattern_and_event() {
    let fields: Vec<String> = (0..200).map(|number| format!(r#""k{number}": ["{}"]"#, "é".repeat(150))).collect();
    let pattern = Pattern::parse(&format!("{{{}}}", fields.join(","))).unwrap();
    let event = format!(r#"{{"k0": ["{}"]}}"#, "ü".repeat(5_000));
    let explanation = pattern.explain(&EventView::parse(&event).unwrap());
    assert_eq!(explanation.reasons.len(), limit::REASONS_MAX);
    let line = explanation.to_string();
    assert!(line.len() < limit::REASONS_MAX * (2 * limit::SHOWN_BYTES_MAX + 100), "{} bytes", line.len());
    assert!(line.contains('…'));
}

#[test]
fn an_explanation_serialises_with_its_reasons() {
    let explanation = Pattern::parse(r#"{"a": [1]}"#).unwrap().explain(&EventView::parse("{}").unwrap());
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        serde_json::json!({
            "matches": false,
            "reasons": [{"path": "a", "operator": "exact", "expected": "1", "actual": "nothing"}],
        })
    );
}
