//! Token buckets: how many at once, how many a second in the long run. One number a bucket, a bounded number of them.

use std::collections::HashMap;
use std::hash::Hash;

use sublet_model::Timestamp;

/// Buckets by key. One that is full again is no different from one that was never used, and is forgotten when room is
/// needed; if there is none to forget, all are. That lets more through for a moment, which an attacker gains little
/// from, and the memory stays bounded.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    /// When the bucket will be full again, in µs since 1970.
    full_at_us: HashMap<K, u64>,
    buckets_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// µs for one more.
    pub(super) interval_us: u64,
    pub(super) burst: u32,
}

/// What a bucket holds after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) is_granted: bool,
    pub(super) left: u32,
    /// µs until there is one more; 0 when it is full.
    pub(super) next_us: u64,
}

impl Rate {
    pub(super) fn per_second(count: u32, burst: u32) -> Rate {
        Rate { interval_us: 1_000_000 / u64::from(count.max(1)), burst: burst.max(1) }
    }

    fn span_us(self) -> u64 {
        self.interval_us.saturating_mul(u64::from(self.burst))
    }

    /// What is in a bucket that is full at `full_at_us`, and how long until there is one more.
    fn look(self, full_at_us: u64, now_us: u64) -> (u32, u64) {
        // A clock that stepped back must not close a bucket for longer than it takes to fill.
        let missing_us = full_at_us.saturating_sub(now_us).min(self.span_us());
        let missing = missing_us.div_ceil(self.interval_us.max(1));
        let left = u64::from(self.burst).saturating_sub(missing);
        let next_us = missing_us - missing.saturating_sub(1) * self.interval_us.min(missing_us);
        (u32::try_from(left).unwrap_or(self.burst), if missing == 0 { 0 } else { next_us })
    }
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(buckets_max: usize) -> Buckets<K> {
        Buckets { full_at_us: HashMap::new(), buckets_max }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, key: K, rate: Rate, now: Timestamp) -> Left {
        let now_us = micros(now);
        let full_at_us = self.full_at_us.get(&key).copied().unwrap_or(now_us);
        let (left, next_us) = rate.look(full_at_us, now_us);
        if left == 0 {
            return Left { is_granted: false, left, next_us };
        }
        if !self.full_at_us.contains_key(&key) {
            self.make_room(now_us);
        }
        let start_us = full_at_us.clamp(now_us, now_us.saturating_add(rate.span_us()));
        let full_at_us = start_us.saturating_add(rate.interval_us);
        self.full_at_us.insert(key, full_at_us);
        let (left, next_us) = rate.look(full_at_us, now_us);
        Left { is_granted: true, left, next_us }
    }

    /// Whether there is one, without taking it.
    pub(super) fn peek(&self, key: &K, rate: Rate, now: Timestamp) -> Left {
        let now_us = micros(now);
        let (left, next_us) = rate.look(self.full_at_us.get(key).copied().unwrap_or(now_us), now_us);
        Left { is_granted: left > 0, left, next_us }
    }

    fn make_room(&mut self, now_us: u64) {
        if self.full_at_us.len() < self.buckets_max {
            return;
        }
        self.full_at_us.retain(|_, full_at_us| *full_at_us > now_us);
        if self.full_at_us.len() >= self.buckets_max {
            self.full_at_us.clear();
        }
    }
}

fn micros(now: Timestamp) -> u64 {
    u64::try_from(now.millis()).unwrap_or(0).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_769_851_800_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(START + millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(10);
        let rate = Rate::per_second(2, 3);
        let left: Vec<u32> = (0..3).map(|_| buckets.take("a", rate, at(0)).left).collect();
        assert_eq!(left, [2, 1, 0]);
        let empty = buckets.take("a", rate, at(0));
        assert_eq!(empty, Left { is_granted: false, left: 0, next_us: 500_000 });
        assert!(!buckets.take("a", rate, at(499)).is_granted);
        assert!(buckets.take("a", rate, at(500)).is_granted);
        assert!(!buckets.take("a", rate, at(501)).is_granted);
        // After a long time it holds its burst and no more.
        let granted = (0..10).filter(|_| buckets.take("a", rate, at(3_600_000)).is_granted).count();
        assert_eq!(granted, 3);
        assert!(buckets.take("b", rate, at(3_600_000)).is_granted, "each for itself");
    }

    #[test]
    fn looking_takes_nothing() {
        let mut buckets = Buckets::new(10);
        let rate = Rate::per_second(1, 1);
        assert!(buckets.peek(&"a", rate, at(0)).is_granted && buckets.peek(&"a", rate, at(0)).is_granted);
        buckets.take("a", rate, at(0));
        assert!(!buckets.peek(&"a", rate, at(999)).is_granted && buckets.peek(&"a", rate, at(1_000)).is_granted);
    }

    #[test]
    fn a_clock_that_steps_back_closes_no_bucket_for_longer_than_it_takes_to_fill() {
        let mut buckets = Buckets::new(10);
        let rate = Rate::per_second(1, 2);
        buckets.take("a", rate, at(3_600_000));
        buckets.take("a", rate, at(3_600_000));
        assert!(!buckets.take("a", rate, at(0)).is_granted);
        assert!(buckets.peek(&"a", rate, at(0)).next_us <= 1_000_000);
    }

    #[test]
    fn there_are_never_more_buckets_than_the_most() {
        let mut buckets = Buckets::new(100);
        let rate = Rate::per_second(1, 5);
        for number in 0..10_000 {
            buckets.take(number, rate, at(number));
            assert!(buckets.full_at_us.len() <= 100);
        }
    }
}
