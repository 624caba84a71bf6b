//! Where to look first: from a path and a value to the few rules worth trying.
//!
//! Each combination of a pattern is filed under one of its fields: the exact values or prefixes it lists, or, failing
//! that, the mere presence of its path. An event that matches has a leaf under that field, so walking the event's leaves
//! meets every rule that can match. Only what can match without any leaf (`exists: false` alone) has to be scanned.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::event::EventView;
use crate::limit::{INDEX_KEYS_MAX, INDEX_PREFIX_BYTES_MAX};
use crate::number::Number;
use crate::path::Path;
use crate::pattern::{Field, Pattern};
use crate::scalar::Scalar;
use crate::test::Test;

/// A rule's number in the set.
pub(crate) type Slot = usize;

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// By the hash of the path; paths that share a hash share the entry and are told apart when the rule is tried.
    paths: HashMap<u64, Entry>,
    scanned: Vec<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    texts: HashMap<Box<str>, Vec<Slot>>,
    others: HashMap<Other, Vec<Slot>>,
    prefixes: HashMap<Box<str>, Vec<Slot>>,
    /// Lengths of the prefixes in bytes, each with how many prefixes have it.
    prefix_lengths: BTreeMap<usize, usize>,
    present: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Other {
    Null,
    Bool(bool),
    Number(Number),
}

/// Where a rule is filed, so that it can be taken out again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Filing {
    path: Option<Path>,
    key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Text(Box<str>),
    Prefix(Box<str>),
    Other(Other),
    Present,
    Scanned,
}

/// A field's filings, and how few rules they would be shared with.
struct Ranked {
    rank: (bool, usize),
    filings: Vec<Filing>,
}

impl Index {
    pub(crate) fn add(&mut self, slot: Slot, pattern: &Pattern) -> Vec<Filing> {
        let ranked: Vec<Option<Ranked>> = pattern.fields.iter().map(|field| self.ranked(field)).collect();
        let mut filings: HashSet<Filing> = HashSet::new();
        for combination in &pattern.combinations {
            let fields = combination.steps.iter().filter_map(|step| ranked[step.field as usize].as_ref());
            match fields.min_by_key(|field| field.rank) {
                Some(best) => filings.extend(best.filings.iter().cloned()),
                None => drop(filings.insert(Filing { path: None, key: Key::Scanned })),
            }
        }
        let settled: Vec<Filing> = filings.into_iter().collect();
        for filing in &settled {
            self.list(filing).push(slot);
        }
        settled
    }

    pub(crate) fn remove(&mut self, slot: Slot, filings: &[Filing]) {
        for filing in filings {
            self.list(filing).retain(|&other| other != slot);
            let Some(path) = &filing.path else { continue };
            let Some(entry) = self.paths.get_mut(&path.hash) else { continue };
            entry.tidy(&filing.key);
            if entry.is_empty() {
                self.paths.remove(&path.hash);
            }
        }
    }

    /// The rules worth trying on this event, each once, in the order of their numbers.
    pub(crate) fn candidates(&self, event: &EventView<'_>) -> Vec<Slot> {
        let mut found = self.scanned.clone();
        let mut previous = None;
        for &(hash, number) in &event.by_path {
            let Some(entry) = self.paths.get(&hash) else { continue };
            // The leaves of one path stand together; its presence is news once.
            if previous != Some(hash) {
                found.extend(&entry.present);
                previous = Some(hash);
            }
            entry.find(&event.leaves[number as usize].scalar, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How well a field would do: best is one that shares its place with the fewest rules already there.
    fn ranked(&self, field: &Field) -> Option<Ranked> {
        let filings = filings(field)?;
        // Presence says so little that it is taken only where there is nothing else.
        let is_presence = filings.iter().any(|filing| filing.key == Key::Present);
        let crowd: usize = filings.iter().map(|filing| self.crowd(filing)).sum();
        Some(Ranked { rank: (is_presence, crowd + filings.len()), filings })
    }

    fn crowd(&self, filing: &Filing) -> usize {
        let Some(entry) = filing.path.as_ref().and_then(|path| self.paths.get(&path.hash)) else { return 0 };
        match &filing.key {
            Key::Text(text) => entry.texts.get(text).map_or(0, Vec::len),
            Key::Prefix(text) => entry.prefixes.get(text).map_or(0, Vec::len),
            Key::Other(other) => entry.others.get(other).map_or(0, Vec::len),
            Key::Present => entry.present.len(),
            Key::Scanned => 0,
        }
    }

    fn list(&mut self, filing: &Filing) -> &mut Vec<Slot> {
        let Some(path) = &filing.path else { return &mut self.scanned };
        let entry = self.paths.entry(path.hash).or_default();
        match &filing.key {
            Key::Text(text) => entry.texts.entry(text.clone()).or_default(),
            Key::Other(other) => entry.others.entry(*other).or_default(),
            Key::Present => &mut entry.present,
            Key::Scanned => &mut self.scanned,
            Key::Prefix(text) => {
                if !entry.prefixes.contains_key(text) {
                    *entry.prefix_lengths.entry(text.len()).or_default() += 1;
                }
                entry.prefixes.entry(text.clone()).or_default()
            }
        }
    }
}

impl Entry {
    fn find(&self, scalar: &Scalar<'_>, found: &mut Vec<Slot>) {
        let other = match scalar {
            Scalar::Null => Other::Null,
            Scalar::Bool(value) => Other::Bool(*value),
            Scalar::Number(number) => Other::Number(*number),
            Scalar::Text(text) => {
                found.extend(self.texts.get(&**text).into_iter().flatten());
                for &length in self.prefix_lengths.keys().take_while(|&&length| length <= text.len()) {
                    // Cutting inside a character gives none, and no prefix ends there.
                    let slots = text.get(..length).and_then(|prefix| self.prefixes.get(prefix));
                    found.extend(slots.into_iter().flatten());
                }
                return;
            }
        };
        found.extend(self.others.get(&other).into_iter().flatten());
    }

    /// Takes out what the removal of a rule left empty.
    fn tidy(&mut self, key: &Key) {
        match key {
            Key::Text(text) => {
                if self.texts.get(text).is_some_and(Vec::is_empty) {
                    self.texts.remove(text);
                }
            }
            Key::Other(other) => {
                if self.others.get(other).is_some_and(Vec::is_empty) {
                    self.others.remove(other);
                }
            }
            Key::Prefix(text) => {
                if self.prefixes.get(text).is_some_and(Vec::is_empty) {
                    self.prefixes.remove(text);
                    let left = self.prefix_lengths.get(&text.len()).map_or(0, |&count| count.saturating_sub(1));
                    if left == 0 {
                        self.prefix_lengths.remove(&text.len());
                    } else {
                        self.prefix_lengths.insert(text.len(), left);
                    }
                }
            }
            Key::Present | Key::Scanned => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.others.is_empty() && self.prefixes.is_empty() && self.present.is_empty()
    }
}

/// Under what a field can be filed: nothing, if it can be satisfied by absence.
fn filings(field: &Field) -> Option<Vec<Filing>> {
    if field.may_be_absent {
        return None;
    }
    let mut keys: Vec<Key> = field.texts.iter().map(|text| Key::Text(text.clone())).collect();
    for test in &field.tests {
        keys.push(match test {
            Test::Null => Key::Other(Other::Null),
            Test::Bool(value) => Key::Other(Other::Bool(*value)),
            Test::Number(number) => Key::Other(Other::Number(*number)),
            Test::Text(text) => Key::Text(text.clone()),
            Test::Prefix(prefix) if !prefix.is_empty() => Key::Prefix(beginning(prefix)),
            _ => Key::Present,
        });
    }
    if keys.len() > INDEX_KEYS_MAX || keys.contains(&Key::Present) {
        keys = vec![Key::Present];
    }
    Some(keys.into_iter().map(|key| Filing { path: Some(field.path.clone()), key }).collect())
}

/// The part of a prefix that is filed: with few lengths, finding takes few looks.
fn beginning(prefix: &str) -> Box<str> {
    let end = (0..=INDEX_PREFIX_BYTES_MAX.min(prefix.len())).rev().find(|&end| prefix.is_char_boundary(end));
    prefix[..end.unwrap_or(0)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_taken_out_leaves_nothing_behind() {
        let mut index = Index::default();
        let patterns = [
            r#"{"a": ["x", {"prefix": "y"}, 1, null]}"#,
            r#"{"a": [{"prefix": "y"}, {"prefix": "z"}]}"#,
            r#"{"a": [{"exists": true}]}"#,
            r#"{"a": [{"exists": false}]}"#,
        ];
        let filed: Vec<(Slot, Vec<Filing>)> = patterns
            .iter()
            .enumerate()
            .map(|(slot, text)| (slot, index.add(slot, &Pattern::parse(text).unwrap())))
            .collect();
        assert_eq!((index.paths.len(), index.scanned.len()), (1, 1));
        for (slot, filings) in &filed {
            index.remove(*slot, filings);
        }
        assert!(index.paths.is_empty() && index.scanned.is_empty());
    }
}
