//! Whether an event satisfies a pattern, with fields kept to one element of every array they go through together.
//!
//! `{"items": {"name": ["a"], "price": [1]}}` matches an event whose `items` hold one element with both, not one whose
//! elements have one each. The fields of a combination are taken in the order of their paths, so all paths through one
//! array stand together, and what has to be remembered between two fields is only: in which element of the innermost
//! array that both go through could everything so far be satisfied? Those elements are the *positions*. Each field
//! narrows them down; the event matches if some are left. That costs in proportion to the leaves looked at, where
//! trying out assignments would multiply them.
//!
//! `exists: false` holds at a position if nothing at the path is inside it. As fields are taken in order, one that sorts
//! before the fields which choose the element sees the whole array; EventBridge's engine does the same.
//!
//! All looks at values are counted, and beyond `LOOKS_MAX` the answer is no: a pattern and an event that are both made
//! to be expensive must not hold up everybody else's events.
//!
//! Known limit: where an event spells one path in two ways (`"a.b"` and `b` inside `a`) and both lead through arrays,
//! the elements of the two arrays count as excluding each other.

use std::collections::HashSet;

use crate::event::{EventView, Leaf};
use crate::limit::LOOKS_MAX;
use crate::pattern::{Combination, Field, Pattern};

/// How a pattern and an event go together.
pub(crate) enum Verdict {
    Matches,
    /// Fields, by number, that stood in the way. Nowhere satisfied, or satisfied but not in one element of an array.
    Unsatisfied {
        fields: Vec<u32>,
        is_apart: bool,
    },
    /// Too many looks.
    Exhausted,
}

/// The looks at values that are left. `None` from anything that looks means there are none.
struct Looks(usize);

impl Looks {
    fn accepts(&mut self, field: &Field, leaf: &Leaf<'_>) -> Option<bool> {
        let pieces = leaf.scalar.text().map_or(1, |text| 1 + text.len() / 64);
        self.0 = self.0.checked_sub(1 + field.weight * pieces)?;
        Some(field.accepts(&leaf.scalar))
    }
}

pub(crate) fn matches(pattern: &Pattern, event: &EventView<'_>) -> bool {
    let mut looks = Looks(LOOKS_MAX);
    // Fields shared by many combinations are looked at once.
    let mut known: Vec<Option<bool>> = Vec::new();
    if pattern.combinations.len() > 1 {
        known.resize(pattern.fields.len(), None);
    }
    for combination in &pattern.combinations {
        match is_met(pattern, combination, event, &mut known, &mut looks) {
            Some(true) => return true,
            Some(false) => {}
            None => return false,
        }
    }
    false
}

/// The same answer with what is needed to explain it.
pub(crate) fn verdict(pattern: &Pattern, event: &EventView<'_>) -> Verdict {
    if matches(pattern, event) {
        return Verdict::Matches;
    }
    blame(pattern, event).map_or(Verdict::Exhausted, |(fields, is_apart)| Verdict::Unsatisfied { fields, is_apart })
}

fn is_met(
    pattern: &Pattern,
    combination: &Combination,
    event: &EventView<'_>,
    known: &mut [Option<bool>],
    looks: &mut Looks,
) -> Option<bool> {
    for step in &combination.steps {
        let number = step.field as usize;
        let answer = match known.get(number) {
            Some(Some(answer)) => *answer,
            _ => is_satisfied_alone(&pattern.fields[number], event, looks)?,
        };
        if let Some(slot) = known.get_mut(number) {
            *slot = Some(answer);
        }
        if !answer {
            return Some(false);
        }
    }
    if event.is_free_of_elements() {
        return Some(true);
    }
    Some(first_stuck(pattern, combination, event, looks)?.is_none())
}

/// The fields in the way of an event that does not match, and whether it is only their being apart.
fn blame(pattern: &Pattern, event: &EventView<'_>) -> Option<(Vec<u32>, bool)> {
    let mut looks = Looks(LOOKS_MAX);
    let mut alone: Vec<u32> = Vec::new();
    for (number, field) in (0u32..).zip(&pattern.fields) {
        if !is_satisfied_alone(field, event, &mut looks)? {
            alone.push(number);
        }
    }
    if !alone.is_empty() {
        return Some((alone, false));
    }
    let mut stuck: Vec<u32> = Vec::new();
    for combination in &pattern.combinations {
        let field = first_stuck(pattern, combination, event, &mut looks)?;
        stuck.extend(field.filter(|field| !stuck.contains(field)));
    }
    Some((stuck, true))
}

/// Whether the field is satisfied somewhere in the event, without regard to others.
fn is_satisfied_alone(field: &Field, event: &EventView<'_>, looks: &mut Looks) -> Option<bool> {
    let mut is_everywhere = false;
    for leaf in event.leaves_at(&field.path) {
        if looks.accepts(field, leaf)? {
            return Some(true);
        }
        // A value in one array element does not stop `exists: false` in another.
        is_everywhere |= leaf.element == 0;
    }
    Some(field.may_be_absent && !is_everywhere)
}

/// The first field at which no position is left, if there is one.
fn first_stuck(
    pattern: &Pattern,
    combination: &Combination,
    event: &EventView<'_>,
    looks: &mut Looks,
) -> Option<Option<u32>> {
    let mut positions: Vec<u32> = vec![0];
    for step in &combination.steps {
        let field = &pattern.fields[step.field as usize];
        positions = narrowed(field, step.shared_with_next, event, &positions, looks)?;
        if positions.is_empty() {
            return Some(Some(step.field));
        }
    }
    Some(None)
}

/// The positions, sorted, at which the field is satisfied too, no deeper than the next field shares.
fn narrowed(
    field: &Field,
    depth: u32,
    event: &EventView<'_>,
    positions: &[u32],
    looks: &mut Looks,
) -> Option<Vec<u32>> {
    let mut next: Vec<u32> = Vec::new();
    let mut taken: HashSet<u32> = HashSet::new();
    let mut is_everywhere = false;
    let mut is_met_everywhere = false;
    for leaf in event.leaves_at(&field.path) {
        is_everywhere |= leaf.element == 0;
        if field.may_be_absent {
            taken.extend(event.enclosing(leaf.element));
        }
        if !looks.accepts(field, leaf)? {
            continue;
        }
        if leaf.element == 0 {
            is_met_everywhere = true;
        } else if event.enclosing(leaf.element).any(|element| positions.binary_search(&element).is_ok()) {
            next.push(event.element_within(leaf.element, depth));
        }
    }
    // A value in no array goes with every position; so does absence, where nothing is inside.
    let is_absent = |position: &u32| field.may_be_absent && !is_everywhere && !taken.contains(position);
    let kept = positions.iter().filter(|position| is_met_everywhere || is_absent(position));
    next.extend(kept.map(|&position| event.element_within(position, depth)));
    next.sort_unstable();
    next.dedup();
    Some(next)
}
