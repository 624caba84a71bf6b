//! Many patterns in one matcher: the cost of an event hardly grows with rules that differ in an exact value.
//!
//! Updated in place. Patterns are shared behind `Arc`, so a clone, to be changed beside a set that is being read, copies
//! the index and not the patterns.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::event::EventView;
use crate::index::{Filing, Index, Slot};
use crate::pattern::Pattern;

/// Patterns by key. Answers come in the order in which rules were inserted, except that a new rule may take the place of
/// a removed one.
#[derive(Debug, Clone)]
pub struct RuleSet<K> {
    rules: Vec<Option<Rule<K>>>,
    slots: HashMap<K, Slot>,
    free: Vec<Slot>,
    index: Index,
}

#[derive(Debug, Clone)]
struct Rule<K> {
    key: K,
    pattern: Arc<Pattern>,
    filings: Vec<Filing>,
}

impl<K> Default for RuleSet<K> {
    fn default() -> Self {
        Self { rules: Vec::new(), slots: HashMap::new(), free: Vec::new(), index: Index::default() }
    }
}

impl<K: Clone + Eq + Hash> RuleSet<K> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn get(&self, key: &K) -> Option<&Arc<Pattern>> {
        let slot = *self.slots.get(key)?;
        self.rules[slot].as_ref().map(|rule| &rule.pattern)
    }

    /// All rules, for explaining why those that did not match did not.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<Pattern>)> {
        self.rules.iter().flatten().map(|rule| (&rule.key, &rule.pattern))
    }

    /// Adds a rule, or puts a new pattern in the place of the key's old one, which is returned.
    pub fn insert(&mut self, key: K, pattern: impl Into<Arc<Pattern>>) -> Option<Arc<Pattern>> {
        let replaced = self.remove(&key);
        let shared = pattern.into();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rules.push(None);
            self.rules.len() - 1
        });
        let filings = self.index.add(slot, &shared);
        self.slots.insert(key.clone(), slot);
        self.rules[slot] = Some(Rule { key, pattern: shared, filings });
        replaced
    }

    pub fn remove(&mut self, key: &K) -> Option<Arc<Pattern>> {
        let slot = self.slots.remove(key)?;
        let rule = self.rules[slot].take()?;
        self.index.remove(slot, &rule.filings);
        self.free.push(slot);
        Some(rule.pattern)
    }

    /// The keys of all rules that match.
    pub fn matches(&self, event: &EventView<'_>) -> Vec<K> {
        let mut keys = Vec::new();
        self.for_each_match(event, |key, _| keys.push(key.clone()));
        keys
    }

    /// The same without cloning keys.
    pub fn for_each_match<'s>(&'s self, event: &EventView<'_>, mut found: impl FnMut(&'s K, &'s Arc<Pattern>)) {
        for slot in self.index.candidates(event) {
            if let Some(rule) = &self.rules[slot]
                && rule.pattern.matches(event)
            {
                found(&rule.key, &rule.pattern);
            }
        }
    }
}
