//! `cargo xtask tidy`: what a reader relies on and the compiler does not check. One rule a file; every finding names
//! its place, and all are printed before it fails.

mod edges;
mod guarantees;
mod snippets;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

pub(crate) fn run() -> Result<()> {
    let files = tracked_files()?;
    let mut findings = Vec::new();
    edges::check(&mut findings)?;
    source::check(&files, &mut findings)?;
    guarantees::check(&files, &mut findings)?;
    snippets::check(&files, &mut findings)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} files, no findings", files.len());
    Ok(())
}

/// What git tracks, or would (new files that it does not ignore), relative to the root.
fn tracked_files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("cannot run git")?;
    let listed = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {}", file.display()))
}
