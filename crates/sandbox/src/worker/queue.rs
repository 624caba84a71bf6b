//! Who runs next. Pure: it knows attempts by number, the CPU time they have used, and since when they wait.
//!
//! Fresh attempts (and those that wake from a wait) come first, because most end within their first slice; then one
//! preempted attempt a round. Of those, the one that has used least goes first, so that three milliseconds of work do
//! not stand behind a neighbour's endless loop; and whoever has waited past [`PATIENCE`] goes before that, so that
//! none starves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Fresh attempts of one round: the preempted get their turn however many more come in.
pub(super) const FRESH_PER_ROUND_MAX: usize = 16;
/// How long a preempted attempt lets others with less CPU time pass.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct RunQueue {
    fresh: VecDeque<u64>,
    /// In the order in which they were preempted: the first has waited longest.
    preempted: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    attempt: u64,
    cpu: Duration,
    since: Instant,
}

impl RunQueue {
    pub(super) fn push_fresh(&mut self, attempt: u64) {
        self.fresh.push_back(attempt);
    }

    pub(super) fn push_preempted(&mut self, attempt: u64, cpu: Duration, now: Instant) {
        self.preempted.push_back(Waiting { attempt, cpu, since: now });
    }

    pub(super) fn fresh_count(&self) -> usize {
        self.fresh.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.preempted.is_empty()
    }

    pub(super) fn pop_fresh(&mut self) -> Option<u64> {
        self.fresh.pop_front()
    }

    pub(super) fn pop_preempted(&mut self, now: Instant) -> Option<u64> {
        let oldest = self.preempted.front()?;
        let index = if now.saturating_duration_since(oldest.since) >= PATIENCE {
            0
        } else {
            let (index, _) = self.preempted.iter().enumerate().min_by_key(|(_, waiting)| waiting.cpu)?;
            index
        };
        self.preempted.remove(index).map(|waiting| waiting.attempt)
    }

    /// An attempt that was ended from outside.
    pub(super) fn remove(&mut self, attempt: u64) {
        self.fresh.retain(|&queued| queued != attempt);
        self.preempted.retain(|waiting| waiting.attempt != attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What an attempt has used and still needs, in ticks.
    struct Work {
        used: u32,
        left: u32,
    }

    /// Plays rounds of one tick each: every attempt enters at the tick named beside it, already preempted once. Returns at
    /// which tick each ended.
    fn play(mut work: Vec<(u32, Work)>, ticks: u32) -> Vec<Option<u32>> {
        let start = Instant::now();
        let mut queue = RunQueue::default();
        let mut ended = vec![None; work.len()];
        for tick in 0..ticks {
            let now = start + MS * tick;
            for (attempt, (enters, work)) in (0..).zip(&work) {
                if *enters == tick {
                    queue.push_preempted(attempt, MS * work.used, now);
                }
            }
            let Some(attempt) = queue.pop_preempted(now) else { continue };
            let index = usize::try_from(attempt).unwrap();
            let work = &mut work[index].1;
            work.used += 1;
            work.left -= 1;
            if work.left == 0 {
                ended[index] = Some(tick);
            } else {
                queue.push_preempted(attempt, MS * work.used, now);
            }
        }
        ended
    }

    #[test]
    fn little_work_ends_before_endless_neighbours() {
        let mut work: Vec<(u32, Work)> = (0..4).map(|_| (0, Work { used: 1_000, left: u32::MAX })).collect();
        work.push((100, Work { used: 2, left: 3 }));
        let ended = play(work, 200)[4];
        // Its own three ticks, and at most one for each neighbour whose patience ran out.
        assert!(ended.is_some_and(|tick| tick < 107), "{ended:?}");
    }

    #[test]
    fn an_old_attempt_is_not_starved_by_a_stream_of_younger_ones() {
        let mut work = vec![(0, Work { used: 900, left: 10 })];
        // As much work comes in as there is time for, all of it younger.
        work.extend((0..400).map(|tick| (tick, Work { used: 2, left: 1 })));
        let ended = play(work, 400)[0];
        assert!(ended.is_some(), "it never ended");
    }

    #[test]
    fn an_attempt_that_was_ended_from_outside_has_no_turn() {
        let mut queue = RunQueue::default();
        queue.push_fresh(1);
        queue.push_preempted(2, MS, Instant::now());
        queue.remove(1);
        queue.remove(2);
        assert!(queue.is_empty());
    }
}
