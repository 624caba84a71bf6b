//! What one event costs: reading it, one pattern, and sets of rules that differ in an exact value.
//!
//! `cargo bench -p sublet-pattern` prints the best and the median of several rounds; there is no pass or fail here.

use std::hint::black_box;
use std::time::Instant;

use sublet_pattern::{EventView, Pattern, RuleSet};

const ROUNDS: usize = 15;

fn main() {
    let event = event();
    println!("event of {} bytes", event.len());
    measure("read the event", 20_000, || {
        black_box(EventView::parse(black_box(&event)).is_ok());
    });
    let view = EventView::parse(&event).expect("the event is well-formed");
    for (name, text) in [
        ("two exact fields", r#"{"source": ["todo"], "detail-type": ["Item Created"]}"#),
        (
            "nested, numeric and wildcard",
            r#"{"detail": {"item": {"title": [{"wildcard": "Call*"}], "priority": [{"numeric": [">", 1]}]}}}"#,
        ),
        ("two fields below an array", r#"{"detail": {"labels": {"name": ["urgent"], "colour": ["red"]}}}"#),
    ] {
        let pattern = Pattern::parse(text).expect("the pattern is well-formed");
        assert!(pattern.matches(&view), "{name}");
        measure(&format!("match: {name}"), 100_000, || {
            black_box(pattern.matches(black_box(&view)));
        });
    }
    for count in [10, 1_000, 100_000] {
        let mut rules = RuleSet::new();
        for number in 0..count {
            let text =
                format!(r#"{{"source": ["todo"], "detail-type": ["Item Created"], "tenant": ["tenant-{number}"]}}"#);
            rules.insert(number, Pattern::parse(&text).expect("the pattern is well-formed"));
        }
        assert_eq!(rules.matches(&view), [7]);
        measure(&format!("rule set of {count}"), 20_000, || {
            black_box(rules.matches(black_box(&view)));
        });
    }
    let mut rules = RuleSet::new();
    for number in 0..1_000 {
        let text = format!(r#"{{"detail": {{"item": {{"priority": [{{"numeric": [">", {number}]}}]}}}}}}"#);
        rules.insert(number, Pattern::parse(&text).expect("the pattern is well-formed"));
    }
    measure("rule set of 1000 numeric ranges on one field", 200, || {
        black_box(rules.matches(black_box(&view)));
    });
}

/// Prints nanoseconds per call, best and median of the rounds.
fn measure(name: &str, calls: usize, mut call: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..calls {
                call();
            }
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name}: {:.0} ns best, {:.0} ns median", rounds[0], rounds[ROUNDS / 2]);
}

/// A to-do event of about 900 bytes.
fn event() -> String {
    let labels: Vec<String> = [("home", "green"), ("urgent", "red"), ("phone", "blue")]
        .iter()
        .map(|(name, colour)| format!(r#"{{"name": "{name}", "colour": "{colour}", "count": 3}}"#))
        .collect();
    format!(
        r#"{{"version": "0", "id": "evt_01J8Z3K7Q5W9", "detail-type": "Item Created", "source": "todo", "account": "sublet",
        "time": "2026-01-01T00:00:00Z", "region": "local", "resources": ["item/1234"], "tenant": "tenant-7",
        "detail": {{"item": {{"id": 1234, "title": "Call the \"plumber\" tomorrow", "done": false, "priority": 3, "due": null,
        "created": {{"by": "ada@example.test", "at": "2026-01-01T00:00:00Z", "client": "web"}}}}, "labels": [{}],
        "notes": "{}"}}}}"#,
        labels.join(", "),
        "some more text ".repeat(15),
    )
}
