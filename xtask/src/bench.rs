//! `cargo xtask bench`: runs the benchmarks one after the other and prints one table.
//!
//! Every benchmark is a plain program that prints one JSON line per figure:
//! `{"bench", "value", "unit", "yardstick", "yardstick_value", "ratio", "bar"}`; `ratio` is the figure by its
//! yardstick of the same run, `bar` the most it may be, in the ratio's or the value's unit (`bar_on`).

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::need::NODE;
use crate::{cargo, root};

/// (package, bench target), in the order of the table.
const BENCHES: &[(&str, &str)] = &[
    ("sublet-store-sqlite", "store"),
    ("sublet-sandbox", "attempt"),
    ("sublet-sandbox", "worker"),
    ("sublet-cli", "path"),
];

pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    if !NODE.ensure() {
        println!("Node.js is not there: figures against it are left out");
    }
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (package, target) in BENCHES {
        if filter.is_some_and(|f| !format!("{package}/{target}").contains(f)) {
            continue;
        }
        eprintln!("$ cargo bench --profile release -p {package} --bench {target}");
        let output = Command::new(cargo())
            .args(["bench", "--profile", "release", "--quiet", "-p", package, "--bench", target])
            .current_dir(root())
            .stdout(Stdio::piped())
            .output()
            .with_context(|| format!("cannot run the benchmark {target} of {package}"))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(row) if row.get("bench").is_some() => rows.push(row),
                _ => eprintln!("{line}"),
            }
        }
        if !output.status.success() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            failed.push(format!("{package}/{target}"));
        }
    }
    print_table(&rows);
    if !failed.is_empty() {
        bail!("these benchmarks failed: {}", failed.join(", "));
    }
    Ok(())
}

fn number(row: &Value, key: &str) -> String {
    match row.get(key).and_then(Value::as_f64) {
        Some(x) if x.abs() >= 100.0 => format!("{x:.0}"),
        Some(x) => format!("{x:.2}"),
        None => "–".to_owned(),
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or("–")
}

fn print_table(rows: &[Value]) {
    println!("| what | figure | yardstick of the same run | ratio | bar | |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let judged = if row.get("bar_on").and_then(Value::as_str) == Some("value") { "value" } else { "ratio" };
        let verdict = match (row.get(judged).and_then(Value::as_f64), row.get("bar").and_then(Value::as_f64)) {
            (Some(reached), Some(bar)) if reached <= bar => "reached",
            (Some(_), Some(_)) => "MISSED",
            _ => "",
        };
        println!(
            "| {} | {} {} | {} {} | {} | {} {} | {verdict} |",
            text(row, "bench"),
            number(row, "value"),
            text(row, "unit"),
            text(row, "yardstick"),
            number(row, "yardstick_value"),
            number(row, "ratio"),
            number(row, "bar"),
            if judged == "value" { text(row, "unit") } else { "×" },
        );
    }
}
