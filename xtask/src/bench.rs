//! `cargo xtask bench`: runs the benchmarks one after the other and prints one table.
//!
//! The crates' own benchmarks are plain programs that print one JSON line per figure:
//! `{"bench", "value", "unit", "yardstick", "yardstick_value", "ratio", "bar"}`; `ratio` is the figure by its
//! yardstick of the same run, `bar` the most it may be (the least, where `better` is `more`), in the ratio's or the
//! value's unit (`bar_on`). What a whole server costs is measured by `sublet bench`, whose JSON holds such figures.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::need::NODE;
use crate::tool::WORKERD;
use crate::{cargo, command};

/// (package, bench target), in the order of the table.
const BENCHES: &[(&str, &str)] = &[
    ("sublet-pattern", "match"),
    ("sublet-store-sqlite", "store"),
    ("sublet-sandbox", "attempt"),
    ("sublet-sandbox", "language"),
    ("sublet-sandbox", "worker"),
];

/// What `sublet bench` measures, one run each, in the order of the table.
const WHOLE: &[&str] = &["publish", "path", "invoke", "match", "deploy", "idle-tenants"];

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
        eprintln!("$ cargo bench --profile release --workspace --bench {target}");
        let output = command(&cargo())
            .args(["bench", "--profile", "release", "--quiet", "--workspace", "--bench", target])
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
    for which in WHOLE {
        if filter.is_some_and(|f| !format!("sublet-cli/{which}").contains(f)) {
            continue;
        }
        match whole(which) {
            Ok(figures) => rows.extend(figures),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(format!("sublet bench {which}"));
            }
        }
    }
    print_table(&rows);
    if !failed.is_empty() {
        bail!("these benchmarks failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The figures of one `sublet bench`; the whole path stands beside workerd, when that is there.
fn whole(which: &str) -> Result<Vec<Value>> {
    let mut arguments: Vec<String> =
        ["run", "--release", "--quiet", "--package", "sublet-cli", "--", "bench", which, "--json"]
            .map(String::from)
            .into();
    if which == "path" {
        match WORKERD.ensure() {
            Some(program) => arguments.extend(["--workerd".to_owned(), program.display().to_string()]),
            None => println!("workerd is not there and cannot be installed: the figure against it is left out"),
        }
    }
    eprintln!("$ cargo {}", arguments.join(" "));
    let output = command(&cargo())
        .args(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`sublet bench {which}` ended with {}", output.status);
    }
    let report: Value = serde_json::from_slice(&output.stdout).context("its report is no JSON")?;
    Ok(report.get("figures").and_then(Value::as_array).cloned().unwrap_or_default())
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
        let more = row.get("better").and_then(Value::as_str) == Some("more");
        let verdict = match (row.get(judged).and_then(Value::as_f64), row.get("bar").and_then(Value::as_f64)) {
            (Some(found), Some(bar)) if (found <= bar) != more || found == bar => "reached",
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
