//! Binary mode: attributes in `ce-` headers, the data as the body, its type in `Content-Type`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;
use sublet_model::limit;

use super::header::value_of;
use super::{Attributes, detail_of_bytes, detail_of_json, detail_of_nothing, detail_of_text, tenant_header};
use crate::refusal::Refusal;
use crate::{ContentType, Entry, Header, json};

/// Errors: 413, 400 with the header or `body`, 403 for the reserved source.
pub fn read(content: Option<&ContentType>, headers: &[Header<'_>], body: &[u8]) -> Entry {
    if body.len() > limit::EVENT_BYTES_MAX {
        return Err(Refusal::event_too_large());
    }
    let mut attributes = Attributes::new("ce-");
    for (name, value) in headers {
        let Some(name) = name.strip_prefix("ce-") else { continue };
        // The data's type is the request's own; a second one could only contradict it.
        if name == "datacontenttype" {
            return Err(attributes.refuse(name, "must be given as Content-Type"));
        }
        let value = value_of(value).map_err(|reason| attributes.refuse(name, reason))?;
        attributes.put(name, Value::String(value))?;
    }
    if let Some(content) = content {
        attributes.put("datacontenttype", Value::String(content.text.clone()))?;
    }
    let detail = match content {
        _ if body.is_empty() => detail_of_nothing()?,
        Some(content) if content.is_json() => {
            let text = content.decode(body)?;
            detail_of_json(json::parse::<&RawValue>(text.as_bytes())?)?
        }
        Some(content) if content.is_text() => detail_of_text(&content.decode(body)?)?,
        _ => detail_of_bytes(&STANDARD.encode(body))?,
    };
    attributes.into_event(detail, tenant_header(headers)?)
}
