//! One figure, printed as the line that `cargo xtask bench` reads.

use std::time::Duration;

use serde_json::json;

/// Judged by its value; the yardstick of the same run stands beside it, in the same unit.
pub(crate) struct Figure<'a> {
    pub(crate) bench: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    /// Its name and its value.
    pub(crate) yardstick: Option<(&'a str, f64)>,
    /// The most the value may be.
    pub(crate) bar: Option<f64>,
}

impl Figure<'_> {
    pub(crate) fn print(&self) {
        let yardstick = self.yardstick;
        let line = json!({
            "bench": self.bench,
            "value": self.value,
            "unit": self.unit,
            "yardstick": yardstick.map(|(name, _)| name),
            "yardstick_value": yardstick.map(|(_, value)| value),
            "ratio": yardstick.map(|(_, value)| self.value / value),
            "bar": self.bar,
            "bar_on": "value",
        });
        println!("{line}");
    }
}

pub(crate) fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// The value below which `share` of them lie.
pub(crate) fn quantile(spans: &mut [Duration], share: f64) -> Duration {
    spans.sort_unstable();
    let index = (spans.len() as f64 * share) as usize;
    spans.get(index.min(spans.len().saturating_sub(1))).copied().unwrap_or_default()
}
