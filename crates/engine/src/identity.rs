//! When two publishes are the same: (tenant, source, id), and a hash of the rest to tell a repeat from a conflict.

use sha2::{Digest, Sha256};
use sublet_model::EventInput;
use sublet_store::Identity;

/// The key under which the store remembers what a publisher called an event.
pub fn identity_key(tenant: &str, source: &str, id: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    // Each with its length in front, so that no two triples run together.
    for part in [tenant, source, id] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    first(hash)
}

/// `None` when the publisher gave neither an id nor a key for the request: then every publish is an event of its own.
pub(crate) fn identity_of(input: &EventInput) -> Option<Identity> {
    let (key, is_named) = match (&input.id, &input.retry_key) {
        (Some(id), _) => (identity_key(&input.tenant, &input.source, id), true),
        // No tenant has an empty name, so these never meet the others.
        (None, Some(retry_key)) => (identity_key("", "idempotency-key", retry_key), false),
        (None, None) => return None,
    };
    let mut hash = Sha256::new();
    hash.update((input.detail_type.len() as u64).to_le_bytes());
    hash.update(&input.detail_type);
    // A time that was left out is not part of what was published: a repeat that leaves it out again is the same.
    hash.update(input.time.map_or(i64::MIN, |time| time.millis()).to_le_bytes());
    hash.update((input.resources.len() as u64).to_le_bytes());
    for resource in &input.resources {
        hash.update((resource.len() as u64).to_le_bytes());
        hash.update(resource);
    }
    if let Some(attributes) = &input.cloudevents {
        hash.update((attributes.get().len() as u64).to_le_bytes());
        hash.update(attributes.get());
    }
    hash.update(input.detail.get());
    if !is_named {
        for part in [&input.tenant, &input.source] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Some(Identity { key, body: first(hash) })
}

fn first<const N: usize>(hash: Sha256) -> [u8; N] {
    let digest = hash.finalize();
    let mut short = [0u8; N];
    short.copy_from_slice(&digest[..N]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> EventInput {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(identity_key("ab", "c", "1"), identity_key("a", "bc", "1"));
        assert_ne!(identity_key("a", "b", "c1"), identity_key("a", "bc", "1"));
    }

    #[test]
    fn the_body_hash_tells_a_repeat_from_a_conflict() {
        let first = input(r#"{"id":"1","source":"s","detail-type":"d","tenant":"t","detail":{"a":1}}"#);
        let same = input(r#"{"tenant":"t","detail":{"a":1},"id":"1","source":"s","detail-type":"d"}"#);
        let other = input(r#"{"id":"1","source":"s","detail-type":"d","tenant":"t","detail":{"a":2}}"#);
        let unnamed = input(r#"{"source":"s","detail-type":"d","tenant":"t","detail":{"a":2}}"#);
        assert_eq!(identity_of(&first), identity_of(&same));
        assert_eq!(identity_of(&first).unwrap().key, identity_of(&other).unwrap().key);
        assert_ne!(identity_of(&first).unwrap().body, identity_of(&other).unwrap().body);
        assert_eq!(identity_of(&unnamed), None);
    }
}
