//! The engine's randomness and its ids, both from what it was handed at its start, so that a seed repeats a run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use sublet_model::id::floor_at;
use sublet_model::{IdMint, Timestamp};

/// Locks a mutex whose data is whole at every moment, so that a panic elsewhere does not matter.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(crate) struct Chance {
    random: Mutex<SmallRng>,
    mint: Mutex<IdMint>,
}

impl Chance {
    /// `greatest`: the greatest id the store holds. Ids go on above it, also when the clock was set back since.
    pub(crate) fn new(seed: u64, node: u16, now: Timestamp, greatest: i64) -> Chance {
        // One millisecond ahead, so that a restart within the same millisecond repeats no id that was minted and, not
        // being kept, is not in the store: an answer may have named it.
        let after = floor_at(Timestamp::from_millis(now.millis() + 1)).max(greatest);
        Chance { random: Mutex::new(SmallRng::seed_from_u64(seed)), mint: Mutex::new(IdMint::new(node, after)) }
    }

    pub(crate) fn bits32(&self) -> u32 {
        locked(&self.random).next_u32()
    }

    pub(crate) fn bits64(&self) -> u64 {
        locked(&self.random).next_u64()
    }

    /// The raw number of a new id of any type.
    pub(crate) fn id(&self, now: Timestamp) -> i64 {
        locked(&self.mint).next(now)
    }
}
