//! One alternative of a field: a test that a scalar passes or not.

use std::cmp::Ordering;
use std::fmt;

use crate::cidr::Cidr;
use crate::fold::Folded;
use crate::number::Number;
use crate::scalar::Scalar;
use crate::wildcard::Wildcard;

/// All but `exists: false`, which looks at no scalar and is a property of the field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    Exists,
    Prefix(Box<str>),
    PrefixIgnoringCase(Folded),
    Suffix(Box<str>),
    SuffixIgnoringCase(Folded),
    EqualsIgnoringCase(Folded),
    Wildcard(Wildcard),
    Cidr(Cidr),
    Numeric(Range),
    /// Passes what none of these passes, whatever its type.
    AnythingBut(Box<[Test]>),
}

/// Numbers between two bounds; a bound that is missing is no bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    pub(crate) above: Option<Bound>,
    pub(crate) below: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) number: Number,
    pub(crate) is_included: bool,
}

impl Range {
    fn contains(&self, number: Number) -> bool {
        let within = |bound: &Option<Bound>, wanted: Ordering| {
            bound.is_none_or(|bound| match number.compare(bound.number) {
                Ordering::Equal => bound.is_included,
                found => found == wanted,
            })
        };
        within(&self.above, Ordering::Greater) && within(&self.below, Ordering::Less)
    }
}

impl Test {
    pub(crate) fn passes(&self, scalar: &Scalar<'_>) -> bool {
        match (self, scalar) {
            (Test::Exists, _) | (Test::Null, Scalar::Null) => true,
            (Test::Bool(wanted), Scalar::Bool(value)) => wanted == value,
            (Test::Number(wanted), Scalar::Number(value)) => wanted == value,
            (Test::Numeric(range), Scalar::Number(value)) => range.contains(*value),
            (Test::AnythingBut(refused), _) => !refused.iter().any(|test| test.passes(scalar)),
            (_, Scalar::Text(text)) => self.passes_text(text),
            _ => false,
        }
    }

    fn passes_text(&self, text: &str) -> bool {
        match self {
            Test::Text(wanted) => **wanted == *text,
            Test::Prefix(prefix) => text.starts_with(&**prefix),
            Test::PrefixIgnoringCase(prefix) => prefix.starts(text),
            Test::Suffix(suffix) => text.ends_with(&**suffix),
            Test::SuffixIgnoringCase(suffix) => suffix.ends(text),
            Test::EqualsIgnoringCase(wanted) => wanted.equals(text),
            Test::Wildcard(wildcard) => wildcard.matches(text),
            Test::Cidr(range) => range.contains(text),
            _ => false,
        }
    }

    /// The operator as a pattern spells it; `exact` for plain values.
    pub(crate) fn operator(&self) -> &'static str {
        match self {
            Test::Null | Test::Bool(_) | Test::Number(_) | Test::Text(_) => "exact",
            Test::Exists => "exists",
            Test::Prefix(_) | Test::PrefixIgnoringCase(_) => "prefix",
            Test::Suffix(_) | Test::SuffixIgnoringCase(_) => "suffix",
            Test::EqualsIgnoringCase(_) => "equals-ignore-case",
            Test::Wildcard(_) => "wildcard",
            Test::Cidr(_) => "cidr",
            Test::Numeric(_) => "numeric",
            Test::AnythingBut(_) => "anything-but",
        }
    }
}

/// What is expected, without the operator.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Null => f.write_str("null"),
            Test::Bool(value) => write!(f, "{value}"),
            Test::Number(number) => write!(f, "{number}"),
            Test::Text(text) | Test::Prefix(text) | Test::Suffix(text) => write!(f, "{text:?}"),
            Test::Exists => f.write_str("true"),
            Test::PrefixIgnoringCase(folded) | Test::SuffixIgnoringCase(folded) => {
                write!(f, "{:?} in any case", folded.as_str())
            }
            Test::EqualsIgnoringCase(folded) => write!(f, "{:?}", folded.as_str()),
            Test::Wildcard(wildcard) => write!(f, "\"{wildcard}\""),
            Test::Cidr(range) => write!(f, "{range}"),
            Test::Numeric(range) => write!(f, "{range}"),
            Test::AnythingBut(refused) => {
                for (position, test) in refused.iter().enumerate() {
                    let or = if position == 0 { "" } else { " or " };
                    match test.operator() {
                        "exact" => write!(f, "{or}{test}")?,
                        operator => write!(f, "{or}{operator} {test}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(above), Some(below)) = (&self.above, &self.below)
            && above.number == below.number
        {
            return write!(f, "= {}", above.number);
        }
        if let Some(bound) = &self.above {
            write!(f, "{} {}", if bound.is_included { ">=" } else { ">" }, bound.number)?;
        }
        if self.above.is_some() && self.below.is_some() {
            f.write_str(" and ")?;
        }
        if let Some(bound) = &self.below {
            write!(f, "{} {}", if bound.is_included { "<=" } else { "<" }, bound.number)?;
        }
        Ok(())
    }
}
