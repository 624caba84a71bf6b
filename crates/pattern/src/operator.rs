//! Reads one alternative of a field: a plain value, or an object with one operator.

use serde_json::{Map, Value};

use crate::cidr::Cidr;
use crate::error::PatternError;
use crate::fold::Folded;
use crate::number::Number;
use crate::test::{Bound, Range, Test};
use crate::wildcard::Wildcard;

/// Words that are operators, never fields, inside the objects of a `$or`.
pub(crate) const RESERVED: [&str; 14] = [
    "exactly",
    "exists",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "cidr",
    "wildcard",
    "=",
    "<",
    "<=",
    ">",
    ">=",
];

/// What one alternative asks for.
pub(crate) enum Alternative {
    Absent,
    Test(Test),
}

/// `path` is where the alternative is, for errors.
pub(crate) fn alternative(path: &str, value: &Value) -> Result<Alternative, PatternError> {
    let test = match value {
        Value::Null => Test::Null,
        Value::Bool(value) => Test::Bool(*value),
        Value::Number(number) => Test::Number(Number::from(number)),
        Value::String(text) => Test::Text(text.as_str().into()),
        Value::Array(_) => return Err(PatternError::new(path, "a value must not be an array")),
        Value::Object(members) => {
            let (operator, operand) = only_member(path, members)?;
            let place = format!("{path}.{operator}");
            if operator == "exists" {
                return match operand {
                    Value::Bool(true) => Ok(Alternative::Test(Test::Exists)),
                    Value::Bool(false) => Ok(Alternative::Absent),
                    _ => Err(PatternError::new(&place, "must be true or false")),
                };
            }
            operator_test(path, &place, operator, operand)?
        }
    };
    Ok(Alternative::Test(test))
}

fn operator_test(path: &str, place: &str, operator: &str, operand: &Value) -> Result<Test, PatternError> {
    let refuse = |reason: String| PatternError::new(place, reason);
    match operator {
        "exactly" => Ok(Test::Text(text(place, operand)?.into())),
        "equals-ignore-case" => Ok(Test::EqualsIgnoringCase(Folded::new(text(place, operand)?))),
        "prefix" => match operand {
            Value::Object(members) => Ok(Test::PrefixIgnoringCase(ignoring_case(place, members)?)),
            _ => Ok(Test::Prefix(text(place, operand)?.into())),
        },
        "suffix" => match operand {
            Value::Object(members) => Ok(Test::SuffixIgnoringCase(ignoring_case(place, members)?)),
            _ => Ok(Test::Suffix(text(place, operand)?.into())),
        },
        "wildcard" => Ok(Test::Wildcard(Wildcard::parse(text(place, operand)?).map_err(refuse)?)),
        "cidr" => Ok(Test::Cidr(Cidr::parse(text(place, operand)?).map_err(refuse)?)),
        "numeric" => Ok(Test::Numeric(range(place, operand)?)),
        "anything-but" => Ok(Test::AnythingBut(refused(place, operand)?)),
        _ => Err(PatternError::new(path, format!("unknown operator {operator:?}"))),
    }
}

fn only_member<'v>(path: &str, members: &'v Map<String, Value>) -> Result<(&'v str, &'v Value), PatternError> {
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (None, _) => Err(PatternError::new(path, "an operator is missing: the object is empty")),
        (Some(_), Some(_)) => Err(PatternError::new(path, "only one operator is allowed in one object")),
    }
}

fn text<'v>(place: &str, operand: &'v Value) -> Result<&'v str, PatternError> {
    operand.as_str().ok_or_else(|| PatternError::new(place, "must be a string"))
}

/// Text that must say something: an empty prefix or suffix under `anything-but` would refuse everything.
fn filled_text<'v>(place: &str, operand: &'v Value) -> Result<&'v str, PatternError> {
    match text(place, operand)? {
        "" => Err(PatternError::new(place, "must not be empty")),
        filled => Ok(filled),
    }
}

fn ignoring_case(place: &str, members: &Map<String, Value>) -> Result<Folded, PatternError> {
    match only_member(place, members)? {
        ("equals-ignore-case", operand) => Ok(Folded::new(text(&format!("{place}.equals-ignore-case"), operand)?)),
        (other, _) => Err(PatternError::new(place, format!("unknown operator {other:?}: only equals-ignore-case"))),
    }
}

/// The operand of `anything-but`: a scalar or a list of one type, or an object with one operator over text or a list.
fn refused(place: &str, operand: &Value) -> Result<Box<[Test]>, PatternError> {
    match operand {
        Value::Object(members) => {
            let (operator, inner) = only_member(place, members)?;
            let within = format!("{place}.{operator}");
            let build = |place: &str, item: &Value| match operator {
                "prefix" => Ok(Test::Prefix(filled_text(place, item)?.into())),
                "suffix" => Ok(Test::Suffix(filled_text(place, item)?.into())),
                "equals-ignore-case" => Ok(Test::EqualsIgnoringCase(Folded::new(text(place, item)?))),
                "wildcard" => Wildcard::parse(text(place, item)?)
                    .map(Test::Wildcard)
                    .map_err(|reason| PatternError::new(place, reason)),
                _ => Err(PatternError::new(place, format!("unknown operator {operator:?} under anything-but"))),
            };
            match inner {
                Value::Array(items) => each(&within, items, build),
                single => Ok(Box::new([build(&within, single)?])),
            }
        }
        Value::Array(items) => {
            let tests = each(place, items, scalar)?;
            let is_text = |test: &Test| matches!(test, Test::Text(_));
            if tests.iter().any(is_text) && !tests.iter().all(is_text) {
                return Err(PatternError::new(place, "must hold strings only or numbers only"));
            }
            Ok(tests)
        }
        single => Ok(Box::new([scalar(place, single)?])),
    }
}

fn scalar(place: &str, value: &Value) -> Result<Test, PatternError> {
    match value {
        Value::String(text) => Ok(Test::Text(text.as_str().into())),
        Value::Number(number) => Ok(Test::Number(Number::from(number))),
        _ => Err(PatternError::new(place, "must be a string, a number, or a list of either")),
    }
}

fn each(
    place: &str,
    items: &[Value],
    build: impl Fn(&str, &Value) -> Result<Test, PatternError>,
) -> Result<Box<[Test]>, PatternError> {
    if items.is_empty() {
        return Err(PatternError::new(place, "must not be an empty list"));
    }
    items.iter().enumerate().map(|(position, item)| build(&format!("{place}[{position}]"), item)).collect()
}

/// `["=", n]`, one bound, or the lower bound before the upper one.
fn range(place: &str, operand: &Value) -> Result<Range, PatternError> {
    let refuse = |reason: String| Err(PatternError::new(place, reason));
    let Some(items) = operand.as_array() else {
        return refuse("must be a list such as [\">\", 0, \"<=\", 5]".to_owned());
    };
    if items.is_empty() {
        return refuse("must not be an empty list".to_owned());
    }
    let mut range = Range { above: None, below: None };
    for (position, pair) in items.chunks(2).enumerate() {
        let Some(operator) = pair[0].as_str() else {
            return refuse(format!("an operator is expected instead of {}", pair[0]));
        };
        if !matches!(operator, "=" | "<" | "<=" | ">" | ">=") {
            return refuse(format!("unknown operator {operator:?}"));
        }
        let Some(Value::Number(number)) = pair.get(1) else {
            return refuse(format!("the value of {operator} must be a number"));
        };
        let bound = Bound { number: Number::from(number), is_included: operator.contains('=') };
        match operator {
            "=" if position == 0 => range = Range { above: Some(bound), below: Some(bound) },
            ">" | ">=" if position == 0 => range.above = Some(bound),
            "<" | "<=" if range.below.is_none() => range.below = Some(bound),
            _ => return refuse(format!("{operator} must not follow here: one lower bound, then one upper bound")),
        }
    }
    match (&range.above, &range.below) {
        (Some(above), Some(below)) if items.len() > 2 && above.number.compare(below.number).is_ge() => {
            refuse("the lower bound must be less than the upper one".to_owned())
        }
        _ => Ok(range),
    }
}
