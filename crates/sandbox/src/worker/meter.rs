//! The CPU time of this thread, split between attempts: one reading of the clock a slice, since each is a system call
//! of 0.7 µs.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Measures laps. What the worker itself uses between laps belongs to nobody: [`Meter::forget`] says that it did.
pub(super) struct Meter {
    last: Option<Duration>,
}

impl Meter {
    pub(super) fn new() -> Meter {
        Meter { last: None }
    }

    /// The next lap starts here, or where the last one ended if nothing lay between.
    pub(super) fn start(&mut self) {
        if self.last.is_none() {
            self.last = Some(now());
        }
    }

    pub(super) fn lap(&mut self) -> Duration {
        let now = now();
        self.last.replace(now).map_or(Duration::ZERO, |last| now.saturating_sub(last))
    }

    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Before the system call filter: the first reading looks up where the kernel's clock code lies, by calls that the filter
/// does not allow.
pub(super) fn prepare() {
    now();
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
