//! The crates' edges: what `cargo metadata` says must be a row of the table in ARCHITECTURE.md, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::read;
use crate::{cargo, root};

const DOCUMENT: &str = "ARCHITECTURE.md";
/// The table's rows stand between these two lines.
const BEGIN: &str = "<!-- edges -->";
const END: &str = "<!-- /edges -->";

type Edges = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(findings: &mut Vec<String>) -> Result<()> {
    let real = real_edges()?;
    let written = written_edges(&read(Path::new(DOCUMENT))?);
    for (package, edges) in &real {
        match written.get(package) {
            None => findings.push(format!("{DOCUMENT}: the edges table has no row for `{package}`")),
            Some(allowed) => {
                for extra in edges.difference(allowed) {
                    findings
                        .push(format!("{DOCUMENT}: `{package}` depends on `{extra}`, which its row does not allow"));
                }
                for gone in allowed.difference(edges) {
                    findings.push(format!("{DOCUMENT}: `{package}` does not depend on `{gone}` any more"));
                }
            }
        }
    }
    for package in written.keys().filter(|p| !real.contains_key(*p)) {
        findings.push(format!("{DOCUMENT}: the edges table has a row for `{package}`, which is no package"));
    }
    Ok(())
}

/// Ordinary dependencies between our own packages; those of tests alone do not count.
fn real_edges() -> Result<Edges> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let mut edges = Edges::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let own = edges.entry(short(package["name"].as_str().unwrap_or_default())).or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_ordinary = dependency["kind"].is_null();
            if let Some(name) = dependency["name"].as_str().filter(|_| is_ordinary && !dependency["path"].is_null()) {
                own.insert(short(name));
            }
        }
    }
    Ok(edges)
}

fn short(package: &str) -> String {
    package.strip_prefix("sublet-").unwrap_or(package).to_owned()
}

/// Rows of the form `| `package` | `one`, `two` | … |`.
fn written_edges(document: &str) -> Edges {
    let table = document.split(BEGIN).nth(1).and_then(|rest| rest.split(END).next()).unwrap_or_default();
    let mut edges = Edges::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let names = |cell: Option<&str>| -> Vec<String> {
            cell.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let package = names(cells.next());
        let allowed = names(cells.next());
        if let Some(package) = package.into_iter().next() {
            edges.insert(package, allowed.into_iter().collect());
        }
    }
    edges
}
