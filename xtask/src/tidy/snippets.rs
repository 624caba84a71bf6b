//! A snippet that a page shows is the file that the tests run: after a line `<!-- snippet: path -->` comes a fenced block
//! with exactly the file's text.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::read;

const MARK: &str = "<!-- snippet: ";

pub(super) fn check(files: &[PathBuf], findings: &mut Vec<String>) -> Result<()> {
    for page in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md")) {
        let text = read(page)?;
        for part in text.split(MARK).skip(1) {
            let (path, rest) = part.split_once(" -->").unwrap_or((part, ""));
            let shown = rest.trim_start().strip_prefix("```").and_then(|block| block.split_once('\n'));
            let shown = shown.and_then(|(_, body)| body.split_once("```")).map(|(body, _)| body);
            let Ok(wanted) = read(Path::new(path)) else {
                findings.push(format!("{}: shows {path}, which is not there", page.display()));
                continue;
            };
            if shown != Some(wanted.as_str()) {
                findings.push(format!("{}: what it shows as {path} is not that file's text", page.display()));
            }
        }
    }
    Ok(())
}
