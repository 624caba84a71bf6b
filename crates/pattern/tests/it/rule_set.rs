//! Many rules at once.

use sublet_pattern::{EventView, Pattern, RuleSet};

fn set(patterns: &[&str]) -> RuleSet<usize> {
    let mut rules = RuleSet::new();
    for (number, pattern) in patterns.iter().enumerate() {
        assert!(rules.insert(number, Pattern::parse(pattern).unwrap()).is_none());
    }
    rules
}

#[test]
fn the_rules_that_match_are_found_whatever_they_ask_for() {
    let rules = set(&[
        r#"{"source": ["todo"]}"#,
        r#"{"source": ["shop"]}"#,
        r#"{"source": [{"prefix": "to"}]}"#,
        r#"{"source": [{"prefix": "toé"}]}"#,
        r#"{"source": [{"prefix": ""}]}"#,
        r#"{"n": [{"numeric": [">", 5]}]}"#,
        r#"{"n": [7.0]}"#,
        r#"{"x": [{"exists": false}]}"#,
        r#"{"n": [{"exists": false}]}"#,
        r#"{"$or": [{"source": ["shop"]}, {"n": [7]}]}"#,
        r#"{"b": [true], "z": [null]}"#,
        r#"{"source": [{"anything-but": "shop"}], "x": [{"exists": false}, 1]}"#,
        r#"{"l": ["q"]}"#,
    ]);
    let event = EventView::parse(r#"{"source": "todo", "n": 7, "b": true, "z": null, "l": ["p", "q", "q"]}"#).unwrap();
    assert_eq!(rules.matches(&event), [0, 2, 4, 5, 6, 7, 9, 10, 11, 12]);
}

#[test]
fn a_removed_rule_matches_no_more_and_its_place_is_used_again() {
    let mut rules = set(&[r#"{"a": ["x"]}"#, r#"{"a": ["x", {"prefix": "y"}]}"#, r#"{"b": [{"exists": false}]}"#]);
    let event = EventView::parse(r#"{"a": "x"}"#).unwrap();
    assert_eq!(rules.matches(&event), [0, 1, 2]);
    assert!(rules.remove(&1).is_some());
    assert!(rules.remove(&1).is_none());
    assert_eq!(rules.matches(&event), [0, 2]);
    rules.insert(7, Pattern::parse(r#"{"a": ["x"]}"#).unwrap());
    assert_eq!(rules.matches(&event), [0, 7, 2]);
    assert!(rules.insert(2, Pattern::parse(r#"{"a": ["z"]}"#).unwrap()).is_some());
    assert_eq!(rules.matches(&event), [0, 7]);
    assert_eq!((rules.len(), rules.iter().count()), (3, 3));
    assert!(rules.get(&7).is_some_and(|pattern| pattern.matches(&event)));
    for key in [0, 2, 7] {
        rules.remove(&key);
    }
    assert!(rules.is_empty() && rules.matches(&event).is_empty());
}

#[test]
fn prefixes_are_found_up_to_the_whole_text_and_beyond_what_the_index_tells_apart() {
    let long = "é".repeat(40);
    let patterns =
        ["todo", "tod", "todos", "é", &long, &format!("{long}x")].map(|p| format!(r#"{{"a": [{{"prefix": "{p}"}}]}}"#));
    let rules = set(&patterns.each_ref().map(String::as_str));
    let found = |text: &str| rules.matches(&EventView::parse(&format!(r#"{{"a": "{text}"}}"#)).unwrap());
    assert_eq!(found("todo"), [0, 1]);
    assert_eq!(found(&long), [3, 4]);
    assert_eq!(found(&format!("{long}xyz")), [3, 4, 5]);
    assert_eq!(found(&"é".repeat(39)), [3]);
}

#[test]
fn a_clone_changes_on_its_own() {
    let rules = set(&[r#"{"a": ["x"]}"#]);
    let mut changed = rules.clone();
    changed.remove(&0);
    let event = EventView::parse(r#"{"a": "x"}"#).unwrap();
    assert_eq!(rules.matches(&event), [0]);
    assert!(changed.matches(&event).is_empty());
}
