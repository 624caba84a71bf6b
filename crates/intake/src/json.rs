//! JSON that names the field it stumbles over, and never recurses deeper than it may.

use serde::Deserialize;
use sublet_model::{limit, nests_deeper_than};

use crate::refusal::Refusal;

/// Reads a value that may point into the text. Errors: the field, or `body` when it is no JSON.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    check_depth(body)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        misfit(&path, error.inner())
    })?;
    reader.end().map_err(|error| misfit("", &error))?;
    Ok(value)
}

fn misfit(path: &str, error: &serde_json::Error) -> Refusal {
    if !error.is_data() {
        return Refusal::invalid("body", format!("is not valid JSON: {error}"));
    }
    // "… at line 1 column 7" helps with syntax; with a field that is named it is noise.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    Refusal::invalid(field_of(path, message), message)
}

/// The field that a message of serde's is about: `path` leads to the object, the message names the key in it.
pub fn field_of(path: &str, message: &str) -> String {
    let path = if path == "." || path == "?" { "" } else { path };
    let key = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next())
        // A key without characters names nothing.
        .filter(|key| !key.is_empty());
    match key {
        Some(key) if path.is_empty() => key.to_owned(),
        Some(key) if path == key || path.ends_with(&format!(".{key}")) => path.to_owned(),
        Some(key) => format!("{path}.{key}"),
        None if path.is_empty() => "body".to_owned(),
        None => path.to_owned(),
    }
}

/// Refuses JSON that nests deeper than `JSON_DEPTH_MAX`, before any reader recurses into it.
pub fn check_depth(body: &[u8]) -> Result<(), Refusal> {
    let most = limit::JSON_DEPTH_MAX;
    if nests_deeper_than(body, most) {
        return Err(Refusal::invalid("body", format!("nests deeper than {most} levels")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        weight: u32,
    }

    #[test]
    fn a_misfit_names_its_field() {
        let cases = [
            (r#"{}"#, "name"),
            (r#"{"name": 3}"#, "name"),
            (r#"{"name": "a", "nmae": 1}"#, "nmae"),
            (r#"{"name": "a", "name": "b"}"#, "name"),
            (r#"{"name": "a", "inner": [{"weight": -1}]}"#, "inner[0].weight"),
            (r#"{"name": "a", "inner": [{"weight": 1}, {}]}"#, "inner[1].weight"),
            (r#"{"name": "a", "inner": [{"weight": 1, "x": 1}]}"#, "inner[0].x"),
            (r#"{"name": "a", "": 1}"#, "body"),
            (r#"[]"#, "body"),
            (r#"{"name": "a"} x"#, "body"),
            (r#"{"name": "#, "body"),
        ];
        for (body, field) in cases {
            let refusal = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.field, field, "{body}: {}", refusal.message);
        }
    }

    #[test]
    fn what_nests_too_deep_is_refused_before_it_is_read() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_depth(nested(limit::JSON_DEPTH_MAX).as_bytes()).is_ok());
        let refusal = parse::<Outer>(nested(1_000_000).as_bytes()).unwrap_err();
        assert!(refusal.message.contains("deeper than 64"), "{}", refusal.message);
    }
}
