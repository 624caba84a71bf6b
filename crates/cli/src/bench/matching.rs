//! Which rules want this event: with few rules and with many, against parsing the same bytes; and a change of one rule.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use sublet_pattern::{EventView, Pattern, RuleSet};

use super::figure::{Bar, Figure};
use super::plan::Plan;
use super::yardstick::cpu_us;

const FEW: usize = 10;
const MANY: usize = 100_000;
/// Changes of a rule in one round.
const CHANGES: u32 = 200;
/// Once, of every operator that the language has.
const OPERATORS: &[&str] = &[
    r#"{"source": ["todo"], "detail-type": ["Item Created"]}"#,
    r#"{"detail": {"item": {"title": [{"prefix": "Call"}]}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"suffix": "eb"}]}}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"equals-ignore-case": "WEB"}]}}}}"#,
    r#"{"detail": {"item": {"created": {"by": [{"wildcard": "*@example.*"}]}}}}"#,
    r#"{"detail": {"item": {"priority": [{"numeric": [">", 1, "<=", 5]}]}}}"#,
    r#"{"detail": {"item": {"created": {"client": [{"anything-but": ["phone"]}]}}}}"#,
    r#"{"detail": {"item": {"done": [false]}}}"#,
    r#"{"detail": {"item": {"due": [null]}}}"#,
    r#"{"detail": {"item": {"owner": [{"exists": false}]}}}"#,
    r#"{"detail": {"address": [{"cidr": "10.0.0.0/8"}]}}"#,
    r#"{"$or": [{"source": ["shop"]}, {"detail": {"labels": {"name": ["urgent"]}}}]}"#,
];

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let text = event();
    let view = EventView::parse(&text).context("the benchmark's event")?;
    eprintln!("match: making {MANY} rules");
    let (few, mut many) = (tenants_rules(FEW)?, tenants_rules(MANY)?);
    ensure!(few.matches(&view) == [7] && many.matches(&view) == [7], "the event matches its own tenant's rule alone");
    let operators = operators()?;

    let mut found = Rounds::default();
    for round in 0..=plan.rounds {
        match round {
            0 => eprintln!("match: warming up"),
            _ => eprintln!("match: round {round} of {}, {} matches each", plan.rounds, plan.matches),
        }
        let rate =
            |rules: &RuleSet<usize>| 1e6 / cpu_us(plan.matches, || drop(black_box(rules.matches(black_box(&view)))));
        let values = [
            rate(&many),
            rate(&few),
            cpu_us(plan.matches, || {
                if let Ok(view) = EventView::parse(black_box(&text)) {
                    black_box(operators.matches(&view));
                }
            }),
            cpu_us(plan.matches, || {
                black_box(serde_json::from_str::<serde_json::Value>(black_box(&text)).is_ok());
            }),
            change(&mut many)?,
        ];
        if round > 0 {
            found.add(values);
        }
    }
    Ok(found.figures(text.len()))
}

#[derive(Default)]
struct Rounds {
    many: Vec<f64>,
    few: Vec<f64>,
    read_and_match: Vec<f64>,
    parse: Vec<f64>,
    change: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, [many, few, read_and_match, parse, change]: [f64; 5]) {
        self.many.push(many);
        self.few.push(few);
        self.read_and_match.push(read_and_match);
        self.parse.push(parse);
        self.change.push(change);
    }

    fn figures(self, bytes: usize) -> Vec<Figure> {
        let speed = Figure::more(format!("matching, {MANY} tenants' rules"), "events/s", self.many);
        let read = Figure::less(format!("read and match {bytes} B, every operator, CPU"), "us", self.read_and_match);
        vec![
            speed.beside(format!("the same with {FEW} rules"), self.few).bar(Bar::Ratio(0.5)),
            read.beside("serde_json of the same bytes", self.parse).bar(Bar::Ratio(2.0)),
            Figure::less(format!("a rule put into {MANY}, CPU"), "us", self.change).bar(Bar::Value(1_000.0)),
        ]
    }
}

/// Puts one rule and takes it out again; what the first costs.
fn change(rules: &mut RuleSet<usize>) -> Result<f64> {
    let pattern = Pattern::parse(&tenants_rule(MANY + 1)).context("the benchmark's pattern")?;
    let mut spent = 0.0;
    for _ in 0..CHANGES {
        spent += cpu_us(1, || {
            rules.insert(MANY + 1, pattern.clone());
        });
        rules.remove(&(MANY + 1));
    }
    Ok(spent / f64::from(CHANGES))
}

fn tenants_rules(count: usize) -> Result<RuleSet<usize>> {
    let mut rules = RuleSet::new();
    for number in 0..count {
        rules.insert(number, Pattern::parse(&tenants_rule(number)).context("the benchmark's pattern")?);
    }
    Ok(rules)
}

fn tenants_rule(number: usize) -> String {
    format!(r#"{{"source": ["todo"], "detail-type": ["Item Created"], "tenant": ["tenant-{number}"]}}"#)
}

fn operators() -> Result<RuleSet<usize>> {
    let mut rules = RuleSet::new();
    for (number, pattern) in OPERATORS.iter().enumerate() {
        rules.insert(number, Pattern::parse(pattern).with_context(|| format!("the benchmark's pattern {pattern}"))?);
    }
    Ok(rules)
}

/// A to-do event of about 900 bytes, in EventBridge's envelope.
fn event() -> String {
    let labels: Vec<String> = [("home", "green"), ("urgent", "red"), ("phone", "blue")]
        .iter()
        .map(|(name, colour)| format!(r#"{{"name":"{name}","colour":"{colour}","count":3}}"#))
        .collect();
    format!(
        r#"{{"version":"0","id":"evt_01J8Z3K7Q5W9","detail-type":"Item Created","source":"todo","account":"sublet","time":"2026-01-01T00:00:00Z","region":"local","resources":["item/1234"],"tenant":"tenant-7","detail":{{"item":{{"id":1234,"title":"Call the \"plumber\" tomorrow","done":false,"priority":3,"due":null,"created":{{"by":"ada@example.test","at":"2026-01-01T00:00:00Z","client":"web"}}}},"labels":[{}],"address":"10.1.2.3","notes":"{}"}}}}"#,
        labels.join(","),
        "some more text ".repeat(20),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_of_the_size_that_it_says_and_matches_every_operator() {
        let text = event();
        assert!((850..950).contains(&text.len()), "{} bytes", text.len());
        let matched = operators().unwrap().matches(&EventView::parse(&text).unwrap()).len();
        assert_eq!(matched, OPERATORS.len());
    }
}
