//! What matches and what does not, operator by operator.

use sublet_pattern::{EventView, Pattern};

#[track_caller]
fn check(pattern: &str, cases: &[(&str, bool)]) {
    let compiled = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for (event, expected) in cases {
        let view = EventView::parse(event).unwrap_or_else(|error| panic!("{event}: {error}"));
        assert_eq!(compiled.matches(&view), *expected, "{pattern} on {event}");
        let value = serde_json::from_str(event).unwrap();
        let view_of_value = EventView::from_value(&value).unwrap();
        assert_eq!(compiled.matches(&view_of_value), *expected, "{pattern} on the value of {event}");
    }
}

#[test]
fn exact_values_keep_their_type() {
    check(
        r#"{"a": ["1", 2, true, null]}"#,
        &[
            (r#"{"a": "1"}"#, true),
            (r#"{"a": 1}"#, false),
            (r#"{"a": 2}"#, true),
            (r#"{"a": 2.0}"#, true),
            (r#"{"a": 20e-1}"#, true),
            (r#"{"a": "2"}"#, false),
            (r#"{"a": true}"#, true),
            (r#"{"a": false}"#, false),
            (r#"{"a": "true"}"#, false),
            (r#"{"a": null}"#, true),
            (r#"{"a": []}"#, false),
            (r#"{"a": {}}"#, false),
            (r#"{"b": "1"}"#, false),
            (r"{}", false),
        ],
    );
    check(
        r#"{"a": [9007199254740993]}"#,
        &[(r#"{"a": 9007199254740993}"#, true), (r#"{"a": 9007199254740992}"#, false)],
    );
    check(r#"{"a": [{"exactly": "x"}]}"#, &[(r#"{"a": "x"}"#, true), (r#"{"a": "xx"}"#, false)]);
    check(r#"{"ключ": ["é\n"]}"#, &[(r#"{"\u043aлюч": "\u00e9\n"}"#, true)]);
}

#[test]
fn prefixes_and_suffixes_match_text_only() {
    check(
        r#"{"a": [{"prefix": "ab"}]}"#,
        &[(r#"{"a": "ab"}"#, true), (r#"{"a": "abc"}"#, true), (r#"{"a": "a"}"#, false), (r#"{"a": "AB"}"#, false)],
    );
    check(r#"{"a": [{"prefix": ""}]}"#, &[(r#"{"a": ""}"#, true), (r#"{"a": 1}"#, false), (r#"{"a": null}"#, false)]);
    check(r#"{"a": [{"suffix": ".png"}]}"#, &[(r#"{"a": "x.png"}"#, true), (r#"{"a": "x.PNG"}"#, false)]);
    check(
        r#"{"a": [{"prefix": {"equals-ignore-case": "aB"}}, {"suffix": {"equals-ignore-case": "Yz"}}]}"#,
        &[(r#"{"a": "Abc"}"#, true), (r#"{"a": "xyZ"}"#, true), (r#"{"a": "a"}"#, false)],
    );
    check(
        r#"{"a": [{"equals-ignore-case": "Ab"}]}"#,
        &[(r#"{"a": "aB"}"#, true), (r#"{"a": "abc"}"#, false), (r#"{"a": ""}"#, false)],
    );
}

#[test]
fn anything_but_needs_a_value_that_is_none_of_those() {
    check(
        r#"{"a": [{"anything-but": "x"}]}"#,
        &[
            (r#"{"a": "y"}"#, true),
            (r#"{"a": "x"}"#, false),
            (r#"{"a": 1}"#, true),
            (r#"{"a": null}"#, true),
            (r#"{"a": ["x", "y"]}"#, true),
            (r#"{"a": []}"#, false),
            (r"{}", false),
        ],
    );
    check(r#"{"a": [{"anything-but": [1, 2]}]}"#, &[(r#"{"a": 2.0}"#, false), (r#"{"a": "2"}"#, true)]);
    check(
        r#"{"a": [{"anything-but": {"prefix": ["ab", "cd"]}}]}"#,
        &[(r#"{"a": "abx"}"#, false), (r#"{"a": "cdx"}"#, false), (r#"{"a": "xab"}"#, true), (r#"{"a": 7}"#, true)],
    );
    check(r#"{"a": [{"anything-but": {"suffix": "z"}}]}"#, &[(r#"{"a": "z"}"#, false), (r#"{"a": "zy"}"#, true)]);
    check(
        r#"{"a": [{"anything-but": {"equals-ignore-case": ["No", "Never"]}}]}"#,
        &[(r#"{"a": "NO"}"#, false), (r#"{"a": "never"}"#, false), (r#"{"a": "nope"}"#, true)],
    );
    check(
        r#"{"a": [{"anything-but": {"wildcard": "*/lib/*"}}]}"#,
        &[(r#"{"a": "/usr/lib/x"}"#, false), (r#"{"a": "/usr/bin/x"}"#, true)],
    );
}

#[test]
fn numeric_ranges_keep_their_bounds() {
    for (range, inside, outside) in [
        (r#"["=", 5]"#, vec!["5", "5.0"], vec!["5.1", "\"5\"", "null"]),
        (r#"[">", 0, "<=", 5]"#, vec!["0.1", "5"], vec!["0", "5.01"]),
        (r#"[">=", -1]"#, vec!["-1", "1e300"], vec!["-1.5"]),
        (r#"["<", 1e-9]"#, vec!["0", "-5"], vec!["1e-9"]),
        (r#"["=", 3.018e2]"#, vec!["301.8"], vec!["301.80001"]),
    ] {
        let pattern = format!(r#"{{"n": [{{"numeric": {range}}}]}}"#);
        for number in inside {
            check(&pattern, &[(&format!(r#"{{"n": {number}}}"#), true)]);
        }
        for number in outside {
            check(&pattern, &[(&format!(r#"{{"n": {number}}}"#), false)]);
        }
    }
}

#[test]
fn exists_asks_for_a_scalar() {
    check(
        r#"{"a": {"b": [{"exists": true}]}}"#,
        &[
            (r#"{"a": {"b": null}}"#, true),
            (r#"{"a": {"b": {"c": 1}}}"#, false),
            (r#"{"a": {"b": []}}"#, false),
            (r#"{"a": 1}"#, false),
        ],
    );
    check(
        r#"{"a": {"b": [{"exists": false}]}}"#,
        &[
            (r"{}", true),
            (r#"{"a": {"b": {"c": 1}}}"#, true),
            (r#"{"a": {"b": []}}"#, true),
            (r#"{"a": {"b": null}}"#, false),
            (r#"{"a": [{"x": 1}], "a.b": 2}"#, false),
        ],
    );
    check(r#"{"a": [{"exists": false}, "x"]}"#, &[(r"{}", true), (r#"{"a": "x"}"#, true), (r#"{"a": "y"}"#, false)]);
}

#[test]
fn addresses_and_wildcards_match_text() {
    check(
        r#"{"ip": [{"cidr": "10.0.0.0/24"}, {"cidr": "2001:db8::/32"}]}"#,
        &[(r#"{"ip": "10.0.0.9"}"#, true), (r#"{"ip": "2001:DB8::1"}"#, true), (r#"{"ip": "10.0.1.9"}"#, false)],
    );
    check(
        r#"{"p": [{"wildcard": "/usr/*/bin"}]}"#,
        &[(r#"{"p": "/usr/local/bin"}"#, true), (r#"{"p": "/usr//bin"}"#, true), (r#"{"p": "/usr/bin"}"#, false)],
    );
}

#[test]
fn a_dot_in_a_key_is_a_joint_on_either_side() {
    check(r#"{"a.b": ["x"]}"#, &[(r#"{"a": {"b": "x"}}"#, true), (r#"{"a.b": "x"}"#, true)]);
    check(r#"{"a": {"b": {"c": ["x"]}}}"#, &[(r#"{"a.b": {"c": "x"}}"#, true), (r#"{"a": {"b.c": "x"}}"#, true)]);
    check(
        r#"{"a": {"": ["x"]}}"#,
        &[(r#"{"a": {"": "x"}}"#, true), (r#"{"a.": "x"}"#, true), (r#"{"a": "x"}"#, false)],
    );
}

#[test]
fn the_last_of_repeated_keys_counts() {
    check(r#"{"a": ["x"], "a": ["y"]}"#, &[(r#"{"a": "y"}"#, true), (r#"{"a": "x"}"#, false)]);
    check(
        r#"{"a": {"b": ["y"]}}"#,
        &[
            (r#"{"a": {"b": "x"}, "a": {"b": "y"}}"#, true),
            (r#"{"a": {"b": "y"}, "a": {"b": "x"}}"#, false),
            (r#"{"a": {"b": "y"}, "a": 1}"#, false),
            (r#"{"a": [{"b": "x"}, {"b": "y"}]}"#, true),
        ],
    );
}

#[test]
fn or_takes_any_branch_with_all_that_stands_beside_it() {
    check(
        r#"{"s": ["x"], "$or": [{"a": [1]}, {"b": [2], "c": [3]}]}"#,
        &[
            (r#"{"s": "x", "a": 1}"#, true),
            (r#"{"s": "x", "b": 2, "c": 3}"#, true),
            (r#"{"s": "x", "b": 2}"#, false),
            (r#"{"s": "y", "a": 1}"#, false),
        ],
    );
    check(
        r#"{"d": {"$or": [{"a": [1]}, {"$or": [{"b": [2]}, {"c": [3]}]}]}}"#,
        &[(r#"{"d": {"c": 3}}"#, true), (r#"{"d": {"c": 2}}"#, false)],
    );
    // Values or operators below `$or` make it a field of that name.
    check(r#"{"$or": ["x", {"prefix": "y"}]}"#, &[(r#"{"$or": "yes"}"#, true), (r#"{"x": 1}"#, false)]);
    check(r#"{"$or": [{"prefix": "x"}, {"prefix": "y"}]}"#, &[(r#"{"$or": "yes"}"#, true)]);
}

#[test]
fn fields_below_one_array_are_met_in_one_element() {
    check(
        r#"{"i": {"n": ["a"], "p": [1]}}"#,
        &[
            (r#"{"i": [{"n": "a", "p": 1}]}"#, true),
            (r#"{"i": [{"n": "a", "p": 2}, {"n": "b", "p": 1}]}"#, false),
            (r#"{"i": [{"n": "a", "p": 2}, {"n": ["b", "a"], "p": [2, 1]}]}"#, true),
            (r#"{"i": [[{"n": "a"}, {"p": 1}], [{"n": "a", "p": 1}]]}"#, true),
            (r#"{"i": [[{"n": "a"}], [{"p": 1}]]}"#, false),
            (r#"{"i": {"n": "a", "p": 1}}"#, true),
        ],
    );
    check(
        r#"{"i": {"n": ["a"], "t": {"k": ["x"], "v": ["y"]}, "z": [1]}}"#,
        &[
            (r#"{"i": [{"n": "a", "t": [{"k": "x"}, {"k": "x", "v": "y"}], "z": 1}]}"#, true),
            (r#"{"i": [{"n": "a", "t": [{"k": "x", "v": "y"}], "z": 2}, {"n": "b", "z": 1}]}"#, false),
            (r#"{"i": [{"n": "a", "z": 1}, {"n": "a", "t": [{"k": "x", "v": "y"}]}]}"#, false),
        ],
    );
    check(
        r#"{"x": {"n": ["a"]}, "y": {"n": ["b"]}}"#,
        &[(r#"{"x": [{"n": "c"}, {"n": "a"}], "y": [{"n": "b"}, {"n": "c"}]}"#, true)],
    );
}

#[test]
fn absence_is_met_in_the_element_chosen_so_far() {
    check(
        r#"{"i": {"n": ["a"], "x": [{"exists": false}]}}"#,
        &[(r#"{"i": [{"n": "b", "x": 1}, {"n": "a"}]}"#, true), (r#"{"i": [{"n": "a", "x": 1}, {"n": "b"}]}"#, false)],
    );
    check(
        r#"{"i": {"n": [{"exists": false}]}, "k": ["v"]}"#,
        &[(r#"{"i": [{"n": 1}], "k": "v"}"#, false), (r#"{"i": [{"m": 1}], "k": "v"}"#, true)],
    );
}

#[test]
fn a_source_is_named_only_literally() {
    for (pattern, expected) in [
        (r#"{"source": ["sublet"]}"#, true),
        (r#"{"source": [{"prefix": "x"}, "sublet"]}"#, true),
        (r#"{"$or": [{"source": ["sublet"]}, {"a": [1]}]}"#, true),
        (r#"{"source": [{"prefix": "sub"}]}"#, false),
        (r#"{"source": [{"wildcard": "*"}]}"#, false),
        (r#"{"source": ["Sublet"]}"#, false),
        (r#"{"detail": {"source": ["sublet"]}}"#, false),
        (r#"{"a": [1]}"#, false),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap().names_source("sublet"), expected, "{pattern}");
    }
}

/// Trying out every choice of elements would take longer than the universe.
#[test]
fn arrays_cost_their_size_and_not_its_power() {
    let fields: Vec<String> = (0..20).map(|number| format!(r#""a{number}": {{"x": [1]}}"#)).collect();
    let pattern = Pattern::parse(&format!(r#"{{{}, "z": {{"x": [1], "y": [2]}}}}"#, fields.join(","))).unwrap();
    let elements = vec![r#"{"x": 1}"#; 500].join(",");
    let arrays: Vec<String> = (0..20).map(|number| format!(r#""a{number}": [{elements}]"#)).collect();
    let event = format!(r#"{{{}, "z": [{elements}, {{"y": 2}}]}}"#, arrays.join(","));
    let view = EventView::parse(&event).unwrap();
    assert!(!pattern.matches(&view));
    assert_eq!(pattern.explain(&view).reasons[0].operator, "array");
}

#[test]
fn a_pattern_and_an_event_too_large_for_each_other_are_given_up() {
    // 961 combinations, each of which is met in every element until `z`, which has an element of its own.
    let choice = |field: &str| vec![format!(r#"{{"{field}": [1]}}"#); 31].join(",");
    let pattern = format!(r#"{{"a": {{"$or": [{}], "x": {{"$or": [{}]}}, "z": [1]}}}}"#, choice("k"), choice("m"),);
    let compiled = Pattern::parse(&pattern).unwrap();
    let event = |z: &str| format!(r#"{{"a": [{}{z}}}"#, r#"{"k": 1, "x": {"m": 1}}, "#.repeat(12_000));
    let apart = event(r#"{"z": 1}]"#);
    let view = EventView::parse(&apart).unwrap();
    assert!(!compiled.matches(&view));
    let explanation = compiled.explain(&view);
    assert_eq!(explanation.reasons[0].operator, "limit", "{explanation}");
    assert!(compiled.matches(&EventView::parse(&event(r#"{"k": 1, "x": {"m": 1}, "z": 1}]"#)).unwrap()));
}
