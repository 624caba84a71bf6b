//! From what a worker says of an attempt to the report that the engine gets. The worker may have been taken over by the
//! code it ran: numbers are held against the server's own, texts against the limits.

use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use sublet_model::{Outcome, Usage, limit, nests_deeper_than};

use crate::wire::{Done, WireError};
use crate::{Crash, Failure, Limits, Report};

/// What the server itself knows of an attempt under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) limits: Limits,
    pub(super) bytes_in: u64,
    /// Instructions were to be counted.
    pub(super) counts: bool,
}

/// Errors: a result that no honest worker would send. `elapsed` is the server's own measure, and the most that the
/// worker may claim.
pub(super) fn report(done: Done, known: Known, elapsed: Duration) -> Result<Report, WireError> {
    if let Some(result) = &done.result {
        if result.len() > known.limits.result_bytes {
            return Err(WireError::Invalid("result"));
        }
        // An honest worker has refused it; and whoever reads it after us need not recurse.
        if nests_deeper_than(result, limit::JSON_DEPTH_MAX) {
            return Err(WireError::Invalid("result"));
        }
        let text = std::str::from_utf8(result).map_err(|_| WireError::Invalid("result"))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| WireError::Invalid("result"))?;
    }
    let log = readable(done.log);
    let bytes_out = done.result.as_ref().map_or(0, Bytes::len) + log.len();
    let wall_us = done.wall_us.min(micros(elapsed));
    let usage = Usage {
        wall_us,
        // One thread cannot use more.
        cpu_us: done.cpu_us.min(wall_us),
        memory_peak_bytes: done.memory_peak_bytes.min(known.limits.memory_bytes),
        memory_limit_bytes: known.limits.memory_bytes,
        bytes_in: known.bytes_in,
        bytes_out: bytes_out as u64,
        instructions: done.instructions.filter(|_| known.counts),
        ..Usage::default()
    };
    Ok(Report {
        outcome: done.outcome,
        result: done.result,
        failure: done.failure,
        log,
        usage,
        fetches: Vec::new(),
        crash: (done.outcome == Outcome::Crashed).then_some(Crash::Trap),
        worker: None,
    })
}

/// For an attempt whose worker is gone: all that is known is how long it ran, and how the worker ended.
pub(super) fn lost(outcome: Outcome, failure: Failure, crash: Crash, known: Known, elapsed: Duration) -> Report {
    let usage = Usage {
        wall_us: micros(elapsed),
        cpu_us: 0,
        memory_peak_bytes: 0,
        memory_limit_bytes: known.limits.memory_bytes,
        bytes_in: known.bytes_in,
        bytes_out: 0,
        ..Usage::default()
    };
    Report {
        outcome,
        result: None,
        failure: Some(failure),
        log: Bytes::new(),
        usage,
        fetches: Vec::new(),
        crash: (outcome == Outcome::Crashed).then_some(crash),
        worker: None,
    }
}

/// JavaScript strings may hold half a character; a log does not.
fn readable(log: Bytes) -> Bytes {
    if std::str::from_utf8(&log).is_ok() { log } else { String::from_utf8_lossy(&log).into_owned().into() }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known {
        limits: Limits {
            wall: Duration::from_secs(3),
            cpu: Duration::from_secs(1),
            memory_bytes: 1000,
            result_bytes: 8,
            log_bytes: 8,
        },
        bytes_in: 2,
        counts: false,
    };

    fn done(result: &'static [u8]) -> Done {
        Done {
            attempt: 1,
            outcome: Outcome::Succeeded,
            result: Some(Bytes::from_static(result)),
            failure: None,
            log: Bytes::from_static(b"a\xff"),
            wall_us: u64::MAX,
            cpu_us: u64::MAX,
            memory_peak_bytes: u64::MAX,
            instructions: Some(1),
        }
    }

    #[test]
    fn claims_are_held_to_what_the_server_knows() {
        let report = report(done(b"null"), KNOWN, Duration::from_micros(70)).unwrap();
        assert_eq!((report.usage.wall_us, report.usage.cpu_us, report.usage.memory_peak_bytes), (70, 70, 1000));
        assert_eq!(report.usage.instructions, None, "nobody asked");
        assert_eq!(report.log, "a\u{fffd}".as_bytes());
    }

    #[test]
    fn a_result_that_is_not_json_or_too_long_or_too_deep_is_refused() {
        let known = Known { limits: Limits { result_bytes: 1 << 20, ..KNOWN.limits }, ..KNOWN };
        for depth in [limit::JSON_DEPTH_MAX + 1, 200_000] {
            let deep = Bytes::from(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
            assert!(report(Done { result: Some(deep), ..done(b"") }, known, Duration::ZERO).is_err(), "{depth}");
        }
        for bad in [&b"{"[..], b"\xff", b"", b"123456789", b"1 2", b"\"\xff\""] {
            assert!(report(done(bad), KNOWN, Duration::ZERO).is_err(), "{bad:?}");
        }
    }
}
