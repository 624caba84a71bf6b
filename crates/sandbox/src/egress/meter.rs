//! What the gateway tells Prometheus. Names and meanings are in docs/metrics.md.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Answered,
    Refused,
    Failed,
    GivenUp,
}

pub(super) struct Meters {
    answered: Counter,
    refused: Counter,
    failed: Counter,
    given_up: Counter,
    pub(super) bytes_out: Counter,
    pub(super) bytes_in: Counter,
    pub(super) in_flight: Gauge,
    seconds: Histogram,
}

impl Meters {
    pub(super) fn new() -> Meters {
        let ended = |outcome: &'static str| counter!("sublet_egress_requests_total", "outcome" => outcome);
        let bytes = |direction: &'static str| counter!("sublet_egress_bytes_total", "direction" => direction);
        Meters {
            answered: ended("answered"),
            refused: ended("refused"),
            failed: ended("failed"),
            given_up: ended("given_up"),
            bytes_out: bytes("out"),
            bytes_in: bytes("in"),
            in_flight: gauge!("sublet_egress_in_flight"),
            seconds: histogram!("sublet_egress_seconds"),
        }
    }

    pub(super) fn ended(&self, ending: Ending, took: Duration) {
        match ending {
            Ending::Answered => &self.answered,
            Ending::Refused => &self.refused,
            Ending::Failed => &self.failed,
            Ending::GivenUp => &self.given_up,
        }
        .increment(1);
        if ending != Ending::Refused {
            self.seconds.record(took.as_secs_f64());
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}
