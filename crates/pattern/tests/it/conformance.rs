//! The published cases: EventBridge's own answers and those of its open-source engine. They are kept beside the
//! repository, never in it; without them this says so, and fails where CI promises them.

use std::path::Path;

use serde::Deserialize;
use sublet_pattern::{EventView, Pattern, PatternError};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/event-patterns.jsonl");

#[derive(Deserialize)]
struct Case {
    id: String,
    pattern_json: String,
    event_json: Option<String>,
    expected: String,
}

#[test]
fn every_published_case_is_answered_as_published() {
    if !Path::new(CASES).exists() {
        println!("not run: conformance/event-patterns.jsonl is not there");
        assert!(std::env::var_os("CI").is_none(), "CI must have the published cases");
        return;
    }
    let text = std::fs::read_to_string(CASES).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() >= 500, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = answer(case);
        if found != case.expected {
            wrong.push(format!("{}: {} instead of {}", case.id, found, case.expected));
        }
    }
    println!("{} of {} published cases as published", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The answer in the words of the cases. EventBridge looks at the event before the pattern.
fn answer(case: &Case) -> String {
    let pattern: Result<Pattern, PatternError> = Pattern::parse(&case.pattern_json);
    let Some(event_json) = &case.event_json else {
        return if pattern.is_ok() { "valid" } else { "invalid" }.to_owned();
    };
    let Ok(event) = EventView::parse(event_json) else {
        return "invalid_event".to_owned();
    };
    if event.missing_envelope_field().is_some() {
        return "invalid_event".to_owned();
    }
    let Ok(pattern) = pattern else {
        return "invalid".to_owned();
    };
    let explanation = pattern.explain(&event);
    assert_eq!(explanation.matches, pattern.matches(&event), "{}", case.id);
    assert_eq!(explanation.matches, explanation.reasons.is_empty(), "{}", case.id);
    if explanation.matches { "match" } else { "no_match" }.to_owned()
}
