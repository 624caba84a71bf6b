//! Patterns that are refused, where and why.

use sublet_pattern::{Pattern, limit};

#[test]
fn a_refusal_names_the_place_and_the_reason() {
    for (pattern, expected) in [
        ("", "pattern is not valid JSON: "),
        ("{'a': 1}", "pattern is not valid JSON: "),
        (r#"{"a": [1]} x"#, "pattern is not valid JSON: "),
        ("[]", "pattern is not a JSON object"),
        ("{}", "an empty object is not allowed"),
        (r#"{"a": {"b": {}}}"#, "a.b: an empty object is not allowed"),
        (r#"{"a": []}"#, "a: an empty list is not allowed"),
        (r#"{"a": "x"}"#, "a: must be an object or a list of values"),
        (r#"{"a": [["x"]]}"#, "a[0]: a value must not be an array"),
        (r#"{"a": ["x", {}]}"#, "a[1]: an operator is missing: the object is empty"),
        (r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#, "a[0]: only one operator is allowed in one object"),
        (r#"{"a": [{"PREFIX": "x"}]}"#, r#"a[0]: unknown operator "PREFIX""#),
        (r#"{"a": [{"prefix": 3}]}"#, "a[0].prefix: must be a string"),
        (r#"{"a": [{"suffix": ["x"]}]}"#, "a[0].suffix: must be a string"),
        (r#"{"a": [{"suffix": {"like": "x"}}]}"#, r#"a[0].suffix: unknown operator "like": only equals-ignore-case"#),
        (r#"{"a": [{"prefix": {"equals-ignore-case": 1}}]}"#, "a[0].prefix.equals-ignore-case: must be a string"),
        (r#"{"a": [{"exists": "yes"}]}"#, "a[0].exists: must be true or false"),
        (r#"{"a": [{"anything-but": null}]}"#, "a[0].anything-but: must be a string, a number, or a list of either"),
        (r#"{"a": [{"anything-but": []}]}"#, "a[0].anything-but: must not be an empty list"),
        (r#"{"a": [{"anything-but": [1, "x"]}]}"#, "a[0].anything-but: must hold strings only or numbers only"),
        (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "a[0].anything-but.prefix: must not be empty"),
        (r#"{"a": [{"anything-but": {"suffix": ["x", ""]}}]}"#, "a[0].anything-but.suffix[1]: must not be empty"),
        (r#"{"a": [{"numeric": []}]}"#, "a[0].numeric: must not be an empty list"),
        (r#"{"a": [{"numeric": [5]}]}"#, "a[0].numeric: an operator is expected instead of 5"),
        (r#"{"a": [{"numeric": ["~", 5]}]}"#, r#"a[0].numeric: unknown operator "~""#),
        (r#"{"a": [{"numeric": ["<"]}]}"#, "a[0].numeric: the value of < must be a number"),
        (r#"{"a": [{"numeric": [">", 2, "<", 2]}]}"#, "a[0].numeric: the lower bound must be less than the upper one"),
        (r#"{"a": [{"numeric": ["<", 1, ">", 0]}]}"#, "a[0].numeric: > must not follow here"),
        (r#"{"a": [{"numeric": ["=", 1, "<", 2]}]}"#, "a[0].numeric: < must not follow here"),
        (r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#, "a[0].cidr: the bits of"),
        (r#"{"a": [{"wildcard": "a**"}]}"#, "a[0].wildcard: consecutive wildcard characters at position 2"),
        (r#"{"$or": [{"a": [1]}]}"#, "$or: must have at least two objects"),
        (r#"{"$or": [{"a": [1]}, {"b": []}]}"#, "$or[1].b: an empty list is not allowed"),
        (r#"{"d": {"$or": [{"a": [1]}, {}]}}"#, "d.$or[1]: an empty object is not allowed"),
    ] {
        let error = Pattern::parse(pattern).expect_err(pattern).to_string();
        assert!(error.starts_with(expected), "{pattern}: {error:?}, not {expected:?}");
        assert!(!error.ends_with('.'), "{error}");
    }
}

#[test]
fn patterns_beyond_a_limit_are_refused() {
    let refused = |pattern: String| Pattern::parse(&pattern).unwrap_err().reason;

    let long = format!(r#"{{"a": ["{}"]}}"#, "x".repeat(limit::PATTERN_BYTES_MAX));
    assert!(refused(long).contains("longer than"));

    for depth in [limit::PATTERN_DEPTH_MAX + 1, 30_000] {
        let deep = format!("{}[1]{}", r#"{"":"#.repeat(depth), "}".repeat(depth));
        let reason = refused(deep);
        assert!(
            reason.contains("nested deeper") || reason.contains("longer than") || reason.contains("recursion"),
            "{reason}"
        );
    }

    // Ten choices of two are 1,024.
    let or = |count: usize| {
        let choices: Vec<String> =
            (0..count).map(|number| format!(r#""k{number}": {{"$or": [{{"a": [1]}}, {{"b": [2]}}]}}"#)).collect();
        format!("{{{}}}", choices.join(","))
    };
    assert!(Pattern::parse(&or(9)).is_ok());
    assert!(refused(or(10)).contains("more than 1000 combinations"));
    assert!(refused(or(1_000)).contains("combinations"));

    let stars = |count: usize| format!(r#"{{"a": [{{"wildcard": "{}"}}]}}"#, "*ab".repeat(count));
    assert!(Pattern::parse(&stars(3)).is_ok());
    assert!(refused(stars(6)).contains("too complex"));
}
