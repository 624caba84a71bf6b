//! A function of another tenant in the same worker, called all the while: whether it answers, and how fast.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::range::attempt;
use crate::pool::Pool;
use crate::{Code, Sandbox};

/// Time between an answer and the next call.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the neighbour is watched before an attack.
const BASELINE: Duration = Duration::from_millis(60);
/// Calls that a comparison needs at least.
const CALLS_MIN: usize = 12;
/// How much slower the neighbour may answer: this many times, and a bit for what the machine does besides.
const TIMES_MAX: u32 = 10;
const SLACK_P50: Duration = Duration::from_millis(5);
const SLACK_P99: Duration = Duration::from_millis(50);
const EVENT: &str = r#"{"item":{"title":"buy milk","tags":["a","b"]}}"#;

pub(super) const SOURCE: &str = "export const handler = async (event) => ({ title: event.item.title.toUpperCase() });";
const ANSWER: &[u8] = br#"{"title":"BUY MILK"}"#;

/// The neighbour's answers in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    pub calls: usize,
    pub failed: usize,
    pub p50: Duration,
    pub p99: Duration,
}

/// Just before the attack, and while it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    pub before: Times,
    pub during: Times,
}

impl Latency {
    pub fn is_flat(&self) -> bool {
        self.during.p50 <= self.before.p50 * TIMES_MAX + SLACK_P50
            && self.during.p99 <= self.before.p99 * TIMES_MAX + SLACK_P99
    }
}

#[derive(Clone, Copy)]
struct Call {
    took: Duration,
    answered: bool,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    called: Notify,
}

pub(super) struct Neighbour {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Where the watch on an attack began.
pub(super) struct Mark {
    before: Times,
    at: usize,
}

impl Neighbour {
    pub(super) fn start(pool: Arc<Pool>, code: Code) -> Neighbour {
        let shared = Arc::new(Shared::default());
        let calls = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                let report = pool.run(attempt(&code, EVENT)).await;
                let took = began.elapsed();
                let answered = report.is_ok_and(|report| report.result.as_deref() == Some(ANSWER));
                calls.lock().push(Call { took, answered });
                calls.called.notify_waiters();
                tokio::time::sleep(PAUSE).await;
            }
        });
        Neighbour { shared, task }
    }

    /// Watches for a while with nothing going on.
    pub(super) async fn baseline(&self) -> Mark {
        let from = self.shared.lock().len();
        tokio::time::sleep(BASELINE).await;
        self.wait_for(from + CALLS_MIN).await;
        let calls = self.shared.lock();
        Mark { before: times(&calls[from..]), at: calls.len() }
    }

    /// What it came to since the mark.
    pub(super) async fn since(&self, mark: &Mark) -> Latency {
        self.wait_for(mark.at + CALLS_MIN).await;
        let calls = self.shared.lock();
        Latency { before: mark.before, during: times(&calls[mark.at..]) }
    }

    async fn wait_for(&self, count: usize) {
        loop {
            let mut called = std::pin::pin!(self.shared.called.notified());
            called.as_mut().enable();
            if self.shared.lock().len() >= count {
                return;
            }
            called.await;
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn times(calls: &[Call]) -> Times {
    let mut sorted: Vec<Duration> = calls.iter().map(|call| call.took).collect();
    sorted.sort_unstable();
    let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len().saturating_sub(1))).copied();
    Times {
        calls: calls.len(),
        failed: calls.iter().filter(|call| !call.answered).count(),
        p50: at(50).unwrap_or_default(),
        p99: at(99).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_by_chance_is_flat_and_slower_by_far_is_not() {
        let of =
            |p50, p99| Times { calls: 9, failed: 0, p50: Duration::from_micros(p50), p99: Duration::from_micros(p99) };
        let flat = |during| Latency { before: of(400, 2_000), during }.is_flat();
        assert!(flat(of(2_000, 30_000)));
        assert!(!flat(of(10_000, 30_000)));
        assert!(!flat(of(2_000, 80_000)));
    }

    #[test]
    fn percentiles_are_of_what_was_called() {
        let call = |ms, answered| Call { took: Duration::from_millis(ms), answered };
        let calls: Vec<Call> = (1..=100).map(|ms| call(ms, ms != 7)).collect();
        let times = times(&calls);
        assert_eq!((times.calls, times.failed), (100, 1));
        assert_eq!((times.p50, times.p99), (Duration::from_millis(51), Duration::from_millis(100)));
        assert_eq!(super::times(&[]), Times::default());
    }
}
