//! An event as a transformer looks at it: values stay the text they came in, so that no number changes its spelling.
//!
//! A level is read when a path leads into it, and only once, however many paths do: the cost is that of reading the
//! event as often as it is deep, not as often as there are variables.

use std::collections::HashMap;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::path::{JsonPath, Step};
use super::{InputUnfit, Output};

/// What a path leads to.
pub(super) enum Found<'a> {
    Nothing,
    One(&'a RawValue),
    /// A path with a wildcard leads to any number.
    Many(Vec<&'a RawValue>),
}

pub(super) struct Document<'a> {
    root: Option<&'a RawValue>,
    /// By where their text begins, which no two values share.
    levels: HashMap<usize, Level<'a>>,
}

enum Level<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Scalar,
}

impl<'a> Document<'a> {
    /// Of what is no JSON, every path leads to nothing.
    pub(super) fn new(text: &'a str) -> Document<'a> {
        Document { root: serde_json::from_str(text).ok(), levels: HashMap::new() }
    }

    pub(super) fn find(&mut self, path: &JsonPath) -> Found<'a> {
        let Some(root) = self.root else { return Found::Nothing };
        let mut at = vec![root];
        let mut is_many = false;
        for step in path.steps() {
            let mut next = Vec::with_capacity(at.len());
            for value in at {
                let level = self.level(value);
                match (step, level) {
                    // The last of two that have one name, as everywhere.
                    (Step::Key(name), Level::Object(fields)) => {
                        next.extend(fields.iter().rev().find(|(key, _)| **key == **name).map(|(_, value)| *value));
                    }
                    (Step::Index(index), Level::Array(elements)) => next.extend(elements.get(*index)),
                    (Step::Every, Level::Array(elements)) => next.extend(elements),
                    (Step::Every, Level::Object(fields)) => next.extend(fields.iter().map(|(_, value)| *value)),
                    _ if !is_many => return Found::Nothing,
                    _ => {}
                }
            }
            is_many |= *step == Step::Every;
            if next.is_empty() && !is_many {
                return Found::Nothing;
            }
            at = next;
        }
        match (is_many, at.first()) {
            (true, _) => Found::Many(at),
            (false, Some(one)) => Found::One(one),
            (false, None) => Found::Nothing,
        }
    }

    fn level(&mut self, value: &'a RawValue) -> &Level<'a> {
        let place = value.get().as_ptr() as usize;
        self.levels.entry(place).or_insert_with(|| serde_json::from_str(value.get()).unwrap_or(Level::Scalar))
    }

    /// The event without its detail, `detail-type` spelled as EventBridge spells it here.
    pub(super) fn without_detail(&mut self) -> String {
        let Some(root) = self.root else { return "null".to_owned() };
        let Level::Object(fields) = self.level(root) else { return "null".to_owned() };
        let mut text = String::from("{");
        for (key, value) in fields.iter().filter(|(key, _)| key != "detail") {
            let key = if key == "detail-type" { "detailType" } else { key };
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&format!("\"{}\":{}", super::template::escaped(key), value.get()));
        }
        text.push('}');
        text
    }
}

impl Found<'_> {
    /// As JSON; nothing is written for nothing.
    pub(super) fn write(&self, out: &mut Output) -> Result<(), InputUnfit> {
        match self {
            Found::Nothing => Ok(()),
            Found::One(raw) => out.push(raw.get()),
            Found::Many(all) => {
                out.push("[")?;
                for (index, raw) in all.iter().enumerate() {
                    if index > 0 {
                        out.push(",")?;
                    }
                    out.push(raw.get())?;
                }
                out.push("]")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Level<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Level<'de>, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Level<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Level<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Level::Object(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Level<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Level::Array(elements))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
