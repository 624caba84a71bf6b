//! A compiled pattern: fields with their alternatives, and the combinations of fields that make a match.
//!
//! `$or` is multiplied out when the pattern is parsed, so that matching knows only "any combination, all of its fields".
//! A field is stored once however many combinations use it.

use crate::error::PatternError;
use crate::event::EventView;
use crate::explain::{self, Explanation};
use crate::matching;
use crate::parse;
use crate::path::Path;
use crate::scalar::Scalar;
use crate::test::Test;

/// What an event must look like. Immutable; cheap to match, and safe to share.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// In the order of the text, which is the order of reasons.
    pub(crate) fields: Box<[Field]>,
    pub(crate) combinations: Box<[Combination]>,
}

/// A path and what is accepted there: any one of the alternatives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) path: Path,
    /// The exact texts, sorted: long lists of them are common.
    pub(crate) texts: Box<[Box<str>]>,
    pub(crate) tests: Box<[Test]>,
    /// `exists: false` is among the alternatives.
    pub(crate) may_be_absent: bool,
    /// Tests that one value may have to go through, those inside `anything-but` included.
    pub(crate) weight: usize,
}

/// Fields that must all be satisfied, sorted by path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Combination {
    pub(crate) steps: Box<[Step]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) field: u32,
    /// Keys that this field's path shares with the next one's: how deep both go through the same arrays.
    pub(crate) shared_with_next: u32,
}

impl Pattern {
    /// Reads a pattern's JSON text. Errors: the place and the reason, also where a limit of [`crate::limit`] is passed.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        parse::pattern(text)
    }

    /// Whether the event matches.
    pub fn matches(&self, event: &EventView<'_>) -> bool {
        matching::matches(self, event)
    }

    /// Whether the event matches and, if not, which fields stood in the way.
    pub fn explain(&self, event: &EventView<'_>) -> Explanation {
        explain::explain(self, event)
    }

    /// Whether the `source` field, anywhere in the pattern, lists this text as an exact value. A prefix or wildcard that
    /// would match it does not count.
    pub fn names_source(&self, source: &str) -> bool {
        self.fields.iter().any(|field| &*field.path.text == "source" && field.has_text(source))
    }
}

impl Field {
    pub(crate) fn accepts(&self, scalar: &Scalar<'_>) -> bool {
        scalar.text().is_some_and(|text| self.has_text(text)) || self.tests.iter().any(|test| test.passes(scalar))
    }

    fn has_text(&self, text: &str) -> bool {
        self.texts.binary_search_by(|candidate| (**candidate).cmp(text)).is_ok()
    }
}
