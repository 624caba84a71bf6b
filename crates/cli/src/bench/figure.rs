//! One figure: what was measured in every round, and the yardstick of the same rounds.

use std::time::Duration;

use serde_json::{Value, json};

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

/// What the project holds itself to on its own machine (two cores); nothing that an operator's must reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    Value(f64),
    /// Of the figure to its yardstick.
    Ratio(f64),
}

#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    /// One value a round; never empty.
    pub(super) rounds: Vec<f64>,
    pub(super) yardstick: Option<Yardstick>,
    pub(super) bar: Option<Bar>,
}

/// In the figure's unit.
#[derive(Debug, Clone)]
pub(super) struct Yardstick {
    pub(super) name: String,
    pub(super) rounds: Vec<f64>,
}

/// Least, median and greatest of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Figure {
    pub(super) fn less(name: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Figure {
        Figure { name: name.into(), unit, better: Better::Less, rounds, yardstick: None, bar: None }
    }

    pub(super) fn more(name: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Figure {
        Figure { better: Better::More, ..Figure::less(name, unit, rounds) }
    }

    pub(super) fn beside(self, name: impl Into<String>, rounds: Vec<f64>) -> Figure {
        Figure { yardstick: Some(Yardstick { name: name.into(), rounds }), ..self }
    }

    pub(super) fn bar(self, bar: Bar) -> Figure {
        Figure { bar: Some(bar), ..self }
    }

    pub(super) fn spread(&self) -> Spread {
        spread(&self.rounds)
    }

    /// The median of the rounds' own ratios, because both halves of a round met the same mood of the machine.
    pub(super) fn ratio(&self) -> Option<f64> {
        let yardstick = self.yardstick.as_ref()?;
        if yardstick.rounds.len() != self.rounds.len() {
            return Some(self.spread().median / spread(&yardstick.rounds).median);
        }
        let ratios: Vec<f64> = self.rounds.iter().zip(&yardstick.rounds).map(|(value, yard)| value / yard).collect();
        Some(spread(&ratios).median)
    }

    pub(super) fn json(&self) -> Value {
        let (all, yardstick) = (self.spread(), self.yardstick.as_ref());
        let (bar, bar_on) = match self.bar {
            Some(Bar::Value(bar)) => (Some(bar), "value"),
            Some(Bar::Ratio(bar)) => (Some(bar), "ratio"),
            None => (None, "value"),
        };
        json!({
            "bench": self.name,
            "value": all.median,
            "unit": self.unit,
            "better": if self.better == Better::Less { "less" } else { "more" },
            "low": all.low,
            "high": all.high,
            "rounds": self.rounds,
            "yardstick": yardstick.map(|yardstick| &yardstick.name),
            "yardstick_value": yardstick.map(|yardstick| spread(&yardstick.rounds).median),
            "yardstick_rounds": yardstick.map(|yardstick| &yardstick.rounds),
            "ratio": self.ratio(),
            "bar": bar,
            "bar_on": bar_on,
        })
    }
}

pub(super) fn spread(rounds: &[f64]) -> Spread {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 } else { at(middle) };
    Spread { low: at(0), median, high: at(sorted.len().wrapping_sub(1)) }
}

pub(super) fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

pub(super) fn us(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// The value below which `share` of them lie.
pub(super) fn quantile(spans: &mut [Duration], share: f64) -> Duration {
    spans.sort_unstable();
    let index = (spans.len() as f64 * share) as usize;
    spans.get(index.min(spans.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Three significant digits, which is more than any of these figures has.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_and_the_extremes_are_shown() {
        assert_eq!(spread(&[3.0, 1.0, 9.0]), Spread { low: 1.0, median: 3.0, high: 9.0 });
        assert_eq!(spread(&[4.0, 2.0]), Spread { low: 2.0, median: 3.0, high: 4.0 });
        assert!(spread(&[]).median.is_nan());
    }

    #[test]
    fn a_ratio_compares_the_two_halves_of_each_round() {
        // The machine became ten times slower in the last round, for both.
        let figure = Figure::less("f", "ms", vec![2.0, 2.0, 20.0]).beside("y", vec![1.0, 1.0, 10.0]);
        assert_eq!(figure.ratio(), Some(2.0));
        assert_eq!(Figure::less("f", "ms", vec![2.0]).ratio(), None);
    }

    #[test]
    fn numbers_are_short_enough_to_read() {
        let said: Vec<String> = [1_234_567.0, 46_600.0, 312.4, 31.24, 3.124, 0.0042].into_iter().map(short).collect();
        assert_eq!(said, ["1.23M", "46.6k", "312", "31.2", "3.12", "0.004"]);
    }
}
