//! A map that never holds more than so much: what was used longest ago leaves first.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Each entry has a weight (bytes, or 1 where entries are alike); their sum stays within `weight_max`. An entry that is
/// heavier than that alone is not kept.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// By last use. The stamp grows with every use, so it is unique.
    by_use: BTreeMap<u64, K>,
    stamp: u64,
    weight: usize,
    weight_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    pub(crate) fn new(weight_max: usize) -> Cache<K, V> {
        Cache { entries: HashMap::new(), by_use: BTreeMap::new(), stamp: 0, weight: 0, weight_max }
    }

    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.entries.get_mut(key)?;
        // The newest entry need not move; that is the common case of a burst on one key.
        if entry.used != self.stamp {
            self.stamp += 1;
            if let Some(own) = self.by_use.remove(&entry.used) {
                self.by_use.insert(self.stamp, own);
            }
            entry.used = self.stamp;
        }
        Some(&entry.value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight > self.weight_max {
            return;
        }
        self.stamp += 1;
        self.weight += weight;
        self.by_use.insert(self.stamp, key.clone());
        self.entries.insert(key, Entry { value, weight, used: self.stamp });
        while self.weight > self.weight_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.weight -= entry.weight;
            }
        }
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.weight -= entry.weight;
        Some(entry.value)
    }

    /// Removes all others.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&V) -> bool) {
        let gone = self.entries.iter().filter(|(_, entry)| !keeps(&entry.value));
        for key in gone.map(|(key, _)| key.clone()).collect::<Vec<K>>() {
            self.remove(&key);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_use.clear();
        self.weight = 0;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_leaves_first_and_the_sum_stays_within_the_maximum() {
        let mut cache = Cache::new(10);
        cache.insert("a", 1, 4);
        cache.insert("b", 2, 4);
        assert_eq!(cache.get("a"), Some(&1));
        cache.insert("c", 3, 4);
        assert_eq!((cache.len(), cache.get("a")), (2, Some(&1)));
        assert_eq!(cache.get("b"), None);
        cache.insert("d", 4, 11);
        assert_eq!(cache.get("d"), None, "heavier than the cache");
        assert_eq!(cache.remove("a"), Some(1));
        cache.insert("e", 5, 6);
        assert_eq!(cache.len(), 2);
        cache.retain(|value| *value == 5);
        assert_eq!((cache.len(), cache.get("c")), (1, None));
        cache.insert("f", 6, 4);
        assert_eq!((cache.len(), cache.get("e")), (2, Some(&5)), "what left weighs nothing");
        cache.clear();
        assert_eq!((cache.len(), cache.get("c")), (0, None));
    }
}
