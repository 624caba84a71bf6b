//! Structured and batched mode: the JSON format, one event or an array of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sublet_model::limit;

use super::{Attributes, detail_of_bytes, detail_of_json, detail_of_nothing};
use crate::native::Entries;
use crate::refusal::Refusal;
use crate::{Entry, json};

/// One event as JSON. Errors: 413, 400 with the attribute, 403 for the reserved source.
pub fn read_one(body: &[u8], tenant_header: Option<&str>) -> Entry {
    if body.len() > limit::EVENT_BYTES_MAX {
        return Err(Refusal::event_too_large());
    }
    let Members(mut members) = json::parse(body)?;
    let data = members.remove("data").filter(|data| data.get() != "null");
    let base64 = members.remove("data_base64").filter(|data| data.get() != "null");
    let mut attributes = Attributes::new("");
    for (name, value) in members {
        let value: Value = serde_json::from_str(value.get())
            .map_err(|error| attributes.refuse(&name, &format!("is not a value: {error}")))?;
        match value {
            // Null is "not set".
            Value::Null => {}
            Value::String(_) | Value::Bool(_) => attributes.put(&name, value)?,
            Value::Number(ref number) if number.is_i64() => attributes.put(&name, value)?,
            _ => return Err(attributes.refuse(&name, "must be a text, an integer or a boolean")),
        }
    }
    let detail = match (data, base64) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("data_base64", "must not stand beside `data`")),
        (Some(data), None) => detail_of_json(data)?,
        (None, Some(data)) => {
            let text: String =
                serde_json::from_str(data.get()).map_err(|_| Refusal::invalid("data_base64", "must be a text"))?;
            let bytes = STANDARD.decode(&text).map_err(|_| Refusal::invalid("data_base64", "is not base64"))?;
            // Written anew, so that nothing but its alphabet gets into the detail.
            detail_of_bytes(&STANDARD.encode(bytes))?
        }
        (None, None) => detail_of_nothing()?,
    };
    attributes.into_event(detail, tenant_header)
}

/// Each for itself. An empty batch has no entries, and is none that is wrong. Errors: what is no array of at most 1,000.
pub fn read_batch(body: &[u8], tenant_header: Option<&str>) -> Result<Vec<Entry>, Refusal> {
    let Entries(texts) = json::parse(body)?;
    Ok(texts.into_iter().map(|text| read_one(text.get().as_bytes(), tenant_header)).collect())
}

/// An object's members as text; the same one twice is refused.
struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a CloudEvent as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.contains_key(&name) {
                        let shown: String = name.chars().take(80).collect();
                        return Err(serde::de::Error::custom(format_args!("duplicate field `{shown}`")));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
