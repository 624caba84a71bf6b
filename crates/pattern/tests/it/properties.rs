//! Properties over random patterns and events, kept small so that they meet often.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sublet_pattern::{EventView, Pattern, RuleSet};

const KEYS: [&str; 4] = ["a", "b", "c", "source"];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        Just(json!(2.0)),
        Just(json!(1.5)),
        "[xyX]{0,3}".prop_map(Value::from),
    ]
}

fn object_of(
    value: impl Strategy<Value = Value> + Clone,
    sizes: std::ops::Range<usize>,
) -> impl Strategy<Value = Value> {
    prop::collection::vec((prop::sample::select(&KEYS[..]), value), sizes)
        .prop_map(|members| Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn event() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array), object_of(inner, 0..4)].boxed()
    });
    object_of(value, 0..5)
}

/// Alternatives that need a value; with `exists: false` the order of fields would matter to an oracle.
fn present_alternative() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        1 => "[xy]{0,2}".prop_map(|text| json!({"prefix": text})),
        1 => "[xy]{0,2}".prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        1 => "[xy]{0,2}".prop_map(|text| json!({"equals-ignore-case": text})),
        1 => "[xy]{1,2}".prop_map(|text| json!({"anything-but": {"prefix": text}})),
        1 => "[xy]{0,2}".prop_map(|text| json!({"anything-but": [text]})),
        1 => (0..3i64).prop_map(|low| json!({"numeric": [">=", low, "<", 3]})),
        1 => Just(json!({"wildcard": "x*y"})),
        1 => Just(json!({"exists": true})),
    ]
}

fn pattern_over(alternative: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let field = prop::collection::vec(alternative, 1..3).prop_map(Value::Array).boxed();
    let inner = field.prop_recursive(2, 8, 3, |inner| object_of(inner, 1..4));
    object_of(inner, 1..4)
}

fn any_pattern() -> impl Strategy<Value = Value> {
    let alternative = prop_oneof![5 => present_alternative(), 1 => Just(json!({"exists": false}))];
    let single = pattern_over(alternative.boxed()).boxed();
    let branches = prop::collection::vec(single.clone(), 2..4);
    prop_oneof![
        3 => single.clone(),
        1 => (single, branches).prop_map(|(mut pattern, branches)| {
            pattern["$or"] = Value::Array(branches);
            pattern
        }),
    ]
}

/// A second opinion on arrays, from the tree instead of the flat view: all fields below a place are satisfied by an
/// object member by member, by a list in one of its elements.
fn satisfies(value: &Value, pattern: &Map<String, Value>) -> bool {
    match value {
        Value::Object(members) => pattern.iter().all(|(key, wanted)| match (members.get(key), wanted) {
            (Some(member), Value::Object(inner)) => satisfies(member, inner),
            (Some(member), Value::Array(_)) => has_accepted(member, wanted),
            _ => false,
        }),
        Value::Array(items) => items.iter().any(|item| satisfies(item, pattern)),
        _ => false,
    }
}

/// A scalar, alone or in lists, that one of the alternatives accepts; each alternative is tried by itself.
fn has_accepted(value: &Value, alternatives: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().any(|item| has_accepted(item, alternatives)),
        scalar => matches(&json!({"v": alternatives}), &json!({"v": scalar})),
    }
}

fn matches(pattern: &Value, event: &Value) -> bool {
    Pattern::parse(&pattern.to_string()).unwrap().matches(&EventView::from_value(event).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_flat_view_agrees_with_the_tree(pattern in pattern_over(present_alternative()), event in event()) {
        prop_assert_eq!(matches(&pattern, &event), satisfies(&event, pattern.as_object().unwrap()));
    }

    #[test]
    fn a_rule_set_finds_what_a_loop_finds(
        patterns in prop::collection::vec(any_pattern(), 1..12),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let compiled: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(&text.to_string()).unwrap()).collect();
        let mut rules = RuleSet::new();
        for (number, pattern) in compiled.iter().enumerate() {
            rules.insert(number, pattern.clone());
        }
        let gone: Vec<usize> = removed.iter().map(|index| index.index(compiled.len())).collect();
        for number in &gone {
            rules.remove(number);
        }
        // Some come back, into places that others left.
        for &number in gone.iter().take(2) {
            rules.insert(number, compiled[number].clone());
        }
        let kept = |number: &usize| !gone.contains(number) || gone.iter().take(2).any(|back| back == number);
        for event in &events {
            let text = event.to_string();
            let view = EventView::parse(&text).unwrap();
            let expected: Vec<usize> =
                (0..compiled.len()).filter(kept).filter(|&number| compiled[number].matches(&view)).collect();
            let mut found = rules.matches(&view);
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn text_and_value_of_an_event_are_matched_alike(pattern in any_pattern(), event in event()) {
        let compiled = Pattern::parse(&pattern.to_string()).unwrap();
        let text = event.to_string();
        let of_text = compiled.explain(&EventView::parse(&text).unwrap());
        prop_assert_eq!(&of_text, &compiled.explain(&EventView::from_value(&event).unwrap()));
        prop_assert_eq!(of_text.matches, of_text.reasons.is_empty());
    }

    #[test]
    fn no_text_makes_the_readers_panic(
        text in r#"(\{|\}|\[|\]|:|,|"|a|\$or|\\|1|-|e|\.|\*|exists|numeric|anything-but|prefix| |é){0,40}"#,
    ) {
        let _ = Pattern::parse(&text);
        let _ = EventView::parse(&text);
    }
}
