//! A span of the engine in OTLP's words. Texts are cut at a bound, whoever wrote them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use sublet_engine::{Span, SpanKind, SpanValue};

use super::send::attribute;

type Data = opentelemetry_proto::tonic::trace::v1::Span;

/// Characters of one attribute's text or of an error.
const TEXT_CHARS_MAX: usize = 256;

/// OTLP's flags above those of W3C: that it is known whether the parent is remote, and that it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

pub(super) fn data_of(span: Span) -> Data {
    let attributes = span.attributes.into_iter().map(|(key, value)| {
        let value = match value {
            SpanValue::Text(text) => Value::StringValue(cut(text)),
            SpanValue::Word(word) => Value::StringValue(word.to_owned()),
            SpanValue::Number(number) => Value::IntValue(number),
        };
        attribute(key, value)
    });
    let status = match span.error {
        Some(error) => Status { message: cut(error), code: StatusCode::Error.into() },
        None => Status::default(),
    };
    Data {
        trace_id: span.context.trace_id().to_vec(),
        span_id: span.context.span_id().to_vec(),
        trace_state: span.context.state().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        flags: u32::from(span.context.is_sampled()) | HAS_IS_REMOTE | if span.is_parent_remote { IS_REMOTE } else { 0 },
        name: span.name.to_owned(),
        kind: match span.kind {
            SpanKind::Internal => Kind::Internal,
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
            SpanKind::Consumer => Kind::Consumer,
        }
        .into(),
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: attributes.collect(),
        status: Some(status),
        ..Default::default()
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublet_model::TraceContext;

    #[test]
    fn texts_are_cut_and_the_parents_place_is_told() {
        let span = Span {
            name: "deliver",
            kind: SpanKind::Client,
            context: TraceContext::new([1; 16], [2; 8], true).unwrap(),
            parent: Some([3; 8]),
            is_parent_remote: true,
            start_ns: 5,
            end_ns: 7,
            attributes: vec![("a", SpanValue::Text("é".repeat(1_000)))],
            error: Some("e".repeat(1_000)),
        };
        let data = data_of(span);
        assert_eq!((data.trace_id, data.span_id, data.parent_span_id), (vec![1; 16], vec![2; 8], vec![3; 8]));
        assert_eq!((data.flags, data.kind), (0x301, Kind::Client as i32));
        let status = data.status.unwrap();
        assert_eq!((status.message.len(), status.code), (TEXT_CHARS_MAX, StatusCode::Error as i32));
        let Some(Value::StringValue(text)) = data.attributes[0].value.clone().unwrap().value else { panic!("no text") };
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
    }
}
