//! docs/guarantees.md: every promise names an existing test, or says that it is not tested yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::read;

const DOCUMENT: &str = "docs/guarantees.md";
const UNTESTED: &str = "not tested yet";

pub(super) fn check(files: &[PathBuf], findings: &mut Vec<String>) -> Result<()> {
    let mut tests = BTreeSet::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        tests.extend(names_in(&read(file)?));
    }
    let document = read(Path::new(DOCUMENT))?;
    let mut promises = 0;
    for (index, line) in document.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // | number | promise | test |
        let (Some(number), Some(holder)) = (cells.get(1), cells.get(3)) else { continue };
        if !number.starts_with(|c: char| c.is_ascii_uppercase()) || !number.contains(|c: char| c.is_ascii_digit()) {
            continue;
        }
        promises += 1;
        let named: Vec<&str> = holder.split('`').skip(1).step_by(2).collect();
        if named.is_empty() && !holder.contains(UNTESTED) {
            findings.push(format!("{DOCUMENT}:{}: {number} names no test and does not say `{UNTESTED}`", index + 1));
        }
        for name in named {
            let bare = name.rsplit("::").next().unwrap_or(name);
            if !tests.contains(bare) {
                findings.push(format!("{DOCUMENT}:{}: {number} names `{name}`, which is no test", index + 1));
            }
        }
    }
    if promises == 0 {
        findings.push(format!("{DOCUMENT}: no promise found; rows are `| Q1 | promise | `test` |`"));
    }
    Ok(())
}

/// Names of functions, and of cases in tables (`name: "…"`), that a promise may point to.
fn names_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in source.lines().map(str::trim_start) {
        let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("async ");
        if let Some(rest) = line.strip_prefix("fn ") {
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}
