//! When a delivery that failed is tried again: the schedule that Standard Webhooks recommends, with jitter.

use std::time::Duration;

use sublet_model::Timestamp;
use sublet_store::DeliveryNext;

/// Seconds after each failed try: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; then it is given up.
pub(crate) const DELAYS_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The jitter adds up to a tenth, so that what failed together is not tried again together.
const JITTER_PARTS: u64 = 10;
/// The receiver says that it is gone for good.
const STATUS_GONE: u16 = 410;

/// `attempts`: tries before this one. `status`: the answer, if there was one. `random`: any 32 uniform bits.
pub(crate) fn after_try(attempts: u32, status: Option<u16>, now: Timestamp, random: u32) -> DeliveryNext {
    if status.is_some_and(|code| (200..300).contains(&code)) {
        return DeliveryNext::Delivered;
    }
    let delay = usize::try_from(attempts).ok().and_then(|index| DELAYS_S.get(index));
    match delay {
        Some(seconds) if status != Some(STATUS_GONE) => {
            let millis = seconds * 1_000;
            let jitter = (millis / JITTER_PARTS * u64::from(random)) >> 32;
            DeliveryNext::Retry { due: now + Duration::from_millis(millis + jitter) }
        }
        _ => DeliveryNext::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2xx_is_delivered_and_the_tenth_failure_is_the_last() {
        let now = Timestamp::from_millis(1_000);
        let retry = |seconds: u64| DeliveryNext::Retry { due: now + Duration::from_secs(seconds) };
        assert_eq!(after_try(0, Some(204), now, 0), DeliveryNext::Delivered);
        assert_eq!(after_try(0, Some(302), now, 0), retry(5), "a redirect is a failure");
        assert_eq!(after_try(0, None, now, 0), retry(5));
        assert_eq!(after_try(8, Some(500), now, 0), retry(86_400));
        assert_eq!(after_try(9, Some(500), now, 0), DeliveryNext::Failed);
        assert_eq!(after_try(0, Some(410), now, 0), DeliveryNext::Failed);
        let latest = now + Duration::from_millis(5_500);
        let DeliveryNext::Retry { due } = after_try(0, None, now, u32::MAX) else { panic!("not tried again") };
        assert!(due <= latest && due > now + Duration::from_millis(5_490));
    }
}
