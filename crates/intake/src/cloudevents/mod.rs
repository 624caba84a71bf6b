//! CloudEvents 1.0 over HTTP: binary, structured and batched.
//!
//! `type` becomes `detail-type`; the extension `tenant`, or else the header `Sublet-Tenant`, the tenant. Data that is a
//! JSON object becomes `detail`; any other data becomes `{"data": …}`, bytes `{"data_base64": "…"}`. Every further
//! attribute stands under `cloudevents` in the envelope, where rules and functions see it.

mod binary;
mod header;
mod structured;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sublet_model::{EventInput, Timestamp, TraceContext};

use crate::refusal::Refusal;
use crate::{Entry, Header, native};
pub use binary::read as read_binary;
pub use structured::{read_batch, read_one as read_structured};

const VERSION: &str = "1.0";
/// Characters of an attribute's name. The specification advises 20.
const NAME_CHARS_MAX: usize = 64;

/// The header that names the tenant where the event does not. Errors: more than one, or no text.
pub fn tenant_header<'a>(headers: &[Header<'a>]) -> Result<Option<&'a str>, Refusal> {
    const NAME: &str = "sublet-tenant";
    let mut values = headers.iter().filter(|(name, _)| *name == NAME).map(|(_, value)| *value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::invalid(NAME, "must be given once"));
    }
    let text = std::str::from_utf8(value).map_err(|_| Refusal::invalid(NAME, "must be text"))?;
    Ok(Some(text.trim()))
}

/// A CloudEvent's attributes as they were read: texts, integers and booleans.
struct Attributes {
    values: Map<String, Value>,
    /// In front of an attribute's name where a refusal names it: `ce-` for headers.
    prefix: &'static str,
}

impl Attributes {
    fn new(prefix: &'static str) -> Attributes {
        Attributes { values: Map::new(), prefix }
    }

    fn field(&self, name: &str) -> String {
        let field = format!("{}{name}", self.prefix);
        // An attribute without a name is the body's fault.
        if field.is_empty() { "body".to_owned() } else { field }
    }

    fn refuse(&self, name: &str, message: &str) -> Refusal {
        let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
        Refusal::invalid(self.field(&shown), message)
    }

    /// Errors: names that the specification does not have, and the same one twice.
    fn put(&mut self, name: &str, value: Value) -> Result<(), Refusal> {
        let fits = (1..=NAME_CHARS_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !fits {
            return Err(self.refuse(name, "an attribute's name has lower-case letters and digits only"));
        }
        if self.values.contains_key(name) {
            return Err(self.refuse(name, "must be given once"));
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    fn take_text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.values.shift_remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.refuse(name, "must be a text that is not empty")),
        }
    }

    fn require(&mut self, name: &str) -> Result<String, Refusal> {
        self.take_text(name)?.ok_or_else(|| self.refuse(name, "is missing"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    /// The event. `detail` is JSON text of an object.
    fn into_event(mut self, detail: Box<RawValue>, tenant_header: Option<&str>) -> Entry {
        match self.values.get("specversion") {
            Some(Value::String(version)) if version == VERSION => {}
            Some(_) => return Err(self.refuse("specversion", "must be 1.0")),
            None => return Err(self.refuse("specversion", "is missing")),
        }
        let (id, source, kind) = (self.require("id")?, self.require("source")?, self.require("type")?);
        let time = match self.take_text("time")? {
            None => None,
            Some(text) => {
                let time = Timestamp::parse(&text).map_err(|reason| self.refuse("time", &reason))?;
                // What milliseconds and UTC do not say stays beside it.
                if time.to_string() != text {
                    self.values.insert("time".to_owned(), Value::String(text));
                }
                Some(time)
            }
        };
        let tenant = match self.take_text("tenant")? {
            Some(tenant) => tenant,
            None => tenant_header
                .ok_or_else(|| self.refuse("tenant", "is missing; the header `Sublet-Tenant` may name it as well"))?
                .to_owned(),
        };
        let trace_context =
            self.text("traceparent").and_then(|parent| TraceContext::parse(parent, self.text("tracestate")));
        let prefix = self.prefix;
        let cloudevents = serde_json::value::to_raw_value(&self.values)
            .map_err(|error| Refusal::invalid("body", format!("does not serialise: {error}")))?;
        let input = EventInput {
            id: Some(id),
            source,
            detail_type: kind,
            time,
            tenant,
            resources: Vec::new(),
            detail,
            trace_context,
            retry_key: None,
            cloudevents: Some(cloudevents),
        };
        native::checked(input).map_err(|refusal| {
            let name = if refusal.field == "detail-type" { "type" } else { refusal.field.as_str() };
            Refusal { field: format!("{prefix}{name}"), ..refusal }
        })
    }
}

/// Data that is JSON.
fn detail_of_json(data: &RawValue) -> Result<Box<RawValue>, Refusal> {
    let text = data.get();
    match text.starts_with('{') {
        true => Ok(data.to_owned()),
        false => raw(format!("{{\"data\":{text}}}")),
    }
}

fn detail_of_text(text: &str) -> Result<Box<RawValue>, Refusal> {
    raw(format!("{{\"data\":{}}}", Value::from(text)))
}

/// `base64` was made or checked here.
fn detail_of_bytes(base64: &str) -> Result<Box<RawValue>, Refusal> {
    raw(format!("{{\"data_base64\":\"{base64}\"}}"))
}

fn detail_of_nothing() -> Result<Box<RawValue>, Refusal> {
    raw("{}".to_owned())
}

fn raw(json: String) -> Result<Box<RawValue>, Refusal> {
    RawValue::from_string(json).map_err(|error| Refusal::invalid("body", format!("is not valid JSON: {error}")))
}
