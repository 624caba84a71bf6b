//! The engine's own counters and histograms: handles taken once, because finding one by its name for every event costs
//! more than the counting. Names and meanings are in docs/metrics.md; labels are words of ours, never a tenant's.
//!
//! A recorder that is installed after the engine started hears nothing of these.

use metrics::{Counter, Histogram, counter, histogram};
use sublet_model::{InvocationState, Outcome, Timestamp};
use sublet_sandbox::Report;
use sublet_store::EventStatus;

use crate::delivery::DELIVERY_OUTCOMES;

pub(crate) struct Meters {
    matched: Counter,
    unmatched: Counter,
    rejected: Counter,
    pub(crate) repeated: Counter,
    pub(crate) refused: Counter,
    pub(crate) publish_seconds: Histogram,
    pub(crate) results: Counter,
    /// In the order of `Outcome::ALL`.
    attempts: [Counter; Outcome::ALL.len()],
    invokes: [Counter; Outcome::ALL.len()],
    dwell_seconds: Histogram,
    attempt_wall_seconds: Histogram,
    attempt_cpu_seconds: Histogram,
    pub(crate) dead_letters: Counter,
    pub(crate) settles_refused: Counter,
    pub(crate) throttled_backlog: Counter,
    pub(crate) throttled_invoke: Counter,
    /// In the order of `DELIVERY_OUTCOMES`.
    deliveries: [Counter; DELIVERY_OUTCOMES.len()],
    pub(crate) delivery_seconds: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let event = |status: &'static str| counter!("sublet_events_total", "status" => status);
        Meters {
            matched: event("matched"),
            unmatched: event("unmatched"),
            rejected: event("rejected"),
            repeated: event("repeated"),
            refused: event("refused"),
            publish_seconds: histogram!("sublet_publish_seconds"),
            results: counter!("sublet_results_total"),
            attempts: Outcome::ALL.map(|outcome| counter!("sublet_attempts_total", "outcome" => outcome.as_str())),
            invokes: Outcome::ALL.map(|outcome| counter!("sublet_invokes_total", "outcome" => outcome.as_str())),
            dwell_seconds: histogram!("sublet_dwell_seconds"),
            attempt_wall_seconds: histogram!("sublet_attempt_wall_seconds"),
            attempt_cpu_seconds: histogram!("sublet_attempt_cpu_seconds"),
            dead_letters: counter!("sublet_dead_letters_total"),
            settles_refused: counter!("sublet_settles_refused_total"),
            throttled_backlog: counter!("sublet_throttled_total", "reason" => "backlog"),
            throttled_invoke: counter!("sublet_throttled_total", "reason" => "invoke"),
            deliveries: DELIVERY_OUTCOMES.map(|outcome| counter!("sublet_deliveries_total", "outcome" => outcome)),
            delivery_seconds: histogram!("sublet_delivery_seconds"),
        }
    }

    pub(crate) fn accepted(&self, status: EventStatus) {
        match status {
            EventStatus::Matched => &self.matched,
            EventStatus::Unmatched => &self.unmatched,
            EventStatus::Rejected(_) => &self.rejected,
        }
        .increment(1);
    }

    pub(crate) fn started(&self, due: Timestamp, now: Timestamp) {
        self.dwell_seconds.record(now.since(due) as f64 / 1e3);
    }

    pub(crate) fn attempt(&self, report: &Report) {
        self.attempts[index_of(report.outcome)].increment(1);
        self.used(report);
    }

    pub(crate) fn invoke(&self, report: &Report) {
        self.invokes[index_of(report.outcome)].increment(1);
        self.used(report);
    }

    fn used(&self, report: &Report) {
        self.attempt_wall_seconds.record(report.usage.wall_us as f64 / 1e6);
        self.attempt_cpu_seconds.record(report.usage.cpu_us as f64 / 1e6);
    }

    pub(crate) fn delivery(&self, outcome: &'static str, latency_ms: u64) {
        if let Some(place) = DELIVERY_OUTCOMES.iter().position(|known| *known == outcome) {
            self.deliveries[place].increment(1);
        }
        self.delivery_seconds.record(latency_ms as f64 / 1e3);
    }

    /// An invocation ended without an attempt.
    pub(crate) fn ended_unstarted(&self, state: InvocationState) {
        counter!("sublet_invocations_ended_total", "state" => state.as_str()).increment(1);
        if state == InvocationState::DeadLettered {
            self.dead_letters.increment(1);
        }
    }
}

fn index_of(outcome: Outcome) -> usize {
    // The codes are the places in `ALL`; a test of the model holds that they come back.
    usize::from(outcome.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_counter() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(index_of(outcome), place);
        }
    }
}
