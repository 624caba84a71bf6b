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

    /// Plays rounds of one tick each; `work` is what each attempt still needs, in ticks. Returns when each ended.
    fn play(mut queue: RunQueue, work: &mut [u32], ticks: u32, mut each: impl FnMut(u32, &mut RunQueue)) -> Vec<u32> {
        let start = Instant::now();
        let mut ended = vec![0; work.len()];
        for tick in 0..ticks {
            each(tick, &mut queue);
            while queue.pop_fresh().is_some() {}
            let now = start + MS * tick;
            let Some(attempt) = queue.pop_preempted(now) else { continue };
            let index = usize::try_from(attempt).unwrap();
            work[index] = work[index].saturating_sub(1);
            if work[index] == 0 {
                ended[index] = tick;
            } else {
                let cpu = MS * (1_000_000 - work[index]);
                queue.push_preempted(attempt, cpu, now);
            }
        }
        ended
    }

    #[test]
    fn little_work_ends_before_endless_neighbours() {
        let start = Instant::now();
        let mut queue = RunQueue::default();
        let mut work = [900_000, 900_000, 900_000, 900_000, 3];
        for attempt in 0..4 {
            queue.push_preempted(attempt, MS * 100_000, start);
        }
        queue.push_preempted(4, MS * 2, start);
        // Its own three ticks, and at most the four whose patience ran out.
        let ended = play(queue, &mut work, 40, |_, _| ());
        assert!((1..=10).contains(&ended[4]), "ended at tick {}", ended[4]);
    }

    #[test]
    fn an_old_attempt_is_not_starved_by_a_stream_of_younger_ones() {
        let start = Instant::now();
        let mut queue = RunQueue::default();
        // One that has used much, and a new one with less in every tick.
        queue.push_preempted(0, MS * 900, start);
        let mut work = vec![10; 400];
        let ended = play(queue, &mut work, 350, |tick, queue| {
            queue.push_preempted(u64::from(tick) + 1, MS, start + MS * tick);
        });
        assert!(ended[0] > 0, "it never ended");
    }
}
