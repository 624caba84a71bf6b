//! What one event costs: reading it against parsing the same bytes, matching it with few rules and with many, and a
//! change of one rule. Prints one JSON line per figure, as `cargo xtask bench` reads them. `sublet bench match` shows
//! the same to operators.

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use sublet_pattern::{EventView, Pattern, RuleSet};

const ROUNDS: usize = 15;
const FEW: usize = 10;
const MANY: usize = 100_000;

/// One of every operator that the language has.
const OPERATORS: &[&str] = &[
    r#"{"source": ["todo"], "detail-type": ["Item Created"]}"#,
    r#"{"detail": {"item": {"due": [null]}}}"#,
    r#"{"detail": {"item": {"done": [false]}}}"#,
    r#"{"detail": {"item": {"title": [{"prefix": "Call"}]}}}"#,
    r#"{"detail": {"item": {"title": [{"prefix": {"equals-ignore-case": "call"}}]}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"suffix": "eb"}]}}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"suffix": {"equals-ignore-case": "EB"}}]}}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"equals-ignore-case": "WEB"}]}}}}"#,
    r#"{"detail": {"item": {"created": {"by": [{"wildcard": "*@example.*"}]}}}}"#,
    r#"{"detail": {"item": {"priority": [{"numeric": [">", 1, "<=", 5]}]}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"anything-but": ["phone"]}]}}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"anything-but": {"prefix": "phone"}}]}}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"anything-but": {"wildcard": "*phone"}}]}}}}"#,
    r#"{"detail": {"item": {"owner": [{"exists": false}]}}}"#,
    r#"{"detail": {"address": [{"cidr": "10.0.0.0/8"}]}}"#,
    r#"{"detail": {"labels": {"name": ["urgent"], "colour": ["red"]}}}"#,
    r#"{"$or": [{"source": ["shop"]}, {"detail": {"labels": {"name": ["urgent"]}}}]}"#,
];

fn main() {
    let text = event();
    let view = EventView::parse(&text).expect("the event is well-formed");
    let (few, mut many, operators) = (tenants(FEW), tenants(MANY), operators());
    assert_eq!((few.matches(&view), many.matches(&view)), (vec![7], vec![7]));
    assert_eq!(operators.matches(&view).len(), OPERATORS.len(), "every operator is tried to its end");

    // The figure and its yardstick take turns, so that what else the machine does meets both.
    let (mut with_few, mut with_many, mut read, mut parse, mut change) = (vec![], vec![], vec![], vec![], vec![]);
    let another = Pattern::parse(&tenants_rule(MANY)).expect("the pattern is well-formed");
    for _ in 0..ROUNDS {
        with_many.push(micros(20_000, || drop(black_box(many.matches(black_box(&view))))));
        with_few.push(micros(20_000, || drop(black_box(few.matches(black_box(&view))))));
        read.push(micros(5_000, || {
            let view = EventView::parse(black_box(&text)).expect("the event is well-formed");
            black_box(operators.matches(&view));
        }));
        parse.push(micros(5_000, || {
            black_box(serde_json::from_str::<Value>(black_box(&text)).expect("the event is JSON"));
        }));
        change.push(micros(200, || {
            many.insert(MANY, another.clone());
            many.remove(&MANY);
        }));
    }
    let rate = |rounds: &mut [f64]| 1e6 / median(rounds);
    let (fast, slow) = (rate(&mut with_few), rate(&mut with_many));
    let (read, parse, change) = (median(&mut read), median(&mut parse), median(&mut change));
    let speed = format!("matching, {MANY} tenants' rules");
    let beside = format!("the same with {FEW} rules");
    let figure = |bench: &str, value: f64, unit: &str| json!({"bench": bench, "value": value, "unit": unit});
    let against = |mut line: Value, yardstick: &str, value: f64, ratio: f64| {
        line["yardstick"] = yardstick.into();
        line["yardstick_value"] = value.into();
        line["ratio"] = ratio.into();
        line
    };
    let mut line = against(figure(&speed, slow, "events/s"), &beside, fast, slow / fast);
    line["bar"] = 0.5.into();
    line["better"] = "more".into();
    println!("{line}");
    let name = format!("read and match {} B, every operator", text.len());
    let mut line = against(figure(&name, read, "us"), "serde_json::Value of the same bytes", parse, read / parse);
    line["bar"] = 2.0.into();
    println!("{line}");
    let mut line = figure(&format!("a rule put into {MANY} and taken out"), change, "us");
    line["bar"] = 1_000.0.into();
    line["bar_on"] = "value".into();
    println!("{line}");
}

fn micros(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn median(rounds: &mut [f64]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn tenants(count: usize) -> RuleSet<usize> {
    let mut rules = RuleSet::new();
    for number in 0..count {
        rules.insert(number, Pattern::parse(&tenants_rule(number)).expect("the pattern is well-formed"));
    }
    rules
}

fn tenants_rule(number: usize) -> String {
    format!(r#"{{"source": ["todo"], "detail-type": ["Item Created"], "tenant": ["tenant-{number}"]}}"#)
}

fn operators() -> RuleSet<usize> {
    let mut rules = RuleSet::new();
    for (number, pattern) in OPERATORS.iter().enumerate() {
        rules.insert(number, Pattern::parse(pattern).expect("the pattern is well-formed"));
    }
    rules
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
        "address": "10.1.2.3", "notes": "{}"}}}}"#,
        labels.join(", "),
        "some more text ".repeat(13),
    )
}
