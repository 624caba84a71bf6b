//! docs/guarantees.md: every promise names an existing test, or says that it is not tested yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::read;

const DOCUMENT: &str = "docs/guarantees.md";
const UNTESTED: &str = "not tested yet";
/// The folder of the store's conformance suite.
const SUITE: &str = "conformance";

pub(super) fn check(files: &[PathBuf], findings: &mut Vec<String>) -> Result<()> {
    let mut tests = BTreeSet::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        tests.extend(names_in(file, &read(file)?));
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
        for name in named.into_iter().filter(|name| !name.contains(' ')) {
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

/// Names of functions behind a test attribute; in the conformance suite, whose macro adds it, of all functions.
fn names_in(file: &Path, source: &str) -> Vec<String> {
    let is_suite = file.components().any(|part| part.as_os_str() == SUITE);
    let mut names = Vec::new();
    let mut is_test = is_suite;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some(name) = function_name(line) {
            if is_test {
                names.push(name);
            }
            is_test = is_suite;
        }
    }
    names
}

/// The name in a line that opens a function, whatever its visibility and kind.
fn function_name(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("fn ")?;
    let opens = before.split_whitespace().all(|word| word.starts_with("pub") || matches!(word, "async" | "unsafe"));
    opens.then(|| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}
