//! Why an event did not match: the fields in the way, what they wanted and what was there.

use std::fmt;

use serde::Serialize;

use crate::event::EventView;
use crate::limit::{LOOKS_MAX, REASONS_MAX, SHOWN_BYTES_MAX};
use crate::matching::{Verdict, verdict};
use crate::pattern::{Field, Pattern};

/// The answer with its reasons. Displayed in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub matches: bool,
    /// Empty exactly when the event matches; the first one first, at most [`REASONS_MAX`]. With `$or`, the reasons of
    /// all its branches.
    pub reasons: Vec<Mismatch>,
}

/// One field that was not satisfied. Displayed as `detail.state: expected prefix "run", saw "stopped"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Keys joined by dots; empty where no field is to blame.
    pub path: String,
    /// As the pattern spells it; `exact` for plain values, `any` for alternatives of several kinds, `array` where each
    /// field is satisfied but not in the same element of an array, `limit` where the answer was given up.
    pub operator: String,
    /// What the operator wanted, cut at [`SHOWN_BYTES_MAX`].
    pub expected: String,
    /// The values seen, as JSON and cut likewise; `nothing` or `an object or list without a value of its own`.
    pub actual: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, operator, expected, actual } = self;
        match operator.as_str() {
            "limit" => write!(f, "expected {expected}, saw {actual}"),
            "exact" | "any" | "array" => write!(f, "{path}: expected {expected}, saw {actual}"),
            _ => write!(f, "{path}: expected {operator} {expected}, saw {actual}"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matches {
            return f.write_str("matches");
        }
        for (position, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if position == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

pub(crate) fn explain(pattern: &Pattern, event: &EventView<'_>) -> Explanation {
    let reasons = match verdict(pattern, event) {
        Verdict::Matches => return Explanation { matches: true, reasons: Vec::new() },
        Verdict::Exhausted => vec![exhausted()],
        Verdict::Unsatisfied { fields, is_apart } => fields
            .iter()
            .take(REASONS_MAX)
            .map(|&number| &pattern.fields[number as usize])
            .map(|field| if is_apart { apart(field, event) } else { mismatch(field, event) })
            .collect(),
    };
    Explanation { matches: false, reasons }
}

fn exhausted() -> Mismatch {
    Mismatch {
        path: String::new(),
        operator: "limit".to_owned(),
        expected: format!("an answer within {LOOKS_MAX} looks at values"),
        actual: "a pattern and lists too large for each other".to_owned(),
    }
}

fn mismatch(field: &Field, event: &EventView<'_>) -> Mismatch {
    let (operator, expected) = expectation(field);
    Mismatch { path: field.path.text.to_string(), operator, expected, actual: seen(field, event) }
}

fn apart(field: &Field, event: &EventView<'_>) -> Mismatch {
    Mismatch {
        path: field.path.text.to_string(),
        operator: "array".to_owned(),
        expected: format!("{} in the same list element as the other fields", expectation(field).1),
        actual: seen(field, event),
    }
}

fn expectation(field: &Field) -> (String, String) {
    let mut operators: Vec<&str> = Vec::new();
    if !field.texts.is_empty() {
        operators.push("exact");
    }
    operators.extend(field.tests.iter().map(|test| test.operator()));
    if field.may_be_absent {
        operators.push("exists");
    }
    let is_one_kind = operators.windows(2).all(|pair| pair[0] == pair[1]);
    let mut wanted = Cut::default();
    let texts = field.texts.iter().map(|text| ("exact", format!("{text:?}")));
    let tests = field.tests.iter().map(|test| (test.operator(), test.to_string()));
    let absent = field.may_be_absent.then(|| ("exists", "false".to_owned()));
    for (operator, expected) in texts.chain(tests).chain(absent) {
        let is_bare = is_one_kind || operator == "exact";
        let goes_on =
            if is_bare { wanted.add(" or ", &expected) } else { wanted.add(" or ", &format!("{operator} {expected}")) };
        if !goes_on {
            break;
        }
    }
    let operator = if is_one_kind { operators.first().copied().unwrap_or("exact") } else { "any" };
    (operator.to_owned(), wanted.text)
}

fn seen(field: &Field, event: &EventView<'_>) -> String {
    let mut values = Cut::default();
    for leaf in event.leaves_at(&field.path) {
        if !values.add(", ", &leaf.scalar.to_string()) {
            break;
        }
    }
    if !values.text.is_empty() {
        return values.text;
    }
    let is_there = event.has_key_at(&field.path);
    if is_there { "an object or list without a value of its own".to_owned() } else { "nothing".to_owned() }
}

/// Text that stops growing at `SHOWN_BYTES_MAX`.
#[derive(Default)]
struct Cut {
    text: String,
}

impl Cut {
    /// Adds a part; `false` when the text is full.
    fn add(&mut self, between: &str, part: &str) -> bool {
        if !self.text.is_empty() {
            self.text.push_str(between);
        }
        let room = SHOWN_BYTES_MAX.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return true;
        }
        let end = (0..=room).rev().find(|&end| part.is_char_boundary(end)).unwrap_or(0);
        self.text.push_str(&part[..end]);
        self.text.push('…');
        false
    }
}
