//! The text of `/metrics` in OTLP's words: one source of numbers, so that both ways out tell the same.
//!
//! It reads what our own recorder writes, not any Prometheus text there may be.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};

use super::send::attribute;

/// Sums and histograms count from `began_ns`.
pub(super) fn data_of(text: &str, began_ns: u64, now_ns: u64) -> Vec<Metric> {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name).or_default().help = help;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name).or_default().kind = kind;
        } else if let Some(sample) = Sample::parse(line) {
            // A histogram's samples are named after their part.
            let parts = ["_bucket", "_sum", "_count"];
            let base =
                parts.iter().find_map(|part| sample.name.strip_suffix(part)).filter(|b| families.contains_key(b));
            let known = families.contains_key(sample.name);
            let family = if known { sample.name } else { base.unwrap_or(sample.name) };
            families.entry(family).or_default().samples.push(sample);
        }
    }
    let times = (began_ns, now_ns);
    families.into_iter().filter_map(|(name, family)| family.into_metric(name, times)).collect()
}

#[derive(Default)]
struct Family<'a> {
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample<'a>>,
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Sample<'a>> {
        let (head, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, mut rest) = match head.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (head, ""),
        };
        let mut labels = Vec::new();
        while !rest.is_empty() {
            let (label, tail) = rest.trim_start_matches(',').split_once("=\"")?;
            let (text, tail) = quoted(tail)?;
            labels.push((label, text));
            rest = tail;
        }
        Some(Sample { name, labels, value })
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let own = self.labels.iter().filter(|(label, _)| *label != "le");
        own.map(|(label, text)| attribute(label, Value::StringValue(text.clone()))).collect()
    }
}

/// Up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((found, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => found.push('\n'),
                other => found.push(other),
            },
            other => found.push(other),
        }
    }
    None
}

impl Family<'_> {
    fn into_metric(self, name: &str, times: (u64, u64)) -> Option<Metric> {
        let data = match self.kind {
            "counter" => Data::Sum(Sum {
                data_points: self.points(times),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            "gauge" => Data::Gauge(Gauge { data_points: self.points((0, times.1)) }),
            "histogram" => Data::Histogram(Histogram {
                data_points: self.histograms(name, times),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
            _ => return None,
        };
        let unit = if name.ends_with("_seconds") {
            "s"
        } else if name.ends_with("_bytes") {
            "By"
        } else {
            "1"
        };
        let (name, description, unit) = (name.to_owned(), self.help.to_owned(), unit.to_owned());
        Some(Metric { name, description, unit, data: Some(data), ..Default::default() })
    }

    fn points(&self, (began_ns, now_ns): (u64, u64)) -> Vec<NumberDataPoint> {
        // A gauge that is not known is left out.
        let known = self.samples.iter().filter(|sample| sample.value.is_finite());
        known
            .map(|sample| NumberDataPoint {
                attributes: sample.attributes(),
                start_time_unix_nano: began_ns,
                time_unix_nano: now_ns,
                value: Some(Number::AsDouble(sample.value)),
                ..Default::default()
            })
            .collect()
    }

    fn histograms(&self, name: &str, (began_ns, now_ns): (u64, u64)) -> Vec<HistogramDataPoint> {
        let mut points: Vec<(Vec<KeyValue>, HistogramDataPoint)> = Vec::new();
        for sample in &self.samples {
            let attributes = sample.attributes();
            let at = points.iter().position(|(known, _)| *known == attributes).unwrap_or_else(|| {
                let point = HistogramDataPoint {
                    attributes: attributes.clone(),
                    start_time_unix_nano: began_ns,
                    time_unix_nano: now_ns,
                    ..Default::default()
                };
                points.push((attributes, point));
                points.len() - 1
            });
            let point = &mut points[at].1;
            match sample.name.strip_prefix(name) {
                Some("_sum") => point.sum = Some(sample.value),
                Some("_count") => point.count = sample.value as u64,
                Some("_bucket") => {
                    // Prometheus' buckets hold those below them as well, OTLP's do not; the last has no bound.
                    let below: u64 = point.bucket_counts.iter().sum();
                    point.bucket_counts.push((sample.value as u64).saturating_sub(below));
                    let bound = sample.labels.iter().find(|(label, _)| *label == "le").map(|(_, text)| text.as_str());
                    point.explicit_bounds.extend(bound.and_then(|b| b.parse().ok()).filter(|b: &f64| b.is_finite()));
                }
                _ => {}
            }
        }
        points.into_iter().map(|(_, point)| point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total what a is\n# TYPE a_total counter\na_total{status=\"x\"} 3\na_total{status=\"q\\\"}, \"} 4\n\n\
        # TYPE g gauge\ng 2.5\n# TYPE h_seconds histogram\nh_seconds_bucket{r=\"a\",le=\"0.1\"} 1\n\
        h_seconds_bucket{r=\"a\",le=\"1\"} 3\nh_seconds_bucket{r=\"a\",le=\"+Inf\"} 6\nh_seconds_sum{r=\"a\"} 9.5\n\
        h_seconds_count{r=\"a\"} 6\n# TYPE u gauge\nu NaN\n";

    #[test]
    fn counters_gauges_and_histograms_are_told_as_they_are() {
        let metrics = data_of(TEXT, 1, 2);
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["a_total", "g", "h_seconds", "u"]);
        assert_eq!((metrics[0].description.as_str(), metrics[2].unit.as_str()), ("what a is", "s"));
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("no sum") };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(3.0)));
        let label = sum.data_points[1].attributes[0].value.clone().unwrap().value.unwrap();
        assert_eq!(label, Value::StringValue("q\"}, ".to_owned()));
        let Some(Data::Gauge(gauge)) = &metrics[1].data else { panic!("no gauge") };
        assert_eq!(gauge.data_points[0].value, Some(Number::AsDouble(2.5)));
        let Some(Data::Histogram(histogram)) = &metrics[2].data else { panic!("no histogram") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (6, Some(9.5)));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2, 3][..], &[0.1, 1.0][..]));
        let Some(Data::Gauge(unknown)) = &metrics[3].data else { panic!("no gauge") };
        assert!(unknown.data_points.is_empty());
    }
}
