//! CloudEvents in the three modes.

use serde_json::{Value, json};
use sublet_intake::{ContentType, Entry, Fault, Header, cloudevents};
use sublet_model::limit;

const BASE: [Header<'static>; 5] = [
    ("ce-specversion", b"1.0"),
    ("ce-id", b"1"),
    ("ce-source", b"/shop"),
    ("ce-type", b"order.placed"),
    ("sublet-tenant", b"acme"),
];

fn binary(more: &[Header<'_>], body: &[u8]) -> Entry {
    let headers: Vec<Header<'_>> = BASE.iter().chain(more).copied().collect();
    let content = ContentType::of(&headers).unwrap();
    cloudevents::read_binary(content.as_ref(), &headers, body)
}

fn without(name: &str) -> Entry {
    let headers: Vec<Header<'_>> = BASE.iter().copied().filter(|(own, _)| *own != name).collect();
    cloudevents::read_binary(None, &headers, b"")
}

fn structured(changes: Value) -> Entry {
    let mut event = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "t", "tenant": "acme"});
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    cloudevents::read_structured(event.to_string().as_bytes(), Some("header"))
}

fn detail(entry: Entry) -> Value {
    serde_json::from_str(entry.unwrap().detail.get()).unwrap()
}

#[test]
fn data_becomes_the_detail_by_its_type() {
    let cases: [(&str, &[u8], Value); 9] = [
        ("application/json", br#"{"a": 1}"#, json!({"a": 1})),
        ("application/vnd.acme+json; charset=utf-8", b" [1] ", json!({"data": [1]})),
        ("application/json", b"null", json!({"data": null})),
        ("application/json; charset=iso-8859-1", b"\"\xe9\"", json!({"data": "é"})),
        ("text/plain", "Hello, 🌎!\n".as_bytes(), json!({"data": "Hello, 🌎!\n"})),
        ("application/xml", b"<a/>", json!({"data": "<a/>"})),
        ("image/png", b"\x89PNG", json!({"data_base64": "iVBORw=="})),
        ("application/octet-stream", b"\x00", json!({"data_base64": "AA=="})),
        ("application/json", b"", json!({})),
    ];
    for (content, body, expected) in cases {
        assert_eq!(detail(binary(&[("content-type", content.as_bytes())], body)), expected, "{content}");
    }
    assert_eq!(detail(binary(&[], b"raw")), json!({"data_base64": "cmF3"}), "nothing said is bytes, not a guess");

    let cases = [
        (json!({"data": {"a": 1}}), json!({"a": 1})),
        (json!({"data": "text", "datacontenttype": "text/plain"}), json!({"data": "text"})),
        (json!({"data": [1, 2]}), json!({"data": [1, 2]})),
        (json!({"data_base64": "AA=="}), json!({"data_base64": "AA=="})),
        (json!({"data": null}), json!({})),
        (json!({}), json!({})),
    ];
    for (changes, expected) in cases {
        assert_eq!(detail(structured(changes.clone())), expected, "{changes}");
    }
}

#[test]
fn further_attributes_stand_under_cloudevents_and_the_extension_names_the_tenant_first() {
    let more: [Header<'_>; 5] = [
        ("ce-subject", b"order%2F7 %E2%82%AC"),
        ("ce-time", b"2026-01-31T10:30:00.123456+01:00"),
        ("ce-tenant", b"globex"),
        ("ce-traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("content-type", b"application/json"),
    ];
    let event = binary(&more, b"{}").unwrap();
    assert_eq!((event.tenant.as_str(), event.detail_type.as_str()), ("globex", "order.placed"));
    assert_eq!(event.time.unwrap().to_string(), "2026-01-31T09:30:00.123Z");
    assert!(event.trace_context.is_some(), "the event's own trace");
    let kept: Value = serde_json::from_str(event.cloudevents.unwrap().get()).unwrap();
    let expected = json!({
        "specversion": "1.0", "subject": "order/7 €", "time": "2026-01-31T10:30:00.123456+01:00",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "datacontenttype": "application/json"
    });
    assert_eq!(kept, expected);

    let event = structured(json!({"tenant": null, "flag": true, "count": 7, "gone": null})).unwrap();
    assert_eq!(event.tenant, "header");
    let kept: Value = serde_json::from_str(event.cloudevents.unwrap().get()).unwrap();
    assert_eq!(kept, json!({"count": 7, "flag": true, "specversion": "1.0"}));
}

#[test]
fn a_refusal_names_the_header_or_the_attribute() {
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
        assert_eq!(without(name).unwrap_err().field, name);
    }
    assert_eq!(without("sublet-tenant").unwrap_err().field, "ce-tenant");
    let cases: [(Header<'_>, &str); 7] = [
        (("ce-id", b"2"), "ce-id"),
        (("ce-subject", b"%zz"), "ce-subject"),
        (("ce-time", b"yesterday"), "ce-time"),
        (("ce-sub_ject", b"x"), "ce-sub_ject"),
        (("ce-datacontenttype", b"text/plain"), "ce-datacontenttype"),
        (("ce-tenant", b""), "ce-tenant"),
        (("sublet-tenant", b"x"), "sublet-tenant"),
    ];
    for (header, field) in cases {
        assert_eq!(binary(&[header], b"").unwrap_err().field, field, "{header:?}");
    }
    assert_eq!(binary(&[("content-type", b"application/json")], b"{").unwrap_err().field, "body");

    let cases = [
        (json!({"specversion": "0.3"}), "specversion"),
        (json!({"id": ""}), "id"),
        (json!({"id": 7}), "id"),
        (json!({"type": null}), "type"),
        (json!({"type": "x".repeat(300)}), "type"),
        (json!({"source": "sublet"}), "source"),
        (json!({"subject": {"a": 1}}), "subject"),
        (json!({"ratio": 1.5}), "ratio"),
        (json!({"Subject": "x"}), "Subject"),
        (json!({"": "x"}), "body"),
        (json!({"data": 1, "data_base64": "AA=="}), "data_base64"),
        (json!({"data_base64": "%"}), "data_base64"),
        (json!({"time": "2026"}), "time"),
        (json!({"tenant": "x".repeat(65)}), "tenant"),
    ];
    for (changes, field) in cases {
        assert_eq!(structured(changes.clone()).unwrap_err().field, field, "{changes}");
    }
    let twice = br#"{"specversion":"1.0","id":"1","id":"2","source":"s","type":"t","tenant":"a"}"#;
    assert_eq!(cloudevents::read_structured(twice, None).unwrap_err().field, "id");
    assert_eq!(cloudevents::read_structured(b"[]", None).unwrap_err().field, "body");
}

#[test]
fn a_batch_is_read_entry_by_entry_and_bounded() {
    let good = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let entries = cloudevents::read_batch(format!(r#"[{good}, {{"id": "2"}}]"#).as_bytes(), Some("acme")).unwrap();
    assert!(entries[0].is_ok());
    assert_eq!(entries[1].as_ref().unwrap_err().field, "specversion");
    assert!(cloudevents::read_batch(b"[]", None).unwrap().is_empty(), "an empty batch is allowed");
    let many = format!("[{}]", vec!["1"; limit::EVENTS_PER_BATCH_MAX + 1].join(","));
    assert_eq!(cloudevents::read_batch(many.as_bytes(), None).unwrap_err().field, "body");
    let large = format!(r#"[{{"data": "{}"}}]"#, "x".repeat(limit::EVENT_BYTES_MAX));
    let entries = cloudevents::read_batch(large.as_bytes(), None).unwrap();
    assert_eq!(entries[0].as_ref().unwrap_err().fault, Fault::TooLarge(limit::EVENT_BYTES_MAX));
}
