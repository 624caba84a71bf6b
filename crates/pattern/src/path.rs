//! Places in an event: keys joined by dots, with a hash that can be carried on key by key while reading.
//!
//! The hash (FNV-1a) finds candidates only; the text is always compared after it, so a collision, even a made one,
//! costs time in proportion to the event that carries it and never changes an answer.

/// The hash of the empty path, before the first key.
pub(crate) const HASH_ROOT: u64 = 0xcbf2_9ce4_8422_2325;

/// Carries the hash of a path on over more of its bytes.
pub(crate) fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    let mut carried = hash;
    for &byte in bytes {
        carried = (carried ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    carried
}

/// Keys in a piece of path, counting the dots inside it as joints too.
pub(crate) fn keys_in(text: &str) -> u32 {
    let dots = text.bytes().filter(|&byte| byte == b'.').count();
    u32::try_from(dots).unwrap_or(u32::MAX).saturating_add(1)
}

/// A pattern's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) text: Box<str>,
    pub(crate) hash: u64,
}

impl Path {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), hash: hash_on(HASH_ROOT, text.as_bytes()) }
    }

    /// Key by key, so that all paths below one object stand together (`a.x` before `a-b`).
    pub(crate) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.text.split('.').cmp(other.text.split('.'))
    }

    /// How many leading keys the two have in common.
    pub(crate) fn shared_keys(&self, other: &Self) -> u32 {
        let shared = self.text.split('.').zip(other.text.split('.')).take_while(|(a, b)| a == b).count();
        u32::try_from(shared).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_carried_key_by_key_is_the_hash_of_the_joined_text() {
        let carried = hash_on(hash_on(hash_on(HASH_ROOT, b"detail"), b"."), b"state");
        assert_eq!(carried, Path::new("detail.state").hash);
    }

    #[test]
    fn paths_below_one_object_stand_together() {
        let mut paths = [Path::new("a.x"), Path::new("a-b"), Path::new("a.b.c"), Path::new("a")];
        paths.sort_by(Path::compare);
        let order: Vec<&str> = paths.iter().map(|path| &*path.text).collect();
        assert_eq!(order, ["a", "a.b.c", "a.x", "a-b"]);
        assert_eq!(paths[1].shared_keys(&paths[2]), 1);
    }
}
