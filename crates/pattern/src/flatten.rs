//! From JSON to leaves, in one pass, borrowing what can be borrowed.
//!
//! Recursion is bounded by `EVENT_DEPTH_MAX`. Keys that are repeated in one object are found afterwards by sorting, so
//! that an object with very many keys does not cost their square.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::EventError;
use crate::event::{Element, EventView, Key, Leaf};
use crate::limit::{EVENT_BYTES_MAX, EVENT_DEPTH_MAX, EVENT_SCALARS_MAX};
use crate::number::Number;
use crate::path::{HASH_ROOT, hash_on, keys_in};
use crate::scalar::Scalar;

pub(crate) fn from_text(text: &[u8]) -> Result<EventView<'_>, EventError> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(EventError::TooLong);
    }
    let mut builder = Builder::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Place::root(&mut builder).deserialize(&mut reader).and_then(|()| reader.end());
    match (builder.fault.take(), read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(EventError::Json(error.to_string())),
        (None, Ok(())) => Ok(builder.finish()),
    }
}

pub(crate) fn from_value(value: &Value) -> Result<EventView<'_>, EventError> {
    let mut builder = Builder::new();
    walk(Place::root(&mut builder), value)?;
    Ok(builder.finish())
}

/// The view while it grows.
struct Builder<'a> {
    keys: Vec<Key<'a>>,
    elements: Vec<Element>,
    leaves: Vec<Leaf<'a>>,
    /// (object, hash of path, key) of every key: equal objects and paths are repetitions.
    members: Vec<(u32, u64, u32)>,
    objects: u32,
    /// What went wrong, where the JSON reader's error type cannot carry it.
    fault: Option<EventError>,
}

/// Where in the event the reader stands.
struct Place<'b, 'a> {
    builder: &'b mut Builder<'a>,
    key: u32,
    element: u32,
    /// Objects and arrays around this value.
    nesting: usize,
    /// The value is directly in an array.
    is_in_array: bool,
}

impl<'a> Builder<'a> {
    fn new() -> Self {
        let mut builder = Self {
            keys: Vec::with_capacity(32),
            elements: Vec::with_capacity(1),
            leaves: Vec::with_capacity(32),
            members: Vec::with_capacity(32),
            objects: 0,
            fault: None,
        };
        builder.keys.push(Key { parent: 0, depth: 0, hash: HASH_ROOT, name: Cow::Borrowed("") });
        builder.elements.push(Element { parent: 0, depth: 0 });
        builder
    }

    fn finish(mut self) -> EventView<'a> {
        self.drop_repeated_keys();
        let mut by_path: Vec<(u64, u32)> =
            (0u32..).zip(&self.leaves).map(|(number, leaf)| (self.keys[leaf.key as usize].hash, number)).collect();
        by_path.sort_unstable();
        EventView { keys: self.keys, elements: self.elements, leaves: self.leaves, by_path }
    }

    /// Of keys repeated in one object the last one counts; what is below the others goes.
    fn drop_repeated_keys(&mut self) {
        self.members.sort_unstable();
        let mut dropped: Vec<u32> = Vec::new();
        for run in self.members.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            for (position, &(_, _, number)) in run.iter().enumerate() {
                let name = &self.keys[number as usize].name;
                if run[position + 1..].iter().any(|later| self.keys[later.2 as usize].name == *name) {
                    dropped.push(number);
                }
            }
        }
        if dropped.is_empty() {
            return;
        }
        let mut is_dropped = vec![false; self.keys.len()];
        for number in dropped {
            is_dropped[number as usize] = true;
        }
        // A key comes after the key it is below.
        for number in 1..self.keys.len() {
            is_dropped[number] |= is_dropped[self.keys[number].parent as usize];
        }
        self.leaves.retain(|leaf| !is_dropped[leaf.key as usize]);
    }
}

impl<'b, 'a> Place<'b, 'a> {
    fn root(builder: &'b mut Builder<'a>) -> Self {
        Self { builder, key: 0, element: 0, nesting: 0, is_in_array: false }
    }

    fn leaf(&mut self, scalar: Scalar<'a>) -> Result<(), EventError> {
        if self.nesting == 0 {
            return Err(EventError::NotAnObject);
        }
        if self.builder.leaves.len() >= EVENT_SCALARS_MAX {
            return Err(EventError::TooManyValues);
        }
        self.builder.leaves.push(Leaf { key: self.key, element: self.element, scalar });
        Ok(())
    }

    /// Steps into the object or array found here: a new element, if an array holds it.
    fn enter(&mut self) -> Result<(), EventError> {
        if self.nesting >= EVENT_DEPTH_MAX {
            return Err(EventError::TooDeep);
        }
        self.nesting += 1;
        if self.is_in_array {
            let depth = self.builder.keys[self.key as usize].depth;
            self.builder.elements.push(Element { parent: self.element, depth });
            self.element = number_of_last(self.builder.elements.len());
        }
        Ok(())
    }

    fn enter_object(&mut self) -> Result<u32, EventError> {
        self.enter()?;
        self.builder.objects += 1;
        Ok(self.builder.objects)
    }

    fn enter_array(&mut self) -> Result<(), EventError> {
        if self.nesting == 0 {
            return Err(EventError::NotAnObject);
        }
        self.enter()
    }

    fn member(&mut self, object: u32, name: Cow<'a, str>) -> Place<'_, 'a> {
        let outer = &self.builder.keys[self.key as usize];
        let joined = if self.key == 0 { HASH_ROOT } else { hash_on(outer.hash, b".") };
        let hash = hash_on(joined, name.as_bytes());
        let depth = outer.depth.saturating_add(keys_in(&name));
        self.builder.keys.push(Key { parent: self.key, depth, hash, name });
        let key = number_of_last(self.builder.keys.len());
        self.builder.members.push((object, hash, key));
        Place { builder: self.builder, key, element: self.element, nesting: self.nesting, is_in_array: false }
    }

    fn item(&mut self) -> Place<'_, 'a> {
        Place { builder: self.builder, key: self.key, element: self.element, nesting: self.nesting, is_in_array: true }
    }

    /// Tells the JSON reader to stop, and keeps why.
    fn keep<T, E: serde::de::Error>(&mut self, result: Result<T, EventError>) -> Result<T, E> {
        result.map_err(|error| {
            let told = E::custom(&error);
            self.builder.fault = Some(error);
            told
        })
    }

    fn visit_scalar<E: serde::de::Error>(mut self, scalar: Scalar<'a>) -> Result<(), E> {
        let kept = self.leaf(scalar);
        self.keep(kept)
    }
}

/// The texts are at most a megabyte, so numbers of keys and elements fit; a larger `Value` saturates and is refused by
/// its number of scalars long before.
fn number_of_last(len: usize) -> u32 {
    u32::try_from(len - 1).unwrap_or(u32::MAX)
}

fn walk<'a>(mut place: Place<'_, 'a>, value: &'a Value) -> Result<(), EventError> {
    match value {
        Value::Null => place.leaf(Scalar::Null),
        Value::Bool(value) => place.leaf(Scalar::Bool(*value)),
        Value::Number(value) => place.leaf(Scalar::Number(Number::from(value))),
        Value::String(text) => place.leaf(Scalar::Text(Cow::Borrowed(text))),
        Value::Array(items) => {
            place.enter_array()?;
            items.iter().try_for_each(|item| walk(place.item(), item))
        }
        Value::Object(members) => {
            let object = place.enter_object()?;
            members.iter().try_for_each(|(name, member)| walk(place.member(object, Cow::Borrowed(name)), member))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_scalar(Scalar::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.visit_scalar(Scalar::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.visit_scalar(Scalar::Number(Number::from(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.visit_scalar(Scalar::Number(Number::from(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.visit_scalar(Scalar::Number(Number::from(value)))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.visit_scalar(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.visit_scalar(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let entered = self.enter_array();
        self.keep(entered)?;
        while items.next_element_seed(self.item())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let entered = self.enter_object();
        let object = self.keep(entered)?;
        while let Some(name) = members.next_key_seed(Name)? {
            members.next_value_seed(self.member(object, name))?;
        }
        Ok(())
    }
}

/// Reads a key, borrowing it when it holds no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
