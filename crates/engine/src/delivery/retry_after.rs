//! `Retry-After`, as a receiver says it: seconds, or an HTTP date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sublet_model::Timestamp;

/// The longest a receiver may ask for; beyond it, it is asked again all the same.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How long from `now`, within [`RETRY_AFTER_MAX`]; `None` for what is neither, and for a date that has passed.
pub(crate) fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        Duration::from_secs(if text.is_empty() { 0 } else { text.parse().unwrap_or(u64::MAX) })
    } else {
        let moment: SystemTime = httpdate::parse_http_date(text).ok()?;
        let millis = u64::try_from(moment.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
        Duration::from_millis(millis.saturating_sub(u64::try_from(now.millis()).unwrap_or(0)))
    };
    (!asked.is_zero()).then_some(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_held_to_the_ceiling() {
        let now = Timestamp::parse("1994-11-06T08:49:37Z").unwrap();
        let seconds = |count| Some(Duration::from_secs(count));
        let table = [
            ("120", seconds(120)),
            (" 7 ", seconds(7)),
            ("0", None),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999999", Some(RETRY_AFTER_MAX)),
            ("86400", Some(RETRY_AFTER_MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", seconds(120)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", seconds(120)),
            ("Sun Nov  6 08:51:37 1994", seconds(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sat, 05 Nov 1994 08:49:37 GMT", None),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(RETRY_AFTER_MAX)),
            ("Mon, 06 Nov 1944 08:49:37 GMT", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text, now), expected, "{text:?}");
        }
    }
}
