//! How a source file opens and how long it is.

use std::path::PathBuf;

use anyhow::Result;

use super::read;

/// From 400 lines a file looks for its seam; above this it must have found it.
const LINES_MAX: usize = 600;

pub(super) fn check(files: &[PathBuf], findings: &mut Vec<String>) -> Result<()> {
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        let text = read(file)?;
        let name = file.display();
        if !text.starts_with("//!") {
            findings.push(format!("{name}:1: does not open with `//!` and what it is for"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            findings
                .push(format!("{name}: {lines} lines, of at most {LINES_MAX}: give the seam a name and split there"));
        }
    }
    Ok(())
}
