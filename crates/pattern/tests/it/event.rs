//! Events: what is read, what is refused.

use sublet_pattern::{EventError, EventView, Scalar, limit};

#[test]
fn what_is_no_object_is_refused() {
    for text in ["1", "null", "\"plain\"", "[]", "[{}]"] {
        assert_eq!(EventView::parse(text).unwrap_err(), EventError::NotAnObject, "{text}");
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(EventView::from_value(&value).unwrap_err(), EventError::NotAnObject, "{text}");
    }
    for text in ["", "plain string", "{\"a\": }", "{\"a\": 1} {", "{\"a\": \"\u{1}\"}", "{\"a\": \"\\ud800\"}"] {
        assert!(matches!(EventView::parse(text), Err(EventError::Json(_))), "{text}");
    }
    assert!(matches!(EventView::parse(b"{\"a\": \"\xff\"}"), Err(EventError::Json(_))));
}

#[test]
fn events_beyond_a_limit_are_refused() {
    let nested =
        |open: &str, close: &str, depth: usize| format!("{{\"a\": {}{}}}", open.repeat(depth), close.repeat(depth));
    assert!(EventView::parse(&nested("[", "]", limit::EVENT_DEPTH_MAX - 1)).is_ok());
    for depth in [limit::EVENT_DEPTH_MAX, 100_000] {
        assert_eq!(EventView::parse(&nested("[", "]", depth)).unwrap_err(), EventError::TooDeep);
        assert_eq!(EventView::parse(&nested("{\"a\":", "}", depth)).unwrap_err(), EventError::TooDeep);
    }
    let many = format!("{{\"a\": [{}0]}}", "0,".repeat(limit::EVENT_SCALARS_MAX));
    assert_eq!(EventView::parse(&many).unwrap_err(), EventError::TooManyValues);
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(limit::EVENT_BYTES_MAX));
    assert_eq!(EventView::parse(&long).unwrap_err(), EventError::TooLong);
}

#[test]
fn scalars_are_read_by_their_path() {
    let event = EventView::parse(r#"{"a": [{"b": 1}, {"b": ["x", null]}], "a.b": true}"#).unwrap();
    let found: Vec<String> = event.scalars_at("a.b").map(Scalar::to_string).collect();
    assert_eq!(found, ["1", "\"x\"", "null", "true"]);
    assert_eq!(event.scalars_at("a").count(), 0);
}

#[test]
fn an_envelope_has_its_source_and_type() {
    let missing = |text: &str| EventView::parse(text).unwrap().missing_envelope_field();
    assert_eq!(missing(r#"{"source": "s", "detail-type": "t"}"#), None);
    assert_eq!(missing(r#"{"source": "s"}"#), Some("detail-type"));
    assert_eq!(missing(r#"{"source": 1, "detail-type": "t"}"#), Some("source"));
}

#[test]
fn many_repeated_keys_are_read_in_good_time() {
    let members = vec![r#""k": 1"#; 90_000].join(",");
    let event = format!("{{{members}}}");
    let view = EventView::parse(&event).unwrap();
    assert_eq!(view.scalars_at("k").count(), 1);
}
