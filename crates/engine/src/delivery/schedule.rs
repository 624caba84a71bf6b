//! What follows from a try: when a delivery that failed is tried again, by the schedule that Standard Webhooks
//! recommends with jitter, and when its webhook is disabled.

use std::time::Duration;

use sublet_model::Timestamp;
use sublet_store::{DeliveryNext, DisabledReason};

/// Seconds after each failed try: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; then it is given up.
pub(crate) const DELAYS_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The jitter adds up to a tenth, so that what failed together is not tried again together.
const JITTER_PARTS: u64 = 10;
/// The receiver says that it is gone for good.
const STATUS_GONE: u16 = 410;
/// Nothing but failures for as long as this, and the webhook is disabled.
pub(crate) const FAILING_MAX: Duration = Duration::from_secs(5 * 86_400);
/// A delivery that waits for its webhook to be enabled is given up at this age.
pub(crate) const WAITING_MAX: Duration = Duration::from_secs(5 * 86_400);

/// What the receiver did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried {
    /// The answer, if there was one.
    pub(crate) status: Option<u16>,
    /// What it asked for, within its ceiling.
    pub(crate) retry_after: Option<Duration>,
}

impl Tried {
    pub(crate) fn is_success(self) -> bool {
        self.status.is_some_and(|code| (200..300).contains(&code))
    }

    /// How long it asked to be left alone: only 429 and 503 say so of all requests.
    pub(crate) fn hold(self) -> Option<Duration> {
        self.retry_after.filter(|_| matches!(self.status, Some(429 | 503)))
    }
}

/// `attempts`: tries before this one. `random`: any 32 uniform bits.
pub(crate) fn after_try(attempts: u32, tried: Tried, now: Timestamp, random: u32) -> DeliveryNext {
    if tried.is_success() {
        return DeliveryNext::Delivered;
    }
    let step = usize::try_from(attempts).unwrap_or(usize::MAX);
    // The webhook is disabled by it, and this delivery waits like the others for what the operator does about it.
    let step = if tried.status == Some(STATUS_GONE) { step.min(DELAYS_S.len() - 1) } else { step };
    let Some(seconds) = DELAYS_S.get(step) else { return DeliveryNext::Failed };
    let millis = (seconds * 1_000).max(tried.hold().map_or(0, millis));
    let jitter = (millis / JITTER_PARTS * u64::from(random)) >> 32;
    DeliveryNext::Retry { due: now + Duration::from_millis(millis + jitter) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `failing_since`: the first of the failures up to this try; `None` after a success.
pub(crate) fn disables(tried: Tried, failing_since: Option<Timestamp>, now: Timestamp) -> Option<DisabledReason> {
    if tried.status == Some(STATUS_GONE) {
        return Some(DisabledReason::Gone);
    }
    failing_since.filter(|since| now.since(*since) >= millis(FAILING_MAX)).map(|_| DisabledReason::Failing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn answered(status: u16) -> Tried {
        Tried { status: Some(status), retry_after: None }
    }

    fn asked(status: u16, seconds: u64) -> Tried {
        Tried { status: Some(status), retry_after: Some(Duration::from_secs(seconds)) }
    }

    fn retry(seconds: u64) -> DeliveryNext {
        DeliveryNext::Retry { due: NOW + Duration::from_secs(seconds) }
    }

    #[test]
    fn only_a_2xx_is_delivered_and_the_tenth_failure_is_the_last() {
        assert_eq!(after_try(0, answered(204), NOW, 0), DeliveryNext::Delivered);
        assert_eq!(after_try(0, answered(302), NOW, 0), retry(5), "a redirect is a failure");
        assert_eq!(after_try(0, Tried::default(), NOW, 0), retry(5));
        assert_eq!(after_try(8, answered(500), NOW, 0), retry(86_400));
        assert_eq!(after_try(9, answered(500), NOW, 0), DeliveryNext::Failed);
        let latest = NOW + Duration::from_millis(5_500);
        let DeliveryNext::Retry { due } = after_try(0, Tried::default(), NOW, u32::MAX) else { panic!("not again") };
        assert!(due <= latest && due > NOW + Duration::from_millis(5_490));
    }

    #[test]
    fn what_the_receiver_asks_for_is_waited_for_and_never_shortens_the_schedule() {
        assert_eq!(after_try(0, asked(429, 60), NOW, 0), retry(60));
        assert_eq!(after_try(0, asked(503, 60), NOW, 0), retry(60));
        assert_eq!(after_try(0, asked(500, 60), NOW, 0), retry(5), "a 500 says nothing of later");
        assert_eq!(after_try(1, asked(429, 60), NOW, 0), retry(300));
        assert_eq!(after_try(9, asked(429, 60), NOW, 0), DeliveryNext::Failed);
        assert_eq!((asked(429, 60).hold(), asked(200, 60).hold()), (Some(Duration::from_secs(60)), None));
    }

    #[test]
    fn a_410_disables_and_does_not_cost_the_delivery() {
        assert_eq!(disables(answered(410), None, NOW), Some(DisabledReason::Gone));
        assert_eq!(after_try(0, answered(410), NOW, 0), retry(5));
        assert_eq!(after_try(9, answered(410), NOW, 0), retry(86_400));
    }

    #[test]
    fn days_of_nothing_but_failures_disable() {
        let later = NOW + FAILING_MAX;
        assert_eq!(disables(answered(500), Some(NOW), later), Some(DisabledReason::Failing));
        assert_eq!(disables(answered(500), Some(NOW + Duration::from_millis(1)), later), None);
        assert_eq!(disables(answered(200), None, later), None);
    }
}
