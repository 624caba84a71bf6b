//! The part of JSONPath that EventBridge takes: `$`, names behind dots, array indices and wildcards.

use crate::limit;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(Box<str>),
    Index(usize),
    /// Every element of an array, every value of an object.
    Every,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Errors: what is wrong, with the place.
    pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
        if text.chars().count() > limit::JSON_PATH_CHARS_MAX {
            return Err(format!("must have at most {} characters", limit::JSON_PATH_CHARS_MAX));
        }
        let mut rest = text.strip_prefix('$').ok_or("must begin with `$`, as in $.detail.id")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let place = text.len() - rest.len() + 1;
            let (step, after) = step(rest).map_err(|reason| format!("at character {place}: {reason}"))?;
            steps.push(step);
            rest = after;
        }
        Ok(JsonPath(steps))
    }

    /// `$`, which leaves the event as it is.
    pub(super) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

fn step(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(inside) = rest.strip_prefix('[') {
        let (index, after) = inside.split_once(']').ok_or("`[` without `]`")?;
        if index == "*" {
            return Ok((Step::Every, after));
        }
        if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("an index is a number or `*`; names stand behind dots");
        }
        let index = index.parse().map_err(|_| "no array has so many elements")?;
        return Ok((Step::Index(index), after));
    }
    let name = rest.strip_prefix('.').ok_or("a step begins with `.` or `[`")?;
    if name.starts_with('.') {
        return Err("`..` is not part of EventBridge's paths");
    }
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    if name == "*" {
        return Ok((Step::Every, after));
    }
    if name.is_empty() {
        return Err("a name is missing behind the dot");
    }
    if name.contains(['*', ']', '\'', '"', '(', ')', '?', '@', ',']) || name.contains(|c: char| c.is_whitespace()) {
        return Err("only names behind dots, array indices and `*` are part of EventBridge's paths");
    }
    Ok((Step::Key(name.into()), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_step_by_step() {
        let key = |name: &str| Step::Key(name.into());
        let cases = [
            ("$", vec![]),
            ("$.detail", vec![key("detail")]),
            ("$.detail-type", vec![key("detail-type")]),
            ("$.detail.a_b/c:d.é", vec![key("detail"), key("a_b/c:d"), key("é")]),
            ("$.resources[0]", vec![key("resources"), Step::Index(0)]),
            ("$.detail.items[*].id", vec![key("detail"), key("items"), Step::Every, key("id")]),
            ("$.detail.*", vec![key("detail"), Step::Every]),
            ("$.a[1][2]", vec![key("a"), Step::Index(1), Step::Index(2)]),
        ];
        for (text, steps) in cases {
            assert_eq!(JsonPath::parse(text), Ok(JsonPath(steps)), "{text}");
        }
    }

    #[test]
    fn what_eventbridge_does_not_take_is_refused_with_its_place() {
        let cases = [
            ("", "must begin"),
            ("detail", "must begin"),
            ("$detail", "at character 2"),
            ("$.", "at character 2: a name is missing"),
            ("$.a..b", "at character 4: `..`"),
            ("$['detail']", "at character 2: an index"),
            ("$.a[-1]", "at character 4: an index"),
            ("$.a[0", "`[` without `]`"),
            ("$.a[99999999999999999999999]", "so many"),
            ("$.a[?(@.x)]", "an index"),
            ("$.a b", "only names"),
        ];
        for (text, reason) in cases {
            let error = JsonPath::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(JsonPath::parse(&format!("$.{}", "a".repeat(limit::JSON_PATH_CHARS_MAX))).is_err());
    }
}
