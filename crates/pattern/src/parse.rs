//! From a pattern's text to its compiled form.
//!
//! Of keys repeated in one object the last counts, which is what the JSON reader's map does. Recursion is bounded by the
//! reader's own limit and by `PATTERN_DEPTH_MAX`.

use serde_json::{Map, Value};

use crate::error::PatternError;
use crate::limit::{
    COMBINATIONS_MAX, COMBINED_FIELDS_MAX, PATTERN_BYTES_MAX, PATTERN_DEPTH_MAX, WILDCARD_COMPLEXITY_MAX,
};
use crate::operator::{self, Alternative};
use crate::path::Path;
use crate::pattern::{Combination, Field, Pattern, Step};
use crate::test::Test;
use crate::wildcard::Wildcard;

const OR: &str = "$or";

pub(crate) fn pattern(text: &str) -> Result<Pattern, PatternError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::new("", format!("pattern is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| PatternError::new("", format!("pattern is not valid JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(PatternError::new("", "pattern is not a JSON object"));
    };
    let mut reader = Reader { fields: Vec::new() };
    let all = reader.object("", "", &members, 1)?;
    let combined = multiply(&all)?;
    let combinations = combined.into_iter().map(|numbers| combination(&reader.fields, numbers)).collect();
    Ok(Pattern { fields: reader.fields.into(), combinations })
}

/// A condition of an object, before `$or` is multiplied out.
enum Condition {
    Field(u32),
    /// Each inner list is one branch, all of whose conditions must hold.
    Any(Vec<Vec<Condition>>),
}

struct Reader {
    fields: Vec<Field>,
}

impl Reader {
    /// `path` is the place in the event, `place` the place in the pattern; they differ inside `$or`.
    fn object(
        &mut self,
        path: &str,
        place: &str,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<Vec<Condition>, PatternError> {
        if members.is_empty() {
            return Err(PatternError::new(place, "an empty object is not allowed"));
        }
        if depth > PATTERN_DEPTH_MAX {
            return Err(PatternError::new(place, format!("pattern is nested deeper than {PATTERN_DEPTH_MAX} levels")));
        }
        let mut conditions = Vec::with_capacity(members.len());
        for (name, value) in members {
            let inner_place = join(place, name);
            match value {
                Value::Array(branches) if name == OR && is_or(branches) => {
                    conditions.push(self.branches(path, &inner_place, branches, depth)?);
                }
                Value::Array(values) => {
                    let field = self.field(&join(path, name), &inner_place, values)?;
                    conditions.push(Condition::Field(field));
                }
                Value::Object(inner) => {
                    conditions.extend(self.object(&join(path, name), &inner_place, inner, depth + 1)?);
                }
                _ => return Err(PatternError::new(&inner_place, "must be an object or a list of values")),
            }
        }
        Ok(conditions)
    }

    fn branches(
        &mut self,
        path: &str,
        place: &str,
        branches: &[Value],
        depth: usize,
    ) -> Result<Condition, PatternError> {
        if branches.len() < 2 {
            return Err(PatternError::new(place, "must have at least two objects"));
        }
        let mut read = Vec::with_capacity(branches.len());
        for (position, branch) in branches.iter().enumerate() {
            let branch_place = format!("{place}[{position}]");
            match branch {
                Value::Object(members) => read.push(self.object(path, &branch_place, members, depth + 1)?),
                _ => return Err(PatternError::new(&branch_place, "must be an object")),
            }
        }
        Ok(Condition::Any(read))
    }

    fn field(&mut self, path: &str, place: &str, values: &[Value]) -> Result<u32, PatternError> {
        if values.is_empty() {
            return Err(PatternError::new(place, "an empty list is not allowed"));
        }
        let mut texts: Vec<Box<str>> = Vec::new();
        let mut tests = Vec::new();
        let mut may_be_absent = false;
        for (position, value) in values.iter().enumerate() {
            match operator::alternative(&format!("{place}[{position}]"), value)? {
                Alternative::Absent => may_be_absent = true,
                Alternative::Test(Test::Text(text)) => texts.push(text),
                Alternative::Test(test) => tests.push(test),
            }
        }
        let complexity = complexity(&tests);
        if complexity > WILDCARD_COMPLEXITY_MAX {
            let reason = format!(
                "wildcards are too complex ({complexity}, at most {WILDCARD_COMPLEXITY_MAX}): \
                 use fewer stars or fewer repetitions behind them"
            );
            return Err(PatternError::new(place, reason));
        }
        texts.sort_unstable();
        texts.dedup();
        let weight =
            tests.iter().map(|test| if let Test::AnythingBut(refused) = test { refused.len() } else { 1 }).sum();
        let field = Field { path: Path::new(path), texts: texts.into(), tests: tests.into(), may_be_absent, weight };
        self.fields.push(field);
        Ok(u32::try_from(self.fields.len() - 1).unwrap_or(u32::MAX))
    }
}

fn join(outer: &str, name: &str) -> String {
    if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") }
}

/// Whether a list under `$or` is the operator. A list of plain values or of operators belongs to a field of that name.
fn is_or(branches: &[Value]) -> bool {
    !branches.is_empty()
        && branches.iter().all(|branch| {
            branch
                .as_object()
                .is_some_and(|members| members.keys().all(|name| !operator::RESERVED.contains(&name.as_str())))
        })
}

/// How busy one value can keep all wildcards of a field together. Of those with a fixed beginning only the busiest
/// counts: different beginnings exclude each other.
fn complexity(tests: &[Test]) -> usize {
    let wildcards = tests.iter().flat_map(|test| match test {
        Test::AnythingBut(refused) => &**refused,
        single => std::slice::from_ref(single),
    });
    let mut open = 0;
    let mut busiest = 0;
    for test in wildcards {
        if let Test::Wildcard(wildcard) = test {
            count(wildcard, &mut open, &mut busiest);
        }
    }
    open + busiest
}

fn count(wildcard: &Wildcard, open: &mut usize, busiest: &mut usize) {
    if wildcard.is_open_at_start() {
        *open += wildcard.complexity();
    } else {
        *busiest = (*busiest).max(wildcard.complexity());
    }
}

/// All ways to satisfy a list of conditions, each as the fields it needs.
fn multiply(conditions: &[Condition]) -> Result<Vec<Vec<u32>>, PatternError> {
    let mut ways: Vec<Vec<u32>> = vec![Vec::new()];
    for condition in conditions {
        match condition {
            Condition::Field(number) => ways.iter_mut().for_each(|way| way.push(*number)),
            Condition::Any(branches) => {
                let mut either: Vec<Vec<u32>> = Vec::new();
                for branch in branches {
                    either.extend(multiply(branch)?);
                    within_limits(either.len(), 0)?;
                }
                let fields_of = |ways: &[Vec<u32>]| ways.iter().map(Vec::len).sum::<usize>();
                let fields = fields_of(&ways) * either.len() + fields_of(&either) * ways.len();
                within_limits(ways.len() * either.len(), fields)?;
                ways = ways
                    .iter()
                    .flat_map(|way| either.iter().map(move |branch| [way.as_slice(), branch.as_slice()].concat()))
                    .collect();
            }
        }
    }
    within_limits(ways.len(), ways.iter().map(Vec::len).sum())?;
    Ok(ways)
}

fn within_limits(combinations: usize, fields: usize) -> Result<(), PatternError> {
    if combinations > COMBINATIONS_MAX {
        return Err(PatternError::new("", format!("$or makes more than {COMBINATIONS_MAX} combinations")));
    }
    if fields > COMBINED_FIELDS_MAX {
        let reason = format!("the combinations of $or have more than {COMBINED_FIELDS_MAX} fields together");
        return Err(PatternError::new("", reason));
    }
    Ok(())
}

fn combination(fields: &[Field], numbers: Vec<u32>) -> Combination {
    let path = |number: u32| &fields[number as usize].path;
    let mut sorted = numbers;
    sorted.sort_by(|&a, &b| path(a).compare(path(b)));
    let mut steps: Vec<Step> = Vec::with_capacity(sorted.len());
    for (position, &field) in sorted.iter().enumerate() {
        let shared_with_next = sorted.get(position + 1).map_or(0, |&next| path(field).shared_keys(path(next)));
        steps.push(Step { field, shared_with_next });
    }
    Combination { steps: steps.into() }
}
