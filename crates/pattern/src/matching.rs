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
//! Known limit: where an event spells one path in two ways (`"a.b"` and `b` inside `a`) and both lead through arrays,
//! the elements of the two arrays count as excluding each other.

use std::collections::HashSet;

use crate::event::EventView;
use crate::pattern::{Combination, Field, Pattern, Step};

pub(crate) fn matches(pattern: &Pattern, event: &EventView<'_>) -> bool {
    // Fields shared by many combinations are looked at once.
    let mut known: Vec<Option<bool>> = Vec::new();
    if pattern.combinations.len() > 1 {
        known.resize(pattern.fields.len(), None);
    }
    pattern.combinations.iter().any(|combination| {
        let alone = combination.steps.iter().all(|step| {
            let number = step.field as usize;
            let look = || is_satisfied_alone(&pattern.fields[number], event);
            match known.get_mut(number) {
                Some(answer) => *answer.get_or_insert_with(look),
                None => look(),
            }
        });
        alone && are_satisfied_together(pattern, combination, event)
    })
}

/// Whether the field is satisfied somewhere in the event, without regard to others.
pub(crate) fn is_satisfied_alone(field: &Field, event: &EventView<'_>) -> bool {
    let mut is_everywhere = false;
    for (_, leaf) in event.leaves_at(&field.path) {
        if field.accepts(&leaf.scalar) {
            return true;
        }
        // A value in one array element does not stop `exists: false` in another.
        is_everywhere |= leaf.element == 0;
    }
    field.may_be_absent && !is_everywhere
}

/// Whether one choice of array elements satisfies all fields of the combination.
pub(crate) fn are_satisfied_together(pattern: &Pattern, combination: &Combination, event: &EventView<'_>) -> bool {
    event.is_free_of_elements() || first_stuck(pattern, combination, event).is_none()
}

/// The first step at which no position is left, if there is one.
pub(crate) fn first_stuck<'p>(
    pattern: &'p Pattern,
    combination: &'p Combination,
    event: &EventView<'_>,
) -> Option<&'p Step> {
    let mut positions: Vec<u32> = vec![0];
    for step in &combination.steps {
        positions = narrowed(&pattern.fields[step.field as usize], step.shared_with_next, event, &positions);
        if positions.is_empty() {
            return Some(step);
        }
    }
    None
}

/// The positions, sorted, at which the field is satisfied too, no deeper than the next field shares.
fn narrowed(field: &Field, depth: u32, event: &EventView<'_>, positions: &[u32]) -> Vec<u32> {
    let mut next: Vec<u32> = Vec::new();
    let mut taken: HashSet<u32> = HashSet::new();
    for (_, leaf) in event.leaves_at(&field.path) {
        if field.may_be_absent {
            taken.extend(event.enclosing(leaf.element));
        }
        if !field.accepts(&leaf.scalar) {
            continue;
        }
        if leaf.element == 0 {
            // In no array, so it goes with every position.
            next.extend(positions.iter().map(|&position| event.element_within(position, depth)));
        } else if event.enclosing(leaf.element).any(|element| positions.binary_search(&element).is_ok()) {
            next.push(event.element_within(leaf.element, depth));
        }
    }
    if field.may_be_absent {
        let is_everywhere = event.leaves_at(&field.path).any(|(_, leaf)| leaf.element == 0);
        let free = positions.iter().filter(|position| !is_everywhere && !taken.contains(position));
        next.extend(free.map(|&position| event.element_within(position, depth)));
    }
    next.sort_unstable();
    next.dedup();
    next
}
