//! The tables that tests go by: what docs/runtime-js.md says is there, and what real Node.js gave for an expression.

use serde_json::{Value, json};

use crate::support::{from, package, run};

const DOCUMENT: &str = include_str!("../../../../docs/runtime-js.md");
/// Cases of one attempt.
const BATCH: usize = 100;

/// A name that docs/runtime-js.md speaks of; a module's begins with `node:`.
pub(crate) struct Documented {
    pub(crate) name: &'static str,
    /// Whether it must be there.
    pub(crate) is_there: bool,
}

pub(crate) fn documented() -> Vec<Documented> {
    let mut all = Vec::new();
    for line in DOCUMENT.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let is_there = match cells[1] {
            "present" | "differs" => true,
            "absent" => false,
            other => panic!("'{other}' is no status: {line}"),
        };
        all.extend(cells[0].split(", ").map(|name| Documented { name: name.trim_matches('`'), is_there }));
    }
    all
}

/// `runner` is a handler that answers which of the cases it is handed do not hold, each in words.
pub(crate) fn every_case_holds(table: &str, cases_min: usize, runner: &str) {
    let Value::Array(cases) = serde_json::from_str(table).unwrap() else { panic!("no cases") };
    assert!(cases.len() > cases_min, "only {} cases", cases.len());
    let built = package(&[("index.mjs", runner)]);
    let mut failures: Vec<String> = Vec::new();
    for batch in cases.chunks(BATCH) {
        failures.extend(from::<Vec<String>>(&run(&built, &json!(batch).to_string())));
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
