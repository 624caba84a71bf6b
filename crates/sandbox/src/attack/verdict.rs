//! What is said of one attack.

use std::time::Duration;

use sublet_model::{Usage, limit};

use super::neighbour::{Latency, Times};
use crate::{Failure, Limits, Report};

/// The end an attack came to: what was seen, in words. `Err`: not what its promise says.
pub(super) type Seen = Result<String, String>;

/// What the meter must show beyond "no more than allowed".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spends {
    /// Whatever it likes.
    Something,
    /// Most of its CPU time: a burner that costs nothing would be a hole in the meter.
    Cpu,
    /// Most of its memory.
    Memory,
    /// Hardly any CPU time: it only waits.
    Little,
}

/// CPU time beyond the limit: a slice, and what the host does for an attempt within one.
const CPU_SLACK: Duration = Duration::from_millis(50);
/// Wall time beyond the limit, on a machine that has other work too.
const WALL_SLACK: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone)]
pub struct Verdict {
    pub(super) seen: Seen,
    pub(super) took: Duration,
    pub(super) latency: Latency,
}

impl Verdict {
    /// The attack came to its end, the meter agrees, and the neighbour answered every time.
    pub fn held(&self) -> bool {
        self.seen.is_ok() && self.latency.during.failed == 0
    }

    /// The neighbour answered about as fast as before.
    pub fn is_flat(&self) -> bool {
        self.latency.is_flat()
    }

    /// What was seen, for people.
    pub fn seen(&self) -> String {
        let text = match &self.seen {
            Ok(text) | Err(text) => text.as_str(),
        };
        match self.latency.during.failed {
            0 => text.to_owned(),
            failed => format!("{text}; {failed} of {} calls of a neighbour failed", self.latency.during.calls),
        }
    }

    pub fn latency(&self) -> Latency {
        self.latency
    }

    /// From its start to its end, builds included.
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// Holds usage against the limits. Errors: what is wrong, in words.
pub(super) fn check_meter(usage: &Usage, limits: &Limits, spends: Spends) -> Result<(), String> {
    let cpu = Duration::from_micros(usage.cpu_us);
    let wall = Duration::from_micros(usage.wall_us);
    if usage.cpu_us == 0 {
        return Err("the meter shows no CPU time".to_owned());
    }
    if cpu > limits.cpu + CPU_SLACK {
        return Err(format!("it used {} of CPU time, of {}", ms(cpu), ms(limits.cpu)));
    }
    if wall > limits.wall + WALL_SLACK {
        return Err(format!("it took {}, of {}", ms(wall), ms(limits.wall)));
    }
    if usage.memory_peak_bytes > limits.memory_bytes {
        return Err(format!("it held {}, of {}", mib(usage.memory_peak_bytes), mib(limits.memory_bytes)));
    }
    if usage.bytes_out > (limits.result_bytes + limits.log_bytes + 1024) as u64 {
        return Err(format!("{} bytes came out", usage.bytes_out));
    }
    match spends {
        Spends::Cpu if cpu < limits.cpu / 2 => Err(format!("the meter shows {} of CPU time for a burner", ms(cpu))),
        Spends::Memory if usage.memory_peak_bytes < limits.memory_bytes / 2 => {
            Err(format!("the meter shows {} for a hoarder", mib(usage.memory_peak_bytes)))
        }
        Spends::Little if cpu > limits.cpu / 2 => Err(format!("the meter shows {} of CPU time for a sleeper", ms(cpu))),
        _ => Ok(()),
    }
}

/// A log within its limits, with the mark of the cut. Errors: what it is instead.
pub(super) fn is_cut(log: &str) -> Result<(), String> {
    let lines = log.lines().count();
    if log.len() > limit::LOG_BYTES_MAX + 1024 || lines > limit::LOG_LINES_MAX + 1 {
        return Err(format!("{} bytes in {lines} lines of log", log.len()));
    }
    match log.lines().last() {
        Some("[log cut here: the limit is reached]") => Ok(()),
        last => Err(format!("the log is not marked as cut, but ends with {last:?}")),
    }
}

/// How an attempt ended, and what it used.
pub(super) fn told(report: &Report) -> String {
    let end = match (&report.result, &report.failure) {
        (Some(result), _) => format!("{} {}", report.outcome, plain(&String::from_utf8_lossy(result))),
        (None, Some(failure)) => format!("{} {}", report.outcome, shown(failure)),
        (None, None) => report.outcome.to_string(),
    };
    format!("{end}; {}", spent(&report.usage))
}

pub(super) fn shown(failure: &Failure) -> String {
    plain(&format!("{}: {}", failure.error_type, failure.error_message))
}

/// `12 ms CPU, 3 MiB`.
fn spent(usage: &Usage) -> String {
    format!("{} CPU, {}", ms(Duration::from_micros(usage.cpu_us)), mib(usage.memory_peak_bytes))
}

fn ms(span: Duration) -> String {
    format!("{} ms", span.as_millis())
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Text of a hostile program, fit for a terminal and a line.
pub(super) fn plain(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(CHARS_MAX).map(clean).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        write!(f, "p50 {:.1} p99 {:.1} ms", ms(self.p50), ms(self.p99))
    }
}
