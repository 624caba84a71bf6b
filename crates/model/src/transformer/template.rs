//! Templates: JSON with `<variable>` in place of values and inside texts, or plain text with `<variable>`.
//!
//! A template that begins with `{`, `[` or `"` is JSON. Any other is JSON if it reads as such (`<id>`, `[<a>]`), else
//! text, which becomes a JSON text. `<` and `>` cannot be escaped, as in EventBridge; a `<` that begins no variable is
//! itself.

use serde::de::IgnoredAny;

use crate::limit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predefined {
    RuleArn,
    RuleName,
    IngestionTime,
    Event,
    EventJson,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// `in_text`: inside quotation marks.
    Variable {
        index: usize,
        in_text: bool,
    },
    Predefined {
        which: Predefined,
        in_text: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// 1 to 256 letters, digits, `_` and `-`; so none is one of EventBridge's, which have dots.
pub(super) fn is_own_name(name: &str) -> bool {
    (1..=limit::VARIABLE_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// As it stands inside a JSON text.
pub(super) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Template {
    /// `names`: the variables, by index. Errors: what is wrong, with the place.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Template, String> {
        let chars = text.chars().count();
        if text.trim().is_empty() || chars > limit::TEMPLATE_CHARS_MAX {
            return Err(format!("must have 1 to {} characters", limit::TEMPLATE_CHARS_MAX));
        }
        let must_be_json = text.trim_start().starts_with(['{', '[', '"']);
        match as_json(text, names) {
            Ok(template) => Ok(template),
            Err(Refusal::NotJson(_)) if !must_be_json => as_text(text, names),
            Err(Refusal::NotJson(reason) | Refusal::Variable(reason)) => Err(reason),
        }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

enum Refusal {
    NotJson(String),
    Variable(String),
}

/// The placeholder that `rest` begins with: its name.
fn placeholder(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('<')?;
    let (name, _) = inside.split_once('>')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (!name.is_empty() && name.bytes().all(fits)).then_some(name)
}

fn piece_of(name: &str, names: &[&str], in_text: bool) -> Result<Piece, String> {
    if let Some(index) = names.iter().position(|known| *known == name) {
        return Ok(Piece::Variable { index, in_text });
    }
    let which = match name {
        "aws.events.rule-arn" => Predefined::RuleArn,
        "aws.events.rule-name" => Predefined::RuleName,
        "aws.events.event.ingestion-time" => Predefined::IngestionTime,
        "aws.events.event" => Predefined::Event,
        "aws.events.event.json" => Predefined::EventJson,
        _ => {
            let shown: String = name.chars().take(80).collect();
            return Err(format!("<{shown}> is neither one of `input_paths` nor predefined"));
        }
    };
    Ok(Piece::Predefined { which, in_text })
}

fn as_text(text: &str, names: &[&str]) -> Result<Template, String> {
    let mut pieces = Pieces::default();
    pieces.literal("\"");
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some(name) = placeholder(rest) {
            let place = text[..text.len() - rest.len()].chars().count() + 1;
            let piece = piece_of(name, names, true).map_err(|reason| format!("at character {place}: {reason}"))?;
            pieces.0.push(piece);
            rest = &rest[name.len() + 2..];
            continue;
        }
        pieces.literal(&escaped(&rest[..char.len_utf8()]));
        rest = &rest[char.len_utf8()..];
    }
    pieces.literal("\"");
    Ok(Template(pieces.0))
}

/// Reads the pieces, and beside them a text of the same length with a plain value in place of each variable: what JSON
/// finds wrong with that stands at the same place in the template.
fn as_json(text: &str, names: &[&str]) -> Result<Template, Refusal> {
    let mut pieces = Pieces::default();
    let mut plain = String::with_capacity(text.len());
    let mut is_text = false;
    let mut text_has_variable = false;
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let place = text.len() - rest.len();
        let refuse = |reason: String| {
            let place = text[..place].chars().count() + 1;
            Refusal::Variable(format!("at character {place}: {reason}"))
        };
        if let Some(name) = placeholder(rest) {
            pieces.0.push(piece_of(name, names, is_text).map_err(refuse)?);
            let length = name.len() + 2;
            if is_text {
                text_has_variable = true;
                plain.push_str(&"x".repeat(length));
            } else {
                // Stands nowhere but in place of a value, not even behind a digit or as a key.
                plain.push_str(&format!("{:length$}", "[]"));
            }
            rest = &rest[length..];
            continue;
        }
        let mut length = char.len_utf8();
        match char {
            '\\' if is_text => length += rest[length..].chars().next().map_or(0, char::len_utf8),
            '"' => {
                is_text = !is_text;
                let is_key = !is_text && rest[length..].trim_start().starts_with(':');
                if is_key && text_has_variable {
                    return Err(refuse("a variable cannot stand in an object's key".to_owned()));
                }
                text_has_variable = false;
            }
            '{' | '[' if !is_text => {
                depth += 1;
                if depth > limit::JSON_DEPTH_MAX {
                    let most = limit::JSON_DEPTH_MAX;
                    return Err(refuse(format!("is nested deeper than {most} levels")));
                }
            }
            '}' | ']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        let part = &rest[..length];
        plain.push_str(part);
        // Space between values is not handed on.
        if is_text || !char.is_ascii_whitespace() {
            pieces.literal(part);
        }
        rest = &rest[length..];
    }
    match serde_json::from_str::<IgnoredAny>(&plain) {
        Ok(_) => Ok(Template(pieces.0)),
        Err(error) => Err(Refusal::NotJson(format!("is not JSON with variables: {error}"))),
    }
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn literal(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }
}
