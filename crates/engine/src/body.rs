//! Bodies held between a publish and their use, so that the common case reads nothing back from the store.

use std::hash::Hash;
use std::sync::Mutex;

use bytes::Bytes;
use sublet_model::TraceContext;
use sublet_store::Work;

use crate::cache::Cache;
use crate::chance::locked;

/// Bytes an entry costs beside its body.
const ENTRY_BYTES: usize = 128;

/// Bounded by bytes; what is missing is read from the store.
#[derive(Debug)]
pub(crate) struct Bodies<K, V>(Mutex<Cache<K, V>>);

pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

impl Weight for Work {
    fn bytes(&self) -> usize {
        self.body.len() + self.envelope.as_ref().map_or(0, Bytes::len)
    }
}

/// What a delivery carries: the event's envelope, and the trace it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    pub(crate) body: Bytes,
    pub(crate) trace_context: Option<TraceContext>,
}

impl Weight for Carried {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl<K: Eq + Hash + Clone, V: Weight + Clone> Bodies<K, V> {
    pub(crate) fn new(bytes_max: usize) -> Bodies<K, V> {
        Bodies(Mutex::new(Cache::new(bytes_max)))
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let weight = value.bytes() + ENTRY_BYTES;
        locked(&self.0).insert(key, value, weight);
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        locked(&self.0).get(key).cloned()
    }

    pub(crate) fn remove(&self, key: &K) {
        locked(&self.0).remove(key);
    }
}
