//! Input transformers: what a target gets instead of the event, as in EventBridge.
//!
//! [`InputTransformer`] is what people write; it is compiled once, when the rule is put or read, into a [`Transform`],
//! which is applied to every matched event. Both are pure. The result is always JSON: a value that is put inside a text
//! is escaped, where EventBridge leaves it as it is and hands broken JSON to the target.

mod document;
mod path;
mod shape;
mod template;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::limit;
use crate::nesting::nests_deeper_than;
use document::{Document, Found};
use path::JsonPath;
use template::{Predefined, Template};

/// As written in a rule: one of the three, in our spelling or in EventBridge's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "shape::Shape", into = "shape::Written")]
pub enum InputTransformer {
    /// The part of the event that a path leads to: `{"input_path": "$.detail"}`.
    Path(String),
    /// `{"input_paths": {"id": "$.detail.id"}, "template": "{\"order\": <id>}"}`.
    Template { paths: BTreeMap<String, String>, template: String },
    /// The same for every event, as JSON text: `{"input": {…}}`.
    Constant(String),
}

/// What a template may name besides its own variables.
#[derive(Debug, Clone, Copy)]
pub struct RuleContext<'a> {
    pub rule: &'a str,
    pub rule_arn: &'a str,
    /// When the event came in.
    pub received: Timestamp,
}

/// What a transformer makes of an event, and no target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputUnfit {
    /// More than `INPUT_BYTES_MAX`.
    TooLarge,
    /// Deeper than `JSON_DEPTH_MAX`.
    TooDeep,
}

impl InputUnfit {
    pub fn as_str(self) -> &'static str {
        match self {
            InputUnfit::TooLarge => "input_too_large",
            InputUnfit::TooDeep => "input_too_deep",
        }
    }
}

/// A transformer ready to be applied.
#[derive(Debug, Clone)]
pub struct Transform(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Path(JsonPath),
    Template { paths: Vec<JsonPath>, template: Template },
    Constant(Bytes),
}

impl InputTransformer {
    /// Errors: `Invalid` with the field below `at`, the place in the template and what is wrong.
    pub fn compile(&self, at: &str) -> Result<Transform, Error> {
        match self {
            InputTransformer::Path(path) => {
                let path =
                    JsonPath::parse(path).map_err(|reason| Error::invalid(format!("{at}/input_path"), reason))?;
                Ok(Transform(Kind::Path(path)))
            }
            InputTransformer::Constant(text) => {
                let field = format!("{at}/input");
                if text.len() > limit::INPUT_BYTES_MAX {
                    let most = limit::INPUT_BYTES_MAX;
                    return Err(Error::invalid(field, format!("must have at most {most} bytes")));
                }
                if nests_deeper_than(text.as_bytes(), limit::JSON_DEPTH_MAX) {
                    let most = limit::JSON_DEPTH_MAX;
                    return Err(Error::invalid(field, format!("is nested deeper than {most} levels")));
                }
                let parsed = serde_json::from_str::<&RawValue>(text);
                parsed.map_err(|error| Error::invalid(field, format!("is not valid JSON: {error}")))?;
                Ok(Transform(Kind::Constant(Bytes::from(text.clone()))))
            }
            InputTransformer::Template { paths, template } => {
                let (names, paths) = variables(paths, at)?;
                let parsed = Template::parse(template, &names);
                let template = parsed.map_err(|reason| Error::invalid(format!("{at}/template"), reason))?;
                Ok(Transform(Kind::Template { paths, template }))
            }
        }
    }
}

/// Checked names and paths, in the same order.
fn variables<'a>(paths: &'a BTreeMap<String, String>, at: &str) -> Result<(Vec<&'a str>, Vec<JsonPath>), Error> {
    if paths.len() > limit::VARIABLES_MAX {
        let most = limit::VARIABLES_MAX;
        return Err(Error::invalid(format!("{at}/input_paths"), format!("must have at most {most} variables")));
    }
    let mut compiled = Vec::with_capacity(paths.len());
    for (name, path) in paths {
        let shown: String = name.chars().take(80).collect();
        if !template::is_own_name(name) {
            let most = limit::VARIABLE_CHARS_MAX;
            let reason = format!("`{shown}` is not a variable's name: 1 to {most} letters, digits, `_` or `-`");
            return Err(Error::invalid(format!("{at}/input_paths"), reason));
        }
        let parsed = JsonPath::parse(path);
        compiled.push(parsed.map_err(|reason| Error::invalid(format!("{at}/input_paths/{shown}"), reason))?);
    }
    Ok((paths.keys().map(String::as_str).collect(), compiled))
}

impl Transform {
    /// What the target gets of this event; `None`: the event as it is. `envelope` is its JSON text.
    pub fn apply(&self, envelope: &str, context: &RuleContext<'_>) -> Result<Option<Bytes>, InputUnfit> {
        match &self.0 {
            Kind::Constant(text) => Ok(Some(text.clone())),
            Kind::Path(path) if path.is_everything() => Ok(None),
            Kind::Path(path) => {
                let found = Document::new(envelope).find(path);
                let mut out = Output::default();
                match &found {
                    // EventBridge does not say; a target that expects JSON gets JSON.
                    Found::Nothing => out.push("null")?,
                    found => found.write(&mut out)?,
                }
                Ok(Some(out.0.into()))
            }
            Kind::Template { paths, template } => {
                let mut document = Document::new(envelope);
                let mut found: Vec<Option<Found<'_>>> = paths.iter().map(|_| None).collect();
                let mut out = Output::default();
                for piece in template.pieces() {
                    match piece {
                        template::Piece::Literal(text) => out.push(text)?,
                        template::Piece::Variable { index, in_text } => {
                            let (Some(slot), Some(path)) = (found.get_mut(*index), paths.get(*index)) else { continue };
                            let value = slot.get_or_insert_with(|| document.find(path));
                            put(&mut out, value, *in_text)?;
                        }
                        template::Piece::Predefined { which, in_text } => {
                            let text = predefined(*which, envelope, &mut document, context);
                            match which {
                                Predefined::Event | Predefined::EventJson if *in_text => {
                                    push_unquoted(&mut out, &text)?
                                }
                                Predefined::Event | Predefined::EventJson => out.push(&text)?,
                                _ => push_text(&mut out, &text, *in_text)?,
                            }
                        }
                    }
                }
                // A template of its own depth around a value of the event's.
                if nests_deeper_than(out.0.as_bytes(), limit::JSON_DEPTH_MAX) {
                    return Err(InputUnfit::TooDeep);
                }
                Ok(Some(out.0.into()))
            }
        }
    }
}

fn predefined(which: Predefined, envelope: &str, document: &mut Document<'_>, context: &RuleContext<'_>) -> String {
    match which {
        Predefined::RuleArn => context.rule_arn.to_owned(),
        Predefined::RuleName => context.rule.to_owned(),
        Predefined::IngestionTime => context.received.to_string(),
        Predefined::EventJson => envelope.to_owned(),
        Predefined::Event => document.without_detail(),
    }
}

/// A variable's value. One that the event does not have is an empty text, as in EventBridge.
fn put(out: &mut Output, value: &Found<'_>, in_text: bool) -> Result<(), InputUnfit> {
    if !in_text {
        return match value {
            Found::Nothing => out.push("\"\""),
            found => found.write(out),
        };
    }
    match value {
        Found::Nothing => Ok(()),
        // A text's own escapes are right inside another text.
        Found::One(raw) => match raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => out.push(inner),
            None => push_unquoted(out, raw.get()),
        },
        Found::Many(_) => {
            let mut whole = Output::default();
            value.write(&mut whole)?;
            push_unquoted(out, &whole.0)
        }
    }
}

fn push_text(out: &mut Output, text: &str, in_text: bool) -> Result<(), InputUnfit> {
    let escaped = template::escaped(text);
    if in_text { out.push(&escaped) } else { out.push(&format!("\"{escaped}\"")) }
}

/// A JSON value inside a text: as in EventBridge without its quotation marks, here also without its line ends.
fn push_unquoted(out: &mut Output, json: &str) -> Result<(), InputUnfit> {
    let mut plain = String::with_capacity(json.len());
    let mut is_text = false;
    let mut chars = json.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => is_text = !is_text,
            '\\' => match chars.next() {
                Some('"') | None => {}
                Some(escaped) => plain.extend(['\\', escaped]),
            },
            space if !is_text && space.is_ascii_whitespace() => {}
            other => plain.push(other),
        }
    }
    out.push(&plain)
}

/// What is being made, never longer than it may be.
#[derive(Default)]
struct Output(String);

impl Output {
    fn push(&mut self, text: &str) -> Result<(), InputUnfit> {
        if self.0.len() + text.len() > limit::INPUT_BYTES_MAX {
            return Err(InputUnfit::TooLarge);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
