//! Events in our own shape: one, or an array of them.

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sublet_model::event::SOURCE_SUBLET;
use sublet_model::{EventInput, limit};

use crate::json;
use crate::refusal::{Fault, Refusal};
use crate::{ContentType, Entry};

/// Whether the body is an array.
pub fn is_array(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// One event. Errors: 413, 400 with the field, 403 for the reserved source.
pub fn read_one(body: &[u8]) -> Entry {
    if body.len() > limit::EVENT_BYTES_MAX {
        return Err(Refusal::event_too_large());
    }
    checked(json::parse(body)?)
}

/// An array's entries, each read for itself. Errors: for what is no array of 1 to 1,000.
pub fn read_array(body: &[u8]) -> Result<Vec<Entry>, Refusal> {
    let Entries(texts) = json::parse(body)?;
    if texts.is_empty() {
        return Err(Refusal::invalid("body", format!("must be an array of 1 to {}", limit::EVENTS_PER_BATCH_MAX)));
    }
    Ok(texts.into_iter().map(|text| read_one(text.get().as_bytes())).collect())
}

/// JSON in the character set its type says; `None` when the bytes are it already.
pub fn transcoded(content: &ContentType, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    match content.decode(body)? {
        std::borrow::Cow::Borrowed(_) => Ok(None),
        std::borrow::Cow::Owned(text) => Ok(Some(text.into_bytes())),
    }
}

/// What every way in checks in the end.
pub(crate) fn checked(input: EventInput) -> Entry {
    input.validate()?;
    if input.source == SOURCE_SUBLET {
        return Err(Refusal {
            fault: Fault::ReservedSource,
            field: "source".to_owned(),
            message: "the source `sublet` is reserved for result events".to_owned(),
        });
    }
    Ok(input)
}

/// An array's entries as text, none of them read yet, and never more than there may be.
pub(crate) struct Entries<'a>(pub(crate) Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<'a>, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "an array of up to {} events", limit::EVENTS_PER_BATCH_MAX)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Entries<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = entries.next_element()? {
                    if texts.len() == limit::EVENTS_PER_BATCH_MAX {
                        let most = limit::EVENTS_PER_BATCH_MAX;
                        return Err(de::Error::custom(format_args!("must be an array of at most {most} events")));
                    }
                    texts.push(text);
                }
                Ok(Entries(texts))
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}
